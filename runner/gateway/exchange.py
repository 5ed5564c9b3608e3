"""One request and what came of it: what is known about it, what ends it early, and what is recorded of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from runner.gateway.dialect import Meter
from runner.gateway.record import LARGEST_ANSWER, redact
from runner.model import Usage
from runner.tripwire import HIDDEN


class RefusedError(Exception):
    """This request gets no answer from the provider. `message` is what the CLI is told."""

    def __init__(self, status: int, message: str, *, note: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.note = note or message


class BrokenOffError(Exception):
    """The answer stopped before its end; the client's connection must not end cleanly."""


@dataclass(frozen=True)
class Question:
    """A request as the provider gets it."""

    path: str
    headers: dict[str, str]
    body: bytes


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
    metered: bool = False
    """Its answer costs tokens."""
    note: str = ""
    expected: Usage | None = None
    """What of the budget is set aside for it."""
    patience: float = 0.0
    settled: bool = False
    started: float = field(default_factory=time.monotonic)

    def keep(self, chunk: bytes) -> None:
        """Remember a part of the answer, up to the record's cap."""
        self.answer += chunk[: max(0, LARGEST_ANSWER - len(self.answer))]


class Redactor:
    """`redact` for a stream: only what may be the beginning of a secret is held back until more comes."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = tuple(secret.encode() for secret in secrets if secret)
        self._held = b""

    def feed(self, piece: bytes) -> bytes:
        """What may be passed on now."""
        data = self._held + piece
        for secret in self._secrets:
            data = data.replace(secret, HIDDEN.encode())
        held = max((_overlap(data, secret) for secret in self._secrets), default=0)
        self._held = data[len(data) - held :]
        return data[: len(data) - held]

    def end(self) -> bytes:
        """What was held back, and has turned out to be no secret."""
        held, self._held = self._held, b""
        return held


def _overlap(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of `data` are a secret's beginning."""
    return next((n for n in range(min(len(secret) - 1, len(data)), 0, -1) if data.endswith(secret[:n])), 0)


def redact_bytes(data: bytes, secrets: tuple[str, ...]) -> bytes:
    """`redact` for what goes into the container."""
    return redact(data.decode("utf-8", "surrogateescape"), secrets).encode("utf-8", "surrogateescape")
