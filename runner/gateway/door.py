"""One attempt's way out: an ASGI application on a socket of its own.

A request is refused unless its path is on the list; it is cleaned (model pinned, exits stripped), tried a few times
while the provider is overloaded, and its answer is passed on as it comes. What ends the attempt (budget, provider
down) is answered with 400, which stops both CLIs at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.gateway.dialect import Meter, Speech
from runner.gateway.ledger import Ledger
from runner.gateway.record import LARGEST_ANSWER, Record, redact
from runner.gateway.sse import Events, EventTooLongError
from runner.model import Usage
from runner.ports import Answer, Upstream

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_BODY = 32 * 1024 * 1024
LARGEST_WHOLE_ANSWER = 16 * 1024 * 1024
AT_ONCE = 4

_OVERLOADED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_HOPELESS = frozenset({401, 402, 403, 404})
_PASSED_HEADERS = ("accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta")
_OK, _BAD, _NOT_FOUND, _TOO_LARGE = 200, 400, 404, 413


@dataclass(frozen=True)
class Patience:
    """How long the gateway waits for a provider, in seconds, and how often it asks.

    `headers` is for the beginning of a stream, `whole` for an answer that comes in one piece, `stall` for the time
    between two pieces of a stream.
    """

    headers: float = 120.0
    whole: float = 600.0
    stall: float = 240.0
    tries: int = 4
    first_wait: float = 1.0
    longest_wait: float = 20.0


class RefusedError(Exception):
    """This request gets no answer from the provider. `message` is what the CLI is told."""

    def __init__(self, status: int, message: str, *, note: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.note = note or message


class BrokenOffError(Exception):
    """The answer stopped before its end; the client's connection must not end cleanly."""


@dataclass
class Exchange:
    """One request and what came of it, for the record."""

    path: str
    request: bytes = b""
    answer: bytearray = field(default_factory=bytearray)
    status: int = 0
    tries: int = 0
    stripped: list[str] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)
    note: str = ""
    patience: float = 0.0
    settled: bool = False
    started: float = field(default_factory=time.monotonic)

    def keep(self, chunk: bytes) -> None:
        """Remember a part of the answer, up to the record's cap."""
        self.answer += chunk[: max(0, LARGEST_ANSWER - len(self.answer))]


