"""What one run of a test suite showed, as a value that can be kept."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from runner.model import Noun


class TestOutcome(StrEnum):
    """How one test ended."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"

    @property
    def red(self) -> bool:
        """Whether it says that something is wrong."""
        return self in {TestOutcome.FAILED, TestOutcome.ERROR}


class TestResult(Noun):
    """One test. `message` is the beginning of what it said; `collecting` marks a module that could not be loaded.

    `error` is the exception's type and `place` the line (`path:line`) where it was raised, as far as it was told.
    """

    __test__ = False

    outcome: TestOutcome
    message: str = ""
    collecting: bool = False
    error: str = ""
    place: str = ""


class FileLines(Noun):
    """Executable lines of one file, by number from 1."""

    run: tuple[int, ...] = ()
    missed: tuple[int, ...] = ()
    excluded: tuple[int, ...] = ()


class Measurement(Noun):
    """One run of the suite on one tree.

    `problem` says why it cannot be believed or did not end (then `tests` may be partial); `limit` marks that a limit
    of ours (time, memory, output) ended it, `memory` that it was the one on memory. `output` is the end of what it
    printed.
    """

    tests: dict[str, TestResult] = Field(default_factory=dict)
    problem: str = ""
    limit: bool = False
    memory: bool = False
    exit_code: int | None = None
    output: str = ""
    seconds: float = 0.0
    lines: dict[str, FileLines] | None = None

    def having(self, *outcomes: TestOutcome) -> list[str]:
        """Ids of the tests that ended so, sorted."""
        return sorted(name for name, result in self.tests.items() if result.outcome in outcomes)

    @property
    def passed(self) -> list[str]:
        """Ids of the tests that passed, sorted."""
        return self.having(TestOutcome.PASSED)

    @property
    def red(self) -> list[str]:
        """Ids of the tests (and modules) that failed, sorted."""
        return self.having(TestOutcome.FAILED, TestOutcome.ERROR)
