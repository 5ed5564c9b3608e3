"""Second tries: what may be chance is run again before anything is said of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from runner.steps.proof.covered import fell, looked_twice
from runner.steps.proof.repeats import Side, once_more, repeat
from runner.steps.proof.results import Measurement
from runner.steps.proof.trial import Trial

Ways = Mapping[Side, Callable[..., Measurement]]
"""How each of the four runs is made again, in a fresh container; those of `base` and `head` can count lines."""

_AT_ONCE = 2
_COUNTED: tuple[Side, ...] = ("base", "head")


def tried_again(trial: Trial, ways: Ways, *, alone: bool) -> Trial:
    """The trial with what its second tries showed: of tests on which the verdict hangs, and of coverage that fell.

    Args:
        trial: what was measured.
        ways: make runs again.
        alone: whether single tests can be run.

    Raises:
        SandboxError: the machine failed.
        GitError: a tree cannot be read.
    """
    plain: dict[str, Callable[..., Measurement]] = {side: ways[side] for side in ways}
    plain |= {side: partial(ways[side], coverage=False) for side in _COUNTED}
    again = replace(trial, repeats=repeat(trial, partial(once_more, plain), alone=alone))
    if not fell(again):
        return again
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        looks = [pool.submit(ways["base"]), pool.submit(ways["head"])]
    return looked_twice(again, *(look.result() for look in looks))
