"""The tables of `automend.toml`: every key with its default and its meaning.

`docs/configuration.md` and `automend init` show what stands here. How they are read is the matter of `runner.config`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runner.errors import ConfigError


class Section(BaseModel):
    """A table of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AgentConfig(Section):
    """`[agents.NAME]`: a coding CLI and the model behind it."""

    cli: Literal["codex", "claude"] = Field(description="Which command-line agent does the work.")
    model: str = Field(description="The model's name, pinned by the gateway whatever the CLI asks for.")
    provider: Literal["openai", "anthropic", "replay"] = Field(
        description="Who answers: a provider, or `replay` (a recorded script, no network, no key)."
    )
    base_url: str | None = Field(None, description="The provider's address, if not the usual one.")
    keyless: bool = Field(False, description="Send no key: for a server of your own at `base_url` that asks for none.")
    script: Path | None = Field(None, description="For `replay`: the script file.")

    @model_validator(mode="after")
    def _replay_has_script(self) -> AgentConfig:
        if (self.provider == "replay") != (self.script is not None):
            raise ValueError('`script` goes with provider = "replay", and is needed there')
        return self

    @model_validator(mode="after")
    def _keyless_has_address(self) -> AgentConfig:
        if self.keyless and self.base_url is None:
            raise ValueError("`keyless` needs `base_url`: the usual providers all want a key")
        return self


class RunConfig(Section):
    """`[run]`: how a job is done."""

    agents: tuple[str, ...] = Field(
        ("codex", "claude"),
        description="Agents to try, in this order; the next takes over when a provider is down.",
    )
    policy: str = Field("default", description="Name of a built-in policy, or a policy file.")
    attempt_seconds: float = Field(900.0, gt=0, description="Longest time for one attempt, in seconds.")
    verify_seconds: float = Field(900.0, gt=0, description="Longest time for one test run in a container, in seconds.")
    requests_per_attempt: int = Field(200, gt=0, description="Most model requests in one attempt.")
    tokens_per_attempt: int = Field(4_000_000, gt=0, description="Most tokens (in and out) in one attempt.")
    usd_per_attempt: float | None = Field(
        None, gt=0, description="Most money for one attempt, in US dollars; every agent's model then needs a price."
    )
    keep_transcripts_days: int = Field(30, gt=0, description="How long transcripts of attempts are kept.")


class BudgetConfig(Section):
    """`[budget.run]`, `[budget.repo]` and `[budget.day]`: what all attempts of one may take together."""

    requests: int | None = Field(None, gt=0, description="Most model requests.")
    tokens: int | None = Field(None, gt=0, description="Most tokens, in and out.")
    usd: float | None = Field(None, gt=0, description="Most money, in US dollars; every agent's model needs a price.")
    seconds: float | None = Field(None, gt=0, description="Longest time of agents at work, in seconds.")


class BudgetsConfig(Section):
    """`[budget]`: what models may cost beyond one attempt; `[run]` has an attempt's own limits."""

    run: BudgetConfig = Field(
        default_factory=lambda: BudgetConfig.model_validate({}),
        description="One run: all its attempts, those that answer reviews too.",
    )
    repo: BudgetConfig = Field(
        default_factory=lambda: BudgetConfig.model_validate({}), description="One repository in one day (UTC)."
    )
    day: BudgetConfig = Field(
        default_factory=lambda: BudgetConfig.model_validate({}), description="All repositories in one day (UTC)."
    )


class PriceConfig(Section):
    """`[prices."MODEL"]`: what a model costs, in US dollars per million tokens, as its provider lists it."""

    input: float = Field(ge=0, description="Tokens that the model reads.")
    output: float = Field(ge=0, description="Tokens that it writes.")
    cached_input: float | None = Field(
        None, ge=0, description="Tokens that it reads from its cache; by default as `input`."
    )
    cache_write: float | None = Field(
        None, ge=0, description="Tokens that it puts into its cache, where that is charged; by default as `input`."
    )


class SandboxConfig(Section):
    """`[sandbox]`: what a container may use."""

    memory_mb: int = Field(3072, ge=64, description="Memory, in MiB, all of the container's tmpfs included.")
    cpus: float = Field(2.0, gt=0, description="Processors.")
    pids: int = Field(512, ge=16, description="Processes and threads.")
    workspace_mb: int = Field(1024, ge=8, description="Size of the workspace, in MiB.")
    output_mb: int = Field(16, ge=1, description="Most output of one command, in MiB.")
    runtime: str | None = Field(None, description="Docker runtime, for instance `runsc` where gVisor is installed.")


class ImagesConfig(Section):
    """`[images]`: environment images, built once for each repository and its lock files."""

    keep_days: float = Field(30.0, gt=0, description="How long one is kept that nobody uses, in days.")
    budget_mb: int = Field(
        20_480,
        ge=0,
        description="Most disk for all of them, in MiB, the base image left aside; the longest unused go first.",
    )


class ServeConfig(Section):
    """`[serve]`: the service."""

    poll_seconds: float = Field(30.0, gt=0, description="How often proposed runs are looked at, in seconds.")
    workers: int = Field(2, ge=1, description="Jobs at the same time; one per repository at most.")


class SummaryConfig(Section):
    """`[summary]`: who writes the words at the top of a pull request."""

    provider: Literal["openai", "anthropic", "none"] | None = Field(
        None, description="Whose SDK to use; by default the one whose key is set; `none` for the template."
    )
    model: str | None = Field(None, description="The model's name; by default a small one of the provider.")


