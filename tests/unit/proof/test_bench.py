"""What is run of a suite, and when exit code, results and counts cannot all be true."""

from __future__ import annotations

import pytest

from runner.project import Pytest
from runner.steps.proof.agreement import disagreement
from runner.steps.proof.bench import chosen
from runner.steps.proof.results import TestOutcome, TestResult

KNOWN = ("tests/unit/test_a.py", "tests/slow/test_b.py", "src/f.py")


@pytest.mark.parametrize(
    ("own", "only", "expected"),
    [
        (("-q", "tests"), (), ("-q", "tests")),
        ((), ("tests/unit/test_a.py::test_x",), ("tests/unit/test_a.py::test_x",)),
        (("-x", "--strict", "tests/unit/"), ("a",), ("-x", "--strict", "a")),
        (("tests/unit/test_a.py", "src/f.py::g"), ("a",), ("a",)),
        (("-m", "not slow", "tests"), ("a",), ("-m", "not slow", "a")),
        (("--ignore", "tests/slow", "--rootdir=."), ("a",), ("--ignore", "tests/slow", "--rootdir=.", "a")),
        (("no/such/place",), ("a",), ("no/such/place", "a")),
    ],
)  # fmt: skip
def test_some_tests_instead_of_all(own: tuple[str, ...], only: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert chosen(Pytest(arguments=own), KNOWN, only) == expected


def results(passed: int, failed: int = 0) -> dict[str, TestResult]:
    ends = [TestOutcome.PASSED] * passed + [TestOutcome.FAILED] * failed
    return {f"t{n}": TestResult(outcome=end) for n, end in enumerate(ends)}


@pytest.mark.parametrize(
    ("code", "passed", "failed", "printed", "said"),
    [
        (0, 3, 0, b"..\n3 passed in 0.10s\n", ""),
        (0, 3, 0, b"", ""),
        (0, 3, 0, b"=== 2 passed, 1 skipped, 4 deselected, 1 warning in 0.10s ===", ""),
        (0, 2, 0, b"2 passed, 7 subtests passed in 61.10s (0:01:01)", ""),
        (1, 2, 1, b"=== 1 failed, 2 passed in 0.10s ===", ""),
        (1, 2, 1, b"=== 2 passed, 1 error in 0.10s ===", ""),
        (0, 2, 1, b"", "all is well, and the results name 1"),
        (1, 3, 0, b"", "exit code is 1"),
        (0, 3, 0, b"=== 1 failed, 2 passed in 0.10s ===", "counts 1 failures, and the results name 0"),
        (1, 2, 1, b"=== 3 passed in 0.10s ===", "counts 0 failures, and the results name 1"),
        (0, 9, 0, b"2 passed in 0.10s", "counts 2 tests, and the results name 9"),
        (0, 9, 0, b"99 passed in 0.10s\nprinted by a test\n2 passed in 0.10s\n", "counts 2 tests"),
    ],
)
def test_three_accounts_of_one_run(code: int, passed: int, failed: int, printed: bytes, said: str) -> None:
    found = disagreement(code, results(passed, failed), printed)
    assert said in found
    assert bool(said) is bool(found)
