"""Real processes: a command is started once, whoever asks and whoever dies."""

import concurrent.futures
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runner.errors import DeployError
from runner.rollout import supervise
from runner.rollout.once import OnceResult, recorded, run_once

ENV = {"PATH": os.environ["PATH"]}


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "rollouts" / "key"


def once(directory: Path, command: str, *, timeout: float = 300.0, cwd: Path | None = None) -> OnceResult:
    return run_once(directory, command, ENV, cwd or directory.parents[1], timeout)


def caller(directory: Path, command: str) -> subprocess.Popen[str]:
    """Another process that asks for the same."""
    code = (
        "import sys; from pathlib import Path; from runner.rollout.once import run_once\n"
        "r = run_once(Path(sys.argv[1]), sys.argv[2], {'PATH': sys.argv[3]}, Path(sys.argv[1]).parents[1], 300)\n"
        "print(r.exit_code, r.started_before)"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(directory), command, ENV["PATH"]],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


def open_files(pid: int) -> list[str]:
    """What a process has open; it may be opening and closing files meanwhile."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return found


def state(pid: int) -> str:
    """The state of a process by its letter; nothing where there is none any more."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A fifo: `echo >gate` in a command says that it runs; the reading end waits for that."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def test_runs_and_remembers(key: Path) -> None:
    first = once(key, "echo once >>log; echo said; echo loudly >&2; exit 3")
    again = once(key, "echo once >>log; echo said; echo loudly >&2; exit 3")
    assert (first.exit_code, first.timed_out, first.started_before) == (3, False, False)
    assert first.output == "said\nloudly\n"
    assert not first.output_left_open
    assert again.started_before
    assert (again.exit_code, again.output, again.seconds) == (first.exit_code, first.output, first.seconds)
    assert (key.parents[1] / "log").read_text() == "once\n"


def test_gets_exactly_the_given_environment(key: Path) -> None:
    assert once(key, "env | cut -d= -f1 | sort").output.split() == ["PATH", "PWD"]


def test_keeps_what_it_runs_to_itself(key: Path) -> None:
    once(key, "true")
    assert key.stat().st_mode & 0o777 == 0o700
    assert (key / "request.json").stat().st_mode & 0o777 == 0o600
    assert (key / "record.json").stat().st_mode & 0o777 == 0o600


def test_flood_keeps_beginning_and_end(key: Path) -> None:
    result = once(key, "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last")
    assert result.output.startswith("first\nxxx")
    assert result.output.endswith("xxx\nlast\n")
    assert "bytes left out" in result.output
    assert len(result.output) < supervise.OUTPUT_BYTES + 100


def test_out_of_time_kills_the_whole_group(key: Path, tmp_path: Path) -> None:
    result = once(key, "sleep 600 & echo $! >child; echo waiting; wait", timeout=3)
    assert (result.exit_code, result.timed_out, result.output) == (None, True, "waiting\n")
    child = int((tmp_path / "child").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_out_of_time_kills_what_ignores_sigterm(key: Path, tmp_path: Path) -> None:
    directory = key
    directory.mkdir(parents=True)
    (directory / "request.json").write_text(
        json.dumps(
            {"command": "trap '' TERM; sleep 600 & wait; wait", "env": ENV, "cwd": str(tmp_path), "timeout": 0.3}
        )
    )
    code = "import sys; from runner.rollout import supervise as s; from pathlib import Path; s.TERM_SECONDS = 0.2\n"
    code += "sys.exit(s.supervise(Path(sys.argv[1])))"
    subprocess.run([sys.executable, "-c", code, str(directory)], cwd=Path(__file__).parents[3], check=True, timeout=120)
    result = recorded(directory)
    assert result is not None
    assert result.timed_out
    name = (directory / "started").read_text().strip()
    assert supervise.identity(int(name.split()[0])) != name


def test_a_service_left_behind_neither_holds_the_lock_nor_keeps_us(key: Path, tmp_path: Path) -> None:
    begin = time.monotonic()
    result = once(key, "setsid sleep 600 & echo $! >service; exit 0")  # it keeps the output open, too
    assert time.monotonic() - begin < 120
    pid = int((tmp_path / "service").read_text())
    try:
        assert result.exit_code == 0
        assert result.output_left_open
        assert once(key, "exit 1").exit_code == 0
        with (key / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert [place for place in open_files(pid) if place.startswith(str(key))] == []
    finally:
        os.kill(pid, signal.SIGKILL)


def test_survives_kill_of_the_caller(key: Path, gate: Path, tmp_path: Path) -> None:
    command = f"echo run >>count; echo started >{gate}; read go <{gate}; exit 7"
    process = caller(key, command)
    assert gate.read_text() == "started\n"
    process.kill()
    process.communicate()
    second = caller(key, command)  # finds it running, and waits for it
    gate.write_text("go\n")
    out, _ = second.communicate(timeout=120)
    assert out.split() == ["7", "True"]
    assert once(key, command).exit_code == 7
    assert (tmp_path / "count").read_text() == "run\n"


def test_many_callers_one_start(key: Path, tmp_path: Path) -> None:
    ready = threading.Barrier(4)

    def ask() -> OnceResult:
        ready.wait()
        return once(key, "echo run >>count")

    others = [caller(key, "echo run >>count") for _ in range(2)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = [f.result() for f in [pool.submit(ask) for _ in range(4)]]
    said = [p.communicate(timeout=120)[0].split() for p in others]
    assert (tmp_path / "count").read_text() == "run\n"
    began = [r.started_before for r in results] + [s[1] == "True" for s in said]
    assert began.count(False) == 1
    assert {r.exit_code for r in results} == {0}


@pytest.mark.parametrize("left", [(), ("lock",), ("lock", "request.json"), (".record.json.half",)])
def test_kill_before_the_start_still_starts_once(key: Path, tmp_path: Path, left: tuple[str, ...]) -> None:
    key.mkdir(parents=True)
    for name in left:
        (key / name).write_text("{}")
    assert not once(key, "echo run >>count").started_before
    assert (tmp_path / "count").read_text() == "run\n"


def test_supervisor_killed_in_the_middle_is_told_and_may_run_again(key: Path, gate: Path, tmp_path: Path) -> None:
    command = f"echo $$ >>pids; echo started >{gate}; read go <{gate}; exit 0"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(once, key, command)
        assert gate.read_text() == "started\n"
        first = int((tmp_path / "pids").read_text())
        supervisor = int(Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(supervisor, signal.SIGKILL)
        with pytest.raises(DeployError, match="left no record"):
            asked.result(timeout=120)
        assert recorded(key) is None
        again = pool.submit(once, key, command)
        assert gate.read_text() == "started\n"
        # The first command was still there: the second begins only when that is gone.
        assert supervise.identity(first) != (key / "started").read_text().strip()
        assert state(first) in {"", "Z"}
        gate.write_text("go\n")
        assert again.result(timeout=120).exit_code == 0
    assert len((tmp_path / "pids").read_text().split()) == 2


def test_what_cannot_be_started_is_an_error_and_leaves_no_record(key: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="could not be started") as told:
        once(key, "true", cwd=tmp_path / "missing")
    assert "missing" in told.value.message
    assert recorded(key) is None
    assert once(key, "true").exit_code == 0  # mended: it runs


def test_a_record_that_cannot_be_read_is_told(key: Path) -> None:
    key.mkdir(parents=True)
    (key / "record.json").write_text("{")
    with pytest.raises(DeployError, match="cannot be read"):
        once(key, "true")


def test_a_command_ended_by_a_signal(key: Path) -> None:
    assert once(key, "kill -9 $$").exit_code == -9
