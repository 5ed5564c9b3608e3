"""The shop's deploy scripts, with real processes; by hand and through automend's deployer and probe."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runner.model import Level, Verdict
from runner.rollout.command import CommandDeployer
from runner.rollout.health import HttpAndLogProbe
from runner.settings import DeployConfig, ProbeConfig

if TYPE_CHECKING:
    from tests.integration.examples.conftest import Host


def head(host: Host) -> str:
    return host.repo.git("rev-parse", "HEAD")


def test_deploy_again_and_back(host: Host) -> None:
    first = head(host)
    assert host.current() == ""
    host.deploy(first)
    assert host.ask("/health")[1]["release"] == first
    pid = host.pid
    host.deploy(first)  # live already: left alone
    assert host.pid == pid
    second = host.repo.commit("Nothing new")
    host.deploy(second)
    assert host.ask("/health")[1]["release"] == second
    assert host.current() == second
    assert host.services() == [host.pid]
    host.deploy(first)
    assert host.ask("/health")[1]["release"] == first
    assert host.services() == [host.pid]
    host.run("stop.sh")
    assert host.services() == []
    assert host.current() == ""


def test_the_shelf_survives_a_deploy(host: Host) -> None:
    host.deploy(head(host))
    assert host.ask("/orders", {"items": [{"sku": "mug", "quantity": 2}]})[1]["left"] == {"mug": 198}
    host.deploy(host.repo.commit("Nothing new"))
    assert host.ask("/products/mug")[1]["in_stock"] == 198


@pytest.mark.parametrize(
    ("release", "words"),
    [("f" * 40, "has no commit"), ("main", "not a commit"), ("--help", "not a commit"), ("", "the commit to put live")],
)
def test_what_is_no_release_changes_nothing(host: Host, release: str, words: str) -> None:
    host.deploy(head(host))
    done = host.run("deploy.sh", release)
    assert done.returncode != 0
    assert words in done.stderr
    assert host.current() == host.ask("/health")[1]["release"] == head(host)


def test_a_release_that_does_not_start(host: Host) -> None:
    good = head(host)
    host.deploy(good)
    (host.repo.path / "shop" / "__main__.py").write_text("raise SystemExit('no settings here')\n")
    bad = host.repo.commit("Break the start")
    done = host.run("deploy.sh", bad)
    assert done.returncode == 1
    assert "no settings here" in done.stderr
    assert host.services() == []
    assert host.current() == good  # what to go back to
    host.deploy(good)
    assert host.ask("/health")[0] == 200


@pytest.mark.parametrize("words", ["fetching", "stopping", "starting", "is live"])
def test_killed_anywhere_and_run_again(host: Host, words: str) -> None:
    host.deploy(head(host))
    release = host.repo.commit("Nothing new")
    deploy = subprocess.Popen(
        [str(host.scripts / "deploy.sh")],
        env={**host.env, "AUTOMEND_RELEASE": release},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert deploy.stdout is not None
    for line in deploy.stdout:
        if words in line:
            break
    os.killpg(deploy.pid, signal.SIGKILL)
    deploy.stdout.close()
    deploy.wait()
    host.deploy(release)
    assert host.ask("/health")[1]["release"] == host.current() == release
    assert host.services() == [host.pid]


def test_a_service_that_crashed_is_started_again(host: Host) -> None:
    host.deploy(head(host))
    os.kill(host.pid, signal.SIGKILL)
    assert host.current() == head(host)
    host.deploy(head(host))
    assert host.ask("/health")[0] == 200


def test_through_the_deployer_and_the_probe(host: Host, tmp_path: Path) -> None:
    first, second = head(host), host.repo.commit("Nothing new")
    deployer = CommandDeployer(
        DeployConfig.model_validate({"command": host.command("deploy.sh"), "current": host.command("current.sh")}),
        repo="shop/shop",
        home=tmp_path,
        clean_env=os.environ,
    )
    probe = HttpAndLogProbe(
        ProbeConfig.model_validate(
            {"url": f"http://127.0.0.1:{host.port}/health", "log": host.log, "interval_seconds": 0.1}
        ),
        grace_seconds=1,
    )
    assert probe.watch(0.3).level is Level.CRITICAL  # closed
    assert deployer.deploy(first, run="r1").verdict is Verdict.PASSED
    before = probe.watch(0.5)
    assert (before.level, before.failures) == (Level.HEALTHY, 0)
    rollout = deployer.deploy(second, run="r2")
    assert (rollout.verdict, rollout.previous) == (Verdict.PASSED, first)
    assert "redirect it" not in rollout.detail
    assert deployer.current() == second
    assert probe.worse(before, probe.watch(0.5)) is None
    assert host.ask("/quote", {"items": [{"sku": "mug"}], "code": "staff40"})[0] == 500
    os.kill(host.pid, signal.SIGKILL)
    after = probe.watch(60, stop_when_critical=True)
    assert after.level is Level.CRITICAL
    assert "healthy before, critical now" in str(probe.worse(before, after))
    assert deployer.rollback(first, run="r2").verdict is Verdict.PASSED
    assert host.ask("/health")[1]["release"] == first
