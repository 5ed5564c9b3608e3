"""Runs inside an agent's container: lets a CLI that speaks HTTP over TCP reach the gateway's unix socket.

    automend-forward SOCKET PORT -- COMMAND [ARGUMENT ...]

Listens on 127.0.0.1:PORT, starts COMMAND, carries bytes between the two until COMMAND ends, and ends with COMMAND's
exit code (128 + signal where a signal ended it).
This file stands alone: it is copied into the tools volume and knows nothing of the runner. It needs only the
system's Python.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading

CHUNK = 65536
BACKLOG = 64
USAGE_EXIT = 64
UNAVAILABLE_EXIT = 69
NOT_FOUND_EXIT = 127
WAIT_SECONDS = 2.0


def pump(source: socket.socket, target: socket.socket) -> None:
    """Carry bytes one way until the source ends, then tell the target that no more will come."""
    try:
        while data := source.recv(CHUNK):
            target.sendall(data)
    except OSError:
        pass  # one side is gone; closing both is the caller's
    finally:
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def carry(client: socket.socket, door: str) -> None:
    """Join one TCP connection to one new connection of the unix socket."""
    upstream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        upstream.connect(door)
        back = threading.Thread(target=pump, args=(upstream, client), daemon=True)
        back.start()
        pump(client, upstream)
        back.join()
    except OSError as error:
        sys.stderr.write(f"automend-forward: {door}: {error}\n")
    finally:
        upstream.close()
        client.close()


def accept(listener: socket.socket, door: str) -> None:
    """Serve every connection in a thread of its own."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=carry, args=(client, door), daemon=True).start()


def listen(port: int) -> socket.socket:
    """The listening socket; bound before the command starts, so that nothing has to wait for it."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(BACKLOG)
    return listener


def run(command: list[str]) -> int:
    """Start the command, pass signals on to it, and wait for its end."""
    children: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        if children:
            children[0].send_signal(number)
        else:
            early.append(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    try:
        child = subprocess.Popen(command)
    except OSError as error:
        sys.stderr.write(f"automend-forward: {command[0]}: {error}\n")
        return NOT_FOUND_EXIT
    children.append(child)
    for missed in early:
        child.send_signal(missed)
    code = child.wait()
    return 128 - code if code < 0 else code


def main(arguments: list[str]) -> int:
    """Do what the file's first lines say."""
    if len(arguments) < 4 or arguments[2] != "--" or not arguments[1].isdigit():  # noqa: PLR2004
        sys.stderr.write("usage: automend-forward SOCKET PORT -- COMMAND [ARGUMENT ...]\n")
        return USAGE_EXIT
    door, port, _, *command = arguments
    try:
        listener = listen(int(port))
    except OSError as error:
        sys.stderr.write(f"automend-forward: cannot listen on 127.0.0.1:{port}: {error}\n")
        return UNAVAILABLE_EXIT
    threading.Thread(target=accept, args=(listener, door), daemon=True).start()
    return run(command)


if __name__ == "__main__":
    # os._exit: connections that are still open must not hold the process.
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
