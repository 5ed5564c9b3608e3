"""Does it run? The base's suite on the base, and the patch's on the patch."""

from __future__ import annotations

from typing import Any

from runner.model import Check, Finding, Goal, Verdict
from runner.steps.proof.changes import split
from runner.steps.proof.results import Measurement
from runner.steps.proof.trial import Judged, Trial, broken, capped, measured, passes, said, some, tests


def baseline(base: Measurement, *, first_tests: bool = False) -> Check:
    """Whether the base can be a measure of anything; one without tests can be, where the patch brings the first."""
    details: dict[str, Any] = {"passed": len(base.passed), "failed": base.red, "exit_code": base.exit_code}
    if base.limit:
        details["limit"] = True
    if base.problem:
        return measured("baseline", Verdict.INCONCLUSIVE, f"on the base, {base.problem}", base, details, show=True)
    if not base.tests and first_tests:
        return measured("baseline", Verdict.PASSED, "the base has no tests; the patch brings the first", base, details)
    if not base.tests:
        return measured(
            "baseline", Verdict.INCONCLUSIVE, "the test command ran no test on the base", base, details, show=True
        )
    failing = f"; {len(base.red)} fail already and do not count ({some(base.red)})" if base.red else ""
    return measured(
        "baseline", Verdict.PASSED, f"{tests(len(base.passed), 'pass')} on the base{failing}", base, details
    )


def never_started(trial: Trial) -> str:
    """Why the environment must be wrong, so that nothing was learnt about the patch; nothing where it is not.

    No test passed anywhere; or all test modules that the patch of a fix changes could not even be loaded, on the base
    as little as on the patch.
    """
    if not trial.base.passed and not trial.head.passed:
        return "no test passes, neither on the base nor on the patch"
    modules = trial.changes.modules if trial.goal is Goal.FIX else ()
    if modules and all(_unloadable(run, module) for run in (trial.base, trial.head) for module in modules):
        told = said(trial.head.tests[modules[0]])
        return f"the tests that the patch changes cannot be loaded, neither on the base nor on the patch ({told})"
    return ""


def _unloadable(run: Measurement, module: str) -> bool:
    found = run.tests.get(module)
    return found is not None and found.collecting and found.outcome.red


def green(trial: Trial) -> Judged:
    """The whole patch under its own tests."""
    head = trial.head
    if head.problem:
        return broken("tests", head, "on the patch")
    flaky = {t: words for t, words in trial.repeats.flaky.items() if t in head.tests and t not in trial.base.tests}
    red = [t for t in failing(trial) if t not in trial.repeats.flaky]
    unsure = [t for t in red if t in trial.repeats.unsure]
    red = [t for t in red if t not in unsure]
    findings = [
        Finding(
            rule="tests.green",
            verdict=Verdict.FAILED,
            message=f"{test} fails on the patch: {said(head.tests[test])}",
            path=split(test)[0] if split(test)[0] in trial.tests else None,
            line=trial.changes.line(test),
            remedy="make it pass by what the code does",
        )
        for test in red
        if not passes(trial.base, test) or trial.changes.edited(test) or passes(trial.kept, test)
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
    verdict = Verdict.FAILED if red or findings else Verdict.INCONCLUSIVE if unsure else Verdict.PASSED
    words = f"{tests(len(head.passed), 'pass')} on the patch"
    words += f"; {len(red)} fail: {some(red)}" if red else ""
    words += f"; {len(flaky)} of them flaky: {some(flaky)}" if flaky else ""
    words += "".join(f"; nobody can say whether {t} fails: {trial.repeats.unsure[t]}" for t in unsure[:3])
    details: dict[str, Any] = {"passed": len(head.passed), "failed": red, "exit_code": head.exit_code}
    if flaky:
        details |= {"flaky": flaky, "notes": [f"{t} is flaky: {seen}" for t, seen in flaky.items()]}
    return Judged(measured("tests", verdict, words, head, details, show=bool(red)), capped(findings), tuple(red))


def failing(trial: Trial) -> list[str]:
    """Tests that are red on the patch, and not because the base was already."""
    return [
        test
        for test in trial.head.red
        if test not in trial.base.red or (trial.changes.edited(test) and not _red_anyhow(trial, test))
    ]


def _red_anyhow(trial: Trial, test: str) -> bool:
    """Whether a test of which only the file is known to have changed is red as the base has it, too."""
    return not split(test)[0].endswith(".py") and test in trial.kept.red
