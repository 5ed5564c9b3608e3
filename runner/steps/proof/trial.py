"""What is compared, and how its judges speak. Pure: no container is touched here.

Four runs are compared. `base`: the base on itself. `kept`: the patch under the base's tests. `red`: the base's code
under the patch's tests. `head`: the patch as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.model import Check, FileHunks, Finding, Goal, Verdict
from runner.policy.globs import Globs
from runner.policy.schema import Policy
from runner.steps.proof.changes import TestChanges
from runner.steps.proof.results import Measurement, TestOutcome, TestResult

MOST_FINDINGS = 10


@dataclass(frozen=True)
class Repeats:
    """What came of running tests again: test → what was seen. `runs` counts the runs that it took.

    `flaky` tests count neither as a regression nor as proof. On `unsure` ones nobody can say anything.
    """

    flaky: Mapping[str, str] = field(default_factory=dict)
    unsure: Mapping[str, str] = field(default_factory=dict)
    runs: int = 0


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
    repeats: Repeats = Repeats()


@dataclass(frozen=True)
class Judged:
    """One check's answer."""

    check: Check
    findings: tuple[Finding, ...] = ()
    names: tuple[str, ...] = ()
    """Ids of the tests that it is about."""


def tests(number: int, verb: str) -> str:
    """So many tests do something, as one says it: `3 tests pass`, `1 test passes`."""
    return f"1 test {verb}{'es' if verb.endswith('s') else 's'}" if number == 1 else f"{number} tests {verb}"


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
                Finding(
                    rule=rule,
                    verdict=worst,
                    message=f"and {left} more of the same",
                    remedy=found[0].remedy,
                    review=any(f.review for f in found),
                )
            )
    return tuple(kept)


def measured(
    name: str, verdict: Verdict, summary: str, run: Measurement, details: Mapping[str, Any], *, show: bool = False
) -> Check:
    """A check on one run; `show` adds the end of what the run printed, for whoever must mend it."""
    shown = {"output": run.output} if show and run.output else {}
    return Check(name=name, verdict=verdict, summary=summary, seconds=run.seconds, details={**details, **shown})


def broken(name: str, run: Measurement, where: str) -> Judged:
    """The base's suite ran to its end and this one did not: a limit of ours is nobody's fault, the rest the patch's."""
    if run.limit:
        return Judged(measured(name, Verdict.INCONCLUSIVE, f"{where}, {run.problem}", run, {}, show=True))
    finding = Finding(
        rule="tests.results",
        verdict=Verdict.FAILED,
        message=f"the suite ran to its end on the base; {where}, {run.problem}",
        remedy="the tests must run to their end, and their results must agree with the exit code",
    )
    return Judged(measured(name, Verdict.FAILED, f"{where}, {run.problem}", run, {}, show=True), (finding,))


def outcomes(run: Measurement, function: str) -> set[TestOutcome]:
    """How the cases of a test (its id without parameters) ended."""
    return {result.outcome for test, result in run.tests.items() if is_of(test, function)}


def is_of(test: str, function: str) -> bool:
    """Whether an id is a case of a test, or a test of a file."""
    bare = test.partition("[")[0]
    return bare == function or (bare.startswith(f"{function}::") and "::" not in function)


def passes(run: Measurement, test: str) -> bool:
    """Whether a test was run and passed."""
    found = run.tests.get(test)
    return found is not None and found.outcome is TestOutcome.PASSED


def said(result: TestResult | None) -> str:
    """How a test ended, in words."""
    if result is None:
        return "it was not run"
    return f"{result.outcome.value}: {result.message}" if result.message else result.outcome.value
