"""The runner's own bare repository for one remote: everything that is judged, exported or pushed lives here."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from runner.errors import GitError, RepositoryError, UsageError
from runner.git import remotes
from runner.git.bare import BareRepository
from runner.git.plumbing import GitFailed
from runner.git.remotes import dirty_paths

__all__ = ["Mirror", "dirty_paths"]

_PRIVATE = "refs/automend"
_SHA = re.compile(r"[0-9a-f]{40}")
_FETCH_SECONDS = 900.0
_TWIN_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds to wait where a twin of ours writes the same ref."""


class Mirror(BareRepository):
    """The runner's own bare repository for one remote.

    Args:
        path: where it is, or shall be; a folder of its own that nobody else writes to.
    """

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
        for pause in (*_TWIN_PAUSES, None):
            try:
                self.git(
                    "push", "--quiet", "--no-verify", "--no-follow-tags", "--recurse-submodules=no", *lease,
                    "--", source.address, f"{commit}:{name}", env=auth, timeout=_FETCH_SECONDS,
                )  # fmt: skip
            except GitFailed as e:
                if self.remote_sha(remote, name, auth) == commit:  # the answer was lost, or somebody did it with us
                    return
                if pause is None or not remotes.ref_was_held(e):
                    raise remotes.explain(e, source) from e
                time.sleep(pause)
            else:
                return

    def withdraw(self, remote: str, *, commit: str, branch: str, auth: Mapping[str, str]) -> bool:
        """Delete a branch of `remote` that is still at `commit`; False where it is not (any more).

        Raises:
            RepositoryError: there is no such repository, or the branch may not be written.
            GitError: the network, the server or git failed.
        """
        name = f"refs/heads/{branch}"
        self._check_name(name)
        source = remotes.locate(remote)
        if self.remote_sha(remote, name, auth) != commit:
            return False
        try:
            self.git(
                "push", "--quiet", "--no-verify", "--recurse-submodules=no", f"--force-with-lease={name}:{commit}",
                "--", source.address, f":{name}", env=auth, timeout=_FETCH_SECONDS,
            )  # fmt: skip
        except GitFailed as e:
            raise remotes.explain(e, source) from e
        return True

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
        for pause in _TWIN_PAUSES:
            try:
                self.git(*args)
            except GitFailed as e:
                if not self._taken(e):
                    raise
                time.sleep(pause)
            else:
                return
        self.git(*args)
