"""The stream of an exec against a peer that speaks the engine's framing over a real socket."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.exec import Ended, Ending, JobWonError, Output, Stream, run_alone


def frame(stream: int, data: bytes) -> bytes:
    return bytes([stream, 0, 0, 0]) + len(data).to_bytes(4, "big") + data


@pytest.fixture
def pair() -> Iterator[tuple[Stream, socket.socket]]:
    ours, theirs = socket.socketpair()
    stream = Stream(ours)
    yield stream, theirs
    stream.close()
    theirs.close()


def talk(peer: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=peer, daemon=True)
    thread.start()
    return thread


def soon() -> float:
    return time.monotonic() + 120


def test_frames_may_be_cut_anywhere(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    sent = frame(1, b"out") + frame(2, b"err") + frame(1, b"") + frame(1, b" more")

    def bytewise() -> None:
        for byte in sent:
            peer.sendall(bytes([byte]))
        peer.close()

    thread = talk(bytewise)
    output = Output(cap=100)
    assert stream.pump(output, None, soon(), "it") is Ending.EXITED
    assert (bytes(output.stdout), bytes(output.stderr)) == (b"out more", b"err")
    thread.join()


def test_cap_counts_both_streams_and_cuts_exactly(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    heard: list[bytes] = []
    peer.sendall(frame(2, b"12345") + frame(1, b"67890x"))
    output = Output(cap=10, on_stdout=heard.append)
    assert stream.pump(output, None, soon(), "it") is Ending.FLOOD
    assert (bytes(output.stdout), bytes(output.stderr), heard) == (b"67890", b"12345", [b"67890"])


def test_output_of_exactly_the_cap_is_no_flood(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    peer.sendall(frame(1, b"1234567890"))
    peer.close()
    assert stream.pump(Output(cap=10), None, soon(), "it") is Ending.EXITED


def test_deadline_holds_while_nothing_comes(pair: tuple[Stream, socket.socket]) -> None:
    stream, _ = pair
    start = time.monotonic()
    assert stream.pump(Output(cap=10), None, start + 0.05, "it") is Ending.DEADLINE
    assert time.monotonic() - start < 60


def test_deadline_holds_while_output_trickles(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    stop = threading.Event()

    def trickle() -> None:
        try:
            while not stop.wait(0.005):
                peer.sendall(frame(1, b"."))
        except OSError:
            pass

    thread = talk(trickle)
    assert stream.pump(Output(cap=10_000), None, time.monotonic() + 0.1, "it") is Ending.DEADLINE
    stop.set()
    thread.join()


def test_stdin_and_output_flow_at_once(pair: tuple[Stream, socket.socket]) -> None:
    """Both directions larger than any socket buffer: one that waits for the other would hang."""
    stream, peer = pair
    block = b"x" * 100_000

    def echo() -> None:
        while data := peer.recv(65536):
            peer.sendall(frame(1, data))
        peer.close()

    thread = talk(echo)
    output = Output(cap=100 << 20)
    ending = stream.pump(output, iter([block, b"", *[block] * 99]), soon(), "it")
    assert ending is Ending.EXITED
    assert len(output.stdout) == 10_000_000
    thread.join()


def test_a_command_that_knows_the_end_of_its_stdin_is_not_told() -> None:
    ours, theirs = socket.socketpair()
    stream = Stream(ours, knows_the_end=True)

    def peer() -> None:
        theirs.settimeout(120)
        assert theirs.recv(2, socket.MSG_WAITALL) == b"in"
        theirs.settimeout(0.1)
        with pytest.raises(TimeoutError):
            theirs.recv(1)
        theirs.sendall(frame(1, b"out"))
        theirs.close()

    thread = talk(peer)
    output = Output(cap=10)
    assert stream.pump(output, iter([b"in"]), soon(), "it") is Ending.EXITED
    assert bytes(output.stdout) == b"out"
    thread.join()
    stream.close()


def test_a_command_may_stop_reading_its_stdin(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair

    def deaf() -> None:
        peer.recv(10)
        peer.sendall(frame(2, b"enough"))
        peer.close()

    thread = talk(deaf)
    output = Output(cap=100)
    assert stream.pump(output, iter([b"x" * 100_000] * 1000), soon(), "it") is Ending.EXITED
    thread.join()


def test_what_the_listener_raises_is_passed_on(pair: tuple[Stream, socket.socket]) -> None:
    stream, peer = pair
    peer.sendall(frame(1, b"x"))

    def refuse(_: bytes) -> None:
        raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stream.pump(Output(cap=10, on_stdout=refuse), None, soon(), "it")


def test_what_is_passed_on_is_counted_and_not_kept() -> None:
    heard: list[bytes] = []
    output = Output(cap=5, on_stdout=heard.append, pass_on=True)
    assert output.take(1, b"abc")
    assert output.take(2, b"x")
    assert not output.take(1, b"def")
    assert (b"".join(heard), bytes(output.stdout), bytes(output.stderr)) == (b"abcd", b"", b"x")


def alone(monkeypatch: pytest.MonkeyPatch, *codes: int | None) -> tuple[list[Any], Callable[[], Ended]]:
    """`run_alone` where the shell ends with these codes, one after the other."""
    left: list[int | None] = list(codes)
    fed: list[Any] = []

    def run(*_: object, **how: Any) -> Ended:
        code = left.pop(0)
        fed.append(how["stdin"])
        return Ended(Ending.EXITED if code is not None else Ending.DEADLINE, code, how["output"], 0.0)

    monkeypatch.setattr("sandbox.exec.run", run)
    api: Any = None
    return fed, lambda: run_alone(api, "c", "exit 0", (), user="1:1", timeout=1, cap=1, stdin=b"in")


def test_a_shell_that_the_job_killed_goes_again_and_is_fed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    fed, ask = alone(monkeypatch, 137, 126, 125, 3)
    assert ask().exit_code == 3
    assert fed == [[b"in"]] * 4


@pytest.mark.parametrize("codes", [(137,) * 5, (None,)])
def test_a_job_that_cannot_be_ended_has_won(codes: tuple[int | None, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    _, ask = alone(monkeypatch, *codes)
    with pytest.raises(JobWonError):
        ask()
