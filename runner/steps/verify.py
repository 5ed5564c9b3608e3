"""Proof: four runs of the suite in fresh, sealed containers, compared.

    base   the base on itself                        what passed before (kept per base, image and commands)
    kept   the patch under the base's tests          nothing that passed is lost
    red    the base's code under the patch's tests   the new tests fail without the fix …
    head   the patch as it is                        … and pass with it; which lines the tests run

Where the patch touches no test, `kept` is `head` and `red` is `base`. A run that breaks is made once more, and single
tests on which the verdict hangs are run again (`repeats`): neither may be chance. Two runs go on at a time, each in a
container of its own; what is likely to be run again is begun `ahead`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from runner.git.mirror import Mirror
from runner.git.trees import overlay, paths, read
from runner.model import Check, CoverageEvidence, FileHunks, Finding, Goal, Patch, SuiteRun, TestEvidence, Verdict
from runner.policy.globs import Globs
from runner.policy.schema import Policy
from runner.project import Project, Pytest
from runner.steps.proof.account import account
from runner.steps.proof.ahead import Ahead, likely_proof
from runner.steps.proof.altered import altered
from runner.steps.proof.baseline import measured_base
from runner.steps.proof.bench import Bench
from runner.steps.proof.changes import TestChanges, split
from runner.steps.proof.covered import Covered, coverage
from runner.steps.proof.depth import problem_of
from runner.steps.proof.lint import Linted, judged_lint, lint
from runner.steps.proof.redgreen import proof, red_green
from runner.steps.proof.regressions import regressions
from runner.steps.proof.repeats import MOST_TESTS, believed
from runner.steps.proof.results import Measurement
from runner.steps.proof.second import Ways, again_by, tried_again
from runner.steps.proof.suites import baseline, green, never_started
from runner.steps.proof.trial import Judged, Trial

_AT_ONCE = 2
_LARGEST_SOURCE = 4 << 20
_LINT_FILES = Globs(("pyproject.toml", "ruff.toml", ".ruff.toml", "setup.cfg", ".flake8", "tox.ini"))

T = TypeVar("T")


@dataclass(frozen=True)
class Proof:
    """What the tests, coverage and the linter showed."""

    checks: tuple[Check, ...]
    findings: tuple[Finding, ...] = ()
    tests: TestEvidence | None = None
    coverage: CoverageEvidence | None = None
    runs: tuple[SuiteRun, ...] = ()

    @property
    def shown(self) -> tuple[str, ...]:
        """Ids of the tests that show the fix."""
        return self.tests.red_to_green if self.tests is not None else ()

    def having(self, more: Sequence[Judged]) -> Proof:
        """The proof with more checks and what follows from them."""
        findings = (*self.findings, *(f for judged in more for f in judged.findings))
        return replace(self, checks=(*self.checks, *(judged.check for judged in more)), findings=findings)


@dataclass(frozen=True)
class Trees:
    """The trees of the four runs."""

    base: str
    kept: str
    red: str
    head: str
    linted: str
    """The head under the base's configuration of the linter."""


