"""What rules look at, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from runner.model import FileHunks, Finding, Goal, Patch, Verdict
from runner.policy.globs import Globs
from runner.policy.schema import Action, Policy


@dataclass(frozen=True)
class Case:
    """One patch before the judge: trees as our own git read them, never somebody's text.

    `tests` are the globs of the repository's test files.
    """

    patch: Patch
    goal: Goal
    hunks: tuple[FileHunks, ...] = ()
    base_paths: frozenset[str] = frozenset()
    head_paths: frozenset[str] = frozenset()
    tests: Globs = field(default_factory=lambda: Globs(()))


@dataclass(frozen=True)
class Rule:
    """One predicate. `judge` answers with what is wrong (or must be shown); nothing means that it holds."""

    name: str
    judge: Callable[[Policy, Case], Iterable[Finding]]


@dataclass(frozen=True)
class Family:
    """Rules on one subject. `numbers` says, where all hold, by how much."""

    name: str
    rules: tuple[Rule, ...]
    numbers: Callable[[Policy, Case], str]


def consequence(
    action: Action, rule: str, message: str, *, path: str | None = None, line: int | None = None, remedy: str = ""
) -> Iterable[Finding]:
    """The finding that follows from something a rule saw: a refusal, a pass to be shown, or nothing."""
    if action is Action.ALLOW:
        return
    verdict = Verdict.FAILED if action is Action.BLOCK else Verdict.PASSED
    review = action is Action.REVIEW
    yield Finding(rule=rule, verdict=verdict, message=message, path=path, line=line, remedy=remedy, review=review)
