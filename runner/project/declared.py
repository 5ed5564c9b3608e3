"""What tools that make test environments are told to put into them: Poetry, PDM, Hatch, tox, nox. None of it is run."""

from __future__ import annotations

import ast
import configparser
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.project.poetry_range import pep440

TEST_NAMES = ("test", "tests", "testing", "unittest", "unit-tests", "pytest", "ci")
"""What extras, dependency groups and environments of tests are called; `dev` only where none of these is."""

_REQUIREMENT = re.compile(r"^\s*[A-Za-z0-9][A-Za-z0-9._-]*\s*(?:\[[^]]*])?\s*(?:[<>=!~;@].*|$)")
_ANY_PYTHON = re.compile(r"\s*(?:!\S+|py\d*)\s*$")
_FILE = re.compile(r"^-(?:r|-requirement[ =])\s*(?:\{toxinidir\}/|\{\[?tox\]?root\}/|\./)?([\w./-]+)$")
_OWN_EXTRAS = re.compile(r"^\.\[([\w, .-]+)]$")


@dataclass(frozen=True)
class Declared:
    """Requirements; names of extras and dependency groups of the project; and files of requirements."""

    requirements: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    def __add__(self, other: Declared) -> Declared:
        return Declared(
            self.requirements + other.requirements, self.extras + other.extras, self.groups + other.groups,
            self.files + other.files,
        )  # fmt: skip


def wanted(table: Mapping[str, Any]) -> tuple[str, ...]:
    """Those names of a table that stand for tests; else the one for development."""
    names = {name.lower().replace("_", "-"): name for name in table}
    found = tuple(names[name] for name in TEST_NAMES if name in names)
    return found or tuple(names[name] for name in ("dev", "develop", "development", "all") if name in names)[:1]


def managed(tables: Mapping[str, Any], hatch: Mapping[str, Any]) -> Declared:
    """The groups of Poetry and PDM, and Hatch's environments; `hatch` are the tables of hatch.toml."""
    tool = _table(tables, "tool")
    return _poetry(_table(tool, "poetry")) + _pdm(_table(tool, "pdm")) + _hatch(hatch or _table(tool, "hatch"))


def by_tox(ini: configparser.ConfigParser, tables: Mapping[str, Any], own: Mapping[str, Any]) -> Declared:
    """What tox installs for tests: from tox.ini, from pyproject.toml's `tables`, or from tox.toml's `own`."""
    tox = _table(_table(tables, "tool"), "tox")
    legacy = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        legacy.read_string(text if isinstance(text := tox.get("legacy_tox_ini"), str) else "")
    except configparser.Error:
        legacy = configparser.ConfigParser(interpolation=None)
    found = _tox_ini(ini) + _tox_ini(legacy)
    for base in (tox, own):
        env = _table(base, "env_run_base")
        found += _lines(_strings(env.get("deps")))
        found += Declared(
            extras=tuple(_strings(env.get("extras"))), groups=tuple(_strings(env.get("dependency_groups")))
        )
    return found


def by_nox(source: bytes | None) -> Declared:
    """What the sessions for tests of a noxfile install, as far as it is written out."""
    try:
        tree = ast.parse(source or b"")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Declared()
    found = Declared()
    for function in tree.body:
        if isinstance(function, ast.FunctionDef) and set(function.name.lower().split("_")) & set(TEST_NAMES):
            for call in ast.walk(function):
                if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "install":
                    found += _lines(_joined(call.args))
    return found


def _joined(arguments: Iterable[ast.expr]) -> Iterator[str]:
    """The words of a call, `-r` together with its file; what is no plain text is left out."""
    flag = ""
    for argument in arguments:
        word = argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else ""
        if word in {"-r", "--requirement", "-c", "--constraint"}:
            flag = f"{word.lstrip('-')[0]} "
        else:
            yield f"-{flag}{word}" if flag else word
            flag = ""


def _poetry(poetry: Mapping[str, Any]) -> Declared:
    groups = _table(poetry, "group")
    named = [_table(_table(groups, group), "dependencies") for group in wanted(groups)]
    tables = (*named, _table(poetry, "dev-dependencies"))
    return _lines(_asked(name, what) for table in tables for name, what in table.items() if name != "python")


def _asked(name: str, what: object) -> str:
    """A line of Poetry's table as a requirement; what comes from elsewhere than an index is taken from the index."""
    version, extras = (what.get("version"), _strings(what.get("extras"))) if isinstance(what, dict) else (what, ())
    asked = f"[{','.join(extras)}]" if extras else ""
    return f"{name}{asked}{pep440(version) if isinstance(version, str) else ''}"


def _pdm(pdm: Mapping[str, Any]) -> Declared:
    groups = _table(pdm, "dev-dependencies")
    return sum((_lines(_strings(groups[name])) for name in wanted(groups)), Declared())


def _hatch(hatch: Mapping[str, Any]) -> Declared:
    environments = _table(hatch, "envs")
    found = Declared()
    for name in dict.fromkeys(("default", *(n for n in ("hatch-test",) if n in environments), *wanted(environments))):
        env = _table(environments, name)
        found += _lines([*_strings(env.get("dependencies")), *_strings(env.get("extra-dependencies"))])
        found += Declared(
            # Hatch's own environment for tests has these, whatever else it is told.
            ("pytest-mock",) if name == "hatch-test" and "dependencies" not in env else (),
            extras=tuple(_strings(env.get("features"))),
            groups=tuple(_strings(env.get("dependency-groups"))),
        )
    return found


def _tox_ini(parser: configparser.ConfigParser) -> Declared:
    lines = []
    for line in parser.get("testenv", "deps", fallback="").splitlines():
        condition, _, requirement = line.rpartition(": ")
        if not condition or _ANY_PYTHON.match(condition):
            lines.append(requirement.strip())
    named = [
        tuple(
            word
            for word in re.split(r"[\s,]+", parser.get("testenv", key, fallback=""))
            if re.fullmatch(r"[\w.-]+", word)
        )
        for key in ("extras", "dependency_groups")
    ]
    return _lines(lines) + Declared(extras=named[0], groups=named[1])


def _lines(lines: Iterable[str]) -> Declared:
    """What lines of requirements come to; addresses and what is only known when it runs are left out."""
    requirements, extras, files = [], [], []
    for line in lines:
        file, own = _FILE.match(line), _OWN_EXTRAS.match(line)
        if file is not None:
            files.append(file[1])
        elif own is not None:
            extras += [name.strip() for name in own[1].split(",")]
        elif _REQUIREMENT.match(line) and not set("{#") & set(line) and "://" not in line:
            requirements.append(line)
    return Declared(tuple(requirements), tuple(extras), files=tuple(files))


def _table(tables: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = tables.get(key)
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
