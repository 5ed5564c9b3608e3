"""Python projects: a virtual environment at /opt/env, with the project imported from the workspace."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from functools import cached_property
from itertools import islice

from runner.policy.globs import Globs
from runner.project.generated import BEGIN, KEEP
from runner.project.hanging import INSTALL as HANGING
from runner.project.imported import imported
from runner.project.manifest import Manifest, Read, read_manifest
from runner.project.model import Lint
from runner.project.pytest_config import PytestConfig, read_pytest_config
from runner.project.python_lock import LOCKS, constraints, pipfile
from runner.project.python_version import make_environment, wanted_python
from runner.project.steady import INSTALL as STEADY_COVERAGE

MARKERS = ("pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "pytest.ini", "uv.lock", "Pipfile", *LOCKS)

TESTS = ("**/tests/**", "/test/**", "/testing/**", "test_*.py", "*_test.py", "/tests.py", "conftest.py")
"""Test files, whatever their repository calls them."""

CONFIGURATION = (
    "/pytest.ini", "/.pytest.ini", "/pytest.toml", "/.pytest.toml", "/tox.ini", "/setup.cfg", "/pyproject.toml",
    ".coveragerc",
)  # fmt: skip

_UNITTEST = ("test*.py", "*_test.py")
_UNITTEST_ONLY = re.compile(r"(^|/)test(?!_)[^/]*\.py$")
_IMPORTS_UNITTEST = re.compile(rb"^\s*(?:import|from)\s+unittest\b", re.MULTILINE)
_MOST_READ = 200

_COMPILED = ("*.c", "*.h", "*.cc", "*.cpp", "*.hpp", "*.pyx", "*.pxd")
NATIVE = (*_COMPILED, "*.rs", "/Cargo.toml", "/Cargo.lock")

_WANTS_TO_WRITE = re.compile(r'name = "coverage"\s+version = "7\.10\.[012]"|"coverage": \{[^{}]*"==7\.10\.[012]"')
_INSTALL = "/opt/automend/install"
_LOCKED = "/opt/automend/locked"

# uv, where the image has it, does in seconds what takes pip half a minute.
_INSTALLER = """cat > /opt/automend/install <<'END' && chmod +x /opt/automend/install
#!/bin/sh
if ! command -v uv >/dev/null; then exec /opt/env/bin/pip install -q --disable-pip-version-check "$@"; fi
if [ -n "$PIP_INDEX_URL" ]; then export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$PIP_INDEX_URL}"; fi
exec uv pip install -q --python /opt/env/bin/python "$@"
END"""

# A checkout without .git has no tags: packages whose version comes from them are told one. It is high, so that what
# asks for "at least" is content; requirements are installed before the project, so that no resolver sees it.
_VERSION = " ".join(
    f"{name}=9999.0.0" for name in ("SETUPTOOLS_SCM_PRETEND_VERSION", "PBR_VERSION", "POETRY_DYNAMIC_VERSIONING_BYPASS")
)

_LAST_ON_PATH = (
    "for d in /opt/env/lib/python3*/site-packages; do printf '%s\\n' {} > \"$d\"/automend_workspace.pth; done"
)
# Requirements pinned in the time of another Python can bring a pytest that does not start on this one.
_STARTS = "(cd / && /opt/env/bin/python -m pytest --version >/dev/null 2>&1)"
_PYTEST_STARTS = f"{_STARTS} || {{ {_INSTALL} -U 'pytest<8' py pluggy && {_STARTS}; }} || {_INSTALL} -U pytest"
# So that one test that hangs is one red test, and not the end of the whole suite. Old pytests cannot have it.
_ONE_TEST_TIMEOUT = (
    "if /opt/env/bin/python -c 'import pytest, sys; sys.exit(int(pytest.__version__.split(\".\")[0]) < 7)'; "
    f"then {_INSTALL} --no-deps pytest-timeout && touch /opt/automend/one_test_timeout; fi"
)
# Containers cannot write there, and would compile what they import in every run.
_COMPILE = "/opt/env/bin/python -m compileall -q /opt/env/lib || true  # some packages carry files that are no Python"
# Apart from the environment, as in an isolated build: what a build needs may not change what the project runs with.
_BUILD_TOOLS = "/opt/automend/build"
# All of it, as time stamps say nothing in a fresh workspace; and what is not compiled again must not stay.
_BUILD = (
    "tr '\\0' '\\n' < /opt/automend/generated | grep '\\.so$' | while IFS= read -r f; do rm -f -- \"$f\"; done; "
    "if [ -f setup.py ]; then set -- setup.py; else set -- -c 'import setuptools; setuptools.setup()'; fi; "
    f'PYTHONPATH={_BUILD_TOOLS} {_VERSION} exec /opt/env/bin/python "$@" -q build_ext --inplace --force'
)
_RUFF_PIN = re.compile(r"ruff-pre-commit['\"]?\s*\n\s*(?:#[^\n]*\n\s*)*rev:[^\n]*?([0-9]+\.[0-9]+\.[0-9]+)")


class PythonFacts:
    """What a Python repository's files say.

    Args:
        read: a file's content at the base, or None.
        paths: every path of the base.
    """

    def __init__(self, read: Read, paths: Collection[str]) -> None:
        self._read = read
        self._paths = paths
        self.manifest: Manifest = read_manifest(read, paths)
        self.pytest: PytestConfig = read_pytest_config(read, paths)
        self.tests = Globs((*TESTS, *_own(self.pytest), *(_UNITTEST if self._by_unittest else ())))
        self._locked = () if "uv.lock" in paths else constraints(read, paths)

    @property
    def has_tests(self) -> bool:
        """Whether pytest would find something."""
        modules = Globs(self.pytest.files or (_UNITTEST if self._by_unittest else ("test_*.py", "*_test.py")))
        return self.pytest.doctests or any(p.endswith(".py") and p in modules for p in self._paths)

    @cached_property
    def _by_unittest(self) -> bool:
        """Whether tests are named as unittest finds them and pytest would not: any `test*.py`."""
        if self.pytest.files:
            return False
        named = (p for p in self._paths if _UNITTEST_ONLY.search(p))
        return any(_IMPORTS_UNITTEST.search(self._read(path) or b"") for path in islice(named, _MOST_READ))

    @property
    def neutral(self) -> tuple[str, ...]:
        """Options that undo what would keep us from measuring, the shuffling of tests included."""
        needed = [*self.manifest.requirements, *(self._text(name) for name in self.manifest.files)]
        shuffled = any("pytest-randomly" in words for words in needed)
        configured = any(word.startswith("--randomly") for word in self.pytest.addopts)
        found = ("-o", f"python_files={' '.join(_UNITTEST)}") if self._by_unittest else ()
        return (*self.pytest.neutral, *found, *(("-p", "no:randomly") if shuffled and not configured else ()))

    def setup(self, own: tuple[str, ...] | None, lint: Lint | None) -> tuple[str, ...]:
        """Shell commands for the environment; `own` are the repository's, in place of what we would have found."""
        tools = ["pytest", self._coverage(), *self.pytest.plugins]
        if lint is not None and lint.kind == "ruff":
            tools.append(self._ruff())
        if own is None:
            steps = [*self._requirements(), f"{_INSTALL} {shlex.join(tools)}", *self._project(), *self._imported()]
            steps.append(_PYTEST_STARTS)
            if self.build is not None:
                steps.append(f"{_INSTALL} --target {_BUILD_TOOLS} {shlex.join(self.manifest.build)}")
        else:
            steps = [f"{_INSTALL} {shlex.join(tools)}", *(f"export VIRTUAL_ENV=/opt/env {_VERSION}\n{c}" for c in own)]
        folders = ["/workspace", *(["/workspace/src"] if any(p.startswith("src/") for p in self._paths) else [])]
        last = _LAST_ON_PATH.format(shlex.join(folders))
        ours = (_ONE_TEST_TIMEOUT, HANGING, STEADY_COVERAGE, last, _COMPILE, KEEP)
        python = make_environment(wanted_python(self._read, self._paths, self.manifest.tables))
        return (BEGIN, python, _INSTALLER, *steps, *ours)

    @property
    def build(self) -> str | None:
        """A command that compiles extension modules anew, offline; None where setuptools does not do it."""
        backend = self.manifest.backend
        if backend is not None and not backend.startswith("setuptools."):
            return None
        compiled = Globs(_COMPILED)
        ours = any(path in compiled for path in self._paths) and "Cargo.toml" not in self._paths
        return _BUILD if ours and self.manifest.installable else None

    def key_files(self) -> dict[str, str]:
        """Files on which the environment depends."""
        names = {"pyproject.toml", "setup.py", "setup.cfg", "tox.ini", "uv.lock", "MANIFEST.in", *self.manifest.files}
        names |= {".python-version", ".tool-versions", "Pipfile", "tox.toml", "noxfile.py", "hatch.toml", *LOCKS}
        names |= {p for p in self._paths if p.startswith("requirements/") and p.endswith((".txt", ".in"))}
        native = Globs(NATIVE)
        names |= {p for p in self._paths if p in native} if "setup.py" in self._paths or self.manifest.tables else set()
        return {name: self._text(name) for name in names & set(self._paths)}

    def lint(self) -> Lint | None:
        """Ruff, where the repository has configured it."""
        tool = self.manifest.tables.get("tool")
        configured = isinstance(tool, dict) and "ruff" in tool
        if configured or {"ruff.toml", ".ruff.toml"} & set(self._paths):
            return Lint("ruff", "ruff check")
        return None

    def _requirements(self) -> list[str]:
        manifest = self.manifest
        if "uv.lock" in self._paths:
            groups = [word for group in manifest.groups for word in ("--group", group)]
            extras = [word for extra in manifest.extras for word in ("--extra", extra)]
            locked = "UV_PROJECT_ENVIRONMENT=/opt/env UV_PYTHON=/opt/env/bin/python UV_PYTHON_DOWNLOADS=never"
            options = shlex.join(
                ["--frozen", "--inexact", "--no-install-project", "--no-default-groups", *groups, *extras]
            )
            return [f"command -v uv >/dev/null || {_INSTALL} uv", f"{locked} {_VERSION} uv sync -q {options}"]
        steps = [self._as_locked(f"-r {shlex.quote(name)}") for name in manifest.files]
        wanted = (*manifest.requirements, *pipfile(self._read, self._paths))
        if wanted:
            steps.append(self._as_locked(shlex.join(wanted)))
        if self._locked:
            lines = "\n".join(self._locked)
            steps.insert(0, f"cat > {_LOCKED} <<'END'\n{lines}\nEND")
        return steps

    def _as_locked(self, what: str) -> str:
        """Install in the locked versions; or, where this Python cannot have those, in others."""
        return f"{_INSTALL} -c {_LOCKED} {what} || {_INSTALL} {what}" if self._locked else f"{_INSTALL} {what}"

    def _project(self) -> list[str]:
        manifest = self.manifest
        if not manifest.installable:
            return []
        known = not manifest.dynamic or "uv.lock" in self._paths
        # Only the build back-end knows the requirements else. Extras that are not there are warned of, no more.
        what = "--no-deps -e ." if known else "-e '.[test,tests,testing]'"
        # Some setups are of a time when setuptools let more pass: they are tried again with one of then.
        again = f"{_INSTALL} wheel 'setuptools<67' && {_VERSION} {_INSTALL} --no-build-isolation {what}"
        locked = f"{_VERSION} {_INSTALL} -c {_LOCKED} {what} || " if self._locked else ""
        return [f"{locked}{_VERSION} {_INSTALL} {what} || {{ {again}; }}"]

    def _imported(self) -> list[str]:
        """What tests ask for, and no manifest names; a package that cannot be had here is no reason to stop."""
        places = {part for path in self._paths if path.endswith(".py") for part in path.removesuffix(".py").split("/")}
        tests = [path for path in self._paths if path.endswith(".py") and path in self.tests]
        texts = [*self.manifest.requirements, *(self._text(name) for name in self.manifest.files)]
        found = imported(self._read, tests, "\n".join(texts))
        wanted = [name for name in found if name.replace("-", "_") not in places]
        return [f"{_INSTALL} {shlex.join(wanted)} || true"] if wanted else []

    def _coverage(self) -> str:
        """The tool that measures; not the few versions that refuse to run in an environment that cannot be written."""
        locks = "\n".join(self._text(name) for name in ("uv.lock", *LOCKS) if name in self._paths)
        return "coverage!=7.10.0,!=7.10.1,!=7.10.2" if _WANTS_TO_WRITE.search(locks) else "coverage"

    def _ruff(self) -> str:
        hooks = ".pre-commit-config.yaml"
        pin = _RUFF_PIN.search(self._text(hooks)) if hooks in self._paths else None
        return f"ruff=={pin[1]}" if pin else "ruff"

    def _text(self, path: str) -> str:
        return (self._read(path) or b"").decode("utf-8", "replace")


def _own(config: PytestConfig) -> list[str]:
    """Globs for the places that the repository's pytest configuration names."""
    folders = [f"/{folder.strip('/').removeprefix('./')}/**" for folder in config.folders if _plain(folder)]
    return folders + [
        pattern for pattern in config.files if pattern not in {"*.py", "*"} and not pattern.startswith("!")
    ]


def _plain(folder: str) -> bool:
    # `testpaths = .` or `src` (for doctests) must not turn product code into tests.
    name = folder.strip("/").removeprefix("./")
    return "test" in name.lower() and not name.endswith(".py")
