"""What a process that was killed leaves behind, and who may take it away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from sandbox.api import (
    LABEL_OWNER,
    LABEL_RUN,
    TOOLS,
    EnvironmentRecipe,
    Limits,
    SandboxError,
    SandboxLostError,
    Spec,
    ToolsRecipe,
)  # fmt: skip
from sandbox.cleanup import TOOLS_FILES
from sandbox.docker import DockerSandboxes

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
SMALL = Limits(memory_mb=256, workspace_mb=32, tmp_mb=16)


def killed(script: str, *args: str) -> None:
    """Run a script that kills itself."""
    done = subprocess.run([sys.executable, "-c", script, *args], capture_output=True, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


ABANDON = """
import os, sys
from sandbox.api import LABEL_RUN, Limits, Spec
from sandbox.docker import DockerSandboxes
owner, base, run, pause = sys.argv[1:]
boxes = DockerSandboxes(owner=owner)
limits = Limits(memory_mb=256, workspace_mb=32, tmp_mb=16)
with boxes.open(Spec(image=base, labels={LABEL_RUN: run}, limits=limits)) as box:
    if pause:
        next(box.get_tree())
        boxes.client.api.pause(box.id) if boxes.client.containers.get(box.id).status != "paused" else None
    os.kill(os.getpid(), 9)
"""


def names(sandboxes: DockerSandboxes, run: str) -> list[str]:
    found = sandboxes.client.containers.list(all=True, filters={"label": f"{LABEL_RUN}={run}"})
    return [str(c.name) for c in found]


def test_a_run_that_is_shut_has_no_container_and_gets_none(sandboxes: DockerSandboxes, base: str) -> None:
    spec = Spec(image=base, labels={LABEL_RUN: "r-shut"}, limits=SMALL)
    inside = threading.Event()

    def job() -> None:
        while True:  # as a gate does: one container after the other, and a new one where it was lost
            with suppress(SandboxLostError), sandboxes.open(spec) as box:
                inside.set()
                box.exec(["sleep", "100"], timeout=100)

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(job) for _ in range(2)]  # the other one is just making its own
        assert inside.wait(120)
        sandboxes.shut("r-shut")
        assert names(sandboxes, "r-shut") == []
    assert all(isinstance(each.exception(), SandboxError) for each in jobs)
    with pytest.raises(SandboxError, match="r-shut was stopped"), sandboxes.open(spec):
        pytest.fail("it got one")
    assert names(sandboxes, "r-shut") == []
    with sandboxes.open(Spec(image=base, labels={LABEL_RUN: "r-other"}, limits=SMALL)) as box:
        assert box.exec(["true"], timeout=60).exit_code == 0


def test_reaping_takes_the_run_and_nothing_else(sandboxes: DockerSandboxes, base: str) -> None:
    owner = sandboxes._owner
    one, two = f"{owner}-one", f"{owner}-two"  # other tests' runs on this engine have other names
    killed(ABANDON, owner, base, one, "")
    killed(ABANDON, owner, base, two, "paused")
    killed(ABANDON, f"{owner}-other", base, one, "")
    other = DockerSandboxes(owner=f"{owner}-other")
    try:
        [mine, theirs] = sorted(names(sandboxes, one))
        assert mine != theirs
        assert len(sandboxes.reap(run=one)) == 2
        assert len(names(sandboxes, one)) == 1
        assert len(names(sandboxes, two)) == 1
        assert len(sandboxes.reap()) == 2
        assert names(sandboxes, two) == []
        assert sandboxes.reap() == []
    finally:
        assert len(other.reap()) == 2
        other.disconnect()


def test_what_others_make_from_our_images_is_not_ours(sandboxes: DockerSandboxes, base: str) -> None:
    """A container inherits its image's labels: `docker build FROM` an image of ours, for instance."""
    api = sandboxes.client.api
    recipe = EnvironmentRecipe(setup=("true",), key_files={"for": "others"}, tree=lambda: [bytes(10240)])
    image = sandboxes.environment(recipe, labels={LABEL_RUN: "r-others"}, progress=lambda _: None).image
    plain = api.create_container(image, ["true"])["Id"]
    labelled = api.create_container(image, ["true"], labels={LABEL_OWNER: sandboxes._owner})["Id"]
    try:
        assert sandboxes.reap() == []
        assert sandboxes.reap(run="r-others") == []
    finally:
        for container in (plain, labelled):
            api.remove_container(container)
        api.remove_image(image)


KILL_BUILD = """
import os, sys
from sandbox.api import LABEL_RUN, EnvironmentRecipe
from sandbox.docker import DockerSandboxes
owner, base = sys.argv[1:]
def stop(line):
    if line == "now":
        os.kill(os.getpid(), 9)
recipe = EnvironmentRecipe(setup=("echo now; sleep 3600",), key_files={}, tree=lambda: [bytes(10240)])
DockerSandboxes(owner=owner, base_image=base).environment(recipe, labels={LABEL_RUN: "r-build"}, progress=stop)
"""


def test_a_build_that_was_killed_is_reaped(sandboxes: DockerSandboxes, base: str) -> None:
    killed(KILL_BUILD, sandboxes._owner, base)
    assert len(sandboxes.reap(run="r-build")) == 1


