"""A policy key by key: its value, what it means, who may move it which way, and who set it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from runner.policy.schema import Direction, Policy, Table, known, load_policy

REPOSITORY = ".automend.toml on the base"


class Setting(BaseModel):
    """One key of a policy in force. `source` names the file that has the word on it."""

    model_config = ConfigDict(frozen=True)

    key: str
    value: Any
    description: str
    direction: str
    source: str


def explained(name_or_path: str, tightening: Mapping[str, Any]) -> tuple[Policy, tuple[Setting, ...]]:
    """A policy, tightened by a repository's own table, and all its keys.

    Raises:
        ConfigError: there is no such policy, or a file is wrong, or the repository would loosen it.
    """
    host = load_policy(name_or_path)
    policy = host.tighten(tightening)
    layers = [(where, _leaves(table)) for where, table in _layers(name_or_path, Path())]
    settings = []
    for key, value, description, direction in _keys(policy, ()):
        source = next((where for where, keys in layers if key in keys), layers[-1][0])
        if value != _at(host, key):
            source = f"tightened by {REPOSITORY}" if direction is not Direction.GROWS else f"{source}, and {REPOSITORY}"
        shown = _plain(value)
        settings.append(
            Setting(key=key, value=shown, description=description, direction=direction.value, source=source)
        )
    return policy, tuple(settings)


def _layers(name_or_path: str, folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(what to call it, its own keys) of a policy, then of what it extends; `load_policy` has read all of it before."""
    if name_or_path in known():
        where, home = f"built-in {name_or_path}", Path()
        table = tomllib.loads(files("policies").joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8"))
    else:
        path = folder / Path(name_or_path).expanduser()
        where, home = str(path), path.parent
        table = {"name": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))}
    yield where, table
    if name_or_path != "default":
        yield from _layers(str(table.get("extends", "default")), home)


def _keys(table: Table, path: tuple[str, ...]) -> Iterator[tuple[str, Any, str, Direction]]:
    for name, field in type(table).model_fields.items():
        value = getattr(table, name)
        here = (*path, name)
        if isinstance(value, Table):
            yield from _keys(value, here)
            continue
        direction = next(mark for mark in field.metadata if isinstance(mark, Direction))
        yield ".".join(here), value, field.description or "", direction


def _leaves(table: Mapping[str, Any], path: tuple[str, ...] = ()) -> set[str]:
    found: set[str] = set()
    for name, value in table.items():
        here = (*path, name)
        found |= _leaves(value, here) if isinstance(value, Mapping) else {".".join(here)}
    return found


def _at(policy: Policy, key: str) -> Any:
    value: Any = policy
    for name in key.split("."):
        value = getattr(value, name)
    return value


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else getattr(value, "value", value)
