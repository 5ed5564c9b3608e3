"""One attempt's way out: an ASGI application on a socket of its own.

A request is refused unless its path is on the list; it is cleaned (model pinned, exits stripped), asked of the
provider (`asking`), and its answer is passed on as it comes. What ends the attempt (a budget, a provider that is down)
is answered with 400, which stops both CLIs at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

from runner.gateway.asking import BAD, OK, Asker, Begun, Patience
from runner.gateway.breaker import Breaker
from runner.gateway.dialect import Speech
from runner.gateway.exchange import BrokenOffError, Exchange, Question, RefusedError, redact_bytes
from runner.gateway.ledger import Ledger
from runner.gateway.record import Record, redact
from runner.gateway.sse import Events, EventTooLongError
from runner.model import Usage
from runner.ports import Upstream
from runner.tripwire import Tripwire

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LARGEST_BODY = 32 * 1024 * 1024
AT_ONCE = 4

_PASSED_HEADERS = ("accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta")
_NOT_FOUND, _TOO_LARGE = 404, 413


class OpenDoor:
    """The door (`runner.ports.Door`) and its ASGI application.

    Args:
        socket: where it is.
        speeches: the dialects that it understands; the first one words what no dialect was meant for.
        upstream: who answers.
        model: pinned, whatever is asked for.
        ledger: the attempt's.
        record: keeps what goes through.
        breaker: the provider's.
        patience: how long to wait for the provider.
        tripwire: knows what no request may carry.
    """

    def __init__(
        self,
        socket: Path,
        *,
        speeches: tuple[Speech, ...],
        upstream: Upstream,
        model: str,
        ledger: Ledger,
        record: Record,
        breaker: Breaker | None,
        patience: Patience,
        tripwire: Tripwire,
    ) -> None:
        self.socket = socket
        self._tripwire = tripwire
        self._speeches = {path: speech for speech in speeches for path in speech.paths}
        self._usual = speeches[0]
        self._upstream = upstream
        self._model = model
        self._ledger = ledger
        self._record = record
        self._patience = patience
        self._asker = Asker(upstream, ledger, breaker, patience)
        self._gate = asyncio.Semaphore(AT_ONCE)

    def usage(self) -> Usage:
        """What went through so far."""
        return self._ledger.usage()

    def closed_because(self) -> tuple[str, str] | None:
        """("budget" | "provider_down" | "leak", why in words) once the door has shut itself, else None."""
        return self._ledger.closed_because()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One HTTP request."""
        method, path = str(scope["method"]), str(scope["path"])
        if method == "HEAD" and path == "/":  # claude asks whether anybody is there
            await _send_whole(send, OK, b"")
            return
        exchange = Exchange(path=f"{method} {path}")
        speech = self._speeches.get(path)
        try:
            async with self._gate:
                if method != "POST" or speech is None:
                    raise RefusedError(_NOT_FOUND, f"the gateway does not pass {exchange.path} on")
                await self._serve(speech, scope, receive, send, exchange)
        except RefusedError as e:
            exchange.status, exchange.note = e.status, e.note
            body = json.dumps((speech or self._usual).error(e.message)).encode()
            await self._settle(exchange)
            await _send_whole(send, e.status, body)
        except BrokenOffError as e:
            exchange.note = str(e)
            raise  # the server drops the connection, so that nobody takes half an answer for a whole one
        finally:
            await self._settle(exchange)
            await asyncio.to_thread(self._ledger.flush)

    async def _serve(self, speech: Speech, scope: Message, receive: Receive, send: Send, exchange: Exchange) -> None:
        path = str(scope["path"])
        exchange.request = await _body(receive)
        body = _decode(exchange.request)
        refusal = await asyncio.to_thread(self._ledger.admit)
        if refusal is not None:
            raise RefusedError(BAD, f"automend: {refusal}", note=refusal)
        try:
            clean, exchange.stripped = speech.clean(body, self._model)
            data = json.dumps(clean).encode()
        except RecursionError:
            raise RefusedError(BAD, "the request is nested too deeply") from None
        exchange.metered = speech.paths[path]
        # claude asks `/v1/messages?beta=true`; no other query means anything here.
        wanted = f"{path}?beta=true" if scope.get("query_string") == b"beta=true" else path
        question = Question(wanted, _headers(scope), data)
        await self._look_for_secrets(question, exchange)
        gone = asyncio.ensure_future(_disconnected(receive))
        exchange.patience = self._patience.headers if clean.get("stream") is True else self._patience.whole
        work = asyncio.ensure_future(self._answer(speech, question, send, exchange))
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

    async def _look_for_secrets(self, question: Question, exchange: Exchange) -> None:
        """Shut the door where a request carries a secret of the host.

        Raises:
            RefusedError: it does.
        """
        body = question.body.decode("ascii")
        name = await asyncio.to_thread(self._tripwire.sees, "\n".join((body, *question.headers.values())))
        if name is None:
            return
        exchange.request = question.body  # quoted in the one way that the record knows how to clean
        shut = self._ledger.shut("leak", f"a request carried {name}, a secret of this host")
        raise RefusedError(BAD, "automend: this request does not pass", note=shut)

    async def _answer(self, speech: Speech, question: Question, send: Send, exchange: Exchange) -> None:
        async with AsyncExitStack() as stack:
            begun = await self._asker.ask(question, exchange, stack)
            if begun.rest is not None:
                await self._stream(speech, begun, send, exchange)
                return
            if begun.status == OK:
                exchange.keep(begun.data)
                answer = json.loads(begun.data)
                if isinstance(answer, dict):
                    speech.read_whole(answer, exchange.meter)
                exchange.meter.ended = True
            await self._settle(exchange)
            await _send_whole(send, begun.status, redact_bytes(begun.data, self._upstream.secrets))

    async def _stream(self, speech: Speech, begun: Begun, send: Send, exchange: Exchange) -> None:
        """Pass pieces on as they come, and meter the events in them."""
        head = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": OK, "headers": head})
        events, meter = Events(), exchange.meter
        try:
            async for piece in begun.pieces():
                exchange.keep(piece)
                for event in events.feed(piece):
                    meter.events += 1
                    speech.read(event, meter)
                if meter.ended:
                    await self._settle(exchange)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (EventTooLongError, OSError) as e:  # a timeout is an OSError, too
            raise self._broken(e) from None
        if exchange.metered and not meter.ended:
            raise self._broken(None)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _broken(self, error: Exception | None) -> BrokenOffError:
        """Why an answer stopped before its end; it counts against the provider, unless it was our own doing."""
        if isinstance(error, TimeoutError) and self._ledger.seconds_left() <= 0:
            return BrokenOffError(self._ledger.out_of_time())
        if isinstance(error, EventTooLongError):
            why = f"the answer had {error}"
        elif isinstance(error, TimeoutError):
            why = f"the answer stalled for {self._patience.stall:.0f} s"
        elif error is not None:
            why = f"the connection broke: {redact(str(error), self._upstream.secrets)}"
        else:
            why = "the answer ended without its last event"
        self._asker.broke(why)
        return BrokenOffError(why)

    async def _settle(self, exchange: Exchange) -> None:
        """Count and record an exchange, once; before its end is sent, since the CLI may then be gone at once."""
        if exchange.settled:
            return
        exchange.settled = True
        meter = exchange.meter
        # Whoever hangs up early, or is cut off, is billed all the same, and would never be counted. An answer that
        # came whole but says nothing of tokens (a server of one's own) is guessed as well.
        begun = exchange.status == OK or (exchange.status == 0 and exchange.tries > 0)
        told = meter.failure is not None or (meter.ended and meter.input + meter.output > 0)
        if exchange.metered and begun and not told:
            meter.guess(request=len(exchange.request), answer=len(exchange.answer))
        cost = self._ledger.take(meter)
        if meter.failure is not None:
            exchange.note = redact(meter.failure, self._upstream.secrets)
            self._asker.broke(exchange.note, meter.failure_names)
        elif meter.ended:
            self._asker.went_well()
        usage: dict[str, Any] = {"input": meter.input, "cached": meter.cached, "output": meter.output}
        if cost is not None:
            usage["usd"] = round(cost, 6)
        if meter.guessed:
            usage["guessed"] = True
        await asyncio.to_thread(  # other attempts' streams go through this loop
            self._record.write,
            at=time.time(),
            path=exchange.path,
            status=exchange.status,
            tries=exchange.tries,
            seconds=round(time.monotonic() - exchange.started, 3),
            stripped=exchange.stripped,
            usage=usage,
            note=exchange.note,
            request=exchange.request,
            answer=bytes(exchange.answer),
        )


async def _body(receive: Receive) -> bytes:
    data = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(BAD, "the request did not come to its end")
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
        raise RefusedError(BAD, "the request is not a JSON object")
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