class ProbeConfig(Section):
    """`[repo."…".health]`: how production is read."""

    url: str | None = Field(None, description="An address that answers 2xx when all is well.")
    log: Path | None = Field(None, description="The service's log file; tracebacks and errors in it are counted.")
    interval_seconds: float = Field(5.0, gt=0, description="Time between readings, in seconds.")
    timeout_seconds: float = Field(5.0, gt=0, description="Longest wait for an answer, in seconds.")
    baseline_seconds: float = Field(30.0, ge=0, description="How long to read before a deploy, for comparison.")
    window_seconds: float = Field(300.0, gt=0, description="How long to watch after a deploy.")


class DeployConfig(Section):
    """`[repo."…".deploy]`: how a merge goes live. Host configuration only; a repository cannot set it.

    The commands are run by `/bin/sh -c` in `cwd` with AUTOMEND_RELEASE (the commit), AUTOMEND_PREVIOUS_RELEASE,
    AUTOMEND_RUN and AUTOMEND_REPO set, and without automend's secrets.
    """

    command: str = Field(description="Puts $AUTOMEND_RELEASE live; exit code 0 means done.")
    rollback: str | None = Field(None, description="Puts $AUTOMEND_RELEASE back; by default `command`.")
    current: str | None = Field(None, description="Prints the commit that is live.")
    cwd: Path | None = Field(None, description="Where the commands run; by default AUTOMEND_HOME.")
    timeout_seconds: float = Field(600.0, gt=0, description="Longest time for one command, in seconds.")
    environment: str = Field("production", description="The name of the environment on the forge.")


class RepoConfig(Section):
    """`[repo."OWNER/NAME or path"]`: what the host knows about a repository; it wins over the repo's own file."""

    forge: str | None = Field(None, description="OWNER/NAME on the forge, for a repository named by path or URL.")
    base: str | None = Field(None, description="The branch to work on; by default the repository's default branch.")
    policy: str | None = Field(None, description="Policy for this repository.")
    agents: tuple[str, ...] | None = Field(None, description="Agents for this repository.")
    setup: tuple[str, ...] | None = Field(None, description="Commands that set the environment up, with network.")
    test: str | None = Field(None, description="The test command, offline.")
    junit: str | None = Field(
        None, description="Where the test command leaves its JUnit XML, in the workspace; a pattern for several files."
    )
    coverage: str | None = Field(
        None, description="Where it leaves Cobertura XML or LCOV, in the workspace; `auto` for pytest."
    )
    install_scripts: bool | None = Field(
        None,
        description="Whether npm packages may run scripts of their own when they are installed; by default not.",
    )
    lint: str | None = Field(None, description="A lint command, offline.")
    tests: tuple[str, ...] | None = Field(None, description="Globs of test files and test configuration.")
    build_secrets: dict[str, Path] | None = Field(
        None,
        description="Files with credentials for private packages: where package clients look for each in their HOME "
        '(`".netrc"`, `".npmrc"`), and where it is on the host.',
    )
    deploy: DeployConfig | None = Field(None, description="How a merge goes live.")
    health: ProbeConfig | None = Field(None, description="How production is read.")


class Settings(Section):
    """The whole file, `automend.toml`."""

    agents: dict[str, AgentConfig] = Field(default_factory=dict, description="Agents by name, over the built-in two.")
    run: RunConfig = Field(default_factory=lambda: RunConfig.model_validate({}))
    budget: BudgetsConfig = Field(default_factory=lambda: BudgetsConfig.model_validate({}))
    prices: dict[str, PriceConfig] = Field(default_factory=dict, description="Prices by the model's name.")
    sandbox: SandboxConfig = Field(default_factory=lambda: SandboxConfig.model_validate({}))
    images: ImagesConfig = Field(default_factory=lambda: ImagesConfig.model_validate({}))
    serve: ServeConfig = Field(default_factory=lambda: ServeConfig.model_validate({}))
    summary: SummaryConfig = Field(default_factory=lambda: SummaryConfig.model_validate({}))
    repo: dict[str, RepoConfig] = Field(default_factory=dict, description="Repositories by OWNER/NAME, URL or path.")

    source: Path | None = Field(None, exclude=True, description="The file that this was read from.")

    @cached_property
    def all_agents(self) -> dict[str, AgentConfig]:
        """The configured agents over the built-in ones."""
        return {**BUILT_IN_AGENTS, **self.agents}

    @property
    def money_limits(self) -> list[str]:
        """The settings that limit money, by their names in the file."""
        limits = {
            "run.usd_per_attempt": self.run.usd_per_attempt,
            "budget.run.usd": self.budget.run.usd,
            "budget.repo.usd": self.budget.repo.usd,
            "budget.day.usd": self.budget.day.usd,
        }
        return [name for name, most in limits.items() if most is not None]

    def require_prices(self, agents: Iterable[str]) -> None:
        """Where money is limited, what these agents cost must be known. Replays cost nothing.

        Raises:
            ConfigError: a model has no price.
        """
        limits = self.money_limits
        for name in agents if limits else ():
            agent = self.all_agents.get(name)
            if agent is None or agent.provider == "replay" or agent.model in self.prices:
                continue
            raise ConfigError(
                f"{limits[0]} limits money, but nobody knows what agents.{name} costs: "
                f"its model `{agent.model}` has no price",
                remedy=f'set input and output in [prices."{agent.model}"] (US dollars per million tokens, as the '
                "provider lists them; 0 for a model of your own), or let run.agents leave this agent out",
            )


BUILT_IN_AGENTS: dict[str, AgentConfig] = {
    "codex": AgentConfig.model_validate({"cli": "codex", "model": "gpt-5.5", "provider": "openai"}),
    "claude": AgentConfig.model_validate({"cli": "claude", "model": "claude-sonnet-4-6", "provider": "anthropic"}),
}
