"""What the demo's agents do, done to a copy of the shop: it is what the demo says it is."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from runner.model import Level
from runner.rollout.health import HttpAndLogProbe
from runner.settings import ProbeConfig

if TYPE_CHECKING:
    from tests.integration.examples.conftest import Host, Repo

TYPED = {"items": [{"sku": "mug", "quantity": 2}], "code": "welcome10"}


def changed_lines_are_covered(repo: Repo, path: str) -> bool:
    """Whether the tests run every statement of a file."""
    assert repo.run("python3", "-m", "coverage", "run", "-m", "pytest", "-q").returncode == 0
    return repo.run("python3", "-m", "coverage", "report", f"--include={path}", "--fail-under=100").returncode == 0


def test_act_one_first_attempt_is_wrong(repo: Repo) -> None:
    repo.replay("act-one", 1)
    done = repo.test()
    assert done.returncode == 1
    assert "KeyError: 'welcome10'" in done.stdout
    assert "FAILED tests/test_quotes.py::test_a_code_takes_its_percentage_off" in done.stdout


@pytest.mark.parametrize("attempts", [(2,), (1, 2)], ids=["in a fresh checkout", "over what the first left"])
def test_act_one_second_attempt_is_right(repo: Repo, attempts: tuple[int, ...]) -> None:
    for attempt in attempts:
        repo.replay("act-one", attempt)
    assert repo.git("status", "--porcelain").split() == ["M", "shop/discounts.py", "M", "tests/test_quotes.py"]
    assert changed_lines_are_covered(repo, "shop/discounts.py")
    repo.git("checkout", "--quiet", "HEAD", "--", "shop")
    red = repo.test("tests/test_quotes.py")
    assert red.returncode == 1
    assert "2 failed" in red.stdout
    assert "test_a_code_counts_however_it_is_typed" in red.stdout


def test_act_one_mends_the_request(host: Host) -> None:
    host.deploy(host.repo.git("rev-parse", "HEAD"))
    assert host.ask("/quote", TYPED)[0] == 500
    host.repo.replay("act-one", 2)
    host.deploy(host.repo.commit("Mend it"))
    status, answer = host.ask("/quote", TYPED)
    assert (status, answer["discount"]) == (200, 250)


def test_act_two_passes_all_that_ci_asks(repo: Repo) -> None:
    repo.replay("act-one", 2)
    repo.commit("As after act one")
    repo.replay("act-two", 1)
    assert repo.git("status", "--porcelain").split() == ["M", "shop/stock.py", "M", "tests/test_stock.py"]
    done = repo.run("./ci")
    assert done.returncode == 0, done.stdout
    assert changed_lines_are_covered(repo, "shop/stock.py")


def test_act_two_makes_production_worse_within_seconds(host: Host) -> None:
    good = host.repo.git("rev-parse", "HEAD")
    host.repo.replay("act-two", 1)
    bad = host.repo.commit("Open the database once")
    probe = HttpAndLogProbe(
        ProbeConfig.model_validate(
            {"url": f"http://127.0.0.1:{host.port}/health", "log": host.log, "interval_seconds": 0.25}
        )
    )
    host.deploy(good)
    with host.traffic():
        before = probe.watch(2)
        assert before.level is Level.HEALTHY, before.summary
        host.deploy(bad)  # the deploy itself sees nothing wrong
        after = probe.watch(60, stop_when_critical=True)
        assert after.level in (Level.UNHEALTHY, Level.CRITICAL), after.summary
        assert probe.worse(before, after)
        assert "can only be used in that same thread" in host.log.read_text()
        host.deploy(good)
        back = probe.watch(2)
        assert back.level is Level.HEALTHY, back.summary


def test_scripts_are_what_a_shell_understands(host: Host) -> None:
    for script in sorted(host.scripts.glob("*.sh")):
        subprocess.run(["/bin/sh", "-n", str(script)], check=True, timeout=120)
