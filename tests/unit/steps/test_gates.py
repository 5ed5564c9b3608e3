"""Gates at work, and what the dead ones left."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.steps.judge import gate_name, gates_at_work
from sandbox.api import SandboxError


class Boxes:
    def __init__(self, *, down: bool = False) -> None:
        self.reaped: list[str | None] = []
        self._down = down

    def settle(self) -> None:
        pass

    def reap(self, *, run: str | None = None, keep: tuple[str, ...] = ()) -> list[str]:
        self.reaped.append(run)
        if self._down:
            raise SandboxError("the engine is down", remedy="start it")
        return []


def house(home: Path, *, down: bool = False) -> Any:
    return SimpleNamespace(host=SimpleNamespace(home=home), sandboxes=Boxes(down=down))


def test_a_gate_at_work_is_known_and_forgotten_at_its_end(tmp_path: Path) -> None:
    here = house(tmp_path)
    with gate_name(here) as name:
        assert gates_at_work(here) == [name]
        with gate_name(here) as other:
            assert sorted(gates_at_work(here)) == sorted([name, other])
    assert gates_at_work(here) == []
    assert here.sandboxes.reaped == []


@pytest.mark.parametrize("down", [False, True])
def test_the_next_gate_removes_what_a_killed_one_left(tmp_path: Path, down: bool) -> None:
    (tmp_path / "gates").mkdir()
    (tmp_path / "gates" / "gate-1-dead").touch()  # its process is gone, and with it the lock
    here = house(tmp_path, down=down)
    with gate_name(here) as name:
        assert here.sandboxes.reaped == ["gate-1-dead"]
        assert gates_at_work(here) == [name]
