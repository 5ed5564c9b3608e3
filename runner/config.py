"""The host's settings: `automend.toml`, then `AUTOMEND_<SECTION>__<KEY>`, the latter winning.

Unknown keys are refused with the place and the nearest known name. Secrets never stand in the file: they come from the
environment (`Secrets`). The tables themselves are in `runner.settings`.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError
from pydantic.fields import FieldInfo

from runner.errors import ConfigError
from runner.settings import (
    AgentConfig,
    BudgetConfig,
    DeployConfig,
    ImagesConfig,
    PriceConfig,
    ProbeConfig,
    RepoConfig,
    RunConfig,
    SandboxConfig,
    Section,
    ServeConfig,
    Settings,
    SummaryConfig,
)


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
