"""The connections to the engine that DOCKER_HOST names, made when they are needed."""

from __future__ import annotations

import os
import socket
import threading

import docker
import docker.errors
from docker import DockerClient

from sandbox.errors import START_ENGINE, EngineGoneError, SandboxError
from sandbox.tunnel import SCHEME, Tunnel

DEFAULT_HOST = "unix:///var/run/docker.sock"
KNOCK_SECONDS = 120.0


class Connections:
    """One for each time that somebody is ready to wait; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[int, DockerClient] = {}
        self._tunnel: Tunnel | None = None

    def client(self, seconds: int) -> DockerClient:
        """A connection that waits so many seconds for an answer.

        Raises:
            SandboxError: no engine answers.
            EngineGoneError: one did before.
        """
        host = os.environ.get("DOCKER_HOST") or DEFAULT_HOST
        with self._lock:
            try:
                # Looked after each time: the program that carries it may have ended since.
                address = self._through_ssh(host) if host.startswith(SCHEME) else None
                if seconds not in self._made:
                    self._made[seconds] = _connected(host, address, seconds)
            except (docker.errors.DockerException, OSError) as e:
                # One that never answered is not gone, and nobody should wait for it.
                kind = EngineGoneError if self._made else SandboxError
                raise kind(f"no Docker engine answers ({e})", remedy=START_ENGINE) from e
            return self._made[seconds]

    def close(self) -> None:
        """Close them all; they are made anew when needed."""
        with self._lock:
            while self._made:
                self._made.popitem()[1].close()
            if self._tunnel is not None:
                self._tunnel.close()
                self._tunnel = None

    def _through_ssh(self, host: str) -> str:
        if self._tunnel is None:
            self._tunnel = Tunnel(host)
        self._tunnel.stand()
        return self._tunnel.address


def _connected(host: str, address: str | None, seconds: int) -> DockerClient:
    if address is not None:
        return DockerClient(base_url=address, timeout=seconds)
    _knock(host)
    return docker.from_env(timeout=seconds)


def _knock(host: str) -> None:
    """Raise `OSError` where nobody listens; docker-py would leave a socket open on the way to the same answer."""
    if host.startswith("unix://"):
        with socket.socket(socket.AF_UNIX) as door:
            door.settimeout(KNOCK_SECONDS)
            door.connect(host.removeprefix("unix://"))
