import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from runner.config import load
from runner.model import Job, RunStatus
from runner.steps.judge import gate_name
from runner.steps.tidy import clean, tidy_papers
from runner.store import _write, open_store


def test_papers_of_runs_that_ended_long_ago_go(tmp_path):
    host = load({"AUTOMEND_HOME": str(tmp_path), "AUTOMEND_RUN__KEEP_TRANSCRIPTS_DAYS": "7"})
    store = open_store(f"sqlite:///{tmp_path / 'a.sqlite'}")
    house = SimpleNamespace(host=host, store=store)
    old, fresh, waiting = (store.create(Job(repo="a/b")).id for _ in range(3))
    long_ago = datetime.now(UTC) - timedelta(days=8)
    store.finish(old, RunStatus.LANDED, "")
    store.finish(fresh, RunStatus.LANDED, "")
    store.finish(waiting, RunStatus.PROPOSED, "")
    for run in (old, waiting):
        with store._locked(run) as (db, row):
            _write(db, row.model_copy(update={"updated": long_ago}))
    for name in (old, fresh, waiting, "nobodys"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    os.utime(tmp_path / "runs" / "nobodys", (long_ago.timestamp(),) * 2)
    assert sorted(tidy_papers(house)) == sorted([old, "nobodys"])
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == sorted([fresh, waiting])


class Boxes:
    def __init__(self):
        self.kept = None

    def sweep(self, *, dry_run):
        return ["a lock"]

    def settle(self):
        pass

    def reap(self, *, run=None, keep=(), dry_run=False):
        self.kept = sorted(keep)
        return ["container x"] if dry_run else []


@pytest.mark.parametrize("alone", [True, False])
def test_cleaning_spares_what_is_at_work(tmp_path, alone):
    host = load({"AUTOMEND_HOME": str(tmp_path)})
    store = open_store(f"sqlite:///{tmp_path / 'a.sqlite'}")
    house = SimpleNamespace(host=host, store=store, sandboxes=Boxes())
    over, going = (store.create(Job(repo="a/b")).id for _ in range(2))
    store.finish(over, RunStatus.LANDED, "")
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "gate-dead").touch()
    with gate_name(house) as gate:
        (tmp_path / "gates" / "gate-dead").touch()
        assert clean(house, alone=alone, dry_run=True) == ["a lock", "container x"]
        assert (tmp_path / "gates" / "gate-dead").exists()
        assert house.sandboxes.kept == sorted([gate] if alone else [gate, "", going])
        clean(house, alone=alone, dry_run=False)
        assert not (tmp_path / "gates" / "gate-dead").exists()
