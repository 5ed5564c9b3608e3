"""Going on where a container, or the engine itself, went away under the work: a restart is no reason to fail a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from sandbox.api import EngineGoneError, SandboxLostError

T = TypeVar("T")

MOST_LOST = 2
"""A job may be the one that ends its container (by its memory, say), so it gets few new ones."""

PATIENCE = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0, 120.0)
"""Seconds to wait for an engine that is gone: five minutes in all, as an upgrade of it may take."""


def going_on(work: Callable[[], T], *, tell: Callable[[str], None], wait: Callable[[float], None] = time.sleep) -> T:
    """Do `work`, which opens its own sandboxes, and do it once more from its beginning where one was lost.

    Args:
        work: must not mind being done again.
        tell: hears why.
        wait: for tests.

    Raises:
        SandboxLostError: lost again, or the engine did not come back.
    """
    lost, waits = 0, iter(PATIENCE)
    while True:
        try:
            return work()
        except EngineGoneError as e:
            seconds = next(waits, None)
            if seconds is None:
                raise
            tell(f"{e.message}; waiting for the engine")
            wait(seconds)
        except SandboxLostError as e:
            lost += 1
            if lost > MOST_LOST:
                raise
            tell(f"{e.message}; going on with a new container")
