"""One builder at a time on this host: what takes minutes is made once, and everybody else waits for it.

A lock is a file in the temporary folder, because what it guards is the engine's and so the host's, whichever
installation asks. It is gone when nobody holds it; what a killed process leaves (its lock, its scratch folder) is
recognised by a lock that is free, and swept by the next one.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sandbox.errors import SandboxError

LOCK = ".lock"
SCRATCH = ".scratch"


@contextmanager
def one_at_a_time(name: str, *, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold the host-wide lock `name`; the kernel lets it go when this process ends, however it ends.

    Raises:
        SandboxError: the lock file cannot be used.
    """
    path = _path(name, LOCK)
    fd = _taken(path, wait=False)
    if fd is None:
        progress("waiting for another process that is building the same")
        fd = _taken(path, wait=True)
    try:
        yield
    finally:
        _let_go(path, fd)


@contextmanager
def if_free(name: str) -> Iterator[bool]:
    """Whether the lock `name` was free; it is held until the end if so.

    Raises:
        SandboxError: the lock file cannot be used.
    """
    path = _path(name, LOCK)
    fd = _taken(path, wait=False)
    try:
        yield fd is not None
    finally:
        _let_go(path, fd)


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A folder of our own for as long as the lock `name` is held, which is the caller's business.

    Whoever held it before is gone, so what is left of its folders goes now.

    Raises:
        SandboxError: there is no room for it.
    """
    _drop_scratch(name)
    try:
        folder = tempfile.mkdtemp(prefix=_path(name, f"{SCRATCH}-").name)
    except OSError as e:
        raise SandboxError(f"no temporary folder: {e}", remedy="set TMPDIR to a folder with room") from e
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_locks(*, dry_run: bool = False) -> list[str]:
    """Remove our locks that nobody holds and the scratch folders of those who are gone; their paths.

    Raises:
        SandboxError: a lock file cannot be used.
    """
    prefix = _path("", "").name
    here = Path(tempfile.gettempdir())
    names = {path.name[len(prefix) : -len(LOCK)] for path in here.glob(f"{prefix}*{LOCK}")}
    names |= {path.name[len(prefix) :].rpartition(f"{SCRATCH}-")[0] for path in here.glob(f"{prefix}*{SCRATCH}-*")}
    gone: list[str] = []
    for name in sorted(names):
        path = _path(name, LOCK)
        was_there = path.exists()
        fd = _taken(path, wait=False)
        if fd is None:
            continue
        gone += [str(path)] if was_there else []
        gone += _drop_scratch(name, dry_run=dry_run)
        if dry_run and was_there:
            os.close(fd)
        else:
            _let_go(path, fd)
    return gone


def _drop_scratch(name: str, *, dry_run: bool = False) -> list[str]:
    found = [p for p in Path(tempfile.gettempdir()).glob(_path(name, f"{SCRATCH}-*").name) if _is_ours(p)]
    if not dry_run:
        for folder in found:
            shutil.rmtree(folder, ignore_errors=True)
    return [str(folder) for folder in found]


def _is_ours(folder: Path) -> bool:
    with suppress(OSError):
        return folder.is_dir() and not folder.is_symlink() and folder.lstat().st_uid == os.geteuid()
    return False


def _path(name: str, ending: str) -> Path:
    return Path(tempfile.gettempdir()) / f"automend-{os.geteuid()}-{name}{ending}"


def _taken(path: Path, *, wait: bool) -> int | None:
    """The lock, held; None where somebody else has it and we are not to wait."""
    while True:
        fd = _open(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), path.lstat()):
                return fd
        os.close(fd)  # its holder took it away while we waited: what is there now is another one


def _let_go(path: Path, fd: int | None) -> None:
    if fd is not None:
        path.unlink(missing_ok=True)  # held still, so it is ours to take away
        os.close(fd)


def _open(path: Path) -> int:
    try:
        # The directory is everybody's: no symlink is followed, and what is there must be ours.
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise SandboxError(f"the lock {path} cannot be opened: {e}", remedy=f"remove {path}") from e
    if os.fstat(fd).st_uid != os.geteuid():
        os.close(fd)
        raise SandboxError(f"the lock {path} belongs to somebody else", remedy=f"remove {path}, or set TMPDIR")
    return fd
