"""A policy: what a patch may be, and what must be shown of it. Read from TOML; unknown keys are refused.

Every field carries its direction: which way a repository's own `.automend.toml` may move it. The host's policy is
the floor; a repository can only make it stricter.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Mapping
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from runner.config import explain
from runner.errors import ConfigError
from runner.model import Goal


class Action(StrEnum):
    """What follows from what a rule found."""

    BLOCK = "block"
    """The patch is refused."""
    REVIEW = "review"
    """It passes, and the reviewer is shown it."""
    ALLOW = "allow"
    """Nothing follows."""


class Direction(StrEnum):
    """Which way a repository may move a value of the host's policy."""

    LOWER = "may only be lowered"
    HIGHER = "may only be raised"
    GROWS = "may only be added to"
    NARROWS = "may only be narrowed: with patterns that the host's list has, too"
    STRICTER = "may only be made stricter (block > review > allow)"
    ON = "may only be switched on"
    FIXED = "cannot be set by a repository"


def _no_negation(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if pattern.startswith("!") or not pattern.strip():
            raise ValueError(f"`{pattern}` is not a pattern here: give plain globs, without `!`")
    return patterns


Patterns = Annotated[tuple[str, ...], AfterValidator(_no_negation)]


class Table(BaseModel):
    """A table of a policy file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Size(Table):
    """`[size]`: how much a patch may change."""

    max_files: Annotated[int, Direction.LOWER] = Field(ge=0, description="Most files changed.")
    max_changed_lines: Annotated[int, Direction.LOWER] = Field(
        ge=0, description="Most lines added and removed, together."
    )


class Paths(Table):
    """`[paths]`: where a patch may go. Globs as in .gitignore, blind to case and Unicode form."""

    protected: Annotated[Patterns, Direction.GROWS] = Field(description="Files that no patch may touch.")
    dependencies: Annotated[Patterns, Direction.GROWS] = Field(
        description="Manifests and lock files, which only a patch with goal `deps` may touch."
    )
    test_configuration: Annotated[Patterns, Direction.GROWS] = Field(
        description="Files that decide how tests are found, run and counted; no patch may touch them."
    )
    allowed: Annotated[Patterns, Direction.NARROWS] = Field(
        description="If not empty, the only files that a patch may touch."
    )


class Content(Table):
    """`[content]`: what a changed path may be."""

    binary: Annotated[Action, Direction.STRICTER] = Field(description="Binary files.")
    symlink: Annotated[Action, Direction.STRICTER] = Field(description="Symbolic links, made or changed.")
    submodule: Annotated[Action, Direction.STRICTER] = Field(description="Submodules, made, moved or removed.")
    mode: Annotated[Action, Direction.STRICTER] = Field(description="Executable bits and changes of a path's type.")
    git_files: Annotated[Action, Direction.STRICTER] = Field(
        description=".gitattributes and .gitmodules: they change what git and GitHub show."
    )


class Tests(Table):
    """`[tests]`: what the tests must show."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    red_green: Annotated[bool, Direction.ON] = Field(
        description="A fix needs a test that fails on the base and passes on the patch."
    )
    changed: Annotated[Action, Direction.STRICTER] = Field(
        description="A test that passed on the base was rewritten, and its old text fails on the patch."
    )
    deleted: Annotated[Action, Direction.STRICTER] = Field(
        description="A test that passed on the base is gone, and no other stands in its place."
    )


class Coverage(Table):
    """`[coverage]`: which lines tests must reach. In percent of executable lines of product code, 0-100."""

    max_drop: Annotated[float, Direction.LOWER] = Field(
        ge=0, le=100, description="Most percent points that total coverage may fall."
    )
    min_changed: Annotated[float, Direction.HIGHER] = Field(
        ge=0, le=100, description="Least share of the changed lines that the tests run."
    )


class Lint(Table):
    """`[lint]`: the linter that the repository has configured."""

    new: Annotated[Action, Direction.STRICTER] = Field(description="Findings that the base does not have.")


class Pulls(Table):
    """`[pulls]`: how much of people's attention automend may take, per repository."""

    open: Annotated[int, Direction.LOWER] = Field(ge=0, description="Most open pull requests.")
    per_day: Annotated[int, Direction.LOWER] = Field(ge=0, description="Most pull requests opened in 24 hours.")


class Land(Table):
    """`[land]`: what a pull request needs to be merged, and what follows."""

    approvals: Annotated[int, Direction.HIGHER] = Field(
        ge=0, description="Approvals of the head commit by people with write access, the author not counted."
    )
    method: Annotated[str, Direction.FIXED] = Field(
        pattern="^(squash|merge|rebase)$", description="squash, merge or rebase."
    )
    revert: Annotated[bool, Direction.ON] = Field(description="Open a revert when a release makes things worse.")


