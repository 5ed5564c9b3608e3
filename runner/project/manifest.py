"""Python manifests: which requirements, extras and groups the tests of a project need. Nothing is run to find out."""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.project.declared import TEST_NAMES, Declared, by_nox, by_tox, managed, wanted

Read = Callable[[str], bytes | None]

_REQUIREMENT_FILES = tuple(
    pattern.format(name)
    for name in (*TEST_NAMES, "dev", "develop", "development")
    for pattern in (
        "requirements/{}.txt", "requirements-{}.txt", "requirements_{}.txt", "{}-requirements.txt",
        "{}_requirements.txt", "requirements.{}.txt", "requirements/requirements-{}.txt",
    )
)  # fmt: skip
_PLAIN_REQUIREMENT_FILES = (
    "requirements.txt",
    "requirements/base.txt",
    "tests/requirements.txt",
    "test/requirements.txt",
)
_NAME = re.compile(r"^\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[([^]]*)])?")


@dataclass(frozen=True)
class Manifest:
    """What the manifests say. `requirements` are complete where `dynamic` is false; else the build back-end knows.
    `backend` is that back-end, where one is named, and `build` are its own requirements.
    """

    installable: bool = False
    dynamic: bool = True
    requirements: tuple[str, ...] = ()
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    tables: Mapping[str, Any] = field(default_factory=dict)
    backend: str | None = None
    build: tuple[str, ...] = ()


def read_manifest(read: Read, paths: Collection[str]) -> Manifest:
    """Read pyproject.toml, setup.cfg, tox.ini and the names of requirement files."""
    tables = toml(read("pyproject.toml")) if "pyproject.toml" in paths else {}
    project = _table(tables, "project")
    installable = bool({"build-system", "project"} & tables.keys()) or "poetry" in _table(tables, "tool")
    installable = installable or "setup.py" in paths or ini(read, paths, "setup.cfg").has_section("metadata")
    files = tuple(name for name in _PLAIN_REQUIREMENT_FILES if name in paths) + _first_wanted(paths)
    name, needed, extras_table, dynamic = _declared(read, paths, project)
    groups_table = _table(tables, "dependency-groups")
    extras, groups = wanted(extras_table), wanted(groups_table)
    more = managed(tables, toml(read("hatch.toml")) if "hatch.toml" in paths else {})
    tox = by_tox(ini(read, paths, "tox.ini"), tables, toml(read("tox.toml")) if "tox.toml" in paths else {})
    more += Declared(extras=tox.extras, groups=tox.groups)
    if not (extras or groups or files or more.requirements):
        more += tox
    if not (extras or groups or files or more.requirements or more.files):
        more += by_nox(read("noxfile.py") if "noxfile.py" in paths else None)
    extras = tuple(dict.fromkeys((*extras, *(extra for extra in more.extras if extra in extras_table))))
    groups = tuple(dict.fromkeys((*groups, *(group for group in more.groups if group in groups_table))))
    files += tuple(file for file in dict.fromkeys(more.files) if file in paths and file not in files)
    requirements = [
        *_expand(needed, extras_table, name),
        *(r for extra in extras for r in _expand(_strings(extras_table[extra]), extras_table, name)),
        *(r for group in groups for r in _expand(_group(groups_table, group, frozenset()), extras_table, name)),
        *more.requirements,
    ]
    system = _table(tables, "build-system")
    return Manifest(
        installable=installable,
        dynamic=dynamic,
        requirements=tuple(dict.fromkeys(requirements)),
        extras=extras,
        groups=groups,
        files=files,
        tables=tables,
        backend=backend if isinstance(backend := system.get("build-backend"), str) else None,
        build=tuple(_strings(system.get("requires"))) or ("setuptools", "wheel"),
    )


