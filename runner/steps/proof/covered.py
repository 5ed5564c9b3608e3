"""Is it tested? Which lines of product code the tests ran, before and after."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from runner.model import Check, Finding, Verdict
from runner.steps.proof.lines import Changed, Total, changed, total
from runner.steps.proof.trial import Judged, Trial, measured

_EPSILON = 0.005


@dataclass(frozen=True)
class Covered(Judged):
    """The coverage check's answer, with its numbers."""

    before: Total | None = None
    after: Total | None = None
    changed: Changed = field(default_factory=lambda: Changed(0, ()))


def coverage(trial: Trial) -> Covered | None:
    """Which lines the tests ran, before and after; None where the base has none to compare with."""
    policy, head = trial.policy.coverage, trial.head
    before = total(trial.base.lines or {}, trial.tests)
    if trial.base.lines is None or not before.run:
        return None
    if head.lines is None:
        words = "coverage was measured on the base, and could not be measured on the patch"
        return Covered(measured("coverage", Verdict.INCONCLUSIVE, words, head, {}), before=before)
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
    lost = after.missed - len(mine.missed) - before.missed  # the patch's own lines were judged above
    if fall > policy.max_drop + _EPSILON and lost > 0:
        findings.append(
            Finding(
                rule="coverage.total",
                verdict=Verdict.FAILED,
                message=f"total coverage falls from {_percent(before)} to {_percent(after)}: "
                f"{lost} lines that the patch does not change are not run any more",
                remedy="keep the tests that there are, and what they run",
            )
        )
    words = f"{_percent(before)} before, {_percent(after)} after; tests run {ran}"
    verdict = Verdict.worst([Verdict.PASSED, *(f.verdict for f in findings)])
    details = {"missed": [list(place) for place in mine.missed[:50]]}
    check = Check(name="coverage", verdict=verdict, summary=words, details=details)
    return Covered(check, tuple(findings), before=before, after=after, changed=mine)


def _places(missed: tuple[tuple[str, int], ...]) -> str:
    lines: dict[str, list[int]] = defaultdict(list)
    for path, line in missed[:30]:
        lines[path].append(line)
    return "; ".join(f"{path} {', '.join(map(str, numbers))}" for path, numbers in lines.items())


def _percent(value: Total) -> str:
    return f"{value.percent:.2f} %" if value.percent is not None else "nothing"
