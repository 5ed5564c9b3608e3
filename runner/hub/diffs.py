"""What changed between two trees, as git's plumbing tells it, with the text of each file's hunks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runner.git.plumbing import run

ZERO = "0" * 40
STATUSES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


@dataclass(frozen=True)
class FileDiff:
    """One path of a diff. `patch` begins with the first `@@`; None where git shows none (binary, mode only)."""

    path: str
    status: str
    old_path: str | None
    old_mode: str
    new_mode: str
    sha: str
    added: int
    removed: int
    binary: bool
    patch: str | None


@lru_cache(maxsize=256)
def compare(git_dir: Path, old: str, new: str) -> tuple[FileDiff, ...]:
    """What changed between two commits or trees (full shas) of a repository.

    Raises:
        GitError: one of them is not there.
    """
    common = ["diff-tree", "-r", "-M", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv"]
    raw = run([*common, "-z", "--raw", old, new], git_dir=git_dir).split(b"\0")[:-1]
    numstat = run([*common, "-z", "--numstat", old, new], git_dir=git_dir).split(b"\0")[:-1]
    sections = _sections(run([*common, "-p", old, new], git_dir=git_dir))
    files: list[FileDiff] = []
    r = n = s = 0
    while r < len(raw):
        old_mode, new_mode, old_sha, new_sha, status = raw[r].decode().lstrip(":").split()
        moved = status[0] in "RC"
        names = [name.decode(errors="replace") for name in raw[r + 1 : r + 3 if moved else r + 2]]
        r += 3 if moved else 2
        added, removed, _ = numstat[n].split(b"\t", 2)
        n += 3 if moved else 1
        # A change of type is written as a deletion and a creation: two sections for one path.
        hunks = sections[s : s + 2] if status[0] == "T" else sections[s : s + 1]
        s += len(hunks)
        files.append(
            FileDiff(
                path=names[-1],
                status=STATUSES[status[0]],
                old_path=names[0] if moved else None,
                old_mode=old_mode,
                new_mode=new_mode,
                sha=new_sha if new_sha != ZERO else old_sha,
                added=0 if added == b"-" else int(added),
                removed=0 if removed == b"-" else int(removed),
                binary=added == b"-",
                patch="\n".join(h for h in hunks if h) or None,
            )
        )
    return tuple(files)


def _sections(text: bytes) -> list[str]:
    """The hunks of each file of a diff. Every line of content begins with a sign, so headers cannot be forged."""
    sections: list[list[bytes]] = []
    hunks = False
    for line in text.split(b"\n"):
        if line.startswith(b"diff --git "):
            sections.append([])
            hunks = False
        elif sections:
            hunks = hunks or line.startswith(b"@@ ")
            if hunks:
                sections[-1].append(line)
    return [b"\n".join(lines).decode(errors="replace").rstrip("\n") for lines in sections]
