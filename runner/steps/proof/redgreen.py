"""Is anything shown? Tests that fail on the base's code, for the reason that is the bug, and pass on the patch."""

from __future__ import annotations

from functools import cache, partial

from runner.model import Finding, Goal, Verdict
from runner.steps.proof.changes import split
from runner.steps.proof.reasons import brought, reason
from runner.steps.proof.trial import Judged, Trial, measured, passes, some, tests


def red_green(trial: Trial) -> Judged:
    """Tests that fail on the base's code and pass on the patch: the proof of a fix."""
    required = trial.goal is Goal.FIX and trial.policy.tests.red_green
    if trial.red.problem:
        words = f"the patch's tests could not be run on the base's code: {trial.red.problem}"
        verdict = Verdict.INCONCLUSIVE if required else Verdict.PASSED
        return Judged(measured("red-green", verdict, words, trial.red, {}, show=True))
    shown, none = _sorted_out(trial)
    chance = {test: seen for test, seen in trial.repeats.flaky.items() if test in shown}
    late = {test: why for test, why in trial.repeats.unsure.items() if test in shown}
    shown = {test: told for test, told in shown.items() if test not in chance and test not in late}
    names = tuple(sorted(shown))
    idle = [t for t in trial.head.passed if passes(trial.red, t) and t not in trial.base.tests]
    half = _half_fixed(trial, names)
    details = {
        "red_to_green": dict(sorted(shown.items())), "no_proof": none, "flaky": chance, "already_green": idle,
        "still_red": half,
    }  # fmt: skip
    findings: list[Finding] = []
    unsure = bool(required and (chance or late) and not names)
    if required and not names and not unsure:
        why = f" These new tests pass on the base's code, too: {some(idle)}." if idle else ""
        why += "".join(f" {test} is no proof: {told}." for test, told in list(none.items())[:3])
        findings.append(
            Finding(
                rule="tests.red-green",
                verdict=Verdict.FAILED,
                message=f"no test fails on the base and passes on the patch, so nothing shows the fix.{why}",
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
    verdict = Verdict.worst(
        [Verdict.PASSED, *([Verdict.INCONCLUSIVE] if unsure else []), *(f.verdict for f in findings)]
    )
    words = f"{tests(len(names), 'fail')} on the base and {'passes' if len(names) == 1 else 'pass'} on the patch"
    words += f": {some(names)}" if names else ""
    words += "".join(f"; {test} is flaky, and so no proof: {seen}" for test, seen in list(chance.items())[:3])
    words += "".join(f"; {test} is no proof: {why}" for test, why in list(late.items())[:3])
    return Judged(measured("red-green", verdict, words, trial.red, details), tuple(findings), names)


def proof(trial: Trial) -> dict[str, str]:
    """Tests that were red on the base's code for what it does, and are green on the patch: id → why they were red."""
    return _sorted_out(trial)[0]


def _sorted_out(trial: Trial) -> tuple[dict[str, str], dict[str, str]]:
    """Tests that turned green: those that prove something, and those that do not; each with why they were red."""
    shown: dict[str, str] = {}
    none: dict[str, str] = {}
    names = cache(partial(brought, trial))
    for test in trial.head.passed:
        before = trial.red.tests.get(test) or trial.red.tests.get(split(test)[0])
        if before is not None and before.outcome.red:
            why = reason(test, before, trial, names)
            (shown if why.bug else none)[test] = why.words
    return shown, none


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
