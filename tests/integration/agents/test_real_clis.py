"""The real codex and claude in a sealed container, with a scripted model behind the gateway."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path

import pytest

from runner.agents import cli as cli_module
from runner.agents import replay_openai
from runner.agents.catalog import build_agents
from runner.config import Host, Secrets
from runner.exchanges import read_exchanges
from runner.gateway import Gateway, Patience
from runner.model import Outcome
from runner.ports import Agent, Budget
from runner.settings import AgentConfig, Settings
from tests.conftest import free_port

from .conftest import Tried

pytestmark = [pytest.mark.docker, pytest.mark.agents, pytest.mark.timeout(900)]

Make = Callable[..., Agent]
Try = Callable[..., Tried]

FIX = """
[[attempt]]
turns = [
  { shell = "sed -i 's/a - b/a + b/' calc.py", say = "I mend the sign." },
  { shell = "grep -n 'a + b' calc.py" },
  { say = "The sign was wrong." },
]
"""
FIXED = "def add(a, b):\n    return a + b\n"
BOTH = pytest.mark.parametrize("cli", ["codex", "claude"])


def turns(*lines: str) -> str:
    return "[[attempt]]\nturns = [\n" + ",\n".join(lines) + "\n]\n"


@BOTH
def test_fixes_a_file(agent: Make, attempt: Try, cli: str) -> None:
    done = attempt(agent(cli, FIX))
    tried = done.attempt
    assert (tried.outcome, tried.detail) == (Outcome.DONE, "")
    assert done.calc == FIXED
    assert tried.message == "The sign was wrong."
    assert tried.tool_calls == 2
    assert tried.exit_code == 0
    assert tried.usage.requests == 3
    assert tried.usage.input > 1000
    assert tried.usage.output > 10
    assert tried.transcript is not None
    lines = Path(tried.transcript).read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    exchanges = read_exchanges(done.record)
    assert [e.status for e in exchanges if e.path.startswith("POST")] == [200, 200, 200]
    assert sum(e.usage["input"] for e in exchanges) == tried.usage.input


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-5.6-sol", "gpt-6.1-sol"])
def test_codex_with_models_that_it_offers_other_tools(agent: Make, attempt: Try, model: str) -> None:
    done = attempt(agent("codex", FIX, model))
    assert (done.attempt.outcome, done.calc) == (Outcome.DONE, FIXED)


@BOTH
def test_each_attempt_has_its_own_turns_and_the_prompt_arrives_whole(agent: Make, attempt: Try, cli: str) -> None:
    script = turns('{ say = "first" }') + turns('{ say = "later" }')
    who = agent(cli, script)
    prompt = "ünïcode\n" + "a long line of the log\n" * 8_000 + "THE END OF THE PROMPT"
    assert attempt(who, number=1, prompt=prompt).attempt.message == "first"
    third = attempt(who, number=3, prompt=prompt)
    assert third.attempt.message == "later"
    assert third.attempt.usage.input > len(prompt) // 4, "all of it was sent to the model"


@BOTH
def test_trouble_that_passes_is_not_noticed(agent: Make, attempt: Try, cli: str) -> None:
    script = turns(
        "{ fail = 529, times = 2 }",
        "{ shell = \"sed -i 's/a - b/a + b/' calc.py\" }",
        "{ cut = true }",
        '{ say = "done" }',
    )
    done = attempt(agent(cli, script))
    assert (done.attempt.outcome, done.attempt.detail) == (Outcome.DONE, "")
    assert (done.calc, done.attempt.message) == (FIXED, "done")


@BOTH
@pytest.mark.parametrize("fault", ["{ fail = 503, times = 0 }", "{ cut = true, times = 0 }", "{ fail = 401 }"])
def test_a_provider_that_is_down(agent: Make, attempt: Try, cli: str, fault: str) -> None:
    done = attempt(agent(cli, turns(fault, '{ say = "never" }')))
    assert done.attempt.outcome is Outcome.PROVIDER_DOWN
    assert done.attempt.detail
    assert "never" not in done.attempt.message


@BOTH
@pytest.mark.parametrize("patience", [Patience(stall=3, tries=3, first_wait=0.05, longest_wait=0.2)], ids=["little"])
def test_a_stalled_provider(agent: Make, attempt: Try, cli: str) -> None:
    done = attempt(agent(cli, turns("{ stall = 60, times = 0 }", '{ say = "never" }')))
    assert done.attempt.outcome is Outcome.PROVIDER_DOWN
    assert "stalled" in done.attempt.detail


@BOTH
def test_a_budget_of_requests(agent: Make, attempt: Try, cli: str) -> None:
    script = turns(*['{ shell = "echo again" }'] * 50)
    done = attempt(agent(cli, script), budget=Budget(requests=3))
    assert done.attempt.outcome is Outcome.BUDGET
    assert done.attempt.detail.startswith("the attempt's budget of 3 requests is used up; run.requests_per_attempt")
    assert done.attempt.usage.requests == 3
    assert done.attempt.exit_code == 1


@BOTH
def test_a_command_that_runs_forever(agent: Make, attempt: Try, cli: str) -> None:
    done = attempt(agent(cli, turns('{ shell = "tail -f /dev/null" }', '{ say = "never" }')), seconds=8)
    assert done.attempt.outcome is Outcome.TIMEOUT
    assert done.attempt.exit_code is None
    assert done.attempt.seconds > 7


@pytest.mark.parametrize("model", ["gpt-5.5", "gpt-6.1-sol"])
def test_a_command_that_outlives_its_turn_is_waited_for(
    agent: Make, attempt: Try, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay_openai, "_WAIT_MS", 1_000)
    script = turns("{ shell = \"sleep 8; sed -i 's/a - b/a + b/' calc.py\" }", '{ say = "done" }')
    done = attempt(agent("codex", script, model))
    assert (done.attempt.outcome, done.calc, done.attempt.message) == (Outcome.DONE, FIXED, "done")
    assert done.attempt.usage.requests > 2, "it had to ask again"


@BOTH
def test_much_output_of_a_command_is_the_clis_own_affair(agent: Make, attempt: Try, cli: str) -> None:
    script = turns('{ shell = "yes | head -c 300000000" }', '{ say = "done" }')
    done = attempt(agent(cli, script))
    assert done.attempt.outcome is Outcome.DONE, done.attempt.detail
    assert done.attempt.transcript is not None
    assert Path(done.attempt.transcript).stat().st_size < 4_000_000


@BOTH
def test_a_cli_that_prints_without_end(agent: Make, attempt: Try, cli: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_module, "LARGEST_TRANSCRIPT", 20_000)
    script = turns(*['{ shell = "yes | head -c 20000" }'] * 20)
    done = attempt(agent(cli, script))
    assert done.attempt.outcome is Outcome.OUTPUT_FLOOD
    assert done.attempt.transcript is not None
    assert Path(done.attempt.transcript).stat().st_size <= 20_000


@BOTH
def test_a_cli_that_is_killed(agent: Make, attempt: Try, cli: str) -> None:
    script = turns(f'{{ shell = "kill -9 $(pidof {cli})" }}', '{ say = "never" }')
    done = attempt(agent(cli, script))
    assert done.attempt.outcome is Outcome.CRASHED
    assert "137" in done.attempt.detail


@BOTH
def test_nothing_but_the_model_can_be_reached(agent: Make, attempt: Try, cli: str) -> None:
    probe = (
        'python3 -c \\"import urllib.request as u, urllib.error as e\\n'
        "for path in ('v1/models', 'v1/files', ''):\\n"
        "    try: u.urlopen('http://127.0.0.1:8080/' + path)\\n"
        "    except e.HTTPError as error: print(path, error.code, file=open('calc.py', 'a'))\\\"; "
        "env >> calc.py; ls /sys/class/net >> calc.py"
    )
    done = attempt(agent(cli, turns(f'{{ shell = "{probe}" }}', '{ say = "done" }')))
    assert done.attempt.outcome is Outcome.DONE
    said = done.calc.splitlines()
    assert said[2:5] == ["v1/models 404", "v1/files 404", " 404"]
    assert said[-1] == "lo"
    assert "API_KEY=" not in done.calc.replace("ANTHROPIC_API_KEY=none", "")


@BOTH
def test_a_recorded_attempt_can_be_played_again(
    agent: Make, attempt: Try, cli: str, tmp_path: Path, gateway: Gateway
) -> None:
    recorded = attempt(agent(cli, FIX))
    tape = tmp_path / "tape.jsonl.gz"
    tape.write_bytes(recorded.record.read_bytes())
    config = AgentConfig.model_validate({
        "cli": cli, "model": recorded.attempt.model, "provider": "replay", "script": tape,
    })  # fmt: skip
    host = Host(home=tmp_path / "home", settings=Settings.model_validate({}), secrets=Secrets())
    again = attempt(build_agents({"it": config}, host, gateway)["it"])
    assert (again.attempt.outcome, again.calc) == (Outcome.DONE, FIXED)
    assert again.attempt.message == recorded.attempt.message
    assert again.attempt.usage == recorded.attempt.usage


@pytest.fixture
def address(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """A TCP address in front of a door, so that it can play the provider behind another gateway."""
    with ExitStack() as stack:

        def go(door: Path) -> str:
            port = free_port()
            script = str(files("runner.agents").joinpath("forwarder.py"))
            process = subprocess.Popen(
                [sys.executable, "-I", script, str(door), str(port), "--", "sh", "-c", "echo ready; read x"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            stack.callback(process.communicate, b"\n", 120)
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            return f"http://127.0.0.1:{port}"

        yield go


@BOTH
def test_with_a_key_over_http(  # noqa: PLR0917 - fixtures are passed by name
    agent: Make, attempt: Try, cli: str, gateway: Gateway, address: Callable[[Path], str], tmp_path: Path
) -> None:
    """As with a real provider: the CLI, our gateway, HTTP with a key, and there an answer."""
    with agent(cli, FIX).open_door("provider", 1, Budget()) as provider:
        base = address(provider.socket)
        kind = "openai" if cli == "codex" else "anthropic"
        config = AgentConfig.model_validate({
            "cli": cli, "model": "gpt-5.5" if cli == "codex" else "claude-sonnet-4-6", "provider": kind,
        })  # fmt: skip
        host = Host(
            home=tmp_path / "home",
            settings=Settings.model_validate({}),
            secrets=Secrets.model_validate({f"{kind}_api_key": "the-key-of-the-host"}),
            openai_base_url=f"{base}/v1",
            anthropic_base_url=base,
        )
        done = attempt(build_agents({"it": config}, host, gateway)["it"])
        assert (done.attempt.outcome, done.attempt.detail, done.calc) == (Outcome.DONE, "", FIXED)
        assert provider.usage().requests == done.attempt.usage.requests == 3
    assert "the-key-of-the-host" not in "".join(e.request + e.answer for e in read_exchanges(done.record))
