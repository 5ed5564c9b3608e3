"""Is it tested? Which lines of product code the tests ran, before and after."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field, replace

from runner.model import Check, FileHunks, Finding, Verdict
from runner.policy.case import consequence
from runner.policy.integrity.python_claims import truth
from runner.policy.schema import Action
from runner.steps.proof.lines import Changed, Total, changed, total
from runner.steps.proof.results import FileLines, Measurement
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
        led_past = _leads_past(trial, lost)
        findings += consequence(
            Action.REVIEW if led_past else Action.BLOCK,
            "coverage.total",
            f"total coverage falls from {_percent(before)} to {_percent(after)}: "
            f"{lost} lines that the patch does not change are not run any more"
            + (", though every test of the base still runs: the patch leads past them" if led_past else ""),
            remedy="keep the tests that there are, and what they run",
        )
    words = f"{_percent(before)} before, {_percent(after)} after; tests run {ran}"
    verdict = Verdict.worst([Verdict.PASSED, *(f.verdict for f in findings)])
    details = {"missed": [list(place) for place in mine.missed[:50]]}
    check = Check(name="coverage", verdict=verdict, summary=words, details=details)
    return Covered(check, tuple(findings), before=before, after=after, changed=mine)


def _leads_past(trial: Trial, lost: int) -> bool:
    """Whether no test went, and the code only takes another way: a check that now comes first leaves its fallback
    without a test. A patch that leaves more behind than it writes itself is something else."""
    own = [file for file in trial.hunks if file.path in (trial.head.lines or {}) and file.path not in trial.tests]
    written = sum(max(len(file.added), len(file.removed)) for file in own)
    if lost > written or not set(trial.base.passed) <= set(trial.head.passed):
        return False
    return not any(_cuts_off(trial, file) for file in own)


def _cuts_off(trial: Trial, file: FileHunks) -> bool:
    """Whether an added line makes what follows it unreachable: no input leads there any more, so no test can."""
    source = trial.read_head(file.path) if file.path.endswith(".py") else None
    try:
        tree = ast.parse(source or b"")
    except (SyntaxError, ValueError, RecursionError):
        return False
    added = {number for number, _ in file.added}
    for node in ast.walk(tree):
        for body in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            if not isinstance(body, list):
                continue
            for statement in body[:-1]:
                if isinstance(statement, ast.stmt) and statement.lineno in added and _leaves(statement):
                    return True
        if isinstance(node, ast.If) and node.lineno in added and truth(node.test) is not None:
            return True
    return False


def _leaves(node: ast.stmt) -> bool:
    if isinstance(node, ast.If) and truth(node.test):
        return any(map(_leaves, node.body))
    return isinstance(node, (ast.Return, ast.Raise, ast.Continue, ast.Break))


def fell(trial: Trial) -> bool:
    """Whether lines that the patch does not change seem to run no more: then it is worth looking twice."""
    found = coverage(trial)
    return found is not None and any(f.rule == "coverage.total" for f in found.findings)


def looked_twice(trial: Trial, base: Measurement, head: Measurement) -> Trial:
    """The same trial with what a second look at both sides showed: on the base only lines that ran both times count as
    run, and on the patch those that ran at least once. What a thread or a clock decides is no fall."""
    if base.lines is None or head.lines is None or base.problem or head.problem:
        return trial
    before = {
        path: _with_run(lines, set(lines.run) & set(base.lines[path].run if path in base.lines else ()))
        for path, lines in (trial.base.lines or {}).items()
    }
    after = {
        path: _with_run(lines, set(lines.run) | set(head.lines[path].run if path in head.lines else ()))
        for path, lines in (trial.head.lines or {}).items()
    }
    return replace(
        trial,
        base=trial.base.model_copy(update={"lines": before}),
        head=trial.head.model_copy(update={"lines": after}),
    )


def _with_run(lines: FileLines, run: set[int]) -> FileLines:
    executable = {*lines.run, *lines.missed}
    return lines.model_copy(update={"run": tuple(sorted(run & executable)), "missed": tuple(sorted(executable - run))})


def _places(missed: tuple[tuple[str, int], ...]) -> str:
    lines: dict[str, list[int]] = defaultdict(list)
    for path, line in missed[:30]:
        lines[path].append(line)
    return "; ".join(f"{path} {', '.join(map(str, numbers))}" for path, numbers in lines.items())


def _percent(value: Total) -> str:
    return f"{value.percent:.2f} %" if value.percent is not None else "nothing"
