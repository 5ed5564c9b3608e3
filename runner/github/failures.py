"""The one place where what PyGithub and requests raise becomes what automend says.

A caller wraps its calls in `told(doing)`; nothing of PyGithub leaves this package. Messages never hold the token:
it is cut out even where a server echoes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from github import GithubException
from github.GithubException import (
    BadAttributeException,
    BadCredentialsException,
    RateLimitExceededException,
)
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError

from runner.errors import AutomendError, ForgeError

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, NOT_ALLOWED, CONFLICT, GONE, UNPROCESSABLE = 401, 403, 404, 405, 409, 410, 422

_MOST_WORDS = 400
_STATUS_WORDS = {
    UNAUTHORIZED: ("the token is not valid", "set GITHUB_TOKEN to a token that has not expired or been revoked"),
    FORBIDDEN: (
        "the token may not do this",
        "give the token the right that the message names; `automend doctor` lists what is needed",
    ),
    NOT_FOUND: (
        "it is not there, or the token may not see it",
        "check the name, and that the token covers this repository; `automend doctor --repo OWNER/NAME` tells",
    ),
    UNPROCESSABLE: ("it does not accept the request", "read the reason in the message; it is the forge's own"),
}
# What PyGithub raises, and what it lets through where an answer is no JSON, or JSON of another shape.
_ANSWERS = (
    GithubException, BadAttributeException, requests.exceptions.RequestException,
    AssertionError, ValueError, KeyError, TypeError, AttributeError, RuntimeError,
)  # fmt: skip
_NOT_GITHUB = "check GITHUB_API_URL: https://api.github.com, or https://HOST/api/v3 for a server of one's own"


class Failure(ForgeError):
    """A forge's "no" with its HTTP status, for callers in this package that act on the status."""

    def __init__(self, message: str, *, remedy: str = "", status: int = 0, words: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.words = words

    def to_json(self) -> dict[str, Any]:
        """As its public parent: the engine knows no `Failure`."""
        return {**super().to_json(), "type": ForgeError.__name__}


@contextmanager
def told(doing: str, *, api_url: str, secret: str) -> Iterator[None]:
    """Turn any failure of the calls inside into a `ForgeError` that says what was being done.

    Args:
        doing: as in "reading OWNER/NAME#7".
        api_url: named where the server cannot be reached.
        secret: the token, cut out of every message.

    Raises:
        Failure: the forge answered with an error status.
        ForgeError: it could not be reached, or made no sense.
    """

    try:
        yield
    except AutomendError:
        raise
    except _ANSWERS as e:
        failure = _translated(doing, e, api_url)
        if secret:
            failure.message = failure.message.replace(secret, "***")
            failure.args = (failure.message,)
            if isinstance(failure, Failure):
                failure.words = failure.words.replace(secret, "***")
        raise failure from None


def _translated(doing: str, error: Exception, api_url: str) -> ForgeError:
    match error:
        case RateLimitExceededException():
            wait = getattr(error, "wait", None)
            return Failure(
                f"{doing}: the forge's rate limit is used up" + (f"; it wants a wait of {wait:.0f} s" if wait else ""),
                remedy="try again later, poll less often ([serve] poll_seconds), or use a token with a higher limit",
                status=429,  # GitHub often says 403, which would read as a right that is lacking
            )
        case GithubException():
            return _answered(doing, error)
        case requests.exceptions.RequestException():
            what, remedy = _unreached(error, api_url)
            return ForgeError(f"{doing}: {what}", remedy=remedy)
        case AssertionError():
            # PyGithub asserts that addresses in answers lead to the server that it was given.
            what = f"the forge calls itself by another address than {api_url} ({error})"
        case _:
            what = f"{api_url} answered something that GitHub would not: {type(error).__name__}: {error}"
    return ForgeError(f"{doing}: {_short(what)}", remedy=_NOT_GITHUB)


def _unreached(error: requests.exceptions.RequestException, api_url: str) -> tuple[str, str]:
    """What went wrong on the way, and how to mend it."""
    inner = _innermost(error)
    why = _short(_plain(inner))
    # urllib3 counts a refused connection among the timeouts.
    slow = isinstance(inner, ReadTimeoutError | ConnectTimeoutError | TimeoutError) and not isinstance(
        inner, NewConnectionError
    )
    match error:
        case requests.exceptions.SSLError():
            return (
                f"no trusted connection to {api_url}: {why}",
                "where a proxy or server has a certificate of its own, name its bundle in REQUESTS_CA_BUNDLE",
            )
        case requests.exceptions.RetryError():
            return (
                f"{api_url} keeps failing: {why}",
                "try again later; https://www.githubstatus.com tells of outages of GitHub",
            )
        case _ if slow or isinstance(error, requests.exceptions.Timeout):
            return f"{api_url} did not answer in time", "try again later, or check the network"
        case requests.exceptions.ConnectionError():
            return f"{api_url} cannot be reached: {why}", "check the network, the proxy settings and GITHUB_API_URL"
        case _:
            return f"{type(error).__name__}: {why}", _NOT_GITHUB


def _answered(doing: str, error: GithubException) -> Failure:
    words = _short(_words(error))
    if isinstance(error, BadCredentialsException):
        what, remedy = _STATUS_WORDS[UNAUTHORIZED]
    elif error.status >= 500:  # noqa: PLR2004  # HTTP's own number
        what, remedy = "the forge failed", "try again later"
    else:
        what, remedy = _STATUS_WORDS.get(error.status, ("the forge refused", "read the reason in the message"))
    tail = f": {words}" if words else ""
    return Failure(f"{doing}: {what} ({error.status}{tail})", remedy=remedy, status=error.status, words=words)


def _words(error: GithubException) -> str:
    """The forge's own words, GraphQL's and validation errors included."""
    data = error.data
    if not isinstance(data, dict):
        return str(data or error.message or "")
    parts = [str(data.get("message") or "")]
    details = data.get("errors")
    for detail in details if isinstance(details, list) else [details] if details else []:
        if isinstance(detail, dict):
            field = " ".join(str(detail[key]) for key in ("resource", "field", "code") if detail.get(key))
            parts.append(str(detail.get("message") or field))
        else:
            parts.append(str(detail))
    return "; ".join(part for part in parts if part)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_WORDS else text[:_MOST_WORDS] + " …"


def _innermost(error: BaseException) -> BaseException:
    """What the socket said, without the layers of wrapping around it."""
    while True:
        inner = getattr(error, "reason", None) or next((a for a in error.args if isinstance(a, BaseException)), None)
        if not isinstance(inner, BaseException):
            return error
        error = inner


def _plain(error: BaseException) -> str:
    """Without the repr of the connection that urllib3 puts in front."""
    return str(error).split(">: ", 1)[-1].split("): ", 1)[-1] or type(error).__name__
