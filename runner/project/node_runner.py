"""The `test` script of package.json → commands that leave JUnit XML and coverage: node:test, Vitest, Jest, Mocha.

The script is read, not run: what it does besides (a build) is kept, what only checks style is left out, and the words
that would keep us from measuring (watching, other reporters, stopping at the first failure) are taken off the runner.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

Runner = Literal["node", "vitest", "jest", "mocha"]

TOOLS = "/opt/automend/node-tools"
"""Where the reporters and c8 are, apart from the project's packages."""

COVER = f"{TOOLS}/cover"
"""Runs a command, and leaves LCOV of all Node that it started."""

JUNIT = "/tmp/automend-junit-*.xml"  # noqa: S108 - in the container, on a disk of its own
COVERAGE = "/tmp/automend-coverage*/lcov.info"  # noqa: S108

_DEEPEST = 8
_FORCES_EXIT = 22
_QUOTES = "\"'`$\\"
_TOKEN = re.compile(r"""&&|\|\||[;|&]|\d?>+&?|<|(?:[^\s"'\\;|&<>]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""")
_ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
_STYLE = frozenset({
    "eslint", "standard", "xo", "semistandard", "prettier", "biome", "oxlint", "tsd", "attw", "publint", "knip",
    "depcheck", "dprint", "markdownlint", "commitlint", "stylelint", "tslint", "echo",
})  # fmt: skip
_WRAPPERS = frozenset({"c8", "nyc", "npx", "cross-env", "env", "exec", "pnpm", "yarn", "npm"})
_NAMES: Mapping[str, Runner] = {"vitest": "vitest", "jest": "jest", "jest.js": "jest", "mocha": "mocha",
                                "_mocha": "mocha", "mocha.js": "mocha", "vitest.mjs": "vitest"}  # fmt: skip
# Options that are taken off, and whether a value follows as a word of its own.
_UNWANTED: Mapping[Runner, Mapping[str, bool]] = {
    "node": {"--test-reporter": True, "--test-reporter-destination": True, "--watch": False,
             "--experimental-test-coverage": False, "--test-coverage-include": True, "--test-coverage-exclude": True,
             "--test-coverage-lines": True, "--test-coverage-branches": True, "--test-coverage-functions": True},
    "vitest": {"--watch": False, "-w": False, "--coverage": False, "--ui": False, "--reporter": True,
               "--outputFile": True, "--bail": True},
    "jest": {"--watch": False, "--watchAll": False, "-o": False, "--onlyChanged": False, "--coverage": False,
             "--collectCoverage": False, "--collect-coverage": False, "--bail": False, "-b": False, "--reporters": True,
             "--coverageReporters": True, "--coverageDirectory": True, "--notify": False},
    "mocha": {"--watch": False, "-w": False, "--reporter": True, "-R": True, "--bail": False, "-b": False,
              "--reporter-option": True, "--reporter-options": True, "-O": True},
}  # fmt: skip


@dataclass(frozen=True)
class NodeTests:
    """How a project's tests are run, and by which runners; `quick` is without coverage. Where the command `selects`,
    files may follow it.
    """

    line: str
    quick: str
    runners: frozenset[Runner]
    selects: bool = False


def node_tests(scripts: Mapping[str, object], major: int = 24) -> NodeTests | None:
    """The commands for `scripts.test` on a major version of Node; None where no runner that we know is in it."""
    found: list[tuple[Runner, list[str], list[str]]] = []
    before: list[str] = []
    for segment in _segments("test", scripts, 0):
        runner = _runner(segment)
        if runner is not None:
            found.append(runner)
        elif not found and _does(segment):
            before.append(" ".join(segment))
    if not found:
        return None
    return NodeTests(
        line=_line(before, found, major, cover=True),
        quick=_line(before, found, major, cover=False),
        runners=frozenset(runner for runner, _, _ in found),
        selects=len(found) == 1 and _selects(found[0][0], found[0][2]),
    )


def _line(before: list[str], found: list[tuple[Runner, list[str], list[str]]], major: int, *, cover: bool) -> str:
    runs = [_measured(*one, number=number, major=major, cover=cover) for number, one in enumerate(found, 1)]
    if len(runs) > 1:  # each of them, also where one before it failed
        runs = ["{ " + "; ".join([*(f"{run} || failed=1" for run in runs), '[ -z "$failed" ]']) + "; }"]
    return " && ".join(['export PATH="$PWD/node_modules/.bin:$PATH"', *before, *runs])


def _selects(runner: Runner, words: list[str]) -> bool:
    """Whether a runner takes files as a choice among its tests, and its author has chosen none."""
    options = all(word.startswith("-") and "=" in word for word in words if word != "run")
    return runner in {"vitest", "jest"} and options


def covered(line: str) -> str:
    """A command under coverage."""
    return f"{COVER} /tmp/automend-coverage {line}"


def _segments(name: str, scripts: Mapping[str, object], depth: int) -> Iterator[list[str]]:
    """The commands of a script, with those of the scripts that it runs, and those that npm runs before it."""
    for part in (f"pre{name}", name):
        script = scripts.get(part)
        if not isinstance(script, str) or depth > _DEEPEST:
            continue
        for words in _commands(script):
            inner = _script_run(words, scripts)
            if inner is not None:
                yield from _segments(inner, scripts, depth + 1)
            else:
                yield words


def _commands(script: str) -> Iterator[list[str]]:
    """Its commands as words, with their quotes; what is piped or redirected is cut off."""
    words: list[str] = []
    cut = False
    for token in _TOKEN.findall(script):
        if token in {"&&", ";"}:
            if words:
                yield words
            words, cut = [], False
        elif token[0] in "|&<>" or re.match(r"\d>", token):
            cut = True
        elif not cut:
            words.append(token)
    if words:
        yield words


