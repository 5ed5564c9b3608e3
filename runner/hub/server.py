"""The hub as a whole: one port that speaks git, REST, GraphQL, and to people."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from runner.errors import OutsideError, UsageError
from runner.hub import merging, pulls
from runner.hub.bare import Bare, Change
from runner.hub.ci import CiWorker
from runner.hub.githttp import GitHttp
from runner.hub.graphql import GraphQl
from runner.hub.pages import Pages
from runner.hub.rest.dispatch import Rest
from runner.hub.site import Ci, Site
from runner.hub.store import Repo, User

log = logging.getLogger(__name__)

_START_SECONDS = 120.0


class Hub:
    """A GitHub-shaped server over bare repositories.

    REST is below `/api/v3` (as on GitHub Enterprise), GraphQL at `/api/graphql`, git at `/OWNER/NAME.git`, pages
    for people at `/OWNER/NAME/pull/N`. `app` is the ASGI application; a test may wrap it before `start`.

    Args:
        root: where it keeps everything. Accounts, repositories and unfinished CI survive a restart, a kill too.
        ci: run for every pull request head that appears or moves, in a thread of its own:
            `ci(repo, sha, git_dir) -> (conclusion, title, text)`. None: no CI, checks come from outside.
        rate_limit: REST requests per account and hour; GitHub allows 5,000 to a person, 15,000 to a company's App.
    """

    def __init__(self, root: Path, *, ci: Ci | None = None, rate_limit: int = 15_000) -> None:
        self.site = Site(root)
        self._worker = CiWorker(self.site, ci) if ci is not None else None
        self._rest = Rest(self.site, limit=rate_limit)
        # Git before pages: /OWNER/NAME/info/refs; pages last, as /OWNER/NAME takes all that is left.
        graphql = GraphQl(self.site, self._rest.meter)
        routes = [
            *self._rest.routes(), *graphql.routes(), *GitHttp(self.site).routes(), *Pages(self.site).routes(),
        ]  # fmt: skip
        self.app: ASGIApp = Starlette(routes=routes)
        self.url: str | None = None
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    # ── what is on it ────────────────────────────────────────────────────────────────────────────────────────

    def add_user(self, login: str, *, token: str | None, password: str | None = None) -> User:
        """Make an account, or give an existing one a new token (and password).

        Raises:
            UsageError: the login is not one.
        """
        return self.site.add_user(login, token=token, password=password)

    def create_repo(
        self,
        full_name: str,
        *,
        source: Path | None = None,
        default_branch: str = "main",
        collaborators: Mapping[str, str] | None = None,
        required_approvals: int = 1,
        required_checks: tuple[str, ...] = ("ci",),
        private: bool = False,
    ) -> Repo:
        """Make OWNER/NAME, filled with `default_branch` of the local repository `source`.

        With approvals or checks required the default branch is protected: it moves by pull request only, admins
        included (a first push into an empty repository is let through).

        Raises:
            UsageError: the name is wrong or taken, a permission is unknown, or `source` has no such branch.
        """
        return self.site.create_repo(
            full_name,
            source=source,
            default_branch=default_branch,
            collaborators=dict(collaborators or {}),
            required_approvals=required_approvals,
            required_checks=required_checks,
            private=private,
        )

    def has_repo(self, full_name: str) -> bool:
        """Whether there is such a repository."""
        return self.site.repo(*_split(full_name)) is not None

    def git_dir(self, full_name: str) -> Path:
        """Where a repository's bare git directory is.

        Raises:
            UsageError: there is no such repository.
        """
        return self._git(full_name)[1].path

    def commit(
        self, full_name: str, changes: Mapping[str, bytes | None], message: str, *,
        branch: str | None = None, author: str = "somebody",
    ) -> str:  # fmt: skip
        """Put a commit on a branch past all protection, as a colleague's work would come: None deletes a file.

        Raises:
            UsageError: there is no such repository.
            GitError: a path that git refuses.
        """
        repo, git = self._git(full_name)
        name = branch or repo.default_branch
        with self.site.git_lock:
            parent = git.head(name)
            files = [Change(path, content) for path, content in changes.items()]
            made = git.commit_changes(parent, files, message, self.site.identity(author))
            git.move(f"refs/heads/{name}", made)
            pulls.synchronize(self.site, repo)
        return made

    def ci_settled(self, timeout: float = 60.0) -> bool:
        """Wait until no CI is waiting or running; whether that came about within so many seconds."""
        return self._worker is None or self._worker.settled(timeout)

    def _git(self, full_name: str) -> tuple[Repo, Bare]:
        repo = self.site.repo(*_split(full_name))
        if repo is None:
            raise UsageError(f"{full_name} is not on this hub")
        return repo, self.site.git(repo)

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve in a thread and return the address.

        Raises:
            OutsideError: the port cannot be had, or nobody listens there in time.
        """
        bound = self._bind(host, port)
        self._server = _Server(_config(self.app))
        self._thread = threading.Thread(target=self._server.run, args=([bound],), name="hub", daemon=True)
        self._thread.start()
        if not self._server.up.wait(_START_SECONDS):
            raise OutsideError(f"the hub did not start within {_START_SECONDS:g} s", remedy="its log says why")
        return str(self.url)

    def serve_here(self, host: str, port: int) -> None:
        """Serve in this thread until a signal comes (the process form of `start`).

        Raises:
            OutsideError: the port cannot be had.
        """
        bound = self._bind(host, port)
        log.info("hub listens on %s", self.url)
        try:
            uvicorn.Server(_config(self.app)).run([bound])
        finally:
            self._end()

    def _bind(self, host: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as e:
            bound.close()
            raise OutsideError(f"the hub cannot listen on {host}:{port}: {e}", remedy="name another port") from e
        name = f"[{host}]" if family == socket.AF_INET6 else host
        self.url = f"http://{name}:{bound.getsockname()[1]}"
        # What a killed hub did not get to: merges half written down, pushes that no pull request knows of.
        for repo in self.site.repos():
            merging.recover(self.site, repo)
            pulls.synchronize(self.site, repo)
        if self._worker is not None:
            self._worker.start()
        return bound

    def stop(self) -> None:
        """Stop serving. Safe to call twice."""
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join(120)
            self._server = self._thread = None
            self._end()

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.stop()
        self.site.store.close()


class _Server(uvicorn.Server):
    """Tells when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=5)


def _split(full_name: str) -> tuple[str, str]:
    owner, _, name = full_name.partition("/")
    return owner, name


def serve(root: Path, port: int, *, host: str = "127.0.0.1", ci: Ci | None = None) -> None:
    """Run a hub as this process, until a signal comes.

    Raises:
        OutsideError: the port cannot be had.
    """
    Hub(root, ci=ci).serve_here(host, port)
