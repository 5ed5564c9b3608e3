"""Assertions that are still there, and that no passing run makes or whose failure does not show; and their like."""

# ruff: noqa: E501 - one trick a line

from __future__ import annotations

from collections.abc import Callable

import pytest

Rules = Callable[..., set[str]]

PATH = "tests/test_calc.py"
FIXED = {"calc.py": "def mean(values):\n    return sum(values) / max(len(values), 1)\n"}
PRODUCT = {"calc.py": "def mean(values):\n    return sum(values) / len(values)\n"}
BASE = "import pytest\nfrom calc import mean\n\n\ndef test_mean():\n    assert mean([1, 3]) == 2\n    assert mean([4]) == 4\n"
CLAIM = "    assert mean([4]) == 4\n"


def instead(*lines: str) -> dict[str, str]:
    """The test with these lines in the place of its last assertion; `A` stands for that assertion."""
    body = "".join(f"    {line}\n" for line in lines).replace("A\n", CLAIM.strip() + "\n")
    return {**FIXED, PATH: BASE.replace(CLAIM, body)}


LOST = {
    "in a handler": ["try:", "    mean([4])", "except ZeroDivisionError:", "    A"],
    "after what raises": ["try:", "    raise ValueError", "except ValueError:", "    pass", "else:", "    A"],
    "where the result is wrong": ["if not mean([4]):", "    A"],
    "where the result is right": ["if mean([4]) == 4:", "    A"],
    "after leaving where it is wrong": ["if mean([4]) != 4:", "    return", "A"],
    "skipped where it is wrong": ["if mean([4]) != 4:", "    pytest.skip('odd')", "A"],
    "an empty length": ["if len([]):", "    A"],
    "a local name": ["never = False", "if never:", "    A"],
    "debug": ["if not __debug__:", "    A"],
    "another platform": ["import sys", "if sys.platform == 'win32':", "    A"],
    "an old version": ["import sys", "if sys.version_info < (3, 0):", "    A"],
    "a wish in the environment": ["import os", "if os.environ.get('SLOW'):", "    A"],
    "an empty range": ["for _ in range(0, 0):", "    A"],
    "an empty name": ["rows = []", "for _ in rows:", "    A"],
    "an empty dict": ["for _ in dict():", "    A"],
    "a case that never holds": ["match 1:", "    case 2:", "        A"],
    "an alias caught": ["oops = AssertionError", "try:", "    A", "except oops:", "    pass"],
    "raised sometimes": ["try:", "    A", "except AssertionError:", "    if not BASE:", "        raise"],
    "another claim in its place": ["try:", "    A", "except AssertionError:", "    assert mean([4]) is not None"],
    "a break in finally": ["for _ in [1]:", "    try:", "        A", "    finally:", "        break"],
    "suppressed under another name": [
        "from contextlib import suppress as quiet",
        "with quiet(AssertionError):",
        "    A",
    ],
    "suppressed by a name": ["import contextlib", "hush = contextlib.suppress(AssertionError)", "with hush:", "    A"],
    "suppressed by a list": ["import contextlib", "with contextlib.suppress(*[AssertionError]):", "    A"],
    "a stack that suppresses": [
        "import contextlib",
        "with contextlib.ExitStack() as stack:",
        "    stack.enter_context(contextlib.suppress(Exception))",
        "    A",
    ],
    "a context of its own": [
        "import contextlib",
        "@contextlib.contextmanager",
        "def hush():",
        "    try:",
        "        yield",
        "    except BaseException:",
        "        pass",
        "with hush():",
        "    A",
    ],
    "waited for": ["with pytest.raises(Exception):", "    A"],
    "waited for, deeper": ["with pytest.raises(AssertionError):", "    if True:", "        A"],
    "after what is waited for": ["with pytest.raises(TypeError):", "    mean(None)", "    A"],
    "only named": ["def inner():", "    A", "inner"],
    "printed": ["def inner():", "    A", "print(inner)"],
    "a generator": ["def inner():", "    A", "    yield", "inner()"],
    "nobody awaits": ["async def inner():", "    A", "inner()"],
    "a thread": ["import threading", "def inner():", "    A", "threading.Thread(target=inner).start()"],
    "no assertion": ["mean([4]) == 4", "print('four')"],
    "kept in a name": ["ok = mean([4]) == 4"],
    "a comment": ["# A", "other = 1"],
    "recomputed": ["expected = mean([4])", "assert mean([4]) == expected"],
    "against itself": ["assert mean([4]) == mean([5]) - 1"],
    "answered by a handler": [
        "try:",
        "    value = mean([4])",
        "except Exception:",
        "    value = 4",
        "assert value == 4",
    ],
    "its type": ["assert type(mean([4])) is float"],
    "warned of": ["import warnings", "if mean([4]) != 4:", "    warnings.warn('wrong')"],
}
KEPT = {
    "in a name": ["result = mean([4])", "assert result == 4"],
    "in a loop": ["for n in (4, 5):", "    assert mean([n]) == n", "A"],
    "in a context": ["import contextlib", "with contextlib.nullcontext():", "    A"],
    "beside a suppress": ["import contextlib", "with contextlib.suppress(TypeError):", "    mean(None)", "A"],
    "with a finally": ["try:", "    A", "finally:", "    print('done')"],
    "with a handler that tells": ["try:", "    A", "except AssertionError:", "    print(mean([4]))", "    raise"],
    "with a handler that fails": ["try:", "    A", "except TypeError as error:", "    pytest.fail(str(error))"],
    "in a function that is called": ["def inner():", "    A", "inner()"],
    "on both platforms": ["import sys", "if sys.platform == 'win32':", "    assert mean([4]) == 4.0", "else:", "    A"],
    "with a message": ["assert mean([4]) == 4, 'of one'"],
    "after a raises": ["with pytest.raises(TypeError):", "    mean(None)", "A"],
}


@pytest.mark.parametrize("lines", LOST.values(), ids=LOST)
def test_an_assertion_that_does_not_count_any_more(refused: Rules, lines: list[str]) -> None:
    found = refused({**PRODUCT, PATH: BASE}, instead(*lines))
    assert found & {"tests.emptied", "tests.weakened", "tests.skipped"}, found


@pytest.mark.parametrize("lines", KEPT.values(), ids=KEPT)
def test_an_assertion_that_still_counts(refused: Rules, lines: list[str]) -> None:
    assert not refused({**PRODUCT, PATH: BASE}, instead(*lines))


def test_what_one_context_always_swallowed_is_no_news(refused: Rules) -> None:
    hushed = BASE.replace(CLAIM, "    try:\n        assert mean([4]) == 4\n    except AssertionError:\n        pass\n")
    more = hushed.replace("== 2", "== 2.0")
    assert not refused({**PRODUCT, PATH: hushed}, {**FIXED, PATH: more})


def test_a_check_that_raises_now_is_another_expectation(refused: Rules) -> None:
    base = BASE.replace(CLAIM, "    check_mean([4])\n")
    head = BASE.replace(CLAIM, "    with pytest.raises(ValueError):\n        check_mean([4])\n")
    assert "tests.emptied" not in refused({**PRODUCT, PATH: base}, {**FIXED, PATH: head})


@pytest.mark.parametrize(
    "head",
    ["assert len(mean([4])) == 1", "assert 4 in mean([4])", "self = 1\n    assert mean([4]) is not None"],
)
def test_part_of_what_was_said(refused: Rules, head: str) -> None:
    assert "tests.weakened" in refused({**PRODUCT, PATH: BASE}, instead(head))
