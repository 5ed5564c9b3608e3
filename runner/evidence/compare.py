"""Two judgements of the same patch: does the older one still hold?"""

from __future__ import annotations

import json
from collections.abc import Iterator

from runner.evidence.document import EvidenceFile
from runner.model import Noun, Verdict

_NOTHING = "–"


class Difference(Noun):
    """One fact that is another now.

    `breaks` marks what was measured or judged; the rest (another image, another version) explains it at most.
    """

    part: str
    what: str
    then: str
    now: str
    breaks: bool = True


class Comparison(Noun):
    """Whether the evidence holds, and everything that is not as it was. `facts` counts what was compared."""

    holds: bool
    then: Verdict
    now: Verdict
    facts: int
    differences: tuple[Difference, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 holds, 1 does not; where it could not be measured again: 3 (something failed), 4 (inconclusive)."""
        if self.holds:
            return 0
        if self.then is not self.now:
            return {Verdict.ERROR: 3, Verdict.INCONCLUSIVE: 4}.get(self.now, 1)
        return 1


def compare(then: EvidenceFile, now: EvidenceFile) -> Comparison:
    """Every measured fact of two judgements. Times and flaky tests are no facts: they are never the same twice."""
    flaky = frozenset(test.id for test in (*then.tests, *now.tests) if test.flaky is not None)
    before, after = dict(_facts(then, flaky)), dict(_facts(now, flaky))
    differences = [
        Difference(part=part, what=what, then=before.get((part, what), _NOTHING), now=after.get((part, what), _NOTHING))
        for part, what in dict.fromkeys((*before, *after))
        if before.get((part, what)) != after.get((part, what))
    ]
    around_then, around_now = dict(_circumstances(then)), dict(_circumstances(now))
    differences += [
        Difference(part=part, what=what, then=value, now=around_now.get((part, what), _NOTHING), breaks=False)
        for (part, what), value in around_then.items()
        if around_now.get((part, what)) != value
    ]
    return Comparison(
        holds=not any(d.breaks for d in differences),
        then=then.result.verdict,
        now=now.result.verdict,
        facts=len(before.keys() | after.keys()),
        differences=tuple(differences),
    )


def _facts(evidence: EvidenceFile, flaky: frozenset[str]) -> Iterator[tuple[tuple[str, str], str]]:
    yield ("result", "verdict"), evidence.result.verdict.value
    subject = evidence.subject
    for name, value in (("base tree", subject.base_tree), ("head tree", subject.head_tree), ("goal", subject.goal)):
        yield ("subject", name), str(value)
    yield ("policy", "hash"), evidence.policy.hash
    found: dict[str, list[str]] = {}
    for finding in evidence.result.findings:
        where = f"{finding.path or ''}{f':{finding.line}' if finding.line else ''}"
        found.setdefault(f"{finding.rule} {where}".strip(), []).append(
            f"{finding.verdict.value}{', for review' if finding.review else ''}"
        )
    for what, verdicts in found.items():
        yield ("findings", what), ", ".join(sorted(verdicts))
    for check in evidence.result.checks:
        yield ("checks", check.name), check.verdict.value
    for run in evidence.runs if not flaky else ():  # one flaky test is enough for another exit code
        yield ("runs", f"{run.name}: exit code"), _shown(run.exit_code)
    for test in evidence.tests:
        if test.id not in flaky:
            yield ("tests", test.id), _story(test.before, test.after, test.kept, test.red)
    coverage = evidence.coverage
    if coverage is not None:
        for name, figure in coverage.model_dump().items():
            yield ("coverage", name), _shown(figure)


def _circumstances(evidence: EvidenceFile) -> Iterator[tuple[tuple[str, str], str]]:
    yield ("environment", "image"), evidence.environment.image or _NOTHING
    yield ("environment", "commands"), _shown(list(evidence.environment.commands))
    for name, limit in evidence.environment.limits.items():
        yield ("environment", f"limit {name}"), _shown(limit)
    yield ("configuration", "setup and test"), _shown(evidence.configuration.model_dump(mode="json"))
    yield ("made", "automend"), evidence.made.automend
    for name, value in evidence.made.platform.model_dump().items():
        yield ("made", name), value


def _story(before: str | None, after: str | None, kept: str | None, red: str | None) -> str:
    words = f"{before or _NOTHING} → {after or _NOTHING}"
    words += f", its old text {kept}" if kept is not None else ""
    return words + (f", its new text on the base {red}" if red is not None else "")


def _shown(value: object) -> str:
    return _NOTHING if value is None else json.dumps(value)