class Policy(Table):
    """A versioned set of rules."""

    name: Annotated[str, Direction.FIXED] = Field(description="What evidence and pull requests call this policy.")
    description: Annotated[str, Direction.FIXED] = Field(description="For whom it is.")
    attempts: Annotated[int, Direction.LOWER] = Field(ge=1, description="Most attempts of agents in one run.")
    size: Size
    paths: Paths
    content: Content
    tests: Tests
    coverage: Coverage
    lint: Lint
    pulls: Pulls
    land: Land

    @property
    def digest(self) -> str:
        """A hash of every value: two policies with the same digest judge alike."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def tighten(self, table: Mapping[str, Any], *, where: str = ".automend.toml [policy]") -> Policy:
        """This policy with a repository's own table over it.

        Raises:
            ConfigError: an unknown key, a wrong value, or one that would loosen; the message names the key.
        """
        if not table:
            return self
        wished = _validated(_laid_over(self.model_dump(mode="json"), table), where)
        return _tightened(self, wished, table, where, ())

    def in_words(self, goal: Goal) -> str:
        """What an agent is told about this policy, as a Markdown list."""
        lines = [
            f"At most {self.size.max_files} files and {self.size.max_changed_lines} changed lines.",
            "Do not touch continuous integration, code owners, instructions for agents, or the configuration of tests.",
        ]
        if goal is not Goal.DEPS:
            lines.append("Do not touch dependency manifests or lock files.")
        if self.paths.allowed:
            lines.append(f"Only these files may be touched: {', '.join(self.paths.allowed)}.")
        if goal is Goal.FIX and self.tests.red_green:
            lines.append("At least one test must fail on the code as it was, and pass on yours.")
        if goal is Goal.TEST:
            lines.append("Change nothing but tests; they must pass on the code as it is.")
        lines += [
            "Every test that passes now must still pass. Do not delete, skip or weaken tests.",
            f"Tests must run at least {self.coverage.min_changed:g} % of the lines that you change.",
            "Total coverage must not fall.",
            "No binary files, symbolic links, submodules or changes of file modes.",
        ]
        return "\n".join(f"- {line}" for line in lines)


def known() -> list[str]:
    """Names of the built-in policies."""
    return sorted(f.name.removesuffix(".toml") for f in files("policies").iterdir() if f.name.endswith(".toml"))


def load_policy(name_or_path: str) -> Policy:
    """A built-in policy by name, or a policy file. Keys that a file leaves out are those of `default`.

    Raises:
        ConfigError: there is no such policy, or the file is wrong.
    """
    base = tomllib.loads(files("policies").joinpath("default.toml").read_text(encoding="utf-8"))
    if name_or_path in known():
        text = files("policies").joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
        return _validated(_laid_over(base, tomllib.loads(text)), f"policy {name_or_path}")
    path = Path(name_or_path).expanduser()
    if not path.is_file():
        raise ConfigError(
            f"there is no policy `{name_or_path}`",
            remedy=f"built-in: {', '.join(known())}; or give the path of a policy file",
        )
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(f"policy {path} cannot be read: {e}", remedy="see docs/policy.md") from e
    return _validated(_laid_over({**base, "name": path.stem}, table), f"policy {path}")


def _validated(table: dict[str, Any], where: str) -> Policy:
    try:
        return Policy.model_validate(table)
    except ValidationError as e:
        raise explain(e, Policy, where) from e


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _laid_over(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


_STRICTNESS = (Action.ALLOW, Action.REVIEW, Action.BLOCK)

_HOLDS: dict[Direction, Callable[[Any, Any], bool]] = {
    Direction.LOWER: lambda host, repo: repo <= host,
    Direction.HIGHER: lambda host, repo: repo >= host,
    Direction.GROWS: lambda host, repo: True,
    Direction.NARROWS: lambda host, repo: bool(repo) and (not host or set(repo) <= set(host)),
    Direction.STRICTER: lambda host, repo: _STRICTNESS.index(repo) >= _STRICTNESS.index(host),
    Direction.ON: lambda host, repo: repo or not host,
    Direction.FIXED: lambda host, repo: False,
}


T = TypeVar("T", bound=Table)


def _tightened(host: T, wished: T, table: Mapping[str, Any], where: str, path: tuple[str, ...]) -> T:
    changes: dict[str, Any] = {}
    for key, value in table.items():
        before, after = getattr(host, key), getattr(wished, key)
        here = (*path, key)
        if isinstance(before, Table):
            changes[key] = _tightened(before, after, value, where, here)
            continue
        direction = next(m for m in type(host).model_fields[key].metadata if isinstance(m, Direction))
        if not _HOLDS[direction](before, after):
            raise ConfigError(
                f"{where}: `{'.'.join(here)}` {direction.value}: the host says {_shown(before)}, this {_shown(after)}",
                remedy="a repository can only tighten the host's policy: take the key out, or change it on the host",
            )
        changes[key] = tuple(dict.fromkeys((*before, *after))) if direction is Direction.GROWS else after
    return host.model_copy(update=changes)


def _shown(value: Any) -> str:
    return json.dumps(value if not isinstance(value, tuple) else list(value))
