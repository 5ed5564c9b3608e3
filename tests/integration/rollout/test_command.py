"""The deployer with real commands."""

import os
from pathlib import Path

import pytest

from runner.errors import DeployError
from runner.model import Verdict
from runner.ports import Deployer
from runner.rollout.command import CommandDeployer
from runner.settings import DeployConfig

A, B = "a" * 40, "b" * 40


def deployer(home: Path, **config: object) -> CommandDeployer:
    settings = DeployConfig.model_validate({"command": "echo $AUTOMEND_RELEASE >live", "current": "cat live", **config})
    env = {**os.environ, "GITHUB_TOKEN": "not for you", "OPENAI_API_KEY": "not for you", "AUTOMEND_HOME": str(home)}
    return CommandDeployer(settings, repo="shop/shop", home=home, clean_env=env)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "live").write_text(f"{A}\n")
    return tmp_path


def test_deploys_and_tells_what_was_live(home: Path) -> None:
    shop: Deployer = deployer(home)
    assert shop.current() == A
    rollout = shop.deploy(B, run="r1")
    assert (rollout.verdict, rollout.release, rollout.previous) == (Verdict.PASSED, B, A)
    assert shop.current() == B
    assert shop.deploy(B, run="r1").previous == A  # asked again, also when another process does
    assert shop.rollback(A, run="r1").previous == B
    assert shop.current() == A


def test_each_run_deploys_once(home: Path) -> None:
    shop = deployer(home, command="echo $AUTOMEND_RUN >>starts")
    for run in ("r1", "r1", "r2", "r1"):
        assert shop.deploy(B, run=run).verdict is Verdict.PASSED
    assert (home / "starts").read_text() == "r1\nr2\n"


def test_names_what_it_does_and_gives_no_secrets(home: Path) -> None:
    output = deployer(home, command="env").deploy(B, run="r1").output
    told = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    assert told["AUTOMEND_RELEASE"] == B
    assert told["AUTOMEND_PREVIOUS_RELEASE"] == A
    assert told["AUTOMEND_RUN"] == "r1"
    assert told["AUTOMEND_REPO"] == "shop/shop"
    assert "not for you" not in output
    assert "AUTOMEND_HOME" not in told


def test_a_failing_command_is_failed_with_its_last_lines(home: Path) -> None:
    rollout = deployer(home, command="seq 100; echo no room >&2; exit 5").deploy(B, run="r1")
    assert rollout.verdict is Verdict.FAILED
    assert "exited with 5" in rollout.detail
    assert rollout.detail.endswith("99\n100\nno room")
    assert "\n50\n" not in rollout.detail
    assert "\n50\n" in rollout.output


def test_out_of_time_is_failed_and_says_so(home: Path) -> None:
    rollout = deployer(home, command="echo begun; sleep 600", timeout_seconds=3).deploy(B, run="r1")
    assert rollout.verdict is Verdict.FAILED
    assert "did not end within 3 s" in rollout.detail
    assert rollout.output == "begun\n"


def test_what_cannot_be_started_is_an_error(home: Path) -> None:
    rollout = deployer(home, cwd=home / "nowhere", current=None).deploy(B, run="r1")
    assert rollout.verdict is Verdict.ERROR
    assert "nowhere" in rollout.detail


def test_the_rollback_command_where_there_is_one(home: Path) -> None:
    assert deployer(home, rollback="echo back").rollback(A, run="r1").output == "back\n"
    assert deployer(home, command="echo forth").rollback(A, run="r2").output == "forth\n"


def test_current_that_cannot_tell_stops_a_deploy_but_no_rollback(home: Path) -> None:
    shop = deployer(home, current="echo lost >&2; exit 1")
    with pytest.raises(DeployError, match="lost"):
        shop.current()
    stopped = shop.deploy(B, run="r1")
    assert (stopped.verdict, (home / "live").read_text().strip()) == (Verdict.ERROR, A)
    assert shop.rollback(B, run="r1").verdict is Verdict.PASSED
    assert (home / "live").read_text().strip() == B


@pytest.mark.parametrize("said", ["not a commit", "'$(rm -rf /)'", "ABCDEF1234"])
def test_current_must_print_a_commit(home: Path, said: str) -> None:
    with pytest.raises(DeployError, match="not a commit"):
        deployer(home, current=f"echo {said}").current()


def test_nothing_live(home: Path) -> None:
    assert deployer(home, current="true").current() is None
    assert deployer(home, current=None).current() is None
    assert deployer(home, current=None).deploy(A, run="r1").previous is None


def test_a_service_that_keeps_the_output_is_pointed_out(home: Path) -> None:
    rollout = deployer(home, command="setsid sleep 600 & echo $! >pid").deploy(B, run="r1")
    os.kill(int((home / "pid").read_text()), 9)
    assert rollout.verdict is Verdict.PASSED
    assert "redirect it" in rollout.detail


def test_odd_names_make_a_safe_directory(home: Path) -> None:
    shop = CommandDeployer(
        DeployConfig.model_validate({"command": "true"}), repo="/srv/a repo/../x", home=home, clean_env={}
    )
    assert shop.deploy(B, run="../../../etc").verdict is Verdict.PASSED
    (made,) = (home / "rollouts").iterdir()
    assert "/" not in made.name
    assert ".." not in made.name
