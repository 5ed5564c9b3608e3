"""How much two patches are alike, whatever their base, whitespace and comments: nobody wants the same thing twice.

A patch is known by its *sketch*: every run of three words on its changed lines, told apart by what was added and what
removed, each as a short hash. Two patches are as alike as the share of what they have in common of all that they have
(Jaccard's index). Where product code changed, tests do not count: the same change with other tests is the same change.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable

from runner.errors import GitError
from runner.git.diff import hunks, read_patch
from runner.git.mirror import Mirror
from runner.model import FileHunks
from runner.policy.globs import Globs

ALIKE = 0.8
"""From here on, two patches are almost the same. One word changed in a line of ten is below it where the line is all
of the patch, and above it in a patch of several lines."""

_MOST = 2_000
_LINES = 20_000
_WORD = re.compile(rb"\w+|[^\w\s]")
_COMMENT = re.compile(rb"(?:(?<=\s)|^)(?:#|//).*$")

Sketch = tuple[int, ...]


def sketch(mirror: Mirror, base_tree: str, head_tree: str, tests: Globs) -> Sketch:
    """What a patch is known by; () where it has no text, or is none that can be compared (the gate says why)."""
    try:
        patch = read_patch(mirror, base_tree, head_tree)
        changed = hunks(mirror, base_tree, head_tree) if patch.added + patch.removed <= _LINES else ()
    except GitError:
        return ()
    product = [file for file in changed if file.path not in tests]
    return sketch_of(product or changed)


def sketch_of(changed: Iterable[FileHunks]) -> Sketch:
    """The sketch of changed lines: of many hashes the smallest, which are as good as any.

    A line that was taken out and put in again, moved or with other blanks, is no change.
    """
    added: Counter[tuple[bytes, ...]] = Counter()
    removed: Counter[tuple[bytes, ...]] = Counter()
    for file in changed:
        added.update(_words(text) for _, text in file.added)
        removed.update(_words(text) for _, text in file.removed)
    runs: Counter[bytes] = Counter()
    for sign, lines in ((b"+", added - removed), (b"-", removed - added)):
        for words in lines.elements():
            padded = [b"", *words, b""] if words else []
            runs.update(b"\0".join((sign, *padded[n : n + 3])) for n in range(len(padded) - 2))
    hashes = (
        int.from_bytes(hashlib.sha256(b"%d\0%b" % (nth, run)).digest()[:6])
        for run, count in runs.items()
        for nth in range(count)
    )
    return tuple(sorted(set(hashes))[:_MOST])


def _words(line: bytes) -> tuple[bytes, ...]:
    return tuple(_WORD.findall(_COMMENT.sub(b"", line.replace(b"'", b'"'))))


def likeness(one: Collection[int], other: Collection[int]) -> float:
    """How much two sketches are alike: 0 (nothing in common) to 1 (the same)."""
    if not one or not other:
        return 0.0
    ours, theirs = set(one), set(other)
    smallest = sorted(ours | theirs)
    if _MOST in {len(ours), len(theirs)}:  # only as many are known of both
        smallest = smallest[:_MOST]
    return sum(1 for value in smallest if value in ours and value in theirs) / len(smallest)
