"""Which packages a proof is made with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from runner.model import Check, Goal, Patch, Verdict
from runner.policy.case import Case
from runner.policy.schema import load_policy
from runner.project import recognise
from runner.settings import RepoConfig
from runner.steps import proving
from runner.steps.proving import Prover
from runner.steps.verify import Proof
from sandbox.api import Environment, EnvironmentRecipe, Limits, SetupError

DAY = "2023-07-01"
FINE = Proof((Check(name="baseline", verdict=Verdict.PASSED, summary="7 tests pass on the base"),))


def broken(**details: Any) -> Proof:
    return Proof((Check(name="baseline", verdict=Verdict.INCONCLUSIVE, summary="no results", details=details),))


@dataclass
class Engine:
    """Builds nothing: an environment is named after whether it is of today."""

    refuses: frozenset[str] = frozenset()
    built: list[str] = field(default_factory=list)

    def environment(self, recipe: EnvironmentRecipe, **_: Any) -> Environment:
        when = DAY if all(DAY in command for command in recipe.setup) else "today"
        self.built.append(when)
        if when in self.refuses:
            raise SetupError(f"cannot be built with the packages of {when}")
        return Environment(image=when, digest=when, built=True)


@contextmanager
def prover(monkeypatch: pytest.MonkeyPatch, engine: Engine, proofs: dict[str, Proof]) -> Iterator[Prover]:
    monkeypatch.setattr(proving, "verify", lambda bench, head, **_: proofs[bench.image])
    monkeypatch.setattr(proving, "native", lambda *_: [])
    project = recognise(
        {"requirements.txt": b"flask\n", "test_a.py": b""}.get, ["requirements.txt", "test_a.py"], RepoConfig()
    )
    yield Prover(
        mirror=None,  # type: ignore[arg-type]  # nothing is read from it here
        project=project,
        sandboxes=engine,  # type: ignore[arg-type]  # it only builds
        limits=Limits(),
        labels={},
        patch=Patch(base_tree="a" * 40, head_tree="b" * 40),
        case=Case(patch=Patch(base_tree="a" * 40, head_tree="b" * 40), goal=Goal.FIX),
        policy=load_policy("default"),
        cache=Path("nowhere"),
        progress=lambda _: None,
    )


def test_what_starts_today_is_proved_today(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    with prover(monkeypatch, engine, {"today": FINE}) as it:
        proved = it.prove(DAY)
    assert (proved.day, proved.bench.image, engine.built) == (None, "today", ["today"])


def test_what_does_not_is_proved_with_the_packages_of_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    with prover(monkeypatch, Engine(), {"today": broken(), DAY: FINE}) as it:
        proved = it.prove(DAY)
    assert (proved.day, proved.bench.image) == (DAY, DAY)
    assert DAY in proved.proof.checks[0].summary


def test_what_cannot_be_built_today_is_built_of_its_day(monkeypatch: pytest.MonkeyPatch) -> None:
    with prover(monkeypatch, Engine(frozenset({"today"})), {DAY: FINE}) as it:
        assert it.prove(DAY).day == DAY


@pytest.mark.parametrize(
    ("refuses", "proofs"),
    [(frozenset({DAY}), {"today": broken()}), (frozenset[str](), {"today": broken(), DAY: broken()})],
)
def test_what_never_starts_is_told_as_of_today(
    monkeypatch: pytest.MonkeyPatch, refuses: frozenset[str], proofs: dict[str, Proof]
) -> None:
    with prover(monkeypatch, Engine(refuses), proofs) as it:
        proved = it.prove(DAY)
    assert (proved.day, proved.proof) == (None, proofs["today"])


def test_a_limit_of_ours_is_no_fault_of_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine()
    with prover(monkeypatch, engine, {"today": broken(limit=True)}) as it:
        assert it.prove(DAY).day is None
    assert engine.built == ["today"]


def test_without_a_day_there_is_no_second_try(monkeypatch: pytest.MonkeyPatch) -> None:
    with prover(monkeypatch, Engine(frozenset({"today"})), {}) as it, pytest.raises(SetupError, match="today"):
        it.prove(None)
    with (
        prover(monkeypatch, Engine(frozenset({"today", DAY})), {}) as it,
        pytest.raises(SetupError, match="packages of today"),
    ):
        it.prove(DAY)
