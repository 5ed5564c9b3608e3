"""What an attempt has used of its budget, and whether its door is still open. Pure; the clock is given."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from runner.gateway.dialect import Meter
from runner.model import Usage
from runner.ports import Budget

BROKEN_IN_A_ROW = 3


class Ledger:
    """Counts, and shuts the door for good: over budget, or because the provider is down. Safe between threads."""

    def __init__(self, budget: Budget, clock: Callable[[], float]) -> None:
        self._budget = budget
        self._clock = clock
        self._end = clock() + budget.wall_seconds
        self._usage = Usage()
        self._broken = 0
        self._closed: tuple[str, str] | None = None
        self._lock = Lock()

    def usage(self) -> Usage:
        """What went through so far."""
        return self._usage

    def closed_because(self) -> tuple[str, str] | None:
        """("budget" | "provider_down", why), or None while the door is open."""
        return self._closed

    def seconds_left(self) -> float:
        """What is left of the time."""
        return max(0.0, self._end - self._clock())

    def shut(self, kind: str, why: str) -> str:
        """Shut the door for good; the first reason stays. Answers the reason."""
        with self._lock:
            if self._closed is None:
                self._closed = (kind, why)
            return self._closed[1]

    def admit(self) -> str | None:
        """Count a request in, or say why it may not pass."""
        used, budget = self._usage, self._budget
        if self._closed is not None:
            return self._closed[1]
        if used.requests >= budget.requests:
            return self.shut("budget", f"the attempt has made its {budget.requests} model requests")
        if used.input + used.output >= budget.tokens:
            return self.shut("budget", f"the attempt has used its {budget.tokens} tokens")
        if self.seconds_left() <= 0:
            return self.out_of_time()
        with self._lock:
            self._usage = used.model_copy(update={"requests": self._usage.requests + 1})
        return None

    def out_of_time(self) -> str:
        """Shut the door because the time is over."""
        return self.shut("budget", f"the attempt has used its {self._budget.wall_seconds:.0f} seconds")

    def take(self, meter: Meter) -> None:
        """Add what an answer took, whether it came to its end or not."""
        with self._lock:
            used = self._usage
            self._usage = used.model_copy(
                update={
                    "input": used.input + meter.input,
                    "cached": used.cached + meter.cached,
                    "output": used.output + meter.output,
                }
            )

    def went_well(self) -> None:
        """An answer came to its end."""
        self._broken = 0

    def broke(self, why: str) -> None:
        """An answer broke off; the CLI may ask again, but not forever."""
        self._broken += 1
        if self._broken >= BROKEN_IN_A_ROW:
            self.shut("provider_down", f"{self._broken} answers in a row broke off; the last: {why}")
