"""The host's settings: `automend.toml`, then `AUTOMEND_<SECTION>__<KEY>`, the latter winning.

Every field is documented here and shown by `docs/configuration.md`. Unknown keys are refused with the place and
the nearest known name. Secrets never stand in the file: they come from the environment (`Secrets`).
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo

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


class Secrets(BaseModel):
    """What must never stand in a file, a log, a container or a pull request."""

    model_config = ConfigDict(frozen=True)

    github_token: SecretStr | None = None
    openai_api_key: SecretStr | None = None
    anthropic_api_key: SecretStr | None = None
    database_url: SecretStr | None = None

    def values(self) -> dict[str, str]:
        """Every secret that is set, by its name. Of an address, the secret is the password in it."""
        given = {name: getattr(self, name) for name in type(self).model_fields}
        found = {name: s.get_secret_value() for name, s in given.items() if isinstance(s, SecretStr)}
        if "database_url" in found:
            found["database_url"] = unquote(urlsplit(found["database_url"]).password or "")
        return {name: value for name, value in found.items() if value}


class Host(BaseModel):
    """Where we are: the standard environment variables, and the settings file."""

    model_config = ConfigDict(frozen=True)

    home: Path
    settings: Settings
    secrets: Secrets
    github_api_url: str = "https://api.github.com"
    github_server_url: str = "https://github.com"
    openai_base_url: str = "https://api.openai.com/v1"
    anthropic_base_url: str = "https://api.anthropic.com"
    base_image: str | None = None
    disabled: bool = False
    evidence_key_file: Path | None = None

    @property
    def evidence_key(self) -> Path:
        """Where the key is that signs evidence, if there is one."""
        return self.evidence_key_file or self.home / "evidence.key"

    @property
    def database_url(self) -> str:
        """SQLAlchemy's address of the database."""
        if self.secrets.database_url is not None:
            return self.secrets.database_url.get_secret_value()
        return f"sqlite:///{self.home / 'automend.sqlite'}"

    def guarded(self) -> dict[str, str]:
        """What no container may ever see, by name: every secret of the settings, and the keys in files."""
        found = self.secrets.values()
        files = [getattr(self, name) for name in type(self).model_fields if name.endswith("_key_file")]
        for path in {self.evidence_key, *(file for file in files if file is not None)}:
            try:
                found[path.name] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeError):
                continue  # not there, or not text, and then nothing that a request could quote
        return found

    def repo(self, *names: str | None) -> RepoConfig:
        """What the host knows about a repository, by any of its names."""
        for name in names:
            if name is not None and name in self.settings.repo:
                return self.settings.repo[name]
        return RepoConfig.model_validate({})


def load(environ: dict[str, str] | None = None, *, config: Path | None = None) -> Host:
    """Read the environment and the settings file.

    The file is `config`, else $AUTOMEND_CONFIG, else `automend.toml` in the current directory if it is there.

    Raises:
        ConfigError: the file is missing or wrong; the message names the file, the key and the mend.
    """
    env = dict(os.environ) if environ is None else environ
    path = config or (Path(env["AUTOMEND_CONFIG"]) if env.get("AUTOMEND_CONFIG") else None)
    if path is None and Path("automend.toml").is_file():
        path = Path("automend.toml")
    tables = _read(path) if path is not None else {}
    variables = _overlay(tables, env)
    settings = _validate(tables, path, variables)
    home = Path(env.get("AUTOMEND_HOME") or Path.home() / ".local/state/automend").expanduser().absolute()
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as e:
        raise ConfigError(f"AUTOMEND_HOME ({home}) cannot be made: {e.strerror}", remedy="name a folder you own") from e
    secret = {
        "github_token": env.get("GITHUB_TOKEN"),
        "openai_api_key": env.get("OPENAI_API_KEY"),
        "anthropic_api_key": env.get("ANTHROPIC_API_KEY"),
        "database_url": env.get("AUTOMEND_DATABASE_URL"),
    }
    urls = {
        key: env[name].rstrip("/")
        for key, name in (
            ("github_api_url", "GITHUB_API_URL"),
            ("github_server_url", "GITHUB_SERVER_URL"),
            ("openai_base_url", "OPENAI_BASE_URL"),
            ("anthropic_base_url", "ANTHROPIC_BASE_URL"),
        )
        if env.get(name)
    }
    key_file = env.get("AUTOMEND_EVIDENCE_KEY_FILE")
    return Host(
        home=home,
        settings=settings,
        secrets=Secrets.model_validate({k: v for k, v in secret.items() if v}),
        base_image=env.get("AUTOMEND_BASE_IMAGE") or None,
        evidence_key_file=Path(key_file).expanduser().absolute() if key_file else None,
        disabled=env.get("AUTOMEND_DISABLED", "").lower() in {"1", "true", "yes", "on"},
        **urls,
    )


def read_repo_config(path: Path) -> RepoConfig:
    """The file of `--repo-config`: the keys of a `[repo."…"]` table, at the top.

    Raises:
        ConfigError: the file is missing or wrong.
    """
    try:
        return RepoConfig.model_validate(_read(path))
    except ValidationError as e:
        raise explain(e, RepoConfig, str(path)) from e


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise ConfigError(f"no configuration file at {path}", remedy="`automend init` writes one") from e
    except (OSError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path} cannot be read: {e}") from e
    except tomllib.TOMLDecodeError as e:
        raise ConfigError(f"{path} is not valid TOML: {e}") from e


