"""Being stopped by a signal: at any moment, without waiting for what is being done, and cleared up."""

import os
import signal
import threading
import time

import pytest

from runner.interrupt import Bell, interruptible
from sandbox.api import SandboxError


@pytest.fixture(autouse=True)
def signals_as_they_were():
    kept = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGVTALRM)}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_a_bell_is_rung_in_a_handler_that_interrupts_whoever_waits():
    """At any moment of its waiting: with an Event's lock, the handler would wait for the thread that it interrupts."""
    bell, rung = Bell(), []

    def ring(_number, _frame):
        rung.append(1)
        bell.ring()

    signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0005, 0.0005)
    try:
        while len(rung) < 200:
            bell._rung = False  # so that it goes on waiting
            bell.wait(0)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    bell.ring()
    assert bell.is_rung()


def test_a_bell_that_is_silent_is_waited_for_no_longer_than_asked():
    bell = Bell()
    bell.wait(0.01)
    assert not bell.is_rung()
    bell.ring()
    began = time.monotonic()
    for _ in range(3):
        bell.wait(600)
    assert time.monotonic() - began < 300


def test_what_is_not_interrupted_returns_and_raises_as_it_is():
    assert interruptible(lambda: 7, clear_up=lambda: pytest.fail("there is nothing to clear up")) == 7
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0, clear_up=lambda: pytest.fail("there is nothing to clear up"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("trouble", [False, True])
def test_what_is_interrupted_is_cleared_up_and_not_waited_for(caplog, number, trouble):
    never, cleared = threading.Event(), []

    def work():
        os.kill(os.getpid(), number)
        never.wait()

    def clear_up():
        cleared.append(1)
        os.kill(os.getpid(), signal.SIGINT)  # a second Ctrl-C changes nothing
        if trouble:
            raise SandboxError("the engine is gone")

    with pytest.raises(KeyboardInterrupt):
        interruptible(work, clear_up=clear_up)
    never.set()
    assert cleared == [1]
    assert ("containers may be left: the engine is gone" in caplog.text) is trouble
