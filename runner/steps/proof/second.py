"""Second tries: what may be chance is run again before anything is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from runner.steps.proof.covered import fell, looked_twice
from runner.steps.proof.repeats import Again, Side, once_more, repeat
from runner.steps.proof.results import Measurement
from runner.steps.proof.trial import Trial

Ways = Mapping[Side, Callable[..., Measurement]]
"""How each of the four runs is made again, in a fresh container; those of `base` and `head` can count lines."""

_AT_ONCE = 2
_COUNTED: tuple[Side, ...] = ("base", "head")


def again_by(ways: Ways) -> Again:
    """Makes runs again as `ways` say, without counting lines."""
    plain: dict[str, Callable[..., Measurement]] = {side: ways[side] for side in ways}
    plain |= {side: partial(ways[side], coverage=False) for side in _COUNTED}
    return partial(once_more, plain)


def tried_again(trial: Trial, ways: Ways, again: Again, *, alone: bool) -> Trial:
    """The trial with what its second tries showed: of tests on which the verdict hangs, and of coverage that fell.

    Args:
        trial: what was measured.
        ways: make runs again as they were made.
        again: makes runs again of which only the tests are asked.
        alone: whether single tests can be run.

    Raises:
        SandboxError: the machine failed.
        GitError: a tree cannot be read.
    """
    repeated = replace(trial, repeats=repeat(trial, again, alone=alone))
    if not fell(repeated):
        return repeated
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        looks = [pool.submit(ways["base"]), pool.submit(ways["head"])]
    return looked_twice(repeated, *(look.result() for look in looks))
