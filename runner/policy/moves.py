"""Which files of a patch are only moved: what was removed in one place stands, byte for byte, in another."""

from __future__ import annotations

from runner.model import FileChange, Patch

_FILES = {"100644", "100755"}


def moves(patch: Patch) -> dict[str, str]:
    """New path → old path of the files that were moved and not changed. Each old path is used once."""
    gone: dict[str, list[FileChange]] = {}
    for file in patch.files:
        if file.status == "D" and file.old_blob is not None and file.old_mode in _FILES:
            gone.setdefault(file.old_blob, []).append(file)
    found = {}
    for file in patch.files:
        if file.status == "A" and file.new_mode in _FILES and file.new_blob is not None and gone.get(file.new_blob):
            # Of several twins, the one of the same name is the likeliest.
            twins = gone[file.new_blob]
            name = file.path.rsplit("/", 1)[-1]
            twin = next((t for t in twins if t.path.rsplit("/", 1)[-1] == name), twins[0])
            twins.remove(twin)
            found[file.path] = twin.path
    return found


def lines_changed(patch: Patch) -> int:
    """Lines added and removed, without those of files that were only moved."""
    moved = moves(patch)
    still = {*moved, *moved.values()}
    return sum(f.added + f.removed for f in patch.files if f.path not in still)


def files_changed(patch: Patch) -> int:
    """Files changed, a move counting once."""
    return len(patch.files) - len(moves(patch))
