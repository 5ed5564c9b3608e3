"""Is it chance? Tests on which the verdict hangs are run again, in fresh containers; one that goes both ways is flaky.

Runs are compared only with runs made in the same way: a test that fails alone may need those before it, and one that
passes alone may have been broken by what another left behind. Neither is chance. So what a few repeats of the test
alone leave open, one more run in the way of the first decides. Pure: whoever calls brings the runs.
"""

from __future__ import annotations

import ast
import re
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from runner.model import Goal
from runner.steps.proof.changes import split
from runner.steps.proof.redgreen import proof
from runner.steps.proof.regressions import lost_or_rewritten
from runner.steps.proof.results import Measurement
from runner.steps.proof.suites import failing
from runner.steps.proof.trial import Repeats, Trial, passes

Side = Literal["base", "kept", "red", "head"]

Again = Callable[[Side, tuple[str, ...]], Measurement]
"""Runs one of the four once more in a fresh container: these tests alone, or without any named as the first time."""

MOST_TESTS = 30
"""How many of them are run again."""
_AT_ONCE = 2
_CHEAP = 30.0
"""Seconds. Suites that are longer, and of which no single test can be run, are not repeated to confirm a proof."""
_CLOCK = re.compile(r"\b(?:perf_counter|monotonic|process_time|time\.time|timeit|default_timer)(?:_ns)?\(")
_SURE = 3
"""Runs without a failure after which a test of the base counts as steady."""


def believed(measure: Callable[[], Measurement]) -> Measurement:
    """A run; where it broke, though no limit of ours ended it, a second one: what breaks by chance proves nothing."""
    first = measure()
    if not first.problem or first.limit:
        return first
    second = measure()
    return first if second.problem else second


def once_more(ways: Mapping[str, Callable[..., Measurement]], side: Side, tests: tuple[str, ...]) -> Measurement:
    """One of the runs again: some tests alone, or as it was."""
    if not tests:
        return ways[side]()
    functions = tuple(dict.fromkeys("::".join(part for part in split(test) if part) for test in tests))
    found = ways[side](only=functions)
    if found.problem and not found.limit:  # pytest runs nothing at all where it does not know one of the names
        found = ways[side](only=tuple(dict.fromkeys(split(test)[0] for test in tests)))
    return found


@dataclass
class _Seen:
    """How one test ended on one tree: True where it passed."""

    alone: list[bool] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)

    @property
    def both_ways(self) -> bool:
        return len(set(self.alone)) > 1 or len(set(self.whole)) > 1

    @property
    def runs(self) -> list[bool]:
        return [*self.whole, *self.alone]


def repeat(trial: Trial, again: Again, *, alone: bool) -> Repeats:
    """Run again what seems lost, what fails on the patch, and what seems to be proof.

    Args:
        trial: what was measured.
        again: makes a run.
        alone: whether single tests can be run; else it is always all of them, and only once more.

    Raises:
        SandboxError: the machine failed.
        GitError: a tree cannot be read.
    """
    if not trial.policy.repeats.times:
        return Repeats()
    work = _Work(trial, again, alone=alone)
    lost = () if trial.kept.problem else lost_or_rewritten(trial)[0]
    work.judge_red("kept", lost, against_base=True)
    new = [] if trial.head.problem else [t for t in failing(trial) if t not in lost]
    work.judge_red("head", new, against_base=False)
    if trial.goal is Goal.FIX and not trial.red.problem and not trial.head.problem:
        work.judge_proof(tuple(proof(trial)))
    return Repeats(flaky=dict(sorted(work.flaky.items())), unsure=dict(sorted(work.unsure.items())), runs=work.made)


