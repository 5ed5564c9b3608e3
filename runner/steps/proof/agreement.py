"""Three accounts of one run, from outside: the exit code, the results as a file, the counts that were printed last."""

from __future__ import annotations

import re
from collections.abc import Mapping

from runner.steps.proof.results import TestResult

_END = 8_000
_SUMMARY = re.compile(r"^(?:=+ )?((?:\d{1,9} [a-z ]{1,40}, )*\d{1,9} [a-z ]{1,40}) in \d+\.\d+s", re.MULTILINE)


def disagreement(exit_code: int | None, tests: Mapping[str, TestResult], printed: bytes = b"") -> str:
    """Why exit code, results and the counts that pytest prints last cannot all be true; "" where they can."""
    red = sum(result.outcome.red for result in tests.values())
    if exit_code == 0 and red:
        return f"the exit code says that all is well, and the results name {red} failures"
    if exit_code != 0 and not red:
        return f"the exit code is {exit_code}, and the results name no failure"
    counted = _counted(printed)
    if counted is None:
        return ""
    bad = sum(number for word, number in counted if word.startswith(("failed", "error")))
    if bool(bad) != bool(red):
        return f"pytest counts {bad} failures, and the results name {red}"
    ended = sum(number for word, number in counted if not word.startswith(("warning", "deselected")))
    if ended < len(tests):
        return f"pytest counts {ended} tests, and the results name {len(tests)}"
    return ""


def _counted(printed: bytes) -> list[tuple[str, int]] | None:
    """The counts on the last line that looks like pytest's own summary (`1 failed, 3 passed in 0.12s`), if any does."""
    lines = _SUMMARY.findall(printed[-_END:].decode("utf-8", "replace"))
    if not lines:
        return None
    words = (part.partition(" ") for part in lines[-1].split(", "))
    return [(what, int(number)) for number, _, what in words]
