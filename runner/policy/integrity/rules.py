"""The rules of test integrity: what was seen, and what the policy says should follow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from runner.model import Finding
from runner.policy.case import Case, Family, Rule, consequence
from runner.policy.code import own_modules
from runner.policy.integrity.cheating import product_cheats, runner_tricks
from runner.policy.integrity.configuration import configuration, excluded
from runner.policy.integrity.javascript_cheating import javascript_cheats
from runner.policy.integrity.literals import special_cases
from runner.policy.integrity.matching import match
from runner.policy.integrity.product import defined_in_product, removed_from_product
from runner.policy.integrity.sides import Seen, Sides, language
from runner.policy.integrity.staging import (
    data,
    deleted,
    fixtures,
    fresh,
    hollowed,
    overridden,
    planted,
    shadowed,
    stand_ins,
    switches,
    unreadable,
)
from runner.policy.integrity.weakened import weakened
from runner.policy.schema import Action, Policy

_STRICTNESS = (Action.ALLOW, Action.REVIEW, Action.BLOCK)


def seen_in_tests(case: Case) -> tuple[Seen, ...]:
    """What a patch does to the tests, whatever the policy says of it."""
    sides = Sides(case)
    matched = match(sides.base_tests, sides.head_tests)
    removed = removed_from_product(sides)
    return _told_once(
        [
            *_too_large(sides),
            *unreadable(sides),
            *deleted(sides, matched, removed),
            *hollowed(sides, matched),
            *weakened(sides, matched),
            *fresh(matched),
            *stand_ins(matched.pairs, matched.fresh, defined_in_product(sides)),
            *planted(sides.base_tests, sides.head_tests, own_modules(case), sides.imported),
            *shadowed(sides.base_tests, sides.head_tests, removed),
            *fixtures(sides.base_tests, sides.head_tests, defined_in_product(sides)),
            *overridden(sides.base_tests, sides.head_tests),
            *data(sides),
            *switches(sides.base_tests, sides.head_tests),
            *configuration(sides),
            *excluded(sides),
        ]
    )


def seen_in_code(case: Case) -> tuple[Seen, ...]:
    """What a patch does to be taken for right, whatever the policy says of it."""
    sides = Sides(case)
    return _told_once([*product_cheats(sides), *javascript_cheats(sides), *special_cases(sides), *runner_tricks(sides)])


def _too_large(sides: Sides) -> Iterator[Seen]:
    for change in sides.too_large:
        rule = "tests.unreadable" if sides.is_test(change.path) else "cheating.unreadable"
        message = f"{change.path} is too large to be read, so nobody can say what changed in it"
        yield Seen(rule, message, "keep code in files that a person could read", change.path)


def _told_once(seen: Iterable[Seen]) -> tuple[Seen, ...]:
    """One finding for each cause: a skipped module would else be told once for each of its tests."""
    found: dict[tuple[str, str, int | None, bool], list[Seen]] = {}
    for one in seen:
        found.setdefault((one.rule, one.path, one.line, one.grave), []).append(one)
    told = []
    for (_, _, line, _), same in found.items():
        others = {s.message for s in same[1:]} - {same[0].message}
        if line is None:
            told += list(dict.fromkeys(same))
        else:
            more = f" (and {len(others)} more like it)" if others else ""
            told.append(replace(same[0], message=same[0].message + more))
    return tuple(told)


def _tests(policy: Policy, case: Case) -> Iterator[Finding]:
    for seen in seen_in_tests(case):
        yield from _finding(policy, seen)


def _cheating(policy: Policy, case: Case) -> Iterator[Finding]:
    for seen in seen_in_code(case):
        yield from _finding(policy, seen)


def _finding(policy: Policy, seen: Seen) -> Iterable[Finding]:
    table, _, key = seen.rule.partition(".")
    said = getattr(policy, table)
    action: Action = getattr(said, key)
    if not seen.grave:
        action = min(action, said.doubtful, key=_STRICTNESS.index)
    return consequence(action, seen.rule, seen.message, path=seen.path, line=seen.line, remedy=seen.remedy)


def _numbers(policy: Policy, case: Case) -> str:
    sides = Sides(case)
    tests = [c.path for c in sides.changes if sides.is_test(c.path) and language(c.path)]
    code = [c.path for c in sides.changes if not sides.is_test(c.path) and language(c.path)]
    return f"read {len(tests)} test files and {len(code)} files of code by their syntax"


INTEGRITY = Family("integrity", (Rule("tests.integrity", _tests), Rule("cheating", _cheating)), _numbers)
