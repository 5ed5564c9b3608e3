"""The forwarder as it runs in the container: a process of its own, with the system's Python."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import pytest

from tests.conftest import free_port

FORWARDER = str(files("runner.agents").joinpath("forwarder.py"))


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Path]:
    """A unix socket that answers each connection with what it got, in capitals, once the client has finished."""
    path = tmp_path / "door.sock"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client, suppress(OSError):  # the forwarder may be gone in the middle
                data = b"".join(iter(lambda c=client: c.recv(65536), b""))  # type: ignore[misc]
                client.sendall(data.upper())

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield path
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def start(door: Path, port: int, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["/usr/bin/python3", "-I", FORWARDER, str(door), str(port), "--", *command],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[bytes], stdin: bytes | None = None) -> tuple[int, bytes, bytes]:
    out, err = process.communicate(stdin, timeout=120)
    return process.returncode, out, err


TALK = """
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
    s.sendall(b"hello " * 100_000)
    s.shutdown(socket.SHUT_WR)
    data = b"".join(iter(lambda: s.recv(65536), b""))
assert data == b"HELLO " * 100_000, len(data)
print(sys.stdin.read())
"""


def test_bytes_go_both_ways_and_stdin_reaches_the_command(door: Path, port: int) -> None:
    code, out, err = finish(start(door, port, sys.executable, "-c", TALK, str(port)), b"the prompt")
    assert (code, out, err) == (0, b"the prompt\n", b"")


@pytest.mark.parametrize(("command", "code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)])
def test_it_ends_as_the_command_ends(door: Path, port: int, command: str, code: int) -> None:
    assert finish(start(door, port, "sh", "-c", command))[0] == code


def test_signals_are_passed_on(door: Path, port: int) -> None:
    process = start(door, port, "sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do read x; done")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert finish(process)[0] == 9


def test_an_open_connection_does_not_hold_it(door: Path, port: int) -> None:
    process = start(door, port, "sh", "-c", "echo ready; read x")
    assert process.stdout is not None
    process.stdout.readline()
    with socket.create_connection(("127.0.0.1", port)):
        assert finish(process, b"x\n")[0] == 0


def test_no_door(tmp_path: Path, port: int) -> None:
    code, _, err = finish(start(tmp_path / "none.sock", port, sys.executable, "-c", TALK, str(port)))
    assert code == 1
    assert b"none.sock" in err


def test_a_taken_port_starts_nothing(door: Path, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        code, out, err = finish(start(door, port, "echo", "started"))
    assert (code, out) == (69, b"")
    assert b"cannot listen" in err


def test_a_command_that_is_not_there(door: Path, port: int) -> None:
    code, _, err = finish(start(door, port, "/no/such/program"))
    assert code == 127
    assert b"/no/such/program" in err


def test_wrong_arguments() -> None:
    done = subprocess.run(["/usr/bin/python3", "-I", FORWARDER, "x"], capture_output=True, check=False)
    assert (done.returncode, b"usage" in done.stderr) == (64, True)
