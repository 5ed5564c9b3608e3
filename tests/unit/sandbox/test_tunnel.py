"""A tunnel made by a program that is called `ssh`: here one that only listens, or refuses."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.api import EngineGoneError, SandboxError
from sandbox.connection import Connections
from sandbox.lock import sweep_locks
from sandbox.tunnel import THERE, Tunnel, ssh_words

STAND_IN = f"""#!{sys.executable}
import os, socket, sys
if os.environ.get("REFUSE"):
    sys.exit("Permission denied (publickey).")
place = sys.argv[sys.argv.index("-L") + 1].partition(":")[0]
if os.path.exists(place):
    os.unlink(place)
listener = socket.socket(socket.AF_UNIX)
listener.bind(place)
listener.listen()
print("here", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    with tempfile.TemporaryDirectory(prefix="ssh-", dir="/tmp") as short:  # a socket's path has 107 bytes
        monkeypatch.setattr("tempfile.tempdir", short)
        yield folder
        assert sweep_locks(dry_run=True) == []


@pytest.fixture
def ssh(programs: Path) -> Path:
    program = programs / "ssh"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return program


@pytest.mark.parametrize(
    ("host", "words", "there"),
    [
        ("ssh://build", ["--", "build"], "/var/run/docker.sock"),
        ("ssh://me@build:2222", ["-l", "me", "-p", "2222", "--", "build"], "/var/run/docker.sock"),
        ("ssh://build/run/user/1000/docker.sock", ["--", "build"], "/run/user/1000/docker.sock"),
        ("ssh://[::1]:22", ["-p", "22", "--", "::1"], "/var/run/docker.sock"),
    ],
)
def test_an_address_becomes_words_for_ssh(host: str, words: list[str], there: str) -> None:
    made = ssh_words(host, Path("/tmp/s"))
    at = made.index("-L")
    assert made[at : at + 2] == ["-L", f"/tmp/s:{there}"]
    assert made[at + 2 :] == [*words, THERE]
    assert "BatchMode=yes" in made


@pytest.mark.parametrize("host", ["ssh://", "ssh://me:word@build", "ssh://build:port", "ssh://build?x=1"])
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(SandboxError, match="no address") as caught:
        ssh_words(host, Path("/tmp/s"))
    assert "ssh://" in caught.value.remedy


def test_a_tunnel_stands_again_at_the_same_place(ssh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tunnel = Tunnel("ssh://build")
    try:
        tunnel.stand()
        place = tunnel.address.removeprefix("unix://")
        for _ in range(2):
            with socket.socket(socket.AF_UNIX) as plug:
                plug.connect(place)
            process = tunnel._process
            assert process is not None
            process.kill()
            process.wait()
            tunnel.stand()
        tunnel.stand()
        process = tunnel._process
        assert process is not None
        process.kill()
        process.wait()
        monkeypatch.setenv("REFUSE", "1")
        with pytest.raises(EngineGoneError, match="Permission denied"):
            tunnel.stand()
    finally:
        tunnel.close()
    assert not Path(place).exists()
    tunnel.close()


def test_why_ssh_refuses_is_told(ssh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REFUSE", "1")
    monkeypatch.setenv("DOCKER_HOST", "ssh://build")
    connections = Connections()
    with pytest.raises(SandboxError, match=r"ssh does not reach ssh://build: Permission denied") as caught:
        connections.client(10)
    assert "docker version" in caught.value.remedy
    connections.close()


def test_without_the_program_it_is_named(programs: Path) -> None:
    assert os.environ["PATH"] == str(programs)
    tunnel = Tunnel("ssh://build")
    with pytest.raises(SandboxError, match="no ssh") as caught:
        tunnel.stand()
    assert "openssh-client" in caught.value.remedy
    tunnel.close()
