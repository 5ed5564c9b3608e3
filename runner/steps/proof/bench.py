"""One tree, one fresh container, one measurement. No door, no network; results are read from outside."""

from __future__ import annotations

import logging
import re
import shlex
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from threading import Event

from runner.git.mirror import Mirror
from runner.git.trees import export, paths
from runner.project import Command, Project, Pytest, restore
from runner.project.hanging import MODULE as HANGING
from runner.project.steady import MODULE as STEADY_COVERAGE
from runner.steps.proof.agreement import disagreement
from runner.steps.proof.junit import JUnitError, read_junit
from runner.steps.proof.lines import read_coverage_json, read_report, together
from runner.steps.proof.results import FileLines, Measurement, TestOutcome, TestResult
from sandbox.again import going_on
from sandbox.api import WORKSPACE, ExecResult, Limits, OutputTooLargeError, Sandbox, Sandboxes, Spec

log = logging.getLogger(__name__)

SUITE = "(the test command)"
"""The one test id of a command that leaves no JUnit XML."""

_OURS = "/tmp/automend"  # noqa: S108 - in the container, outside the workspace, on a disk of its own
_JUNIT = f"{_OURS}/junit.xml"
_COVERAGE = f"{_OURS}/coverage.json"
_RCFILE = f"{_OURS}/coveragerc"
_READ_LIMIT = 64 << 20
_OUTPUT = 8_000
_PREPARE_SECONDS = 60.0
_REPORT_SECONDS = 180.0
_ONE_TEST_SECONDS = 60.0
_SMALL = 0.7
"""Share of the container's memory that a process may take for itself where the whole was not enough."""
_PYTEST_NO_TESTS = 5
# Options of pytest after which no value of theirs follows; of others one might.
_ALONE = re.compile(r"--?(?:[qvxsl]+|r\w*|strict(-\w+)?|\S+=.*|verbose|quiet|exitfirst|doctest-modules)$")

# Ours, not the repository's: its `omit` and `exclude_lines` must not hide a line. What cannot run by its nature is
# left out; a pragma is left out too, and counted again where the patch itself brings it (see `lines`).
_COVERAGERC = f"""[run]
source = {WORKSPACE}
relative_files = true
patch = subprocess
plugins = {STEADY_COVERAGE}
data_file = {_OURS}/data/coverage
[report]
ignore_errors = true
exclude_lines =
    #\\s*(pragma|PRAGMA)[:\\s]?\\s*(no|NO)\\s*(cover|COVER)
    ^\\s*(el)?if (\\w+\\.)?TYPE_CHECKING\\b
    ^\\s*@(\\w+\\.)?overload\\b
    ^\\s*\\.\\.\\.\\s*$
"""

_PYTEST = (
    "-o", f"cache_dir={_OURS}/pytest", "-o", "junit_family=xunit1", f"--junitxml={_JUNIT}", f"--rootdir={WORKSPACE}",
    "--continue-on-collection-errors", "--maxfail=0", "--color=no",
)  # fmt: skip

# -P keeps the workspace from shadowing the test tools; older Pythons do not know it.
_PYTHON = "safe=; /opt/env/bin/python -P -c '' 2>/dev/null && safe=-P; "
_REPORT = (
    f"{_PYTHON} cd {WORKSPACE}; /opt/env/bin/python $safe -m coverage combine -q --rcfile={_RCFILE}; "
    f"exec /opt/env/bin/python $safe -m coverage json -q --rcfile={_RCFILE} -o {_COVERAGE}"
)
_QUICK = ("-q", "-x", "-o", f"cache_dir={_OURS}/pytest", f"--rootdir={WORKSPACE}", "--color=no", "--tb=no")
# A file that is changed twice in a second would be taken for what was compiled of it before.
_NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}
_MOST_REPORTS = 500
_PATTERN = "IFS=;"  # so that a pattern is expanded, and a name with spaces stays one
# The same in every run, as far as tools let us choose: hypothesis, too, takes fixed cases and no deadline in CI.
_STEADY = {"CI": "true", "PYTHONHASHSEED": "0"}


