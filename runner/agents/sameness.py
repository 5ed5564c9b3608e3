"""Whether a CLI asked the same again: requests compared as people would, without what differs every time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from runner.exchanges import Exchange, decoded

_VOLATILE_FIELDS = frozenset({
    "id", "prompt_cache_key", "client_metadata", "metadata", "session_id", "cell_id", "cache_control",
})  # fmt: skip
"""Names of an instance, a session or an item, and where the CLI would like the provider to cache."""

_VOLATILE_WORDS = (
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"\bcch=[0-9a-f]+"), "cch=<hash>"),  # of claude's own book-keeping, in its system prompt
    (re.compile(r"\bChunk ID: [0-9a-f]+"), "Chunk ID: <id>"),
    (re.compile(r"\b(session|cell) ID \S+"), r"\1 ID <id>"),
    (re.compile(r"\bOriginal token count: \d+"), "Original token count: <n>"),
    (re.compile(r"\b0x[0-9a-fA-F]+"), "<address>"),
    (re.compile(r"\b(?=[a-f]*\d)[0-9a-f]{7,64}\b"), "<hash>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)?)?"), "<date>"),
    (re.compile(r"\b\d{1,2}:\d\d:\d\d(?:\.\d+)?\b"), "<time>"),
    (re.compile(r"\b\d+(?:\.\d+)? ?(?:m?s|seconds?|minutes?)\b"), "<duration>"),
    (re.compile(r"/tmp/[\w./-]+"), "<temporary>"),  # noqa: S108 - a name in somebody's text
)
_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
_DAYS = re.compile(rf"\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w* )?(?:{_MONTH})\w* \d{{1,2}}(?:,? \d{{4}})?\b")
_AROUND = 60


@dataclass(frozen=True)
class Difference:
    """The first place where two conversations part: the request's number, where in it, and what stood there."""

    request: int
    where: str
    then: str
    now: str


def first_difference(then: tuple[Exchange, ...], now: tuple[Exchange, ...]) -> Difference | None:
    """Where the requests of two recorded attempts differ first; None where they are the same.

    A request whose record was cut can only be compared by being there.
    """
    old, new = _asked(then), _asked(now)
    for number, (one, other) in enumerate(zip(old, new, strict=False), 1):
        if one.path != other.path:
            return Difference(number, "path", one.path, other.path)
        before, after = decoded(one.request), decoded(other.request)
        if before is None or after is None:
            continue
        found = _part(before, after, "")
        if found is not None:
            return Difference(number, *found)
    if len(old) != len(new):
        number = min(len(old), len(new)) + 1
        longer = (old if len(old) > len(new) else new)[number - 1]
        words = (longer.path, "nothing more was asked")
        return Difference(number, "request", *(words if len(old) > len(new) else reversed(words)))
    return None


def requests(exchanges: tuple[Exchange, ...]) -> int:
    """How often a model was asked."""
    return len(_asked(exchanges))


def _asked(exchanges: tuple[Exchange, ...]) -> list[Exchange]:
    return [e for e in exchanges if e.path.startswith("POST ")]


def _part(one: Any, other: Any, where: str) -> tuple[str, str, str] | None:
    """(where, then, now) of the first difference between two JSON values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys((*one, *other)):
            if key in _VOLATILE_FIELDS:
                continue
            found = _part(one.get(key), other.get(key), f"{where}.{key}".lstrip("."))
            if found is not None:
                return found
        return None
    if isinstance(one, list) and isinstance(other, list):
        for number, (before, after) in enumerate(zip(one, other, strict=False)):
            found = _part(before, after, f"{where}[{number}]")
            if found is not None:
                return found
        if len(one) != len(other):
            return where, f"{len(one)} entries", f"{len(other)} entries"
        return None
    if isinstance(one, str) and isinstance(other, str):
        steady, again = _steady(one), _steady(other)
        return None if steady == again else (where, *_parting(steady, again))
    return None if one == other else (where, repr(one)[: 2 * _AROUND], repr(other)[: 2 * _AROUND])


def _steady(text: str) -> str:
    for pattern, instead in _VOLATILE_WORDS:
        text = pattern.sub(instead, text)
    return _DAYS.sub("<date>", text)


def _parting(one: str, other: str) -> tuple[str, str]:
    """What two texts have around the place where they part."""
    shorter = min(len(one), len(other))
    at = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    begin = max(0, at - _AROUND // 2)
    return one[begin : at + _AROUND], other[begin : at + _AROUND]
