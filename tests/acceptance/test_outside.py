"""What is outside fails in the middle: the engine, the forge, a person's patience."""

import signal
import subprocess

import pytest

from tests.acceptance.conftest import CALC, FIX, NEW_TEST, SCRIPT, say, shell, told

pytestmark = [pytest.mark.docker, pytest.mark.agents, pytest.mark.timeout(1800)]  # whole runs on a busy machine

SLOW = (shell("sleep 100"), say("Done."))


@pytest.mark.parametrize("where", ["unix:///nowhere", "tcp://127.0.0.1:9"])
def test_no_engine(house, calc, where):
    house.agent(FIX)
    done = house("run", "--repo", calc.path, "--title", "x", env={"DOCKER_HOST": where})
    assert (done.code, done.out) == (3, "")
    assert "no Docker engine answers" in done.said
    assert "start the Docker engine" in done.said
    (run,) = house.runs()
    assert run["status"] == "failed"
    assert "no Docker engine answers" in run["reason"]


def test_a_forge_that_is_gone(town, calc):
    name = town.repo(calc, "acme/calc")
    town.house.agent(FIX)
    town.hub.hub.stop()
    done = town.house("run", "--repo", name, "--title", "x")
    assert (done.code, done.out) == (3, "")
    assert town.hub.url in done.said
    assert town.house.runs()[0]["status"] == "failed"


def test_a_forge_that_fails_at_the_last_moment_keeps_no_branch(town, calc):
    name = town.repo(calc, "acme/calc")
    town.house.agent(FIX)
    town.faulty.broken.append(("POST", "/pulls"))
    done = town.house("run", "--repo", name, "--title", "x")
    assert (done.code, done.out) == (3, ""), done.err
    assert "503" in done.said
    assert town.branches(name) == town.pulls(name) == []
    town.faulty.broken.clear()
    again = town.house("run", "--repo", name, "--title", "x")
    assert again.code == 0, again.err
    assert len(town.branches(name)) == len(town.pulls(name)) == 1


def test_a_forge_that_dies_while_the_agent_works(town, calc):
    name = town.repo(calc, "acme/calc")
    town.house.agent((shell("sleep 3"), *FIX))
    process = town.house.start("run", "--repo", name, "--title", "x")
    told(process, "environment ready")
    town.hub.hub.stop()
    _, err = process.communicate(timeout=600)
    assert process.returncode == 3, err
    assert town.hub.url in err.replace("\n", " ")
    assert town.house.runs()[0]["status"] == "failed"


@pytest.mark.parametrize("when", ["the agent works", "the gate judges"])
def test_ctrl_c_stops_the_run_and_leaves_nothing(house, calc, when):
    house.agent(SLOW if when == "the agent works" else FIX)
    process = house.start("run", "--repo", calc.path, "--title", "x")
    told(process, "environment ready" if when == "the agent works" else "agent  ")
    house.until_containers_run()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert out == ""
    assert "Traceback" not in err
    (run,) = house.runs()
    assert run["status"] == "stopped"
    assert run["reason"] == "interrupted"
    assert f"run {run['id']} is stopped" in " ".join(err.split())
    assert house.left_behind() == []
    assert calc.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"
    assert house("serve", "--once").code == 0
    assert house.runs()[0]["status"] == "stopped"


def test_ctrl_c_of_a_gate(house, calc):
    calc.git("checkout", "--quiet", "-b", "good")
    slow = "import time\n\ntime.sleep(100)\n\n\ndef mean(values):\n    return 2\n"
    calc.commit({"calc.py": slow, "test_calc.py": CALC["test_calc.py"] + NEW_TEST})
    process = house.start("gate", "--repo", calc.path, "--base", "main", "--head", "good", "--goal", "improve")
    house.until_containers_run(2)  # the patch under its own tests, and under the base's: both go on for long
    before = set(house.left_behind())
    # An engine that starts meanwhile must not take a working gate's containers for somebody's leftovers.
    assert house("serve", "--once").code == 0
    assert process.poll() is None
    assert before & set(house.left_behind())
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert house.left_behind() == []


def test_a_run_that_was_killed_is_finished_by_the_next_command(house, calc):
    house.agent((shell("sleep 2"), *FIX))
    process = house.start("run", "--repo", calc.path, "--title", "x", "--dry-run")
    told(process, "environment ready")
    process.kill()
    process.communicate(timeout=120)
    assert house.runs()[0]["status"] == "working"
    assert house("serve", "--once").code == 0
    run = house.runs()[0]
    assert run["status"] == "judged", run["reason"]
    assert house.left_behind() == []
    house.started.clear()


def test_a_pipe_that_nobody_reads_to_its_end(house, calc):
    assert house("run", "--repo", calc.path, "--title", "x", "--base", "nosuch").code == 2
    run = house.runs()[0]["id"]
    line = f"{SCRIPT} show {run} --json | head -c 10; echo ${{PIPESTATUS[0]}}"
    shown = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=True, env=house.env)
    assert shown.stderr == ""
    assert shown.stdout.startswith("{")