# Standard variables of their own, not `AUTOMEND_<SECTION>__<KEY>`.
_SECTION_PREFIX = "AUTOMEND_"


def _overlay(tables: dict[str, Any], env: dict[str, str]) -> dict[tuple[str, ...], str]:
    """Lay AUTOMEND_SECTION__KEY=value over the file's tables; a value is TOML where it parses as TOML, else a word.

    Which key came from which variable is the answer.
    """
    variables: dict[tuple[str, ...], str] = {}
    for name, text in sorted(env.items()):
        if not name.startswith(_SECTION_PREFIX) or "__" not in name:
            continue
        *sections, key = name.removeprefix(_SECTION_PREFIX).lower().split("__")
        table = tables
        for section in sections:
            table = table.setdefault(section, {})
            if not isinstance(table, dict):
                raise ConfigError(f"{name}: `{section}` is not a table", remedy="see docs/configuration.md")
        try:
            table[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            table[key] = text
        variables[(*sections, key)] = name
    return variables


def _validate(tables: dict[str, Any], path: Path | None, variables: dict[tuple[str, ...], str]) -> Settings:
    where = str(path) if path is not None else "the environment"
    try:
        settings = Settings.model_validate(tables)
    except ValidationError as e:
        place = tuple(str(part) for part in e.errors()[0]["loc"])
        named = (name for key, name in variables.items() if place[: len(key)] == key)
        raise explain(e, Settings, next(named, where)) from e
    unknown = [name for name in settings.run.agents if name not in settings.all_agents]
    if unknown:
        known = ", ".join(sorted(settings.all_agents))
        raise ConfigError(
            f"{where}: run.agents names `{unknown[0]}`, which is not configured", remedy=f"known: {known}"
        )
    folder = path.absolute().parent if path is not None else Path.cwd()
    return _anchored(settings.model_copy(update={"source": path}), folder)


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Paths in the file are told from its own folder, wherever automend is started."""

    def place(repo: str) -> str:
        return str((folder / Path(repo).expanduser()).resolve()) if repo.startswith((".", "~")) else repo

    def file(policy: str | None) -> str | None:
        there = policy is not None and policy.endswith(".toml") and (folder / Path(policy).expanduser()).is_file()
        return str(folder / Path(policy).expanduser()) if policy is not None and there else policy

    repos = {place(name): c.model_copy(update={"policy": file(c.policy)}) for name, c in settings.repo.items()}
    run = settings.run.model_copy(update={"policy": file(settings.run.policy)})
    return settings.model_copy(update={"run": run, "repo": repos})


def template() -> str:
    """A settings file with every key explained and commented out; what `automend init` writes."""
    lines = [
        "# automend.toml: the settings of this host. Unknown keys are refused. Every key may also be given as",
        "# AUTOMEND_<SECTION>__<KEY>. Secrets (tokens, keys) never stand here: they come from the environment.",
    ]
    tables: tuple[tuple[str, type[Section]], ...] = (
        ("run", RunConfig),
        ("budget.run", BudgetConfig),
        ("budget.repo", BudgetConfig),
        ("budget.day", BudgetConfig),
        ('prices."MODEL"', PriceConfig),
        ("sandbox", SandboxConfig),
        ("images", ImagesConfig),
        ("serve", ServeConfig),
        ("summary", SummaryConfig),
        ("agents.NAME", AgentConfig),
        ('repo."OWNER/NAME"', RepoConfig),
        ('repo."OWNER/NAME".deploy', DeployConfig),
        ('repo."OWNER/NAME".health', ProbeConfig),
    )
    for name, section in tables:
        lines += ["", f"# [{name}]"]
        for key, field in section.model_fields.items():
            if _section_in(field.annotation) is not None:
                continue  # a table of its own, below
            default = field.get_default()
            shown = f"# {key} = {_toml(default)}" if not field.is_required() else f"# {key} = …"
            lines += [f"# {field.description}", shown]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if value is None:
        return "…"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(v) for v in value)}]"
    return f'"{value}"' if isinstance(value, (str, Path)) else f"{value:g}" if isinstance(value, float) else str(value)


def explain(error: ValidationError, model: type[BaseModel], where: str) -> ConfigError:
    """Turn pydantic's words into a message with file, key and mend. Only the first mistake is told at length."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        names = _field_names(model, tuple(str(p) for p in first["loc"][:-1]))
        near = difflib.get_close_matches(str(first["loc"][-1]), names, n=1)
        remedy = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(sorted(names))}"
        return ConfigError(f"{where}: unknown key `{key}`{more}", remedy=remedy)
    return ConfigError(f"{where}: `{key}`: {first['msg']}{more}", remedy="see docs/configuration.md")


def _field_names(model: type[BaseModel], path: tuple[str, ...]) -> list[str]:
    current: type[BaseModel] | None = model
    for part in path:
        if current is None:
            return []
        field: FieldInfo | None = current.model_fields.get(part)
        if field is None:
            continue  # a name of the person's own, as in [repo."OWNER/NAME"]
        current = _section_in(field.annotation)
    return sorted(current.model_fields.keys() - {"source"}) if current is not None else []


def _section_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_in(argument)
        if found is not None:
            return found
    return None
