"""Listing trees, and writing new ones through a throw-away index."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.git import names
from runner.git.mirror import Mirror
from runner.git.plumbing import GitFailed

SYMLINK = "120000"
SUBMODULE = "160000"
REGULAR = frozenset({"100644", "100755", "100664"})

_NOTHING = "0" * 40


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands at a path: git's octal mode, and an object id."""

    mode: str
    oid: str


def listing(mirror: Mirror, tree: str, *, env: Mapping[str, str] | None = None) -> dict[bytes, Entry]:
    """Path → entry of everything in a tree but folders, in git's order.

    Raises:
        GitError: the tree is not there.
    """
    found = {}
    for record in mirror.git("ls-tree", "-r", "-z", "--full-tree", tree, env=env).split(b"\0"):
        if record:
            head, _, path = record.partition(b"\t")
            mode, _, oid = head.decode("ascii").split(" ")
            found[path] = Entry(mode, oid)
    return found


def written(
    mirror: Mirror, tree: str, changes: Mapping[bytes, Entry | None], *, env: Mapping[str, str] | None = None
) -> str:
    """The tree with these changes (None takes a path away), written to the mirror.

    Raises:
        GitError: git refuses a path, or an object is not there.
    """
    gone = [b"0 %s\t%s\0" % (_NOTHING.encode(), path) for path, entry in changes.items() if entry is None]
    there = [
        f"{entry.mode} {entry.oid}\t".encode() + path + b"\0" for path, entry in changes.items() if entry is not None
    ]
    with mirror.scratch() as folder:
        around = {**(env or {}), **index_in(folder)}
        mirror.git("read-tree", tree, env=around)
        mirror.git("update-index", "-z", "--index-info", stdin=b"".join(gone + there), env=around)
        new = mirror.git("write-tree", env=around).decode("ascii").strip()
    # A path that git does not like is only warned of, and left out.
    there_now = listing(mirror, new, env=env)
    for path, entry in changes.items():
        if there_now.get(path) != entry:
            raise GitFailed("git update-index", 0, f"Invalid path '{names.shown(path)}'")
    return new


def index_in(folder: Path) -> dict[str, str]:
    """The variable that makes git use an index of its own in `folder`."""
    return {"GIT_INDEX_FILE": str(folder / "index")}


def folders_of(path: bytes) -> Iterator[bytes]:
    """The folders that a path lies in, outermost first."""
    at = path.find(b"/")
    while at >= 0:
        yield path[:at]
        at = path.find(b"/", at + 1)
