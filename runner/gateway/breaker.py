"""A provider that is down is left alone for a while: its circuit breaker, shared by all doors to it.

Attempts that were given up in a row open it, and so does at once what no attempt can mend (a quota that is used up, a
key that is refused). While it is open no door to the provider is made, so that the next agent takes over without a
container being started. After the pause one attempt is let through to try; its end decides.

Only the first trouble of a door counts, so that no agent can make a healthy provider look sick to the others by
provoking errors; and one good answer closes the breaker.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

FAILURES_IN_A_ROW = 3
PAUSE_SECONDS = 60.0
LONGEST_PAUSE_SECONDS = 900.0


class Breaker:
    """The circuit breaker of one provider. Safe between threads.

    Args:
        name: the provider's, for people.
        clock: seconds that never go back.
    """

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._name = name
        self._clock = clock
        self._failures = 0
        self._pause = PAUSE_SECONDS
        self._until: float | None = None
        self._why = ""
        self._probe: object | None = None
        self._lock = Lock()

    def admit(self, door: object) -> str | None:
        """Let a new door be made, or say why not. The first one after a pause is the one that tries."""
        with self._lock:
            refusal = self._refusal(door)
            if refusal is None and self._until is not None:
                self._probe = door
            return refusal

    def refusal(self, door: object) -> str | None:
        """Why this door may not ask the provider now; None where it may."""
        with self._lock:
            return self._refusal(door)

    def went_well(self) -> None:
        """The provider gave a good answer: all is forgiven."""
        with self._lock:
            self._failures, self._pause, self._until, self._probe = 0, PAUSE_SECONDS, None, None

    def failed(self, door: object, why: str) -> None:
        """A door gave up on the provider."""
        with self._lock:
            self._failures += 1
            if self._probe is door or self._failures >= FAILURES_IN_A_ROW:
                self._open(f"{self._failures} attempts in a row failed; the last: {why}", self._pause)

    def hopeless(self, why: str) -> None:
        """No attempt can work now, whoever makes it."""
        with self._lock:
            self._failures += 1
            self._open(why, LONGEST_PAUSE_SECONDS)

    def leave(self, door: object) -> None:
        """A door is gone; if it was to try the provider and did not come to it, another may."""
        with self._lock:
            if self._probe is door:
                self._probe = None

    def _open(self, why: str, pause: float) -> None:
        self._why, self._probe = why, None
        self._until = max(self._until or 0.0, self._clock() + pause)
        self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    def _refusal(self, door: object) -> str | None:
        if self._until is None or self._probe is door:
            return None
        left = self._until - self._clock()
        if left > 0:
            return f"{self._name} is left alone for {left:.0f} more seconds: {self._why}"
        if self._probe is not None:
            return f"{self._name} is being tried by one attempt: {self._why}"
        return None
