"""A bare repository of the runner's own, which many processes may use, and in which any of them may be killed.

Each git command of ours holds a shared lock that the git process inherits, so it outlives a runner that is killed; who
gets the exclusive lock therefore knows that every lock file and half-made thing was left by the dead, and removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from runner.errors import GitError, RepositoryError
from runner.git import plumbing
from runner.git.plumbing import GitFailed

_FORMAT = "1"
_SCRATCH = "automend-scratch"
_STALE_SECONDS = 3600.0  # longer than any command of ours may take
_LOCK_SECONDS = 60.0

# What a repository (its own .gitattributes, on any branch) may say about how its files are read: nothing.
_ATTRIBUTES = (
    "* !diff !merge !text !eol !crlf !filter !ident !whitespace !working-tree-encoding !conflict-marker-size"
    " !export-ignore !export-subst\n"
)

# Mistakes that old commits of honest projects have, and that harm nobody. The rest of fsck stays strict.
_TOLERATED = (
    "zeroPaddedFilemode", "badTimezone", "missingSpaceBeforeDate", "missingSpaceBeforeEmail", "missingEmail",
    "missingNameBeforeEmail", "badEmail", "badName", "badDate", "badDateOverflow", "zeroPaddedDate",
    "multipleAuthors", "missingTaggerEntry", "badTagName", "nulInCommit",
)  # fmt: skip

_CONFIG = {
    "automend.mirror": _FORMAT,
    "core.bare": "true",
    "core.logAllRefUpdates": "false",
    "core.protectNTFS": "true",
    "core.protectHFS": "true",
    "core.symlinks": "true",
    "core.fileMode": "true",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "transfer.fsckObjects": "true",
    "fetch.fsckObjects": "true",
    "receive.fsckObjects": "true",
    "receive.denyDeletes": "true",
    **{f"fetch.fsck.{name}": "warn" for name in _TOLERATED},
}

_GIT_NAMES = frozenset(
    {"HEAD", "FETCH_HEAD", "ORIG_HEAD", "config", "description", "branches", "hooks", "info", "logs", "objects",
     "packed-refs", "refs", "shallow", "worktrees", "modules", _SCRATCH}
)  # fmt: skip


class BareRepository:
    """A bare repository of the runner's own.

    Args:
        path: where it is, or shall be; a folder of its own that nobody else writes to.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    def ensure(self) -> None:
        """Make the repository if it is not there; mend what a killed process left.

        Safe to call at any time, from any number of processes.

        Raises:
            RepositoryError: something that is not a mirror is in its place.
            GitError: git or the disk failed, or another process does not let go.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._whole():
                with self._lock(fcntl.LOCK_EX, wait=False) as alone:
                    self._sweep(alone=alone is not None)
                return
            with self._lock(fcntl.LOCK_EX) as lock:
                self._sweep(alone=True)
                if not self._whole():
                    self._make(lock)
        except OSError as e:
            raise GitError(
                f"the mirror at {self.path} cannot be made: {e}", remedy="look at the disk's room and rights"
            ) from e

    def git(
        self,
        *args: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> bytes:
        """What a git command on this mirror prints; see `plumbing.run`.

        Raises:
            GitError: it failed or took too long.
        """
        with self._lock(fcntl.LOCK_SH) as lock:
            return plumbing.run(
                args, git_dir=self.path, stdin=stdin, env=env, timeout=timeout, pass_fds=() if lock is None else (lock,)
            )

    def stream(self, *args: str, stdin: bytes = b"", timeout: float = 600) -> Iterator[bytes]:
        """What a git command on this mirror prints, chunk by chunk; see `plumbing.stream`.

        Raises:
            GitError: it failed or took too long.
        """
        return plumbing.stream(args, git_dir=self.path, stdin=stdin, timeout=timeout)

    @contextmanager
    def feed(
        self, *args: str, env: Mapping[str, str] | None = None, timeout: float = 600
    ) -> Iterator[Callable[[bytes], object]]:
        """A git command on this mirror that reads what the block writes; see `plumbing.feed`.

        Raises:
            GitError: it failed or took too long.
        """
        with self._lock(fcntl.LOCK_SH) as lock:
            fds = () if lock is None else (lock,)
            with plumbing.feed(args, git_dir=self.path, env=env, timeout=timeout, pass_fds=fds) as write:
                yield write

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder inside the mirror for an index or for objects on trial; gone afterwards, or at the next `ensure`."""
        with self._lock(fcntl.LOCK_SH):
            (self.path / _SCRATCH).mkdir(exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.path / _SCRATCH, ignore_cleanup_errors=True) as folder:
                yield Path(folder)

    def _whole(self) -> bool:
        if not (self.path / "HEAD").is_file() or not (self.path / "objects").is_dir():
            return False
        if not (self.path / "info" / "attributes").is_file():
            return False
        try:
            version = plumbing.run(["config", "--local", "automend.mirror"], git_dir=self.path)
            plumbing.run(["rev-parse", "--is-bare-repository"], git_dir=self.path)
        except GitFailed:
            return False
        return version.decode().strip() == _FORMAT

    def _make(self, lock: int | None) -> None:
        """Make the repository beside its place and move it there; or mend one, in its place, that is not whole."""
        if self.path.exists() or self.path.is_symlink():
            if not self.path.is_dir() or not {entry.name for entry in self.path.iterdir()} <= _GIT_NAMES:
                raise RepositoryError(f"{self.path} is in the way: it is no mirror of ours", remedy="move it away")
            self._furnish(self.path, lock, again=True)
            if self._whole():
                return
            shutil.rmtree(self.path)
        fresh = Path(tempfile.mkdtemp(prefix=f"{self.path.name}.new-", dir=self.path.parent))
        self._furnish(fresh, lock, again=False)
        fresh.rename(self.path)

    @staticmethod
    def _furnish(folder: Path, lock: int | None, *, again: bool) -> None:
        if again:  # what `init` would stumble over
            for name in ("config", "HEAD"):
                (folder / name).unlink(missing_ok=True)
        plumbing.run(
            ["init", "--quiet", "--bare", "--template=", "--initial-branch=none", "--object-format=sha1"],
            git_dir=folder,
            pass_fds=() if lock is None else (lock,),
        )
        (folder / "info").mkdir(exist_ok=True)
        (folder / "info" / "attributes").write_text(_ATTRIBUTES, encoding="ascii")
        lines: dict[str, list[str]] = {}
        for name, value in _CONFIG.items():
            section, _, key = name.rpartition(".")
            lines.setdefault(section, []).append(f"\t{key} = {value}\n")
        text = "[core]\n\trepositoryformatversion = 0\n"
        for section, keys in lines.items():
            first, _, second = section.partition(".")
            text += (f'[{first} "{second}"]\n' if second else f"[{first}]\n") + "".join(keys)
        half = folder / "config.new"
        half.write_text(text, encoding="ascii")
        half.rename(folder / "config")

    @contextmanager
    def _lock(self, kind: int, *, wait: bool = True) -> Iterator[int | None]:
        """The mirror's lock, as an open file; None where nobody may wait and somebody else has it."""
        fd = os.open(self.path.with_name(self.path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            end = time.monotonic() + _LOCK_SECONDS
            while True:
                try:
                    fcntl.flock(fd, kind | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not wait:
                        yield None
                        return
                    if time.monotonic() > end:
                        raise GitError(
                            f"another process has held the mirror at {self.path} for {_LOCK_SECONDS:.0f} s",
                            remedy="look for a git process that hangs",
                        ) from None
                    time.sleep(0.02)
            yield fd
        finally:
            os.close(fd)

    def _sweep(self, *, alone: bool) -> None:
        """Remove what the dead left: everything where we are alone, else only what is too old to be in use."""
        oldest = time.time() - _STALE_SECONDS
        left = [*self.path.parent.glob(f"{self.path.name}.new-*")] if alone else []
        if self.path.is_dir():
            left += self.path.glob("*.lock")
            left += self.path.glob("refs/**/*.lock")
            left += self.path.glob("objects/info/*.lock")
            left += self.path.glob("objects/pack/tmp_*")
            left += self.path.glob(f"{_SCRATCH}/*")
        for path in left:
            with contextlib.suppress(FileNotFoundError):
                if alone or path.lstat().st_mtime < oldest:
                    if path.is_dir() and not path.is_symlink():
                        shutil.rmtree(path, ignore_errors=True)
                    else:
                        path.unlink()
