"""What an attempt has used of its budgets, and whether its door is still open. The clock is given."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock

from runner.budget import Allowance, Price, Spent, used_up
from runner.errors import OutsideError
from runner.gateway.dialect import Meter
from runner.model import Usage
from runner.ports import Budget

log = logging.getLogger(__name__)

BROKEN_IN_A_ROW = 3
_FIRST_GUESS = 1000


class Ledger:
    """Counts, and shuts the door for good: over a budget, or because the provider is down. Safe between threads.

    What is counted reaches the wider budgets (`Budget.account`) by `admit` and `flush`, which may block on a
    database; everything else is quick.

    Args:
        budget: the attempt's own limits, and the account of the wider ones.
        clock: seconds that never go back.
        price: of the model; None where it is not known, and then no money is counted.
    """

    def __init__(self, budget: Budget, clock: Callable[[], float], price: Price | None = None) -> None:
        self._budget = budget
        self._allowance = Allowance(budget.requests, budget.tokens, budget.usd, budget.wall_seconds)
        self._price = price
        self._clock = clock
        self._began = self._charged = clock()
        self._usage = Usage(cost_usd=None if price is None else 0.0)
        self._owed = Usage()
        self._expected = Usage(cost_usd=0.0)
        self._longest = _FIRST_GUESS
        self._broken = 0
        self._closed: tuple[str, str] | None = None
        self._lock = Lock()

    def usage(self) -> Usage:
        """What went through so far."""
        return self._usage

    def closed_because(self) -> tuple[str, str] | None:
        """("budget" | "provider_down" | "leak", why), or None while the door is open."""
        return self._closed

    def seconds_left(self) -> float:
        """What is left of the attempt's time."""
        return max(0.0, self._began + self._budget.wall_seconds - self._clock())

    def shut(self, kind: str, why: str) -> str:
        """Shut the door for good; the first reason stays, unless a leak comes to it. Answers the reason."""
        with self._lock:
            if self._closed is None or kind == "leak":
                self._closed = (kind, why)
            return self._closed[1]

    def admit(self) -> str | None:
        """Count a request in, or say why it may not pass."""
        if (closed := self.closed_because()) is not None:
            return closed[1]
        with self._lock:
            refusal = self._over()
            if refusal is None:
                self._add(Usage(requests=1))
        if refusal is not None:
            return self.shut("budget", refusal)
        self.flush()
        refusal = self._wider()
        if refusal is not None:
            return self.shut("budget", refusal)
        closed = self.closed_because()  # the flush may have failed
        return None if closed is None else closed[1]

    def expect(self, *, input: int, output: int | None) -> Usage | None:  # noqa: A002 - the provider's word
        """Set aside what a request will take, in tokens, if it is known; None while it has to wait for others.

        Without this, requests that are asked at the same time would each find the budget not used up yet, and go over
        it together. What comes alone is never held up, so that the last answer may be longer than what is left.
        """
        with self._lock:
            output = self._longest if output is None else output
            cost = 0.0 if self._price is None else self._price.of(input=input, cached=0, written=0, output=output)
            more = Usage(requests=1, input=input, output=output, cost_usd=cost)
            all_of_it = _sum(_sum(self._usage, self._expected), more)
            over = all_of_it.input + all_of_it.output > self._budget.tokens or (
                self._budget.usd is not None and (all_of_it.cost_usd or 0.0) > self._budget.usd
            )
            if over and self._expected.requests:
                return None
            self._expected = _sum(self._expected, more)
            return more

    def came(self, expected: Usage) -> None:
        """What was set aside is counted now."""
        with self._lock:
            left, cost = self._expected, expected.cost_usd or 0.0
            self._expected = Usage(
                requests=left.requests - expected.requests,
                input=left.input - expected.input,
                output=left.output - expected.output,
                cost_usd=(left.cost_usd or 0.0) - cost,
            )

    def exhausted(self) -> str | None:
        """Why a request that was let in may not be asked after all; None where it may."""
        refusal = self._over(requests=False)
        if self._closed is None and refusal is not None:
            return self.shut("budget", refusal)
        return None if self._closed is None else self._closed[1]

    def out_of_time(self) -> str:
        """Shut the door because the time is over."""
        return self.shut("budget", self._over() or "the attempt's time is over")

    def take(self, meter: Meter) -> float | None:
        """Add what an answer took, whether it came to its end or not. The answer is its price in US dollars."""
        cost = None
        if self._price is not None:
            cost = self._price.of(input=meter.input, cached=meter.cached, written=meter.written, output=meter.output)
        with self._lock:
            self._longest = max(self._longest, meter.output)
            self._add(Usage(input=meter.input, cached=meter.cached, output=meter.output, cost_usd=cost))
        return cost

    def flush(self, *, last: bool = False) -> None:
        """Charge what was counted to the wider budgets, the `last` time also where that is only time.

        Where it fails, the door is shut: nothing goes uncounted.
        """
        account = self._budget.account
        if account is None:
            return
        with self._lock:
            owed = self._owed
            if not (last or owed.requests or owed.input or owed.output):
                return  # whoever asks for what is refused anyway must not keep the database busy
            self._owed = Usage()
            now = self._clock()
            seconds, self._charged = now - self._charged, now
        try:
            account.charge(owed, seconds)
        except OutsideError as e:
            log.warning("%s", e.message)
            self.shut("budget", e.message)
            with self._lock:  # perhaps it can be written at the end
                self._owed = _sum(self._owed, owed)
                self._charged -= seconds

    def went_well(self) -> None:
        """An answer came to its end."""
        self._broken = 0

    def broke(self, why: str) -> bool:
        """An answer broke off; the CLI may ask again, but not forever. Whether that was once too often."""
        self._broken += 1
        if self._broken < BROKEN_IN_A_ROW:
            return False
        self.shut("provider_down", f"{self._broken} answers in a row broke off; the last: {why}")
        return True

    def _wider(self) -> str | None:
        account = self._budget.account
        try:
            return account.refusal() if account is not None else None
        except OutsideError as e:
            return e.message

    def _over(self, *, requests: bool = True) -> str | None:
        used = self._usage
        spent = Spent(
            used.requests if requests else 0,
            used.input + used.output,
            used.cost_usd or 0.0,
            self._clock() - self._began,
        )
        return used_up("attempt", self._allowance, spent)

    def _add(self, more: Usage) -> None:
        self._usage = _sum(self._usage, more)
        self._owed = _sum(self._owed, more)


def _sum(one: Usage, other: Usage) -> Usage:
    costs = [u.cost_usd for u in (one, other) if u.cost_usd is not None]
    return Usage(
        requests=one.requests + other.requests,
        input=one.input + other.input,
        cached=one.cached + other.cached,
        output=one.output + other.output,
        cost_usd=sum(costs) if costs else None,
    )
