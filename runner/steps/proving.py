"""In which environment the proof is made: with today's packages, else with those of the base's own day.

A base whose requirements are open ("flask", not "flask==2.3.2") gets what is newest today. Where its tests do not even
start with that, nothing can be said of any patch; with the packages that were newest when the base was committed, most
of them start again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from runner.git.mirror import Mirror
from runner.git.trees import read
from runner.model import Goal, Patch, Reproduction, Verdict
from runner.policy.case import Case
from runner.policy.schema import Policy
from runner.project import Project, environment_recipe, for_tree
from runner.steps.proof.bench import Bench
from runner.steps.proof.original import replayed, runs
from runner.steps.proof.trial import Judged
from runner.steps.verify import Proof, native, verify
from sandbox.api import Limits, Sandboxes, SetupError

_LARGEST_FILE = 4 << 20


@dataclass(frozen=True)
class Proved:
    """A proof, and what it was made in. `day` is that of the packages (YYYY-MM-DD), None for today's."""

    proof: Proof
    bench: Bench
    day: str | None = None


@dataclass(frozen=True)
class Prover:
    """Everything that a proof is made of.

    Args:
        mirror: where both trees are.
        project: how the repository is tested, read from the base.
        sandboxes: the engine.
        limits: of every container; `wall_seconds` is the longest time of one run of the suite.
        labels: on every container.
        patch: what changed.
        case: what the rules looked at.
        policy: what must hold.
        cache: a folder in which measurements of bases are kept.
        progress: told what is going on.
        reproduction: what showed the error, where something did.
    """

    mirror: Mirror
    project: Project
    sandboxes: Sandboxes
    limits: Limits
    labels: Mapping[str, str]
    patch: Patch
    case: Case
    policy: Policy
    cache: Path | None
    progress: Callable[[str], None]
    reproduction: Reproduction | None = None

    def prove(self, day: str | None) -> Proved:
        """Measure the patch; where the base cannot be measured with today's packages, with those of `day`.

        Raises:
            SetupError: the environment cannot be built, in no time.
            SandboxError: the machine failed.
            GitError: a tree cannot be read.
        """
        try:
            today = self._proved(None)
        except SetupError:
            if day is None:
                raise
            dated = self._again(day)
            if dated is None:
                raise
            return dated
        if day is None or not _says_nothing(today.proof):
            return today
        return self._again(day) or today

    def _again(self, day: str) -> Proved | None:
        self.progress(f"the base's tests do not start with today's packages: trying those of {day}")
        with suppress(SetupError):
            dated = self._proved(day)
            if not _says_nothing(dated.proof):
                return dated
        return None

    def _proved(self, day: str | None) -> Proved:
        bench = self._bench(self.project, self.patch.base_tree, day)
        head_bench = bench
        if self.case.goal is Goal.DEPS:
            theirs = for_tree(self.project, self._read_head, self.case.head_paths)
            if theirs.setup != self.project.setup or theirs.key_files != self.project.key_files:
                head_bench = self._bench(theirs, self.patch.head_tree, day)
        proof = verify(
            bench,
            head_bench,
            patch=self.patch,
            hunks=self.case.hunks,
            goal=self.case.goal,
            policy=self.policy,
            cache=self.cache,
            progress=self.progress,
        )
        if len(proof.checks) > 1:
            proof = proof.having(self._original(bench, head_bench))
        return Proved(_dated(proof, day), bench, day)

    def _original(self, bench: Bench, head_bench: Bench) -> tuple[Judged, ...]:
        """What the command that showed the error does now."""
        shown, seconds = self.reproduction, self.limits.wall_seconds
        if shown is None or self.case.goal is not Goal.FIX:
            return ()
        judged = replayed(
            shown,
            base=runs(bench.shell, self.patch.base_tree, shown, seconds),
            head=runs(head_bench.shell, self.patch.head_tree, shown, seconds),
            times=1 + min(1, self.policy.repeats.times),
            patch=self.patch,
            progress=self.progress,
        )
        return (judged,)

    def _bench(self, made_for: Project, tree: str, day: str | None) -> Bench:
        recipe = environment_recipe(made_for, self.mirror, tree, day=day)
        built = self.sandboxes.environment(recipe, labels=self.labels, progress=self.progress)
        build = self.project.build if native(self.patch, self.project) else None
        return Bench(self.mirror, self.sandboxes, built.digest, self.project, self.limits, self.labels, build)

    def _read_head(self, path: str) -> bytes | None:
        return read(self.mirror, self.patch.head_tree, path, limit=_LARGEST_FILE)


def day_of(mirror: Mirror, sha: str | None) -> str | None:
    """The day on which a commit was made (YYYY-MM-DD, UTC), None where there is no commit."""
    if sha is None:
        return None
    return mirror.git("log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d", sha).decode("ascii").strip() or None


def _says_nothing(proof: Proof) -> bool:
    """Whether the base could not be measured, for a reason other than our own limits."""
    return (
        len(proof.checks) == 1
        and proof.checks[0].name == "baseline"
        and proof.checks[0].verdict is Verdict.INCONCLUSIVE
        and not proof.checks[0].details.get("limit")
    )


def _dated(proof: Proof, day: str | None) -> Proof:
    if day is None:
        return proof
    first, *rest = proof.checks
    words = f"{first.summary}; with the packages of {day}, as the tests do not start with today's"
    return replace(proof, checks=(first.model_copy(update={"summary": words}), *rest))
