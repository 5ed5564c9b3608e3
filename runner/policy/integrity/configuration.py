"""What decides how tests are run and lines are counted, wherever it is written; and comments that leave lines out."""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from runner.policy.integrity.model import shown
from runner.policy.integrity.sides import Change, Seen, Sides, is_example, language

_HARMLESS = frozenset({
    "markers", "minversion", "asyncio_mode", "log_cli", "log_level", "required_plugins", "console_output_style",
})  # fmt: skip
_DOUBTFUL = frozenset({
    "filterwarnings", "xfail_strict", "timeout", "env", "pythonpath", "usefixtures", "requires", "commands", "strict",
})  # fmt: skip
_REMEDY = "take the change of this setting out; a person can make it"
_PRAGMA = re.compile(
    r"#\s*(?:pragma:?\s*no\s*(?:cover|branch)|nocover|no\s?cover)"
    r"|(?:/\*|//)\s*(?:istanbul|c8|v8|node:coverage)\s+(?:ignore|disable)",
    re.IGNORECASE,
)
# A comment at the head of one of these, or on a line of its own, leaves out more than a line.
_WHOLE = re.compile(r"\s*(?:(?:async\s+)?def|class|for|while|with|async|match|try|else|elif)\b|\s*(?:#|//|/\*)")
_ELSEWHERE = re.compile(
    r"TYPE_CHECKING|__main__|NotImplementedError|@overload|@abstractmethod|Protocol|version_info|sys\.platform|os\.name"
    r"|ImportError|ModuleNotFoundError|unreachable|assert_never|__repr__|\.\.\.|\bPY_?\d|PYPY|\bWIN|win32|darwin|AssertionError"
)  # fmt: skip


def configuration(sides: Sides) -> Iterator[Seen]:
    """Settings of test runners and of coverage that the patch changes."""
    for change in sides.changes:
        reader = _reader(change.path)
        if reader is None:
            continue
        before, after = reader(change.before), reader(change.after)
        if after is None and change.after is not None:
            yield _seen(f"{change.path} cannot be read", change, grave=before is not None)
            continue
        before, after = before or {}, after or {}
        for key in sorted(before.keys() | after.keys()):
            name = key.rpartition(".")[2]
            if before.get(key) == after.get(key) or name in _HARMLESS:
                continue
            sides_shown = f"`{shown(_text(before.get(key)), 80)}` → `{shown(_text(after.get(key)), 80)}`"
            yield _seen(f"`{key}` of {change.path} changes: {sides_shown}", change, grave=name not in _DOUBTFUL)


def _seen(message: str, change: Change, *, grave: bool) -> Seen:
    return Seen("tests.configuration", message, _REMEDY, change.path, grave=grave)


def _text(value: Any) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, default=str)


Settings = Mapping[str, Any]


def _reader(path: str) -> Callable[[bytes | None], Settings | None] | None:
    name = PurePosixPath(path).name.lower()
    if name in ("pyproject.toml", "pytest.toml", ".pytest.toml", ".coveragerc.toml"):
        return _toml
    if name in ("setup.cfg", "tox.ini", "pytest.ini", ".pytest.ini", ".coveragerc"):
        return _ini
    return _package if name == "package.json" else None


def _toml(content: bytes | None) -> Settings | None:
    try:
        tables = tomllib.loads((content or b"").decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        return None
    tool = tables.get("tool", {})
    tool = tool if isinstance(tool, dict) else {}
    pytest = tool.get("pytest", {})
    found: dict[str, Any] = {}
    for prefix, table in (
        ("tool.pytest", pytest),
        ("tool.pytest.ini_options", pytest.get("ini_options", {}) if isinstance(pytest, dict) else {}),
        ("tool.coverage", tool.get("coverage", {})),
        ("pytest", tables.get("pytest", {})),
    ):
        found |= _flat(prefix, table, skip=("ini_options",))
    return found


def _flat(prefix: str, table: Any, skip: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(table, dict):
        return {prefix: table}
    found: dict[str, Any] = {}
    for key, value in table.items():
        if key in skip:
            continue
        inner = f"{prefix}.{key}"
        found |= _flat(inner, value) if isinstance(value, dict) else {inner: value}
    return found


def _ini(content: bytes | None) -> Settings | None:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True, inline_comment_prefixes=None)
    try:
        parser.read_string((content or b"").decode("utf-8"))
    except (UnicodeDecodeError, configparser.Error):
        return None
    wanted = re.compile(r"(tool:)?pytest|coverage:.*|run|report|paths|html|xml|testenv.*")
    found: dict[str, Any] = {}
    for section in parser.sections():
        if wanted.fullmatch(section):
            keys = ("commands",) if section.startswith("testenv") else parser.options(section)
            found |= {f"{section}.{k}": parser.get(section, k) for k in keys if parser.has_option(section, k)}
    return found


def _package(content: bytes | None) -> Settings | None:
    try:
        table = json.loads((content or b"{}").decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError):
        return None
    if not isinstance(table, dict):
        return None
    found: dict[str, Any] = {}
    for name in ("jest", "vitest", "mocha", "nyc", "c8", "ava", "tap"):
        found |= _flat(name, table[name]) if name in table else {}
    scripts = table.get("scripts", {})
    scripts = scripts if isinstance(scripts, dict) else {}
    return found | {f"scripts.{k}": v for k, v in scripts.items() if "test" in k or "coverage" in k}


def excluded(sides: Sides) -> Iterator[Seen]:
    """Lines that the patch asks coverage to leave out."""
    for change in sides.changes:
        if not language(change.path) or change.after is None or sides.is_test(change.path):
            continue
        old = (change.before or b"").decode("utf-8", "replace").split("\n")
        known = len([line for line in old if _PRAGMA.search(line)])
        lines = change.after.decode("utf-8", "replace").split("\n")
        found = [n for n, line in enumerate(lines, 1) if _PRAGMA.search(line)]
        new = [n for n in found if n in change.added]
        for number in new[: max(len(found) - known, 0)]:
            # Where the file's owners do the same elsewhere, a line of it is for the reviewer; a whole function is not.
            usual = known > 0 and not _WHOLE.match(lines[number - 1])
            around = " ".join(lines[max(number - 2, 0) : number + 2])
            yield Seen(
                "tests.excluded",
                f"{change.path}:{number} asks coverage to leave it out: `{shown(lines[number - 1], 80)}`",
                "take the comment out, and let a test run the line",
                change.path,
                number,
                grave=not (
                    usual or _ELSEWHERE.search(around) or "branch" in lines[number - 1] or is_example(change.path)
                ),
            )
