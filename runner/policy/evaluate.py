"""Every rule of a policy, asked about one patch. No rule that answers means no; a rule that breaks is an ERROR."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from runner.model import Finding, Verdict
from runner.policy.case import Case, Family, Rule
from runner.policy.code import CODE_RULES
from runner.policy.comments import COMMENTS
from runner.policy.content import CONTENT
from runner.policy.dependencies import DEPENDENCIES
from runner.policy.integrity.rules import INTEGRITY
from runner.policy.paths import PATHS
from runner.policy.reading import forget, read_ahead
from runner.policy.schema import Policy
from runner.policy.secrets import SECRETS
from runner.policy.shape import SHAPE
from runner.policy.size import SIZE
from runner.policy.text import TEXT

FAMILIES: tuple[Family, ...] = (
    SHAPE,
    SIZE,
    PATHS,
    CONTENT,
    SECRETS,
    TEXT,
    COMMENTS,
    CODE_RULES,
    DEPENDENCIES,
    INTEGRITY,
)
"""The rules, in the order in which they are told."""


def evaluate(policy: Policy, case: Case, families: tuple[Family, ...] = FAMILIES) -> tuple[Finding, ...]:
    """What the rules say: per family either what is wrong, or one PASSED finding with its numbers.

    Findings marked `review` stand beside a family's PASSED.
    """
    findings: list[Finding] = []
    try:
        with _without_collecting():
            read_ahead(case)
        for family in families:
            findings += _told(family, policy, case)
    finally:
        forget()
    if findings:
        return tuple(findings)
    return (
        Finding(
            rule="shape.unjudged",
            verdict=Verdict.FAILED,
            message="no rule looked at the patch, so nothing speaks for it",
            remedy="this is a mistake of automend's; please report it",
        ),
    )


def _told(family: Family, policy: Policy, case: Case) -> list[Finding]:
    with _without_collecting():
        found = [finding for rule in family.rules for finding in _ask(rule, policy, case)]
    if all(finding.verdict is Verdict.PASSED for finding in found):
        found += _ask(Rule(family.name, partial(_held, family)), policy, case)
    return found


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Syntax trees are millions of objects and no cycles: looking through them for garbage takes half of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _held(family: Family, policy: Policy, case: Case) -> list[Finding]:
    return [Finding(rule=family.name, verdict=Verdict.PASSED, message=family.numbers(policy, case))]


def _ask(rule: Rule, policy: Policy, case: Case) -> list[Finding]:
    try:
        return list(rule.judge(policy, case))
    except Exception as e:  # noqa: BLE001 - whatever breaks in a rule must end as its ERROR, never as a pass
        return [
            Finding(
                rule=rule.name,
                verdict=Verdict.ERROR,
                message=f"the rule itself failed ({type(e).__name__}: {e})",
                remedy="this is a mistake of automend's; please report it",
            )
        ]
