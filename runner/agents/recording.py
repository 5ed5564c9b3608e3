"""A recorded attempt, played again: the provider's answers as the gateway kept them, in their order."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from runner.errors import ConfigError
from runner.exchanges import Exchange, decoded, read_exchanges
from runner.ports import Answer, Dialect

_OK, _OVER = 200, 400
_REMEDY = "see docs/replay.md"


class Recording:
    """`runner.ports.Upstream` for one attempt: the n-th request to a path gets the n-th recorded answer of that path.

    Args:
        exchanges: what to answer, as `load_recording` gives it.
    """

    name = ""
    secrets: tuple[str, ...] = ()

    def __init__(self, exchanges: tuple[Exchange, ...]) -> None:
        self._left = list(exchanges)
        self._said = len(exchanges)

    @asynccontextmanager
    async def exchange(self, path: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Answer]:
        """Answer with what comes next; a request beyond the end is refused, which ends the attempt."""
        del headers, body
        asked = {"", f"POST {path.partition('?')[0]}"}  # made by hand, a line may have no path
        found = next((e for e in self._left if e.path in asked), None)
        if found is None:
            yield _plain(_OVER, f"the recording ends after {self._said} answers")
            return
        self._left.remove(found)
        if _streamed(found):
            yield Answer(_OK, {"content-type": "text/event-stream"}, _once(found.answer.encode()))
        elif decoded(found.answer) is not None:
            yield Answer(found.status, {"content-type": "application/json"}, _once(found.answer.encode()))
        else:
            yield _plain(found.status, found.note or "the recording has no answer here")

    async def aclose(self) -> None:
        """Nothing is held."""


def load_recording(path: Path) -> tuple[Exchange, ...]:
    """What a provider answered, of a record of the gateway (`attempt-N.exchanges.jsonl.gz`).

    Raises:
        ConfigError: the file is missing, is no record, or has no answer.
    """
    answered = tuple(e for e in read_exchanges(path) if _streamed(e) or (e.tries > 0 and e.status > 0))
    if not any(_streamed(e) for e in answered):
        raise ConfigError(f"the recording {path} has no answer to play", remedy=_REMEDY)
    return answered


def dialect_of(exchanges: tuple[Exchange, ...]) -> Dialect:
    """Which CLI's requests these are."""
    return "anthropic" if any(e.path.startswith("POST /v1/messages") for e in exchanges) else "openai"


def prompt_of(exchanges: tuple[Exchange, ...]) -> str | None:
    """What the CLI was told, as its first request carries it: the last words of a user in it. None where it was cut."""
    first = next((body for e in exchanges if (body := decoded(e.request)) is not None), None)
    if first is None:
        return None
    said = [
        text
        for message in first.get("messages") or first.get("input") or []
        if isinstance(message, dict) and message.get("role") == "user"
        for text in texts(message.get("content"))
    ]
    return said[-1] if said else None


def texts(content: Any) -> list[str]:
    """The texts in a message's content, in either dialect."""
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [str(part["text"]) for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _streamed(exchange: Exchange) -> bool:
    return exchange.status == _OK and "data:" in exchange.answer


def _plain(status: int, words: str) -> Answer:
    error = {"error": {"type": "replay", "message": words}}
    return Answer(status, {"content-type": "application/json"}, _once(json.dumps(error).encode()))


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
