"""Measurements → checks and findings. Pure: no container is touched here.

Four runs are compared. `base`: the base on itself. `kept`: the patch under the base's tests. `red`: the base's code
under the patch's tests. `head`: the patch as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.model import Check, FileHunks, Finding, Goal, Verdict
from runner.policy.case import consequence
from runner.policy.globs import Globs
from runner.policy.schema import Action, Policy
from runner.steps.proof.changes import TestChanges, split
from runner.steps.proof.lines import Changed, Total, changed, total
from runner.steps.proof.results import Measurement, TestOutcome, TestResult

MOST_FINDINGS = 10
_EPSILON = 0.005
_IMPORT_ERRORS = ("ImportError", "ModuleNotFoundError")


@dataclass(frozen=True)
class Trial:
    """Everything that was measured on one patch."""

    goal: Goal
    policy: Policy
    tests: Globs
    changes: TestChanges
    hunks: tuple[FileHunks, ...]
    read_head: Callable[[str], bytes | None]
    base: Measurement
    kept: Measurement
    red: Measurement
    head: Measurement


@dataclass(frozen=True)
class Judged:
    """One check's answer."""

    check: Check
    findings: tuple[Finding, ...] = ()
    names: tuple[str, ...] = ()
    """Ids of the tests that it is about."""


@dataclass(frozen=True)
class Covered(Judged):
    """The coverage check's answer, with its numbers."""

    before: Total | None = None
    after: Total | None = None
    changed: Changed = field(default_factory=lambda: Changed(0, ()))


def baseline(base: Measurement) -> Check:
    """Whether the base can be a measure of anything."""
    details: dict[str, Any] = {"passed": len(base.passed), "failed": base.red, "exit_code": base.exit_code}
    if base.problem:
        return _check("baseline", Verdict.INCONCLUSIVE, f"on the base, {base.problem}", base, details, show=True)
    if not base.tests:
        return _check(
            "baseline", Verdict.INCONCLUSIVE, "the test command ran no test on the base", base, details, show=True
        )
    failing = f"; {len(base.red)} fail already and do not count ({some(base.red)})" if base.red else ""
    return _check("baseline", Verdict.PASSED, f"{len(base.passed)} tests pass on the base{failing}", base, details)


def never_started(trial: Trial) -> bool:
    """Whether no test passed anywhere: then the environment is wrong, and nothing was learnt about the patch."""
    return not trial.base.passed and not trial.head.passed


def regressions(trial: Trial) -> Judged:
    """Every test that passed on the base passes on the patch, in the base's own words."""
    if trial.kept.problem:
        return _broken("regressions", trial.kept, "with the base's tests on the patch", trial.goal)
    lost: list[str] = []
    rewritten: dict[str, str] = {}
    for test in trial.base.passed:
        now = trial.kept.tests.get(test)
        if (now is not None and now.outcome is TestOutcome.PASSED) or _only_renamed(test, now, trial):
            continue
        if _is_rewritten(test, now, trial):
            path, function = split(test)
            rewritten.setdefault(f"{path}::{function}" if function else path, _said(now))
            continue
        lost.append(test)
    findings = [
        Finding(
            rule="tests.regression",
            verdict=Verdict.FAILED,
            message=f"{test} passed on the base and does not on the patch: {_said(trial.kept.tests.get(test))}",
            path=split(test)[0] if split(test)[0] in trial.tests else None,
            remedy="keep the behaviour that this test asserts, or change the test with the behaviour, for a reason",
        )
        for test in lost
    ]
    for test, said in rewritten.items():
        findings += consequence(
            trial.policy.tests.changed,
            "tests.changed",
            f"{test} was rewritten, and its old text fails on the patch ({said}). Old and new:\n"
            f"{trial.changes.both_sides(test)}",
            path=split(test)[0],
            line=trial.changes.line(test),
            remedy="keep the test as it was, unless what it asserted is itself the mistake",
        )
    findings += _deleted(trial)
    passed = sum(1 for t in trial.base.passed if _passes(trial.kept, t))
    words = f"{passed} of the {len(trial.base.passed)} tests that passed on the base pass on the patch"
    words += f"; not: {some(lost)}" if lost else ""
    words += f"; {len(rewritten)} rewritten: {some(rewritten)}" if rewritten else ""
    verdict = Verdict.worst([Verdict.PASSED, *(f.verdict for f in findings)])
    details = {"passed": passed, "lost": lost, "rewritten": sorted(rewritten)}
    check = _check("regressions", verdict, words, trial.kept, details, show=verdict is not Verdict.PASSED)
    return Judged(check, capped(findings), tuple(lost))


