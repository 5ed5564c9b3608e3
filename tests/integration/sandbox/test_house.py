"""`automend clean` and `automend images` on a real engine."""

from __future__ import annotations

import fcntl
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from runner.app import build, owner_name
from runner.cli import cli
from runner.config import load
from runner.model import Job
from sandbox.api import LABEL_RUN, EnvironmentRecipe
from sandbox.docker import DockerSandboxes
from tests.integration.sandbox.test_leftovers import ABANDON, killed

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


@pytest.fixture(autouse=True)
def locks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`clean` sweeps the locks of every process of this user: those of other tests are none of its business."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def said(*words: str) -> dict[str, object]:
    done = CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


def test_clean_takes_what_is_over_and_leaves_a_live_engine_alone(
    sandboxes: DockerSandboxes, base: str, home: Path
) -> None:
    app = build(load())
    run = app.house.store.create(Job(repo="a/b")).id
    app.close()
    for name in ("r-unknown", run):
        killed(ABANDON, owner_name(home), base, name, "")
    with (home / "engine.lock").open("a+") as engine:
        fcntl.flock(engine, fcntl.LOCK_EX)
        told = said("clean", "--dry-run")["removed"]
        assert isinstance(told, list)
        mine = [what for what in told if what.startswith(("container", "volume"))]
        assert [what.split()[0] for what in mine] == ["container", "volume"]
        assert all("r-unknown" in what for what in mine)
        assert set(mine) <= set(said("clean")["removed"])  # type: ignore[call-overload]
    left = said("clean")["removed"]
    assert isinstance(left, list)
    assert [what.split()[0] for what in left if run in what] == ["container", "volume"]
    assert sandboxes.client.containers.list(all=True, filters={"label": f"automend.owner={owner_name(home)}"}) == []
    again = said("clean")["removed"]
    assert isinstance(again, list)
    assert [what for what in again if what.startswith(("container", "volume"))] == []


def test_images_are_listed_and_none_that_is_used_goes(sandboxes: DockerSandboxes, base: str, home: Path) -> None:
    app = build(load())
    run = app.house.store.create(Job(repo="ann/tool")).id
    recipe = EnvironmentRecipe(
        setup=("head -c 3000000 /dev/zero > /opt/three",), key_files={"for": str(home)}, tree=lambda: [bytes(10240)]
    )
    made = app.sandboxes.environment(recipe, labels={LABEL_RUN: run}, progress=lambda _: None)
    app.close()
    try:
        listed = said("images")["images"]
        assert isinstance(listed, list)
        [row] = [row for row in listed if row["name"] == made.image]
        assert (row["megabytes"], row["repo"], row["used_by"]) == (2, "ann/tool", run)
        gone = said("images", "--prune", "--days", "0", "--budget-mb", "0", "--dry-run")["images"]
        assert isinstance(gone, list)
        assert made.image not in {row["name"] for row in gone}
    finally:
        sandboxes.client.api.remove_image(made.image)