@dataclass(frozen=True)
class Bench:
    """Where trees of one project are measured.

    `limits.wall_seconds` is the longest time of one run of the suite. `build` compiles native sources in the
    workspace before it. Once a fresh container of the image told that the setup generated nothing, the others, which
    are of the same image (a digest), are not asked.
    """

    mirror: Mirror
    sandboxes: Sandboxes
    image: str
    project: Project
    limits: Limits
    labels: Mapping[str, str]
    build: str | None = None
    nothing_generated: Event = field(default_factory=Event, repr=False, compare=False)

    def commands(self) -> tuple[str, ...]:
        """The commands that measure, as a person would type them in the workspace."""
        test = self.project.test
        found = [_pytest_line(test)] if isinstance(test, Pytest) else [test.line] if test is not None else []
        found = [*([self.build] if self.build is not None else []), *found]
        return (*found, *([self.project.lint.line] if self.project.lint is not None else []))

    def measure(self, tree: str, *, only: tuple[str, ...] = (), coverage: bool = True) -> Measurement:
        """Run the suite on a tree; only these tests or test modules, where any are named and the runner can do that.

        Where the container is lost, it is run from its beginning in a new one. Where its memory was not enough, it is
        run once more so that what grows without end fails by itself, as a red test among others.

        Raises:
            SandboxError: the machine failed.
            GitError: the tree cannot be read.
        """
        made = partial(self._measure, tree, only=only, coverage=coverage)
        first = going_on(partial(made, kept_small=False), tell=log.warning)
        if not first.memory:
            return first
        second = going_on(partial(made, kept_small=True), tell=log.warning)
        return first if second.problem else second

    def _measure(self, tree: str, *, only: tuple[str, ...], coverage: bool, kept_small: bool) -> Measurement:
        test = self.project.test
        known = paths(self.mirror, tree)
        with self.box(tree) as box:
            if self.build is not None:
                built = box.exec(["/bin/sh", "-c", self.build], timeout=self.limits.wall_seconds)
                limit = self._limit(built, got_results=False)
                if limit or built.exit_code != 0:
                    problem = limit or f"the native sources do not compile: {tail(built)[-300:]}"
                    return _ended(built, problem=problem, limit=bool(limit))
            if isinstance(test, Pytest):
                measured = coverage and test.coverage
                return self._pytest(box, test, known, only=only, coverage=measured, kept_small=kept_small)
            if isinstance(test, Command):
                return self._command(box, test, known, only=only if test.selects else (), coverage=coverage)
        raise ValueError("there is nothing to run: the project has no test command")

    def shell(self, tree: str, line: str, seconds: float) -> ExecResult:
        """Run a shell command in the workspace of a fresh container, after the build; no exit code where that failed.

        Raises:
            SandboxError: the machine failed.
            GitError: the tree cannot be read.
        """

        def work() -> ExecResult:
            with self.box(tree) as box:
                if self.build is not None:
                    built = box.exec(["/bin/sh", "-c", self.build], timeout=self.limits.wall_seconds)
                    if built.exit_code != 0:  # what would fail now, fails for another reason
                        return replace(built, exit_code=None)
                return box.exec(["/bin/sh", "-c", line], timeout=min(seconds, self.limits.wall_seconds), env=_STEADY)

        return going_on(work, tell=log.warning)

    def asks(self, box: Sandbox, known: Collection[str], only: tuple[str, ...], *, seconds: float) -> bool | None:
        """Whether the tests pass on what is in a container now, by the exit code alone and up to the first failure.

        `known` are the paths of its tree, `only` the tests that are asked, or () for all. None where they were not
        done in time. Only for what informs, never for a verdict: nothing is read from outside.

        Raises:
            SandboxError: the machine failed.
        """
        test = self.project.test
        words: list[str] = []
        if isinstance(test, Pytest):
            words = [*_QUICK, *test.neutral, *chosen(test, known, only)]
            script = f'{_PYTHON} cd {WORKSPACE}; exec /opt/env/bin/python $safe -m pytest "$@"'
        else:
            script = test.line if test is not None else "false"
        ran = box.exec(["/bin/sh", "-c", script, "sh", *words], timeout=seconds, env=_STEADY | _NO_BYTECODE)
        return None if ran.timed_out else ran.exit_code == 0 and not ran.truncated

    @contextmanager
    def box(self, tree: str) -> Iterator[Sandbox]:
        """A fresh container with a tree in its workspace, and with what the setup generates.

        Raises:
            SandboxError: the machine failed.
            GitError: the tree cannot be read.
        """
        with self.sandboxes.open(Spec(image=self.image, labels=self.labels, limits=self.limits)) as box:
            box.put_tree(export(self.mirror, tree))
            if not self.nothing_generated.is_set() and not restore(box):
                self.nothing_generated.set()
            yield box

    def _pytest(
        self,
        box: Sandbox,
        test: Pytest,
        known: Mapping[str, object],
        *,
        only: tuple[str, ...],
        coverage: bool,
        kept_small: bool,
    ) -> Measurement:
        if coverage and (unwritable := _prepare(box)):
            return Measurement(problem=unwritable, limit=True)
        words = [*_PYTEST, *test.neutral, *chosen(test, known, only)]
        seconds = min(_ONE_TEST_SECONDS, self.limits.wall_seconds / 5)
        small = f"ulimit -d {int(self.limits.memory_mb * 1024 * _SMALL)}; " if kept_small else ""
        script = (
            f"{_PYTHON} cd {WORKSPACE}; {small}"
            f'[ -f /opt/automend/one_test_timeout ] && set -- --timeout={seconds:g} -p {HANGING} "$@"; '
            f'exec /opt/env/bin/python $safe {_measured(coverage=coverage)} "$@"'
        )
        ran = box.exec(["/bin/sh", "-c", script, "sh", *words], timeout=self.limits.wall_seconds, env=_STEADY)
        tests, problem = _read_results(box, _JUNIT, known)
        limit = self._limit(ran, got_results=tests is not None)
        if tests is None and not limit and not coverage:
            limit = _prepare(box)  # without lines to count pytest needs nothing of ours, and an exec takes its time
        if limit or tests is None:
            why = limit or f"pytest ended with {ran.exit_code}: {problem}"
            ended = _ended(ran, problem=why, limit=bool(limit))
            return ended.model_copy(update={"memory": ran.oom and not kept_small})
        if ran.exit_code == _PYTEST_NO_TESTS and not tests:
            return _ended(ran)
        doubt = disagreement(ran.exit_code, tests, ran.stdout)
        lines = self._coverage(box) if coverage else None
        return _ended(ran, tests=tests, problem=doubt, lines=lines)

    def _coverage(self, box: Sandbox) -> dict[str, FileLines] | None:
        box.exec(["/bin/sh", "-c", _REPORT], timeout=_REPORT_SECONDS)
        try:
            content = box.read(_COVERAGE, limit=_READ_LIMIT)
        except OutputTooLargeError:
            return None
        return read_coverage_json(content) if content is not None else None

    def _command(
        self, box: Sandbox, test: Command, known: Mapping[str, object], *, only: tuple[str, ...], coverage: bool
    ) -> Measurement:
        reports = [path for path in (test.junit, test.coverage) if path]
        for pattern in reports:  # a report that the tree itself brings is nobody's
            box.exec(["/bin/sh", "-c", f"{_PATTERN} rm -f -- $1", "sh", pattern], timeout=_PREPARE_SECONDS)
        line = test.line if coverage or not test.quick else test.quick
        line = f"{line} {shlex.join(only)}" if only else line
        ran = box.exec(["/bin/sh", "-c", line], timeout=self.limits.wall_seconds, env=_STEADY)
        limit = self._limit(ran, got_results=False)
        if limit:
            return _ended(ran, problem=limit, limit=True)
        lines = _read_lines(box, test.coverage, known) if test.coverage and coverage else None
        if test.junit is None:
            outcome = TestOutcome.PASSED if ran.exit_code == 0 else TestOutcome.FAILED
            said = "" if ran.exit_code == 0 else f"exit code {ran.exit_code}"
            return _ended(ran, tests={SUITE: TestResult(outcome=outcome, message=said)}, lines=lines)
        tests: dict[str, TestResult] = {}
        for path in _files(box, test.junit):
            found, problem = _read_results(box, path, known)
            if found is None:
                return _ended(ran, problem=f"`{test.line}` ended with {ran.exit_code}: {problem}")
            tests |= {name: result for name, result in found.items() if name not in tests or result.outcome.red}
        return _ended(ran, tests=tests, problem=disagreement(ran.exit_code, tests), lines=lines)

    def _limit(self, ran: ExecResult, *, got_results: bool) -> str:
        """Which of our limits ended a command, or nothing."""
        if ran.timed_out:
            return f"the tests were not done after {self.limits.wall_seconds:g} s (run.verify_seconds)"
        if ran.truncated:
            return f"the tests printed more than {self.limits.output_mb} MiB (sandbox.output_mb)"
        if ran.oom and not got_results:
            return f"the tests needed more than {self.limits.memory_mb} MiB of memory (sandbox.memory_mb)"
        return ""