def red_green(trial: Trial) -> Judged:
    """Tests that fail on the base's code and pass on the patch: the proof of a fix."""
    required = trial.goal is Goal.FIX and trial.policy.tests.red_green
    if trial.red.problem:
        words = f"the patch's tests could not be run on the base's code: {trial.red.problem}"
        verdict = Verdict.INCONCLUSIVE if required else Verdict.PASSED
        return Judged(_check("red-green", verdict, words, trial.red, {}, show=True))
    added = b"\n".join(text for file in trial.hunks if file.path not in trial.tests for _, text in file.added)
    stems = {file.path.rpartition("/")[2].removesuffix(".py") for file in trial.hunks if file.path not in trial.tests}
    proof: dict[str, str] = {}
    for test in trial.head.passed:
        before = trial.red.tests.get(test) or trial.red.tests.get(split(test)[0])
        if before is not None and before.outcome.red and _is_the_bug(before, added, stems, test, trial):
            proof[test] = before.message
    names = tuple(sorted(proof))
    idle = [t for t in trial.head.passed if _passes(trial.red, t) and t not in trial.base.tests]
    half = _half_fixed(trial, names)
    details = {"red_to_green": dict(sorted(proof.items())), "already_green": idle, "still_red": half}
    findings: list[Finding] = []
    if required and not names:
        already = f" These new tests pass on the base's code, too: {some(idle)}." if idle else ""
        findings.append(
            Finding(
                rule="tests.red-green",
                verdict=Verdict.FAILED,
                message=f"no test fails on the base and passes on the patch, so nothing shows the fix.{already}",
                remedy="add a test that fails on the code as it was, because of the bug, and passes on yours",
            )
        )
    if required and half:
        findings.append(
            Finding(
                rule="tests.red-green",
                verdict=Verdict.FAILED,
                message=f"tests of the same thing are still red on the patch: {some(half)}",
                path=split(half[0])[0],
                remedy="mend the cause for all of them",
            )
        )
    verdict = Verdict.worst([Verdict.PASSED, *(f.verdict for f in findings)])
    words = f"{len(names)} tests fail on the base and pass on the patch"
    words += f": {some(names)}" if names else ""
    return Judged(_check("red-green", verdict, words, trial.red, details), tuple(findings), names)


def green(trial: Trial) -> Judged:
    """The whole patch under its own tests."""
    head = trial.head
    if head.problem:
        return _broken("tests", head, "on the patch", trial.goal)
    failing = [t for t in head.red if t not in trial.base.red or trial.changes.edited(t)]
    findings = [
        Finding(
            rule="tests.green",
            verdict=Verdict.FAILED,
            message=f"{test} fails on the patch: {_said(head.tests[test])}",
            path=split(test)[0] if split(test)[0] in trial.tests else None,
            line=trial.changes.line(test),
            remedy="make it pass by what the code does",
        )
        for test in failing
        if not _passes(trial.base, test) or trial.changes.edited(test) or _passes(trial.kept, test)
    ]
    if trial.goal is Goal.TEST and not any(
        test not in trial.base.tests or trial.changes.edited(test) for test in head.tests
    ):
        findings.append(
            Finding(
                rule="tests.new",
                verdict=Verdict.FAILED,
                message="the goal is test, and no test is new or changed",
                remedy="add a test that pytest finds and runs",
            )
        )
    verdict = Verdict.FAILED if failing or findings else Verdict.PASSED
    words = f"{len(head.passed)} tests pass on the patch" + (
        f"; {len(failing)} fail: {some(failing)}" if failing else ""
    )
    details = {"passed": len(head.passed), "failed": failing, "exit_code": head.exit_code}
    return Judged(_check("tests", verdict, words, head, details, show=bool(failing)), capped(findings), tuple(failing))


