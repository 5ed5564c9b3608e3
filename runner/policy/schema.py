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

    def at_most(self, most: Action) -> Action:
        """The milder of the two."""
        return min(self, most, key=_STRICTNESS.index)


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
        ge=0, description="Most lines added and removed, together; a file that is only moved has none."
    )
    max_file_lines: Annotated[int, Direction.LOWER] = Field(ge=0, description="Most lines changed in one file.")
    max_line_length: Annotated[int, Direction.LOWER] = Field(ge=1, description="Longest added line, in bytes.")
    max_file_bytes: Annotated[int, Direction.LOWER] = Field(
        ge=0, description="Largest file that a patch may add or make larger, in bytes."
    )


class Shape(Table):
    """`[shape]`: is it a change, and one that a person made?"""

    noise: Annotated[Action, Direction.STRICTER] = Field(description="A patch of nothing but whitespace.")
    whitespace: Annotated[Action, Direction.STRICTER] = Field(
        description="A file whose change is nothing but whitespace, beside real changes."
    )
    minified: Annotated[Action, Direction.STRICTER] = Field(description="Minified code and source maps.")
    generated: Annotated[Action, Direction.STRICTER] = Field(description="Files that a program writes.")
    generated_paths: Annotated[Patterns, Direction.GROWS] = Field(
        description="Files that are known to be generated, beside those that say so themselves."
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
    startup: Annotated[Patterns, Direction.GROWS] = Field(
        description="Files that Python or Node run or trust without being asked; no patch may touch them."
    )
    reviewed: Annotated[Patterns, Direction.GROWS] = Field(
        description="Files that a patch may touch, and that are shown to the reviewer."
    )
    shadow: Annotated[Action, Direction.STRICTER] = Field(
        description="New top-level modules with the name of a standard or a test module."
    )
    collision: Annotated[Action, Direction.STRICTER] = Field(
        description="New paths that are another's for a file system blind to case or Unicode form."
    )
    reserved: Annotated[Action, Direction.STRICTER] = Field(description="New names that not every system can hold.")
    lookalike: Annotated[Action, Direction.STRICTER] = Field(
        description="New names with letters that only look like Latin ones."
    )


class Content(Table):
    """`[content]`: what a changed path may be."""

    binary: Annotated[Action, Direction.STRICTER] = Field(description="Binary files.")
    symlink: Annotated[Action, Direction.STRICTER] = Field(description="Symbolic links, made or changed.")
    submodule: Annotated[Action, Direction.STRICTER] = Field(description="Submodules, made, moved or removed.")
    mode: Annotated[Action, Direction.STRICTER] = Field(description="Executable bits and changes of a path's type.")
    git_files: Annotated[Action, Direction.STRICTER] = Field(
        description=".gitattributes, .gitmodules, .lfsconfig: they change what git and GitHub show."
    )
    lfs: Annotated[Action, Direction.STRICTER] = Field(description="Pointers to Git LFS, made or changed.")


class Secrets(Table):
    """`[secrets]`: what looks like a secret on added lines."""

    private_key: Annotated[Action, Direction.STRICTER] = Field(description="Private keys.")
    token: Annotated[Action, Direction.STRICTER] = Field(description="Tokens of a known provider's form.")
    likely: Annotated[Action, Direction.STRICTER] = Field(
        description="A random value under a name like `password`, outside tests and documentation."
    )
    unsure: Annotated[Action, Direction.STRICTER] = Field(
        description="A value under such a name, a random value, or a password in an address."
    )


class Text(Table):
    """`[text]`: what a reader sees is what is there; on added lines."""

    bidi: Annotated[Action, Direction.STRICTER] = Field(description="Characters that turn the text around.")
    invisible: Annotated[Action, Direction.STRICTER] = Field(description="Characters that nobody can see.")
    control: Annotated[Action, Direction.STRICTER] = Field(
        description="Control characters: escapes of a terminal, lone carriage returns, odd ends of lines."
    )
    form_feed: Annotated[Action, Direction.STRICTER] = Field(description="A form feed on a line of its own.")
    line_ends: Annotated[Action, Direction.STRICTER] = Field(
        description="Lines that end in CR LF in a file that had none, or that mixes them."
    )
    identifier: Annotated[Action, Direction.STRICTER] = Field(
        description="Names in code that look like another, or are another to the compiler."
    )
    lookalike: Annotated[Action, Direction.STRICTER] = Field(
        description="Words elsewhere in code that mix letters of several scripts."
    )
    space: Annotated[Action, Direction.STRICTER] = Field(description="Spaces in code that are not the usual one.")
    far_right: Annotated[Action, Direction.STRICTER] = Field(description="Code pushed out of sight by whitespace.")
    encoding: Annotated[Action, Direction.STRICTER] = Field(
        description="Text that is no UTF-8, and sources that declare another encoding."
    )
    bom: Annotated[Action, Direction.STRICTER] = Field(description="A new byte order mark.")
    blob: Annotated[Action, Direction.STRICTER] = Field(description="Long encoded data in a source file.")
    instructions: Annotated[Action, Direction.STRICTER] = Field(
        description="Words that tell a coding agent or a reviewing model what to do."
    )


class Code(Table):
    """`[code]`: what a changed source newly uses, beside what it used before. Python, JavaScript and TypeScript."""

    decoded: Annotated[Action, Direction.STRICTER] = Field(description="Running something that was decoded first.")
    credentials: Annotated[Action, Direction.STRICTER] = Field(
        description="Places where secrets are kept; sending the environment away."
    )
    network: Annotated[Action, Direction.STRICTER] = Field(description="Network calls in product code.")
    network_in_tests: Annotated[Action, Direction.STRICTER] = Field(
        description="Network calls in tests and build files, other than to the machine itself."
    )
    dynamic: Annotated[Action, Direction.STRICTER] = Field(description="eval, exec, compile and the like.")
    computed_import: Annotated[Action, Direction.STRICTER] = Field(
        description="Imports of a name or file that is computed."
    )
    shell: Annotated[Action, Direction.STRICTER] = Field(description="Commands through a shell.")
    process: Annotated[Action, Direction.STRICTER] = Field(description="Other processes, without a shell.")
    deserialize: Annotated[Action, Direction.STRICTER] = Field(
        description="Reading formats that can run code: pickle, marshal, shelve, unsafe YAML."
    )
    native: Annotated[Action, Direction.STRICTER] = Field(description="Native code: ctypes, cffi, process.binding.")
    files: Annotated[Action, Direction.STRICTER] = Field(description="Writing to fixed places outside the project.")
    temporary: Annotated[Action, Direction.STRICTER] = Field(description="Temporary names that anybody can take.")
    tls: Annotated[Action, Direction.STRICTER] = Field(description="Certificates not being checked.")
    in_tests: Annotated[Action, Direction.STRICTER] = Field(
        description="The most that follows from these in tests; not for `decoded`, `credentials` and the network."
    )
    in_improvements: Annotated[Action, Direction.STRICTER] = Field(
        description="The most that follows where the goal is `improve`; not for `decoded`, `credentials` and tests."
    )
    unreadable: Annotated[Action, Direction.STRICTER] = Field(
        description="A source that could be parsed on the base, and cannot any more."
    )


class Dependencies(Table):
    """`[dependencies]`: what a manifest or lock file may change where the goal is `deps`."""

    scripts: Annotated[Action, Direction.STRICTER] = Field(description="Scripts that npm runs.")
    settings: Annotated[Action, Direction.STRICTER] = Field(description="Anything but dependencies.")
    source: Annotated[Action, Direction.STRICTER] = Field(
        description="Packages by address, other indexes, hosts that the lock file did not have."
    )
    programs: Annotated[Action, Direction.STRICTER] = Field(
        description="Programs that are run when the project is built, setup.py among them."
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
    skipped: Annotated[Action, Direction.STRICTER] = Field(
        description="A test is skipped, expected to fail, or left out by an `.only` elsewhere."
    )
    disabled: Annotated[Action, Direction.STRICTER] = Field(
        description="A test is still there, and no runner collects it any more."
    )
    emptied: Annotated[Action, Direction.STRICTER] = Field(
        description="A test has no assertion left that can fail, or one whose failure does not show."
    )
    weakened: Annotated[Action, Direction.STRICTER] = Field(
        description="An assertion was removed, or rules out less than it did."
    )
    expectations: Annotated[Action, Direction.STRICTER] = Field(
        description="A test expects another outcome, and no code changed; where code changed, see `doubtful`."
    )
    cases: Annotated[Action, Direction.STRICTER] = Field(description="Cases of a parametrized test were removed.")
    hollow: Annotated[Action, Direction.STRICTER] = Field(
        description="A new test has only assertions that hold whatever the code does."
    )
    mocked: Annotated[Action, Direction.STRICTER] = Field(
        description="A test puts a stand-in in the place of the code that it was to test."
    )
    fixtures: Annotated[Action, Direction.STRICTER] = Field(
        description="A fixture under tests that stay as they are changed, or a new one acts on all of them."
    )
    configuration: Annotated[Action, Direction.STRICTER] = Field(
        description="Settings, hooks or plugins that decide which tests run and what counts, in whatever file."
    )
    excluded: Annotated[Action, Direction.STRICTER] = Field(
        description="A comment asks coverage to leave changed code out."
    )
    unreadable: Annotated[Action, Direction.STRICTER] = Field(
        description="A test file cannot be parsed any more, so that nobody can say what it tests."
    )
    doubtful: Annotated[Action, Direction.STRICTER] = Field(
        description="The most that follows from what the rules above see where it can well be legitimate."
    )


class Cheating(Table):
    """`[cheating]`: code that is made for the judge. Only what a patch adds counts."""

    detects_tests: Annotated[Action, Direction.STRICTER] = Field(
        description="Code asks whether a test run is going on, or imports a test runner."
    )
    special_case: Annotated[Action, Direction.STRICTER] = Field(
        description="Code answers a literal input of the changed tests with the literal that they expect."
    )
    equality: Annotated[Action, Direction.STRICTER] = Field(
        description="`__eq__` and its like answer the same whatever they are asked."
    )
    exits: Annotated[Action, Direction.STRICTER] = Field(
        description="Code ends the process, or acts when it ends or is signalled."
    )
    patches: Annotated[Action, Direction.STRICTER] = Field(
        description="Code patches built-ins, the test runner or how Python runs, or hooks into pytest."
    )
    results: Annotated[Action, Direction.STRICTER] = Field(
        description="Code touches files in which results of tests or coverage are kept."
    )
    swallowed: Annotated[Action, Direction.STRICTER] = Field(
        description="A fix catches every exception and says nothing."
    )
    unreadable: Annotated[Action, Direction.STRICTER] = Field(
        description="Code cannot be parsed any more, so that nobody can say what it does."
    )
    doubtful: Annotated[Action, Direction.STRICTER] = Field(
        description="The most that follows from what the rules above see where it can well be legitimate."
    )


class Coverage(Table):
    """`[coverage]`: which lines tests must reach. In percent of executable lines of product code, 0-100."""

    max_drop: Annotated[float, Direction.LOWER] = Field(
        ge=0, le=100, description="Most percent points that total coverage may fall."
    )
    min_changed: Annotated[float, Direction.HIGHER] = Field(
        ge=0, le=100, description="Least share of the changed lines that the tests run."
    )


class Repeats(Table):
    """`[repeats]`: tests on which the verdict hangs are run again, so that chance is neither a fault nor a proof."""

    times: Annotated[int, Direction.FIXED] = Field(
        ge=0, le=20, description="How often a test that seems broken, or a proof, is run again, before and after."
    )
    seconds: Annotated[float, Direction.FIXED] = Field(ge=0, description="The longest time for all of that.")


class Mutants(Table):
    """`[mutants]`: changed lines of product code are altered; tests that notice nothing say little about them."""

    most: Annotated[int, Direction.FIXED] = Field(ge=0, description="Most alterations tried; 0 tries none.")
    seconds: Annotated[float, Direction.FIXED] = Field(ge=0, description="The longest time for all of them.")
    survived: Annotated[Action, Direction.STRICTER] = Field(
        description="An alteration that no test notices; with `allow` it is a note to the reviewer."
    )


class Necessity(Table):
    """`[necessity]`: each part of a patch is taken back by itself, to see whether a test needs it."""

    most: Annotated[int, Direction.FIXED] = Field(ge=0, description="Most parts tried; 0 tries none.")
    seconds: Annotated[float, Direction.FIXED] = Field(ge=0, description="The longest time for all of them.")
    unneeded: Annotated[Action, Direction.STRICTER] = Field(
        description="A part that no test needs; with `allow` it is a note to the reviewer."
    )


class Lint(Table):
    """`[lint]`: the linter that the repository has configured."""

    new: Annotated[Action, Direction.STRICTER] = Field(description="Findings that the base does not have.")
    silenced: Annotated[Action, Direction.STRICTER] = Field(
        description="New comments that ask a linter, type checker or scanner to be silent."
    )


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
    shape: Shape
    paths: Paths
    content: Content
    secrets: Secrets
    text: Text
    code: Code
    dependencies: Dependencies
    tests: Tests
    cheating: Cheating
    coverage: Coverage
    repeats: Repeats
    mutants: Mutants
    necessity: Necessity
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
        if self.necessity.unneeded is Action.BLOCK:
            lines.append(
                "Change nothing that no test needs: each part of the patch is taken back, and a test must fail."
            )
        if self.mutants.survived is Action.BLOCK:
            lines.append("Tests must notice a mistake on any line that you change, such as `<` for `<=`.")
        lines += [
            "Every test that passes now must still pass. Do not delete, skip or weaken tests.",
            f"Tests must run at least {self.coverage.min_changed:g} % of the lines that you change.",
            "Total coverage must not fall.",
            "No binary files, symbolic links, submodules or changes of file modes; no secrets, not even made-up ones.",
            "No new network calls, shell commands, eval or exec, unless the goal cannot be reached without.",
        ]
        return "\n".join(f"- {line}" for line in lines)


def known() -> list[str]:
    """Names of the built-in policies."""
    return sorted(f.name.removesuffix(".toml") for f in files("policies").iterdir() if f.name.endswith(".toml"))


def load_policy(name_or_path: str) -> Policy:
    """A built-in policy by name, or a policy file.

    Keys that a file leaves out are those of the policy that its `extends` names (a built-in one, or the path of
    another file, relative to this one), or of `default`.

    Raises:
        ConfigError: there is no such policy, or the file is wrong.
    """
    table, where = _table(name_or_path, Path(), ())
    return _validated(table, where)


_DEEPEST = 8


def _table(name_or_path: str, folder: Path, above: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """(every key of a policy, what to call it), with what it extends below it."""
    if name_or_path in known():
        where, key, home = f"policy {name_or_path}", name_or_path, Path()
        text = files("policies").joinpath(f"{name_or_path}.toml").read_text(encoding="utf-8")
        own = tomllib.loads(text)
    else:
        path = folder / Path(name_or_path).expanduser()
        where, key, home = f"policy {path}", str(path.resolve()), path.parent
        own = {"name": path.stem, **_read(path, name_or_path)}
    if key in above or len(above) >= _DEEPEST:
        raise ConfigError(f"{where}: `extends` comes back to itself", remedy="let the last of the chain extend default")
    under = own.pop("extends", None if key == "default" else "default")
    if under is None:
        return own, where
    if not isinstance(under, str):
        raise ConfigError(f"{where}: `extends` is no name", remedy="give the name or the path of one policy")
    below, _ = _table(under, home, (*above, key))
    return _laid_over(below, own), where


def _read(path: Path, asked: str) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(
            f"there is no policy `{asked}`",
            remedy=f"built-in: {', '.join(known())}; or give the path of a policy file",
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(f"policy {path} cannot be read: {e}", remedy="see docs/policy.md") from e


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
