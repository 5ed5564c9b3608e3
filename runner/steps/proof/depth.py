"""How deep does the proof go? Would the tests notice a mistake on the changed lines, and do they need all of them?

What comes of it is told to the reviewer. It refuses nothing, unless the policy says so: a mistake that no test notices
can be none (there are changes that change nothing), and a part that no test needs can be right.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from runner.model import Check, Finding, Verdict
from runner.policy.case import consequence
from runner.policy.schema import Action
from runner.steps.proof.changes import split
from runner.steps.proof.lab import Answer
from runner.steps.proof.lines import NOT_PRODUCT
from runner.steps.proof.mutate import mutants
from runner.steps.proof.parts import Part, parts
from runner.steps.proof.trial import Judged, Trial, capped

Read = Callable[[str], bytes | None]
_LEAST_SECONDS = 5.0


class Laboratory(Protocol):
    """Where a changed file is tried; see `runner.steps.proof.lab`."""

    def unsound(self, until: float) -> str:
        """Why nothing can be learnt there, or ""."""
        ...

    def ask(self, path: str, changed: bytes, original: bytes, *, until: float) -> Answer:
        """What the tests say of one changed file."""
        ...


@dataclass(frozen=True)
class Variant:
    """One changed file that is tried: `words` say what was done to it."""

    path: str
    line: int
    words: str
    changed: bytes
    original: bytes


@dataclass(frozen=True)
class Series:
    """What is tried under one heading, and what follows from what no test notices.

    `left_out` counts parts that the policy's number leaves out.
    """

    name: str
    rule: str
    variants: tuple[Variant, ...]
    left_out: int
    seconds: float
    action: Action
    noticed: str
    """What was done with those that a test noticed: "12 of 14 …"."""
    unnoticed: str
    remedy: str


def mutation(trial: Trial) -> Series:
    """Mistakes on the changed lines of product code that tests run."""
    policy = trial.policy.mutants
    rows: list[Iterator[Variant]] = []
    for file in trial.hunks:
        source = trial.read_head(file.path) if file.path.endswith(".py") and _is_product(trial, file.path) else None
        if source is None or not policy.most:
            continue
        measured = (trial.head.lines or {}).get(file.path)
        missed = set(measured.missed) if measured is not None else set()  # that no test runs them is told already
        lines = {number for number, _ in file.added} - missed
        rows.append(_altered(file.path, source, lines))
    chosen = tuple(islice(_in_turn(rows), policy.most))
    return Series(
        name="mutants", rule="mutants.survived", variants=chosen, left_out=0,
        seconds=_time(policy.seconds, policy.survived, trial), action=policy.survived,
        noticed="mistakes made on the changed lines are noticed by a test",
        unnoticed="no test notices", remedy="test what this line is for",
    )  # fmt: skip


def necessity(trial: Trial, read_base: Read) -> Series:
    """The parts of the patch in product code, each taken back by itself; none where there is only one."""
    policy = trial.policy.necessity
    rows: list[Variant] = []
    for file in trial.hunks:
        if not policy.most or not _is_product(trial, file.path):
            continue
        base, head = read_base(file.path), trial.read_head(file.path)
        if base is not None and head is not None:
            rows += [_taken_back(part, head) for part in parts(file.path, base, head)]
    if len(rows) < 2:  # noqa: PLR2004 - the only part is needed, or nothing was proved
        rows = []
    return Series(
        name="necessity", rule="necessity.unneeded", variants=tuple(rows[: policy.most]),
        left_out=max(0, len(rows) - policy.most),
        seconds=_time(policy.seconds, policy.unneeded, trial), action=policy.unneeded,
        noticed="parts of the patch are needed by a test",
        unnoticed="no test needs", remedy="leave it out, or test what it is for",
    )  # fmt: skip


def measure(series: Series, lab: Laboratory) -> Judged:
    """Try everything of a series, as far as its time goes.

    Raises:
        SandboxError: the machine failed.
    """
    begun = time.monotonic()
    until = begun + series.seconds
    answers: list[tuple[Variant, Answer]] = []
    problem = lab.unsound(until)
    for variant in series.variants if not problem else ():
        late = time.monotonic() >= until
        said = Answer.NOT_ASKED if late else lab.ask(variant.path, variant.changed, variant.original, until=until)
        answers.append((variant, said))
    noticed = any(said in {Answer.NOTICED, Answer.HANGS} for _, said in answers)
    if noticed and not problem:
        problem = lab.unsound(until)
    return _told(series, answers if not problem else [], problem, time.monotonic() - begun)


def _told(series: Series, answers: Sequence[tuple[Variant, Answer]], problem: str, seconds: float) -> Judged:
    count = Counter(said for _, said in answers)
    survivors = [variant for variant, said in answers if said is Answer.UNNOTICED]
    asked = len(answers) - count[Answer.NOT_ASKED]
    not_asked = series.left_out + len(series.variants) - asked
    notes = [f"{series.unnoticed} {v.words} ({v.path}:{v.line})" for v in survivors]
    summary = problem and f"not measured: {problem}"
    if not problem:
        summary = f"{asked - len(survivors)} of {asked} {series.noticed}"
        summary += "".join(f"; {note}" for note in notes[:3]) + ("; …" if len(notes) > 3 else "")  # noqa: PLR2004
        summary += f"; {count[Answer.NOT_ASKED]} not tried in {series.seconds:g} s" if count[Answer.NOT_ASKED] else ""
    findings = [
        finding
        for v in survivors
        for finding in consequence(
            series.action, series.rule, f"{series.unnoticed} {v.words}", path=v.path, line=v.line, remedy=series.remedy
        )
    ]
    details = {
        "noticed": count[Answer.NOTICED],
        "hangs": count[Answer.HANGS],
        "unnoticed": [{"path": v.path, "line": v.line, "what": v.words} for v in survivors],
        "not_tried": not_asked,
        "notes": notes if series.action is Action.ALLOW else [],
    }
    verdict = Verdict.worst([Verdict.PASSED, *(f.verdict for f in findings)])
    check = Check(name=series.name, verdict=verdict, summary=summary, seconds=round(seconds, 2), details=details)
    return Judged(check, capped(findings))


def likeliest(trial: Trial, names: Sequence[str], most: int = 30) -> tuple[str, ...]:
    """The tests that are asked first: those that prove the fix, else those that the patch adds or changes."""
    known = [name for name in names if "::" in name]
    functions = tuple(dict.fromkeys(name.partition("[")[0] for name in known))[:most]
    return functions or tuple(m for m in trial.changes.modules if any(split(t)[0] == m for t in trial.head.passed))


def problem_of(findings: Sequence[Finding], checks: Sequence[Check]) -> bool:
    """Whether anything is wrong already: nobody asks then how deep the proof goes."""
    verdicts = [*(f.verdict for f in findings), *(c.verdict for c in checks)]
    return Verdict.worst(verdicts) is not Verdict.PASSED


def _time(most: float, action: Action, trial: Trial) -> float:
    """Seconds for a series: what only informs may not cost much more than half of what the suite itself does."""
    return most if action is not Action.ALLOW else min(most, max(_LEAST_SECONDS, trial.head.seconds / 2))


def _is_product(trial: Trial, path: str) -> bool:
    measured = (trial.head.lines or {}).get(path)
    return path not in trial.tests and (path not in NOT_PRODUCT or (measured is not None and bool(measured.run)))


def _altered(path: str, source: bytes, lines: Collection[int]) -> Iterator[Variant]:
    for mutant in mutants(source, lines):
        yield Variant(path, mutant.line, mutant.words, mutant.source, source)


def _taken_back(part: Part, head: bytes) -> Variant:
    words = "the lines taken out here" if not part.lines else "the change of this line"
    if part.lines > 1:
        words = f"the change of {part.lines} lines from here"
    return Variant(part.path, part.line, words, part.without, head)


def _in_turn(rows: list[Iterator[Variant]]) -> Iterator[Variant]:
    """One of every file, then another of every file."""
    while rows:
        for row in list(rows):
            found = next(row, None)
            if found is None:
                rows.remove(row)
            else:
                yield found
