"""Lines of a diff: numbering them, and finding the one that a comment is about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


@dataclass(frozen=True)
class Line:
    """One line of a patch. `position` counts from the first `@@`, as GitHub does; `kind` is its sign."""

    kind: Literal["@", "+", "-", " ", "\\"]
    old: int | None
    new: int | None
    text: str
    position: int


@dataclass(frozen=True)
class Place:
    """Where a comment belongs."""

    line: int
    side: str
    position: int
    hunk: str


def numbered(patch: str) -> Iterator[Line]:
    """The lines of one file's patch (from its first `@@`), with their numbers."""
    old = new = 0
    for position, text in enumerate(patch.split("\n") if patch else ()):
        head = HUNK.match(text)
        if head is not None:
            old, new = int(head[1]), int(head[2])
            yield Line("@", None, None, text, position)
        elif text.startswith("+"):
            yield Line("+", None, new, text[1:], position)
            new += 1
        elif text.startswith("-"):
            yield Line("-", old, None, text[1:], position)
            old += 1
        elif text.startswith("\\"):
            yield Line("\\", None, None, text[1:], position)
        else:
            yield Line(" ", old, new, text[1:], position)
            old, new = old + 1, new + 1


def locate(patch: str, *, line: int | None, side: str, position: int | None) -> Place | None:
    """The place of a line (or, in GitHub's older way, of a position), or None where the diff does not show it."""
    hunk: list[str] = []
    for each in numbered(patch):
        if each.kind == "@":
            hunk = []
        prefix = "" if each.kind == "@" else each.kind
        hunk.append(prefix + each.text)
        here = each.old if side == "LEFT" else each.new
        wanted = (here is not None and here == line) if line is not None else each.position == position
        if not wanted or each.kind in "@\\":
            continue
        number, where = (each.old, "LEFT") if each.new is None else (each.new, side)
        if number is not None:
            return Place(line if line is not None else number, where, each.position, "\n".join(hunk))
    return None
