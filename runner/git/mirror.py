"""The runner's own bare repository for one remote: everything that is judged, exported or pushed lives here.

Many processes may use one mirror. Each git command of ours holds a shared lock that the git process inherits, so it
outlives a runner that is killed; who gets the exclusive lock therefore knows that every lock file and half-made thing
in the mirror was left by the dead, and removes it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from runner.errors import GitError, RepositoryError, UsageError
from runner.git import plumbing, remotes
from runner.git.plumbing import GitFailed
from runner.git.remotes import dirty_paths

__all__ = ["Mirror", "dirty_paths"]

_FORMAT = "1"
_SCRATCH = "automend-scratch"
_PRIVATE = "refs/automend"
_SHA = re.compile(r"[0-9a-f]{40}")
_STALE_SECONDS = 3600.0  # longer than any command of ours may take
_LOCK_SECONDS = 60.0
_FETCH_SECONDS = 900.0

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
    "uploadpack.allowAnySHA1InWant": "true",
    **{f"fetch.fsck.{name}": "warn" for name in _TOLERATED},
}

_GIT_NAMES = frozenset(
    {"HEAD", "FETCH_HEAD", "ORIG_HEAD", "config", "description", "branches", "hooks", "info", "logs", "objects",
     "packed-refs", "refs", "shallow", "worktrees", "modules", _SCRATCH}
)  # fmt: skip


class Mirror:
    """The runner's own bare repository for one remote.

    Args:
        path: where it is, or shall be; a folder of its own that nobody else writes to.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path).absolute()

    def __repr__(self) -> str:
        return f"Mirror({str(self.path)!r})"

    # ── the repository itself ────────────────────────────────────────────────────────────────────────────────

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
            with self._lock(fcntl.LOCK_EX):
                self._sweep(alone=True)
                if not self._whole():
                    self._make()
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

    def keep(self, ref_name: str, commit_or_tree: str) -> None:
        """Protect an object, and all that it names, from ever being collected; `ref_name` may be kept anew.

        Raises:
            UsageError: the name cannot be a ref.
            RepositoryError: there is no such object.
        """
        self._check_name(f"{_PRIVATE}/keep/{ref_name}")
        if not self._has(commit_or_tree):
            raise RepositoryError(f"the mirror has no object {commit_or_tree}")
        self._retried("update-ref", f"{_PRIVATE}/keep/{ref_name}", commit_or_tree)

    # ── commits ──────────────────────────────────────────────────────────────────────────────────────────────

    def commit_of(self, ref_or_sha: str) -> str:
        """The full id of a commit that the mirror has, by its id or by a name given to `keep`.

        Raises:
            RepositoryError: the mirror has no such commit.
        """
        for name in (ref_or_sha, f"{_PRIVATE}/keep/{ref_or_sha}"):
            found = self._resolve(f"{name}^{{commit}}")
            if found is not None:
                return found
        raise RepositoryError(f"the mirror has no commit `{ref_or_sha}`")

    def tree_of(self, commit: str) -> str:
        """The tree of a commit.

        Raises:
            RepositoryError: the mirror has no such commit or tree.
        """
        found = self._resolve(f"{commit}^{{tree}}")
        if found is None:
            raise RepositoryError(f"the mirror has no commit `{commit}`")
        return found

    def commit(
        self, tree: str, *, parents: Sequence[str], message: str, author: tuple[str, str], when: int | None = None
    ) -> str:
        """A commit of `tree`; the same arguments make the same commit where `when` (seconds since 1970, UTC) is given.

        Raises:
            GitError: the tree or a parent is not there, or the author is no name and address.
        """
        name, mail = author
        date = f"@{int(time.time()) if when is None else when} +0000"
        env = {
            "GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": mail, "GIT_AUTHOR_DATE": date,
            "GIT_COMMITTER_NAME": name, "GIT_COMMITTER_EMAIL": mail, "GIT_COMMITTER_DATE": date,
        }  # fmt: skip
        named = [word for parent in parents for word in ("-p", parent)]
        text = message.replace("\0", "").encode("utf-8", "replace")
        return self.git("commit-tree", *named, "-F", "-", tree, stdin=text, env=env).decode().strip()

    def merge_base(self, a: str, b: str) -> str | None:
        """The best common ancestor of two commits, or None where they have none.

        Raises:
            GitError: one of them is not there.
        """
        try:
            return self.git("merge-base", a, b).decode().split("\n", 1)[0]
        except GitFailed as e:
            if e.returncode == 1:
                return None
            raise

    def is_ancestor(self, a: str, b: str) -> bool:
        """Whether commit `a` is `b` or comes before it.

        Raises:
            GitError: one of them is not there.
        """
        try:
            self.git("merge-base", "--is-ancestor", a, b)
        except GitFailed as e:
            if e.returncode == 1:
                return False
            raise
        return True

    # ── the remote ───────────────────────────────────────────────────────────────────────────────────────────

    def fetch(self, remote: str, *, ref: str | None, auth: Mapping[str, str]) -> str:
        """Bring a branch, tag or commit of `remote` in, and return its commit.

        Args:
            remote: a folder, or a file, http or https address.
            ref: what to fetch; the remote's HEAD when None. In a folder, anything that git understands (`HEAD~1`).
            auth: GIT_CONFIG_* variables that let git in.

        Raises:
            RepositoryError: there is no such repository or ref, or it is empty or shallow.
            GitError: the network, the server or git failed.
        """
        source = remotes.locate(remote)
        sha = remotes.resolve(source, ref, auth)
        if sha is None:  # some part of the history, which only a copy can tell
            sha = self._search(source, ref or "HEAD", auth)
        mark = f"{_PRIVATE}/base/{sha}"
        if self._resolve(f"{mark}^{{commit}}") is None:
            try:
                self._fetch(source, f"{sha}:{mark}", auth)
            except RepositoryError:
                raise
            except GitError as e:
                if not (isinstance(e, GitFailed) and remotes.refused_sha(e)):
                    raise
                self._search(source, sha, auth)
                self._retried("update-ref", mark, sha)
        commit = self._resolve(f"{mark}^{{commit}}")
        if commit is None:
            raise remotes.shallow(source) if self._resolve(mark) is None else remotes.unknown(source, ref or sha, auth)
        return commit

    def remote_sha(self, remote: str, branch: str, auth: Mapping[str, str]) -> str | None:
        """The commit that a branch of `remote` is at now, or None where there is no such branch.

        Raises:
            RepositoryError: there is no such repository.
            GitError: the network, the server or git failed.
        """
        if not branch:
            return None
        name = branch if branch.startswith("refs/heads/") else f"refs/heads/{branch}"
        return remotes.advertised(remotes.locate(remote), auth, name).get(name)

    def push(
        self, remote: str, *, commit: str, branch: str, auth: Mapping[str, str], expected: str | None = None
    ) -> None:
        """Create `branch` at `remote`, or move it forward, so that it is at `commit`; nothing where it is already.

        Args:
            expected: the commit that the branch must be at now ("" for: must not exist). With it the branch may also
                be moved to a commit that does not descend from it; without it, only forward.

        Raises:
            RepositoryError: the branch is somewhere else, is checked out in a folder, or may not be written.
            GitError: the network, the server or git failed.
        """
        name = branch if branch.startswith("refs/heads/") else f"refs/heads/{branch}"
        self._check_name(name)
        source = remotes.locate(remote)
        if self.remote_sha(remote, name, auth) == commit:
            return
        remotes.refuse_checked_out(source, name)
        lease = [] if expected is None else [f"--force-with-lease={name}:{expected}"]
        try:
            self.git(
                "push", "--quiet", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", *lease,
                "--", source.address, f"{commit}:{name}", env=auth, timeout=_FETCH_SECONDS,
            )  # fmt: skip
        except GitFailed as e:
            if self.remote_sha(remote, name, auth) == commit:  # the answer was lost, or somebody did it with us
                return
            raise remotes.explain(e, source) from e

    def _fetch(self, source: remotes.Source, refspec: str, auth: Mapping[str, str]) -> None:
        try:
            self.git(
                "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
                "--no-recurse-submodules", "--no-show-forced-updates", "--", source.address, refspec,
                env=auth, timeout=_FETCH_SECONDS,
            )  # fmt: skip
        except GitFailed as e:
            if remotes.refused_sha(e) or self._taken(e):
                # A twin of ours may have fetched the same commit into the same ref at the same time.
                if self._resolve(refspec.partition(":")[2]) is not None:
                    return
                raise
            raise remotes.explain(e, source) from e

    def _search(self, source: remotes.Source, ref: str, auth: Mapping[str, str]) -> str:
        """Bring every branch and tag in, and look for the beginning of a commit's id among them."""
        found = None
        if re.fullmatch(r"[0-9a-f]{4,40}", ref):
            space = f"{_PRIVATE}/all/{source.key}"
            self._fetch(source, f"+refs/heads/*:{space}/heads/*", auth)
            self._fetch(source, f"+refs/tags/*:{space}/tags/*", auth)
            found = self._resolve(f"{ref}^{{commit}}")
        if found is None:
            raise remotes.unknown(source, ref, auth)
        return found

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────

    def _resolve(self, expression: str) -> str | None:
        try:
            found = self.git("rev-parse", "--verify", "--quiet", "--end-of-options", expression).decode().strip()
        except GitFailed as e:
            if e.returncode in {1, 128}:
                return None
            raise
        return found if _SHA.fullmatch(found) else None

    def _has(self, oid: str) -> bool:
        return self._resolve(f"{oid}^{{object}}") is not None

    def _check_name(self, name: str) -> None:
        try:
            if name.startswith("refs/heads/-"):  # a ref may be called so, a branch may not
                raise UsageError(f"`{name}` cannot be the name of a branch")
            self.git("check-ref-format", name)
        except GitFailed:
            raise UsageError(f"`{name}` cannot be the name of a branch or ref") from None

    @staticmethod
    def _taken(e: GitFailed) -> bool:
        return "cannot lock ref" in e.stderr or ".lock': File exists" in e.stderr

    def _retried(self, *args: str) -> None:
        """A short command that may meet a twin at the same ref."""
        for pause in (0.02, 0.05, 0.1, 0.2, 0.4):
            try:
                self.git(*args)
            except GitFailed as e:
                if not self._taken(e):
                    raise
                time.sleep(pause)
            else:
                return
        self.git(*args)

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

    def _make(self) -> None:
        """Make the repository beside its place and move it there; or mend one, in its place, that is not whole."""
        if self.path.exists() or self.path.is_symlink():
            if not self.path.is_dir() or not {entry.name for entry in self.path.iterdir()} <= _GIT_NAMES:
                raise RepositoryError(f"{self.path} is in the way: it is no mirror of ours", remedy="move it away")
            self._furnish(self.path, again=True)
            if self._whole():
                return
            shutil.rmtree(self.path)
        fresh = Path(tempfile.mkdtemp(prefix=f"{self.path.name}.new-", dir=self.path.parent))
        self._furnish(fresh, again=False)
        fresh.rename(self.path)

    @staticmethod
    def _furnish(folder: Path, *, again: bool) -> None:
        if again:  # what `init` would stumble over
            for name in ("config", "HEAD"):
                (folder / name).unlink(missing_ok=True)
        plumbing.run(
            ["init", "--quiet", "--bare", "--template=", "--initial-branch=none", "--object-format=sha1"],
            git_dir=folder,
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