def verify(
    bench: Bench,
    head_bench: Bench,
    *,
    patch: Patch,
    hunks: tuple[FileHunks, ...],
    goal: Goal,
    policy: Policy,
    cache: Path | None,
    progress: Callable[[str], None],
) -> Proof:
    """Measure a patch against its base.

    Args:
        bench: where the base is measured.
        head_bench: where the patch is: the same, unless it changes the dependencies.
        patch: what changed.
        hunks: its lines.
        goal: what it is for.
        policy: what must hold.
        cache: a folder in which the base's measurement is kept for the next patch.
        progress: told what is going on.

    Raises:
        SandboxError: the machine failed.
        GitError: a tree cannot be read.
    """
    mirror, project = bench.mirror, bench.project
    uncompiled = native(patch, project)
    if uncompiled and bench.build is None:
        words = f"the patch changes sources that the setup compiles ({uncompiled[0]}), and they are not compiled again"
        return Proof((Check(name="tests", verdict=Verdict.INCONCLUSIVE, summary=words),))
    changes = TestChanges(
        patch,
        project.tests,
        lambda path: read(mirror, patch.base_tree, path, limit=_LARGEST_SOURCE),
        lambda path: read(mirror, patch.head_tree, path, limit=_LARGEST_SOURCE),
    )
    trees = lay_out(mirror, project, patch)

    progress("running the base's tests on the base")
    base = measured_base(bench, trees.base, cache)
    start = baseline(base, first_tests=project.first_tests)
    if start.verdict is not Verdict.PASSED:
        tests = TestEvidence(baseline_passed=len(base.passed), baseline_failed=tuple(base.red))
        return Proof((start,), tests=tests, runs=account(base=(trees.base, base)))

    progress("running the patch's tests, and the base's tests on the patch")
    red_only = _red_modules(bench, trees, base=base, changes=changes, goal=goal)
    ways: Ways = {
        "base": partial(bench.measure, trees.base),
        "red": partial(bench.measure, trees.red, only=red_only or (), coverage=False),
        "kept": partial(head_bench.measure, trees.kept, coverage=False),
        "head": partial(head_bench.measure, trees.head),
    }
    again, alone = Ahead(again_by(ways)), isinstance(project.test, Pytest)
    with _lanes() as pool:
        # The longest first. What is red is known soon, and then its repeats fill the time of the lane that is done.
        head_run = pool.submit(believed, ways["head"])
        red_run = _done(base) if red_only is None else pool.submit(believed, ways["red"])
        kept_run = head_run if trees.kept == trees.head else pool.submit(believed, ways["kept"])
        touched = tuple(f.path for f in patch.files if f.status != "D")
        lint_run = pool.submit(lint, bench, trees.base, trees.linted, touched)
        if goal is Goal.FIX and red_only is not None and alone:
            again.start(pool, likely_proof(red_run.result(), base), times=policy.repeats.times)
        trial = Trial(
            goal=goal,
            policy=policy,
            tests=project.tests,
            changes=changes,
            hunks=hunks,
            read_head=lambda path: read(mirror, patch.head_tree, path, limit=_LARGEST_SOURCE),
            base=base,
            kept=kept_run.result(),
            red=red_run.result(),
            head=head_run.result(),
        )
        runs = account(
            base=(trees.base, base),
            kept=(trees.kept, trial.kept),
            red=(trees.red, trial.red),
            head=(trees.head, trial.head),
        )
        if wrong := never_started(trial):
            summary = f"{wrong}: nothing was learnt about the patch"
            why = start.model_copy(update={"verdict": Verdict.INCONCLUSIVE, "summary": summary})
            why = why.model_copy(update={"details": {**start.details, "output": trial.head.output}})
            return Proof((why,), runs=runs)
        judged = partial(_judged, start, linted=lint_run.result(), project=project)
        ask = partial(altered, bench=head_bench, base=trees.base, head=trees.head)
        return replace(_tried_again(trial, ways, again, judged, ask, alone=alone, progress=progress), runs=runs)


@contextmanager
def _lanes() -> Iterator[ThreadPoolExecutor]:
    """Room for runs, two at a time; at the end, those that did not begin are dropped."""
    pool = ThreadPoolExecutor(max_workers=_AT_ONCE)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _tried_again(
    trial: Trial,
    ways: Ways,
    again: Ahead,
    judged: Callable[[Trial], Proof],
    ask: Callable[..., tuple[Judged, ...]],
    *,
    alone: bool,
    progress: Callable[[str], None],
) -> Proof:
    """Run again what may be chance, and ask how deep the proof goes.

    Both at once, for neither waits for the other's answer: where the tests that proved the patch turn out to be others
    after all, or it is not proved any more, what was asked meanwhile is forgotten.
    """
    first = judged(trial)
    sound = not problem_of(first.findings, first.checks)
    with ThreadPoolExecutor(max_workers=1) as beside:
        if sound:
            progress("asking whether the tests would notice a mistake")
        answers = beside.submit(ask, trial, names=first.shown) if sound else None
        if trial.policy.repeats.times:
            progress("running again what may be chance")
            again.keep(first.shown[:MOST_TESTS] if sound else ())
            trial = tried_again(trial, ways, again, alone=alone)
        shown = judged(trial)
        if problem_of(shown.findings, shown.checks):
            return shown
        if answers is not None and shown.shown == first.shown:
            return shown.having(answers.result())
    return shown.having(ask(trial, names=shown.shown))