def chosen(test: Pytest, known: Collection[str], only: tuple[str, ...]) -> tuple[str, ...]:
    """The repository's own arguments for pytest; where only some tests are asked for, they stand in place of the files
    and folders there."""
    if not only:
        return test.arguments
    folders = {str(parent) for path in known for parent in PurePosixPath(path).parents}

    def is_place(word: str, before: str) -> bool:
        path = str(PurePosixPath(word.partition("::")[0]))
        return (path in known or path in folders) and (not before.startswith("-") or bool(_ALONE.match(before)))

    kept = [
        word
        for before, word in zip(("", *test.arguments), test.arguments, strict=False)
        if word.startswith("-") or not is_place(word, before)
    ]
    return (*kept, *only)


def _prepare(box: Sandbox) -> str:
    """Lay our settings for coverage where pytest's results will be, too; or say why that cannot be."""
    made = box.exec(
        ["/bin/sh", "-c", f"mkdir -p {_OURS}/data && cat > {_RCFILE}"],
        timeout=_PREPARE_SECONDS,
        stdin=_COVERAGERC.encode(),
    )
    return "" if made.exit_code == 0 else f"the container's /tmp cannot be written: {tail(made)}"


def _measured(*, coverage: bool) -> str:
    return f"-m coverage run --rcfile={_RCFILE} -m pytest" if coverage else "-m pytest"


