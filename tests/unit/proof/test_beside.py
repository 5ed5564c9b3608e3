"""How deep the proof goes is asked while tests are run again, and forgotten where they change what is proved."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from runner.model import Check, Verdict
from runner.steps import verify
from runner.steps.proof.ahead import Ahead
from runner.steps.proof.lint import Linted
from runner.steps.proof.results import Measurement
from runner.steps.proof.trial import Judged, Repeats, Trial
from runner.steps.verify import Proof
from tests.unit.proof.test_judges import NEW, A, ran, trial

SECONDS = 20.0
THE_NEW = f"{A}::test_new"
DEEP = Judged(Check(name="mutants", verdict=Verdict.PASSED, summary="2 of 2"))


def fix(**runs: Measurement) -> Trial:
    good = ran(one="passed", new="passed")
    old = ran(one="passed")
    return trial(
        head_source=NEW, **{"base": old, "kept": old, "red": ran(new="failed: assert 1 == 2"), "head": good, **runs}
    )


def never(side: str, tests: tuple[str, ...]) -> Measurement:
    raise AssertionError("nothing is run here")


def proved(given: Trial, ask: Callable[..., tuple[Judged, ...]]) -> Proof:
    start = Check(name="baseline", verdict=Verdict.PASSED, summary="")
    project: Any = SimpleNamespace(lint=None)

    def judged(tried: Trial) -> Proof:
        return verify._judged(start, tried, linted=Linted(), project=project)

    return verify._tried_again(given, {}, Ahead(never), judged, ask, alone=True, progress=lambda words: None)


def checks(proof: Proof) -> list[str]:
    return [check.name for check in proof.checks]


def test_both_go_on_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    repeating, asking = threading.Event(), threading.Event()

    def tried_again(tried: Trial, *_: object, **__: object) -> Trial:
        repeating.set()
        assert asking.wait(SECONDS)
        return tried

    def ask(tried: Trial, *, names: tuple[str, ...]) -> tuple[Judged, ...]:
        asking.set()
        assert repeating.wait(SECONDS)
        assert names == (THE_NEW,)
        return (DEEP,)

    monkeypatch.setattr(verify, "tried_again", tried_again)
    assert checks(proved(fix(), ask))[-1] == "mutants"


def test_what_was_asked_is_forgotten_where_the_proof_is_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    def tried_again(tried: Trial, *_: object, **__: object) -> Trial:
        return replace(tried, repeats=Repeats(flaky={THE_NEW: "it passed 1 of 3 times"}))

    asked: list[object] = []

    def ask(tried: Trial, *, names: tuple[str, ...]) -> tuple[Judged, ...]:
        asked.append(names)
        raise RuntimeError("nobody reads this")

    monkeypatch.setattr(verify, "tried_again", tried_again)
    proof = proved(fix(), ask)
    assert asked == [(THE_NEW,)]
    assert Verdict.worst([check.verdict for check in proof.checks]) is Verdict.INCONCLUSIVE
    assert "mutants" not in checks(proof)


def test_what_seemed_lost_and_was_chance_is_asked_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    given = fix(kept=ran(one="failed: x"))

    def tried_again(tried: Trial, *_: object, **__: object) -> Trial:
        done.append("repeats")
        return replace(tried, repeats=Repeats(flaky={f"{A}::test_one": "it passed 2 of 3 times"}))

    def ask(tried: Trial, *, names: tuple[str, ...]) -> tuple[Judged, ...]:
        done.append("asked")
        return (DEEP,)

    monkeypatch.setattr(verify, "tried_again", tried_again)
    assert checks(proved(given, ask))[-1] == "mutants"
    assert done == ["repeats", "asked"]
