"""No attempt begins where a wider budget is used up; and what the words say when one ends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.budget import Allowance
from runner.errors import ConfigError, Inconclusive
from runner.model import Attempt, Base, Job, Outcome, Run, RunStatus, Usage
from runner.settings import Settings
from runner.spending import Account
from runner.steps import attempt, finish
from runner.steps.house import House
from runner.store import Store, open_store

BASE = Base(repo="a/b", forge=None, remote="/srv/a.git", ref="main", sha="a" * 40, tree="b" * 40)


class Agent:
    """Never lets anybody in."""

    model = "m"

    def open_door(self, *_: object) -> None:
        raise AssertionError("an attempt was begun")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"sqlite:///{tmp_path / 'a.sqlite'}")


def house(store: Store, **settings: Any) -> Any:
    made: Any = SimpleNamespace(
        host=SimpleNamespace(settings=Settings.model_validate(settings), repo=lambda *_: None),
        store=store,
        agents={"x": Agent()},
    )
    made.account = lambda run, number=0: House.account(made, run, number)
    return made


def begun(store: Store) -> Run:
    run = store.create(Job(repo="a/b"))
    return store.update(run.id, base=BASE)


@pytest.mark.parametrize("scope", ["run", "repo", "day"])
def test_an_attempt_without_budget_is_not_begun(store: Store, scope: str) -> None:
    here, run = house(store, budget={scope: {"requests": 5}}), begun(store)
    here.account(run, 1).charge(Usage(requests=5), 1)
    with pytest.raises(Inconclusive) as caught:
        attempt.attempt(here, run.id, 2, "x")
    assert caught.value.message.startswith("attempt 2 was not begun: ")
    assert f"budget.{scope}.requests in automend.toml raises it" in caught.value.message
    assert caught.value.exit_code == 4


def test_another_runs_spending_counts_for_the_repository_and_the_day_alone(store: Store) -> None:
    first, second = begun(store), begun(store)
    here = house(store, budget={"run": {"requests": 5}, "day": {"requests": 6}})
    here.account(first, 1).charge(Usage(requests=5), 1)
    assert here.account(second, 1).refusal() is None
    here.account(second, 1).charge(Usage(requests=1), 1)
    assert "budget.day.requests" in (here.account(second, 2).refusal() or "")


def test_a_plan_with_a_price_that_nobody_knows_is_refused(store: Store) -> None:
    here, run = house(store, budget={"run": {"usd": 1}}), begun(store)
    here.repo = lambda _: SimpleNamespace(agents=None)
    with pytest.raises(ConfigError, match=r"budget\.run\.usd limits money"):
        attempt.plan(here, run.id)


@pytest.mark.parametrize(
    ("spent", "outcome", "words"),
    [
        (1.0, None, "killed after 9 s; run.attempt_seconds in automend.toml gives it longer"),
        (60.0, Outcome.BUDGET, "killed after 9 s: the run's budget of 60 seconds is used up; budget.run.seconds"),
    ],
)
def test_whose_time_was_over(store: Store, spent: float, outcome: Outcome | None, words: str) -> None:
    account = Account(store.spending, "r", "repo", 1, {"run": Allowance(seconds=60)})
    account.charge(Usage(), spent)
    tried = Attempt(number=1, agent="x", model="m", outcome=Outcome.TIMEOUT, detail="killed after 9 s")
    news = attempt._why_killed(tried, account)
    assert news.get("outcome") is outcome
    assert str(news["detail"]).startswith(words)


@pytest.mark.parametrize(
    ("outcomes", "status", "code"),
    [
        ([Outcome.BUDGET], RunStatus.INCONCLUSIVE, 4),
        ([Outcome.NO_CHANGE, Outcome.BUDGET], RunStatus.INCONCLUSIVE, 4),
        ([Outcome.BUDGET, Outcome.NO_CHANGE], RunStatus.REFUSED, 1),
        ([Outcome.TIMEOUT], RunStatus.REFUSED, 1),
        ([Outcome.CRASHED], RunStatus.FAILED, 3),
    ],
)
def test_how_a_run_without_a_patch_ends(store: Store, outcomes: list[Outcome], status: RunStatus, code: int) -> None:
    run = begun(store)
    tries = tuple(
        Attempt(number=n, agent="x", model="m", outcome=outcome, detail="budget.run.usd")
        for n, outcome in enumerate(outcomes, 1)
    )
    store.update(run.id, attempts=tries)
    assert "budget.run.usd" in finish.judged(house(store), run.id)
    ended = store.run(run.id)
    assert (ended.status, ended.exit_code) == (status, code)
    assert datetime.now(UTC) > ended.created
