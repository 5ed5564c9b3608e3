"""Is anything lost? Every test that passed on the base passes on the patch, in the base's own words."""

from __future__ import annotations

from collections.abc import Iterator

from runner.model import Finding, Verdict
from runner.policy.case import consequence
from runner.policy.schema import Action
from runner.steps.proof.changes import split
from runner.steps.proof.results import TestOutcome, TestResult
from runner.steps.proof.trial import Judged, Trial, broken, capped, is_of, measured, outcomes, passes, said, some


def regressions(trial: Trial) -> Judged:
    """Every test that passed on the base passes on the patch, in the base's own words."""
    if trial.kept.problem:
        return broken("regressions", trial.kept, "with the base's tests on the patch")
    seemed, rewritten = lost_or_rewritten(trial)
    again = trial.repeats
    unsure = [test for test in seemed if test in again.unsure]
    lost = [test for test in seemed if test not in again.flaky and test not in again.unsure]
    findings = [
        Finding(
            rule="tests.regression",
            verdict=Verdict.FAILED,
            message=f"{test} passed on the base and does not on the patch: {said(trial.kept.tests.get(test))}",
            path=split(test)[0] if split(test)[0] in trial.tests else None,
            remedy="keep the behaviour that this test asserts, or change the test with the behaviour, for a reason",
        )
        for test in lost
    ]
    for test, words in rewritten.items():
        findings += consequence(
            trial.policy.tests.changed,
            "tests.changed",
            f"{test} was rewritten, and its old text fails on the patch ({words}). Old and new:\n"
            f"{trial.changes.both_sides(test)}",
            path=split(test)[0],
            line=trial.changes.line(test),
            remedy="keep the test as it was, unless what it asserted is itself the mistake",
        )
    findings += _deleted(trial)
    passed = sum(1 for t in trial.base.passed if passes(trial.kept, t))
    summary = f"{passed} of the {len(trial.base.passed)} tests that passed on the base pass on the patch"
    summary += f"; not: {some(lost)}" if lost else ""
    summary += f"; {len(rewritten)} rewritten: {some(rewritten)}" if rewritten else ""
    flaky = {test: words for test, words in again.flaky.items() if test in trial.base.tests}
    summary += f"; {len(flaky)} flaky, which do not count: {some(flaky)}" if flaky else ""
    summary += "".join(f"; nobody can say whether {test} is lost: {again.unsure[test]}" for test in unsure[:3])
    verdict = Verdict.worst(
        [Verdict.PASSED, *([Verdict.INCONCLUSIVE] if unsure else []), *(f.verdict for f in findings)]
    )
    details = {"passed": passed, "lost": lost, "rewritten": sorted(rewritten)}
    if flaky or unsure:
        details |= {"flaky": flaky, "unsure": {test: again.unsure[test] for test in unsure}}
        details["notes"] = [f"{test} is flaky: {words}" for test, words in flaky.items()]
    check = measured("regressions", verdict, summary, trial.kept, details, show=verdict is not Verdict.PASSED)
    return Judged(check, capped(findings), tuple(lost))


def lost_or_rewritten(trial: Trial) -> tuple[list[str], dict[str, str]]:
    """Tests that passed on the base and do not on the patch; and those among them that the patch rewrote, with how
    their old text ended."""
    lost: list[str] = []
    rewritten: dict[str, str] = {}
    for test in trial.base.passed:
        now = trial.kept.tests.get(test)
        if (now is not None and now.outcome is TestOutcome.PASSED) or _only_renamed(test, now, trial):
            continue
        if _is_rewritten(test, now, trial):
            path, function = split(test)
            rewritten.setdefault(f"{path}::{function}" if function else path, said(now))
            continue
        lost.append(test)
    return lost, rewritten


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
    if test in trial.head.tests:
        return passes(trial.head, test)
    if not path.endswith(".py"):
        return _replaced(path, trial)
    heir = trial.changes.successor(test)
    after = outcomes(trial.head, heir) if heir is not None else set()
    return TestOutcome.PASSED in after and after <= {TestOutcome.PASSED, TestOutcome.SKIPPED}


def _replaced(path: str, trial: Trial) -> bool:
    """Whether a test file of another language has, for each test that is gone from it, a new one that passes."""
    gone = sum(1 for test in trial.base.passed if split(test)[0] == path and test not in trial.head.tests)
    fresh = sum(1 for test in trial.head.passed if split(test)[0] == path and test not in trial.base.tests)
    return fresh >= gone


def _deleted(trial: Trial) -> Iterator[Finding]:
    """Tests that passed on the base and do not run any more, though nothing in the code forbids it."""
    for test in trial.changes.deleted():
        if not any(is_of(other, test) for other in trial.base.passed):
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
