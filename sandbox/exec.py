"""Running one command in a container: its raw stream under a cap and a deadline, and the end of all its children.

docker-py's own readers collect without a bound, and the engine has neither a deadline for an exec nor a way to kill
one. So the hijacked connection is read here, frame by frame, and a job is ended by killing every process of its uid.
"""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from docker import APIClient

from sandbox.errors import SandboxError, engine_failures

CHUNK = 1 << 16
HEADER = 8
STDERR = 2
SETTLE_SECONDS = 60.0
LOOK_SECONDS = 0.001
LOOK_SECONDS_AT_MOST = 0.02
SWEEP_SECONDS = 60.0
SWEEPS = 5

# kill(-1) reaches every process of the caller's uid but the caller. A process that forks while it goes round may
# leave a child, so it goes round again until /proc shows nobody of this uid but the shell itself.
ALONE = """
alone() {
  i=0
  while [ "$i" -lt 100 ]; do
    kill -9 -1 2>/dev/null
    left=
    for p in /proc/[0-9]*; do
      if [ "$p" != "/proc/$$" ] && [ -O "$p" ]; then left=1; fi
    done
    if [ -z "$left" ]; then return 0; fi
    i=$((i + 1))
  done
  return 1
}
"""
KILLED = 137
NOT_STARTED = 126
NOT_ALONE = 125


class Ending(Enum):
    """Why we stopped listening to a command."""

    EXITED = "exited"
    DEADLINE = "deadline"
    FLOOD = "flood"


class JobWonError(Exception):
    """The job's processes could not be ended from within; ending the container is the caller's next call."""


@dataclass
class Output:
    """What a command said, up to `cap` bytes of both streams together.

    With `pass_on`, stdout is told to `on_stdout` and not kept besides.
    """

    cap: int
    on_stdout: Callable[[bytes], None] | None = None
    pass_on: bool = False
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    taken: int = 0

    def take(self, stream: int, data: bytes) -> bool:
        """Take what fits; False once more came than the cap."""
        room = self.cap - self.taken
        kept = data[:room]
        self.taken += len(kept)
        if stream == STDERR:
            self.stderr += kept
        elif kept:
            if not self.pass_on:
                self.stdout += kept
            if self.on_stdout is not None:
                self.on_stdout(kept)
        return len(data) <= room


class Taker(Protocol):
    """Whoever is told what a command says."""

    def take(self, stream: int, data: bytes) -> bool:
        """A piece of what it wrote to `stream` (1 or 2); False to stop."""
        ...


@dataclass(frozen=True)
class Ended:
    """How a command came to its end. `exit_code` is None where it was still running when we stopped listening."""

    ending: Ending
    exit_code: int | None
    output: Output
    seconds: float


def run(
    api: APIClient,
    container: str,
    argv: Sequence[str],
    *,
    user: str,
    env: Mapping[str, str],
    cwd: str,
    timeout: float,
    output: Output,
    stdin: Iterable[bytes] | None = None,
    knows_the_end: bool = False,
) -> Ended:
    """Run `argv` and listen until it ends, `timeout` seconds are over or `output` is full.

    A command that `knows_the_end` of its stdin is not told it. To tell it, our half of the connection is closed, and
    not everything that may be between us and an engine on TCP carries on with the other half.

    A command that has not ended is left running: `sweep` is the caller's next call.

    Raises:
        SandboxError: the engine or the container failed.
    """
    begun = time.monotonic()
    what = f"running {argv[0]!r} in container {container[:12]}"
    exec_id, stream = start(
        api, container, argv, user=user, env=env, cwd=cwd, stdin=stdin is not None, knows_the_end=knows_the_end
    )
    try:
        ending = stream.pump(output, iter(stdin) if stdin is not None else None, begun + timeout, what)
    finally:
        stream.close()
    code = _exit_code(api, exec_id, what) if ending is Ending.EXITED else None
    return Ended(ending=ending, exit_code=code, output=output, seconds=time.monotonic() - begun)


def start(
    api: APIClient,
    container: str,
    argv: Sequence[str],
    *,
    user: str,
    env: Mapping[str, str],
    cwd: str,
    stdin: bool,
    knows_the_end: bool = False,
) -> tuple[str, Stream]:
    """Start `argv` and nothing more (see `run`): the exec's id, and the stream to it, which is the caller's to close.

    Raises:
        SandboxError: the engine or the container failed.
    """
    with engine_failures(f"running {argv[0]!r} in container {container[:12]}"):
        created = api.exec_create(container, list(argv), user=user, environment=dict(env), workdir=cwd, stdin=stdin)
        exec_id: str = created["Id"]
        return exec_id, Stream(api.exec_start(exec_id, socket=True), knows_the_end=knows_the_end)


def sweep(api: APIClient, container: str, *, user: str) -> None:
    """Kill every process of the job, detached ones and fork bombs too.

    Raises:
        JobWonError: it is still there.
        SandboxError: the engine or the container failed.
    """
    run_alone(api, container, "exit 0", (), user=user, timeout=SWEEP_SECONDS, cap=CHUNK)


