from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from runner.agents.catalog import build_agents
from runner.config import Host, Secrets
from runner.errors import ConfigError, ProviderError
from runner.gateway import Gateway
from runner.gateway.upstream import HttpUpstream
from runner.ports import Budget, Upstream
from runner.settings import BUILT_IN_AGENTS, AgentConfig, Settings


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "doors")
    yield made
    made.close()


def host(tmp_path: Path, **secrets: str) -> Host:
    settings = Settings.model_validate({}).model_copy(update={"source": tmp_path / "conf" / "automend.toml"})
    keys = {name: SecretStr(value) for name, value in secrets.items()}
    return Host(home=tmp_path / "home", settings=settings, secrets=Secrets(**keys))


def config(**values: Any) -> AgentConfig:
    return AgentConfig.model_validate(values)


def test_the_built_in_agents(tmp_path: Path, gateway: Gateway) -> None:
    agents = build_agents(BUILT_IN_AGENTS, host(tmp_path), gateway)
    assert {name: a.name for name, a in agents.items()} == {"codex": "codex", "claude": "claude"}


@pytest.mark.parametrize(("name", "variable"), [("codex", "OPENAI_API_KEY"), ("claude", "ANTHROPIC_API_KEY")])
def test_a_missing_key_is_told_when_the_door_is_opened(
    tmp_path: Path, gateway: Gateway, name: str, variable: str
) -> None:
    agent = build_agents(BUILT_IN_AGENTS, host(tmp_path), gateway)[name]
    with pytest.raises(ProviderError) as caught, agent.open_door("r", 1, Budget()):
        pass
    assert variable in caught.value.remedy
    assert name in caught.value.message


def test_a_key_opens_the_door_to_the_right_address(
    tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []

    def provider(dialect: str, **options: Any) -> Upstream:
        made.append({"dialect": dialect, **options})
        return HttpUpstream(None, **options)  # type: ignore[arg-type]  # nothing is asked of it

    monkeypatch.setattr(gateway, "provider", provider)
    agents = build_agents(
        {
            **BUILT_IN_AGENTS,
            "own": config(cli="claude", model="m", provider="anthropic", base_url="http://127.0.0.1:1"),
        },
        host(tmp_path, openai_api_key="one", anthropic_api_key="two"),
        gateway,
    )
    for name in ("codex", "claude", "own"):
        with agents[name].open_door("run-9", 2, Budget()) as door:
            assert door.socket.exists()
    assert made == [
        {"dialect": "openai", "base_url": "https://api.openai.com/v1", "key": "one"},
        {"dialect": "anthropic", "base_url": "https://api.anthropic.com", "key": "two"},
        {"dialect": "anthropic", "base_url": "http://127.0.0.1:1", "key": "two"},
    ]
    assert (tmp_path / "home/runs/run-9/attempt-2.exchanges.jsonl.gz").is_file()


def test_a_server_of_ones_own_gets_no_key_and_needs_none(
    tmp_path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[dict[str, Any]] = []

    def provider(dialect: str, **options: Any) -> Upstream:
        made.append({"dialect": dialect, **options})
        return HttpUpstream(None, **options)  # type: ignore[arg-type]  # nothing is asked of it

    monkeypatch.setattr(gateway, "provider", provider)
    own = config(cli="codex", model="m", provider="openai", base_url="http://127.0.0.1:1/v1", keyless=True)
    for secrets in ({}, {"openai_api_key": "one"}):
        with build_agents({"own": own}, host(tmp_path, **secrets), gateway)["own"].open_door("r", 1, Budget()):
            pass
    assert made == [{"dialect": "openai", "base_url": "http://127.0.0.1:1/v1", "key": ""}] * 2


@pytest.mark.parametrize("address", ["127.0.0.1:8000/v1", "ftp://example.org", "http:///v1", "nonsense"])
def test_an_address_that_is_none_is_told(tmp_path: Path, gateway: Gateway, address: str) -> None:
    own = config(cli="codex", model="m", provider="openai", base_url=address, keyless=True)
    agents = build_agents({"own": own}, host(tmp_path), gateway)
    with pytest.raises(ConfigError, match="address"), agents["own"].open_door("r", 1, Budget()):
        pass


def test_what_people_read_of_an_address_has_no_password() -> None:
    upstream = HttpUpstream(None, base_url="https://me:hidden@api.example:8443/x/v1", key="")  # type: ignore[arg-type]
    assert upstream.name == "https://api.example:8443/x"


def test_a_price_reaches_the_door(tmp_path: Path, gateway: Gateway) -> None:
    here = host(tmp_path, openai_api_key="one")
    prices = {"gpt-5.5": {"input": 3, "output": 15}}
    here = here.model_copy(update={"settings": Settings.model_validate({"prices": prices})})
    agents = build_agents(BUILT_IN_AGENTS, here, gateway)
    with agents["codex"].open_door("r", 1, Budget()) as door:
        assert door.usage().cost_usd == 0.0
    here = host(tmp_path, openai_api_key="one")
    with build_agents(BUILT_IN_AGENTS, here, gateway)["codex"].open_door("r", 1, Budget()) as door:
        assert door.usage().cost_usd is None


def test_a_cli_cannot_speak_the_others_language(tmp_path: Path, gateway: Gateway) -> None:
    with pytest.raises(ConfigError, match=r"agents\.odd: codex cannot talk to `anthropic`"):
        build_agents({"odd": config(cli="codex", model="m", provider="anthropic")}, host(tmp_path), gateway)


def test_a_script_is_found_beside_the_settings(tmp_path: Path, gateway: Gateway) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "s.toml").write_text('[[attempt]]\nturns=[{say="x"}]')
    agents = build_agents(
        {
            "good": config(cli="codex", model="m", provider="replay", script="s.toml"),
            "lost": config(cli="codex", model="m", provider="replay", script="lost.toml"),
        },
        host(tmp_path),
        gateway,
    )
    with agents["good"].open_door("r", 1, Budget()) as door:
        assert door.socket.exists()
    with pytest.raises(ConfigError, match=r"lost\.toml"), agents["lost"].open_door("r", 1, Budget()):
        pass
