"""Agents that do nothing, too much, or whatever they like; and providers that are down. Nothing half-done is left."""

import json
import socket

import pytest

from tests.acceptance.conftest import FIX, say, shell, write

pytestmark = [pytest.mark.docker, pytest.mark.agents, pytest.mark.timeout(1800)]  # several attempts on a busy machine

ONCE = "attempts = 1\n"
FLOOD = """
for p in /proc/[0-9]*; do
  if tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep -q automend-forward && [ -w $p/fd/1 ]; then
    yes '{"type":"item.completed","item":{"type":"agent_message","text":"!"}}' | head -c 1000000000 >$p/fd/1
  fi
done
"""


def job(house, repo, *args, **kwargs):
    policy = house.write("once.toml", ONCE)
    return house("run", "--repo", repo.path, "--title", "Mend it", "--policy", policy, "--json", *args, **kwargs)


def only_attempt(done):
    (attempt,) = done.document["attempts"]
    return attempt


def untouched(repo):
    return repo.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_one_that_changes_nothing(house, calc):
    house.agent((shell("ls"), say("It looks fine to me.")))
    done = job(house, calc)
    assert done.code == 1, done.err
    assert done.document["status"] == "refused"
    assert only_attempt(done)["outcome"] == "no_change"
    assert "the agent changed no file" in done.document["reason"]
    assert untouched(calc)


def test_one_that_says_nothing(house, calc):
    house.agent((say(""),))
    done = job(house, calc)
    assert done.code == 1, done.err
    assert only_attempt(done)["outcome"] == "no_change"
    assert only_attempt(done)["message"] == ""


def test_one_that_undoes_its_own_work(house, calc):
    house.agent((write("calc.py", "x\n"), shell("git checkout -q calc.py; mv .git /tmp/gone"), say("Never mind.")))
    done = job(house, calc)
    assert done.code == 1, done.err
    assert only_attempt(done)["outcome"] == "no_change"


def test_one_that_runs_forever(house, calc):
    house.agent((shell("setsid sh -c 'while :; do :; done' & sleep 1000"), say("Done.")))
    # Shorter than its sleep; longer than a busy engine takes for the container, which the gateway counts, too.
    done = job(house, calc, env={"AUTOMEND_RUN__ATTEMPT_SECONDS": "20"})
    assert done.code == 1, done.err
    assert only_attempt(done)["outcome"] == "timeout"
    assert "killed after 20 s" in done.document["reason"]
    assert house.left_behind() == []


def test_one_that_prints_a_gigabyte_in_its_shell(house, calc):
    house.agent((shell("yes | head -c 1000000000"), *FIX))
    done = job(house, calc, "--dry-run")
    assert done.code == 0, done.err
    transcript = house.home / "runs" / done.document["id"] / "attempt-1"
    assert transcript.stat().st_size < 20_000_000


def test_one_that_prints_a_gigabyte_as_if_it_were_the_cli(house, calc):
    house.agent((shell(FLOOD), *FIX))
    done = job(house, calc)
    assert done.code == 1, done.err
    attempt = only_attempt(done)
    assert attempt["outcome"] == "output_flood"
    assert "bytes of output" in done.document["reason"]
    assert sum(f.stat().st_size for f in (house.home / "runs").rglob("*") if f.is_file()) < 40_000_000
    assert house.left_behind() == []


def test_one_that_fills_its_disk(house, calc):
    house.agent((shell("head -c 3000000000 /dev/zero >big; ls -la big"), say("Done.")))
    done = job(house, calc)
    assert done.code == 1, done.err
    assert done.document["status"] == "refused"
    assert untouched(calc)


def test_one_that_carries_secrets_out_ends_the_run(house, calc):
    house.agent((shell('printf "key: %s\\n" "$(printenv DEPLOY_TOKEN | base64 -w0)" >notes.md'), *FIX), FIX)
    done = house("run", "--repo", calc.path, "--title", "Mend it", "--json")
    assert done.code == 1, done.err
    attempt = only_attempt(done)  # three are allowed; the same text would say the same to the next
    assert attempt["outcome"] == "leaked"
    assert [f["path"] for f in attempt["findings"] if f["line"]] == ["notes.md"]
    assert "notes.md carries a canary out of the agent's environment" in done.document["reason"]
    assert untouched(calc)
    assert house.left_behind() == []


