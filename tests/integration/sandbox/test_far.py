"""An engine that does not see this host's files, as one on another machine: the gateway's door is relayed.

The engine of these tests is on this host. What it does not see is a path below /proc/self, which is another one there.
"""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from sandbox import contract
from sandbox.api import DOOR, LABEL_RUN, Limits, Spec
from sandbox.docker import DockerSandboxes

OURS_ALONE = Path("/proc/self/cwd")
SMALL = Limits(memory_mb=256, workspace_mb=16, tmp_mb=8, pids=64)
TALK = f"""
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect({DOOR!r})
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
heard = b"".join(iter(lambda: s.recv(65536), b""))
sys.stdout.buffer.write(heard)
"""
ATTACK = "kill -9 -1 $(ls /proc | grep '^[0-9]') 2>/dev/null; rm -rf /run/automend; : > /run/automend/x"


def echo(listener: socket.socket) -> None:
    """Send back what comes, one client after the other."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        with client, client.makefile("rb") as asked:
            client.sendall(asked.read())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_where_the_engine_sees_no_file_of_ours_the_door_is_relayed(sandboxes: DockerSandboxes, base: str) -> None:
    assert sandboxes.sees(Path.cwd(), image=base)
    assert not sandboxes.sees(OURS_ALONE, image=base)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("gateway.sock")
        listener.listen()
        answering = threading.Thread(target=echo, args=(listener,), daemon=True)
        answering.start()
        spec = Spec(image=base, limits=SMALL, labels={LABEL_RUN: "far"}, door=OURS_ALONE / "gateway.sock")
        with sandboxes.open(spec) as box:
            data = bytes(range(256)) * 8192
            assert box.exec(["python3", "-c", TALK], timeout=120, stdin=data).stdout == data
            box.exec(["sh", "-c", ATTACK], timeout=120)
            assert box.read("nothing", limit=10) is None  # which ends every process of the job
            still = box.exec(["python3", "-c", TALK], timeout=120, stdin=b"still there")
            assert (still.stdout, still.stderr) == (b"still there", b"")
        listener.shutdown(socket.SHUT_RDWR)
        answering.join(120)
    assert [t.name for t in threading.enumerate() if t.name.startswith("door of")] == []


def test_a_relayed_door_keeps_the_promise_of_one_that_is_mounted(
    sandboxes: DockerSandboxes, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(OURS_ALONE))
    promise = next(p for p in contract.PROMISES if p.name == "door")
    assert contract.check(promise, sandboxes, image=base).broken is None
