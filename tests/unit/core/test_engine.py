"""What `automend serve` tells of runs, and when. The engine's work itself is tested with real runs, elsewhere."""

from types import SimpleNamespace
from typing import Any

import pytest

from runner.engine import Engine
from runner.model import Goal, Job, Run, RunStatus
from runner.store import Store, open_store


@pytest.fixture
def store(tmp_path):
    return open_store(f"sqlite:///{tmp_path}/automend.sqlite")


@pytest.fixture
def engine(store, tmp_path):
    house: Any = SimpleNamespace(host=SimpleNamespace(home=tmp_path), store=store)
    return Engine(house)


def a_run(store: Store, status: RunStatus) -> str:
    run = store.create(Job(goal=Goal.FIX, repo="acme/calc", title="Mend the mean"))
    store.finish(run.id, status, "")
    return run.id


def test_a_run_that_ends_while_the_service_is_being_stopped_is_told(engine, store):
    run = a_run(store, RunStatus.JUDGED)
    store.update(run, status=RunStatus.LANDING)
    heard: list[RunStatus] = []

    def tell(run: Run, _words: str) -> None:
        heard.append(run.status)
        if run.status is RunStatus.LANDING:
            engine.stop()
            store.finish(run.id, RunStatus.LANDED, "healthy")

    engine.serve(poll_seconds=60, tell=tell)
    assert heard == [RunStatus.LANDING, RunStatus.LANDED]


def test_runs_that_were_over_before_it_began_are_old_news(engine, store):
    for status in (RunStatus.LANDED, RunStatus.REFUSED, RunStatus.REVERTED):
        a_run(store, status)
    working = a_run(store, RunStatus.WORKING)
    heard: list[str] = []

    def tell(run: Run, _words: str) -> None:
        heard.append(run.id)
        engine.stop()

    engine.serve(poll_seconds=60, tell=tell)
    assert heard == [working]
