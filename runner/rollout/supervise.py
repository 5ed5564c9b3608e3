"""Runs one shell command to its end, whatever happens to the process that asked for it.

A program of its own, started by `runner.rollout.once` by path with `python -I`: it imports nothing but the
standard library and outlives its parent. `supervise.py DIRECTORY` takes DIRECTORY/lock, reads what to run from
DIRECTORY/request.json and leaves DIRECTORY/record.json. Whoever comes second waits for the lock, finds the
record and goes.

Files in DIRECTORY:
    lock          held (flock) by the supervisor whose command is running
    request.json  command, env, cwd, timeout (seconds)
    started       pid, its start time and the boot id: written by the command's process before it runs a thing
    record.json   how it ended; there only when it ended, and never changed
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RAN = 0
"""Exit code: this supervisor ran the command, and the record is written."""

FOUND = 10
"""Exit code: the record was there already."""

NOT_STARTED = 11
"""Exit code: the command could not be started; nothing was run, and there is no record."""

OUTPUT_BYTES = 256 * 1024
"""What is kept of the output: half from its beginning, half from its end."""

TERM_SECONDS = 5.0
"""How long a command that is out of time may tidy up between SIGTERM and SIGKILL."""

KILL_SECONDS = 10.0
"""How long a killed process may take to go; one stuck in the kernel shall not hold the record up."""


class Ends:
    """The beginning and the end of a stream of bytes, and how much was between them."""

    def __init__(self, limit: int = OUTPUT_BYTES) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        """Take the next bytes."""
        room = self._half - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        excess = len(self._tail) - self._half
        if excess > 0:
            del self._tail[:excess]
            self._dropped += excess

    def text(self) -> str:
        """What was kept, as text; bytes that are not UTF-8 show as replacement characters."""
        gap = f"\n[… {self._dropped} bytes left out …]\n".encode() if self._dropped else b""
        return bytes(self._head + gap + self._tail).decode("utf-8", "replace")


def identity(pid: int) -> str | None:
    """What tells this process from another that gets the same pid later: boot, pid and start time."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return f"{pid} {stat.rpartition(')')[2].split()[19]} {boot}"


def write_atomically(path: Path, text: str) -> None:
    """Replace a file in one step, so that a reader or a crash finds all of it or none; for its owner's eyes."""
    fd, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # 0600
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(draft).replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def kill_left_over(started: Path) -> None:
    """Kill the command of a supervisor that died before its record, so that two never run at the same time."""
    try:
        name = started.read_text(encoding="ascii").strip()
    except OSError:
        return
    pid = int(name.split()[0]) if name else 0
    if pid > 1 and identity(pid) == name:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        end = time.monotonic() + KILL_SECONDS
        while identity(pid) == name and time.monotonic() < end:  # not our child: there is nothing to wait on
            time.sleep(0.02)


class Command:
    """One running `/bin/sh -c`, in a session of its own, with its output read as it comes."""

    def __init__(self, directory: Path, request: dict[str, Any]) -> None:
        self._ends = Ends()
        self._wake, wake = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wake, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # a handler must be there for the wake-up pipe to be written
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        started = directory / "started"

        def name_yourself() -> None:
            # In the child, before it becomes the shell: there is no moment in which the command runs unnamed.
            write_atomically(started, f"{identity(os.getpid())}\n")

        self.began = time.monotonic()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", request["command"]],
            cwd=request["cwd"],
            env=request["env"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=name_yourself,  # noqa: PLW1509 - this program has one thread
        )
        stdout = self._process.stdout
        if stdout is None:
            raise OSError("no pipe for the command's output")
        self._out = stdout.fileno()
        os.set_blocking(self._out, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._out, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._open = True

    def wait(self, seconds: float) -> int | None:
        """Read output until the shell ends or time is up; its exit code, or None.

        The end of the shell is what counts, not the end of the pipe: a service that the command leaves behind
        may hold that open for years.
        """
        end = time.monotonic() + seconds
        while (code := self._process.poll()) is None:
            left = end - time.monotonic()
            if left <= 0:
                return None
            for key, _ in self._selector.select(left):
                if key.fd == self._out:
                    self._read()
                else:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake, 4096)
        return code

    def _read(self) -> bool:
        """Take what is in the pipe; False when there is nothing more now."""
        try:
            data = os.read(self._out, 65536)
        except BlockingIOError:
            return False
        if not data:
            self._open = False
            self._selector.unregister(self._out)
            return False
        self._ends.add(data)
        return True

    def kill(self) -> None:
        """End the command's process group, gently at first."""
        for sign, seconds in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, KILL_SECONDS)):
            end = time.monotonic() + seconds
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, sign)
                self.wait(seconds)
                while time.monotonic() < end:  # the shell may be gone while what it started still tidies up
                    os.killpg(self._process.pid, 0)
                    time.sleep(0.05)

    def finish(self) -> tuple[str, bool]:
        """The output, and whether some process still has it open."""
        for _ in range(64):  # a pipe's worth and more, but not all that a talkative service will ever say
            if not self._open or not self._read():
                break
        return self._ends.text(), self._open


def supervise(directory: Path) -> int:
    """Run the request in `directory` unless its record is there; one of the exit codes above."""
    with (directory / "lock").open("a") as lock:  # close-on-exec: the command never inherits the lock
        fcntl.flock(lock, fcntl.LOCK_EX)
        record = directory / "record.json"
        if record.exists():
            return FOUND
        request = json.loads((directory / "request.json").read_text(encoding="utf-8"))
        kill_left_over(directory / "started")
        try:
            command = Command(directory, request)
        except (OSError, subprocess.SubprocessError) as e:
            print(f"could not be started: {e}", file=sys.stderr)  # noqa: T201 - goes to supervisor.log
            return NOT_STARTED
        code = command.wait(request["timeout"])
        timed_out = code is None
        if timed_out:
            command.kill()
        output, left_open = command.finish()
        result = {
            "exit_code": code,
            "timed_out": timed_out,
            "output": output,
            "output_left_open": left_open and not timed_out,
            "seconds": round(time.monotonic() - command.began, 3),
        }
        write_atomically(record, json.dumps(result))
        return RAN


if __name__ == "__main__":
    sys.exit(supervise(Path(sys.argv[1])))
