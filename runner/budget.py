"""What models may cost: limits for an attempt, a run, and a day of a repository or of the whole host.

Pure. An attempt's own limits are kept by its door; the wider ones are sums over attempts (`runner.spending`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scope = Literal["attempt", "run", "repo", "day"]
Measure = Literal["requests", "tokens", "usd", "seconds"]

MEASURES: tuple[Measure, ...] = ("requests", "tokens", "usd", "seconds")

_WHOSE: dict[Scope, str] = {
    "attempt": "the attempt's budget",
    "run": "the run's budget",
    "repo": "the repository's budget for today",
    "day": "this host's budget for today",
}
_ATTEMPT_SETTINGS: dict[Measure, str] = {
    "requests": "run.requests_per_attempt",
    "tokens": "run.tokens_per_attempt",
    "usd": "run.usd_per_attempt",
    "seconds": "run.attempt_seconds",
}
_MILLION = 1_000_000


@dataclass(frozen=True)
class Price:
    """What a model costs, in US dollars per million tokens.

    `cached` is for input that it reads from its cache, `written` for input that it puts there.
    """

    input: float
    cached: float
    written: float
    output: float

    def of(self, *, input: int, cached: int, written: int, output: int) -> float:  # noqa: A002 - the provider's word
        """The price of one answer, in US dollars. `input` includes `cached` and `written`."""
        plain = max(0, input - cached - written)
        parts = plain * self.input + cached * self.cached + written * self.written + output * self.output
        return parts / _MILLION


@dataclass(frozen=True)
class Allowance:
    """The most that one scope may take of each; None is no limit."""

    requests: int | None = None
    tokens: int | None = None
    usd: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Spent:
    """What was taken: model requests, tokens in and out, US dollars (of models with a price), seconds of agents."""

    requests: int = 0
    tokens: int = 0
    usd: float = 0.0
    seconds: float = 0.0


def used_up(scope: Scope, allowance: Allowance, spent: Spent) -> str | None:
    """Which budget is used up, how much that is and where to raise it; None while something is left of each."""
    for measure in MEASURES:
        most, used = getattr(allowance, measure), getattr(spent, measure)
        if most is not None and used >= most:
            return words(scope, measure, most=most, used=used)
    return None


def words(scope: Scope, measure: Measure, *, most: float, used: float) -> str:
    """A budget that is used up, in one line."""
    limit, taken = amount(measure, most), amount(measure, used)
    over = f" ({taken.partition(' ')[0]})" if taken != limit else ""
    again = ", and begins anew at 00:00 UTC" if scope in {"repo", "day"} else ""
    return f"{_WHOSE[scope]} of {limit} is used up{over}{again}; {setting(scope, measure)} in automend.toml raises it"


def setting(scope: Scope, measure: Measure) -> str:
    """The name of a limit in the settings file."""
    return _ATTEMPT_SETTINGS[measure] if scope == "attempt" else f"budget.{scope}.{measure}"


def amount(measure: Measure, value: float) -> str:
    """So many of a measure, as people read it."""
    if measure == "usd":
        return dollars(value)
    unit = {"requests": "request", "tokens": "token", "seconds": "second"}[measure]
    return f"{value:,.0f} {unit}{'' if round(value) == 1 else 's'}"


def dollars(value: float) -> str:
    """US dollars; small sums with enough digits to be more than nothing."""
    return f"${value:.2f}" if value == 0 or value >= 1 else f"${value:.4f}"
