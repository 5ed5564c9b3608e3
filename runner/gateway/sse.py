"""Server-sent events, read from chunks as they come."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

LONGEST_EVENT = 16 * 1024 * 1024
_DONE = b"[DONE]"  # the one event of OpenAI's older streams that is no JSON; told as an object of that type


class EventTooLongError(ValueError):
    """One event is longer than any answer has a right to be."""


class Events:
    """Finds the JSON events in a stream of bytes; the bytes themselves go their own way."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._data: list[bytes] = []
        self._size = 0
        self._begun = 0

    def feed(self, chunk: bytes) -> Iterator[dict[str, Any]]:
        """The events that this chunk completes; what is not a JSON object is passed over.

        Raises:
            EventTooLongError: an event does not end.
        """
        self._rest.append(chunk)
        self._begun += len(chunk)
        if b"\n" in chunk:
            *lines, rest = b"".join(self._rest).split(b"\n")
            self._rest = [rest]
            for line in lines:
                text = line.rstrip(b"\r")
                if text.startswith(b"data:"):
                    self._data.append(text[5:].strip())
                    self._size += len(text)
                elif not text and self._data:
                    event = _parse(b"\n".join(self._data))
                    self._data, self._size = [], 0
                    if event is not None:
                        yield event
            self._begun = len(rest)
        if self._size + self._begun > LONGEST_EVENT:
            raise EventTooLongError(f"an event of more than {LONGEST_EVENT} bytes")


def _parse(data: bytes) -> dict[str, Any] | None:
    if data == _DONE:
        return {"type": _DONE.decode()}
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
