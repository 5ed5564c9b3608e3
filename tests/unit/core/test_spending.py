"""What was spent is known to whoever asks next: another attempt, another process, the same one after a restart."""

import threading

import pytest
import sqlalchemy as sa

from runner import spending as spending_module
from runner.budget import Allowance, Spent
from runner.errors import OutsideError
from runner.model import Usage
from runner.spending import Account, Spending
from runner.store import open_store


@pytest.fixture(autouse=True)
def one_day(monkeypatch):
    """No test begins on one day and ends on the next."""
    monkeypatch.setattr(spending_module, "today", lambda: "2026-01-01")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'a.sqlite'}"


@pytest.fixture
def book(url):
    return open_store(url).spending


def account(book, limits=None, *, run="r1", repo="repo-1", attempt=1):
    return Account(book, run, repo, attempt, limits or {})


def took(requests=1, tokens=100, usd=None):
    return Usage(requests=requests, input=tokens, cached=tokens // 2, output=0, cost_usd=usd)


def test_what_was_spent_adds_up_by_run_by_repository_and_by_day(book):
    account(book).charge(took(usd=0.5), 1.5)
    account(book).charge(took(), 0.5)
    account(book, attempt=2).charge(took(usd=0.25), 1)
    account(book, run="r2").charge(took(), 1)
    account(book, run="r3", repo="repo-2").charge(took(requests=7), 1)
    assert book.spent(run="r1") == Spent(3, 300, 0.75, 3.0)
    assert book.spent(repo="repo-1", day=spending_module.today()).requests == 4
    assert book.spent(day=spending_module.today()).requests == 11
    assert book.spent(run="nobody") == Spent()


def test_a_restart_forgets_nothing(url, book):
    account(book).charge(took(usd=2.0), 1)
    again = account(open_store(url).spending, {"run": Allowance(usd=2.0)})
    assert "budget.run.usd" in (again.refusal() or "")


@pytest.mark.parametrize(
    ("allowances", "named"),
    [
        ({"run": Allowance(requests=2)}, "budget.run.requests"),
        ({"repo": Allowance(tokens=200)}, "budget.repo.tokens"),
        ({"day": Allowance(usd=1.0)}, "budget.day.usd"),
        ({"day": Allowance(seconds=4.0)}, "budget.day.seconds"),
        ({"run": Allowance(requests=3), "repo": Allowance(requests=3), "day": Allowance(requests=3)}, None),
        ({}, None),
    ],
)
def test_the_budget_that_is_used_up_is_named(book, allowances, named):
    for attempt in (1, 2):
        account(book, attempt=attempt).charge(took(usd=0.5), 2)
    said = account(book, attempt=3, limits=allowances).refusal()
    assert (said is None) if named is None else (named in said)


def test_yesterday_does_not_count_for_today(book, monkeypatch):
    account(book).charge(took(), 1)
    monkeypatch.setattr(spending_module, "today", lambda: "2026-01-02")
    assert account(book, {"day": Allowance(requests=1), "repo": Allowance(requests=1)}).refusal() is None
    assert account(book, {"run": Allowance(requests=1)}).refusal() is not None, "a run is as long as it is"


def test_the_time_that_is_left(book):
    assert account(book).seconds_left() == float("inf")
    account(book).charge(took(), 40)
    limited = account(book, {"run": Allowance(seconds=100), "day": Allowance(seconds=50)})
    assert limited.seconds_left() == 10
    account(book).charge(took(), 400)
    assert limited.seconds_left() == 0


def test_charges_of_many_threads_are_all_there(book):
    threads = [threading.Thread(target=lambda: [account(book).charge(took(), 0) for _ in range(10)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert book.spent(run="r1").requests == 40


def test_a_statement_for_people_and_for_programs(book):
    mine = account(book, {"run": Allowance(usd=2, requests=10), "day": Allowance(tokens=1000)})
    mine.charge(took(usd=0.5), 3)
    assert mine.in_words() == "this run 1 of 10 requests, $0.5000 of $2.00; all today 100 of 1,000 tokens"
    statement = mine.statement()
    assert statement["run"]["spent"] == {"requests": 1, "tokens": 100, "usd": 0.5, "seconds": 3.0}
    assert statement["run"]["most"] == {"requests": 10, "tokens": None, "usd": 2, "seconds": None}
    assert statement["repo"]["most"]["usd"] is None
    assert account(book).in_words() == ""


def test_a_database_that_is_not_there_is_an_error_of_the_outside(tmp_path):
    nowhere = Spending(sa.create_engine(f"sqlite:///{tmp_path / 'no' / 'such' / 'folder.sqlite'}"))
    with pytest.raises(OutsideError, match="what was spent"):
        account(nowhere).charge(took(), 1)
    with pytest.raises(OutsideError, match="what was spent"):
        account(nowhere, {"day": Allowance(usd=1)}).refusal()


def test_a_database_of_an_earlier_version_gets_its_account_book(url, book):
    with sa.create_engine(url).begin() as db:
        db.execute(sa.text("DROP TABLE spending"))
        db.execute(sa.text("ALTER TABLE patches DROP COLUMN sketch"))
        db.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
    fresh = open_store(url).spending
    account(fresh).charge(took(), 1)
    assert fresh.spent(run="r1").requests == 1
