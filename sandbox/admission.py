"""Whom containers may be made for: a run that was stopped gets no more, and whoever stops it waits for those in use."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.api import SandboxError


class Admission:
    """The runs that have a container, or are about to, in this process; safe for threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: Counter[str] = Counter()
        self._shut: set[str] = set()

    @contextmanager
    def admitted(self, run: str) -> Iterator[None]:
        """Let a run have a container for as long as the context lasts.

        Raises:
            SandboxError: the run was shut out.
        """
        with self._changed:
            self.check(run)
            self._inside[run] += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside[run] -= 1
                self._changed.notify_all()

    def check(self, run: str) -> None:
        """Do nothing, or say that there is no more for this run.

        Raises:
            SandboxError: it was shut out.
        """
        if run in self._shut:
            raise SandboxError(f"{run} was stopped: no more containers are made for it")

    def shut(self, run: str) -> None:
        """Let the run have no more from now on."""
        with self._changed:
            self._shut.add(run)

    def empty(self, run: str, *, seconds: float = 0.0) -> bool:
        """Whether nobody is inside for a run, or comes to be so within some seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._inside[run] == 0, seconds)
