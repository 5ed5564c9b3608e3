"""Which Node a project wants, of those that there are."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from runner.project.manifest import Read, toml

NEWEST_FIRST = (24, 22, 20, 18)
"""The major versions that an environment can have. The first is taken where a project does not say, or says many."""

_NAMES = {"hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24}
_VERSION = re.compile(r"[v=]?\s*(\d+|[xX*])(?:\.(\d+|[xX*]))?(?:\.(\d+|[xX*]))?[-+.\w]*$")
_COMPARATOR = re.compile(r"(>=|<=|>|<|\^|~>?|=)?\s*(v?[\dxX*][-+.\w*]*)")
_HYPHEN = re.compile(r"\s+-\s+")


class NoNodeError(ValueError):
    """None of the versions that there are is what the project wants."""


def node_version(read: Read, paths: Collection[str], package: Mapping[str, Any]) -> int:
    """The major version of Node.

    Files that pin a version come first, in the order in which version managers are common; then `engines.node`.

    Raises:
        NoNodeError: there is none that fits.
    """
    for name in (".nvmrc", ".node-version"):
        if name in paths and (words := _first_words(read(name))):
            return _pinned(words, name)
    if ".tool-versions" in paths:
        found = re.search(r"^\s*node(?:js)?\s+(\S+)", _text(read(".tool-versions")), re.MULTILINE)
        if found:
            return _pinned(found[1], ".tool-versions")
    for name in ("mise.toml", ".mise.toml"):
        tools = toml(read(name)).get("tools") if name in paths else None
        if isinstance(tools, dict) and isinstance(tools.get("node"), str | int):
            return _pinned(str(tools["node"]), name)
    for table, source in (("volta", "volta.node"), ("engines", "engines.node")):
        said = package.get(table)
        wanted = said.get("node") if isinstance(said, dict) else None
        if isinstance(wanted, str):
            return _fitting(wanted, f"{source} of package.json")
    return NEWEST_FIRST[0]


def _pinned(words: str, source: str) -> int:
    name = words.lower().removeprefix("lts/").removeprefix("lts-")
    if name in _NAMES:
        return _NAMES[name]
    if name in {"*", "-1", "node", "stable", "lts", "latest", "current", "system"}:
        return NEWEST_FIRST[0]
    return _fitting(words, source)


def _fitting(wanted: str, source: str) -> int:
    for major in NEWEST_FIRST:
        if satisfies(major, wanted):
            return major
    there = ", ".join(map(str, sorted(NEWEST_FIRST)))
    raise NoNodeError(f"{source} asks for Node {wanted}, and there are {there}")


def satisfies(major: int, wanted: str) -> bool:
    """Whether the newest version of a major is in a range as npm writes them (`^18.12 || >=20 <23`)."""
    return any(_in_set(major, alternative.strip()) for alternative in wanted.split("||"))


def _in_set(major: int, alternative: str) -> bool:
    ends = _HYPHEN.split(alternative)
    if len(ends) == 2:  # noqa: PLR2004 - from and to
        return _holds(major, ">=", ends[0]) and _holds(major, "<=", ends[1])
    found = _COMPARATOR.findall(alternative)
    if not found:
        return alternative in {"", "latest", "lts"}
    return all(_holds(major, operator, version) for operator, version in found)


def _holds(major: int, operator: str, version: str) -> bool:
    parts = _VERSION.match(version.strip())
    if parts is None:
        return False
    if not parts[1].isdigit():
        return True
    bound = int(parts[1])
    whole = parts[2] is None or not parts[2].isdigit()  # the version names no more than a major
    lowest = whole or (int(parts[2]) == 0 and (parts[3] is None or not parts[3].isdigit() or int(parts[3]) == 0))
    return {
        ">=": major >= bound,
        ">": major > bound or (major == bound and not whole),
        "<": major < bound or (major == bound and not lowest),
        "<=": major <= bound,
    }.get(operator, major == bound)


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")


def _first_words(content: bytes | None) -> str:
    lines = [line.partition("#")[0].strip() for line in _text(content).splitlines()]
    return next((line for line in lines if line), "")
