"""The exchanges of one attempt, kept without secrets and with caps."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from pathlib import Path
from threading import Lock
from typing import Any

from runner.exchanges import append
from runner.tripwire import HIDDEN, Tripwire

log = logging.getLogger(__name__)

LARGEST_REQUEST = 1024 * 1024
LARGEST_ANSWER = 4 * 1024 * 1024
LARGEST_FILE = 128 * 1024 * 1024  # before it is compressed, to about a tenth


def redact(text: str, secrets: Iterable[str]) -> str:
    """The text without any of the secrets."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, HIDDEN)
    return text


def cut(text: str, limit: int) -> str:
    """Head and tail of a text that is too long, with a note of what is missing between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters …]\n{text[-half:]}"


class Record:
    """Writes exchanges to a file of mode 0600. A full or failing disk loses the record, never the attempt."""

    def __init__(self, path: Path | None, secrets: tuple[str, ...], tripwire: Tripwire | None = None) -> None:
        self._path = path
        self._secrets = secrets
        self._tripwire = tripwire or Tripwire()
        self._left = LARGEST_FILE
        self._lock = Lock()
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(b"")

    def write(self, *, request: bytes, answer: bytes, **facts: Any) -> None:
        """Add one exchange. Safe between threads."""
        if self._path is None:
            return
        line = json.dumps(
            {
                **{name: self._told(value) for name, value in facts.items()},
                "request": cut(self._clean(request), LARGEST_REQUEST),
                "answer": cut(self._clean(answer), LARGEST_ANSWER),
            },
            ensure_ascii=False,
        )
        data = line.encode("utf-8", "replace") + b"\n"
        with self._lock:
            self._add(self._path, data)

    def _add(self, path: Path, data: bytes) -> None:
        if self._left <= 0:
            return
        self._left -= len(data)
        if self._left <= 0:
            data = b'{"note": "the record is full"}\n'
        try:
            append(path, data)
        except OSError as e:
            log.warning("%s cannot be written: %s", path, e)
            self._left = 0

    def _told(self, value: Any) -> Any:
        """A fact without secrets, as an agent can write into some: what was stripped, and the path that it asked."""
        if isinstance(value, list):
            return [self._told(part) for part in value]
        return self._clean(value.encode("utf-8", "replace")) if isinstance(value, str) else value

    def _clean(self, body: bytes) -> str:
        """Without secrets before it is cut: half of one is too much."""
        return self._tripwire.hide(redact(body.decode("utf-8", "replace"), self._secrets))
