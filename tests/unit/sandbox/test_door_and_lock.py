from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.api import LABEL_OWNER, LABEL_RUN, SandboxError
from sandbox.cleanup import LABEL_KIND, SANDBOX, labels_for, name_for
from sandbox.docker import DockerSandboxes
from sandbox.door import let_in
from sandbox.lock import if_free, one_at_a_time, scratch, sweep_locks


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("d.sock")
        yield tmp_path / "d.sock"


def engine(*options: str) -> Any:
    return SimpleNamespace(info=lambda: {"SecurityOptions": list(options)})


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_root_gives_the_door_to_the_job(door: Path) -> None:
    let_in(engine(), door, 20_001)
    assert (mode(door), door.stat().st_uid) == (0o600, 20_001)


def test_others_open_it_only_in_a_private_directory(door: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    door.parent.chmod(0o755)
    with pytest.raises(SandboxError, match="job alone") as caught:
        let_in(engine(), door, 20_001)
    assert "chmod 700" in caught.value.remedy
    door.parent.chmod(0o700)
    let_in(engine(), door, 20_001)
    assert mode(door) == 0o666


def test_mapped_uids_count_as_others(door: Path) -> None:
    door.parent.chmod(0o700)
    let_in(engine("name=seccomp,profile=default", "name=userns"), door, 20_001)
    assert mode(door) == 0o666


def test_only_a_socket_is_a_door(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="not there"):
        let_in(engine(), tmp_path / "missing", 20_001)
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match="not a unix socket"):
        let_in(engine(), tmp_path / "file", 20_001)


def test_a_lock_is_held_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with one_at_a_time("x", progress=lambda _: None), if_free("x") as free, if_free("y") as other:
        assert not free
        assert other
    with if_free("x") as free:
        assert free


def quiet(_: str) -> None:
    """Nobody watches."""


def test_nothing_is_left_of_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with one_at_a_time("x", progress=quiet), scratch("x") as folder:
        (folder / "large").write_bytes(b"x")
        assert folder.parent == tmp_path
        assert mode(folder) == 0o700
    assert list(tmp_path.iterdir()) == []


def test_who_waits_gets_the_lock_that_is_there_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file goes away with its holder; two who waited for it must not both believe that they have it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    inside: list[int] = []
    most: list[int] = []

    def work(number: int) -> None:
        for _ in range(50):
            with one_at_a_time("x", progress=quiet):
                inside.append(number)
                most.append(len(inside))
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (max(most), len(most)) == (1, 200)
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_is_swept_and_what_lives_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    mine = f"automend-{os.geteuid()}"
    (tmp_path / f"{mine}-dead.lock").touch()
    (tmp_path / f"{mine}-dead.scratch-1").mkdir()
    (tmp_path / f"{mine}-lost.scratch-2" / "deep").mkdir(parents=True)
    others = [tmp_path / "automend-other", tmp_path / f"automend-{os.geteuid() + 1}-x.lock"]
    others[0].mkdir()
    others[1].touch()
    with one_at_a_time("live", progress=quiet), scratch("live") as folder:
        told = sweep_locks(dry_run=True)
        assert [Path(path).name for path in told] == [
            f"{mine}-{n}" for n in ("dead.lock", "dead.scratch-1", "lost.scratch-2")
        ]
        assert all(Path(path).exists() for path in told)
        assert sweep_locks() == told
        assert set(tmp_path.iterdir()) == {*others, folder, tmp_path / f"{mine}-live.lock"}
    assert set(tmp_path.iterdir()) == set(others)


def test_the_next_holder_sweeps_the_folders_of_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"automend-{os.geteuid()}-x.scratch-1").mkdir()
    with one_at_a_time("x", progress=quiet), scratch("x") as folder:
        assert [path for path in tmp_path.iterdir() if path.is_dir()] == [folder]


def test_a_planted_lock_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / f"automend-{os.geteuid()}-x.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SandboxError, match="cannot be opened"), if_free("x"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_labels_always_name_the_run() -> None:
    assert labels_for("me", SANDBOX, {}) == {LABEL_RUN: "", LABEL_OWNER: "me", LABEL_KIND: SANDBOX}
    lying = {LABEL_RUN: "r", LABEL_OWNER: "you", LABEL_KIND: "x"}
    assert labels_for("me", SANDBOX, lying) == {LABEL_RUN: "r", LABEL_OWNER: "me", LABEL_KIND: SANDBOX}


def test_names_hold_the_run_and_are_new() -> None:
    first, second = (name_for("automend", {LABEL_RUN: "run/1 ü"}) for _ in range(2))
    assert first.startswith("automend-run-1---")
    assert first != second


def test_no_engine_is_told_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(SandboxError, match="no Docker engine answers") as caught:
        DockerSandboxes(owner="me").reap()
    assert "DOCKER_HOST" in caught.value.remedy
