"""How much two patches are alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.git.likeness import ALIKE, likeness, sketch_of
from runner.model import FileHunks


def sketch(added: str, removed: str = "") -> tuple[int, ...]:
    def rows(text: str) -> tuple[tuple[int, bytes], ...]:
        return tuple(enumerate(text.encode().split(b"\n"), 1))

    return sketch_of([FileHunks(path="f.py", added=rows(added), removed=rows(removed))])


LONG = "if value is None:\n    return default\nresult = convert(value, strict=True)\nreturn result or default\n"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (LONG, LONG.replace("    ", "\t").replace("\n", "\n\n")),
        (LONG, LONG.replace("None:", "None:  # nothing came")),
        ("x = 'a'", 'x = "a"'),
        (LONG, "\n".join(reversed(LONG.split("\n")))),
    ],
)
def test_the_same_in_other_clothes(one: str, other: str) -> None:
    assert likeness(sketch(one), sketch(other)) == 1.0


def test_one_word_of_many_is_almost_the_same_and_one_of_few_is_not() -> None:
    many = "\n".join(f"step_{n} = build(step_{n - 1}, size={n})" for n in range(6))
    assert ALIKE <= likeness(sketch(many), sketch(many.replace("size=3", "size=4"))) < 1.0
    assert likeness(sketch("return a + b"), sketch("return a - b")) < ALIKE
    assert likeness(sketch("if a <= b:", "if a < b:"), sketch("if a >= b:", "if a < b:")) < ALIKE


def test_added_is_not_removed() -> None:
    assert likeness(sketch(LONG), sketch("", LONG)) == 0.0


def test_how_often_counts() -> None:
    assert likeness(sketch("f(x)"), sketch("f(x)\n" * 4)) < ALIKE


def test_nothing_is_like_nothing() -> None:
    assert likeness((), ()) == likeness(sketch(LONG), ()) == 0.0


def test_very_large_patches_are_compared_by_a_sample() -> None:
    lines = [f"value_{n} = {n * 7919}" for n in range(3_000)]
    whole, most = sketch("\n".join(lines)), sketch("\n".join(lines[:2_700]))
    assert len(whole) == len(most) == 2_000
    assert likeness(whole, most) == pytest.approx(0.9, abs=0.04)


@given(st.lists(st.binary(max_size=20), max_size=8), st.lists(st.binary(max_size=20), max_size=8))
def test_any_bytes_have_a_likeness(one: list[bytes], other: list[bytes]) -> None:
    ours = sketch_of([FileHunks(path="a", added=tuple(enumerate(one)))])
    theirs = sketch_of([FileHunks(path="b", added=tuple(enumerate(other)))])
    assert 0.0 <= likeness(ours, theirs) == likeness(theirs, ours) <= 1.0
    assert not ours or likeness(ours, ours) == 1.0
