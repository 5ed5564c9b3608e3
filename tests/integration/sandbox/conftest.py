from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.git.mirror import Mirror
from sandbox.api import SandboxError
from sandbox.docker import DockerSandboxes


def quiet(_: str) -> None:
    """Nobody watches."""


@pytest.fixture(scope="session")
def sandboxes() -> Iterator[DockerSandboxes]:
    """A real engine, under an owner of its own; nothing of it is left at the end."""
    made = DockerSandboxes(owner=f"tests-{secrets.token_hex(4)}", base_image=os.environ.get("AUTOMEND_BASE_IMAGE"))
    try:
        made.client.ping()
    except SandboxError as e:
        if os.environ.get("CI"):
            pytest.fail(f"CI must have a Docker engine: {e.message}")
        pytest.skip(f"needs a Docker engine: {e.message}")
    yield made
    left = made.reap()
    made.disconnect()
    assert left == [], "tests left something behind"


@pytest.fixture(scope="session")
def base(sandboxes: DockerSandboxes) -> str:
    """The image that sandboxes are made of; built on the first run, which takes about two minutes."""
    return sandboxes.base(progress=quiet)


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """A bare repository of the runner's own, empty."""
    made = Mirror(tmp_path / "mirror.git")
    made.ensure()
    return made
