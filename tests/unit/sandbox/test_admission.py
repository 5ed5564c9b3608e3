"""Whom containers are made for."""

import threading

import pytest

from sandbox.admission import Admission
from sandbox.api import SandboxError


def test_a_run_that_was_shut_out_gets_no_more_and_others_do():
    door = Admission()
    with door.admitted("a"):
        door.shut("a")
        with pytest.raises(SandboxError, match="a was stopped"), door.admitted("a"):
            pytest.fail("it was let in")
    with pytest.raises(SandboxError, match="a was stopped"):
        door.check("a")
    with door.admitted("b"):
        door.check("b")


def test_whoever_shuts_a_run_out_can_wait_for_those_inside():
    door, inside, go = Admission(), threading.Event(), threading.Event()

    def stay():
        with door.admitted("a"):
            inside.set()
            go.wait()

    thread = threading.Thread(target=stay)
    thread.start()
    inside.wait()
    door.shut("a")
    assert not door.empty("a")
    assert door.empty("b")
    go.set()
    assert door.empty("a", seconds=120)
    thread.join()
