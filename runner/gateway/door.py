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
from runner.gateway.dialect import Speech, number, table
from runner.gateway.exchange import BrokenOffError, Exchange, Question, Redactor, RefusedError, redact_bytes
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
MOST_PARTS = 1_000_000
"""What a request may have of `{`, `[` and `,`: each may become an object in this process, of many times its size."""
LARGEST_STREAM = 128 * 1024 * 1024
AT_ONCE = 4

_BODY_SECONDS = 30.0
_AFTERWARDS_SECONDS = 1.0
_FREE_REFUSALS, _REFUSAL_SECONDS = 20, 0.05
_BYTES_PER_TOKEN = 4

_PASSED_HEADERS = ("accept", "anthropic-beta", "anthropic-version", "openai-beta")
_MOST_OUTPUT = ("max_tokens", "max_output_tokens", "max_completion_tokens")
_NOT_FOUND, _TOO_SLOW, _TOO_LARGE = 404, 408, 413


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
        self._came = asyncio.Condition()
        self._refusals = 0
        self.busy = 0
        """Requests that are being answered."""

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
        self.busy += 1
        try:
            async with self._gate:
                if method != "POST" or speech is None:
                    await self._brake()
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
            try:
                await self._settle(exchange)
                await asyncio.to_thread(self._ledger.flush)
            finally:
                self.busy -= 1
                if exchange.expected is not None:
                    self._ledger.came(exchange.expected)
                    async with self._came:
                        self._came.notify_all()

    async def _brake(self) -> None:
        """Keep a job waiting that does nothing but ask for what it does not get."""
        self._refusals += 1
        if self._refusals > _FREE_REFUSALS:
            await asyncio.sleep(_REFUSAL_SECONDS)

    async def _serve(self, speech: Speech, scope: Message, receive: Receive, send: Send, exchange: Exchange) -> None:
        path = str(scope["path"])
        exchange.request = await _body(receive)
        refusal = await asyncio.to_thread(self._ledger.admit)
        if refusal is not None:
            await self._brake()
            raise RefusedError(BAD, f"automend: {refusal}", note=refusal)
        body = _decode(exchange.request)
        try:
            clean, exchange.stripped = speech.clean(body, self._model)
            data = json.dumps(clean).encode()
        except RecursionError:
            raise RefusedError(BAD, "the request is nested too deeply") from None
        exchange.metered = speech.paths[path]
        # claude asks `/v1/messages?beta=true`; no other query means anything here.
        wanted = f"{path}?beta=true" if scope.get("query_string") == b"beta=true" else path
        question = Question(wanted, _headers(speech, scope), data)
        await self._look_for_secrets(question, exchange)
        await self._expect(clean, exchange)
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

    async def _expect(self, body: dict[str, Any], exchange: Exchange) -> None:
        """Wait until there is enough of the budget for this request and the others together.

        Raises:
            RefusedError: there is nothing left.
        """
        declared = next((number(body[name]) for name in _MOST_OUTPUT if name in body), None)
        tokens = len(exchange.request) // _BYTES_PER_TOKEN
        while True:
            async with self._came:
                exchange.expected = self._ledger.expect(input=tokens, output=declared)
                if exchange.expected is not None:
                    return
                await self._came.wait()
            refusal = self._ledger.exhausted()
            if refusal is not None:
                raise RefusedError(BAD, f"automend: {refusal}", note=refusal)

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
            begun = await self._asker.ask(speech, question, exchange, stack)
            if begun.rest is not None:
                await self._stream(speech, begun, send, exchange)
                return
            if begun.status == OK:
                exchange.keep(begun.data)
                answer = json.loads(begun.data)
                exchange.meter.ended = True
                if isinstance(answer, dict):
                    speech.read_whole(answer, exchange.meter)
                    if error := table(answer.get("error")):
                        exchange.meter.fail(error, "an error")
            await self._settle(exchange)
            await _send_whole(send, begun.status, redact_bytes(begun.data, self._upstream.secrets))

    async def _stream(self, speech: Speech, begun: Begun, send: Send, exchange: Exchange) -> None:
        """Pass pieces on as they come, and meter the events in them."""
        head = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await send({"type": "http.response.start", "status": OK, "headers": head})
        events, meter, hiding = Events(), exchange.meter, Redactor(self._upstream.secrets)
        pieces, passed, deadline = begun.pieces(), 0, None
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                exchange.keep(piece)
                for event in events.feed(piece):
                    meter.events += 1
                    speech.read(event, meter)
                passed += len(piece)
                if passed > LARGEST_STREAM:
                    raise EventTooLongError(f"more than {LARGEST_STREAM} bytes")
                if meter.ended and deadline is None:
                    await self._settle(exchange)
                    # Nothing is to come but the end of the connection, which is then good for the next request.
                    deadline = asyncio.get_running_loop().time() + _AFTERWARDS_SECONDS
                if safe := hiding.feed(piece):
                    await send({"type": "http.response.body", "body": safe, "more_body": True})
        except (EventTooLongError, OSError) as e:  # a timeout is an OSError, too
            if not meter.ended:
                raise self._broken(e) from None
        if exchange.metered and not meter.ended:
            raise self._broken(None)
        await send({"type": "http.response.body", "body": hiding.end(), "more_body": False})

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
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RefusedError(BAD, "the request did not come to its end")
                data += message.get("body", b"")
                if len(data) > LARGEST_BODY:
                    raise RefusedError(_TOO_LARGE, f"a request of more than {LARGEST_BODY} bytes")
                if not message.get("more_body"):
                    return bytes(data)
    except TimeoutError:
        raise RefusedError(_TOO_SLOW, f"the request did not come within {_BODY_SECONDS:.0f} s") from None


def _decode(body: bytes) -> dict[str, Any]:
    if sum(body.count(sign) for sign in (b"{", b"[", b",")) > MOST_PARTS:
        raise RefusedError(_TOO_LARGE, f"a request of more than {MOST_PARTS} parts")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RefusedError(BAD, "the request is not a JSON object")
    return value


def _headers(speech: Speech, scope: Message) -> dict[str, str]:
    given = {name.decode("latin-1").lower(): value.decode("ascii", "ignore") for name, value in scope["headers"]}
    passed = {name: speech.passes(name, given[name]) for name in _PASSED_HEADERS if name in given}
    return {name: value for name, value in passed.items() if value}


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_whole(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
