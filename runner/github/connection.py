"""The line to the forge: PyGithub's client with bounded patience, and reads that cost nothing when nothing changed."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, cast

from github import Auth, Github
from github.GithubException import GithubException, RateLimitExceededExceedsMaxWait
from github.GithubRetry import GithubRetry
from github.Requester import Requester
from urllib3.connectionpool import ConnectionPool
from urllib3.exceptions import InvalidHeader
from urllib3.response import BaseHTTPResponse
from urllib3.util import Retry

PAGE = 100
_MOST_PAGES = 50
_MOST_CACHED = 512
_RATE_LIMITED = frozenset({403, 429})
_NOT_MODIFIED = 304
_ERROR = 400


class PatientRetry(GithubRetry):
    """Retries what is safe to repeat, and waits for rate limits up to a bound.

    Rate limits (403 and 429) are waited for whatever the method, as such a request was not carried out. Failures of
    the server (5xx, a broken connection) are only repeated for reads: a POST may have been carried out, so that the
    caller has to look for its trace first.

    Args:
        patience: longest wait for a rate limit, in seconds; a longer one is told at once.
    """

    def __init__(self, *, patience: float = 60.0, **kwargs: Any) -> None:
        self.patience = patience
        kwargs.setdefault("status_forcelist", [429, *range(500, 600)])
        kwargs.setdefault("allowed_methods", frozenset({"GET", "HEAD"}))
        kwargs.setdefault("secondary_rate_wait", patience)
        kwargs.setdefault("max_rate_limit_wait", patience)
        super().__init__(**kwargs)

    def new(self, **kw: Any) -> Self:
        """A copy with other counts, as urllib3 wants it."""
        return super().new(patience=self.patience, **kw)

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Whether an answer is worth another try; `increment` still looks into a 403 or 429."""
        if status_code in _RATE_LIMITED:
            return bool(self.total)
        return super().is_retry(method, status_code, has_retry_after)

    def increment(  # type: ignore[override]  # as PyGithub has it
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: ConnectionPool | None = None,
        _stacktrace: TracebackType | None = None,
    ) -> Retry:
        """Give up at once where the forge asks for more patience than there is."""
        wait = self._asked_wait(response) if response is not None else None
        if response is not None and wait is not None and wait > self.patience:
            response.close()  # its body is not read, so that the connection cannot be used again
            if response.status in _RATE_LIMITED:
                raise RateLimitExceededExceedsMaxWait(response.status, message="rate limit", wait=wait)
            raise GithubException(response.status, message=f"asks to be left alone for {wait:.0f} s")
        return super().increment(method, url, response, error, _pool, _stacktrace)  # type: ignore[arg-type]

    def _asked_wait(self, response: BaseHTTPResponse) -> float | None:
        """Seconds until the forge wants to be asked again, where it says so."""
        after = response.headers.get("Retry-After")
        if after is not None:
            try:
                return self.parse_retry_after(after)
            except InvalidHeader:
                return None
        reset = response.headers.get("X-RateLimit-Reset", "")
        if response.headers.get("X-RateLimit-Remaining") == "0" and reset.isdigit():
            return max(0.0, float(reset) - datetime.now(UTC).timestamp())
        return None


def connect(*, token: str, api_url: str, timeout: int = 20, retries: int = 3, patience: float = 60.0) -> Github:
    """PyGithub's client. Talks to nobody yet.

    Args:
        timeout: longest wait for the next bytes of an answer, in seconds.
        retries: how often a failed read is repeated.
        patience: longest wait for a rate limit, in seconds.
    """
    retry = PatientRetry(total=retries, backoff_factor=0.2, patience=patience)
    return Github(
        auth=Auth.Token(token),
        base_url=api_url,
        timeout=timeout,
        retry=retry,
        per_page=PAGE,
        pool_size=16,
        user_agent="automend",
        lazy=True,  # naming a repository is no reason to read it
        # PyGithub's own pauses between requests are per client, and would slow sixteen threads to one.
        seconds_between_requests=None,
        seconds_between_writes=None,
    )


class Reader:
    """GET with ETags: an unchanged answer is not sent again, and does not count against GitHub's rate limit.

    Thread-safe. Holds the last few hundred answers.
    """

    def __init__(self, requester: Requester) -> None:
        self._requester = requester
        self._kept: OrderedDict[tuple[str, str], tuple[str, str]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON at `path` (below the API's address).

        Raises:
            github.GithubException: an error status.
            ValueError: the answer is no JSON.
        """
        key = (path, json.dumps(parameters, sort_keys=True))
        with self._lock:
            etag, text = self._kept.get(key, ("", ""))
        headers = {"If-None-Match": etag} if etag else {}
        status, got, body = self._requester.requestJson("GET", path, parameters=parameters, headers=headers)
        if status == _NOT_MODIFIED and etag:
            return json.loads(text)
        if status >= _ERROR:
            raise Requester.createException(status, got, _structured(body))
        data = json.loads(body)
        with self._lock:
            if got.get("etag"):
                self._kept[key] = (str(got["etag"]), body)
                self._kept.move_to_end(key)
                while len(self._kept) > _MOST_CACHED:
                    self._kept.popitem(last=False)
        return data

    def pages(self, path: str, *, within: str | None = None, **parameters: Any) -> list[dict[str, Any]]:
        """All items of a list; as `each`."""
        return list(self.each(path, within=within, **parameters))

    def each(self, path: str, *, within: str | None = None, **parameters: Any) -> Iterator[dict[str, Any]]:
        """The items of a list, read page by page as they are wanted; `within` names their key in each page.

        Raises:
            github.GithubException: an error status.
            ValueError: no JSON, or more than 5,000 items.
        """
        for number in range(1, _MOST_PAGES + 1):
            data = self.get(path, per_page=PAGE, page=number, **parameters)
            page = cast("list[dict[str, Any]]", data[within] if within is not None else data)
            yield from page
            if len(page) < PAGE:
                return
        raise ValueError(f"{path} has more than {_MOST_PAGES * PAGE} items")


def _structured(body: str) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except ValueError:
        return {"message": body[:200]}
    return data if isinstance(data, dict) else {"message": str(data)[:200]}
