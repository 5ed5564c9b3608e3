"""Is anything shown? Tests that fail on the base's code, for the reason that is the bug, and pass on the patch."""

from __future__ import annotations

from runner.model import Finding, Goal, Verdict
from runner.steps.proof.changes import split
from runner.steps.proof.results import TestResult
from runner.steps.proof.trial import Judged, Trial, measured, passes, some

_MISSING = ("ImportError", "ModuleNotFoundError", "AttributeError", "NameError")
_ITS_OWN = ("SyntaxError", "IndentationError", "TabError")


def red_green(trial: Trial) -> Judged:
    """Tests that fail on the base's code and pass on the patch: the proof of a fix."""
    required = trial.goal is Goal.FIX and trial.policy.tests.red_green
    if trial.red.problem:
        words = f"the patch's tests could not be run on the base's code: {trial.red.problem}"
        verdict = Verdict.INCONCLUSIVE if required else Verdict.PASSED
        return Judged(measured("red-green", verdict, words, trial.red, {}, show=True))
    added = b"\n".join(text for file in trial.hunks if file.path not in trial.tests for _, text in file.added)
    stems = {file.path.rpartition("/")[2].removesuffix(".py") for file in trial.hunks if file.path not in trial.tests}
    proof: dict[str, str] = {}
    for test in trial.head.passed:
        before = trial.red.tests.get(test) or trial.red.tests.get(split(test)[0])
        if before is not None and before.outcome.red and _is_the_bug(before, added, stems, test, trial):
            proof[test] = before.message
    names = tuple(sorted(proof))
    idle = [t for t in trial.head.passed if passes(trial.red, t) and t not in trial.base.tests]
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
    return Judged(measured("red-green", verdict, words, trial.red, details), tuple(findings), names)


def _is_the_bug(before: TestResult, added: bytes, stems: set[str], test: str, trial: Trial) -> bool:
    """Whether a test was red for what the code did, and not because the test's module could not be loaded.

    A module that misses a name is red for a reason only where the patch's code brings that name, or where the module
    itself is the base's own.
    """
    if not before.collecting or split(test)[0] not in trial.changes.files:
        return True
    if not before.message.startswith(_MISSING):
        return not before.message.startswith(_ITS_OWN)
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
