"""Repeats of what will most likely be the proof, made while the long runs still go on.

Which tests prove a fix is known when all four runs are; which tests were red on the base's code, long before, as only
the changed modules were run there. Mostly they are the same. A guess changes nothing that is judged: a run made ahead
is of a fresh container like any other, it is asked for by the same words, and where the guess was wrong it is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Executor, Future, wait

from runner.steps.proof.changes import split
from runner.steps.proof.repeats import MOST_TESTS, Again, Side
from runner.steps.proof.results import Measurement

_SIDES: tuple[Side, ...] = ("red", "head")


def likely_proof(red: Measurement, base: Measurement) -> tuple[str, ...]:
    """The tests that will prove the fix, if the patch makes green what it newly brought red; none where a whole module
    could not be loaded, for then nobody knows yet which tests it has."""
    known = set(base.red)
    tests = [test for test in red.red if test not in known] or red.red
    return tuple(tests[:MOST_TESTS]) if all(split(test)[1] for test in tests) else ()


class Ahead:
    """Makes runs again, and hands out those that were made ahead first.

    Args:
        again: makes a run, in a fresh container.
    """

    def __init__(self, again: Again) -> None:
        self._again = again
        self._tests: tuple[str, ...] = ()
        self._made: dict[Side, deque[Future[Measurement]]] = {side: deque() for side in _SIDES}

    def start(self, pool: Executor, tests: tuple[str, ...], *, times: int) -> None:
        """Begin with the repeats of these tests on both sides of their proof, as soon as the pool has room."""
        self._tests = tests
        for side in _SIDES if tests else ():
            self._made[side].extend(pool.submit(self._again, side, tests) for _ in range(times))

    def keep(self, tests: Sequence[str]) -> None:
        """Keep what was made ahead if it is of these tests; else drop it, and wait until none of it runs any more."""
        if self._tests == tuple(tests):
            return
        dropped = [run for made in self._made.values() for run in made]
        for made in self._made.values():
            made.clear()
        wait([run for run in dropped if not run.cancel()])

    def __call__(self, side: Side, tests: tuple[str, ...]) -> Measurement:
        """A run of these tests on this side: one that was made ahead, or a new one."""
        made = self._made.get(side)
        return made.popleft().result() if made and tests == self._tests else self._again(side, tests)
