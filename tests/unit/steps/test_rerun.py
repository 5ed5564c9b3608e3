"""What a replay is held against, and where it cannot begin."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.app import App
from runner.errors import UsageError
from runner.exchanges import record_path
from runner.model import Attempt, Base, Job, Outcome, Run, RunStatus, Trigger
from runner.steps.rerun import rerun, same_end

BASE = Base(repo="a/b", forge=None, remote="/srv/a.git", ref="main", sha="a" * 40, tree="b" * 40)


def tried(number: int, outcome: Outcome = Outcome.DONE) -> Attempt:
    return Attempt(number=number, agent="x", model="m", outcome=outcome)


def run(*attempts: Attempt, round_: int = 0) -> Run:
    job = Job(repo="a/b", trigger=Trigger(kind="manual", source="a test"))
    now = datetime.now(UTC)
    return Run(
        id="run-1", job=job, status=RunStatus.JUDGED, created=now, updated=now, base=BASE, attempts=attempts,
        round=round_,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        (Outcome.DONE, Outcome.DONE, True),
        (Outcome.DONE, Outcome.NO_CHANGE, False),
        (Outcome.DONE, Outcome.CRASHED, False),
        (Outcome.CRASHED, Outcome.CRASHED, True),
        (Outcome.BUDGET, Outcome.CRASHED, True),
        (Outcome.BUDGET, Outcome.DONE, False),
        (Outcome.PROVIDER_DOWN, Outcome.CRASHED, True),
        (Outcome.LEAKED, Outcome.DONE, True),
        (Outcome.TIMEOUT, Outcome.TIMEOUT, True),
        (Outcome.TIMEOUT, Outcome.DONE, False),
    ],
)
def test_how_an_attempt_ends_when_it_is_played_again(then: Outcome, now: Outcome, same: bool) -> None:
    assert same_end(then, now) is same


def test_an_attempt_of_an_earlier_round_whose_beginning_is_not_known() -> None:
    nothing: Any = None
    with pytest.raises(UsageError, match="what attempt 1 of run run-1 began on was not written down"):
        rerun(
            nothing, run(tried(1), round_=1), tried(1), nothing,
            prompt="", requests=1, name="gate-1", progress=print,
        )  # fmt: skip


def test_which_attempt_is_meant(tmp_path: Path) -> None:
    host: Any = SimpleNamespace(home=tmp_path)
    nothing: Any = None
    app = App(host=host, house=nothing, engine=nothing, gateway=nothing, sandboxes=nothing)
    asked = run(tried(1), tried(2), tried(3))
    with pytest.raises(UsageError, match="has no recorded attempt"):
        app.attempt(asked, None)
    folder = tmp_path / "runs" / "run-1"
    folder.mkdir(parents=True)
    record_path(folder, 1).touch()
    (folder / "attempt-2.exchanges.jsonl").touch()  # of an earlier version
    assert app.attempt(asked, None) == (asked.attempts[1], folder / "attempt-2.exchanges.jsonl")
    assert app.attempt(asked, 1) == (asked.attempts[0], record_path(folder, 1))
    with pytest.raises(UsageError, match="no record of attempt 3") as caught:
        app.attempt(asked, 3)
    assert caught.value.remedy == "there are: 1, 2"