def _pytest_line(test: Pytest) -> str:
    options = [*_PYTEST, *test.neutral, *test.arguments]
    return f"python -P {_measured(coverage=test.coverage)} {shlex.join(options)}"


def _files(box: Sandbox, pattern: str) -> list[str]:
    """The files that a pattern names; itself, where it is none or there is no such file."""
    if not set(pattern) & set("*?["):
        return [pattern]
    listed = box.exec(["/bin/sh", "-c", f"{_PATTERN} ls -1d -- $1", "sh", pattern], timeout=_PREPARE_SECONDS)
    found = [name for name in listed.stdout.decode("utf-8", "replace").splitlines() if name]
    return found[:_MOST_REPORTS] if listed.exit_code == 0 and found else [pattern]


def _read_lines(box: Sandbox, pattern: str, known: Mapping[str, object]) -> dict[str, FileLines] | None:
    found = []
    for path in _files(box, pattern):
        try:
            content = box.read(path, limit=_READ_LIMIT)
        except OutputTooLargeError:
            return None
        lines = read_report(content, known) if content is not None else None
        if lines is None:
            return None
        found.append(lines)
    return together(found)


def _read_results(box: Sandbox, path: str, known: Mapping[str, object]) -> tuple[dict[str, TestResult] | None, str]:
    try:
        content = box.read(path, limit=_READ_LIMIT)
    except OutputTooLargeError:
        return None, f"its results ({path}) are larger than {_READ_LIMIT >> 20} MiB"
    if content is None:
        return None, f"it left no results at {PurePosixPath(path).name}"
    try:
        return read_junit(content, known.keys()), ""
    except JUnitError as e:
        return None, f"its results ({path}) cannot be read: {e}"


def _ended(
    ran: ExecResult,
    *,
    tests: dict[str, TestResult] | None = None,
    problem: str = "",
    limit: bool = False,
    lines: dict[str, FileLines] | None = None,
) -> Measurement:
    return Measurement(
        tests=tests or {},
        problem=problem,
        limit=limit,
        exit_code=ran.exit_code,
        output=tail(ran),
        seconds=round(ran.seconds, 2),
        lines=lines,
    )


def tail(ran: ExecResult) -> str:
    """The end of what a command printed, as text."""
    text = ran.stdout[-_OUTPUT:] + (b"\n" + ran.stderr[-_OUTPUT // 4 :] if ran.stderr else b"")
    return text.decode("utf-8", "replace").replace("\0", "\ufffd").strip()
