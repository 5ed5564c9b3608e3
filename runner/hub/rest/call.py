"""One REST request as its handler sees it, and the answers it can give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from runner.hub.bare import Bare
from runner.hub.pulls import issue_of, pull_of
from runner.hub.rest.links import Links
from runner.hub.site import Site
from runner.hub.store import Issue, Pull, Record, Repo, User

DOCS = "https://docs.github.com/rest"
T = TypeVar("T")
R = TypeVar("R", bound=Record)


class ApiError(Exception):
    """An answer that is not a success, in GitHub's shape.

    Args:
        status: the HTTP status.
        message: GitHub's words.
        errors: details of a 422.
    """

    def __init__(self, status: int, message: str, errors: Sequence[Any] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.errors = status, message, errors

    def document(self, docs: str) -> dict[str, Any]:
        """The JSON body."""
        body: dict[str, Any] = {"message": self.message, "documentation_url": docs, "status": str(self.status)}
        if self.errors is not None:
            body["errors"] = list(self.errors)
        return body


def not_found() -> ApiError:
    """What GitHub says where there is nothing, or nothing that the caller may see."""
    return ApiError(404, "Not Found")


def malformed(name: str, wanted: str) -> ApiError:
    """A body whose field has the wrong type."""
    return ApiError(422, f"Invalid request.\n\nFor 'properties/{name}', the value is not {wanted}.")


def invalid(resource: str, code: str, *, field: str | None = None, message: str | None = None) -> ApiError:
    """A 422 with one detail."""
    detail: dict[str, Any] = {"resource": resource, "code": code}
    if field is not None:
        detail["field"] = field
    if message:
        detail["message"] = message
    return ApiError(422, "Validation Failed", [detail])


@dataclass
class Listing:
    """Many things, of which one page is shown. `wrap` names the key of GitHub's `{total_count, KEY: [...]}`."""

    items: Sequence[Any]
    show: Callable[[Any], Any]
    wrap: str | None = None


@dataclass
class Answer:
    """What a handler says. `text` is sent instead of JSON where it is given; neither: no body at all."""

    status: int
    body: Any = None
    text: bytes | None = None
    media: str = "application/json; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


Result = Answer | Listing
Handler = Callable[["Call"], Result]
Access = Literal["anyone", "user", "read", "comment", "write", "admin"]


@dataclass(frozen=True)
class Route:
    """One operation: who may call it, and where GitHub documents it (below docs.github.com/rest)."""

    method: str
    path: str
    access: Access
    handler: Handler
    docs: str