def native(patch: Patch, project: Project) -> list[str]:
    """Sources that the patch changes and the setup compiles: what it compiled is then of another time."""
    known = project.key_files if project.build is None else {f.path for f in patch.files}
    return [f.path for f in patch.files if f.path in project.native and f.path in known]


def lay_out(mirror: Mirror, project: Project, patch: Patch) -> Trees:
    """Make the trees of the four runs.

    Raises:
        GitError: a tree cannot be read.
    """
    tests = [f.path for f in patch.files if f.path in project.tests]
    settings = [f.path for f in patch.files if f.path in project.configuration]
    linting = [f.path for f in patch.files if f.path in _LINT_FILES]
    base, head = patch.base_tree, patch.head_tree
    return Trees(
        base=base,
        kept=overlay(mirror, head, from_tree=base, paths=[*tests, *settings]) if tests or settings else head,
        red=overlay(mirror, base, from_tree=head, paths=tests) if tests else base,
        head=head,
        linted=overlay(mirror, head, from_tree=base, paths=linting) if linting else head,
    )


def _red_modules(
    bench: Bench, trees: Trees, *, base: Measurement, changes: TestChanges, goal: Goal
) -> tuple[str, ...] | None:
    """What to run of the patch's tests on the base's code: these modules, all of them where none is named, or nothing.

    Tests that were red on the base already are run again, so that chance is no proof.
    """
    again = tuple(sorted({split(test)[0] for test in base.red})) if goal is Goal.FIX else ()
    if trees.red == trees.base and not again:
        return None
    only = tuple(dict.fromkeys((*changes.modules, *again))) if changes.only_modules else ()
    if trees.red != trees.base and changes.only_modules and not only:
        return None  # tests were only deleted: there is nothing to be red
    known = paths(bench.mirror, trees.red)
    there, ran = paths(bench.mirror, trees.base), {split(test)[0] for test in base.tests}
    if any(module in there and module not in ran for module in changes.modules):
        return ()  # the suite runs them under another name (another module imports them), and so must we
    return tuple(p for p in only if p in known)


def _done(value: T) -> Future[T]:
    future: Future[T] = Future()
    future.set_result(value)
    return future


def _judged(start: Check, trial: Trial, *, linted: Linted, project: Project) -> Proof:
    kept = regressions(trial)
    red = red_green(trial)
    whole = green(trial)
    covered = coverage(trial)
    lint_check, lint_findings = judged_lint(linted, trial.policy, project.lint)
    judged = [kept, red, whole, *([covered] if covered is not None else [])]
    checks = (start, *(j.check for j in judged), *([lint_check] if lint_check is not None else []))
    findings = (*(f for j in judged for f in j.findings), *lint_findings, *_unmeasured(covered))
    tests = TestEvidence(
        baseline_passed=len(trial.base.passed),
        baseline_failed=tuple(trial.base.red),
        head_passed=len(trial.head.passed),
        red_to_green=red.names,
        regressions=kept.names,
        flaky=dict(trial.repeats.flaky),
        reasons={test: words for test, words in proof(trial).items() if test in red.names},
    )
    return Proof(checks, findings, tests, _coverage_evidence(covered))


def _unmeasured(covered: Covered | None) -> tuple[Finding, ...]:
    if covered is not None:
        return ()
    words = "coverage was not measured: the test command leaves none that automend can read"
    remedy = "let it write Cobertura XML, and name the file as `coverage` in .automend.toml"
    return (Finding(rule="coverage.unmeasured", verdict=Verdict.PASSED, message=words, remedy=remedy, review=True),)


def _coverage_evidence(covered: Covered | None) -> CoverageEvidence | None:
    if covered is None:
        return None
    before, after = (
        _rounded(total.percent) if total is not None else None for total in (covered.before, covered.after)
    )
    lines = covered.changed.lines
    return CoverageEvidence(
        before=before, after=after, changed_lines=lines, changed_covered=lines - len(covered.changed.missed)
    )


def _rounded(percent: float | None) -> float | None:
    return round(percent, 2) if percent is not None else None
