"""The sample service as it is: CI is green, and a real request fails."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from runner.policy.schema import load_policy
from runner.project.model import Pytest
from runner.project.recognise import recognise
from runner.settings import RepoConfig

if TYPE_CHECKING:
    from tests.integration.examples.conftest import Host, Repo

CART = {"items": [{"sku": "mug", "quantity": 2}]}


def test_its_ci_is_green(repo: Repo) -> None:
    done = repo.run("./ci")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100%" in done.stdout


def test_automend_knows_how_to_work_on_it(repo: Repo) -> None:
    files = {path: (repo.path / path).read_bytes() for path in repo.git("ls-files").splitlines()}
    project = recognise(files.get, files, RepoConfig.model_validate({}))
    assert isinstance(project.test, Pytest)
    assert project.test.coverage
    assert project.lint is not None
    assert project.lint.kind == "ruff"
    assert not [command for command in project.setup if "-e ." in command]  # nothing of its own to build
    assert load_policy("default").tighten(project.policy).size.max_files == 5


def test_a_code_in_lower_case_fails_in_production(host: Host) -> None:
    host.deploy(host.repo.git("rev-parse", "HEAD"))
    status, answer = host.ask("/quote", {**CART, "code": "WELCOME10"})
    assert (status, answer["total"]) == (200, 2740)
    assert "Traceback" not in host.log.read_text()
    assert host.ask("/quote", {**CART, "code": "welcome10"})[0] == 500
    log = host.log.read_text()
    assert "ERROR shop.web: POST /quote failed\nTraceback (most recent call last):" in log
    assert "KeyError: 'welcome10'" in log
    assert host.ask("/quote", {**CART, "code": "nosuchcode"})[0] == 400


def test_traffic_is_all_answered(host: Host) -> None:
    host.deploy(host.repo.git("rev-parse", "HEAD"))
    command = [
        sys.executable,
        str(host.scripts / "traffic.py"),
        "--port",
        str(host.port),
        "--seconds",
        "1",
        "--rate",
        "10",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    answers = json.loads(done.stdout)
    assert set(answers) == {"200"}
    assert answers["200"] >= 8
    done = subprocess.run([*command, "--typed"], capture_output=True, text=True, check=True, timeout=120)
    assert set(json.loads(done.stdout)) == {"200", "500"}


def test_traffic_copes_with_a_closed_shop(host: Host) -> None:
    command = [sys.executable, str(host.scripts / "traffic.py"), "--port", str(host.port), "--seconds", "0.1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert set(json.loads(done.stdout)) == {"refused"}


@pytest.mark.parametrize("wrong", [["--seconds", "3601"], ["--rate", "51"], ["--rate", "0"], ["--seconds", "-1"]])
def test_traffic_has_bounds(host: Host, wrong: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(host.scripts / "traffic.py"), "--port", "8000", *wrong],
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
