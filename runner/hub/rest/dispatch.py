"""HTTP around the handlers: who asks, limits, JSON, pages, conditional requests, errors in GitHub's shape."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as HttpRoute

from runner.hub.merging import NotMergeable, Stale
from runner.hub.pulls import Invalid
from runner.hub.rest.call import DOCS, Answer, ApiError, Call, Listing, Route, invalid
from runner.hub.rest.links import Links
from runner.hub.rest.table import ROUTES
from runner.hub.site import Site
from runner.hub.store import User

API = "/api/v3"
LARGEST_BODY = 10_000_000
HOUR = 3600.0
CODES = ("missing", "missing_field", "invalid", "already_exists", "unprocessable", "custom")


class Meter:
    """Requests per account and hour.

    Args:
        limit: the most of them.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}

    def count(self, who: str, cost: int = 1) -> dict[str, int]:
        """Count a request and tell how the account stands (`limit`, `remaining`, `reset`, `used`)."""
        with self._lock:
            began, used = self._windows.get(who, (time.time(), 0))
            if time.time() - began > HOUR:
                began, used = time.time(), 0
            used += cost
            self._windows[who] = (began, used)
        remaining = max(0, self.limit - used)
        return {"limit": self.limit, "remaining": remaining, "reset": int(began + HOUR), "used": used}


def identify(site: Site, header: str) -> User | None:
    """The account of an Authorization header; None where there is no header.

    Raises:
        ApiError: it names nobody (401).
    """
    kind, _, value = header.strip().partition(" ")
    if not kind:
        return None
    found: User | None = None
    if kind.lower() in ("token", "bearer"):
        found = site.by_token(value.strip())
    elif kind.lower() == "basic":
        try:
            login, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            login = secret = ""
        found = site.by_token(secret) or site.by_password(login, secret)
    if found is None:
        raise ApiError(401, "Bad credentials")
    return found


class Rest:
    """The REST interface of a site.

    Args:
        site: what it serves.
        limit: requests per account and hour.
    """

    def __init__(self, site: Site, *, limit: int) -> None:
        self.site = site
        self.meter = Meter(limit)

    def routes(self) -> list[HttpRoute]:
        """All operations as Starlette routes, and one that says 404 in GitHub's words."""
        made = [
            HttpRoute(API + route.path, self._endpoint(route), methods=[route.method], name=route.docs)
            for route in ROUTES
        ]
        limits = HttpRoute(API + "/rate_limit", self._rate_limit, methods=["GET"])
        every = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
        return [limits, *made, HttpRoute(API + "/{rest:path}", self._nowhere, methods=every)]

    def _endpoint(self, route: Route) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            raw = await _body(request)
            return await run_in_threadpool(self._respond, route, request, raw)

        return endpoint

    def _respond(self, route: Route, request: Request, raw: bytes | None) -> Response:
        docs = f"{DOCS}/{route.docs}"
        headers: dict[str, str] = {}
        try:
            user = identify(self.site, request.headers.get("authorization", ""))
            window = self.meter.count(user.login if user is not None else "")
            headers |= _limit_headers(window)
            if window["used"] > window["limit"]:
                who = f"user ID {user.id}" if user is not None else "your address"
                raise ApiError(403, f"API rate limit exceeded for {who}.")
            call = Call(
                self.site,
                Links(str(request.base_url).rstrip("/")),
                user,
                path=request.path_params,
                query=request.query_params,
                body=_parse(route, raw),
                accept=request.headers.get("accept", ""),
            )
            call.authorize(route.access)
            answer = _in_full(route, call, request)
        except ApiError as e:
            return _json(e.status, e.document(docs), headers)
        except Invalid as e:
            return _json(422, _explained(route, e).document(docs), headers)
        except NotMergeable as e:
            return _json(405, ApiError(405, str(e)).document(docs), headers)
        except Stale as e:
            return _json(409, ApiError(409, str(e)).document(docs), headers)
        return self._send(answer, request, headers, user)

    def _send(self, answer: Answer, request: Request, headers: dict[str, str], user: User | None) -> Response:
        headers |= answer.headers
        if answer.text is not None:
            return Response(answer.text, answer.status, headers, media_type=answer.media)
        if answer.body is None:
            return Response(status_code=answer.status, headers=headers)
        body = json.dumps(answer.body, ensure_ascii=False).encode()
        if request.method == "GET":
            tag = f'W/"{hashlib.sha256(body + headers.get("Link", "").encode()).hexdigest()}"'
            headers |= {"ETag": tag, "Cache-Control": "private, max-age=60", "Vary": "Accept, Authorization"}
            if _same_tag(request.headers.get("if-none-match", ""), tag):
                self.meter.count(user.login if user is not None else "", -1)  # these are free, as on GitHub
                return Response(status_code=304, headers=headers)
        return Response(body, answer.status, headers, media_type=answer.media)

    async def _rate_limit(self, request: Request) -> Response:
        try:
            user = await run_in_threadpool(identify, self.site, request.headers.get("authorization", ""))
        except ApiError as e:
            return _json(e.status, e.document(DOCS), {})
        window = self.meter.count(user.login if user is not None else "", 0)
        resources = dict.fromkeys(("core", "search", "graphql"), window)
        return _json(200, {"resources": resources, "rate": window}, _limit_headers(window))

    @staticmethod
    async def _nowhere(_request: Request) -> Response:
        return _json(404, ApiError(404, "Not Found").document(DOCS), {})