class Call:
    """The request: who asks, of which repository, with what."""

    def __init__(
        self, site: Site, links: Links, user: User | None, *, path: Mapping[str, str], query: Mapping[str, str],
        body: Mapping[str, Any], accept: str,
    ) -> None:  # fmt: skip
        self.site, self.links, self.path, self.query, self.body, self.accept = site, links, path, query, body, accept
        self._user = user
        self._repo = site.repo(path["owner"], path["repo"]) if "repo" in path else None

    # ── who and where ────────────────────────────────────────────────────────────────────────────────────────

    @property
    def user(self) -> User:
        """Who asks.

        Raises:
            ApiError: nobody did (401).
        """
        if self._user is None:
            raise ApiError(401, "Requires authentication")
        return self._user

    @property
    def caller(self) -> User | None:
        """Who asks, if they said so."""
        return self._user

    @property
    def repo(self) -> Repo:
        """The repository of the path.

        Raises:
            ApiError: there is none, or the caller may not see it (404).
        """
        if self._repo is None or not self.site.may(self._repo, self._user, "read"):
            raise not_found()
        return self._repo

    @property
    def git(self) -> Bare:
        """The repository's git."""
        return self.site.git(self.repo)

    def authorize(self, access: Access) -> None:
        """Let the caller through or not.

        Raises:
            ApiError: 401, 403 or 404.
        """
        if access == "anyone":
            return
        if access == "user":
            _ = self.user
            return
        repo = self.repo
        if access == "read":
            return
        user = self.user
        level = {"comment": "read", "write": "write", "admin": "admin"}[access]
        if not self.site.may(repo, user, level):
            raise ApiError(403, f"Must have {access} rights to the repository.")

    # ── things named by the path ─────────────────────────────────────────────────────────────────────────────

    def number(self, name: str) -> int:
        """A number of the path.

        Raises:
            ApiError: it is none (404).
        """
        text = self.path[name]
        if not text.isascii() or not text.isdigit():
            raise not_found()
        return int(text)

    def issue(self) -> Issue:
        """The issue (or pull request) of the path, else 404."""
        found = issue_of(self.site, self.repo, self.number("number"))
        if found is None:
            raise not_found()
        return found

    def pull(self) -> Pull:
        """The pull request of the path, else 404."""
        found = pull_of(self.site, self.repo, self.number("number"))
        if found is None:
            raise not_found()
        return found

    def record(self, kind: type[R], name: str = "id") -> R:
        """The record of the path by its id, if it is of this repository, else 404."""
        found = self.site.store.get(kind, self.number(name), repo=self.repo.id)
        if found is None:
            raise not_found()
        return found

    def commit(self, revision: str) -> str:
        """A commit by sha, branch, tag or full ref, else 422 as GitHub has it."""
        found = find_commit(self.git, revision)
        if found is None:
            raise ApiError(422, f"No commit found for SHA: {revision}")
        return found

    # ── fields of the body ───────────────────────────────────────────────────────────────────────────────────

    def text(self, name: str, default: str | None = None) -> str | None:
        """A string of the body, `default` where it is not there or null.

        Raises:
            ApiError: it is not a string (422).
        """
        value = self.body.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            raise malformed(name, "a string")
        return value

    def needed(self, name: str, resource: str) -> str:
        """A string of the body that must be there.

        Raises:
            ApiError: it is not (422).
        """
        value = self.text(name)
        if value is None:
            raise invalid(resource, "missing_field", field=name)
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A boolean of the body."""
        return cast("bool", self._typed(name, bool, "a boolean", default))

    def integer(self, name: str) -> int | None:
        """A whole number of the body, or None."""
        value = self._typed(name, int, "an integer", None)
        if isinstance(value, bool):
            raise malformed(name, "an integer")
        return cast("int | None", value)

    def array(self, name: str) -> list[Any] | None:
        """An array of the body, or None."""
        return cast("list[Any] | None", self._typed(name, list, "an array", None))

    def table(self, name: str) -> dict[str, Any] | None:
        """An object of the body, or None."""
        return cast("dict[str, Any] | None", self._typed(name, dict, "an object", None))

    def choice(self, name: str, choices: Sequence[str], resource: str, default: str | None = None) -> str | None:
        """A string of the body that is one of a few.

        Raises:
            ApiError: it is another (422).
        """
        value = self.text(name, default)
        if value is not None and value not in choices:
            raise invalid(resource, "invalid", field=name)
        return value

    def asked(self, name: str, choices: Sequence[str], default: str) -> str:
        """A word of the query that is one of a few; GitHub takes the default for any other."""
        value = self.query.get(name, default)
        return value if value in choices else default

    def page(self) -> tuple[int, int]:
        """The page that is asked for (from 1) and its size (1-100, 30 by default)."""

        def whole(name: str, default: int) -> int:
            text = self.query.get(name, "")
            return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else default

        return whole("page", 1), min(whole("per_page", 30), 100)

    def _typed(self, name: str, kind: type, words: str, default: object) -> object:
        value = self.body.get(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise malformed(name, words)
        return value


def find_commit(git: Bare, revision: str) -> str | None:
    """A commit by sha, branch, tag, `heads/x`, `tags/x` or full ref; never by git's other spellings."""
    text = revision.removeprefix("refs/")
    if any(sign in revision for sign in ("^", "~", ":", "@{", " ", "..")):
        return None
    for name in (f"refs/heads/{text}", f"refs/tags/{text}", f"refs/{text}"):
        found = git.resolve(name)
        if found is not None:
            return found
    short = 7
    if short <= len(text) and all(c in "0123456789abcdef" for c in text):
        return git.resolve(text)
    return git.resolve("HEAD") if revision == "HEAD" else None
