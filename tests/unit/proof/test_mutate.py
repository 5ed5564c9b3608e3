"""Mistakes made on purpose, and the parts of a patch."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.steps.proof.mutate import mutants
from runner.steps.proof.parts import parts


def words(source: str, line: int) -> list[str]:
    return [m.words for m in mutants(source.encode(), {line})]


@pytest.mark.parametrize(
    ("source", "line", "expected"),
    [
        ("if a < b:\n    pass\n", 1, ["`a < b` → `not (a < b)`", "`a < b` → `a <= b`"]),
        ("x = a is not None\n", 1, ["`a is not None` → `a is None`"]),
        ("x = a and b\n", 1, ["`a and b` → `(a or b)`"]),
        ("x = not a\n", 1, ["`not a` → `(a)`"]),
        ("x = a + 1\n", 1, ["`a + 1` → `(a - 1)`", "`1` → `2`"]),
        ("x += y\n", 1, ["`x += y` → `x -= y`", "`x += y` removed"]),
        ("x = 'a' + b\n", 1, []),
        ("f(a)\n", 1, ["`f(a)` removed"]),
        ("log.info('x')\n", 1, []),
        ("def f():\n    return g()\n", 2, ["`return g()` → `return None`"]),
        ("def f():\n    return None\n", 2, []),
        ("def f():\n    return 'a'\n", 2, ["`return 'a'` → `return None`", "`'a'` → `'ax'`"]),
        ("def f():\n    return True\n", 2, ["`True` → `False`"]),
        ("def f(x):\n    raise ValueError('no ' + x)\n", 2, ["`raise ValueError('no ' + x)` removed"]),
        ("self.x = y\n", 1, ["`self.x = y` removed"]),
        ("x = y\n", 1, []),
        ("def f(x: 'int' = 3) -> 4:\n    'doc 5'\n", 1, ["`3` → `4`"]),
        ("def f(x: 'int' = 3) -> 4:\n    'doc 5'\n", 2, []),
        ("x = f'{a + 1}'\n", 1, []),
        ("x = [a for a in b if a > 3]\n", 1, ["`a > 3` → `not (a > 3)`", "`a > 3` → `a >= 3`", "`3` → `4`"]),
        ("x = a == 'b'\n", 1, ["`a == 'b'` → `a != 'b'`", "`'b'` → `'bx'`"]),
        ("while True:\n    break\n", 1, ["`True` → `False`"]),
        ("import a\nassert b == 3\n", 2, []),
        ("this is no python\n", 1, []),
    ],
)
def test_small_mistakes(source: str, line: int, expected: list[str]) -> None:
    assert words(source, line) == expected


def test_nothing_but_the_mistake_changes() -> None:
    source = "\ufeff# héé\r\nx = 'é' if  a <b else (1 ,)   # why\r\n\r\ny = 2\r\n".encode()
    sources = [m.source for m in mutants(source, {2})]
    assert source.replace(b"a <b", b"a <= b") in sources
    assert source.replace(b"(1 ,)", b"(2 ,)") in sources
    assert all(s.startswith(b"\xef\xbb\xbf# h\xc3\xa9\xc3\xa9\r\n") and s.endswith(b"y = 2\r\n") for s in sources)


def test_every_line_has_its_turn_before_any_has_a_second() -> None:
    found = list(mutants(b"if a < 1:\n    b = c + 2\n", {1, 2}))
    assert [m.line for m in found] == [1, 2, 1, 2, 1]


def test_only_lines_that_were_asked_for() -> None:
    source = b"if a < 1:\n    f(\n        b == 2,\n    )\n"
    assert {m.line for m in mutants(source, {3})} == {3}
    assert list(mutants(source, set())) == []


_NAMES = st.sampled_from(["a", "b", "1", "'t'", "0.5", "True", "None", "f(a)", "a.b", "a[b]"])
_OPERATORS = st.sampled_from(["+", "-", "*", "//", "%", "**", "<", ">=", "==", "in", "is", "and", "or"])
_EXPRESSIONS = st.recursive(
    _NAMES,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, _OPERATORS, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("(not {})".format, inner),
        st.builds("[a for a in {} if {}]".format, inner, inner),
        st.builds("g({},\n  k={})".format, inner, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(_EXPRESSIONS, st.sampled_from(["x = {}\n", "if {}:\n    pass\n", "def f():\n    return {}\n", "a.b = {}\n"]))
def test_every_mutant_is_python_and_another_program(expression: str, frame: str) -> None:
    source = frame.format(expression).encode()
    before = ast.dump(ast.parse(source))
    for mutant in mutants(source, range(1, 20)):
        assert ast.dump(ast.parse(mutant.source)) != before


# ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────

OLD = b"import os\n\n\ndef f(x):\n    return x\n\n\ndef g(y):\n    return y\n"
NEW = (
    b"import os\nimport re\n\n\ndef f(x):\n    # doubled\n    return 2 * x\n\n\ndef g(y):\n    return y\n\n\nlast = 1\n"
)


def test_each_part_is_taken_back_by_itself() -> None:
    found = list(parts("src/f.py", OLD, NEW))
    assert [p.where for p in found] == ["src/f.py:2", "src/f.py:6-7", "src/f.py:12-14"]
    assert found[0].without == NEW.replace(b"import re\n", b"")
    assert found[1].without == NEW.replace(b"    # doubled\n    return 2 * x\n", b"    return x\n")


def test_lines_that_were_only_taken_out() -> None:
    (part,) = parts("src/f.py", NEW, NEW.replace(b"last = 1\n", b"").rstrip(b"\n") + b"\n")
    assert (part.line, part.lines) == (11, 0)
    assert part.without == NEW


@pytest.mark.parametrize(
    ("path", "base", "head"),
    [
        ("f.py", OLD, OLD.replace(b"return x", b"return x  # it")),
        ("f.py", OLD, OLD.replace(b"def f(x):\n", b'def f(x):\n    """Says x."""\n')),
        ("f.py", OLD, OLD.replace(b"import os\n", b"import os\n\n\n")),
        ("f.md", b"a\n", b"b\n"),
        ("f.js", b"a()\n", b"a()\n\n"),
        ("f.py", OLD, OLD),
    ],
)
def test_what_is_no_code_is_no_part(path: str, base: bytes, head: bytes) -> None:
    assert list(parts(path, base, head)) == []


def test_code_of_any_language() -> None:
    (part,) = parts("src/f.js", b"a()\nb()\n", b"a()\nc()\n")
    assert (part.where, part.without) == ("src/f.js:2", b"a()\nb()\n")


@given(st.lists(st.sampled_from([b"a\n", b"b\n", b"c"])), st.lists(st.sampled_from([b"a\n", b"b\n", b"d\n"])))
def test_a_patch_of_one_part_without_it_is_the_base(old: list[bytes], new: list[bytes]) -> None:
    base, head = b"".join(old), b"".join(new)
    found = list(parts("f.go", base, head))
    if len(found) == 1:
        assert found[0].without == base