class _Work:
    def __init__(self, trial: Trial, again: Again, *, alone: bool) -> None:
        self._trial = trial
        self._again = again
        self._alone = alone
        self._until = time.monotonic() + trial.policy.repeats.seconds
        self._first = {"base": trial.base, "kept": trial.kept, "red": trial.red, "head": trial.head}
        self.flaky: dict[str, str] = {}
        self.unsure: dict[str, str] = {}
        self.made = 0

    def judge_red(self, side: Side, tests: Iterable[str], *, against_base: bool) -> None:
        """Tests that are red on the patch; `against_base` where they passed on the base."""
        asked = tuple(tests)
        some = asked[:MOST_TESTS]
        if not some:
            return
        times = self._trial.policy.repeats.times
        here, base = self._start(side, some), self._start("base", some)
        sides: tuple[Side, ...] = ("base",) if against_base else ()
        self._see(((side, here), *((s, base) for s in sides)), some, times=times)
        # Alone it is as with the others: red on the patch every time, and never on the base.
        settled = {t for t in some if _steady(here[t].alone, passed=False) and (not sides or _ok(base[t].alone))}
        open_ = [t for t in some if t not in settled and not here[t].both_ways and not base[t].both_ways]
        if open_ and self._time_for_whole(side):
            self._see(((side, here), *((s, base) for s in sides)), (), times=1)
        for test in open_:
            if len(here[test].whole) == 1:
                words = "it is not the same alone, and all tests could not be run again in time (repeats.seconds)"
                self.unsure[test] = words
        for test in some:
            if test not in settled and test not in self.unsure:
                self._conclude(test, here[test], base[test] if against_base else None)
        rest = asked[MOST_TESTS:]
        if rest and not any(t not in self.flaky and t not in self.unsure for t in some):
            self.unsure |= dict.fromkeys(rest, f"{MOST_TESTS} others that seemed lost were chance")

    def judge_proof(self, tests: tuple[str, ...]) -> None:
        """Tests that were red on the base's code and green on the patch."""
        some = tuple(t for t in tests if t not in self.flaky)[:MOST_TESTS]
        if not some:
            return
        red, head = self._start("red", some), self._start("head", some)
        self._see((("red", red), ("head", head)), some, times=self._trial.policy.repeats.times)
        redo_red = [t for t in some if not _steady(red[t].alone, passed=False)]
        redo_head = [t for t in some if not _steady(head[t].alone, passed=True)]
        sides: list[tuple[Side, dict[str, _Seen]]] = []
        sides += [("red", red)] if redo_red and self._worth_a_whole("red") else []
        sides += [("head", head)] if redo_head and self._worth_a_whole("head") else []
        self._see(tuple(sides), (), times=1)
        late = self._alone and time.monotonic() > self._until
        for test in some:
            if late and any(len(seen[test].runs) == 1 for seen in (red, head)):
                self.unsure[test] = "it could not be run again in time (repeats.seconds)"
            elif len(set(red[test].whole)) > 1 or red[test].both_ways:
                self.flaky[test] = f"{_counted(red[test])} on the base's code"
            elif len(set(head[test].whole)) > 1 or head[test].both_ways:
                self.flaky[test] = f"{_counted(head[test])} on the patch"

    def _conclude(self, test: str, here: _Seen, base: _Seen | None) -> None:
        if base is not None and _ok(here.alone) and _ok(base.runs) and not any(here.whole) and self._reads_clock(test):
            # With the others, and under their load, it was too slow by chance: alone, what it measures is as it was.
            self.flaky[test] = f"{_counted(here)} on the patch, every time alone, and it looks at the clock"
        elif base is not None and base.both_ways:
            self.flaky[test] = f"{_counted(base)} on the base, and {_counted(here)} on the patch"
        elif here.both_ways:
            told = f"{_counted(here)} on the patch"
            told += f", and {_counted(base)} on the base" if base is not None else ""
            mostly_red = 2 * here.runs.count(False) >= len(here.runs)
            if base is not None and mostly_red and all(base.runs) and len(base.runs) >= _SURE:
                self.unsure[test] = told
            else:
                self.flaky[test] = told

    def _reads_clock(self, test: str) -> bool:
        path, name = split(test)
        module = self._trial.changes.module("base", path) if path.endswith(".py") else None
        return module is not None and measures_time(module.text(name))

    def _start(self, side: Side, tests: Iterable[str]) -> dict[str, _Seen]:
        return {test: _Seen(whole=[passes(self._first[side], test)]) for test in tests}

    def _see(self, sides: tuple[tuple[Side, dict[str, _Seen]], ...], alone: tuple[str, ...], *, times: int) -> None:
        """Make more runs and write down how the tests ended; what could not be run says nothing."""
        if time.monotonic() > self._until or (alone and not self._alone):
            return
        with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
            runs = [(seen, pool.submit(self._again, side, alone)) for side, seen in sides for _ in range(times)]
            for seen, run in runs:
                found = run.result()
                self.made += 1
                if found.problem:
                    continue
                for test, ended in seen.items():
                    if _ran(found, test):
                        (ended.alone if alone else ended.whole).append(passes(found, test))

    def _worth_a_whole(self, side: Side) -> bool:
        """Whether to run all tests again for what is proof already, but for chance."""
        return self._time_for_whole(side) and (self._alone or self._first[side].seconds < _CHEAP)

    def _time_for_whole(self, side: Side) -> bool:
        return time.monotonic() + self._first[side].seconds < self._until


def measures_time(text: str) -> bool:
    """Whether a test holds a span of time against something: one that only takes the date can be red for any reason."""
    try:
        tree = ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError):
        return False
    spans: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _CLOCK.search(ast.unparse(node.value)):
            spans |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    for node in ast.walk(tree):  # what is computed from a reading is one, too
        if isinstance(node, ast.Assign) and spans & _names(node.value):
            spans |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    compared = (node for node in ast.walk(tree) if isinstance(node, (ast.Compare, ast.Call)))
    return any(_limits(node, spans) for node in compared)


def _limits(node: ast.Compare | ast.Call, spans: set[str]) -> bool:
    if isinstance(node, ast.Call):
        word = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        return word in ("assertLess", "assertLessEqual", "assertGreater", "assertAlmostEqual") and bool(
            spans & _names(node)
        )
    ordered = any(isinstance(op, (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) for op in node.ops)
    return ordered and bool(spans & _names(node) or _CLOCK.search(ast.unparse(node)))


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _ran(run: Measurement, test: str) -> bool:
    """Whether a run says anything about a test: it, or the loading of its module."""
    return test in run.tests or split(test)[0] in run.tests


def _steady(ends: list[bool], *, passed: bool) -> bool:
    return bool(ends) and all(end is passed for end in ends)


def _ok(ends: list[bool]) -> bool:
    return _steady(ends, passed=True)


def _counted(seen: _Seen) -> str:
    return f"it passed {seen.runs.count(True)} of {len(seen.runs)} times"
