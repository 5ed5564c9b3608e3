"""What all parts of the adapter stand on: one token's line to the forge, and who that is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from github.GithubException import GithubException, RateLimitExceededException
from github.PullRequest import PullRequest as GitHubPull
from github.Repository import Repository

from runner.errors import ForgeError
from runner.github.connection import Reader, connect
from runner.github.failures import FORBIDDEN, told
from runner.github.shapes import checked_repo, checked_token

Found = TypeVar("Found")


class Client:
    """A line to the forge with one token. Blocking; may be used by many threads.

    Writes are made one at a time, as GitHub asks of its clients; that also closes the gap between looking for a
    trace and leaving it.

    Args:
        token: a personal, fine-grained or installation token.
        api_url: as in GITHUB_API_URL.
        server_url: as in GITHUB_SERVER_URL; git and people go there.
        timeout: longest wait for the next bytes of an answer, in seconds.
        retries: how often a failed read is repeated.
        patience: longest wait for a rate limit, in seconds; a longer one is a `ForgeError`.

    Raises:
        ConfigError: the token is empty or holds characters that no token has.
    """

    def __init__(
        self,
        *,
        token: str,
        api_url: str = "https://api.github.com",
        server_url: str = "https://github.com",
        timeout: int = 20,
        retries: int = 3,
        patience: float = 60.0,
    ) -> None:
        self._token = checked_token(token)
        self._api_url = api_url.rstrip("/")
        self._server_url = server_url.rstrip("/")
        self._github = connect(
            token=self._token, api_url=self._api_url, timeout=timeout, retries=retries, patience=patience
        )
        self._reader = Reader(self._github.requester)
        self._writing = threading.RLock()
        self._login: str | None = None
        self._writers: dict[tuple[str, str], tuple[float, bool]] = {}  # (repo, login): when asked, may write

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._api_url})"

    def whoami(self) -> str:
        """The login that we act as."""
        if self._login is None:
            with self._told("asking who we are"):
                self._login = self._ask_login()
        return self._login

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        with told(doing, api_url=self._api_url, secret=self._token):
            yield

    def _repo(self, repo: str) -> Repository:
        return self._github.get_repo(checked_repo(repo))

    def _raw_pull(self, repo: str, number: int) -> GitHubPull:
        return self._repo(repo).get_pull(number)

    def _send(self, verb: str, path: str, **body: Any) -> Any:
        _, data = self._github.requester.requestJsonAndCheck(verb, path, input=body or None)
        return data

    def _look_again(self, error: ForgeError, find: Callable[[], Found | None]) -> Found:
        """What `find` finds after a write failed, else the failure."""
        found = find()
        if found is None:
            raise error
        return found

    def _ask_login(self) -> str:
        try:
            return str(self._reader.get("/user")["login"])
        except GithubException as e:
            # Installation tokens have no user; GraphQL's viewer knows the app's login.
            if e.status != FORBIDDEN or isinstance(e, RateLimitExceededException):
                raise
            _, data = self._github.requester.graphql_query("query { viewer { login } }", {})
            return str(data["data"]["viewer"]["login"])