def _declared(
    read: Read, paths: Collection[str], project: Mapping[str, Any]
) -> tuple[str, list[str], dict[str, Any], bool]:
    """Name, requirements, extras, and whether only the build back-end knows the whole of them."""
    if "name" in project:
        dynamic = bool({"dependencies", "optional-dependencies"} & set(_strings(project.get("dynamic"))))
        extras = _table(project, "optional-dependencies")
        return str(project["name"]), _strings(project.get("dependencies")), extras, dynamic
    config = ini(read, paths, "setup.cfg")
    script = _setup_call(read("setup.py") if "setup.py" in paths else b"")
    needed, extras, dynamic = _lines(config.get("options", "install_requires", fallback="")), {}, script is None
    if config.has_section("options.extras_require"):
        extras = {name: _lines(value) for name, value in config["options.extras_require"].items()}
    tests = _lines(config.get("options", "tests_require", fallback=""))
    extras |= {"test": [*extras.get("test", []), *tests]} if tests else {}
    for key, value in (script or {}).items():
        if key == "install_requires" and isinstance(value, (list, tuple)):
            needed += [str(item) for item in value]
        elif key == "extras_require" and isinstance(value, dict):
            extras |= {str(name): [str(i) for i in items] for name, items in value.items() if isinstance(items, list)}
        elif key == "tests_require" and isinstance(value, (list, tuple)):
            extras["test"] = [*extras.get("test", []), *(str(item) for item in value)]
        elif key in {"install_requires", "extras_require"}:
            dynamic = True
    dynamic = dynamic or any(line.startswith("file:") for line in needed) or not config.has_section("metadata")
    return config.get("metadata", "name", fallback=""), needed, extras, dynamic


def _setup_call(source: bytes | None) -> dict[str, Any] | None:
    """The keywords of `setup(…)`, with None where a value is not written out; None where there is no such call."""
    if not source:
        return {}
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for call in calls:
        if getattr(call.func, "id", getattr(call.func, "attr", "")) == "setup":
            return {word.arg or "**": _literal(word.value) for word in call.keywords}
    return None


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None


def _lines(value: str) -> list[str]:
    return [line.strip() for line in value.splitlines() if line.strip() and not line.strip().startswith("#")]


def toml(content: bytes | None) -> dict[str, Any]:
    """A TOML file's tables; none where it is not there or not TOML (its own tools will say so louder)."""
    try:
        return tomllib.loads((content or b"").decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def ini(read: Read, paths: Collection[str], name: str) -> configparser.ConfigParser:
    """An INI file's sections; none where it is not there or not INI."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    content = read(name) if name in paths else None
    try:
        parser.read_string((content or b"").decode("utf-8", "replace"))
    except configparser.Error:
        return configparser.ConfigParser(interpolation=None)
    return parser


def _first_wanted(paths: Collection[str]) -> tuple[str, ...]:
    return next(((name,) for name in _REQUIREMENT_FILES if name in paths), ())


def _table(tables: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = tables.get(key)
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _same(a: str, b: str) -> bool:
    return re.sub(r"[-_.]+", "-", a).lower() == re.sub(r"[-_.]+", "-", b).lower()


def _expand(requirements: list[str], extras: Mapping[str, Any], name: str, depth: int = 5) -> list[str]:
    """Replace `project[extra]`, by which a project's extras name each other, by what it stands for."""
    expanded: list[str] = []
    for requirement in requirements:
        match = _NAME.match(requirement)
        if match is None or not _same(match[1], name):
            expanded.append(requirement)
            continue
        for extra in (match[2] or "").split(","):
            if depth > 0 and extra.strip() in extras:
                expanded += _expand(_strings(extras[extra.strip()]), extras, name, depth - 1)
    return expanded


def _group(groups: Mapping[str, Any], name: str, seen: frozenset[str]) -> list[str]:
    entries = groups.get(name)
    if name in seen or not isinstance(entries, list):
        return []
    found: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            found.append(entry)
        elif isinstance(entry, dict) and isinstance(entry.get("include-group"), str):
            found += _group(groups, entry["include-group"], seen | {name})
    return found
