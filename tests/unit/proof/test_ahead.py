"""Runs made ahead are used where they are of the tests that are asked, and dropped where they are of others."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from runner.steps.proof.ahead import Ahead, likely_proof
from runner.steps.proof.results import Measurement
from tests.unit.proof.test_judges import A, ran

SECONDS = 20.0
NEW, OTHER = (f"{A}::test_new",), (f"{A}::test_other",)


class Runs:
    """Counts the runs that are made; each tells its number."""

    def __init__(self) -> None:
        self.made: list[tuple[str, tuple[str, ...]]] = []
        self.go_on = threading.Event()
        self.go_on.set()
        self.begun = threading.Event()

    def __call__(self, side: str, tests: tuple[str, ...]) -> Measurement:
        self.made.append((side, tests))
        number = len(self.made)
        self.begun.set()
        assert self.go_on.wait(SECONDS)
        return Measurement(exit_code=number)


@pytest.fixture
def runs() -> Runs:
    return Runs()


def test_what_was_made_ahead_is_handed_out_once(runs: Runs) -> None:
    again = Ahead(runs)
    with ThreadPoolExecutor(max_workers=1) as pool:
        again.start(pool, NEW, times=2)
    again.keep(NEW)
    assert [again(side, NEW).exit_code for side in ("red", "red", "head", "head")] == [1, 2, 3, 4]
    assert again("red", NEW).exit_code == 5
    assert runs.made == [("red", NEW)] * 2 + [("head", NEW)] * 2 + [("red", NEW)]


def test_other_questions_are_answered_by_new_runs(runs: Runs) -> None:
    again = Ahead(runs)
    with ThreadPoolExecutor(max_workers=1) as pool:
        again.start(pool, NEW, times=1)
    assert again("red", ()).exit_code == 3
    assert again("red", OTHER).exit_code == 4
    assert again("kept", NEW).exit_code == 5


def test_a_wrong_guess_is_dropped_and_nothing_of_it_goes_on(runs: Runs) -> None:
    again = Ahead(runs)
    runs.go_on.clear()
    with ThreadPoolExecutor(max_workers=1) as pool:
        again.start(pool, NEW, times=2)
        assert runs.begun.wait(SECONDS)
        waiting = threading.Thread(target=again.keep, args=(OTHER,))
        waiting.start()
        assert waiting.is_alive()  # one of them runs
        runs.go_on.set()
        waiting.join(SECONDS)
        assert not waiting.is_alive()
    assert runs.made == [("red", NEW)]
    assert again("red", NEW).exit_code == 2


def test_nothing_is_guessed_nothing_is_run(runs: Runs) -> None:
    again = Ahead(runs)
    with ThreadPoolExecutor(max_workers=1) as pool:
        again.start(pool, (), times=2)
    again.keep(())
    assert runs.made == []


@pytest.mark.parametrize(
    ("red", "base", "expected"),
    [
        (ran(new="failed: x", one="passed"), ran(one="passed"), NEW),
        (ran(new="failed: x", one="failed: y"), ran(one="failed: y"), NEW),  # it fails for another reason
        (ran(new="failed: y"), ran(new="failed: y"), NEW),  # the base's own red test is all that there is
        (ran(module="error: ImportError"), ran(one="passed"), ()),
        (ran(one="passed"), ran(one="passed"), ()),
    ],
)
def test_what_is_newly_red_will_be_the_proof(red: Measurement, base: Measurement, expected: tuple[str, ...]) -> None:
    assert likely_proof(red, base) == expected
