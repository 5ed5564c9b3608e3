"""Paths as text, and which of them may not come in.

git's paths are bytes. Everywhere outside this package they are text that survives JSON: UTF-8 as it is; only where
a path is not UTF-8 or holds a backslash, each backslash is doubled and each wrong byte is written `\\xNN`. That can
be undone (`raw`), is never ambiguous, and leaves folders at the front as they are, for the globs of a policy.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST_PATH = 4095
LONGEST_NAME = 255
DEEPEST = 250
"""How many folders a new file may be in; nobody's project has so many, and who walks them does so level by level."""

_ESCAPE = re.compile(r"\\\\|\\x([0-9a-f]{2})")


def text(path: bytes) -> str:
    """A path of git's as text."""
    plain = path.decode("utf-8", "surrogateescape")
    if "\\" not in plain and not any("\udc80" <= c <= "\udcff" for c in plain):
        return plain
    doubled = plain.replace("\\", "\\\\")
    return "".join(f"\\x{ord(c) - 0xDC00:02x}" if "\udc80" <= c <= "\udcff" else c for c in doubled)


def raw(path: str) -> bytes:
    """A path of `text` as git has it."""
    if "\\" not in path:
        return path.encode("utf-8", "surrogateescape")
    plain = _ESCAPE.sub(lambda m: chr(0xDC00 + int(m[1], 16)) if m[1] else "\\", path)
    return plain.encode("utf-8", "surrogateescape")


def shown(path: bytes, limit: int = 200) -> str:
    """A path for a person's eyes: nothing in it moves the cursor, turns the text around, or fills the screen."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text(path))
    return safe if len(safe) <= limit else f"{safe[: limit - 1]}…"


def misplaced(path: bytes) -> tuple[str, str] | None:
    """(rule, why) where a path is none inside a repository, else None."""
    if len(path) > LONGEST_PATH:
        return "tree.path", f"is longer than {LONGEST_PATH} bytes"
    if path.startswith(b"/"):
        return "tree.path", "is absolute"
    if any(part in {b"", b".", b".."} for part in path.split(b"/")):
        return "tree.path", "has an empty, `.` or `..` part"
    if path.count(b"/") > DEEPEST:
        return "tree.path", f"is in more than {DEEPEST} folders"
    return None


def objection(path: bytes) -> tuple[str, str] | None:
    """(rule, why) where a path may not come in from outside, else None."""
    if (where := misplaced(path)) is not None:
        return where
    parts = path.split(b"/")
    if any(len(part) > LONGEST_NAME for part in parts):
        return "tree.path", f"has a name longer than {LONGEST_NAME} bytes"
    try:
        plain = path.decode("utf-8")
    except UnicodeDecodeError:
        return "tree.path", "is not UTF-8"
    for c in plain:
        if unicodedata.category(c) in {"Cc", "Cf", "Zl", "Zp"}:
            # An alias of .git may hide behind such a character; then that is what the person should hear.
            alias = any(is_git_alias(part) for part in parts)
            what = "holds an invisible character and stands for `.git`" if alias else "holds a control character"
            return ("tree.git-alias" if alias else "tree.path"), f"{what} (U+{ord(c):04X})"
    if any(is_git_alias(part) for part in parts):
        return "tree.git-alias", "is git's own folder, or another spelling of it on some file system"
    return None


def is_git_alias(name: bytes) -> bool:
    """Whether some file system takes this name for `.git`.

    Case does not count; HFS+ ignores invisible characters; NTFS ignores trailing dots and spaces and what follows a
    colon, knows the short name `git~1`, and separates folders by backslashes.
    """
    plain = unicodedata.normalize("NFC", name.decode("utf-8", "replace"))
    visible = "".join(c for c in plain if unicodedata.category(c) not in {"Cc", "Cf"}).casefold()
    for part in visible.split("\\"):
        stem = part.split(":", 1)[0].rstrip(". ")
        if stem == ".git" or re.fullmatch(r"git~[0-9]+", stem):
            return True
    return False
