"""What the script says of a workspace, and what is made of what it says."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

import sandbox.compare
import sandbox.compare_inside as inside_file
from runner.git import names
from sandbox.api import OutputTooLargeError
from sandbox.exec import Ended, Ending, Output

Known = dict[bytes, tuple[str, str]]


def oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


BASE: Known = {
    b"kept": ("100644", oid(b"kept\n")),
    b"odd mode": ("100664", oid(b"old\n")),
    b"sub/deep/run": ("100755", oid(b"#!\n")),
    b"sub/link": ("120000", oid(b"../kept")),
    b"changed": ("100644", oid(b"one\n")),
    b"gone": ("100644", oid(b"gone\n")),
    b"mode": ("100644", oid(b"mode\n")),
    b"turned": ("100644", oid(b"turned\n")),
    b"\xff\nodd": ("100644", oid(b"")),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    here = tmp_path / "workspace"

    def put(name: bytes, content: bytes, mode: int = 0o644) -> None:
        path = here / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)

    put(b"kept", b"kept\n", 0o600)
    put(b"odd mode", b"old\n")
    put(b"sub/deep/run", b"#!\n", 0o700)
    (here / "sub/link").symlink_to("../kept")
    put(b"changed", b"two\n")
    put(b"mode", b"mode\n", 0o755)
    (here / "turned").symlink_to("/etc/passwd")
    put(b"\xff\nodd", b"")
    put(b"new/" + b"n" * 200 + b"/file", b"new\n")
    put(b".git/config", b"secret")
    put(b"sub/.git/config", b"nested")
    return here


def inside(where: Path, known: Known, limit: int = 1 << 20) -> bytes:
    asked = b"".join(b"%b %b %b\0" % (mode.encode(), sha.encode(), path) for path, (mode, sha) in known.items())
    script = Path(inside_file.__file__).read_text(encoding="utf-8")
    argv = [sys.executable, "-I", "-S", "-B", "-c", script, str(where), str(limit), str(len(asked))]
    return subprocess.run(argv, input=asked, capture_output=True, check=True).stdout


def answering(monkeypatch: pytest.MonkeyPatch, said: bytes, *, code: int | None = 0) -> None:
    def run_alone(*_: Any, on_stdout: Any, **__: Any) -> Ended:
        on_stdout(said)
        return Ended(Ending.FLOOD if code is None else Ending.EXITED, code, Output(cap=1), 0.0)

    monkeypatch.setattr(sandbox.compare, "run_alone", run_alone)


def ask(known: Known) -> Any:
    api: Any = None
    return sandbox.compare.get_changes(api, "c", known, limit=1 << 20, user="1:1")


def test_what_is_as_known_is_named_and_the_rest_is_in_the_tar(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, inside(place, BASE))
    found = ask(BASE)
    assert found.unchanged == {b"kept", b"odd mode", b"sub/deep/run", b"sub/link", b"\xff\nodd"}
    with tarfile.open(fileobj=io.BytesIO(b"".join(found.tar))) as tar:
        seen = {m.name: (m.mode & 0o111, m.linkname, m.isdir() or m.size) for m in tar if m.name != "."}
    long = "n" * 200
    assert seen == {
        "./changed": (0, "", 4),
        "./mode": (0o111, "", 5),
        "./turned": (0o111, "/etc/passwd", 0),
        "./new": (0o111, "", True),
        f"./new/{long}": (0o111, "", True),
        f"./new/{long}/file": (0, "", 4),
        "./sub/.git": (0o111, "", True),
        "./sub/.git/config": (0, "", 6),
    }


def test_an_empty_answer_and_an_empty_workspace_are_not_the_same(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    answering(monkeypatch, inside(tmp_path / "empty", BASE))
    found = ask(BASE)
    assert found.unchanged == frozenset()
    assert len(b"".join(found.tar)) > 0
    answering(monkeypatch, b"")
    assert ask(BASE) is None


def test_a_socket_is_left_out_and_a_pipe_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("s")
    answering(monkeypatch, inside(tmp_path, {b"pipe": ("100644", oid(b""))}))
    found = ask({b"pipe": ("100644", oid(b""))})
    assert found.unchanged == frozenset()
    with tarfile.open(fileobj=io.BytesIO(b"".join(found.tar))) as tar:
        assert [(m.name, m.type) for m in tar if m.name != "."] == [("./pipe", tarfile.FIFOTYPE)]


@pytest.mark.parametrize("said", [b"no such program", b"5\nab", b"-1\n", b"99999999999999999999999\n", b"\n", b"1"])
def test_what_makes_no_sense_is_not_believed(said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, said)
    assert ask(BASE) is None


def test_a_script_that_failed_is_not_believed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, inside(place, BASE), code=1)
    assert ask(BASE) is None


def test_too_much_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    answering(monkeypatch, b"0\n", code=None)
    with pytest.raises(OutputTooLargeError):
        ask(BASE)


def test_folders_without_end_are_told_and_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(3000):  # a path of its own that is longer than any system call takes
        Path("d").mkdir()
        os.chdir("d")
    os.chdir(tmp_path)
    answering(monkeypatch, inside(tmp_path, {}))
    with tarfile.open(fileobj=io.BytesIO(b"".join(ask({}).tar))) as tar:
        deepest = max(member.name.count("/") for member in tar)
    subprocess.run(["rm", "-rf", "d"], check=True)
    assert names.DEEPEST < deepest < 400


def test_a_tree_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(subprocess.CalledProcessError) as caught:
        inside(tmp_path, {b"sparse": ("100644", oid(b""))})
    answering(monkeypatch, b"", code=caught.value.returncode)
    with pytest.raises(OutputTooLargeError):
        ask(BASE)
