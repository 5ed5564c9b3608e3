"""The gateway's socket for a container whose engine does not see this host's files: on another machine, for instance.

A process of ours in the container listens where the socket would have been mounted, as a user that the job cannot
signal, in a folder that it cannot write to. What comes in there goes over that process's own standard streams, which
the engine carries anyway, to a thread here, and from it to the real socket. So the container stays without a network,
and the job has the very same door: a socket that it can connect to, and nothing else.
"""

from __future__ import annotations

import socket
import threading
from importlib.resources import files
from pathlib import Path

from docker import APIClient

from sandbox.api import DOOR
from sandbox.errors import SandboxError
from sandbox.exec import STDERR, Stream, start
from sandbox.limits import RELAY_UID
from sandbox.relay_inside import BrokenRulesError, Relay

READY_SECONDS = 60.0
DIAL_SECONDS = 10.0
JOIN_SECONDS = 60.0
SAID = 2000
USER = f"{RELAY_UID}:{RELAY_UID}"


class DoorRelay:
    """A door in a running container that leads to a socket of this host, for as long as it is not closed.

    Args:
        api: the engine.
        container: has a folder for the door that belongs to `RELAY_UID` (`sandbox.limits`).
        door: the socket on this host.

    Raises:
        SandboxError: the engine failed, or the image has no Python.
    """

    def __init__(self, api: APIClient, container: str, door: Path) -> None:
        self._door = door
        self._why: str | None = None
        self._settled = threading.Event()
        self._is_ready = False
        script = files("sandbox").joinpath("relay_inside.py").read_text(encoding="utf-8")
        argv = ["python3", "-I", "-S", "-B", "-c", script, DOOR]
        _, self._stream = start(api, container, argv, user=USER, env={"LANG": "C.UTF-8"}, cwd="/", stdin=True)
        self._thread = threading.Thread(target=self._carry, name=f"door of {container[:12]}", daemon=True)
        self._thread.start()
        self._settled.wait(READY_SECONDS)
        if not self._is_ready:
            self.close()
            raise SandboxError(
                f"the way to the gateway cannot be laid in container {container[:12]}: {self.broken or 'no answer'}",
                remedy="the engine does not see this host's files, so the image needs python3 (3.7 or newer)",
            )

    @property
    def broken(self) -> str | None:
        """Why it ended, where it did."""
        return self._why

    def close(self) -> None:
        """End it; safe to call twice."""
        self._stream.hang_up()
        self._thread.join(JOIN_SECONDS)
        self._stream.close()

    def _carry(self) -> None:
        line = Carried(self._stream)
        why = "it ended"
        try:
            Relay(line, dial=self._dial, ready=self._ready).run()
        except (BrokenRulesError, OSError) as e:
            why = str(e)
        said = line.said.decode("utf-8", "replace").strip().splitlines()
        self._why = f"{why} ({said[-1]})" if said else why
        self._stream.hang_up()
        self._settled.set()

    def _ready(self) -> None:
        self._is_ready = True
        self._settled.set()

    def _dial(self) -> socket.socket:
        plug = socket.socket(socket.AF_UNIX)
        try:
            plug.settimeout(DIAL_SECONDS)
            plug.connect(str(self._door))
        except OSError:
            plug.close()
            raise
        return plug


class Carried:
    """The stream to the process in the container, as `sandbox.relay_inside.Line`; keeps the last it said besides."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.reading = self.writing = stream.fileno()
        self.said = b""
        self._came = bytearray()
        self._early = stream.read_ahead()

    def receive(self) -> bytes | None:
        """See `Line.receive`."""
        data = self._early or self._stream.read()
        self._early = b""
        if not data:
            return data
        self._stream.frames(data, self)
        came = bytes(self._came)
        self._came.clear()
        return came or None

    def send(self, data: memoryview) -> int:
        """See `Line.send`."""
        return self._stream.send(data)

    def take(self, stream: int, data: bytes) -> bool:
        """A piece of what the process wrote (`sandbox.exec.Taker`)."""
        if stream == STDERR:
            self.said = (self.said + data)[-SAID:]
        else:
            self._came += data
        return True
