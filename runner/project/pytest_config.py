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

_PLUGINS: dict[str, tuple[str, ...]] = {
    "anyio": ("anyio_mode",),
    "hypothesis": ("--hypothesis-",),
    "inline-snapshot": ("--inline-snapshot",),
    "nbval": ("--nbval",),
    "pytest-asyncio": (
        "--asyncio-", "asyncio_mode", "asyncio_default_fixture_loop_scope", "asyncio_default_test_loop_scope"
    ),
    "pytest-benchmark": ("--benchmark-",),
    "pytest-codspeed": ("--codspeed",),
    "pytest-cov": ("--cov", "--no-cov"),
    "pytest-django": ("--ds=", "--reuse-db", "--create-db", "--nomigrations", "--no-migrations",
                      "django_settings_module"),
    "pytest-doctestplus": ("--doctest-plus", "--doctest-rst", "doctest_plus"),
    "pytest-env": ("env",),
    "pytest-html": ("--html", "--self-contained-html"),
    "pytest-instafail": ("--instafail",),
    "pytest-memray": ("--memray",),
    "pytest-mock": ("mock_use_standalone_module", "mock_traceback_monkeypatch"),
    "pytest-mypy-plugins": ("--mypy-ini-file", "--mypy-pyproject-toml-file", "--mypy-same-process",
                            "--mypy-only-local-stub"),
    "pytest-qt": ("qt_api",),
    "pytest-random-order": ("--random-order",),
    "pytest-randomly": ("--randomly-",),
    "pytest-recording": ("--record-mode", "--block-network"),
    "pytest-regressions": ("--force-regen", "--regen-all"),
    "pytest-rerunfailures": ("--reruns", "--only-rerun"),
    "pytest-socket": ("--disable-socket", "--allow-hosts", "--allow-unix-socket"),
    "pytest-timeout": ("--timeout", "timeout", "timeout_method", "timeout_func_only"),
    "pytest-trio": ("trio_mode",),
    "pytest-xdist": ("-n", "--numprocesses", "--dist", "--maxprocesses"),
    "syrupy": ("--snapshot-",),
}  # fmt: skip
"""Package → how the options and the settings begin that only it knows."""


@dataclass(frozen=True)
class PytestConfig:
    """What counts for us. `addopts` are words; `files` are patterns of test modules, `folders` where they are;
    `required` are plugins that it asks for by name, `settings` the names of all its keys in small letters.
    """

    addopts: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    settings: frozenset[str] = frozenset()

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
        """Packages without which pytest would not know its options and settings, and refuse to begin."""
        named = [
            package
            for package, signs in _PLUGINS.items()
            if any(word.startswith(sign) for sign in signs if sign.startswith("-") for word in self.addopts)
            or self.settings & set(signs)
        ]
        return (*named, *self.required)

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
    return PytestConfig(
        addopts=_words(table.get("addopts")),
        files=_words(table.get("python_files")),
        folders=_words(table.get("testpaths")),
        required=_words(table.get("required_plugins")),
        settings=frozenset(key.lower() for key in table),
    )


def _words(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(str(item) for item in value)
    try:
        return tuple(shlex.split(value, comments=True)) if isinstance(value, str) else ()
    except ValueError:
        return ()


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