class OpenDoor:
    """The door (`runner.ports.Door`) and its ASGI application."""

    def __init__(
        self,
        socket: Path,
        *,
        speech: Speech,
        upstream: Upstream,
        model: str,
        ledger: Ledger,
        record: Record,
        patience: Patience,
    ) -> None:
        self.socket = socket
        self._speech = speech
        self._upstream = upstream
        self._model = model
        self._ledger = ledger
        self._record = record
        self._patience = patience
        self._gate = asyncio.Semaphore(AT_ONCE)

    def usage(self) -> Usage:
        """What went through so far."""
        return self._ledger.usage()

    def closed_because(self) -> tuple[str, str] | None:
        """("budget" | "provider_down", why in words) once the door has shut itself, else None."""
        return self._ledger.closed_because()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        method, path = str(scope["method"]), str(scope["path"])
        if method == "HEAD" and path == "/":  # claude asks whether anybody is there
            await _send_whole(send, _OK, b"")
            return
        exchange = Exchange(path=f"{method} {path}")
        try:
            async with self._gate:
                await self._serve(scope, receive, send, exchange)
        except RefusedError as e:
            exchange.status, exchange.note = e.status, e.note
            body = json.dumps(self._speech.error(e.message)).encode()
            self._settle(exchange)
            await _send_whole(send, e.status, body)
        except BrokenOffError as e:
            exchange.note = str(e)
            raise  # the server drops the connection, so that nobody takes half an answer for a whole one
        finally:
            self._settle(exchange)

    async def _serve(self, scope: Message, receive: Receive, send: Send, exchange: Exchange) -> None:
        path = str(scope["path"])
        if scope["method"] != "POST" or path not in self._speech.paths:
            raise RefusedError(_NOT_FOUND, f"the gateway does not pass {exchange.path} on")
        exchange.request = await _body(receive)
        body = _decode(exchange.request)
        refusal = self._ledger.admit()
        if refusal is not None:
            raise RefusedError(_BAD, f"automend: {refusal}", note=refusal)
        try:
            clean, exchange.stripped = self._speech.clean(body, self._model)
            data = json.dumps(clean).encode()
        except RecursionError:
            raise RefusedError(_BAD, "the request is nested too deeply") from None
        # claude asks `/v1/messages?beta=true`; no other query means anything here.
        wanted = f"{path}?beta=true" if scope.get("query_string") == b"beta=true" else path
        headers = _headers(scope)
        gone = asyncio.ensure_future(_disconnected(receive))
        exchange.patience = self._patience.headers if clean.get("stream") is True else self._patience.whole
        work = asyncio.ensure_future(self._answer(wanted, headers, data, send, exchange))
        try:
            await asyncio.wait({gone, work}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                exchange.note = "the client went away"
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work
            else:
                work.result()
        finally:
            gone.cancel()
            work.cancel()

    async def _answer(self, path: str, headers: dict[str, str], body: bytes, send: Send, exchange: Exchange) -> None:
        async with AsyncExitStack() as stack:
            answer = await self._ask(path, headers, body, exchange, stack)
            exchange.status = answer.status
            if answer.status != _OK:
                # The provider does not like this very request (too long, say): the CLI is told so in its own words.
                text = await self._whole(answer, exchange)
                self._settle(exchange)
                await _send_whole(send, answer.status, redact_bytes(text, self._upstream.secrets))
                return
            if "text/event-stream" in answer.headers.get("content-type", ""):
                await self._stream(answer, send, exchange, metered=self._speech.paths[path.partition("?")[0]])
                return
            data = await self._whole(answer, exchange)
            with suppress(ValueError):
                self._speech.read_whole(json.loads(data), exchange.meter)
            self._ledger.went_well()
            self._settle(exchange)
            await _send_whole(send, _OK, redact_bytes(data, self._upstream.secrets))

    async def _ask(
        self, path: str, headers: dict[str, str], body: bytes, exchange: Exchange, stack: AsyncExitStack
    ) -> Answer:
        """An answer that is worth passing on; asks again while the provider is overloaded.

        Raises:
            RefusedError: the door is shut now.
        """
        why = ""
        for number in range(1, self._patience.tries + 1):
            exchange.tries = number
            wait = self._pause(number)
            try:
                async with asyncio.timeout(min(exchange.patience, self._ledger.seconds_left())):
                    attempt = await stack.enter_async_context(AsyncExitStack())
                    answer = await attempt.enter_async_context(self._upstream.exchange(path, headers, body))
                if answer.status not in _OVERLOADED | _HOPELESS:
                    return answer
                said = _say((await self._whole(answer, exchange)).decode("utf-8", "replace"))
                why = redact(f"HTTP {answer.status} {said}".strip(), self._upstream.secrets)
                exchange.status = answer.status
                if answer.status in _HOPELESS or "insufficient_quota" in said:
                    break
                wait = max(wait, _retry_after(answer))
                await attempt.aclose()
            except TimeoutError:
                why = f"no answer within {exchange.patience:.0f} s"
            except OSError as e:
                why = redact(f"unreachable: {e}", self._upstream.secrets)
            last = number == self._patience.tries
            if self._ledger.seconds_left() <= (0 if last else wait):
                raise RefusedError(_BAD, f"automend: {self._ledger.out_of_time()}", note=why)
            if not last:
                log.info("the provider answers %s; asking again in %.1f s", why, wait)
                await asyncio.sleep(min(wait, self._patience.longest_wait))
        shut = self._ledger.shut("provider_down", f"the provider answers {why} (asked {exchange.tries} times)")
        raise RefusedError(_BAD, f"automend: {shut}", note=shut)

    def _pause(self, number: int) -> float:
        """Twice as long each time, spread a little so that many doors do not knock at once."""
        wait = self._patience.first_wait * 2.0 ** (number - 1)
        return min(wait * random.uniform(0.8, 1.2), self._patience.longest_wait)  # noqa: S311 - no secret

    async def _stream(self, answer: Answer, send: Send, exchange: Exchange, *, metered: bool) -> None:
        """Pass chunks on as they come, and meter the events in them."""
        head = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": _OK, "headers": head})
        events, meter = Events(), exchange.meter
        try:
            async for chunk in self._timed(answer):
                exchange.keep(chunk)
                for event in events.feed(chunk):
                    self._speech.read(event, meter)
                if meter.ended:
                    self._settle(exchange)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except EventTooLongError as e:
            self._broke(f"the answer had {e}")
        except TimeoutError:
            if self._ledger.seconds_left() <= 0:
                raise BrokenOffError(self._ledger.out_of_time()) from None
            self._broke(f"the answer stalled for {self._patience.stall:.0f} s")
        except OSError as e:
            self._broke(f"the connection broke: {redact(str(e), self._upstream.secrets)}")
        if metered and not meter.ended:
            self._broke("the answer ended without its last event")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _broke(self, why: str) -> None:
        self._ledger.broke(why)
        raise BrokenOffError(why)

    async def _timed(self, answer: Answer) -> AsyncIterator[bytes]:
        """The chunks, each within the deadline.

        Raises:
            TimeoutError: the stream stalled, or the attempt's time is over.
        """
        chunks = aiter(answer.chunks)
        while True:
            async with asyncio.timeout(min(self._patience.stall, self._ledger.seconds_left())):
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    return
            yield chunk

    async def _whole(self, answer: Answer, exchange: Exchange) -> bytes:
        """A short answer, up to a cap; what could be read of it where it breaks off."""
        data = bytearray()
        with suppress(TimeoutError, OSError):
            async for chunk in self._timed(answer):
                data += chunk
                if len(data) > LARGEST_WHOLE_ANSWER:
                    break
        exchange.keep(bytes(data))
        return bytes(data)

    def _settle(self, exchange: Exchange) -> None:
        """Count and record an exchange, once; before its end is sent, since the CLI may then be gone at once."""
        if exchange.settled:
            return
        exchange.settled = True
        meter = exchange.meter
        self._ledger.take(meter)
        if meter.failure is not None:
            exchange.note = redact(meter.failure, self._upstream.secrets)
            self._ledger.broke(exchange.note)
        elif meter.ended:
            self._ledger.went_well()
        self._record.write(
            at=time.time(),
            path=exchange.path,
            status=exchange.status,
            tries=exchange.tries,
            seconds=round(time.monotonic() - exchange.started, 3),
            stripped=exchange.stripped,
            usage={"input": meter.input, "cached": meter.cached, "output": meter.output},
            note=exchange.note,
            request=exchange.request,
            answer=bytes(exchange.answer),
        )


def redact_bytes(data: bytes, secrets: tuple[str, ...]) -> bytes:
    """`redact` for what goes into the container."""
    return redact(data.decode("utf-8", "surrogateescape"), secrets).encode("utf-8", "surrogateescape")


async def _body(receive: Receive) -> bytes:
    data = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(_BAD, "the request did not come to its end")
        data += message.get("body", b"")
        if len(data) > LARGEST_BODY:
            raise RefusedError(_TOO_LARGE, f"a request of more than {LARGEST_BODY} bytes")
        if not message.get("more_body"):
            return bytes(data)


def _decode(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RefusedError(_BAD, "the request is not a JSON object")
    return value


def _headers(scope: Message) -> dict[str, str]:
    given = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return {name: given[name] for name in _PASSED_HEADERS if name in given}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_whole(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _retry_after(answer: Answer) -> float:
    try:
        return max(0.0, float(answer.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0


def _say(text: str) -> str:
    """The provider's own words in an error body, short."""
    try:
        error = json.loads(text)["error"]
        said = f"{error.get('code') or error.get('type') or ''} {error.get('message') or ''}"
    except (ValueError, KeyError, TypeError, AttributeError):
        said = text
    return " ".join(said.split())[:300]
