"""The two ends of a relay, on a real socket each, and a far end that keeps to no rule."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import pytest

from sandbox.api import SandboxError
from sandbox.exec import Stream
from sandbox.relay import Carried, DoorRelay
from sandbox.relay_inside import DATA, END, GONE, HEAD, MOST, OPEN, READY, TAKEN, WINDOW, BrokenRulesError, Relay

PATIENCE = 120.0


class Wire:
    """A line over one end of a socket pair."""

    def __init__(self, plug: socket.socket) -> None:
        plug.setblocking(False)
        self._plug = plug
        self.reading = self.writing = plug.fileno()

    def receive(self) -> bytes | None:
        try:
            return self._plug.recv(1 << 16)
        except BlockingIOError:
            return None

    def send(self, data: memoryview) -> int:
        try:
            return self._plug.send(data)
        except BlockingIOError:
            return 0


class Ends:
    """Clients on one side, a server on the other."""

    def __init__(self, folder: Path) -> None:
        self.inside, self.outside = socket.socketpair()
        self.door, self.server = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        for listener, name in ((self.door, "door"), (self.server, "server")):
            listener.bind(str(folder / name))
            listener.listen(MOST)
            listener.settimeout(PATIENCE)
        self._folder = folder
        self.ready = threading.Event()
        there = Relay(Wire(self.inside), listener=self.door)
        here = Relay(Wire(self.outside), dial=self._dial, ready=self.ready.set)
        self._threads = [threading.Thread(target=end.run, daemon=True) for end in (there, here)]
        for thread in self._threads:
            thread.start()

    def _dial(self) -> socket.socket:
        plug = socket.socket(socket.AF_UNIX)
        try:
            plug.connect(str(self._folder / "server"))
        except OSError:
            plug.close()
            raise
        return plug

    def client(self) -> socket.socket:
        plug = socket.socket(socket.AF_UNIX)
        plug.settimeout(PATIENCE)
        plug.connect(str(self._folder / "door"))
        return plug

    def pair(self) -> tuple[socket.socket, socket.socket]:
        client = self.client()
        served, _ = self.server.accept()
        served.settimeout(PATIENCE)
        return client, served

    def close(self) -> None:
        self.inside.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        for plug in (self.inside, self.outside, self.door, self.server):
            plug.close()


@pytest.fixture
def ends(tmp_path: Path) -> Iterator[Ends]:
    made = Ends(tmp_path)
    yield made
    made.close()


def whole(plug: socket.socket) -> bytes:
    return b"".join(iter(lambda: plug.recv(1 << 16), b""))


def aside(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_question_and_its_answer_each_with_its_end(ends: Ends) -> None:
    client, served = ends.pair()
    with client, served:
        assert ends.ready.wait(PATIENCE)
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert whole(served) == b"question"
        served.sendall(b"answer")
        served.close()
        assert whole(client) == b"answer"


def test_more_than_a_window_goes_both_ways_at_once(ends: Ends) -> None:
    data = bytes(range(256)) * (WINDOW // 64)
    client, served = ends.pair()
    with client, served:

        def send(plug: socket.socket) -> None:
            plug.sendall(data)
            plug.shutdown(socket.SHUT_WR)

        senders = [aside(lambda plug=plug: send(plug)) for plug in (client, served)]  # type: ignore[misc]
        heard: list[bytes] = []
        other = aside(lambda: heard.append(whole(served)))
        assert whole(client) == data
        for thread in (*senders, other):
            thread.join(PATIENCE)
        assert heard == [data]


def test_who_does_not_read_holds_up_nobody_else(ends: Ends) -> None:
    lazy, flooding = ends.pair()
    with lazy, flooding:
        flooding.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                flooding.send(b"x" * 65536)
        client, served = ends.pair()
        with client, served:
            served.sendall(b"still here")
            assert client.recv(100) == b"still here"


def test_a_client_that_goes_away_is_gone_on_the_other_side(ends: Ends) -> None:
    client, served = ends.pair()
    with served:
        client.close()
        assert whole(served) == b""


def test_where_nobody_serves_the_client_is_sent_away(ends: Ends) -> None:
    ends.server.close()
    with ends.client() as client:
        assert whole(client) == b""


def test_more_clients_than_places_wait_for_theirs(ends: Ends) -> None:
    pairs = [ends.pair() for _ in range(MOST)]
    with ends.client() as late:
        late.sendall(b"late")
        for plug in pairs.pop():
            plug.close()
        served, _ = ends.server.accept()
        with served:
            served.settimeout(PATIENCE)
            assert served.recv(100) == b"late"
    for pair in pairs:
        for plug in pair:
            plug.close()


def frame(kind: bytes, number: int, data: bytes = b"") -> bytes:
    return HEAD.pack(kind, number, len(data)) + data


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (frame(b"X", 1), "said b'X'"),
        (HEAD.pack(DATA, 1, 1 << 31), "a frame of 2147483648"),
        (frame(OPEN, 1) + frame(OPEN, 1), "opened connection 1"),
        (b"".join(frame(OPEN, n + 1) for n in range(MOST + 1)), "besides 64"),
        (frame(OPEN, 1) + frame(TAKEN, 1, struct.pack("!I", 1)), "took more"),
        (frame(OPEN, 1) + frame(TAKEN, 1, b"?"), "took more"),
        (frame(OPEN, 1) + frame(END, 1) + frame(DATA, 1, b"x"), "more than there was room"),
        (frame(OPEN, 1) + frame(DATA, 1, b"x" * 32768) * 40, "more than there was room"),
    ],
)
def test_who_keeps_to_no_rule_is_heard_no_longer(said: bytes, why: str) -> None:
    ours, theirs = socket.socketpair()
    kept: list[socket.socket] = []

    def dial() -> socket.socket:
        mine, other = socket.socketpair()
        kept.append(other)
        return mine

    def send() -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            theirs.sendall(said)

    with theirs:
        sender = aside(send)
        with ours, pytest.raises(BrokenRulesError, match=why):
            Relay(Wire(ours), dial=dial).run()
        sender.join(PATIENCE)
    for plug in kept:
        plug.close()


def test_words_for_connections_that_are_gone_are_passed_over() -> None:
    ours, theirs = socket.socketpair()
    ready = threading.Event()
    with ours, theirs:
        theirs.sendall(frame(DATA, 7, b"x") + frame(END, 7) + frame(GONE, 7) + frame(READY, 0))
        theirs.shutdown(socket.SHUT_WR)
        Relay(Wire(ours), dial=socket.socket, ready=ready.set).run()
    assert ready.is_set()


def test_the_stream_of_an_exec_is_a_line() -> None:
    ours, theirs = socket.socketpair()
    stream = Stream(ours)
    with theirs:
        line = Carried(stream)
        theirs.sendall(b"\2\0\0\0\0\0\0\4oops" + b"\1\0\0\0\0\0\0\5hello")
        assert (line.receive(), line.said) == (b"hello", b"oops")
        assert line.receive() is None
        assert line.send(memoryview(b"back")) == 4
        assert theirs.recv(10) == b"back"
    assert line.receive() == b""
    stream.close()


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"\1\0\0\0\0\0\0\x23OCI runtime exec failed: no python3", "a frame of"),
        (b"\2\0\0\0\0\0\0\4oops", r"it ended \(oops\)"),
    ],
)
def test_a_relay_that_does_not_come_up_says_why(
    said: bytes, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = socket.socketpair()
    monkeypatch.setattr("sandbox.relay.start", lambda *_, **__: ("exec", Stream(ours)))
    theirs.sendall(said)
    theirs.shutdown(socket.SHUT_WR)
    with theirs, pytest.raises(SandboxError, match=why) as caught:
        DoorRelay(Mock(), "container", tmp_path / "door")
    assert "python3" in caught.value.remedy
