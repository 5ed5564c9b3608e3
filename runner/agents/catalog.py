"""Every agent that the host has configured: which program, which model, and who answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import SecretStr

from runner.agents.claude import Claude
from runner.agents.cli import Cli, CliAgent
from runner.agents.codex import Codex
from runner.agents.recording import Recording, dialect_of, load_recording
from runner.agents.replay import Replay, Voice
from runner.agents.replay_anthropic import MessagesVoice
from runner.agents.replay_openai import ResponsesVoice
from runner.agents.script import load_script
from runner.budget import Price
from runner.config import Host
from runner.errors import ConfigError, ProviderError
from runner.exchanges import Exchange, record_path
from runner.ports import Agent, Dialect, Gateway, Upstream
from runner.settings import AgentConfig, PriceConfig
from runner.tripwire import Tripwire

CLIS: dict[str, Cli] = {"codex": Codex(), "claude": Claude()}
VOICES: dict[Dialect, type[Voice]] = {"openai": ResponsesVoice, "anthropic": MessagesVoice}


def build_agents(configured: Mapping[str, AgentConfig], host: Host, gateway: Gateway) -> dict[str, Agent]:
    """The agents by name. Keys and scripts are looked at only when a door is opened.

    Raises:
        ConfigError: an agent's provider does not speak its CLI's language.
    """
    return {name: _agent(name, config, host, gateway) for name, config in configured.items()}


def _agent(name: str, config: AgentConfig, host: Host, gateway: Gateway) -> Agent:
    cli = CLIS[config.cli]
    if config.provider not in {cli.dialect, "replay"}:
        raise ConfigError(
            f"agents.{name}: {config.cli} cannot talk to `{config.provider}`",
            remedy=f'provider = "{cli.dialect}", or "replay" with a script',
        )
    upstream = _replay(config, cli.dialect, host) if config.script is not None else _real(name, config, host, gateway)
    return CliAgent(
        name=name,
        model=config.model,
        cli=cli,
        gateway=gateway,
        upstream=upstream,
        records=lambda run, number: record_path(host.home / "runs" / run, number),
        price=_price(host.settings.prices.get(config.model)),
        tripwire=Tripwire(host.guarded()),
    )


def player(name: str, model: str, tape: tuple[Exchange, ...], record: Path, gateway: Gateway) -> Agent:
    """The CLI of a recorded attempt, answered by the recording once more.

    Args:
        name: the agent's, as the attempt tells it.
        model: the one that was asked for.
        tape: what was recorded.
        record: where what it asks now is kept.
        gateway: makes the door.
    """
    cli = next(cli for cli in CLIS.values() if cli.dialect == dialect_of(tape))
    return CliAgent(
        name=name,
        model=model,
        cli=cli,
        gateway=gateway,
        upstream=lambda _number: Recording(tape),
        records=lambda _run, _number: record,
    )


def _price(config: PriceConfig | None) -> Price | None:
    if config is None:
        return None
    cached = config.input if config.cached_input is None else config.cached_input
    written = config.input if config.cache_write is None else config.cache_write
    return Price(input=config.input, cached=cached, written=written, output=config.output)


def _replay(config: AgentConfig, dialect: Dialect, host: Host) -> Callable[[int], Upstream]:
    path = script_of(config, host)
    if path.name.endswith((".jsonl", ".jsonl.gz")):
        return lambda _number: Recording(load_recording(path))
    return lambda number: Replay(VOICES[dialect](), load_script(path).turns(number))


def script_of(config: AgentConfig, host: Host) -> Path:
    """Where the script of a replay is: told from the folder of the settings file."""
    beside = host.settings.source.parent if host.settings.source is not None else Path()
    return beside / (config.script or "")


def _real(name: str, config: AgentConfig, host: Host, gateway: Gateway) -> Callable[[int], Upstream]:
    def provider(_number: int) -> Upstream:
        dialect: Dialect = "openai" if config.provider == "openai" else "anthropic"
        if config.keyless and config.base_url is not None:
            return gateway.provider(dialect, base_url=config.base_url, key="")
        key, variable, usual = _key(host, config.provider)
        if key is None or not key.get_secret_value():
            raise ProviderError(
                f"agent {name} has no key for {config.provider}",
                remedy=f"set {variable}, or let run.agents name another agent than {name}; for a server of your own "
                f"that asks for no key, agents.{name}.keyless = true",
            )
        return gateway.provider(dialect, base_url=config.base_url or usual, key=key.get_secret_value())

    return provider


def _key(host: Host, provider: str) -> tuple[SecretStr | None, str, str]:
    if provider == "openai":
        return host.secrets.openai_api_key, "OPENAI_API_KEY", host.openai_base_url
    return host.secrets.anthropic_api_key, "ANTHROPIC_API_KEY", host.anthropic_base_url
