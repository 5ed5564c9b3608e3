"""dependencies: with goal `deps`, manifests and lock files may change; in their dependencies, and nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from runner.model import FileChange, Finding, Goal
from runner.policy.case import Case, Family, Rule, consequence
from runner.policy.globs import Globs
from runner.policy.schema import Policy

_REQUIREMENTS = Globs((
    "requirements*.txt", "requirements*.in", "*requirements.txt", "*requirements.in", "requirements/**",
    "constraints*.txt",
))  # fmt: skip
_PROGRAMS = Globs((
    "setup.py", "build.rs", "hatch_build.py", "/build.py", "_build_backend/**", "gradlew", "gradlew.bat", "mvnw",
    "mvnw.cmd", "*.gemspec", "Gemfile", "build.gradle", "build.gradle.kts", ".pnp.cjs", ".pnp.loader.mjs",
    "Package.swift", "build.zig", "meson.build", "mix.exs",
))  # fmt: skip
_OPTION = re.compile(rb"^\s*(?:-i|-f|-e|--(?:extra-)?index-url|--find-links|--trusted-host|--editable|--no-index)\b")
_ADDRESS = re.compile(
    r"^(?:git\+|https?:|git:|ssh:|file:|link:|portal:|github:|gitlab:|bitbucket:|svn\+|hg\+|[\w.-]+/[\w.-]+$)"
)
_AT_ADDRESS = re.compile(rb"(?:^\s*|@\s*|=\s*[\"'])(?:git\+|https?://|file:|ssh://|git://)")
_RESOLVED = re.compile(
    r"""["']?(?:resolved|tarball|registry|url|source)["']?\s*[:=]\s*(?:\{[^}]*?=\s*)?["']?((?:\w+\+)?https?://[^"'\s#}]+)"""
)
_LOCKS = Globs((
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "poetry.lock", "pdm.lock", "uv.lock",
    "Cargo.lock", "Pipfile.lock", "pylock.toml", "pylock.*.toml",
))  # fmt: skip
_NPM_TABLES = (
    "dependencies",
    "devDependencies",
    "peerDependencies",
    "optionalDependencies",
    "overrides",
    "resolutions",
)
_PYTHON_TABLES = (
    ("project", "dependencies"), ("project", "optional-dependencies"), ("dependency-groups",),
    ("build-system", "requires"), ("tool", "poetry", "dependencies"), ("tool", "poetry", "dev-dependencies"),
    ("tool", "poetry", "group"), ("tool", "pdm", "dev-dependencies"), ("tool", "uv", "dev-dependencies"),
    ("tool", "uv", "constraint-dependencies"), ("tool", "uv", "override-dependencies"), ("project", "requires-python"),
    ("tool", "hatch", "envs"),
)  # fmt: skip


def _rules(policy: Policy, case: Case) -> Iterator[Finding]:
    if case.goal is not Goal.DEPS:
        return
    for file in case.patch.files:
        name = file.path.rsplit("/", 1)[-1].casefold()
        if file.status == "D":
            continue
        if name == "package.json":
            yield from _npm(policy, case, file)
        elif name == "pyproject.toml":
            yield from _pyproject(policy, case, file)
        elif file.path in _REQUIREMENTS:
            yield from _requirements(policy, case, file)
        elif file.path in _LOCKS:
            yield from _lock(policy, case, file)
        elif file.path in _PROGRAMS:
            message = f"{file.path} is a program that is run when the project is built"
            yield from consequence(
                policy.dependencies.programs, "dependencies.programs", message, path=file.path,
                remedy="change versions only; a person sees the rest",
            )  # fmt: skip


def _npm(policy: Policy, case: Case, file: FileChange) -> Iterator[Finding]:
    after, before = _object(case.after(file)), _object(case.before(file))
    if after is None:
        yield from _settings(policy, file, "is no JSON object")
        return
    before = before or {}
    if after.get("scripts") != before.get("scripts"):
        yield from consequence(
            policy.dependencies.scripts,
            "dependencies.scripts",
            f"{file.path} changes `scripts`, which npm runs",
            path=file.path,
            remedy="leave `scripts` as they are",
        )
    rest = {key for key in after.keys() | before.keys() if after.get(key) != before.get(key)}
    if odd := sorted(rest - {*_NPM_TABLES, "scripts", "engines", "packageManager", "version"}):
        yield from _settings(policy, file, f"changes `{odd[0]}`")
    for table in _NPM_TABLES:
        new, old = after.get(table), before.get(table)
        new, old = (t if isinstance(t, dict) else {} for t in (new, old))
        for package, version in new.items():
            if old.get(package) != version and isinstance(version, str) and _ADDRESS.match(version):
                yield from _source(policy, file, f"takes `{package}` from an address")
            elif old.get(package) != version and isinstance(version, str) and _of_another(package, version):
                yield from _source(policy, file, f"takes another package (`{version[:60]}`) under the name `{package}`")


