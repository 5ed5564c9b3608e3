"""One builder at a time on this host: what takes minutes is made once, and everybody else waits for it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.errors import SandboxError


@contextmanager
def one_at_a_time(name: str, *, progress: Callable[[str], None]) -> Iterator[None]:
    """Hold the host-wide lock `name`; the kernel lets it go when this process ends, however it ends.

    Raises:
        SandboxError: the lock file cannot be used.
    """
    fd = _open(name)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that is building the same")
            fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


@contextmanager
def if_free(name: str) -> Iterator[bool]:
    """Whether the lock `name` was free; it is held until the end if so.

    Raises:
        SandboxError: the lock file cannot be used.
    """
    fd = _open(name)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(fd)


def _open(name: str) -> int:
    path = Path(tempfile.gettempdir()) / f"automend-{os.geteuid()}-{name}.lock"
    try:
        # The directory is everybody's: no symlink is followed, and what is there must be ours.
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as e:
        raise SandboxError(f"the lock {path} cannot be opened: {e}", remedy=f"remove {path}") from e
    if os.fstat(fd).st_uid != os.geteuid():
        os.close(fd)
        raise SandboxError(f"the lock {path} belongs to somebody else", remedy=f"remove {path}, or set TMPDIR")
    return fd
