"""Where a command runs, as the engine is told it."""

from __future__ import annotations

from typing import Any

import pytest

import sandbox.docker
from sandbox.api import WORKSPACE, Limits
from sandbox.docker import DockerSandbox
from sandbox.exec import Ended, Ending


@pytest.mark.parametrize(
    ("cwd", "told"), [("/", "/"), (WORKSPACE, WORKSPACE), (f"{WORKSPACE}/sub", "/"), ("sub", "/"), ("-", "/")]
)
def test_the_engine_follows_no_link_of_the_jobs(cwd: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[list[str], str]] = []

    def run(_api: Any, _container: str, argv: Any, **more: Any) -> Ended:
        asked.append((list(argv), more["cwd"]))
        return Ended(Ending.EXITED, 0, more["output"], 0.0)

    monkeypatch.setattr(sandbox.docker, "run", run)
    api: Any = None
    DockerSandbox(api, container="c", name="c", uid=20_001, limits=Limits()).exec(["ls", "-l"], timeout=1, cwd=cwd)
    [(argv, where)] = asked
    assert where == told
    assert argv[-2:] == ["ls", "-l"]
    assert (cwd in argv) == (told != cwd)