def coverage(trial: Trial) -> Covered | None:
    """Which lines the tests ran, before and after; None where the base has none to compare with."""
    policy, head = trial.policy.coverage, trial.head
    before = total(trial.base.lines or {}, trial.tests)
    if trial.base.lines is None or not before.run:
        return None
    if head.lines is None:
        words = "coverage was measured on the base, and could not be measured on the patch"
        return Covered(_check("coverage", Verdict.INCONCLUSIVE, words, head, {}), before=before)
    after = total(head.lines, trial.tests)
    mine = changed(head.lines, trial.hunks, trial.tests, trial.read_head)
    ran = f"{mine.lines - len(mine.missed)} of {mine.lines} changed lines"
    findings: list[Finding] = []
    if mine.percent < policy.min_changed - _EPSILON:
        path, line = mine.missed[0]
        findings.append(
            Finding(
                rule="coverage.changed",
                verdict=Verdict.FAILED,
                message=f"tests run {ran} ({mine.percent:.0f} %); "
                f"the policy asks for {policy.min_changed:g} %. Not run: {_places(mine.missed)}",
                path=path,
                line=line,
                remedy="test these lines, or leave them out",
            )
        )
    fall = (before.percent or 0.0) - (after.percent or 0.0)
    if fall > policy.max_drop + _EPSILON and after.missed > before.missed:
        findings.append(
            Finding(
                rule="coverage.total",
                verdict=Verdict.FAILED,
                message=f"total coverage falls from {_percent(before)} to {_percent(after)}: "
                f"{after.missed - before.missed} more lines are not run",
                remedy="test what the patch adds, and keep the tests that there are",
            )
        )
    words = f"{_percent(before)} before, {_percent(after)} after; tests run {ran}"
    verdict = Verdict.worst([Verdict.PASSED, *(f.verdict for f in findings)])
    details = {"missed": [list(place) for place in mine.missed[:50]]}
    check = Check(name="coverage", verdict=verdict, summary=words, details=details)
    return Covered(check, tuple(findings), before=before, after=after, changed=mine)


