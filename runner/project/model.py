"""What is known of a repository: a frozen value, made by `recognise`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from runner.policy.globs import Globs
from runner.project.file import RepoFile


@dataclass(frozen=True)
class Pytest:
    """Tests that pytest finds. `arguments` are the repository's own; `neutral` undoes options of its configuration
    that would keep us from measuring (parallel runs, a coverage run of its own).
    """

    arguments: tuple[str, ...] = ()
    neutral: tuple[str, ...] = ()
    coverage: bool = True


@dataclass(frozen=True)
class Command:
    """A test command of any kind. Without `junit` (a path in the workspace, or a pattern of several) only its exit
    code is known; `coverage` is where it leaves Cobertura XML or LCOV. `shown` is what a person would type instead.
    Where it `selects`, files that follow it as words are the only ones that it runs; `quick` is the same command
    without coverage, for runs that do not ask for it.
    """

    line: str
    junit: str | None = None
    coverage: str | None = None
    shown: str = ""
    selects: bool = False
    quick: str = ""


@dataclass(frozen=True)
class Lint:
    """A linter: ruff, asked about single files, or any command, known by its exit code."""

    kind: Literal["ruff", "command"]
    line: str


@dataclass(frozen=True)
class Project:
    """How a repository is set up, tested and measured.

    `setup` are shell commands for the environment image; `key_files` (path → content) decide with them whether an
    image can be reused. `tests` are the globs of test files, `configuration` those of files that configure the
    tests. `native` are sources that the setup compiles; `build`, where that can be done, compiles them again in
    a workspace, offline, and leaves nothing of what was compiled before. `policy` is the repository's own `[policy]`
    table; `own` is its whole file under the host's word, `install_scripts` whether the host lets packages run
    scripts of theirs while they are installed, `build_secrets` the host's files (place in HOME → file) for package
    clients; a tree that is not the base never has those. Where `test` is None, `why_no_test` says why. `first_tests`:
    the base has none, and the patch brings the first.
    """

    language: Literal["python", "node", "other"]
    setup: tuple[str, ...]
    key_files: Mapping[str, str]
    test: Pytest | Command | None
    why_no_test: str = ""
    lint: Lint | None = None
    tests: Globs = field(default_factory=lambda: Globs(()))
    configuration: Globs = field(default_factory=lambda: Globs(()))
    native: Globs = field(default_factory=lambda: Globs(()))
    build: str | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)
    install_scripts: bool = False
    first_tests: bool = False
    build_secrets: Mapping[str, Path] = field(default_factory=dict, repr=False)
    own: RepoFile = field(default_factory=lambda: RepoFile.model_validate({}), repr=False)

    @property
    def test_shown(self) -> str:
        """The test command as a person (or an agent) would type it in the workspace."""
        if isinstance(self.test, Pytest):
            return shlex.join(["python", "-m", "pytest", *self.test.neutral, *self.test.arguments])
        return (self.test.shown or self.test.line) if self.test is not None else "no test command is known"
