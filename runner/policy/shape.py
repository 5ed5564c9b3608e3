"""shape: is there anything to judge?"""

from __future__ import annotations

from collections.abc import Iterator

from runner.model import Finding, Verdict
from runner.policy.case import Case, Family, Rule
from runner.policy.schema import Policy


def _empty(policy: Policy, case: Case) -> Iterator[Finding]:
    if not case.patch.files:
        yield Finding(
            rule="shape.empty",
            verdict=Verdict.FAILED,
            message="the patch changes nothing",
            remedy="change a file; if there is nothing to change, propose nothing",
        )


def _numbers(policy: Policy, case: Case) -> str:
    kinds = {"A": "added", "M": "modified", "D": "deleted", "T": "of another type"}
    counts = {word: sum(f.status == letter for f in case.patch.files) for letter, word in kinds.items()}
    return "files " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


SHAPE = Family("shape", (Rule("shape.empty", _empty),), _numbers)
