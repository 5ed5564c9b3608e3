"""A repository's own pytest configuration: where tests are, and which of its options keep us from measuring."""

from __future__ import annotations

import shlex
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from runner.project.manifest import Read, ini, toml

_TOML_FILES = ("pytest.toml", ".pytest.toml")
_INI_FILES = (("pytest.ini", "pytest"), (".pytest.ini", "pytest"))
_LATE_INI_FILES = (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest"))


@dataclass(frozen=True)
class PytestConfig:
    """What counts for us. `addopts` are words; `files` are patterns of test modules, `folders` where they are."""

    addopts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()

    @property
    def parallel(self) -> bool:
        """Whether tests are spread over processes (pytest-xdist)."""
        return any(word.startswith(("-n", "--numprocesses", "--dist", "--maxprocesses")) for word in self.addopts)

    @property
    def measures_coverage(self) -> bool:
        """Whether it measures coverage itself (pytest-cov)."""
        return any(word.startswith("--cov") for word in self.addopts)

    @property
    def plugins(self) -> tuple[str, ...]:
        """Packages without which pytest would not know the options."""
        wanted = {
            "pytest-xdist": self.parallel,
            "pytest-cov": self.measures_coverage or "--no-cov" in self.addopts,
            "pytest-timeout": any(word.startswith("--timeout") for word in self.addopts),
        }
        return tuple(name for name, needed in wanted.items() if needed)

    @property
    def neutral(self) -> tuple[str, ...]:
        """Options that undo what would keep us from measuring."""
        return (*(("-n0",) if self.parallel else ()), *(("--no-cov",) if self.measures_coverage else ()))

    @property
    def doctests(self) -> bool:
        """Whether examples in docstrings or documents are tests."""
        return any(word.startswith(("--doctest-modules", "--doctest-glob")) for word in self.addopts)


def read_pytest_config(read: Read, paths: Collection[str]) -> PytestConfig:
    """The first configuration that pytest itself would take."""
    for name in _TOML_FILES:
        if name in paths:
            return _config(_dict(toml(read(name)).get("pytest")))
    for name, section in _INI_FILES:
        parser = ini(read, paths, name)
        if parser.has_section(section):
            return _config(dict(parser[section]))
    tool = _dict(_dict(toml(read("pyproject.toml")).get("tool")).get("pytest")) if "pyproject.toml" in paths else {}
    if tool:
        return _config(_dict(tool.get("ini_options")) or tool)
    for name, section in _LATE_INI_FILES:
        parser = ini(read, paths, name)
        if parser.has_section(section):
            return _config(dict(parser[section]))
    return PytestConfig()


def _config(table: dict[str, Any]) -> PytestConfig:
    return PytestConfig(_words(table.get("addopts")), _words(table.get("python_files")), _words(table.get("testpaths")))


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    try:
        return tuple(shlex.split(value, comments=True)) if isinstance(value, str) else ()
    except ValueError:
        return ()


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