def test_one_that_dies(house, calc):
    kill = "for p in /proc/[0-9]*; do grep -q codex $p/comm 2>/dev/null && kill -9 ${p#/proc/}; done"
    house.agent((shell(kill), say("Done.")))
    done = job(house, calc)
    assert done.code == 3, done.err
    assert done.document["status"] == "failed"
    attempt = only_attempt(done)
    assert attempt["outcome"] == "crashed"
    assert "exit code" in done.document["reason"]
    assert untouched(calc)


def test_one_that_leaves_a_trap_instead_of_a_repository(house, calc):
    trap = (
        "mv .git /tmp/gone && ln -s /etc .git && mkdir -p sub/.git && touch sub/.git/config && ln -s /etc/passwd link"
    )
    house.agent((shell(trap), say("Done.")))
    done = job(house, calc)
    assert done.code == 1, done.err
    assert done.document["status"] == "refused"
    assert ".git" in done.document["reason"]
    assert untouched(calc)


# ── providers ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_that_is_missing(house, calc):
    done = house("run", "--repo", calc.path, "--title", "Mend it")
    assert (done.code, done.out) == (3, "")
    for words in ("no model provider could be used", "codex", "OPENAI_API_KEY", "claude", "ANTHROPIC_API_KEY"):
        assert words in done.said
    assert untouched(calc)


@pytest.fixture
def closed_port():
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


def test_a_provider_that_nobody_answers_for(house, calc, closed_port):
    address = json.dumps(f"http://127.0.0.1:{closed_port}/v1")
    house.configure(
        f'[agents.gone]\ncli = "codex"\nmodel = "m"\nprovider = "openai"\nbase_url = {address}\n', agent="gone"
    )
    done = job(house, calc, env={"OPENAI_API_KEY": "none"})
    assert done.code == 3, done.err
    assert done.document["status"] == "failed"
    assert only_attempt(done)["outcome"] == "provider_down"
    assert "no model provider could be used: gone:" in done.document["reason"]
    assert untouched(calc)


def test_an_overloaded_provider_and_the_agent_that_takes_over(house, calc):
    down = ({"fail": 529, "times": 0}, say("Never said."))
    house.agent(down, name="first", cli="claude")
    house.agent(FIX, FIX, name="second")
    done = job(house, calc, "--dry-run")
    assert done.code == 0, done.err
    first, second = done.document["attempts"]
    assert (first["agent"], first["outcome"]) == ("first", "provider_down")
    assert (second["agent"], second["outcome"]) == ("second", "done")
    alone = job(house, calc, "--agent", "first")
    assert alone.code == 3, alone.err
    assert "529" in alone.document["reason"]


def test_budgets_that_outlive_the_process(house, calc):
    house.agent(tuple(shell("echo again") for _ in range(20)))
    house.configure('[prices."gpt-5.3-codex"]\ninput = 2\noutput = 10\n')
    house.configure("[budget.run]\nrequests = 3\n[budget.day]\nrequests = 3\n")
    done = job(house, calc)
    assert (done.code, done.document["status"]) == (4, "inconclusive"), done.err
    attempt = only_attempt(done)
    assert (attempt["outcome"], attempt["usage"]["requests"]) == ("budget", 3)
    assert attempt["usage"]["cost_usd"] > 0
    assert "budget.run.requests in automend.toml raises it" in done.document["reason"]
    assert done.document["budget"]["run"]["spent"]["requests"] == 3
    shown = house("show", done.document["id"]).out
    assert "this run 3 of 3 requests" in shown
    assert "$0." in shown
    again = job(house, calc)
    assert (again.code, again.document["status"], again.document["attempts"]) == (4, "inconclusive", []), again.err
    assert "attempt 1 was not begun: this host's budget for today of 3 requests" in again.document["reason"]


def test_money_without_a_price(house, calc):
    done = house("run", "--repo", calc.path, "--title", "x", env={"AUTOMEND_BUDGET__DAY__USD": "1"})
    assert done.code == 2
    assert "budget.day.usd limits money" in done.said
    assert '[prices."gpt-5.5"]' in done.said


def test_a_provider_with_one_bad_moment_costs_nothing(house, calc):
    house.agent(({"fail": 529, "times": 1}, *FIX))
    done = job(house, calc, "--dry-run")
    assert done.code == 0, done.err
    assert only_attempt(done)["outcome"] == "done"