def run_alone(
    api: APIClient,
    container: str,
    script: str,
    args: Sequence[str],
    *,
    user: str,
    timeout: float,
    cap: int,
    stdin: bytes | None = None,
    on_stdout: Callable[[bytes], None] | None = None,
) -> Ended:
    """Kill every process of the job, then run a shell script of ours as the only one of its user.

    So nobody is there who could stop it, feed it or change what it looks at. Only what comes with the image is run, in
    an environment that is empty but for the container's own. It has to know how long its `stdin` is. With `on_stdout`,
    stdout is told there and not kept.

    Raises:
        JobWonError: the job could not be ended.
        SandboxError: the engine or the container failed.
    """
    for _ in range(SWEEPS):
        output = Output(cap=cap, on_stdout=on_stdout, pass_on=on_stdout is not None)
        ended = run(
            api,
            container,
            ["/bin/sh", "-c", f"{ALONE}\nalone || exit {NOT_ALONE}\n{script}", "sh", *args],
            user=user,
            env={"LANG": "C.UTF-8"},
            cwd="/",
            timeout=timeout,
            output=output,
            stdin=None if stdin is None else [stdin],
            knows_the_end=True,
        )
        if ended.ending is Ending.FLOOD:
            return ended
        if ended.exit_code is None:
            break
        # A sibling may kill the shell before it is killed itself: then it ends with 137, and we go again. Where the
        # engine finds no room for one more process it ends with 126, and says so on stdout.
        if ended.exit_code not in {NOT_ALONE, NOT_STARTED, KILLED}:
            return ended
    raise JobWonError


def _exit_code(api: APIClient, exec_id: str, what: str) -> int:
    deadline = time.monotonic() + SETTLE_SECONDS
    pause = LOOK_SECONDS
    while True:
        with engine_failures(what):
            state = api.exec_inspect(exec_id)
        code = state.get("ExitCode")
        if not state.get("Running") and code is not None:
            return int(code)
        if time.monotonic() > deadline:
            raise SandboxError(f"{what}: the connection ended but the command did not")
        time.sleep(pause)  # the engine tells the end of the stream a moment before the exit code
        pause = min(2 * pause, LOOK_SECONDS_AT_MOST)


class Stream:
    """The hijacked connection of one exec: stdin goes in raw, stdout and stderr come back in frames."""

    def __init__(self, io: Any, *, knows_the_end: bool = False) -> None:
        self._io = io
        self._knows_the_end = knows_the_end
        self._socket: socket.socket = getattr(io, "_sock", io)
        self._header = bytearray()
        self._kind = 0
        self._left = 0
        self._response = getattr(io, "_response", None)
        self._socket.setblocking(False)

    def pump(self, output: Output, stdin: Iterator[bytes] | None, deadline: float, what: str) -> Ending:
        """Move bytes both ways until one end is reached."""
        waiting = memoryview(b"")
        with selectors.DefaultSelector() as selector:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            selector.register(self._socket, selectors.EVENT_READ if stdin is None else both)
            early = self.read_ahead()
            if early and not self.frames(early, output):
                return Ending.FLOOD
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return Ending.DEADLINE
                for _, events in selector.select(left):
                    if events & selectors.EVENT_WRITE and stdin is not None:
                        waiting, more = self._write(waiting, stdin)
                        if not more:
                            stdin = None
                            selector.modify(self._socket, selectors.EVENT_READ)
                    if events & selectors.EVENT_READ:
                        with engine_failures(what):
                            data = self.read()
                        if data == b"":
                            return Ending.EXITED
                        if data is not None and not self.frames(data, output):
                            return Ending.FLOOD

    def close(self) -> None:
        """Hang up, so that a flooding command does not block the engine on our unread bytes."""
        self.hang_up()
        (self._io if self._response is None else self._response).close()

    def fileno(self) -> int:
        """What a selector waits for."""
        return self._socket.fileno()

    def hang_up(self) -> None:
        """End the connection for whoever reads it, in whatever thread."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def read_ahead(self) -> bytes:
        """What the HTTP client read beyond the response's headers; it comes before all else."""
        buffered = getattr(getattr(getattr(self._response, "raw", None), "_fp", None), "fp", None)
        return bytes(buffered.peek()) if buffered is not None else b""

    def read(self) -> bytes | None:
        """Some bytes (of frames), b"" at the end, None where there is nothing to read after all."""
        try:
            data = self._socket.recv(CHUNK)
            while isinstance(self._socket, ssl.SSLSocket) and (pending := self._socket.pending()):
                data += self._socket.recv(pending)  # decrypted already, so select would not wake for it
        except (BlockingIOError, ssl.SSLWantReadError):
            return None
        except ConnectionResetError:
            return b""
        return data

    def _write(self, waiting: memoryview, stdin: Iterator[bytes]) -> tuple[memoryview, bool]:
        """Send some of stdin; False at its end, or where the command stopped reading."""
        if not waiting:
            chunk = next(stdin, None)
            if chunk is None:
                if not self._knows_the_end:
                    with suppress(OSError):
                        # The plain one: an SSLSocket's own shutdown would end the reading side with it.
                        socket.socket.shutdown(self._socket, socket.SHUT_WR)
                return waiting, False
            waiting = memoryview(chunk)
        try:
            return waiting[self.send(waiting) :], True
        except (BrokenPipeError, ConnectionResetError):
            return waiting, False

    def send(self, data: memoryview) -> int:
        """Send some of `data`, and say how much: nothing where there is no room for it.

        Raises:
            OSError: the connection is gone.
        """
        try:
            return self._socket.send(data[:CHUNK]) if data else 0
        except (BlockingIOError, ssl.SSLWantWriteError):
            return 0

    def frames(self, data: bytes, output: Taker) -> bool:
        """Take the frames apart (they may begin and end anywhere in `data`); False once the output is full."""
        view = memoryview(data)
        while view:
            if self._left == 0:
                needed = HEADER - len(self._header)
                self._header += view[:needed]
                view = view[needed:]
                if len(self._header) < HEADER:
                    break
                self._kind = self._header[0]
                self._left = int.from_bytes(self._header[4:], "big")
                self._header.clear()
                continue
            part = bytes(view[: self._left])
            view = view[len(part) :]
            self._left -= len(part)
            if not output.take(self._kind, part):
                return False
        return True
