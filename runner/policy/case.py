"""What rules look at, and what a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from runner.model import FileChange, FileHunks, Finding, Goal, Patch, Verdict
from runner.policy.globs import Globs
from runner.policy.moves import moves
from runner.policy.schema import Action, Policy


@dataclass(frozen=True)
class Blobs:
    """What the changed files hold, by blob id. One that is too large to be read has a size and no content."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    contents: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One patch before the judge: trees as our own git read them, never somebody's text.

    `tests` are the globs of the repository's test files; `other_tests` reads those of the base that the patch leaves
    alone (path → content; it costs, so few rules ask), `test_data` small files of data that they may read. `blobs` has
    both sides of every changed file; it and `hunks` are empty where the patch is over the limit of changed lines, and
    so is refused anyway.
    """

    patch: Patch
    goal: Goal
    hunks: tuple[FileHunks, ...] = ()
    base_paths: frozenset[str] = frozenset()
    head_paths: frozenset[str] = frozenset()
    tests: Globs = field(default_factory=lambda: Globs(()))
    blobs: Blobs = field(default_factory=Blobs)
    other_tests: Callable[[], Mapping[str, bytes]] = field(default=dict, compare=False)
    test_data: Callable[[], Mapping[str, bytes]] = field(default=dict, compare=False)

    @cached_property
    def moved(self) -> dict[str, str]:
        """New path → old path of the files that were only moved."""
        return moves(self.patch)

    @cached_property
    def lines(self) -> dict[str, FileHunks]:
        """Path → its changed lines; files that were only moved have none."""
        still = {*self.moved, *self.moved.values()}
        return {hunk.path: hunk for hunk in self.hunks if hunk.path not in still}

    def before(self, file: FileChange) -> bytes | None:
        """The file on the base (of a moved one: where it was), or None where there was none or it is too large."""
        oid = file.new_blob if file.path in self.moved else file.old_blob
        return None if oid is None else self.blobs.contents.get(oid)

    def after(self, file: FileChange) -> bytes | None:
        """The file as the patch leaves it, or None where it is gone or too large to be read."""
        return None if file.new_blob is None else self.blobs.contents.get(file.new_blob)


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