def some(names: Iterable[str], most: int = 5) -> str:
    """The first few of many names."""
    listed = sorted(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def capped(findings: list[Finding]) -> tuple[Finding, ...]:
    """At most so many findings of one rule, and one that says how many were left out."""
    by_rule: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_rule[finding.rule].append(finding)
    kept: list[Finding] = []
    for rule, found in by_rule.items():
        kept += found[:MOST_FINDINGS]
        if len(found) > MOST_FINDINGS:
            left = len(found) - MOST_FINDINGS
            worst = Verdict.worst([f.verdict for f in found])
            kept.append(
                Finding(rule=rule, verdict=worst, message=f"and {left} more of the same", remedy=found[0].remedy)
            )
    return tuple(kept)


def _check(
    name: str, verdict: Verdict, summary: str, run: Measurement, details: Mapping[str, Any], *, show: bool = False
) -> Check:
    shown = {"output": run.output} if show and run.output else {}
    return Check(name=name, verdict=verdict, summary=summary, seconds=run.seconds, details={**details, **shown})


def _broken(name: str, run: Measurement, where: str, goal: Goal) -> Judged:
    """The base's suite ran to its end and this one did not: a limit of ours is nobody's fault, the rest the patch's."""
    if run.limit:
        return Judged(_check(name, Verdict.INCONCLUSIVE, f"{where}, {run.problem}", run, {}, show=True))
    finding = Finding(
        rule="tests.results",
        verdict=Verdict.FAILED,
        message=f"the suite ran to its end on the base; {where}, {run.problem}",
        remedy="the tests must run to their end, and their results must agree with the exit code",
    )
    return Judged(_check(name, Verdict.FAILED, f"{where}, {run.problem}", run, {}, show=True), (finding,))


def _only_renamed(test: str, now: TestResult | None, trial: Trial) -> bool:
    """Whether a case is missing only because its parameters are called otherwise in every run (an address, a time)."""
    if now is not None or "[" not in test:
        return False
    stem = test.partition("[")[0] + "["
    before = sum(1 for other in trial.base.passed if other.startswith(stem))
    return before <= sum(1 for other in trial.kept.passed if other.startswith(stem))


def _is_rewritten(test: str, now: TestResult | None, trial: Trial) -> bool:
    """Whether the patch itself changed a test that fails in its old words, and it passes in its new ones."""
    path = split(test)[0]
    if path.endswith(".py") and path not in trial.tests:  # an example in a docstring, which went with its function
        return now is None and test not in trial.head.tests
    if not trial.changes.edited(test):
        return False
    if test in trial.head.tests or not path.endswith(".py"):
        return _passes(trial.head, test)
    heir = trial.changes.successor(test)
    after = _outcomes(trial.head, heir) if heir is not None else set()
    return TestOutcome.PASSED in after and after <= {TestOutcome.PASSED, TestOutcome.SKIPPED}


def _deleted(trial: Trial) -> Iterator[Finding]:
    """Tests that passed on the base and do not run any more, though nothing in the code forbids it."""
    for test in trial.changes.deleted():
        if not any(_is_of(other, test) for other in trial.base.passed):
            continue
        path = split(test)[0]
        before = sum(1 for other in trial.base.passed if split(other)[0] == path)
        after = sum(1 for other in trial.head.passed if split(other)[0] == path)
        action = trial.policy.tests.deleted
        rewritten = after >= before and action is Action.BLOCK  # the file tests as much as it did, in other words
        yield from consequence(
            Action.REVIEW if rewritten else action,
            "tests.deleted",
            f"{test} passed on the base, and the patch deletes it",
            path=path,
            remedy="keep the test; if the behaviour is meant to go, say so and let a person decide",
        )
    for test in trial.base.passed:
        now = trial.head.tests.get(test)
        if now is not None and now.outcome is TestOutcome.SKIPPED and trial.changes.edited(test):
            yield from consequence(
                trial.policy.tests.deleted,
                "tests.skipped",
                f"{test} passed on the base, and the patch makes it be skipped",
                path=split(test)[0],
                line=trial.changes.line(test),
                remedy="let the test run",
            )


def _is_the_bug(before: TestResult, added: bytes, stems: set[str], test: str, trial: Trial) -> bool:
    """Whether a test was red for what the code did, and not because the test's module could not be loaded.

    A module that misses a name is red for a reason only where the patch's code brings that name, or where the module
    itself is the base's own.
    """
    if not before.collecting or split(test)[0] not in trial.changes.files:
        return True
    if not before.message.startswith(_IMPORT_ERRORS):
        return False
    quoted = before.message.split("'")[1::2]
    wanted = {word.rpartition(".")[2] for word in quoted if not word.startswith("/")}
    return any(word.encode() in added or word in stems for word in wanted if word)


def _half_fixed(trial: Trial, proof: tuple[str, ...]) -> list[str]:
    """Red before and after, although they are about the same thing as the proof.

    Those are the other cases of a test that turned green; and, where the base's own red tests are the only proof and
    so the only words on what the bug is, the other red tests of the same module.
    """
    functions = {test.partition("[")[0] for test in proof if "[" in test}
    only_old = all(test in trial.base.red and not trial.changes.edited(test) for test in proof)
    modules = {split(test)[0] for test in proof} if only_old else set()
    return [
        test
        for test in trial.head.red
        if test in trial.red.red and (test.partition("[")[0] in functions or split(test)[0] in modules)
    ]


def _outcomes(run: Measurement, function: str) -> set[TestOutcome]:
    return {result.outcome for test, result in run.tests.items() if _is_of(test, function)}


def _is_of(test: str, function: str) -> bool:
    bare = test.partition("[")[0]
    return bare == function or (bare.startswith(f"{function}::") and "::" not in function)


def _passes(run: Measurement, test: str) -> bool:
    found = run.tests.get(test)
    return found is not None and found.outcome is TestOutcome.PASSED


def _said(result: TestResult | None) -> str:
    if result is None:
        return "it was not run"
    return f"{result.outcome.value}: {result.message}" if result.message else result.outcome.value


def _places(missed: tuple[tuple[str, int], ...]) -> str:
    lines: dict[str, list[int]] = defaultdict(list)
    for path, line in missed[:30]:
        lines[path].append(line)
    return "; ".join(f"{path} {', '.join(map(str, numbers))}" for path, numbers in lines.items())


def _percent(value: Total) -> str:
    return f"{value.percent:.2f} %" if value.percent is not None else "nothing"
