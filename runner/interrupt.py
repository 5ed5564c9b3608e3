"""Ctrl-C and SIGTERM: being woken by a signal, and clearing up before the end."""

from __future__ import annotations

import logging
import queue
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from sandbox.api import SandboxError

log = logging.getLogger(__name__)
T = TypeVar("T")


class Bell:
    """Tells one waiting thread to stop. A signal handler may ring it at any moment.

    A `threading.Event` may not: the handler interrupts the very thread that waits, and where that just holds the
    event's lock, both wait for ever.
    """

    def __init__(self) -> None:
        self._rung = False
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()

    def is_rung(self) -> bool:
        """Whether it ever was."""
        return self._rung

    def ring(self) -> None:
        """Wake who waits now or later."""
        self._rung = True
        self._wake.put(None)

    def wait(self, seconds: float) -> None:
        """Wait until it is rung, so many seconds at most."""
        if not self._rung:
            with suppress(queue.Empty):
                self._wake.get(timeout=seconds)


def interruptible(work: Callable[[], T], *, clear_up: Callable[[], None]) -> T:
    """Do `work` and return what it returns; on Ctrl-C or SIGTERM `clear_up`, and let it be.

    The work has a thread of its own, for two reasons: it may wait long for other threads, and nothing may be cleared
    up in the middle of the call that is just making what has to go.

    Raises:
        KeyboardInterrupt: it was interrupted, and is cleared up. A second interrupt is ignored.
    """
    done: Future[T] = Future()

    def at_work() -> None:
        try:
            done.set_result(work())
        except BaseException as e:  # noqa: BLE001 - whatever it is, it is raised where the work is waited for
            done.set_exception(e)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        threading.Thread(target=at_work, name="work", daemon=True).start()
        return done.result()
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        try:
            clear_up()
        except SandboxError as e:
            log.error("containers may be left: %s", e.message)  # noqa: TRY400 - where it was raised is of no use here
        raise
