import multiprocessing

import pytest

from runner.errors import ConfigError, UsageError
from runner.model import Job, RunStatus, Verdict
from runner.store import open_store


@pytest.fixture
def store(tmp_path):
    return open_store(f"sqlite:///{tmp_path / 'a.sqlite'}")


def test_a_new_run_asks_for_its_first_workflow(store):
    run = store.create(Job(repo="a/b"))
    (wanted,) = store.assignments()
    assert (wanted.run, wanted.workflow, wanted.repo) == (run.id, "propose", "a/b")
    assert wanted.id == f"{run.id}.1.propose"


def test_a_run_is_found_by_the_beginning_of_its_id(store):
    run = store.create(Job(repo="a/b"))
    assert store.run(run.id[:14]).id == run.id
    with pytest.raises(UsageError, match="no run"):
        store.run("zzz")
    store.create(Job(repo="a/b"))
    with pytest.raises(UsageError, match="several"):
        store.run(run.id[:4])


def test_wildcards_in_an_id_are_letters(store):
    store.create(Job(repo="a/b"))
    with pytest.raises(UsageError):
        store.run("%")


def test_an_assignment_is_given_once(store):
    run = store.create(Job(repo="a/b"))
    assert store.assign(run.id, "land", status=RunStatus.LANDING, expecting=RunStatus.PROPOSED) is None
    store.finish(run.id, RunStatus.PROPOSED, "waiting")
    first = store.assign(run.id, "land", status=RunStatus.LANDING, expecting=RunStatus.PROPOSED, heard=("review:1",))
    assert first is not None
    assert first.generation == 2
    assert store.run(run.id).heard == ("review:1",)
    assert store.assign(run.id, "land", status=RunStatus.LANDING, expecting=RunStatus.PROPOSED) is None


def test_the_same_moment_again_replaces_the_line(store):
    run = store.create(Job(repo="a/b"))
    store.note(run.id, "k", "merge.merge", "first", verdict=Verdict.ERROR)
    store.note(run.id, "k", "merge.merge", "second", verdict=Verdict.PASSED, data={"a": 1})
    ((_, moment),) = store.trail(run.id)
    assert (moment.summary, moment.verdict, moment.data) == ("second", Verdict.PASSED, {"a": 1})
    assert moment.at.tzinfo is not None


def test_an_update_is_validated(store):
    run = store.create(Job(repo="a/b"))
    with pytest.raises(ValueError, match="branch"):
        store.update(run.id, branch=3)
    with pytest.raises(UsageError):
        store.update("none", branch="x")


def test_an_address_of_another_kind_is_refused_without_showing_it(store):
    with pytest.raises(ConfigError) as caught:
        open_store("postgresql://user:password@host/db")
    assert "password" not in str(caught.value)


def _begin(url):
    open_store(url).create(Job(repo="a/b"))


def test_processes_that_start_at_once_migrate_once(tmp_path):
    url = f"sqlite:///{tmp_path / 'b.sqlite'}"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_begin, args=(url,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(240)
    assert [p.exitcode for p in processes] == [0, 0, 0, 0]
    assert len(open_store(url).runs()) == 4
