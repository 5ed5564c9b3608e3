"""The `test` script of package.json → commands that leave JUnit XML and coverage: node:test, Vitest, Jest, Mocha.

The script is read, not run: what it does besides (a build) is kept, what only checks style is left out, and the words
that would keep us from measuring (watching, other reporters, stopping at the first failure) are taken off the runner.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from runner.project.node_script import ASSIGNMENT, commands, does

Runner = Literal["node", "vitest", "jest", "mocha"]

TOOLS = "/opt/automend/node-tools"
"""Where the reporters and c8 are, apart from the project's packages."""

COVER = f"{TOOLS}/cover"
"""Runs a command, and leaves LCOV of all Node that it started."""

JUNIT = "/tmp/automend-junit-*.xml"  # noqa: S108 - in the container, on a disk of its own
COVERAGE = "/tmp/automend-coverage*/lcov.info"  # noqa: S108

_COVERED = f"{COVER} /tmp/automend-coverage"
_FORCES_EXIT = 22
_TAP_ANEW = 18
_QUOTES = "\"'`$\\"
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
    for segment in commands(scripts):
        runner = _runner(segment)
        if runner is not None:
            found.append(runner)
        elif not found and does(segment):
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


def whole_script(scripts: Mapping[str, object], tap: int, shown: str) -> tuple[str, str]:
    """(with coverage, without) the commands of `scripts.test` as one, for a runner that we do not know.

    What npm runs after the tests (an audit, style checks) is not among them: it says nothing of the code, and needs
    the network more often than not.

    Args:
        tap: the major version of tap, which fails where it finds lines without coverage; 0 for the newest.
        shown: what to run where nothing is to be seen in the script.
    """
    does_all = [_without_threshold(words, tap) for words in commands(scripts) if does(words)]
    if not does_all:
        return f"{_COVERED} {shown}", shown
    line = " && ".join(['export PATH="$PWD/node_modules/.bin:$PATH"', *(" ".join(words) for words in does_all)])
    return f"{_COVERED} sh -c {shlex.quote(line)}", line


def _without_threshold(words: list[str], tap: int) -> list[str]:
    at = next((at for at, word in enumerate(words) if not ASSIGNMENT.match(word)), 0)
    if PurePosixPath(words[at]).name != "tap":
        return words
    kept = [word for word in words if not word.startswith(("--cov", "--check-cov", "--100", "--coverage", "-J"))]
    return [
        *kept,
        *(["--no-coverage"] if 0 < tap < _TAP_ANEW else ["--disable-coverage", "--allow-incomplete-coverage"]),
    ]


def _runner(words: list[str]) -> tuple[Runner, list[str], list[str]] | None:
    """(runner, the words before it that count, the words after it) of a command; None where it is no such."""
    for at, word in enumerate(words):
        name = PurePosixPath(word).name
        if name == "node" and "--test" in words[at + 1 :]:
            return "node", [word for word in words[:at] if ASSIGNMENT.match(word)], words[at + 1 :]
        if name in {"node", "nodejs"}:
            continue
        runner = _NAMES.get(name)
        if runner is not None:
            return runner, _kept(words[:at]), words[at + 1 :]
        wrapped = any(PurePosixPath(before).name in (_WRAPPERS | {"node"}) for before in words[:at])
        if not (wrapped or name in _WRAPPERS or ASSIGNMENT.match(word)):
            return None
    return None


def _kept(words: list[str]) -> list[str]:
    """What the words before a runner set: variables, and options of the Node that is to run it."""
    kept = [word for word in words if ASSIGNMENT.match(word)]
    at = next((at for at, word in enumerate(words) if PurePosixPath(word).name == "node"), None)
    options = words[at + 1 :] if at is not None else []
    if options and not options[0].startswith("-"):  # a script of theirs that starts the runner
        kept += ["node", *options]
    elif options:
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
        "--reporters=default", f"--reporters={TOOLS}/jest-argv.cjs", f"--reporters={TOOLS}/node_modules/jest-junit",
        "--bail=0", "--forceExit",
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
