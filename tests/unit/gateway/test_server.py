"""Sockets: who may reach them, when they are gone."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from runner.agents.replay import Replay
from runner.agents.replay_openai import ResponsesVoice
from runner.agents.script import Turn
from runner.errors import OutsideError
from runner.gateway import Gateway
from runner.gateway.listening import _accepted
from runner.gateway.server import clear_doors
from runner.ports import Budget, Upstream


def script() -> Upstream:
    return Replay(ResponsesVoice(), (Turn(say="hello"),))


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "doors")
    yield made
    made.close()


def open_one(gateway: Gateway):  # type: ignore[no-untyped-def]  # a context manager, as the gateway gives it
    return gateway.open(dialect="openai", upstream=script(), model="m", budget=Budget(), record=None)


def connects(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def test_a_socket_lives_as_long_as_its_door(gateway: Gateway) -> None:
    with open_one(gateway) as one, open_one(gateway) as two:
        assert one.socket != two.socket
        for door in (one, two):
            assert connects(door.socket)
            assert stat.S_IMODE(door.socket.stat().st_mode) == 0o666
            assert stat.S_IMODE(door.socket.parent.stat().st_mode) == 0o700
    assert not one.socket.exists()
    assert not two.socket.exists()


def test_a_connection_that_comes_as_its_door_closes_is_not_lost(tmp_path: Path) -> None:
    """It may be refused or dropped, but nobody may be left with it in hand."""

    async def close_as_it_comes() -> None:
        taking = asyncio.create_task(_accepted(listener))
        await asyncio.sleep(0)
        near.connect(str(tmp_path / "s"))
        asyncio.get_running_loop().call_later(0, taking.cancel)  # in the same turn of the loop, and after it came
        with pytest.raises(asyncio.CancelledError):
            await taking

    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as near:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        listener.setblocking(False)
        asyncio.run(close_as_it_comes())
        listener.accept()[0].close()


def test_closing_leaves_nothing_behind(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "doors")
    before = set(threading.enumerate())  # some of earlier tests may end meanwhile
    with open_one(gateway):
        pass
    gateway.close()
    gateway.close()
    assert list((tmp_path / "doors").iterdir()) == []
    assert set(threading.enumerate()) <= before
    with open_one(gateway) as again:  # a closed gateway starts anew
        assert connects(again.socket)
    gateway.close()


def test_what_dead_processes_left_is_cleared_and_what_lives_is_not(tmp_path: Path, gateway: Gateway) -> None:
    dead = tmp_path / "doors" / "gateway-dead"
    dead.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(dead / "1.sock"))
    with open_one(gateway) as alive:
        assert not dead.exists()
        other = Gateway(tmp_path / "doors")
        with open_one(other):
            assert connects(alive.socket)
        other.close()


def test_what_is_left_elsewhere_is_cleared_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with TemporaryDirectory(prefix="t-", dir="/tmp") as short:
        monkeypatch.setattr("tempfile.tempdir", short)
        dead = Path(short) / f"automend-{os.geteuid()}-gateway-dead"
        dead.mkdir()
        deep = tmp_path / ("x" * 100)
        assert clear_doors(deep, dry_run=True) == [str(dead)]
        gateway = Gateway(deep)
        with open_one(gateway) as door:
            assert not dead.exists()
            assert clear_doors(deep) == []
            assert connects(door.socket)
        gateway.close()
        assert list(Path(short).iterdir()) == []


def test_a_long_path_moves_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    gateway = Gateway(deep)
    with open_one(gateway) as door:
        assert len(bytes(door.socket)) <= 107
        assert connects(door.socket)
        assert stat.S_IMODE(door.socket.parent.stat().st_mode) == 0o700
        folder = door.socket.parent
    gateway.close()
    assert not folder.exists()
    assert list(deep.iterdir()) == []


def test_no_folder_no_door(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    gateway = Gateway(tmp_path / "file" / "doors")
    with pytest.raises(OutsideError, match="gateway"), open_one(gateway):
        pass
    gateway.close()
