"""The gateway: one unix socket for each attempt, and a thread behind each."""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path

from runner.budget import Price
from runner.errors import OutsideError, ProviderError
from runner.gateway.asking import Patience
from runner.gateway.breaker import Breaker
from runner.gateway.completions import Completions
from runner.gateway.dialect import Speech
from runner.gateway.door import OpenDoor
from runner.gateway.ledger import Ledger
from runner.gateway.listening import Listening
from runner.gateway.messages import Messages
from runner.gateway.record import Record
from runner.gateway.responses import Responses
from runner.gateway.upstream import HttpUpstream
from runner.ports import Budget, Dialect, Door, Upstream
from runner.tripwire import Tripwire

SPEECHES: dict[Dialect, tuple[Speech, ...]] = {"openai": (Responses(), Completions()), "anthropic": (Messages(),)}
"""What each dialect is spoken as; the first is what its CLI speaks."""

_LONGEST_SOCKET_PATH = 107
_STOP_SECONDS = 60.0
_PREFIX = "gateway-"

log = logging.getLogger(__name__)


class Gateway:
    """Makes doors. Safe to use from many threads; nothing runs before the first door is opened.

    Args:
        directory: where the sockets are; a folder of our own is made in it (or in the system's temporary folder,
            where the path would be too long for a socket).
        patience: how long to wait for a provider.
        tripwire: knows the secrets that no request may carry.
    """

    def __init__(self, directory: Path, *, patience: Patience | None = None, tripwire: Tripwire | None = None) -> None:
        self._parent = directory
        self._patience = patience or Patience()
        self._tripwire = tripwire or Tripwire()
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._held = -1
        self._doors: set[Listening] = set()
        self._breakers: dict[str, Breaker] = {}

    def provider(self, dialect: Dialect, *, base_url: str, key: str) -> Upstream:
        """The real provider at `base_url`."""
        return HttpUpstream(SPEECHES[dialect][0], base_url=base_url, key=key)

    @contextmanager
    def open(
        self,
        *,
        dialect: Dialect,
        upstream: Upstream,
        model: str,
        budget: Budget,
        record: Path | None,
        price: Price | None = None,
    ) -> Iterator[Door]:
        """A door for one attempt; its socket is gone when the context ends.

        Raises:
            OutsideError: the socket cannot be made.
            ProviderError: the provider is left alone at the moment, as it is down or its quota is used up.
        """
        ledger = Ledger(budget, time.monotonic, price)
        breaker = self._breaker(upstream)
        refusal = breaker.admit(ledger) if breaker is not None else None
        if refusal is not None:
            raise ProviderError(refusal, remedy="it is tried again by itself; or let run.agents name another agent")
        try:
            with self._opened(
                dialect=dialect, upstream=upstream, model=model, ledger=ledger, breaker=breaker, record=record
            ) as door:
                yield door
        finally:
            ledger.flush(last=True)
            if breaker is not None:
                breaker.leave(ledger)

    @contextmanager
    def _opened(
        self,
        *,
        dialect: Dialect,
        upstream: Upstream,
        model: str,
        ledger: Ledger,
        breaker: Breaker | None,
        record: Path | None,
    ) -> Iterator[Door]:
        path = self._start() / f"{secrets.token_hex(4)}.sock"
        listener = _listen(path)
        try:
            door = OpenDoor(
                path,
                speeches=SPEECHES[dialect],
                upstream=upstream,
                model=model,
                ledger=ledger,
                record=Record(record, upstream.secrets, self._tripwire),
                breaker=breaker,
                patience=self._patience,
                tripwire=self._tripwire,
            )
            listening = Listening(door, listener, upstream.aclose)
        except BaseException:
            listener.close()
            path.unlink(missing_ok=True)
            raise
        self._doors.add(listening)
        listening.ended.add_done_callback(lambda ended: self._gone(listening, ended))
        try:
            yield door
        finally:
            listening.stop()
            path.unlink(missing_ok=True)
            # The server takes a moment to let go. Nobody has to wait for that but `close`, unless somebody is being
            # answered still: what that takes is to be counted.
            if door.busy:
                listening.join(_STOP_SECONDS)

    def clear(self, *, dry_run: bool) -> list[str]:
        """Remove the sockets of processes that are gone; the paths of their folders."""
        return clear_doors(self._parent, dry_run=dry_run)

    def close(self) -> None:
        """Wait for the doors to let go, and remove the sockets' folder; safe to call twice."""
        with self._lock:
            folder, self._folder = self._folder, None
        for listening in list(self._doors):
            listening.join(_STOP_SECONDS)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(self._held)

    def _breaker(self, upstream: Upstream) -> Breaker | None:
        with self._lock:
            if not upstream.name:
                return None
            return self._breakers.setdefault(upstream.name, Breaker(upstream.name, time.monotonic))

    def _gone(self, door: Listening, ended: Future[None]) -> None:
        self._doors.discard(door)
        if (error := ended.exception()) is not None:
            log.error("a door of the gateway failed", exc_info=error)

    def _start(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder, self._held = _folder(self._parent)
            return self._folder


def clear_doors(parent: Path, *, dry_run: bool = False) -> list[str]:
    """Remove the folders of sockets whose processes are gone, in `parent` and in the temporary folder; their paths."""
    return [*_clear(parent, _PREFIX, dry_run=dry_run), *_clear(_elsewhere(), _prefix_elsewhere(), dry_run=dry_run)]


def _folder(parent: Path) -> tuple[Path, int]:
    """A folder that only we may enter, and the lock on it that says that we live."""
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        clear_doors(parent)
        fits = len(bytes(parent / f"{_PREFIX}12345678" / "12345678.sock.new")) <= _LONGEST_SOCKET_PATH
        where, prefix = (parent, _PREFIX) if fits else (_elsewhere(), _prefix_elsewhere())
        while True:
            name = Path(tempfile.mkdtemp(prefix=prefix, dir=where))
            with suppress(FileNotFoundError):
                held = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                fcntl.flock(held, fcntl.LOCK_EX)
                if name.exists():
                    return name, held
                os.close(held)  # somebody took it for a dead one's before it was locked
    except OSError as e:
        raise OutsideError(f"no folder for the gateway's sockets in {parent}: {e.strerror}") from e


def _elsewhere() -> Path:
    return Path(tempfile.gettempdir())


def _prefix_elsewhere() -> str:
    return f"automend-{os.geteuid()}-{_PREFIX}"


def _clear(parent: Path, prefix: str, *, dry_run: bool) -> list[str]:
    """The lock on a folder is let go by the kernel, however its process ended."""
    gone = []
    for folder in parent.glob(f"{prefix}*"):
        try:
            held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            if os.fstat(held).st_uid == os.geteuid():
                gone.append(str(folder))
                if not dry_run:
                    shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(held)
    return gone


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`; it appears there only once it listens.

    Anybody may connect who can see it: the file is shown to one container only, whose user we do not know, and
    the folder around it is closed to everybody else on the host.
    """
    fresh = path.with_name(path.name + ".new")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(fresh))
        listener.listen(128)
        listener.setblocking(False)
        fresh.chmod(0o666)
        fresh.rename(path)
    except OSError as e:
        listener.close()
        raise OutsideError(f"the gateway's socket {path} cannot be made: {e.strerror or e}") from e
    return listener
