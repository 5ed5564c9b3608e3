"""Which environment images go, and which never."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest

from sandbox.api import SandboxError
from sandbox.stock import DAY, Keeping, StockedImage, note_use, prune, stock, too_many

NOW = 1_000 * DAY
MIB = 1 << 20


def image(name: str, *, idle: float, megabytes: int = 100) -> StockedImage:
    return StockedImage(name, f"sha256:{name}", NOW - 50 * DAY, NOW - idle * DAY, megabytes * MIB, True, "")


def going(keeping: Keeping, *images: StockedImage) -> list[str]:
    return [one.name for one in too_many(images, keeping, now=NOW)]


def test_the_old_go_and_then_the_longest_unused_until_the_rest_fits() -> None:
    images = (image("a", idle=2), image("b", idle=40), image("c", idle=5), image("d", idle=3))
    assert going(Keeping(days=30, megabytes=1000), *images) == ["b"]
    assert going(Keeping(days=30, megabytes=200), *images) == ["b", "c"]
    assert going(Keeping(days=4, megabytes=1000), *images) == ["b", "c"]
    assert going(Keeping(days=30, megabytes=0), *images) == ["b", "c", "d", "a"]


def test_what_was_used_in_the_last_day_stays() -> None:
    assert going(Keeping(days=0.01, megabytes=0), image("a", idle=0.9), image("b", idle=1.1)) == ["b"]


class Engine:
    """The few calls of docker-py that are made, on a list of images."""

    def __init__(self, *, error: int | None = None) -> None:
        self.error = error
        self.removed: list[str] = []
        made = {"ParentId": "base", "Created": NOW - 10 * DAY}
        self.all = [
            {"Id": "one", "RepoTags": ["env:1"], "Size": 570 * MIB, **made},
            {"Id": "two", "RepoTags": ["env:2"], "Size": 520 * MIB, **made},
        ]

    def images(self, _name: str = "", **how: Any) -> list[dict[str, Any]]:
        return [*self.all, {"Id": "base", "Size": 500 * MIB}] if how.get("all") else self.all

    def remove_image(self, name: str) -> None:
        if self.error is not None:
            response: Any = SimpleNamespace(status_code=self.error, reason="no", url="")
            raise docker.errors.APIError("no", response=response)
        self.removed.append(name)


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("time.time", lambda: NOW)
    return tmp_path / "notes"


def test_the_base_does_not_count_and_the_last_use_is_told(notes: Path) -> None:
    note_use(notes, "2", "run-7")
    os.utime(notes / "2", (NOW - DAY, NOW - DAY))
    api: Any = Engine()
    two, one = stock(api, "env", notes=notes)
    assert (one.name, one.size, one.used, one.noted, one.used_by) == ("env:1", 70 * MIB, NOW - 10 * DAY, False, "")
    assert (two.name, two.size, two.used, two.noted, two.used_by) == ("env:2", 20 * MIB, NOW - DAY, True, "run-7")


def test_what_goes_is_forgotten_and_what_others_may_use_is_left(notes: Path) -> None:
    note_use(notes, "2", "run-7")
    os.utime(notes / "2", (NOW - 9 * DAY, NOW - 9 * DAY))
    api: Any = Engine()
    nothing = Keeping(days=1, megabytes=0)
    told = prune(api, "env", notes=notes, keeping=nothing, dry_run=True)
    assert ([one.name for one in told], api.removed) == (["env:1", "env:2"], [])
    prune(api, "env", notes=notes, keeping=nothing, noted_only=True)
    assert api.removed == ["env:2"]
    assert list(notes.iterdir()) == []
    assert len(prune(api, "env", notes=notes, keeping=nothing, most=1)) == 1


def test_an_image_in_use_stays_and_another_refusal_is_told(notes: Path) -> None:
    busy: Any = Engine(error=409)
    assert prune(busy, "env", notes=notes, keeping=Keeping(days=1)) == []
    broken: Any = Engine(error=500)
    with pytest.raises(SandboxError, match="removing the image env:1"):
        prune(broken, "env", notes=notes, keeping=Keeping(days=1))
