"""DOCKER_HOST=ssh://…: the engine's socket on another machine as a socket on this one, by the `ssh` program.

What connects, and to whom, is the user's own set-up of ssh: its configuration, keys, agent and known hosts. Nobody is
ever asked for a password. docker-py has a way through ssh too, but its connections are none that can be waited for, and
half closed, as the stream of a command needs it.
"""

from __future__ import annotations

import atexit
import secrets
import select
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sandbox.errors import EngineGoneError, SandboxError
from sandbox.lock import one_at_a_time, scratch

SCHEME = "ssh://"
DEFAULT_SOCKET = "/var/run/docker.sock"
CONNECT_SECONDS = 60.0
END_SECONDS = 5.0
OPTIONS = (
    "BatchMode=yes",
    "ExitOnForwardFailure=yes",
    "StreamLocalBindMask=0177",
    "StreamLocalBindUnlink=yes",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=4",
    "ControlMaster=no",
    "ControlPath=none",
)

THERE = "echo here; exec cat >/dev/null"
"""What runs on the other side: it says that all is up, and ends when nobody holds its standard input any more, so that
no tunnel outlives the process that made it, however that ends."""


def ssh_words(host: str, socket: Path) -> list[str]:
    """The command for DOCKER_HOST `host` (ssh://[USER@]NAME[:PORT][/SOCKET]), with the engine's socket at `socket`.

    Raises:
        SandboxError: that is no such address.
    """
    try:
        parts = urlsplit(host)
        name, port = parts.hostname, parts.port
    except ValueError as e:
        raise _no_address(host) from e
    if not name or parts.query or parts.fragment or parts.password is not None:
        raise _no_address(host)
    words = ["ssh", "-T", *(word for option in OPTIONS for word in ("-o", option))]
    words += ["-L", f"{socket}:{unquote(parts.path) if parts.path not in {'', '/'} else DEFAULT_SOCKET}"]
    words += ["-l", unquote(parts.username)] if parts.username else []
    words += ["-p", str(port)] if port is not None else []
    return [*words, "--", name, THERE]


class Tunnel:
    """A socket here that leads to an engine elsewhere.

    Args:
        host: as in DOCKER_HOST.
    """

    def __init__(self, host: str) -> None:
        self._host = host
        self._process: subprocess.Popen[bytes] | None = None
        self._stood = False
        self._stack = ExitStack()
        # Held by a lock, so that what a killed process leaves is swept by the next one.
        name = f"ssh-{secrets.token_hex(4)}"
        self._stack.enter_context(one_at_a_time(name, progress=lambda _: None))
        self._folder = self._stack.enter_context(scratch(name))
        try:
            self._words = ssh_words(host, self._folder / "s")
        except BaseException:
            self._stack.close()
            raise
        atexit.register(self.close)

    @property
    def address(self) -> str:
        """Where the engine is, once the tunnel stands; it stays the same."""
        return f"unix://{self._folder / 's'}"

    def stand(self) -> None:
        """Make it, where it is not there (any more).

        Raises:
            SandboxError: ssh could not connect.
            EngineGoneError: it did before.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self._end()
        errors = self._folder / "errors"
        with errors.open("wb") as said:
            try:
                self._process = subprocess.Popen(
                    self._words,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    start_new_session=True,  # an interrupt is ours first: containers are removed through it
                )
            except OSError as e:
                raise SandboxError(f"no ssh to reach {self._host}: {e}", remedy="apt-get install openssh-client") from e
        if not self._is_up(self._process):
            self._end()
            words = errors.read_text(errors="replace").strip().splitlines()
            kind = EngineGoneError if self._stood else SandboxError
            raise kind(
                f"ssh does not reach {self._host}: {words[-1] if words else 'no answer'}",
                remedy="`ssh HOST docker version` must work without a question, with the DOCKER_HOST's user and port",
            )
        self._stood = True

    def close(self) -> None:
        """End it and remove the socket; safe to call twice."""
        self._end()
        self._stack.close()
        atexit.unregister(self.close)

    def _is_up(self, process: subprocess.Popen[bytes]) -> bool:
        if process.stdout is None:
            return False
        poll = select.poll()
        poll.register(process.stdout, select.POLLIN)
        ready = poll.poll(CONNECT_SECONDS * 1000)
        return bool(ready) and bool(process.stdout.readline())

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _no_address(host: str) -> SandboxError:
    return SandboxError(f"{host} is no address of an engine", remedy="DOCKER_HOST=ssh://[USER@]NAME[:PORT]")
