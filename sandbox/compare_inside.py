"""Runs inside a container, on Python 3.7 or newer: see `sandbox.compare`. If it fails, the whole tree is taken."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:  # not worth its time in every container
    from typing import IO

CHUNK = 1 << 20
TOO_LARGE = 65
DEEPEST = 300
KINDS = {stat.S_IFREG: tarfile.REGTYPE, stat.S_IFLNK: tarfile.SYMTYPE, stat.S_IFDIR: tarfile.DIRTYPE}


def blob(path: bytes, size: int) -> str:
    """Git's id of a file's content; whoever wrote to it is dead, so that its size stays."""
    digest = hashlib.sha1(b"blob %d\0" % size)
    file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)  # not `open`: thousands of small files, three calls for each
    try:
        while size > 0:
            chunk = os.read(file, min(size, CHUNK))
            if not chunk:
                break
            digest.update(chunk)
            size -= len(chunk)
    finally:
        os.close(file)
    return digest.hexdigest()


def looked(
    known: dict[bytes, tuple[bytes, bytes]], folders: set[bytes], limit: int
) -> tuple[set[bytes], list[tuple[bytes, os.stat_result]]]:
    """(the known paths that are as they were, the rest as (path, stat)), folders before what is in them."""
    same: set[bytes] = set()
    rest: list[tuple[bytes, os.stat_result]] = []
    waiting = [b""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(inside or b".") as entries:
            for entry in entries:
                path = inside + entry.name
                if path == b".git":
                    continue  # the agent's own repository is nothing to anybody
                info = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(info.st_mode):
                    # Nobody takes what is deeper than any project, and it may be too deep to be walked at all.
                    waiting += [path + b"/"] if path in folders or path.count(b"/") < DEEPEST else []
                    if path not in folders:
                        rest.append((path, info))
                    continue
                if stat.S_ISREG(info.st_mode):
                    limit -= info.st_size
                    if limit < 0:
                        sys.exit(TOO_LARGE)  # a sparse file costs nothing, and reading it takes for ever
                if path in known and known[path] == told(path, info):
                    same.add(path)
                elif not stat.S_ISSOCK(info.st_mode):
                    rest.append((path, info))
    return same, rest


def told(path: bytes, info: os.stat_result) -> tuple[bytes, bytes] | None:
    """(git's mode, git's id) of what is there."""
    if stat.S_ISLNK(info.st_mode):
        target = os.readlink(path)
        return b"120000", hashlib.sha1(b"blob %d\0" % len(target) + target).hexdigest().encode()
    if stat.S_ISREG(info.st_mode):
        return b"100755" if info.st_mode & 0o100 else b"100644", blob(path, info.st_size).encode()
    return None


def packed(out: IO[bytes], rest: list[tuple[bytes, os.stat_result]]) -> None:
    """A tar of what is not as it was."""
    with tarfile.open(
        fileobj=out, mode="w|", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        root = tarfile.TarInfo("./")
        root.type = tarfile.DIRTYPE
        tar.addfile(root)
        for path, info in rest:
            entry = tarfile.TarInfo("./" + path.decode("utf-8", "surrogateescape"))
            entry.type = KINDS.get(stat.S_IFMT(info.st_mode), tarfile.FIFOTYPE)
            entry.mode = info.st_mode & 0o777
            if entry.type == tarfile.SYMTYPE:
                entry.linkname = os.readlink(path).decode("utf-8", "surrogateescape")
            if entry.type != tarfile.REGTYPE:
                tar.addfile(entry)
                continue
            entry.size = info.st_size
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
                tar.addfile(entry, file)


def main() -> None:
    """The known files on stdin, so many bytes; what changed on stdout."""
    os.chdir(sys.argv[1])
    known = {}
    for record in sys.stdin.buffer.read(int(sys.argv[3])).split(b"\0")[:-1]:
        mode, oid, path = record.split(b" ", 2)
        known[path] = (b"100755" if mode == b"100755" else b"120000" if mode == b"120000" else b"100644", oid)
    folders: set[bytes] = set()
    for path in known:
        folder = path.rpartition(b"/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition(b"/")[0]
    same, rest = looked(known, folders, int(sys.argv[2]))
    changed = b"".join(path + b"\0" for path in known if path not in same)
    out = sys.stdout.buffer
    out.write(b"%d\n" % len(changed) + changed)
    packed(out, rest)
    out.flush()


if __name__ == "__main__":
    main()
