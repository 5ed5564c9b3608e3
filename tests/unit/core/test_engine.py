"""What `automend serve` tells of runs, and when. The engine's work itself is tested with real runs, elsewhere."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from runner import checkpoint
from runner.engine import Engine
from runner.errors import OutsideError
from runner.model import Goal, Job, Run, RunStatus
from runner.steps import propose
from runner.store import Store, open_store
from sandbox.api import SandboxError


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


def test_a_run_that_was_stopped_elsewhere_gets_no_more_containers_here(engine, store, monkeypatch):
    stopped, going_on = a_run(store, RunStatus.STOPPED), a_run(store, RunStatus.WORKING)
    shut: list[str] = []

    def shut_out(run: str) -> None:
        shut.append(run)
        raise SandboxError("something may be left")

    engine._house.sandboxes = SimpleNamespace(shut=shut_out)
    monkeypatch.setattr(engine, "_lock", object())
    monkeypatch.setattr(engine._house.store, "assignments", list)
    monkeypatch.setattr(checkpoint, "_at_work", Counter({stopped: 1, going_on: 1, "over": 0}))
    engine.submit()
    assert shut == [stopped]


def test_what_may_be_left_of_a_run_that_was_interrupted_is_told(engine, store, monkeypatch):
    run = a_run(store, RunStatus.WORKING)

    def refused(*_: object) -> None:
        raise OutsideError("nobody answers")

    def stuck(run: str) -> None:
        raise SandboxError("the engine is gone")

    engine._house.sandboxes = SimpleNamespace(shut=stuck, reap=lambda run: [])
    monkeypatch.setattr(engine, "_client", SimpleNamespace(cancel_workflow=lambda workflow: None))
    monkeypatch.setattr(propose, "withdraw", refused)
    assert engine.cancel(run) == [
        "containers of it may be left: the engine is gone",
        "its branch may be left: nobody answers",
    ]
    assert store.run(run).status is RunStatus.STOPPED
    engine._house.sandboxes.shut = lambda run: None
    monkeypatch.setattr(propose, "withdraw", lambda *_: None)
    assert engine.cancel(run) == []
