"""Going on after a loss, and giving up."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest

from sandbox import cleanup
from sandbox.again import PATIENCE, going_on
from sandbox.api import EngineGoneError, SandboxError, SandboxLostError, Spec
from sandbox.docker import DockerSandboxes
from sandbox.errors import engine_failures


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def work() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return work


def quiet(_: object) -> None:
    """Nobody listens, and nobody waits."""


def test_a_lost_container_is_replaced_twice() -> None:
    told: list[str] = []
    assert going_on(failing(*[SandboxLostError("died")] * 2), tell=told.append, wait=quiet) == "done"
    assert told == ["died; going on with a new container"] * 2
    with pytest.raises(SandboxLostError):
        going_on(failing(*[SandboxLostError("died")] * 3), tell=quiet, wait=quiet)


def test_an_engine_that_comes_back_is_waited_for_five_minutes() -> None:
    waited: list[float] = []
    gone = [EngineGoneError("no answer")] * len(PATIENCE)
    assert going_on(failing(*gone, SandboxLostError("died")), tell=quiet, wait=waited.append) == "done"
    assert sum(waited) == 300
    with pytest.raises(EngineGoneError):
        going_on(failing(*gone, EngineGoneError("no answer")), tell=quiet, wait=quiet)


@pytest.mark.parametrize("error", [SandboxError("no such image"), ValueError("ours")])
def test_other_failures_are_not_repeated(error: Exception) -> None:
    with pytest.raises(type(error)):
        going_on(failing(error), tell=quiet, wait=quiet)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (docker.errors.APIError("", explanation="No such container: ab"), SandboxLostError),
        (docker.errors.APIError("", explanation="Container ab is not running"), SandboxLostError),
        (docker.errors.APIError("", explanation="No such exec instance: ab"), SandboxLostError),
        (docker.errors.APIError("", explanation="unknown runtime"), SandboxError),
        (docker.errors.ImageNotFound("", explanation="No such image: ab"), SandboxError),
        (ConnectionResetError("reset"), EngineGoneError),
        (TimeoutError("slow"), SandboxError),
    ],
)
def test_what_the_engine_says_is_told_apart(error: Exception, kind: type[SandboxError]) -> None:
    with pytest.raises(SandboxError) as caught, engine_failures("asking"):
        raise error
    assert type(caught.value) is kind


def test_the_next_container_settles_what_the_last_could_not(monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = DockerSandboxes(owner="me")
    boxes._owed = {"automend-x"}
    gone: list[str] = []
    api: Any = SimpleNamespace()
    monkeypatch.setattr(DockerSandboxes, "client", property(lambda _: SimpleNamespace(api=api)))
    monkeypatch.setattr(cleanup, "remove_container", lambda _, name: gone.append(f"container {name}"))
    monkeypatch.setattr(cleanup, "remove_volume", lambda _, name: gone.append(f"volume {name}"))
    boxes.settle()
    boxes.settle()
    assert gone == ["container automend-x", "volume automend-x"]


def test_a_container_whose_making_was_cut_short_is_owed(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(**_: object) -> None:
        raise ConnectionResetError("the engine restarts")

    boxes = DockerSandboxes(owner="me")
    engine = SimpleNamespace(api=SimpleNamespace(), containers=SimpleNamespace(create=lost))
    monkeypatch.setattr(DockerSandboxes, "client", property(lambda _: engine))
    gone: list[str] = []
    monkeypatch.setattr(cleanup, "remove_container", lambda _, name: gone.append(name))
    monkeypatch.setattr(cleanup, "remove_volume", lambda _, name: None)
    with pytest.raises(EngineGoneError), boxes.open(Spec(image="x", labels={})):
        raise AssertionError("it was never made")
    tried = len(gone)
    boxes.settle()  # the engine may have made it after we asked it to take it away
    assert len(gone) == tried + 1
    assert gone[-1].startswith("automend-")
