"""Which new files a repository's own .gitignore files leave out, read from the base tree and nowhere else.

The patterns are read as git reads them. pathspec was measured first: on one in twenty sets of unusual but legal
patterns it gave another answer (it also matches everything below a folder that a pattern names, so that a later `!`
brings back too much), and what is silently left out of a patch should not depend on that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_CLASSES = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "blank": " \\t", "cntrl": "\\x00-\\x1f\\x7f", "digit": "0-9",
    "graph": "!-~", "lower": "a-z", "print": " -~", "punct": "!-/:-@\\[-`{-~", "space": "\\s", "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip


class Ignored:
    """The rules of a tree.

    Args:
        files: folder (b"" for the root) → the content of its .gitignore.
        also: patterns that come before all of them, as in a .gitignore at the root.
    """

    def __init__(self, files: Mapping[bytes, bytes], *, also: Iterable[str] = ()) -> None:
        self._rules = {_folder(folder): _read(_text(content).split("\n")) for folder, content in files.items()}
        self._also = _read(also)
        self._folders: dict[str, str | None] = {"": None}

    def by(self, path: bytes) -> bytes | None:
        """What leaves `path` out: its topmost ignored folder (with a slash at the end), or itself; None for nothing."""
        name = _text(path)
        if name.endswith("/"):
            found = self._by_folder(name)
        else:
            found = self._by_folder(name[: name.rfind("/") + 1])
            if found is None and self._matches(name):
                found = name
        return None if found is None else found.encode("utf-8", "surrogateescape")

    def _by_folder(self, folder: str) -> str | None:
        """As `by`, for a folder with a slash at its end; once ignored, nothing below can come back (as in git)."""
        if folder not in self._folders:
            above = self._by_folder(folder[: folder[:-1].rfind("/") + 1])
            self._folders[folder] = above or (folder if self._matches(folder) else None)
        return self._folders[folder]

    def _matches(self, name: str) -> bool:
        """The last word on one path: the last pattern of the nearest .gitignore that speaks of it."""
        is_folder = name.endswith("/")
        plain = name.removesuffix("/")
        end = plain.rfind("/") + 1
        while True:
            for rule in self._rules.get(plain[:end], ()):
                if rule.speaks_of(plain[end:], is_folder=is_folder):
                    return rule.leaves_out
            if not end:
                break
            end = plain[: end - 1].rfind("/") + 1
        return any(rule.leaves_out for rule in self._also if rule.speaks_of(plain, is_folder=is_folder))


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    leaves_out: bool
    only_folders: bool
    only_last_name: bool

    def speaks_of(self, path: str, *, is_folder: bool) -> bool:
        if self.only_folders and not is_folder:
            return False
        name = path.rpartition("/")[2] if self.only_last_name else path
        return self.pattern.fullmatch(name) is not None


def _folder(folder: bytes) -> str:
    return _text(folder) + "/" if folder else ""


def _text(raw: bytes) -> str:
    return raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")


def _read(lines: Iterable[str]) -> tuple[_Rule, ...]:
    """The rules of a file, the last one first, as that is the order in which they are asked."""
    rules = (_rule(_trimmed(line.removesuffix("\r"))) for line in lines)
    return tuple(rule for rule in rules if rule is not None)[::-1]


def _trimmed(line: str) -> str:
    """Without the spaces at its end, but for one that a backslash keeps."""
    short = line.rstrip(" ")
    escapes = len(short) - len(short.rstrip("\\"))
    return short + " " if escapes % 2 and len(short) < len(line) else short


def _rule(line: str) -> _Rule | None:
    if not line or line.startswith("#"):
        return None
    pattern = line.removeprefix("!")
    body = pattern.removesuffix("/")
    last_name = "/" not in body
    expression = _expression(body.removeprefix("/"))
    if not body or expression is None:
        return None  # nothing matches it
    return _Rule(
        pattern=re.compile(expression, re.DOTALL),
        leaves_out=pattern == line,
        only_folders=body != pattern,
        only_last_name=last_name,
    )


def _expression(glob: str) -> str | None:
    """A glob of git's as a regular expression; None where nothing can match it."""
    out, at = "", 0
    while at < len(glob):
        c = glob[at]
        if c == "*":
            piece, at = _stars(glob, at)
        elif c == "?":
            piece, at = "[^/]", at + 1
        elif c == "[":
            bracket = _bracket(glob, at + 1)
            if bracket is None:
                return None
            piece, at = bracket
        elif c == "\\":
            if at + 1 == len(glob):
                return None
            piece, at = re.escape(glob[at + 1]), at + 2
        else:
            piece, at = re.escape(c), at + 1
        out += piece
    return out


def _stars(glob: str, at: int) -> tuple[str, int]:
    end = at
    while end < len(glob) and glob[end] == "*":
        end += 1
    # git compares what stands before the first special character by itself, and the rest as if it began there.
    begins = re.search(r"[*?\[\\]", glob[:at]) is None or glob[at - 1] == "/"
    alone = begins and (end == len(glob) or glob[end] == "/")
    if end - at == 1 or not alone:
        return "[^/]*", end
    if end == len(glob):
        return ".*", end
    return "(?:.*/)?", end + 1


def _bracket(glob: str, at: int) -> tuple[str, int] | None:
    """A set of characters, from behind its `[`: the expression, and where it ends; None where it does not end."""
    negative = glob[at : at + 1] in {"!", "^"}
    at += negative
    begin, inside = at, ""
    while at < len(glob):
        c = glob[at]
        if c == "]" and at > begin:
            positive = f"(?!/)[{inside}]" if inside else "(?!)"
            return (f"[^/{inside}]" if negative else positive), at + 1
        named = re.match(r"\[:([a-z]+):\]", glob[at:])
        if named is not None:
            if named[1] not in _CLASSES:
                return None
            inside += _CLASSES[named[1]]
            at += named.end()
            continue
        first, at = _character(glob, at)
        if glob[at : at + 1] == "-" and glob[at + 1 : at + 2] not in {"", "]"}:
            last, at = _character(glob, at + 1)
            if first <= last:
                inside += f"{re.escape(first)}-{re.escape(last)}"
            continue
        inside += re.escape(first)
    return None


def _character(glob: str, at: int) -> tuple[str, int]:
    if glob[at] == "\\" and at + 1 < len(glob):
        return glob[at + 1], at + 2
    return glob[at], at + 1
