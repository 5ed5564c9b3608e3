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
from typing import Any

from runner.gateway.breaker import Breaker
from runner.gateway.exchange import Exchange, Question, RefusedError
from runner.gateway.ledger import Ledger
from runner.gateway.record import redact
from runner.ports import Answer, Upstream

log = logging.getLogger(__name__)

LARGEST_WHOLE_ANSWER = 16 * 1024 * 1024
OK, BAD = 200, 400

_OVERLOADED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_HOPELESS = frozenset({401, 402, 403, 404})
_WRONG_KEY, _UNPAID, _TOO_MANY = 401, 402, 429
# What providers call it when there is no money left: the error's `code` or `type`, never its message, into which an
# agent could write. The one exception has no code of its own, and begins so.
_UNPAID_CODES = frozenset({
    "insufficient_quota", "billing_error", "billing_not_active", "billing_hard_limit_reached", "quota_exceeded",
})  # fmt: skip
_UNPAID_WORDS = "Your credit balance is too low"


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


@dataclass
class _Try:
    """What a try that came to nothing says about the next one."""

    why: str
    wait: float = 0.0
    counted: bool = False
    hopeless: bool = False
    unpaid: bool = False


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

    async def ask(self, question: Question, exchange: Exchange, stack: AsyncExitStack) -> Begun:
        """An answer that is worth passing on; `stack` holds its connection.

        Raises:
            RefusedError: the door is shut now.
        """
        waited = 0.0
        while True:
            self._look_at_breaker()
            exchange.tries += 1
            begun = await self._once(question, exchange, stack)
            if isinstance(begun, Begun):
                return begun
            wait = max(self._pause(exchange.tries), min(begun.wait, self._patience.longest_wait))
            may_wait = begun.counted and waited + wait <= self._patience.counted
            last = begun.hopeless or (exchange.tries >= self._patience.tries and not may_wait)
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
        if names & _UNPAID_CODES:
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

    async def _once(self, question: Question, exchange: Exchange, stack: AsyncExitStack) -> Begun | _Try:
        secrets = self._upstream.secrets
        exchange.answer.clear()  # of an earlier try
        attempt = await stack.enter_async_context(AsyncExitStack())
        try:
            async with asyncio.timeout(min(exchange.patience, self._ledger.seconds_left())):
                asked = self._upstream.exchange(question.path, question.headers, question.body)
                answer = await attempt.enter_async_context(asked)
            exchange.status = answer.status
            if answer.status == OK:
                return await self._begin(answer)
            data = await self._error_of(answer)
            exchange.keep(data)
            failed = _judge(answer, data.decode("utf-8", "replace"))
            if failed is None:  # the provider does not like this very request (too long, say)
                return Begun(answer.status, data)
            failed.why = redact(failed.why, secrets)
        except CutError as e:
            failed = _Try(str(e))
        except TimeoutError:
            failed = _Try(f"no answer within {exchange.patience:.0f} s")
        except OSError as e:
            failed = _Try(redact(f"unreachable: {e}", secrets))
        await attempt.aclose()
        return failed

    async def _begin(self, answer: Answer) -> Begun:
        """The first piece of a stream, or all of an answer that comes in one.

        Raises:
            CutError: it broke off.
            TimeoutError: it took too long.
            OSError: the connection broke.
        """
        pieces = self.timed(answer)
        if "text/event-stream" in answer.headers.get("content-type", ""):
            try:
                async for first in pieces:
                    if first:
                        return Begun(answer.status, first, pieces)
            except OSError as e:  # a timeout is one, too
                raise CutError(f"a stream that broke off at once ({redact(str(e), self._upstream.secrets)})") from e
            raise CutError("a stream without anything in it")
        data = bytearray()
        async for piece in pieces:
            data += piece
            if len(data) > LARGEST_WHOLE_ANSWER:
                raise CutError(f"more than {LARGEST_WHOLE_ANSWER} bytes in one piece")
        try:
            json.loads(data)
        except (ValueError, RecursionError) as e:
            raise CutError(f"{len(data)} bytes that are no whole answer") from e
        return Begun(answer.status, bytes(data))

    async def _error_of(self, answer: Answer) -> bytes:
        """The body of an error, as much of it as comes."""
        data = bytearray()
        try:
            async for piece in self.timed(answer):
                data += piece
                if len(data) > LARGEST_WHOLE_ANSWER:
                    break
        except OSError as e:
            log.debug("the body of an error broke off: %s", e)
        return bytes(data)

    def _give_up(self, failed: _Try, tries: int) -> RefusedError:
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


def _judge(answer: Answer, text: str) -> _Try | None:
    """What an error of the provider means; None where it is about this very request, and the CLI's to know."""
    error = _error(text)
    names = {str(error.get("code")), str(error.get("type"))}
    unpaid = (
        answer.status == _UNPAID or bool(names & _UNPAID_CODES) or str(error.get("message")).startswith(_UNPAID_WORDS)
    )
    if not unpaid and answer.status not in _OVERLOADED | _HOPELESS:
        return None
    said = " ".join(f"{error.get('code') or error.get('type') or ''} {error.get('message') or ''}".split()) or text
    return _Try(
        f"HTTP {answer.status} {' '.join(said.split())[:300]}".strip(),
        wait=_retry_after(answer),
        counted=answer.status == _TOO_MANY,
        hopeless=unpaid or answer.status in _HOPELESS,
        unpaid=unpaid or answer.status == _WRONG_KEY,
    )


def _error(text: str) -> dict[str, Any]:
    """The error object of a body, empty where it has none."""
    try:
        error = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {"message": str(error)}


def _retry_after(answer: Answer) -> float:
    try:
        return max(0.0, float(answer.headers.get("retry-after", "0")))
    except ValueError:
        return 0.0
