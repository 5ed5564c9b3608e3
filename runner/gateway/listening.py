"""One door's server: a loop in a thread of its own, so that a job that floods its door keeps no other job waiting.

A connection costs this process an open file, and who opens them is not trusted: only so many are taken at a time and
in a second, the others wait in the socket's queue, and a connection that does not come to its request is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

AT_A_TIME = 32
A_SECOND = 100
REQUEST_SECONDS = 30.0
"""How long a connection may take from its beginning to the end of a request's headers."""

_LAST_SECONDS = 30.0
_NO_ROOM_SECONDS = 1.0
_THREAD = "automend-gateway"
log = logging.getLogger(__name__)


def _not_ours(entry: logging.LogRecord) -> bool:
    """They tell of every connection that one side drops; what matters is in the record."""
    return entry.threadName != _THREAD


for _name in ("uvicorn.error", "asyncio"):
    logging.getLogger(_name).addFilter(_not_ours)


class Listening:
    """A door that listens, until it is told to stop.

    Args:
        app: the door's ASGI application.
        listener: its socket, which is closed at the end.
        finish: what is to be done last.
    """

    def __init__(self, app: Any, listener: socket.socket, finish: Callable[[], Awaitable[None]]) -> None:
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                http=_Connection,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=0,
            )
        )
        self._listener = listener
        self._finish = finish
        self.ended: Future[None] = Future()
        """Done when nothing of it is left."""
        self._thread = threading.Thread(target=self._run, name=_THREAD, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections and drop those that are; does not wait for the end."""
        self._server.should_exit = True

    def join(self, seconds: float) -> None:
        """Wait for the end, so long at most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as e:  # noqa: BLE001 - whoever waits for the end is told
            self.ended.set_exception(e)
        else:
            self.ended.set_result(None)

    async def _serve(self) -> None:
        try:
            await self._server.serve(sockets=[self._listener])
        finally:
            self._listener.close()
            await self._finish()


class _Connection(H11Protocol):
    """A connection that ends where its request does not come."""

    left: Callable[[], None] | None = None
    """Called once when it is over."""
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._let_be()
        if self.left is not None:
            self.left()
            self.left = None

    def _look(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._let_be()
        elif self._late is None:
            self._late = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _let_be(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    """uvicorn's, with an own way to take connections in."""

    _taking: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=[])
        (listener,) = sockets or []
        self._taking = asyncio.create_task(self._take(listener))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._taking is not None:
            self._taking.cancel()
            with suppress(asyncio.CancelledError):
                await self._taking
        await super().shutdown(sockets)
        if self.server_state.tasks:  # they were cancelled, and write down what they took
            await asyncio.wait(self.server_state.tasks, timeout=_LAST_SECONDS)

    async def _take(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(AT_A_TIME)
        since, taken = loop.time(), 0
        while True:
            await room.acquire()
            if taken >= A_SECOND:
                await asyncio.sleep(since + 1 - loop.time())
                since, taken = loop.time(), 0
            try:
                near = await _accepted(listener)
            except OSError as e:
                log.warning("a door cannot take a connection in: %s", e)
                room.release()
                await asyncio.sleep(_NO_ROOM_SECONDS)
                continue
            taken += 1
            if loop.time() - since > 1:
                since, taken = loop.time(), 1
            protocol = _Connection(self.config, self.server_state, self.lifespan.state)
            protocol.left = room.release
            await loop.connect_accepted_socket(lambda protocol=protocol: protocol, near)  # type: ignore[misc]


async def _accepted(listener: socket.socket) -> socket.socket:
    """The next connection. Between its coming in and its return nothing is waited for: `sock_accept` would lose one
    that comes at the moment in which a door is closed, and leave it open for nobody.
    """
    loop = asyncio.get_running_loop()
    while True:
        try:
            return listener.accept()[0]
        except BlockingIOError:
            pass
        came = asyncio.Event()
        loop.add_reader(listener, came.set)
        try:
            await came.wait()
        finally:
            loop.remove_reader(listener)
