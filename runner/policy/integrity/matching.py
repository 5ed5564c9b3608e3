"""Which test of the head stands in the place of which test of the base."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from runner.policy.integrity.model import Claim, Test, TestFile

_ALIKE = 0.6
_MOST_COMPARISONS = 20_000
_WORD = re.compile(r"\w+")


class At(NamedTuple):
    """A test and its file."""

    path: str
    test: Test


@dataclass(frozen=True)
class Pair:
    """A test of the base and what it has become."""

    base: At
    head: At


@dataclass(frozen=True)
class Matched:
    """All tests of the changed files. `moved_claims` are those that a test makes now, and did not make before;
    `moved_cases`, the rows likewise."""

    pairs: tuple[Pair, ...]
    gone: tuple[At, ...]
    fresh: tuple[At, ...]
    moved_claims: Counter[tuple[object, ...]]
    moved_cases: frozenset[str] = frozenset()


def match(base: Mapping[str, TestFile], head: Mapping[str, TestFile]) -> Matched:
    """Match tests by their names, then by their last names across files, then by what is in them."""
    pairs: list[Pair] = []
    gone: list[At] = []
    fresh = {(path, name): At(path, test) for path, file in head.items() for name, test in file.tests.items()}
    for path, file in base.items():
        for name, test in file.tests.items():
            same = fresh.pop((path, name), None)
            if same is not None:
                pairs.append(Pair(At(path, test), same))
            else:
                gone.append(At(path, test))
    for rule in (_same_name, _most_alike):
        still: list[At] = []
        for at in gone:
            found = rule(at, fresh, len(gone))
            if found is None:
                still.append(at)
            else:
                pairs.append(Pair(at, fresh.pop(found)))
        gone = still
    changed = [p for p in pairs if p.base.test.text != p.head.test.text or p.base.test.off != p.head.test.off]
    more = [_claims(p.head.test) - _claims(p.base.test) for p in changed]
    surplus = sum([*more, *(_claims(at.test) for at in fresh.values())], Counter[tuple[object, ...]]())
    rows = {row for p in changed for row in {*_cases(p.head.test)} - {*_cases(p.base.test)}}
    rows |= {row for at in fresh.values() for row in _cases(at.test)}
    return Matched(tuple(pairs), tuple(gone), tuple(fresh.values()), surplus, frozenset(rows))


Key = tuple[str, str]


def _same_name(at: At, fresh: Mapping[Key, At], _: int) -> Key | None:
    alike = [key for key, other in fresh.items() if other.test.last_name == at.test.last_name]
    alike = [key for key in alike if fresh[key].test.helper is at.test.helper] or alike
    return max(alike, key=lambda key: _likeness(at.test, fresh[key].test), default=None)


def _most_alike(at: At, fresh: Mapping[Key, At], among: int) -> Key | None:
    if at.test.helper or among * len(fresh) > _MOST_COMPARISONS:
        return None
    scored = [(_likeness(at.test, other.test), key) for key, other in fresh.items()]
    best = max(scored, default=(0.0, ("", "")))
    return best[1] if best[0] >= _ALIKE else None


def _likeness(one: Test, other: Test) -> float:
    mine, theirs = Counter(_WORD.findall(one.text)), Counter(_WORD.findall(other.text))
    whole = (mine | theirs).total()
    return (mine & theirs).total() / whole if whole else 0.0


def _claims(test: Test) -> Counter[tuple[object, ...]]:
    return Counter(claim.key for claim in alive(test))


def _cases(test: Test) -> tuple[str, ...]:
    return test.inside.cases or ()


def alive(test: Test) -> tuple[Claim, ...]:
    """The claims of a test that runs."""
    return () if test.off else test.made
