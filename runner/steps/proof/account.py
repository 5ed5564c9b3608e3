"""What the runs of the suite showed, test by test, for the evidence file."""

from __future__ import annotations

from typing import Literal

from runner.model import SuiteRun
from runner.steps.proof.results import Measurement

Ran = tuple[str, Measurement]
"""A tree, and what the suite showed on it."""


def account(
    *, base: Ran, kept: Ran | None = None, red: Ran | None = None, head: Ran | None = None
) -> tuple[SuiteRun, ...]:
    """The runs that were really made: one that stands for another (see `verify`) is told once."""
    told = [_told("base", base)]
    if kept is not None and (head is None or kept[1] is not head[1]):
        told.append(_told("kept", kept))
    if red is not None and red[1] is not base[1]:
        told.append(_told("red", red))
    if head is not None:
        told.append(_told("head", head))
    return tuple(told)


def _told(name: Literal["base", "kept", "red", "head"], ran: Ran) -> SuiteRun:
    tree, shown = ran
    return SuiteRun(
        name=name,
        tree=tree,
        exit_code=shown.exit_code,
        seconds=round(shown.seconds, 2),
        problem=shown.problem,
        outcomes={test: result.outcome.value for test, result in sorted(shown.tests.items())},
    )
