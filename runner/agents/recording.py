"""A recorded attempt, played again: the provider's answers as the gateway kept them, in their order."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from runner.errors import ConfigError
from runner.ports import Answer

_OK, _OVER = 200, 400


class Recording:
    """`runner.ports.Upstream` for one attempt: the n-th request gets the n-th recorded answer.

    Args:
        answers: whole event streams, as the provider sent them.
    """

    name = ""
    secrets: tuple[str, ...] = ()

    def __init__(self, answers: tuple[bytes, ...]) -> None:
        self._answers = answers
        self._played = 0

    @asynccontextmanager
    async def exchange(self, path: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Answer]:
        """Answer with what comes next; a request beyond the end is refused, which ends the attempt."""
        del path, headers, body
        number, self._played = self._played, self._played + 1
        if number < len(self._answers):
            yield Answer(_OK, {"content-type": "text/event-stream"}, _once(self._answers[number]))
        else:
            error = {"error": {"type": "replay", "message": f"the recording ends after {len(self._answers)} answers"}}
            yield Answer(_OVER, {"content-type": "application/json"}, _once(json.dumps(error).encode()))

    async def aclose(self) -> None:
        """Nothing is held."""


def load_recording(path: Path) -> tuple[bytes, ...]:
    """The answers in a record of the gateway (`attempt-N.exchanges.jsonl`).

    Raises:
        ConfigError: the file is missing, is no record, or has no answer.
    """
    try:
        exchanges = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        answers = tuple(
            str(e["answer"]).encode() for e in exchanges if e.get("status") == _OK and "data:" in e["answer"]
        )
    except OSError as e:
        raise ConfigError(f"the recording {path} cannot be read: {e.strerror}") from e
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise ConfigError(f"{path} is not a record of the gateway: {e!r}", remedy="see docs/replay.md") from e
    if not answers:
        raise ConfigError(f"the recording {path} has no answer to play", remedy="see docs/replay.md")
    return answers


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
