"""Trees of a mirror: out to a sandbox as a tar stream, in again from one, and put together.

Paths are text as `names.text` writes it, everywhere.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence

from runner.errors import GitError
from runner.git import names
from runner.git.importing import Imported, examine, import_tar
from runner.git.index import REGULAR, SUBMODULE, SYMLINK, Entry, folders_of, listing, written
from runner.git.mirror import Mirror
from runner.git.plumbing import GitFailed

__all__ = ["Imported", "contents", "examine", "export", "import_tar", "merge_trees", "overlay", "paths", "read"]

_EPOCH = 1_577_836_800  # 2020-01-01; zip files, and so wheels, know no time before 1980
_EXECUTABLE = "100755"


def paths(mirror: Mirror, tree: str) -> dict[str, tuple[str, str]]:
    """Path → (git's octal mode, object id) of everything in a tree, submodules included.

    Raises:
        GitError: the tree is not there.
    """
    return {names.text(path): (entry.mode, entry.oid) for path, entry in listing(mirror, tree).items()}


def read(mirror: Mirror, tree: str, path: str, limit: int = 1 << 20) -> bytes | None:
    """The content of a regular file, or None where there is none at that path, or it is larger than `limit` bytes.

    A symlink is not followed: its content is no file's.

    Raises:
        GitError: the tree is not there.
    """
    if names.misplaced(names.raw(path)) is not None:
        return None
    # Not `TREE:PATH`, whose syntax has meanings of its own (`./x`, newlines); ls-tree takes the bytes as they are.
    out = mirror.git("ls-tree", "-z", "--full-tree", tree, "--", names.raw(path).decode("utf-8", "surrogateescape"))
    for record in out.split(b"\0"):
        head, _, name = record.partition(b"\t")
        if name == names.raw(path):
            mode, kind, oid = head.decode("ascii").split(" ")
            if kind != "blob" or mode not in REGULAR:
                return None
            if int(mirror.git("cat-file", "-s", oid)) > limit:
                return None
            return mirror.git("cat-file", "blob", oid)
    return None


def contents(mirror: Mirror, oids: Iterable[str], *, limit: int, total: int) -> tuple[dict[str, int], dict[str, bytes]]:
    """(sizes, contents) of blobs, in two runs of git however many they are.

    Args:
        mirror: where they are.
        oids: of the blobs.
        limit: most bytes of one blob; a larger one has its size only.
        total: most bytes of all contents; the largest are left out first.

    Raises:
        GitError: a blob is not there.
    """
    wanted = list(dict.fromkeys(oids))
    if not wanted:
        return {}, {}
    out = mirror.git("cat-file", "--batch-check", stdin="".join(f"{oid}\n" for oid in wanted).encode("ascii"))
    sizes: dict[str, int] = {}
    for line in out.decode("ascii").splitlines():
        words = line.split(" ")
        if len(words) != 3 or words[1] != "blob":  # noqa: PLR2004 - id, type, size
            raise GitError(f"the mirror is damaged: `{line}` instead of a blob")
        sizes[words[0]] = int(words[2])
    taken, left = [], total
    for oid in sorted(wanted, key=lambda oid: sizes[oid]):
        if sizes[oid] <= min(limit, left):
            taken.append(oid)
            left -= sizes[oid]
    blobs = _Blobs(mirror, taken)
    found = {}
    for oid in taken:
        blobs.next(oid)
        found[oid] = b"".join(blobs.read())
    blobs.finish()
    return sizes, found


def export(mirror: Mirror, tree: str, *, mtime: int | None = None) -> Iterator[bytes]:
    """A tree as a tar stream of its raw blobs: no attribute, filter or line ending changes a byte.

    The first member is the root folder (`./`); folders come before what is in them; a submodule is an empty folder;
    owner is 0. All times are `mtime` (seconds since 1970): by default a constant of the tree, so that two trees laid
    over one another are not taken for unchanged by what compares times, like Python's bytecode cache.

    Raises:
        GitError: the tree, or a part of it, is not there.
    """
    entries = listing(mirror, tree)
    when = _EPOCH + int(tree[:6], 16) if mtime is None else mtime
    yield _header(b"./", "40000", when)
    wanted = [(path, entry) for path, entry in entries.items() if entry.mode != SUBMODULE]
    contents = _Blobs(mirror, [entry.oid for _, entry in wanted])
    made: set[bytes] = set()
    for path, entry in entries.items():
        for folder in folders_of(path):
            if folder not in made:
                made.add(folder)
                yield _header(folder + b"/", "40000", when)
        if entry.mode == SUBMODULE:
            yield _header(path + b"/", "40000", when)
            continue
        size = contents.next(entry.oid)
        if entry.mode == SYMLINK:
            yield _header(path, SYMLINK, when, link=b"".join(contents.read()))
            continue
        yield _header(path, entry.mode, when, size=size)
        yield from contents.read()
        yield bytes(-size % tarfile.BLOCKSIZE)
    contents.finish()
    yield bytes(2 * tarfile.BLOCKSIZE)


def overlay(mirror: Mirror, tree: str, *, from_tree: str, paths: Iterable[str]) -> str:
    """`tree` with exactly these paths as `from_tree` has them: replaced, added, or taken away where it has none.

    A path that is a folder in either tree means everything in it.

    Raises:
        GitError: a tree is not there.
    """
    wanted = {names.raw(path).rstrip(b"/") for path in paths}
    ours, theirs = (
        {path: entry for path, entry in listing(mirror, t).items() if not wanted.isdisjoint((path, *folders_of(path)))}
        for t in (tree, from_tree)
    )
    changes: dict[bytes, Entry | None] = dict.fromkeys(path for path in ours if path not in theirs)
    changes.update({path: entry for path, entry in theirs.items() if ours.get(path) != entry})
    return written(mirror, tree, changes) if changes else tree


def merge_trees(mirror: Mirror, base: str, ours: str, theirs: str) -> tuple[str | None, list[str]]:
    """Merge two trees that both come from `base`: (the merged tree, []), or (None, the paths in conflict).

    Raises:
        GitError: a tree is not there.
    """
    if theirs in {ours, base}:
        return ours, []
    if ours == base:
        return theirs, []
    author = ("automend", "automend@localhost")
    root = mirror.commit(base, parents=[], message="base", author=author, when=0)
    sides = [mirror.commit(t, parents=[root], message="side", author=author, when=0) for t in (ours, theirs)]
    try:
        out = mirror.git("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", *sides)
    except GitFailed as e:
        if e.returncode != 1:
            raise
        conflicts = [names.text(path) for path in e.stdout.split(b"\0")[1:] if path]
        return None, sorted(set(conflicts))
    return out.split(b"\0")[0].decode("ascii").strip(), []


class _Blobs:
    """The contents of many blobs, in order, from one `cat-file --batch`."""

    def __init__(self, mirror: Mirror, oids: Sequence[str]) -> None:
        asked = "".join(f"{oid}\n" for oid in oids).encode("ascii")
        self._chunks = mirror.stream("cat-file", "--batch", "--buffer", stdin=asked) if oids else iter(())
        self._rest = b""
        self._left = 0

    def next(self, oid: str) -> int:
        while b"\n" not in self._rest:
            self._more()
        line, _, self._rest = self._rest.partition(b"\n")
        words = line.decode("ascii", "replace").split(" ")
        if len(words) != 3 or words[:2] != [oid, "blob"]:  # noqa: PLR2004 - id, type, size
            raise GitError(f"the mirror is damaged: `{line.decode('ascii', 'replace')}` instead of the blob {oid}")
        self._left = int(words[2])
        return self._left

    def read(self) -> Iterator[bytes]:
        while self._left:
            if not self._rest:
                self._more()
            taken, self._rest = self._rest[: self._left], self._rest[self._left :]
            self._left -= len(taken)
            yield taken
        while not self._rest:
            self._more()
        self._rest = self._rest[1:]  # the line feed after each blob

    def finish(self) -> None:
        """See git out, so that a late failure is not missed."""
        for chunk in self._chunks:
            self._rest += chunk
        if self._rest:
            raise GitError("git said more than it was asked")

    def _more(self) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise GitError("git stopped in the middle of a blob")
        self._rest += chunk


_TAR_KINDS: Mapping[str, tuple[bytes, int]] = {
    "40000": (tarfile.DIRTYPE, 0o755),
    SYMLINK: (tarfile.SYMTYPE, 0o777),
    _EXECUTABLE: (tarfile.REGTYPE, 0o755),
}


def _header(name: bytes, mode: str, when: int, *, size: int = 0, link: bytes = b"") -> bytes:
    info = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
    info.type, info.mode = _TAR_KINDS.get(mode, (tarfile.REGTYPE, 0o644))
    info.size, info.mtime = size, when
    info.linkname = link.decode("utf-8", "surrogateescape")
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
