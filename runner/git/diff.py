"""Patches as git's plumbing tells them, between two trees of the mirror. Nobody else's patch text is ever believed.

Every reading is taken twice, in two forms that git writes by different code, and must agree. Paths are text as
`names.text` writes it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, cast

from runner.errors import GitError, RepositoryError, UsageError
from runner.git import names
from runner.git.index import index_in
from runner.git.mirror import Mirror
from runner.git.plumbing import GitFailed
from runner.model import FileChange, FileHunks, Patch

_COMMON = (
    "-r",
    "--no-renames",
    "--full-index",
    "--no-ext-diff",
    "--no-textconv",
    "--ignore-submodules=none",
    "--no-color",
)
_PLAIN = (*_COMMON, "--diff-algorithm=myers", "--no-indent-heuristic", "--src-prefix=a/", "--dst-prefix=b/")
_ABSENT = "000000"
_PATCH_BYTES = 64 << 20


def read_patch(mirror: Mirror, base_tree: str, head_tree: str, *, dropped: Iterable[str] = ()) -> Patch:
    """What changed from one tree to the other, without renames: those are a removal and an addition.

    Raises:
        GitError: a tree is not there, or git's two accounts of it differ.
    """
    files = tuple(row.change for row in _rows(mirror, base_tree, head_tree))
    return Patch(base_tree=base_tree, head_tree=head_tree, files=files, dropped=tuple(dropped))


def diff_text(mirror: Mirror, base_tree: str, head_tree: str, *, limit_bytes: int) -> str:
    """The patch as text for people and models, cut at a line's end after about `limit_bytes`; not for judging.

    Raises:
        GitError: a tree is not there.
    """
    taken = b""
    for chunk in mirror.stream("diff-tree", "-p", *_PLAIN, base_tree, head_tree):
        taken += chunk
        if len(taken) > limit_bytes:
            kept = taken[: taken.rfind(b"\n", 0, max(limit_bytes, 0)) + 1]
            return (
                kept.decode("utf-8", "replace")
                + f"[the diff is longer than {limit_bytes} bytes; the rest is left out]\n"
            )
    return taken.decode("utf-8", "replace")


def hunks(mirror: Mirror, base_tree: str, head_tree: str) -> tuple[FileHunks, ...]:
    """The added and removed lines of every changed file, in the order of `read_patch`.

    Raises:
        GitError: a tree is not there, the patch is larger than 64 MiB, or git's accounts of it differ.
    """
    rows = _rows(mirror, base_tree, head_tree)
    chunks, size = [], 0
    # Not `--unified=0`: without context git cuts common ends off first, and finds other (fewer) lines than numstat.
    for chunk in mirror.stream("diff-tree", "-p", "--unified=3", *_PLAIN, base_tree, head_tree):
        chunks.append(chunk)
        size += len(chunk)
        if size > _PATCH_BYTES:
            raise GitError(f"the patch is larger than {_PATCH_BYTES >> 20} MiB", remedy="make it smaller")
    sections = _sections(b"".join(chunks))
    found = []
    for row in rows:
        change = row.change
        added: list[tuple[int, bytes]] = []
        removed: list[tuple[int, bytes]] = []
        # A file that becomes a link, say, is written as its removal and its addition.
        for _ in range(2 if change.status == "T" else 1):
            section = next(sections, None)
            if section is None or not section.about(change):
                raise GitError(f"git's accounts of {change.path} differ: its patch is missing")
            added += section.added
            removed += section.removed
        # A changed type counts in numstat as an edit of the content, so there the two forms differ by design.
        if change.status != "T" and (len(added), len(removed)) != (change.added, change.removed):
            raise GitError(f"git's accounts of {change.path} differ: its lines do not add up")
        found.append(FileHunks(change.path, tuple(added), tuple(removed)))
    if next(sections, None) is not None:
        raise GitError("git's accounts of the patch differ: it has more files than the list")
    return tuple(found)


def apply_text(mirror: Mirror, base_tree: str, patch: bytes) -> str:
    """The tree that somebody's patch text makes of `base_tree`: what git does with it, whatever the text seems to say.

    It is applied to a throw-away index; there is no work tree.

    Raises:
        UsageError: it does not apply, or is no patch.
        GitError: the tree is not there, or git failed.
    """
    with mirror.scratch() as folder:
        env = index_in(folder)
        mirror.git("read-tree", base_tree, env=env)
        if patch.strip():
            try:
                mirror.git("apply", "--cached", "--whitespace=nowarn", "-", stdin=patch, env=env)
            except GitFailed as e:
                if e.returncode not in {1, 128}:
                    raise
                if "No valid patches in input" in e.stderr:
                    raise UsageError("that is no patch", remedy="make it with `git diff --binary BASE`") from e
                raise UsageError(
                    f"the patch does not apply to the base: {e.stderr.strip().removeprefix('error: ')}",
                    remedy="make it with `git diff --binary BASE` on the base that you name",
                ) from e
        return mirror.git("write-tree", env=env).decode("ascii").strip()


@dataclass(frozen=True)
class _Row:
    raw: bytes
    change: FileChange


def _rows(mirror: Mirror, base_tree: str, head_tree: str) -> list[_Row]:
    for tree in (base_tree, head_tree):
        if mirror.git("cat-file", "-t", tree).strip() not in {b"tree", b"commit"}:
            raise RepositoryError(f"{tree} is no tree")
    out = mirror.git("diff-tree", "-z", "--raw", "--numstat", *_COMMON, base_tree, head_tree)
    fields = iter(out.split(b"\0"))
    listed: dict[bytes, list[str]] = {}
    counted: dict[bytes, tuple[bytes, bytes]] = {}
    for field in fields:
        if field.startswith(b":"):
            path = next(fields, b"")
            if path in listed:
                raise GitError(f"git names {names.shown(path)} twice")
            listed[path] = field[1:].decode("ascii").split(" ")
        elif field:
            added, removed, path = field.split(b"\t", 2)
            counted[path] = (added, removed)
    if listed.keys() != counted.keys():
        odd = names.shown(next(iter(listed.keys() ^ counted.keys())))
        raise GitError(f"git's two accounts of the patch differ: {odd} is only in one of them")
    return [_Row(path, _change(path, columns, counted[path])) for path, columns in listed.items()]


def _change(path: bytes, columns: list[str], counts: tuple[bytes, bytes]) -> FileChange:
    old_mode, new_mode, old_blob, new_blob, status = columns
    if status not in {"A", "M", "D", "T"}:
        raise GitError(f"git tells of {names.shown(path)} what automend does not know: {status}")
    binary = counts == (b"-", b"-")
    return FileChange(
        path=names.text(path),
        status=cast('Literal["A", "M", "D", "T"]', status),
        old_mode=None if old_mode == _ABSENT else old_mode,
        new_mode=None if new_mode == _ABSENT else new_mode,
        old_blob=None if old_mode == _ABSENT else old_blob,
        new_blob=None if new_mode == _ABSENT else new_blob,
        added=0 if binary else int(counts[0]),
        removed=0 if binary else int(counts[1]),
        binary=binary,
    )


@dataclass(frozen=True)
class _Section:
    """One `diff --git` section of a patch that our own git wrote."""

    blobs: tuple[str, str] | None
    added: list[tuple[int, bytes]]
    removed: list[tuple[int, bytes]]

    def about(self, change: FileChange) -> bool:
        """Whether it can be the section of this change: by the ids in its `index` line, never by a name in text."""
        if self.blobs is None:
            return change.old_blob == change.new_blob
        old, new = self.blobs
        zero = "0" * 40
        if change.status == "T":
            return (old, new) in {(change.old_blob, zero), (zero, change.new_blob)}
        return (old, new) == (change.old_blob or zero, change.new_blob or zero)


def _sections(text: bytes) -> Iterator[_Section]:
    """Read a patch by its own counts, so that no line of a file can be taken for a header."""
    lines = iter(text.split(b"\n"))
    section: _Section | None = None
    for line in lines:
        if line.startswith(b"diff --git "):
            if section is not None:
                yield section
            section = _Section(None, [], [])
        elif section is not None and line.startswith(b"index "):
            old, _, new = line.split(b" ")[1].partition(b"..")
            section = _Section((old.decode("ascii"), new.decode("ascii")), [], [])
        elif section is not None and line.startswith(b"@@ -"):
            _read_hunk(section, lines, _ranges(line))
    if section is not None:
        yield section


def _ranges(header: bytes) -> tuple[int, int, int, int]:
    old, new = header.split(b" ")[1:3]
    old_at, _, old_count = old[1:].partition(b",")
    new_at, _, new_count = new[1:].partition(b",")
    return int(old_at), int(old_count or 1), int(new_at), int(new_count or 1)


def _read_hunk(section: _Section, lines: Iterator[bytes], ranges: tuple[int, int, int, int]) -> None:
    old, old_count, new, new_count = ranges
    old_end, new_end = old + old_count, new + new_count
    while old < old_end or new < new_end:
        line = next(lines, b"")
        match line[:1]:
            case b" ":
                old, new = old + 1, new + 1
            case b"-":
                section.removed.append((old, line[1:]))
                old += 1
            case b"+":
                section.added.append((new, line[1:]))
                new += 1
            case b"\\":  # "\ No newline at end of file", of the line before
                pass
            case _:
                raise GitError("git's patch does not add up")
    if (old, new) != (old_end, new_end):
        raise GitError("git's patch does not add up")
