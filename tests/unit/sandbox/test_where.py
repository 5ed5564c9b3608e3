"""Where a command runs, as the engine is told it."""

from __future__ import annotations

import subprocess
from typing import Any
from unittest.mock import Mock

import pytest

import sandbox.docker
from sandbox.api import WORKSPACE, Limits, SandboxLostError
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


def test_a_command_that_fails_without_its_door_is_tried_again_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    code = 1
    monkeypatch.setattr(sandbox.docker, "run", lambda *_, **more: Ended(Ending.EXITED, code, more["output"], 0.0))
    monkeypatch.setattr(DockerSandbox, "_ran_out_of_memory", lambda _: False)
    relay = Mock(broken=None)
    box = DockerSandbox(Mock(), container="c", name="c", uid=20_001, limits=Limits(), relay=relay)
    assert box.exec(["codex"], timeout=1).exit_code == 1
    relay.broken = "it ended"
    with pytest.raises(SandboxLostError, match="to the gateway broke: it ended"):
        box.exec(["codex"], timeout=1)
    code = 0
    assert box.exec(["codex"], timeout=1).exit_code == 0


@pytest.mark.parametrize(("engine", "counted"), [("http+docker://localhost", False), ("http://far:2375", True)])
def test_over_tcp_a_command_is_told_the_end_of_its_input_by_its_length(
    engine: str, counted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def run(_api: Any, _container: str, argv: Any, **more: Any) -> Ended:
        asked.append(list(argv))
        assert more["knows_the_end"] == counted
        return Ended(Ending.EXITED, 0, more["output"], 0.0)

    monkeypatch.setattr(sandbox.docker, "run", run)
    box = DockerSandbox(Mock(base_url=engine), container="c", name="c", uid=20_001, limits=Limits())
    box.exec(["sh", "-c", "cat; exit 3"], timeout=1, stdin=b"four")
    [argv] = asked
    # With more bytes on the way, none of which is its own.
    done = subprocess.run(argv, input=b"four" + b"more" * counted, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (3, b"four")