def _pyproject(policy: Policy, case: Case, file: FileChange) -> Iterator[Finding]:
    after, before = _toml(case.after(file)), _toml(case.before(file))
    if after is None:
        yield from _settings(policy, file, "is no TOML")
        return
    rest_after, rest_before = _without(after), _without(before or {})
    if rest_after != rest_before:
        odd = sorted(k for k in rest_after.keys() | rest_before.keys() if rest_after.get(k) != rest_before.get(k))
        yield from _settings(policy, file, f"changes `{odd[0]}` beside dependencies")
    lines = case.lines.get(file.path)
    for number, line in lines.added if lines is not None else ():
        if _AT_ADDRESS.search(line):
            yield from _source(policy, file, "takes a dependency from an address", number)


def _requirements(policy: Policy, case: Case, file: FileChange) -> Iterator[Finding]:
    lines = case.lines.get(file.path)
    for number, line in lines.added if lines is not None else ():
        if _OPTION.match(line):
            yield from _source(policy, file, "changes where packages come from", number)
        elif not line.lstrip().startswith(b"#") and _AT_ADDRESS.search(line):
            yield from _source(policy, file, "takes a dependency from an address", number)


def _lock(policy: Policy, case: Case, file: FileChange) -> Iterator[Finding]:
    """New hosts that packages are taken from; a new lock file has nothing to be compared with."""
    before = case.before(file)
    lines = case.lines.get(file.path)
    if before is None or lines is None:
        return
    known = set(_hosts(before.decode("utf-8", "replace")))
    for number, line in lines.added:
        for host in _hosts(line.decode("utf-8", "replace")):
            if known and host not in known:
                yield from _source(policy, file, f"takes a package from {host}, as no other of the file", number)


def _hosts(text: str) -> Iterator[str]:
    for found in _RESOLVED.finditer(text):
        try:
            host = urlsplit(found[1]).hostname
        except ValueError:
            host = found[1][:80]
        if host:
            yield host


def _settings(policy: Policy, file: FileChange, what: str) -> Iterator[Finding]:
    remedy = "change dependencies only"
    message = f"{file.path} {what}, and the goal is deps"
    yield from consequence(
        policy.dependencies.settings, "dependencies.settings", message, path=file.path, remedy=remedy
    )


def _of_another(package: str, version: str) -> bool:
    """`"lodash": "npm:other@1"`"""
    name = version.removeprefix("npm:")
    return name != version and name.rpartition("@")[0] not in ("", package)


def _source(policy: Policy, file: FileChange, what: str, line: int | None = None) -> Iterator[Finding]:
    where = file.path if line is None else f"{file.path}:{line}"
    remedy = "take packages by version, from where the others come"
    yield from consequence(
        policy.dependencies.source, "dependencies.source", f"{where} {what}", path=file.path, line=line, remedy=remedy
    )


def _object(source: bytes | None) -> dict[str, Any] | None:
    try:
        value = json.loads(source or b"null")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _toml(source: bytes | None) -> dict[str, Any] | None:
    try:
        return tomllib.loads((source or b"").decode("utf-8"))
    except (ValueError, RecursionError):
        return None


def _without(table: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest without its dependencies."""
    rest = dict(table)
    for path in _PYTHON_TABLES:
        at = rest
        for key in path[:-1]:
            below = at.get(key)
            if not isinstance(below, dict):
                break
            at[key] = dict(below)
            at = at[key]
        else:
            at.pop(path[-1], None)
    return rest


def _numbers(policy: Policy, case: Case) -> str:
    if case.goal is not Goal.DEPS:
        return f"the goal is {case.goal.value}: manifests are not to change at all"
    return "manifests change in their dependencies only"


DEPENDENCIES = Family("dependencies", (Rule("dependencies.manifests", _rules),), _numbers)
