"""A model that follows a script: answers the real CLI, in its provider's dialect, without network or key.

It knows where it is from the conversation that the CLI sends with every request: the tool calls that it made carry
the turn's number in their id, and the results that came back name them. Only faults, which leave no trace in a
conversation, are counted here.

The tokens that it reports are made up, but not arbitrary: a quarter of the bytes that went each way, so that what is
metered grows with what is said, and is the same every time.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from runner.agents.script import Turn
from runner.ports import Answer

log = logging.getLogger(__name__)

BYTES_PER_TOKEN = 4
_LAST_WORDS = "Done."


@dataclass(frozen=True)
class Said:
    """What the model answers: words, and perhaps a command for the shell under this id."""

    words: str | None
    shell: str | None = None
    call: str = ""
    poll: str | None = None
    """The still running command's own handle: ask how it goes instead of starting another."""


@dataclass(frozen=True)
class Heard:
    """What the conversation tells: the last of our calls that has a result, and whether it is still running."""

    last: int = -1
    running: str | None = None
    polls: int = 0
    can_act: bool = True
    """False where the CLI offers no tools, as when it wants a summary of the conversation."""


class Voice(Protocol):
    """One dialect of the script's model."""

    def hear(self, request: dict[str, Any]) -> Heard:
        """Where the conversation stands."""
        ...

    def speak(self, request: dict[str, Any], said: Said, tokens_in: int) -> list[bytes]:
        """The answer's events, in order, the last one being the terminal event."""
        ...


class Replay:
    """`runner.ports.Upstream` for one attempt.

    Args:
        voice: the dialect to answer in.
        turns: what to do.
    """

    name = ""
    secrets: tuple[str, ...] = ()

    def __init__(self, voice: Voice, turns: tuple[Turn, ...]) -> None:
        self._voice = voice
        self._turns = turns
        self._fired: Counter[int] = Counter()

    @asynccontextmanager
    async def exchange(self, path: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Answer]:
        """Answer as the script says."""
        del headers
        request = json.loads(body)
        if "/count_tokens" in path:
            yield _plain(200, {"input_tokens": len(body) // BYTES_PER_TOKEN})
            return
        heard = self._voice.hear(request)
        fault, turn = self._next(heard)
        if fault is not None and fault.fail is not None:
            yield _plain(fault.fail, {"error": {"type": "replayed", "message": f"the script fails with {fault.fail}"}})
            return
        events = self._voice.speak(request, _said(turn, heard, self._turns), len(body) // BYTES_PER_TOKEN)
        yield Answer(200, {"content-type": "text/event-stream"}, _told(events, fault))

    async def aclose(self) -> None:
        """Nothing is held."""

    def _next(self, heard: Heard) -> tuple[Turn | None, int | None]:
        """The fault that comes first, if any, and the index of the turn to play (None: still running, or all said)."""
        if heard.running is not None or not heard.can_act:
            return None, None
        for index in range(heard.last + 1, len(self._turns)):
            turn = self._turns[index]
            if not turn.fault:
                return None, index
            if turn.times == 0 or self._fired[index] < turn.times:
                self._fired[index] += 1
                follows = next((i for i in range(index, len(self._turns)) if not self._turns[i].fault), None)
                return turn, follows
        return None, None


def _said(index: int | None, heard: Heard, turns: tuple[Turn, ...]) -> Said:
    if heard.running is not None:
        return Said(None, call=call_id(heard.last, heard.polls + 1), poll=heard.running)
    if index is None:
        return Said(_LAST_WORDS)
    turn = turns[index]
    return Said(turn.say, shell=turn.shell, call=call_id(index, 0)) if turn.shell is not None else Said(turn.say)


def call_id(turn: int, poll: int) -> str:
    """The id of a tool call, from which `turn_of` knows it again."""
    return f"call_replay_{turn:04d}_{poll:04d}"


def turn_of(call: object) -> tuple[int, int] | None:
    """Turn and poll of one of our calls; None for anything else."""
    parts = call.split("_") if isinstance(call, str) else []
    if len(parts) == 4 and parts[:2] == ["call", "replay"] and parts[2].isdigit() and parts[3].isdigit():  # noqa: PLR2004
        return int(parts[2]), int(parts[3])
    return None


def sse(event: dict[str, Any]) -> bytes:
    """One server-sent event, named by its type as both providers do."""
    return f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()


def _plain(status: int, value: dict[str, Any]) -> Answer:
    async def once() -> AsyncIterator[bytes]:
        yield json.dumps(value).encode()

    return Answer(status, {"content-type": "application/json"}, once())


async def _told(events: list[bytes], fault: Turn | None) -> AsyncIterator[bytes]:
    middle = len(events) // 2
    for index, event in enumerate(events):
        if index == middle and fault is not None:
            if fault.cut:
                log.info("the script breaks off here")
                return
            await asyncio.sleep(fault.stall or 0)
        yield event