def _script_run(words: list[str], scripts: Mapping[str, object]) -> str | None:
    """Which script of the same file a command runs (`npm run unit`), where it gives it no words of its own."""
    rest = [word for word in words if not word.startswith("-") and not _ASSIGNMENT.match(word)]
    if len(rest) < 2 or rest[0] not in {"npm", "pnpm", "yarn"}:  # noqa: PLR2004 - the program and the script
        return None
    name = rest[2] if rest[1] in {"run", "run-script"} and len(rest) > 2 else rest[1]  # noqa: PLR2004
    name = {"t": "test", "tst": "test"}.get(name, name)
    return name if name in scripts and rest[-1] == name else None


def _runner(words: list[str]) -> tuple[Runner, list[str], list[str]] | None:
    """(runner, the words before it that count, the words after it) of a command; None where it is no such."""
    for at, word in enumerate(words):
        name = PurePosixPath(word).name
        if name == "node" and "--test" in words[at + 1 :]:
            return "node", [word for word in words[:at] if _ASSIGNMENT.match(word)], words[at + 1 :]
        if name in {"node", "nodejs"}:
            continue
        runner = _NAMES.get(name)
        if runner is not None:
            return runner, _kept(words[:at]), words[at + 1 :]
        wrapped = at and PurePosixPath(words[0]).name in (_WRAPPERS | {"node"})
        if not (wrapped or name in _WRAPPERS or _ASSIGNMENT.match(word)):
            return None
    return None


def _kept(words: list[str]) -> list[str]:
    """What the words before a runner set: variables, and options of the Node that is to run it."""
    kept = [word for word in words if _ASSIGNMENT.match(word)]
    at = next((at for at, word in enumerate(words) if PurePosixPath(word).name == "node"), None)
    options = words[at + 1 :] if at is not None else []
    if options:
        kept.append(f'NODE_OPTIONS="{" ".join(word for word in options if not set(word) & set(_QUOTES))}"')
    return kept


def _measured(runner: Runner, before: list[str], after: list[str], *, number: int, major: int, cover: bool) -> str:
    report = JUNIT.replace("*", str(number))
    folder = f"{COVERAGE.partition('*')[0]}-{number}"
    words = list(_without(after, _UNWANTED[runner]))
    under = [COVER, folder] if cover else []
    if runner == "node":
        ours = ["--test-reporter=spec", "--test-reporter-destination=stdout",
                "--test-reporter=junit", f"--test-reporter-destination={report}",
                *(["--test-force-exit"] if major >= _FORCES_EXIT else [])]  # fmt: skip
        return _shell([*before, *under, "node"], ours, words)
    if runner == "mocha":
        # What a test leaves open (a server, a timer) must not keep us waiting for what comes no more.
        ours = ["--reporter", f"{TOOLS}/mocha-junit.cjs", "--reporter-options", f"output={report}", "--exit"]
        return _shell([*before, *under, "mocha"], words, ours)
    if runner == "vitest":
        words = words[1:] if words[:1] in (["run"], ["watch"], ["dev"]) else words
        zero = [f"--coverage.thresholds.{what}=0" for what in ("lines", "functions", "branches", "statements")]
        measuring = ["--coverage.enabled=true", "--coverage.provider=v8", "--coverage.reporter=lcovonly",
                     f"--coverage.reportsDirectory={folder}", "--coverage.reportOnFailure=true", *zero]  # fmt: skip
        ours = ["--reporter=default", "--reporter=junit", f"--outputFile.junit={report}", "--bail=0",
                *(measuring if cover else ["--coverage.enabled=false"]), "--passWithNoTests=true"]  # fmt: skip
        return _shell([*before, "vitest", "run"], words, ours)
    named = {
        "OUTPUT_FILE": report, "CLASSNAME": "suite", "TITLE": "{classname} > {title}", "ANCESTOR_SEPARATOR": " > ",
        "ADD_FILE_ATTRIBUTE": "true", "REPORT_TEST_SUITE_ERRORS": "true",
    }  # fmt: skip
    env = [f"JEST_JUNIT_{name}={shlex.quote(value)}" for name, value in named.items()]
    measuring = ["--coverage=true", "--coverageReporters=lcovonly", f"--coverageDirectory={folder}"]
    ours = [
        "--reporters=default", f"--reporters={TOOLS}/node_modules/jest-junit", "--bail=0", "--forceExit",
        *(measuring if cover else ["--coverage=false"]), "--coverageThreshold='{}'", "--passWithNoTests=true",
    ]  # fmt: skip
    return _shell([*before, *env, "jest"], words, ours)


def _shell(start: list[str], *rest: list[str]) -> str:
    return " ".join([*start, *(word for part in rest for word in part)])


def _without(words: list[str], unwanted: Mapping[str, bool]) -> Iterator[str]:
    skip = False
    for at, word in enumerate(words):
        if skip:
            skip = False
            continue
        name, equals, _ = word.partition("=")
        valued = name.startswith("--coverage") and name not in unwanted  # `--coverage.provider v8`
        if name not in unwanted and not valued:
            yield word
        elif not equals and (valued or unwanted[name]):
            skip = not words[at + 1 : at + 2] or not words[at + 1].startswith("-")


def _does(words: list[str]) -> bool:
    """Whether a command of the script does more than to look at style."""
    names = {PurePosixPath(word).name for word in words[:3]}
    return not names & _STYLE and not ("tsc" in names and "--noEmit" in words) and not _lints(words)


def _lints(words: list[str]) -> bool:
    return words[:1] in (["npm"], ["yarn"], ["pnpm"]) and any("lint" in w or "format" in w for w in words[1:3])
