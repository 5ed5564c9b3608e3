"""Many connections over one stream of bytes: either end of it. See `sandbox.relay`.

    python3 -c "$(cat relay_inside.py)" SOCKET

Run like this it is the end in a container, on Python 3.7 or newer: it listens at SOCKET, opens a connection over the
stream (its standard input and output) for each client, and ends when its standard input does.

A frame is a kind, the number of a connection, a length, and as many bytes. Each side may send no more for a connection
than the other has room for: WINDOW bytes at first, then as many more as the other says that it passed on (TAKEN). So
what is kept in memory is bounded, and a client that does not read holds up nobody but itself.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # not worth its time in every container
    from collections.abc import Callable
    from typing import Protocol

    class Line(Protocol):
        """The stream that all connections share; nothing here waits."""

        reading: int
        """The descriptor to wait at for bytes."""
        writing: int
        """The descriptor to wait at for room; it may be the same."""

        def receive(self) -> bytes | None:
            """Some bytes; b"" at the end; None where there are none now."""
            ...

        def send(self, data: memoryview) -> int:
            """Send some of the bytes; how many."""
            ...


READY, OPEN, DATA, TAKEN, END, GONE = b"R", b"O", b"D", b"T", b"E", b"G"
"""The socket is there; a client came; its bytes; so many were passed on; no more will come; the connection broke."""

HEAD = struct.Struct("!cII")
NUMBER = struct.Struct("!I")
WINDOW = 128 << 10
CHUNK = 32 << 10
MOST = 64
LARGEST_BACKLOG = 4 * MOST * WINDOW
"""So much never waits to be sent, unless the other side keeps to no rule."""

IN = select.POLLIN | select.POLLHUP | select.POLLERR


class BrokenRulesError(Exception):
    """The other side does not keep to what the first lines of this file say."""


class Connection:
    """One of them, as this side sees it."""

    def __init__(self, plug: socket.socket) -> None:
        plug.setblocking(False)
        self.plug = plug
        self.waiting = bytearray()
        """Came over the stream, and is not passed on yet."""
        self.untold = 0
        """Passed on, and the other side has not been told."""
        self.room = WINDOW
        """So much may be sent over the stream."""
        self.heard_all = False
        """The socket has no more bytes."""
        self.told_all = False
        """The stream has no more bytes for the socket."""
        self.shut = False

    def wants(self) -> int:
        """What its socket is to be watched for."""
        reading = select.POLLIN if self.room and not self.heard_all else 0
        return reading | (select.POLLOUT if self.waiting else 0)


class Relay:
    """One end of the stream.

    Args:
        line: the stream.
        listener: where clients come in, on the side that has them.
        dial: makes the other half of a client's connection, on the side that has none; may raise OSError.
        ready: called when the other side says that its listener is there.
    """

    def __init__(
        self,
        line: Line,
        *,
        listener: socket.socket | None = None,
        dial: Callable[[], socket.socket] | None = None,
        ready: Callable[[], None] | None = None,
    ) -> None:
        self._line = line
        self._listener = listener
        self._dial = dial
        self._ready = ready
        self._connections: dict[int, Connection] = {}
        self._last = 0
        self._out = bytearray()
        self._in = bytearray()

    def run(self) -> None:
        """Carry bytes until the stream ends.

        Raises:
            BrokenRulesError: the other side does not keep to the rules.
            OSError: the stream broke.
        """
        if self._listener is not None:
            self._say(READY, 0)
        try:
            going = self._receive()  # what came with the stream, before anybody waits for it
            while going:
                going = self._turn()
        finally:
            for connection in self._connections.values():
                connection.plug.close()

    def _turn(self) -> bool:
        """Wait for something and do what is to be done; False at the stream's end."""
        poll = select.poll()  # made anew: what is to be watched changes with nearly every turn
        line = self._line
        poll.register(line.reading, select.POLLIN)
        if self._out:
            poll.register(line.writing, select.POLLOUT | (select.POLLIN if line.reading == line.writing else 0))
        listener = self._listener if len(self._connections) < MOST else None
        if listener is not None:
            poll.register(listener, select.POLLIN)
        plugs = {c.plug.fileno(): (number, c) for number, c in self._connections.items() if c.wants()}
        for fd, (_, connection) in plugs.items():
            poll.register(fd, connection.wants())
        for fd, events in poll.poll():
            if fd == line.writing and self._out and not self._send():
                return False
            if fd == line.reading and events & IN and not self._receive():
                return False
            if fd in plugs:
                self._serve(*plugs[fd], events)
            elif listener is not None and fd == listener.fileno():
                self._accept(listener)
        return True

    def _send(self) -> bool:
        with memoryview(self._out) as view:
            try:
                sent = self._line.send(view)
            except (BrokenPipeError, ConnectionResetError):
                return False
        del self._out[:sent]
        return True

    def _say(self, kind: bytes, number: int, data: bytes = b"") -> None:
        self._out += HEAD.pack(kind, number, len(data)) + data
        if len(self._out) > LARGEST_BACKLOG:
            raise BrokenRulesError("it does not listen")

    def _accept(self, listener: socket.socket) -> None:
        try:
            plug, _ = listener.accept()
        except OSError:
            return  # the client went away before it was let in
        self._last += 1
        self._connections[self._last] = Connection(plug)
        self._say(OPEN, self._last)

    def _serve(self, number: int, connection: Connection, events: int) -> None:
        """Let one socket write and read."""
        if self._connections.get(number) is not connection:
            return  # gone a moment ago
        try:
            if connection.waiting and events & (select.POLLOUT | select.POLLERR | select.POLLHUP):
                self._pass_on(number, connection)
            if connection.wants() & select.POLLIN and events & IN:
                self._read(number, connection)
            self._finish(number, connection)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(number)
            self._say(GONE, number)

    def _pass_on(self, number: int, connection: Connection) -> None:
        sent = connection.plug.send(connection.waiting)
        del connection.waiting[:sent]
        connection.untold += sent
        if connection.untold >= WINDOW // 2:
            self._say(TAKEN, number, NUMBER.pack(connection.untold))
            connection.untold = 0

    def _read(self, number: int, connection: Connection) -> None:
        data = connection.plug.recv(min(CHUNK, connection.room))
        connection.room -= len(data)
        if data:
            self._say(DATA, number, data)
        else:
            connection.heard_all = True
            self._say(END, number)

    def _finish(self, number: int, connection: Connection) -> None:
        if connection.told_all and not connection.waiting and not connection.shut:
            connection.shut = True
            connection.plug.shutdown(socket.SHUT_WR)
        if connection.shut and connection.heard_all:
            self._drop(number)

    def _drop(self, number: int) -> None:
        connection = self._connections.pop(number, None)
        if connection is not None:
            connection.plug.close()

    def _receive(self) -> bool:
        """Take what came over the stream; False at its end."""
        data = self._line.receive()
        if data is None:
            return True
        if not data:
            return False
        self._in += data
        while len(self._in) >= HEAD.size:
            kind, number, length = HEAD.unpack_from(self._in)
            if length > CHUNK:
                raise BrokenRulesError(f"it sent a frame of {length} bytes")
            if len(self._in) < HEAD.size + length:
                break
            self._hear(kind, number, bytes(self._in[HEAD.size : HEAD.size + length]))
            del self._in[: HEAD.size + length]
        return True

    def _hear(self, kind: bytes, number: int, data: bytes) -> None:
        """Do what a frame says. One for a connection that is gone was on its way when it went."""
        connection = self._connections.get(number)
        if kind == READY and self._ready is not None:
            self._ready()
        elif kind == OPEN and self._dial is not None:
            self._welcome(number)
        elif kind not in (DATA, TAKEN, END, GONE):
            raise BrokenRulesError(f"it said {kind!r}")
        elif connection is not None:
            self._tell(kind, number, connection, data)

    def _welcome(self, number: int) -> None:
        if number <= self._last or len(self._connections) >= MOST:
            raise BrokenRulesError(f"it opened connection {number} besides {len(self._connections)} others")
        self._last = number
        try:
            self._connections[number] = Connection(self._dial())  # type: ignore[misc]  # asked by `_hear`
        except OSError:
            self._say(GONE, number)

    def _tell(self, kind: bytes, number: int, connection: Connection, data: bytes) -> None:
        if kind == GONE:
            self._drop(number)
        elif kind == TAKEN:
            connection.room += NUMBER.unpack(data)[0] if len(data) == NUMBER.size else WINDOW + 1
            if connection.room > WINDOW:
                raise BrokenRulesError("it took more than it was given")
        else:
            connection.waiting += data
            if connection.told_all or len(connection.waiting) + connection.untold > WINDOW:
                raise BrokenRulesError("it sent more than there was room for")
            connection.told_all = kind == END
            self._serve(number, connection, select.POLLOUT)


class Pipes:
    """The stream as a process has it: its standard input and output."""

    reading = 0
    writing = 1

    def __init__(self) -> None:
        os.set_blocking(self.reading, False)
        os.set_blocking(self.writing, False)

    def receive(self) -> bytes | None:
        """See `Line.receive`."""
        try:
            return os.read(self.reading, CHUNK)
        except BlockingIOError:
            return None

    def send(self, data: memoryview) -> int:
        """See `Line.send`."""
        try:
            return os.write(self.writing, data)
        except BlockingIOError:
            return 0


def main(place: str) -> None:
    """Be the end in a container."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(place)
        os.chmod(place, 0o666)  # noqa: PTH101, S103  # everybody in here may come; its folder is ours alone
        listener.listen(MOST)
        listener.setblocking(False)
        Relay(Pipes(), listener=listener).run()


if __name__ == "__main__":
    main(sys.argv[1])
