"""What tells one patch from another: its id, its bytes, and the lines of the base that it touches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from runner.git.diff import read_patch
from runner.git.mirror import Mirror

# Every choice that git leaves to its configuration, so that the same trees always give the same text.
_STEADY = (
    "--no-renames", "--full-index", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none", "--no-color",
    "--diff-algorithm=myers", "--no-indent-heuristic", "--src-prefix=a/", "--dst-prefix=b/",
)  # fmt: skip
_LARGEST_ID = 16 << 20
_RANGES = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
# `git patch-id` leaves whitespace out, which is meaning in Python, say: so it is made visible first.
_VISIBLE = bytes.maketrans(b" \t\v\f\r", b"\x01\x02\x03\x04\x05")


def patch_id(mirror: Mirror, base_tree: str, head_tree: str) -> str | None:
    """A name of the change that is the same on another base: lines with their surroundings, not their numbers.

    It is `git patch-id --stable` of our own diff, whitespace included, and a digest of what is no text in it
    (binary content, modes). None where nothing changed, or more than 16 MiB of text.

    Raises:
        GitError: a tree is not there.
    """
    text = _diff(mirror, base_tree, head_tree, limit=_LARGEST_ID)
    if not text:
        return None
    named = mirror.git("patch-id", "--stable", stdin=b"\n".join(_visible(text))).decode("ascii").split()
    odd = [
        f"{f.path}\0{f.old_mode}\0{f.new_mode}\0{f.new_blob if f.binary else ''}"
        for f in read_patch(mirror, base_tree, head_tree).files
        if f.binary or f.old_mode != f.new_mode
    ]
    beside = hashlib.sha256("\n".join(sorted(odd)).encode("utf-8", "surrogatepass")).hexdigest()[:16] if odd else ""
    return f"{named[0] if named else '0' * 40}{beside}"


def diff_bytes(mirror: Mirror, base_tree: str, head_tree: str, *, limit: int) -> bytes | None:
    """The patch so that `git apply` makes the same tree of it, binary files too; None where it is longer than that.

    Raises:
        GitError: a tree is not there.
    """
    return _diff(mirror, base_tree, head_tree, "--binary", limit=limit)


def touched(mirror: Mirror, base_tree: str, head_tree: str) -> dict[str, tuple[tuple[int, int], ...]]:
    """Path → the ranges of the base's lines (first, last) that a patch changes; an insertion touches its neighbours.

    Of a binary file, everything. A patch of more than 16 MiB touches nothing here.

    Raises:
        GitError: a tree is not there.
    """
    found: dict[str, tuple[tuple[int, int], ...]] = {}
    patch = read_patch(mirror, base_tree, head_tree)
    if sum(f.added + f.removed for f in patch.files) > 1_000_000:  # noqa: PLR2004 - as many lines as 16 MiB may have
        return found
    for file in patch.files:
        if file.binary:
            found[file.path] = ((0, 1 << 62),)
            continue
        if file.old_blob is None or file.new_blob is None or file.old_blob == file.new_blob:
            found[file.path] = ((0, 1 << 62),)
            continue
        text = mirror.git("diff", *_STEADY, "--unified=0", file.old_blob, file.new_blob)
        ranges = []
        for match in re.finditer(rb"(?m)^" + _RANGES.pattern, text):
            start, count = int(match[1]), int(match[2] or 1)
            ranges.append((start, start + 1) if count == 0 else (start, start + count - 1))
        found[file.path] = tuple(ranges)
    return found


def _diff(mirror: Mirror, base_tree: str, head_tree: str, *options: str, limit: int) -> bytes | None:
    taken = []
    size = 0
    for chunk in mirror.stream("diff-tree", "-r", "-p", "--unified=3", *options, *_STEADY, base_tree, head_tree):
        taken.append(chunk)
        size += len(chunk)
        if size > limit:
            return None
    return b"".join(taken)


def _visible(text: bytes) -> Iterator[bytes]:
    """A patch whose lines of content have no whitespace; headers stay as git wrote them, told apart by its counts."""
    old = new = 0
    for line in text.split(b"\n"):
        if old or new:
            mark = line[:1]
            old -= mark in {b"-", b" "}
            new -= mark in {b"+", b" "}
            yield mark + line[1:].translate(_VISIBLE)
            continue
        ranges = _RANGES.match(line)
        if ranges is not None:
            old, new = int(ranges[2] or 1), int(ranges[4] or 1)
        yield line
