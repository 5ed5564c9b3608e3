"""An ASGI layer that holds both sides of a forge to GitHub's published schemas.

    app = ContractChecked(hub.app)
    …
    assert app.violations == []

It changes nothing of what passes. Requests and answers of REST (`/api/v3/…`) and GraphQL (`/api/graphql`) are judged;
everything else (git, web pages) is let through.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from tests.contract.openapi import Description, github
from tests.contract.schema import GraphQL, github_graphql

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

_REST = "/api/v3"
_GRAPHQL = "/api/graphql"


class ContractChecked:
    """The app inside, watched.

    Attributes:
        violations: one line for each thing that is not as GitHub's schemas say, in the order of arrival.
        seen: the operations that were called: "get /repos/{owner}/{repo}" of REST, "mutation revertPullRequest" of
            GraphQL.
    """

    def __init__(self, app: App, *, rest: Description | None = None, graphql: GraphQL | None = None) -> None:
        self.app = app
        self.violations: list[str] = []
        self.seen: set[str] = set()
        self._rest = rest or github()
        self._graphql = graphql or github_graphql()
        self._lock = threading.Lock()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, keep a copy of what goes by, and judge it at the end."""
        path = str(scope.get("path", ""))
        if scope["type"] != "http" or not path.startswith((_REST, _GRAPHQL)):
            await self.app(scope, receive, send)
            return
        asked, answered = bytearray(), bytearray()
        start: Message = {}

        async def listen() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                asked.extend(message.get("body", b""))
            return message

        async def speak(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            elif message["type"] == "http.response.body":
                answered.extend(message.get("body", b""))
                if not message.get("more_body"):
                    # Before the last bytes leave, so that a test sees the violation once it has its answer.
                    self._judge(scope, bytes(asked), start, bytes(answered))
            await send(message)

        await self.app(scope, listen, speak)

    def _judge(self, scope: Message, asked: bytes, start: Message, answered: bytes) -> None:
        method = str(scope["method"])
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
        status = int(start["status"])
        media = _header(start["headers"], b"content-type")
        if path.startswith(_GRAPHQL):
            found = list(self._graphql.request(asked)) + list(self._graphql.answer(asked, status, media, answered))
            self._note(self._graphql.names(asked), [f"GraphQL: {text}" for text in found])
            return
        path = path.removeprefix(_REST)
        what = f"{method} {path} → {status}"
        op = self._rest.operation("GET" if method == "HEAD" else method, path)
        if op is None:
            self._note(set(), [f"{what}: GitHub's description (as pruned) has no such operation"])
            return
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)
        found = list(self._rest.request(op, query, asked))
        conditional = bool(_header(scope["headers"], b"if-none-match"))
        if method != "HEAD":
            found += self._rest.answer(op, status, media, answered, conditional=conditional)
        self._note({f"{op.method} {op.path}"}, [f"{what}: {text}" for text in found])

    def _note(self, seen: set[str], violations: list[str]) -> None:
        with self._lock:
            self.seen |= seen
            self.violations += violations


def _header(headers: Any, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")