async def _body(request: Request) -> bytes | None:
    """The request's body; None where it is too large."""
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _parse(route: Route, raw: bytes | None) -> Mapping[str, Any]:
    if raw is None:
        raise ApiError(413, "Payload too big")
    if not raw.strip() or route.method == "GET":
        return {}
    try:
        document = json.loads(raw)
    except ValueError as e:
        raise ApiError(400, "Problems parsing JSON") from e
    if isinstance(document, list) and route.path.endswith("/labels"):
        return {"labels": document}  # the short form that clients use for labels
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ApiError(400, "Body should be a JSON object")
    return document


def _in_full(route: Route, call: Call, request: Request) -> Answer:
    result = route.handler(call)
    if isinstance(result, Answer):
        return result
    return _page(result, call, request)


def _page(listing: Listing, call: Call, request: Request) -> Answer:
    page, size = call.page()
    total = len(listing.items)
    shown = [listing.show(item) for item in listing.items[(page - 1) * size : page * size]]
    body: Any = {"total_count": total, listing.wrap: shown} if listing.wrap else shown
    last = max(1, -(-total // size))
    targets: dict[str, int] = {}
    if page > 1:
        targets |= {"prev": min(page - 1, last)}
    if page < last:
        targets |= {"next": page + 1, "last": last}
    if page > 1:
        targets |= {"first": 1}
    address = str(request.url).partition("?")[0]
    links = [
        f'<{address}?{urlencode({**request.query_params, "page": number})}>; rel="{name}"'
        for name, number in targets.items()
    ]
    return Answer(200, body, headers={"Link": ", ".join(links)} if links else {})


def _explained(route: Route, error: Invalid) -> ApiError:
    if error.resource == "PullRequestReview" and "/reviews" in route.path:
        return ApiError(422, "Unprocessable Entity", [error.message])
    return invalid(error.resource, error.code, field=error.field, message=error.message)


def _same_tag(header: str, tag: str) -> bool:
    bare = tag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") in (bare, "*") for one in header.split(",") if one.strip())


def _limit_headers(window: dict[str, int]) -> dict[str, str]:
    return {f"X-RateLimit-{name.title()}": str(value) for name, value in window.items()} | {
        "X-RateLimit-Resource": "core",
        "X-GitHub-Media-Type": "github.v3; format=json",
    }


def _json(status: int, body: Any, headers: dict[str, str]) -> Response:
    return Response(
        json.dumps(body, ensure_ascii=False), status, headers, media_type="application/json; charset=utf-8"
    )  # fmt: skip
