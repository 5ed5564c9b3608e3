"""Asking the provider until an answer has begun that is worth passing on, or until there is no hope.

Short troubles (overload, a refused connection, an answer that breaks off before its first piece) are bridged here:
nothing of the answer has reached the CLI yet, so it can be asked for again. The waits grow, and are spread a little so
that many doors do not knock at once. A provider that counts requests (429) is waited for longer than a broken one.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

from runner.gateway.breaker import Breaker
from runner.gateway.dialect import Meter, Speech, names_of, table
from runner.gateway.exchange import Exchange, Question, RefusedError
from runner.gateway.faults import UNPAID_CODES, Fault, judged, passing
from runner.gateway.ledger import Ledger
from runner.gateway.record import redact
from runner.gateway.sse import Events, EventTooLongError
from runner.ports import Answer, Upstream

log = logging.getLogger(__name__)

LARGEST_WHOLE_ANSWER = 16 * 1024 * 1024
OK, BAD = 200, 400
_ERROR_SECONDS = 30.0
_LONGEST_BEGINNING = 64 * 1024


@dataclass(frozen=True)
class Patience:
    """How long the gateway waits for a provider, in seconds, and how often it asks.

    `headers` is for the beginning of a stream, `whole` for an answer that comes in one piece, `stall` for the time
    between two pieces of a stream, `counted` for a provider that answers 429 and nothing else.
    """

    headers: float = 120.0
    whole: float = 600.0
    stall: float = 240.0
    tries: int = 4
    first_wait: float = 1.0
    longest_wait: float = 20.0
    counted: float = 90.0


@dataclass
class Begun:
    """An answer that has begun: whole (`rest` is None), or its first piece and the others as they come."""

    status: int
    data: bytes
    rest: AsyncIterator[bytes] | None = None

    async def pieces(self) -> AsyncIterator[bytes]:
        """All of it, as it comes."""
        yield self.data
        if self.rest is not None:
            async for piece in self.rest:
                yield piece


class CutError(Exception):
    """The answer broke off before anything of it was passed on."""

    def __init__(self, failed: Fault | str) -> None:
        super().__init__(str(failed))
        self.failed = Fault(failed) if isinstance(failed, str) else failed


class Asker:
    """Asks one provider for one door.

    Args:
        upstream: the provider.
        ledger: the door's; shut when there is no hope.
        breaker: the provider's, which other doors look at, too; None where there is none (a script).
        patience: how long and how often.
    """

    def __init__(self, upstream: Upstream, ledger: Ledger, breaker: Breaker | None, patience: Patience) -> None:
        self._upstream = upstream
        self._ledger = ledger
        self._breaker = breaker
        self._patience = patience

    async def ask(self, speech: Speech, question: Question, exchange: Exchange, stack: AsyncExitStack) -> Begun:
        """An answer that is worth passing on; `stack` holds its connection.

        Raises:
            RefusedError: the door is shut now.
        """
        waited = 0.0
        while True:
            self._look_at_breaker()
            exchange.tries += 1
            begun = await self._once(speech, question, exchange, stack)
            if isinstance(begun, Begun):
                return begun
            wait = max(self._pause(exchange.tries), min(begun.wait, self._patience.longest_wait))
            may_wait = begun.counted and waited + wait <= self._patience.counted
            in_vain = begun.counted and begun.wait > self._patience.counted - waited
            last = begun.hopeless or in_vain or (exchange.tries >= self._patience.tries and not may_wait)
            if self._ledger.seconds_left() <= (0 if last else wait):
                raise RefusedError(BAD, f"automend: {self._ledger.out_of_time()}", note=begun.why)
            if last:
                raise self._give_up(begun, exchange.tries)
            log.info("the provider answers %s; asking again in %.1f s", begun.why, wait)
            waited += wait
            await asyncio.sleep(wait)

    def went_well(self) -> None:
        """An answer came to its end."""
        self._ledger.went_well()
        if self._breaker is not None:
            self._breaker.went_well()

    def broke(self, why: str, names: frozenset[str] = frozenset()) -> None:
        """An answer broke off after its beginning; too many in a row shut the door, and no money does at once.

        Args:
            why: in words.
            names: what the provider calls it, if it said so.
        """
        if names & UNPAID_CODES:
            self._ledger.shut("provider_down", f"the provider breaks off: {why}")
            if self._breaker is not None:
                self._breaker.hopeless(why)
            return
        if self._ledger.broke(why) and self._breaker is not None:
            self._breaker.failed(self._ledger, why)

    async def timed(self, answer: Answer) -> AsyncIterator[bytes]:
        """The pieces of an answer, each within its deadline.

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

    def _look_at_breaker(self) -> None:
        said = self._breaker.refusal(self._ledger) if self._breaker is not None else None
        if said is not None:
            shut = self._ledger.shut("provider_down", said)
            raise RefusedError(BAD, f"automend: {shut}", note=shut)

    async def _once(
        self, speech: Speech, question: Question, exchange: Exchange, stack: AsyncExitStack
    ) -> Begun | Fault:
        secrets = self._upstream.secrets
        exchange.answer.clear()  # of an earlier try
        attempt = await stack.enter_async_context(AsyncExitStack())
        try:
            async with asyncio.timeout(min(exchange.patience, self._ledger.seconds_left())):
                asked = self._upstream.exchange(question.path, question.headers, question.body)
                answer = await attempt.enter_async_context(asked)
            exchange.status = answer.status
            if answer.status == OK:
                return await self._begin(speech, answer, exchange.patience)
            data = await self._error_of(answer)
            exchange.keep(data)
            failed = judged(answer, data.decode("utf-8", "replace"))
            if failed is None:  # the provider does not like this very request (too long, say)
                return Begun(answer.status, data)
        except CutError as e:
            failed = e.failed
        except TimeoutError:
            failed = Fault(f"no answer within {exchange.patience:.0f} s")
        except OSError as e:
            failed = Fault(redact(f"unreachable: {e}", secrets))
        await attempt.aclose()
        failed.why = redact(failed.why, secrets)
        return failed

    async def _begin(self, speech: Speech, answer: Answer, patience: float) -> Begun:
        """The beginning of a stream, or all of an answer that comes in one.

        Raises:
            CutError: it broke off, or says itself that it failed.
            TimeoutError: it took too long.
            OSError: the connection broke.
        """
        pieces = self.timed(answer)
        if "text/event-stream" in answer.headers.get("content-type", ""):
            try:
                return Begun(answer.status, await _first(speech, pieces), pieces)
            except OSError as e:  # a timeout is one, too
                raise CutError(f"a stream that broke off at once ({e})") from e
        data = bytearray()
        async with asyncio.timeout(min(patience, self._ledger.seconds_left())):
            async for piece in pieces:
                data += piece
                if len(data) > LARGEST_WHOLE_ANSWER:
                    raise CutError(f"more than {LARGEST_WHOLE_ANSWER} bytes in one piece")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as e:
            raise CutError(f"{len(data)} bytes that are no whole answer") from e
        error = table(table(value).get("error"))
        if error and (failed := passing(names_of(error), str(error.get("message")))) is not None:
            raise CutError(failed)
        return Begun(answer.status, bytes(data))

    async def _error_of(self, answer: Answer) -> bytes:
        """The body of an error, as much of it as comes."""
        data = bytearray()
        try:
            async with asyncio.timeout(_ERROR_SECONDS):
                async for piece in self.timed(answer):
                    data += piece
                    if len(data) > LARGEST_WHOLE_ANSWER:
                        break
        except OSError as e:
            log.debug("the body of an error broke off: %s", e)
        return bytes(data)

    def _give_up(self, failed: Fault, tries: int) -> RefusedError:
        why = f"the provider answers {failed.why} (asked {tries} times)"
        if self._breaker is not None:
            if failed.unpaid:
                self._breaker.hopeless(failed.why)
            elif not failed.hopeless:
                self._breaker.failed(self._ledger, failed.why)
        shut = self._ledger.shut("provider_down", why)
        return RefusedError(BAD, f"automend: {shut}", note=shut)

    def _pause(self, number: int) -> float:
        """Twice as long each time, spread a little."""
        wait = self._patience.first_wait * 2.0 ** (number - 1)
        return min(wait * random.uniform(0.8, 1.2), self._patience.longest_wait)  # noqa: S311 - no secret


async def _first(speech: Speech, pieces: AsyncIterator[bytes]) -> bytes:
    """The bytes up to the end of a stream's first event, or of whatever else it begins with.

    Raises:
        CutError: there is nothing, or the provider says that it failed, and that this passes.
        OSError: the connection broke, or stalled.
    """
    begun, events, meter = bytearray(), Events(), Meter()
    try:
        async for piece in pieces:
            begun += piece
            for event in events.feed(piece):
                speech.read(event, meter)
            if meter.failure is not None:
                if (failed := passing(meter.failure_names, meter.failure)) is not None:
                    raise CutError(failed)
                return bytes(begun)
            seen = begun[-len(piece) - 3 :]
            if b"\n\n" in seen or b"\r\n\r\n" in seen or len(begun) > _LONGEST_BEGINNING:
                return bytes(begun)
    except EventTooLongError as e:
        raise CutError(f"a stream with {e}") from e
    if not begun:
        raise CutError("a stream without anything in it")
    return bytes(begun)
