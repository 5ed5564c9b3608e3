from __future__ import annotations

import io
import secrets
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import pytest

from sandbox import image
from sandbox.api import LABEL_OWNER, LABEL_RUN, Environment, EnvironmentRecipe, Limits, SandboxError, Spec
from sandbox.docker import DockerSandboxes

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
SMALL = Limits(memory_mb=256, workspace_mb=32, tmp_mb=16)
LABELS = {LABEL_RUN: "r-env"}


def tree() -> Iterator[bytes]:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        entry = tarfile.TarInfo("pkg/data.txt")
        entry.size = 5
        tar.addfile(entry, io.BytesIO(b"hello"))
    yield made.getvalue()


Make = Callable[..., EnvironmentRecipe]


@pytest.fixture
def recipe(sandboxes: DockerSandboxes) -> Iterator[Make]:
    """Recipes of which no image can be there yet; their images go away with the test."""
    salt = secrets.token_hex(4)
    made: list[EnvironmentRecipe] = []

    def make(*setup: str, timeout: float = 300.0) -> EnvironmentRecipe:
        made.append(EnvironmentRecipe(setup=setup, key_files={"salt": salt}, tree=tree, timeout=timeout))
        return made[-1]

    yield make
    # Only these: what else appeared meanwhile is at work in another test.
    api = sandboxes.client.api
    base = image.image_id(api, sandboxes.base(progress=lambda _: None)) or ""
    for name in {f"{image.REPOSITORY}:{image.environment_key(one, base)}" for one in made}:
        if image.image_id(api, name) is not None:
            api.remove_image(name)


def test_an_environment_is_built_once_and_runs_offline(sandboxes: DockerSandboxes, recipe: Make) -> None:
    told: list[str] = []
    wanted = recipe(
        "python3 -m venv /opt/env && /opt/env/bin/pip install iniconfig",
        "uv pip install --python /opt/env/bin/python blinker",
        "cat pkg/data.txt > /opt/env/seen",
    )
    made = sandboxes.environment(wanted, labels=LABELS, progress=told.append)
    assert made.built
    assert made.digest.startswith("sha256:")
    assert any("iniconfig" in line for line in told)
    again = sandboxes.environment(wanted, labels=LABELS, progress=told.append)
    assert (again.image, again.digest, again.built) == (made.image, made.digest, False)
    with sandboxes.open(Spec(image=made.image, limits=SMALL)) as box:
        seen = box.exec(["python", "-c", "import iniconfig, blinker, sys; print(sys.prefix)"], timeout=120)
        assert seen.stdout == b"/opt/env\n"
        assert box.exec(["cat", "/opt/env/seen"], timeout=120).stdout == b"hello"
        assert box.exec(["ls", "-A", "/workspace"], timeout=120).stdout == b""
        leftovers = box.exec(["sh", "-c", "env; ls -A /run /tmp /root; cat /run/*.crt"], timeout=120).stdout
        assert b"ca-certificates" not in leftovers
        assert b"automend" not in leftovers
    assert sandboxes.reap() == []


def test_secrets_are_for_the_build_alone_and_not_told(sandboxes: DockerSandboxes, recipe: Make) -> None:
    told: list[str] = []
    credentials = {".netrc": b"machine here login me password " + b"sesame" * 3 + b"\n"}
    wanted = recipe("cp ~/.netrc /dev/null && stat -c '%a %U' ~/.netrc", "cat ~/.netrc")
    made = sandboxes.environment(replace(wanted, secrets=credentials), labels=LABELS, progress=told.append)
    assert "600 root" in told
    assert "machine here login me *** ***" in told
    with sandboxes.open(Spec(image=made.image, limits=SMALL)) as box:
        found = box.exec(["sh", "-c", "grep -rls sesamesesame / --exclude-dir=proc --exclude-dir=sys"], timeout=120)
        assert found.stdout == b""
    bad = replace(recipe("cat ~/.netrc; false"), secrets=credentials)
    with pytest.raises(SandboxError) as caught:
        sandboxes.environment(bad, labels=LABELS, progress=lambda _: None)
    assert "sesame" not in caught.value.message


def test_an_image_says_nothing_of_the_run_that_made_it(sandboxes: DockerSandboxes, recipe: Make) -> None:
    made = sandboxes.environment(recipe("true"), labels=LABELS, progress=lambda _: None)
    labels = sandboxes.client.images.get(made.image).labels
    assert labels == {LABEL_RUN: "", LABEL_OWNER: "", "automend.kind": "", "automend.image": "environment"}
    with sandboxes.open(Spec(image=made.image, limits=SMALL)) as box:
        assert sandboxes.reap(run="r-env") == []
        assert box.exec(["echo", "on"], timeout=120).stdout == b"on\n"


def test_a_failed_build_ends_with_its_last_lines_and_leaves_nothing(sandboxes: DockerSandboxes, recipe: Make) -> None:
    wanted = recipe("seq 1 100; echo why >&2; exit 4")
    with pytest.raises(SandboxError) as caught:
        sandboxes.environment(wanted, labels=LABELS, progress=lambda _: None)
    first, *last = caught.value.message.splitlines()
    assert "ended with 4" in first
    assert last == [*(str(n) for n in range(72, 101)), "why"]
    assert caught.value.remedy
    assert sandboxes.reap() == []
    with pytest.raises(SandboxError):
        sandboxes.environment(wanted, labels=LABELS, progress=lambda _: None)


def test_a_build_ends_at_its_deadline(
    sandboxes: DockerSandboxes, recipe: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = [0.0]
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0], sleep=time.sleep)

    def told(line: str) -> None:
        if line == "on it":
            ahead[0] = 3600.0

    monkeypatch.setattr("sandbox.exec.time", clock)
    with pytest.raises(SandboxError, match=r"was not done after [0-9]+ s:\non it"):
        sandboxes.environment(recipe("echo on it; sleep 3600", timeout=3000), labels=LABELS, progress=told)
    assert sandboxes.reap() == []


def test_two_who_want_the_same_build_it_once(sandboxes: DockerSandboxes, recipe: Make) -> None:
    wanted = recipe("sleep 1")
    made: list[Environment] = []

    def ask() -> None:
        made.append(sandboxes.environment(wanted, labels=LABELS, progress=lambda _: None))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.built for one in made) == [False, False, True]
    assert len({one.digest for one in made}) == 1


def test_a_base_image_that_nobody_has_is_told_with_a_remedy(sandboxes: DockerSandboxes) -> None:
    odd = DockerSandboxes(owner=sandboxes._owner, base_image="localhost:1/none:x")
    with pytest.raises(SandboxError, match="pulling the base image") as caught:
        odd.environment(EnvironmentRecipe(setup=(), key_files={}, tree=tree), labels=LABELS, progress=lambda _: None)
    odd.disconnect()
    assert "AUTOMEND_BASE_IMAGE" in caught.value.remedy