def fill(directory: Path, progress: Callable[[str], None]) -> None:
    progress("fetching")
    (directory / "bin").mkdir()
    program = directory / "bin" / "program"
    program.write_text("#!/bin/sh\necho tool\n")
    program.chmod(0o700)
    (directory / "large").write_bytes(os.urandom(3_000_000))


@pytest.fixture
def key(sandboxes: DockerSandboxes, tmp_path: Path) -> Iterator[str]:
    made = f"test {tmp_path}"
    yield made
    for volume in sandboxes.client.volumes.list(filters={"label": f"automend.owner={sandboxes._owner}"}):
        volume.remove()


def test_tools_are_filled_once_and_run_read_only(sandboxes: DockerSandboxes, base: str, key: str) -> None:
    told: list[str] = []
    name = sandboxes.tools(ToolsRecipe(key=key, fill=fill), progress=told.append)
    assert "fetching" in told
    told.clear()
    assert sandboxes.tools(ToolsRecipe(key=key, fill=fill), progress=told.append) == name
    assert told == []
    with sandboxes.open(Spec(image=base, limits=SMALL, tools=name)) as box:
        assert box.exec([f"{TOOLS}/bin/program"], timeout=120).stdout == b"tool\n"
        assert box.exec(["stat", "-c", "%s", f"{TOOLS}/large"], timeout=120).stdout == b"3000000\n"
        assert box.exec(["sh", "-c", f"echo x > {TOOLS}/bin/program"], timeout=120).exit_code != 0
    assert sandboxes.reap() == [], "finished tools stay"
    assert sandboxes.tools(ToolsRecipe(key=key, fill=fill), progress=told.append) == name


def test_tools_that_somebody_pruned_are_fetched_again(sandboxes: DockerSandboxes, key: str) -> None:
    name = sandboxes.tools(ToolsRecipe(key=key, fill=fill), progress=lambda _: None)
    sandboxes.client.volumes.get(name).remove()
    again = sandboxes.tools(ToolsRecipe(key=key, fill=fill), progress=lambda _: None)
    assert again != name
    assert sandboxes.client.volumes.get(again).name == again


def test_tools_that_cannot_be_fetched_leave_nothing(sandboxes: DockerSandboxes, key: str) -> None:
    def fail(directory: Path, progress: Callable[[str], None]) -> None:
        raise SandboxError("no network")

    with pytest.raises(SandboxError, match="no network"):
        sandboxes.tools(ToolsRecipe(key=key, fill=fail), progress=lambda _: None)
    assert sandboxes.client.volumes.list(filters={"label": f"automend.owner={sandboxes._owner}"}) == []


KILL_FILL = """
import os, sys
import sandbox.tools
from sandbox.api import ToolsRecipe
from sandbox.docker import DockerSandboxes
whole = sandbox.tools._tar
def half(directory):
    yield next(whole(directory))
    os.kill(os.getpid(), 9)
sandbox.tools._tar = half
def fill(directory, progress):
    (directory / "large").write_bytes(bytes(8_000_000))
owner, base, key = sys.argv[1:]
DockerSandboxes(owner=owner, base_image=base).tools(ToolsRecipe(key=key, fill=fill), progress=lambda _: None)
"""


def test_a_half_filled_volume_is_never_used(sandboxes: DockerSandboxes, base: str, key: str) -> None:
    killed(KILL_FILL, sandboxes._owner, base, key)
    label = f"automend.kind={TOOLS_FILES}"
    mine = f"automend.owner={sandboxes._owner}"
    [half] = [v.name for v in sandboxes.client.volumes.list(filters={"label": [label, mine]})]
    name = sandboxes.tools(ToolsRecipe(key=key, fill=fill), progress=lambda _: None)
    assert name != half
    with sandboxes.open(Spec(image=base, limits=SMALL, tools=name)) as box:
        assert box.exec([f"{TOOLS}/bin/program"], timeout=120).stdout == b"tool\n"
    left = sandboxes.reap()
    assert f"volume {half}" in left
    assert f"volume {name}" not in left
    assert len([one for one in left if one.startswith("container")]) == 1  # the one that was being filled through


def test_a_volume_that_is_being_filled_is_left_alone(sandboxes: DockerSandboxes, key: str) -> None:
    """Reaping while another process fills: seen from within `fill`, where the lock is held."""
    seen: list[list[str]] = []

    def reaping(directory: Path, progress: Callable[[str], None]) -> None:
        fill(directory, progress)

    def during(line: str) -> None:
        if line.startswith("copying"):
            seen.append(sandboxes.reap())

    name = sandboxes.tools(ToolsRecipe(key=key, fill=reaping), progress=during)
    assert seen == [[]]
    assert sandboxes.client.volumes.get(name).name == name


def test_environment_recipe_is_shared_between_owners(sandboxes: DockerSandboxes, base: str) -> None:
    recipe = EnvironmentRecipe(setup=("true",), key_files={}, tree=lambda: [bytes(10240)])
    first = sandboxes.environment(recipe, labels={}, progress=lambda _: None)
    other = DockerSandboxes(owner=f"{sandboxes._owner}-other", base_image=base)
    second = other.environment(recipe, labels={}, progress=lambda _: None)
    other.disconnect()
    assert (second.digest, second.built) == (first.digest, False)
