"""The shared fixtures keep their promises: everything else rests on them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.config import load
from sandbox.api import Spec
from tests.contract.plugin import BOT


def test_the_same_files_are_the_same_commit(make_repo):
    one = make_repo({"a.py": "x = 1\n"}, name="one")
    two = make_repo({"a.py": "x = 1\n"}, name="two")
    assert one.head == two.head
    assert one.commit({"a.py": None, "b/c.py": b"\x00"}) == two.commit({"a.py": None, "b/c.py": b"\x00"})
    assert one.git("ls-files") == "b/c.py"


def test_a_home_knows_no_setting_of_this_machine(monkeypatch, request, tmp_path):
    monkeypatch.setenv("GITHUB_TOKEN", "of-this-machine")
    monkeypatch.setenv("AUTOMEND_RUN__POLICY", "of-this-machine")
    home = request.getfixturevalue("home")
    host = load()
    assert host.home == home
    assert host.secrets.values() == {}
    assert host.settings.run.policy == "default"
    assert Path.cwd().is_relative_to(tmp_path)


def test_the_hub_serves_a_repository_to_its_reviewer(hub, make_repo):
    source = make_repo({"shop.py": "x = 1\n"})
    hub.hub.create_repo("acme/shop", source=source.path, collaborators={BOT: "write", "rita": "admin"})
    repo = hub.client("rita").get_repo("acme/shop")
    assert repo.get_branch("main").commit.sha == source.head
    assert repo.permissions.admin


@pytest.mark.docker
def test_the_engine_runs_a_command(engine):
    image = engine.base(progress=print)
    with engine.open(Spec(image=image)) as box:
        assert box.exec(["echo", "hello"], timeout=120).stdout == b"hello\n"


@pytest.mark.parametrize(("ci", "outcome"), [("", "1 skipped"), ("true", "1 error")])
def test_a_missing_engine_skips_here_and_fails_in_ci(tmp_path, ci, outcome):
    test = tmp_path / "test_it.py"
    test.write_text("def test_it(engine):\n    raise AssertionError('there is no engine')\n")
    conftest = tmp_path / "conftest.py"
    conftest.write_text((Path(__file__).parents[2] / "conftest.py").read_text())
    env = {**os.environ, "CI": ci, "DOCKER_HOST": f"unix://{tmp_path}/nothing.sock"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(test)],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert outcome in done.stdout, done.stdout + done.stderr
