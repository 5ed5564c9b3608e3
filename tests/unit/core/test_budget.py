"""Prices and limits: pure arithmetic, and the words for it."""

import pytest

from runner.budget import Allowance, Price, Spent, dollars, used_up


def test_a_price_is_per_million_and_knows_the_cache():
    price = Price(input=3.0, cached=0.3, written=3.75, output=15.0)
    assert price.of(input=1_000_000, cached=0, written=0, output=0) == pytest.approx(3.0)
    assert price.of(input=1_000_000, cached=600_000, written=100_000, output=20_000) == pytest.approx(
        0.3 * 3.0 + 0.6 * 0.3 + 0.1 * 3.75 + 0.02 * 15.0
    )


def test_an_odd_provider_never_makes_a_price_negative():
    assert Price(1, 1, 1, 1).of(input=10, cached=50, written=50, output=0) > 0


@pytest.mark.parametrize(
    ("allowance", "spent", "said"),
    [
        (Allowance(), Spent(10**9, 10**12, 10.0**6, 10.0**6), None),
        (Allowance(requests=3), Spent(requests=2), None),
        (
            Allowance(requests=3),
            Spent(requests=3),
            "the run's budget of 3 requests is used up; budget.run.requests in automend.toml raises it",
        ),
        (
            Allowance(tokens=1000),
            Spent(tokens=1234),
            "the run's budget of 1,000 tokens is used up (1,234); budget.run.tokens in automend.toml raises it",
        ),
        (
            Allowance(usd=2),
            Spent(usd=2.031),
            "the run's budget of $2.00 is used up ($2.03); budget.run.usd in automend.toml raises it",
        ),
        (
            Allowance(seconds=60),
            Spent(seconds=60.2),
            "the run's budget of 60 seconds is used up; budget.run.seconds in automend.toml raises it",
        ),
    ],
)
def test_a_budget_that_is_used_up_says_which_how_much_and_where(allowance, spent, said):
    assert used_up("run", allowance, spent) == said


def test_a_daily_budget_says_when_it_begins_anew():
    said = used_up("repo", Allowance(requests=1), Spent(requests=1))
    assert said is not None
    assert said.startswith("the repository's budget for today of 1 request is used up, and begins anew at 00:00 UTC")


def test_small_sums_are_more_than_nothing():
    assert [dollars(v) for v in (0, 0.0004, 0.25, 1, 1234.5)] == ["$0.00", "$0.0004", "$0.2500", "$1.00", "$1234.50"]
