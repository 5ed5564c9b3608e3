"""What agents took from model providers, written down as it happens: a restart forgets no budget.

One row holds what one attempt took in one day (UTC). An attempt that was cut short and made again goes on in its own
row, so that what was paid for twice counts twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from runner.budget import MEASURES, Allowance, Scope, Spent, amount, used_up
from runner.errors import OutsideError
from runner.model import Usage

_SPENDING = sa.Table(
    "spending",
    sa.MetaData(),
    sa.Column("run", sa.String(40), primary_key=True),
    sa.Column("attempt", sa.Integer, primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("repo", sa.String(400)),
    sa.Column("requests", sa.Integer),
    sa.Column("input", sa.BigInteger),
    sa.Column("cached", sa.BigInteger),
    sa.Column("output", sa.BigInteger),
    sa.Column("usd", sa.Float),
    sa.Column("seconds", sa.Float),
)

_SHORT = {"run": "this run", "repo": "its repository today", "day": "all today"}


class Spending:
    """The account book in the store's database. Safe between threads; one attempt is charged by one process.

    Args:
        engine: SQLAlchemy's engine, its schema up to date.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = Lock()

    def charge(self, *, run: str, attempt: int, repo: str, usage: Usage, seconds: float) -> None:
        """Add to what an attempt took today.

        Raises:
            OutsideError: the database cannot be written.
        """
        columns = _SPENDING.c
        row = {"run": run, "attempt": attempt, "day": today()}
        took = {
            "requests": usage.requests,
            "input": usage.input,
            "cached": usage.cached,
            "output": usage.output,
            "usd": usage.cost_usd or 0.0,
            "seconds": seconds,
        }
        added: dict[str, Any] = {name: columns[name] + value for name, value in took.items()}
        try:
            with self._lock, self._engine.begin() as db:
                where = sa.and_(*(columns[name] == value for name, value in row.items()))
                if db.execute(_SPENDING.update().where(where).values(**added)).rowcount == 0:
                    db.execute(_SPENDING.insert().values(**row, repo=repo, **took))
        except sa.exc.SQLAlchemyError as e:
            raise _broken(e) from e

    def spent(self, *, run: str | None = None, repo: str | None = None, day: str | None = None) -> Spent:
        """The sum over a run, or over a day, of a repository or of all.

        Raises:
            OutsideError: the database cannot be read.
        """
        columns = _SPENDING.c
        wanted = {"run": run, "repo": repo, "day": day}
        sums = (columns.requests, columns.input + columns.output, columns.usd, columns.seconds)
        query = sa.select(*(sa.func.coalesce(sa.func.sum(value), 0) for value in sums)).where(
            *(columns[name] == value for name, value in wanted.items() if value is not None)
        )
        try:
            with self._engine.connect() as db:
                requests, tokens, usd, seconds = db.execute(query).one()
        except sa.exc.SQLAlchemyError as e:
            raise _broken(e) from e
        return Spent(int(requests), int(tokens), float(usd), float(seconds))


@dataclass(frozen=True)
class Account:
    """What one attempt is charged to: its run, its repository's day and the host's (`runner.ports.Account`)."""

    spending: Spending
    run: str
    repo: str
    attempt: int
    allowances: Mapping[Scope, Allowance]

    def refusal(self) -> str | None:
        """Which of the wider budgets is used up, and what to do about it; None while something is left of each.

        Raises:
            OutsideError: the database cannot be read.
        """
        for scope, allowance in self._limited():
            said = used_up(scope, allowance, self._spent(scope))
            if said is not None:
                return said
        return None

    def charge(self, usage: Usage, seconds: float) -> None:
        """Add what went through the attempt's door.

        Raises:
            OutsideError: the database cannot be written.
        """
        self.spending.charge(run=self.run, attempt=self.attempt, repo=self.repo, usage=usage, seconds=seconds)

    def seconds_left(self) -> float:
        """The time that the wider budgets leave; infinite where none limits it."""
        left = (
            allowance.seconds - self._spent(scope).seconds
            for scope, allowance in self._limited()
            if allowance.seconds is not None
        )
        return max(0.0, min(left, default=float("inf")))

    def statement(self) -> dict[str, dict[str, dict[str, float | None]]]:
        """For each of `run`, `repo` and `day`: what was taken (`spent`) and the most that may be (`most`)."""
        return {
            scope: {"spent": asdict(self._spent(scope)), "most": asdict(self.allowances.get(scope, Allowance()))}
            for scope in ("run", "repo", "day")
        }

    def in_words(self) -> str:
        """What was taken of each limit, in one line; "" where nothing is limited."""
        parts: list[str] = []
        for scope, allowance in self._limited():
            spent = self._spent(scope)
            limits = [
                f"{amount(measure, getattr(spent, measure)).partition(' ')[0]} of {amount(measure, most)}"
                for measure in MEASURES
                if (most := getattr(allowance, measure)) is not None
            ]
            parts.append(f"{_SHORT[scope]} {', '.join(limits)}")
        return "; ".join(parts)

    def _limited(self) -> list[tuple[Scope, Allowance]]:
        return [
            (scope, allowance)
            for scope, allowance in self.allowances.items()
            if any(getattr(allowance, measure) is not None for measure in MEASURES)
        ]

    def _spent(self, scope: Scope) -> Spent:
        if scope == "run":
            return self.spending.spent(run=self.run)
        return self.spending.spent(repo=self.repo if scope == "repo" else None, day=today())


def today() -> str:
    """The day, as budgets count it."""
    return f"{datetime.now(UTC):%Y-%m-%d}"


def _broken(error: sa.exc.SQLAlchemyError) -> OutsideError:
    said = getattr(error, "orig", None) or error
    return OutsideError(f"what was spent cannot be looked up or written down: {said}", remedy="look at the database")
