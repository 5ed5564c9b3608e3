"""Versions that a lock file of Poetry or Pipenv holds, as constraints that pip and uv understand.

uv's own lock file is read by uv itself. Constraints install nothing; they only say which version, where something is
needed. So they may name more than the tests need, and it does not matter to which group a package belongs.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from runner.project.manifest import Read, toml

LOCKS = ("poetry.lock", "Pipfile.lock")

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9.!+_-]+")
_PIPENV = ("packages", "dev-packages")
_ENTRY = re.compile(r"[A-Za-z0-9.,_*<>=!~+ -]*")


def constraints(read: Read, paths: Collection[str]) -> tuple[str, ...]:
    """`name==version` for each package that is locked to one version."""
    versions: dict[str, set[str]] = defaultdict(set)
    locked = _poetry(read) if "poetry.lock" in paths else _pipenv(read) if "Pipfile.lock" in paths else ()
    for name, version in locked:
        if _NAME.fullmatch(name) and _VERSION.fullmatch(version):
            versions[re.sub(r"[-_.]+", "-", name).lower()].add(version)
    # Where there are several, markers decide among them, and the resolver finds out as well.
    return tuple(f"{name}=={next(iter(found))}" for name, found in sorted(versions.items()) if len(found) == 1)


def pipfile(read: Read, paths: Collection[str]) -> tuple[str, ...]:
    """What a Pipfile asks for, its development packages included; what is no package of an index is left out."""
    tables = toml(read("Pipfile")) if "Pipfile" in paths else {}
    found = []
    for table in (tables.get(name) for name in _PIPENV):
        for name, wanted in table.items() if isinstance(table, dict) else ():
            extras = wanted.get("extras", []) if isinstance(wanted, dict) else []
            version = wanted.get("version", "*") if isinstance(wanted, dict) else wanted
            elsewhere = isinstance(wanted, dict) and wanted.keys() & {"git", "path", "file", "url"}
            if elsewhere or not _NAME.fullmatch(name) or not isinstance(version, str) or not _ENTRY.fullmatch(version):
                continue
            words = ",".join(e for e in extras if isinstance(e, str) and _NAME.fullmatch(e))
            found.append(f"{name}{f'[{words}]' if words else ''}{'' if version == '*' else version}")
    return tuple(found)


def _poetry(read: Read) -> Iterator[tuple[str, str]]:
    packages = toml(read("poetry.lock")).get("package")
    for package in packages if isinstance(packages, list) else ():
        if isinstance(package, dict) and "source" not in package:
            yield str(package.get("name")), str(package.get("version"))


def _pipenv(read: Read) -> Iterator[tuple[str, str]]:
    try:
        lock = json.loads(read("Pipfile.lock") or b"{}")
    except (ValueError, RecursionError):
        return
    for table in (lock.get(name) for name in ("default", "develop")) if isinstance(lock, dict) else ():
        for name, entry in table.items() if isinstance(table, dict) else ():
            version = entry.get("version") if isinstance(entry, Mapping) else None
            if isinstance(version, str) and version.startswith("=="):
                yield name, version.removeprefix("==")
