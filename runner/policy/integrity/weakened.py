"""A test and what it has become: does it still claim what it claimed?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from runner.policy.integrity.matching import Matched, Pair
from runner.policy.integrity.model import Claim, Strength, Test, shown
from runner.policy.integrity.sides import Seen, Sides

_IDLE = ("pass", "...", "print(", '"', "'", "return", "_ = ", "del ", "#", "//", "import ", "from ", "console.")
_WORD = re.compile(r"\w+")
_ANYTHING = re.compile(
    r"\bANY\b|\bexpect\.\w*(?:any|[cC]ontaining|[mM]atching|[cC]lose)\w*\(|\bmatch\.any\b|\bapprox\("
)
_CALLED = re.compile(r"(\w+)\(")
_FLIPS = frozenset({("True", "False"), ("False", "True")})
_KEEP = "leave the test as it was; if the behaviour was meant to change, a person must say so"


def weakened(sides: Sides, matched: Matched) -> Iterator[Seen]:
    """What is wrong with tests that are still there."""
    surplus = matched.moved_claims.copy()
    for pair in matched.pairs:
        yield from _Comparison(sides, pair, surplus, matched.moved_cases).all()


class _Comparison:
    """One test before and after. `surplus` are claims that the head has more of elsewhere: moved, not removed."""

    def __init__(
        self, sides: Sides, pair: Pair, surplus: Counter[tuple[object, ...]], moved_cases: frozenset[str]
    ) -> None:
        self._moved_cases = moved_cases
        self._sides = sides
        self._base, self._head = pair.base.test, pair.head.test
        self._path = pair.head.path
        self._surplus = surplus

    def all(self) -> Iterator[Seen]:
        same = self._base.text == self._head.text
        if self._base.off or any(s.always for s in (self._base.around if same else self._base.skips)):
            return  # it did not count before
        if self._head.helper and not self._base.helper:
            yield self._seen(
                "tests.disabled", f"{self._base.name} is now `{self._head.name}`, which no runner collects"
            )
        elif self._head.off:
            yield self._seen("tests.disabled", f"{self._head.name} is not run any more: {self._head.off}")
        yield from self._skipped(same=same)
        if same:
            return
        hollowed = list(self._emptied())
        yield from hollowed
        if not hollowed:
            yield from self._lost()
            yield from self._claims()
        yield from self._cases()
        yield from self._plans()

    def _plans(self) -> Iterator[Seen]:
        base, head = (Counter(mark.text for mark in t.inside.plans) for t in (self._base, self._head))
        for said in base - head:
            new = next(iter(head - base), "")
            if new and not _fewer(said, new):
                continue
            instead = f"became `{shown(new, 60)}`" if new else "is gone"
            message = f"in {self._head.name}, `{shown(said, 60)}` {instead}: assertions may be left out now"
            told = {c.key for c in self._head.made} - {c.key for c in self._base.made}
            yield self._seen("tests.weakened", message, grave=not (told and self._sides.product_changed))

    def _skipped(self, *, same: bool) -> Iterator[Seen]:
        base, head = (t.around if same else t.skips for t in (self._base, self._head))
        known = Counter(s.text for s in base)
        for skip in head:
            if known[skip.text] > 0:
                known[skip.text] -= 1
                continue
            message = f"{self._head.name} is now skipped or expected to fail: `{shown(skip.text)}`"
            if not skip.always:
                message += " (under a condition)"
            grave = skip.always and not self._needed(skip.text)
            yield self._seen("tests.skipped", message, skip.line, grave=grave, remedy="let the test run")

    def _needed(self, text: str) -> bool:
        """Whether a skip asks for a module that the file could not do without before."""
        before = self._sides.base_tests.get(self._path)
        asked = re.search(r"importorskip\(['\"](\w+)", text)
        return before is not None and asked is not None and asked[1] in before.imports

    def _emptied(self) -> Iterator[Seen]:
        base, head = self._base, self._head
        if base.made and not head.made:
            why = next((f": {c.lost}" for c in head.claims if c.lost), "")
            if not why and any(c.strength is Strength.NOTHING for c in head.claims):
                hollow = next(c for c in head.claims if c.strength is Strength.NOTHING)
                why = f": `{shown(hollow.text)}` holds whatever the code does"
            other = bool(head.inside.calls - base.inside.calls - ORDINARY) and not head.claims
            moved = all(self._surplus[c.key] > 0 for c in base.made)
            yield self._seen("tests.emptied", f"{head.name} asserts nothing any more{why}", grave=not (other or moved))
        elif base.inside.calls and not head.inside.calls and not head.made:
            yield self._seen("tests.emptied", f"{head.name} does nothing any more")

    def _lost(self) -> Iterator[Seen]:
        before = {c.key: c for c in self._base.made}
        kept = {c.key for c in self._head.made if not c.conditional}
        for claim in self._head.claims:
            old = before.get(claim.key)
            if old is None or claim.key in kept:
                continue
            if claim.lost:
                message = f"in {self._head.name}, a failure of `{shown(claim.text)}` would not show: {claim.lost}"
                yield self._seen("tests.emptied", message, claim.line)
            elif claim.rarely and not old.rarely:
                message = f"in {self._head.name}, `{shown(claim.text)}` is only asserted {claim.rarely} now"
                yield self._seen("tests.weakened", message, claim.line, grave=not self._claims_else(claim))
            elif claim.conditional and not old.conditional:
                message = f"in {self._head.name}, `{shown(claim.text)}` is only asserted under a condition now"
                yield self._seen("tests.weakened", message, claim.line, grave=False)

    def _claims_else(self, claim: Claim) -> bool:
        """Whether the test says something else of the same subject where this is not asserted."""
        return any(
            c.subject == claim.subject and c.key != claim.key and c.strength >= claim.strength and not c.rarely
            for c in self._head.made
        )

    def _claims(self) -> Iterator[Seen]:
        lost = {c.key for c in self._head.claims if c.lost}
        before, after = Counter(c.key for c in self._base.made), Counter(c.key for c in self._head.claims if not c.lost)
        removed, added = _excess(self._base.made, after), _excess([c for c in self._head.claims if not c.lost], before)
        removed = [c for c in removed if c.key not in lost]
        for old in list(removed):
            new = _counterpart(old, added)
            if new is None:
                continue
            removed.remove(old)
            added.remove(new)
            yield from self._changed(old, new)
        yield from self._removed(removed, added)
        for claim in added:
            if claim.strength is Strength.NOTHING:
                message = f"in {self._head.name}, `{shown(claim.text)}` holds whatever the code does"
                yield self._seen("tests.hollow", message, claim.line, grave=False, remedy="assert something")

    def _changed(self, old: Claim, new: Claim) -> Iterator[Seen]:
        both = f"in {self._head.name}, `{shown(old.text)}` became `{shown(new.text)}`"
        why = _weaker(old, new)
        if why:
            minor = new.kind == "truth" and (old.expected in ("True", "False") or bool(_PREDICATE.search(new.subject)))
            grave = _by_far(old, new) or not (minor or self._made_up_for(new))
            yield self._seen("tests.weakened", f"{both}: {why}", new.line, grave=grave)
        elif old.negated != new.negated or old.expected != new.expected or old.kind != new.kind:
            flipped = old.negated != new.negated or (old.expected, new.expected) in _FLIPS
            what = "the opposite is expected" if flipped else "another outcome is expected"
            unfounded = self._sides.fixes and not self._sides.product_changed
            reason = ", and no code that is not a test changed" if unfounded else ""
            yield self._seen("tests.expectations", f"{both}: {what}{reason}", new.line, grave=unfounded)

    def _made_up_for(self, new: Claim) -> bool:
        """Whether the code changed, and the test makes as many firm claims as it did. Mere presence is never enough."""
        if not self._sides.product_changed or new.strength <= Strength.PRESENCE:
            return False
        before, after = (sum(c.strength >= Strength.CLOSE for c in t.made) for t in (self._base, self._head))
        return after >= before > 1

    def _removed(self, removed: list[Claim], added: list[Claim]) -> Iterator[Seen]:
        real = [c for c in added if c.strength > Strength.NOTHING and not c.rarely]
        missing = []
        for claim in removed:
            if self._surplus[claim.key] > 0:
                self._surplus[claim.key] -= 1
            else:
                missing.append(claim)
        if not missing:
            return
        strongest = max((c.strength for c in real), default=Strength.NOTHING)
        weaker = bool(added) and strongest <= Strength.PRESENCE and missing[0].strength >= Strength.CLOSE
        if len(real) >= len(missing) and not weaker:
            olds = "; ".join(f"`{shown(c.text, 80)}`" for c in missing[:3])
            news = "; ".join(f"`{shown(c.text, 80)}`" for c in real[:3])
            yield self._seen(
                "tests.expectations",
                f"{self._head.name} was rewritten: {olds} gave way to {news}",
                real[0].line,
                grave=False,
            )
            return
        quieter = self._sides.product_changed and all(c.kind == "warns" for c in missing)
        instead = bool(real) or not (self._still_said(missing) or self._lost_instead())
        rewritten = quieter or (bool(self._new_lines()) and not weaker and instead)
        texts = "; ".join(f"`{shown(c.text, 100)}`" for c in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""  # noqa: PLR2004
        verb = "gave way to weaker ones" if weaker else "were removed"
        yield self._seen(
            "tests.weakened", f"assertions of {self._head.name} {verb}: {texts}{more}", grave=not rewritten
        )

    def _still_said(self, missing: list[Claim]) -> bool:
        """Whether what a removed assertion looked at is still in the test, where nothing is made of it."""
        words = f" {' '.join(_WORD.findall(self._head.text))} "
        return any(c.subject and f" {' '.join(_WORD.findall(c.subject))} " in words for c in missing)

    def _lost_instead(self) -> bool:
        """Whether there is an assertion now whose failure would not show."""
        known = {c.key for c in self._base.claims}
        return any(c.lost and c.key not in known for c in self._head.claims)

    def _new_lines(self) -> list[str]:
        before = Counter(line.strip() for line in self._base.text.splitlines())
        after = Counter(line.strip() for line in self._head.text.splitlines())
        return [line for line in (after - before) if not line.startswith(_IDLE)]

    def _cases(self) -> Iterator[Seen]:
        base, head = self._base.inside.cases, self._head.inside.cases
        if base is None:
            return
        if head is None:
            if len(base) > 1:
                message = f"{self._head.name} is no longer run with its {len(base)} cases"
                yield self._seen("tests.cases", message, grave=False)
            return
        removed, added = Counter(base) - Counter(head), Counter(head) - Counter(base)
        if not removed:
            return
        texts = "; ".join(f"`{shown(c, 60)}`" for c in list(removed)[:3])
        if removed.total() > added.total():
            message = f"cases of {self._head.name} were removed: {texts}"
            moved = set(removed) <= self._moved_cases
            yield self._seen("tests.cases", message, grave=not (added or moved))
            return
        news = "; ".join(f"`{shown(c, 60)}`" for c in list(added)[:3])
        unfounded = self._sides.fixes and not self._sides.product_changed
        message = f"cases of {self._head.name} changed: {texts} gave way to {news}"
        yield self._seen("tests.expectations", message, grave=unfounded)

    def _seen(
        self, rule: str, message: str, line: int | None = None, *, grave: bool = True, remedy: str = _KEEP
    ) -> Seen:
        return Seen(rule, message, remedy, self._path, line or self._head.line, grave)


# What a comparison with rounding errors in mind never forgives, and how much looser is another claim altogether.
_COARSE = 0.4
_FACTOR = 5.0
# A subject that is true or false by its name: to say which is to say all.
_PREDICATE = re.compile(r"(^|\.)(is|has|can|should)_\w+\([^()]*\)$")
# Calls that say nothing of what a test is about.
ORDINARY = frozenset(
    {"print", "repr", "str", "len", "list", "dict", "tuple", "set", "int", "bool", "log", "info", "raises", "open", ""}
)


def _excess(claims: list[Claim] | tuple[Claim, ...], known: Counter[tuple[object, ...]]) -> list[Claim]:
    left = known.copy()
    found = []
    for claim in claims:
        if left[claim.key] > 0:
            left[claim.key] -= 1
        else:
            found.append(claim)
    return found


def _counterpart(old: Claim, added: list[Claim]) -> Claim | None:
    """The claim that now speaks of what `old` spoke of."""
    same = [c for c in added if c.subject == old.subject]
    same = same or [c for c in added if _awaited_failure(old, c)]
    same = same or [c for c in added if c.strength is Strength.NOTHING and old.subject and old.subject in c.text]
    return max(
        same, key=lambda c: (c.kind == old.kind, c.expected == old.expected, -abs(c.line - old.line)), default=None
    )


def _weaker(old: Claim, new: Claim) -> str:
    """Why `new` rules out less than `old`; empty where it does not."""
    if new.strength is Strength.NOTHING:
        return "it holds whatever the code does"
    if _awaited_failure(old, new):
        return "it waits for that to fail"
    if new.rarely and not old.rarely:
        return f"it is only asserted {new.rarely}"
    if old.kind == new.kind and old.kind in ("raises", "warns"):
        return _wider(old, new)
    flipped = old.negated != new.negated and (old.kind, old.expected) == (new.kind, new.expected)
    if old.kind == new.kind and old.negated == new.negated and new.tolerance > old.tolerance:
        return "it forgives more"
    if not flipped and new.strength < old.strength:
        return "it rules out less"
    if old.kind == new.kind and _open(new) > _open(old):
        return "it leaves more of it open"
    itself = _against_itself(old, new)
    return f"what is expected is what `{min(itself)}` itself says" if itself else ""


def _awaited_failure(old: Claim, new: Claim) -> bool:
    """Whether `new` holds where `old` does not."""
    if old.kind == "call" or new.kind not in ("throws", "raises") or new.negated:
        return False
    return old.text in new.subject


def _open(claim: Claim) -> int:
    """How many parts of what is expected may be anything."""
    return len(_ANYTHING.findall(claim.expected))


def _against_itself(old: Claim, new: Claim) -> frozenset[str]:
    """What the code is held against now, where it was held against a literal: its own calls."""
    if old.kind != new.kind or _CALLED.search(old.expected):
        return frozenset()
    return frozenset(_CALLED.findall(new.expected)) & frozenset(_CALLED.findall(old.subject)) - ORDINARY


def _fewer(old: str, new: str) -> bool:
    """Whether one number of assertions is smaller than another, or none at all."""
    before, after = re.search(r"\d+", old), re.search(r"\d+", new)
    return after is None or (before is not None and int(after[0]) < int(before[0]))


def _by_far(old: Claim, new: Claim) -> bool:
    """Whether a claim forgives so much more, or waits for so much less, that no change of code asks for it."""
    if _awaited_failure(old, new) or _against_itself(old, new) or _open(new) > _open(old):
        return True
    if "napshot" in new.kind and "napshot" not in old.kind:
        return True
    if new.kind == "==" and new.tolerance > old.tolerance:
        return True  # == in place of ===
    if new.kind == "raises":
        before, after = (c.expected.partition(" match ")[0] for c in (old, new))
        return set(before.split(" | ")) <= set(after.split(" | "))
    return new.tolerance >= _COARSE and new.tolerance > _FACTOR * old.tolerance


def _wider(old: Claim, new: Claim) -> str:
    if new.strength < old.strength:
        return "it waits for less" if old.expected.split(" match ")[0] == new.expected else "a wider exception will do"
    before, after = (set(c.expected.split(" match ")[0].split(" | ")) for c in (old, new))
    return "more exceptions will do" if before < after else ""


def counts(test: Test) -> bool:
    """Whether a test is run and not skipped everywhere."""
    return not test.off and not test.helper and not any(s.always for s in test.skips)
