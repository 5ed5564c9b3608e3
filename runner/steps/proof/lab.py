"""The patch with one file otherwise, over and over in one container: would a test notice?

One container is reused, which judging never does: what is asked here informs people, and no pass hangs on it. So that
tests which leave something behind mislead nobody, the patch as it is must pass before the first change and after the
last one.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from runner.steps.proof.bench import Bench
from sandbox.api import Sandbox

_WRITE_SECONDS = 30.0
_LEAST_SECONDS = 5.0
_PATIENCE = 4
"""How many times as long as on the patch as it is the tests may take; then they hang."""


class Answer(StrEnum):
    """What the tests said of a changed file."""

    NOTICED = "noticed"
    HANGS = "hangs"
    UNNOTICED = "unnoticed"
    NOT_ASKED = "not asked"
    """The time ran out before all tests were asked."""


@dataclass
class Lab:
    """A container with the patch in it.

    Args:
        bench: how tests are run.
        box: a fresh container with the patch's tree.
        known: the paths of the tree.
        first: the tests that are likeliest to notice (ids without parameters); () where nothing is known.
        whole_seconds: how long all tests took.
    """

    bench: Bench
    box: Sandbox
    known: Collection[str]
    first: tuple[str, ...]
    whole_seconds: float
    _first_seconds: float = 0.0
    _changed: tuple[str, bytes] | None = None
    """The file that is otherwise now, and how it was; put back when another is changed, or all must be as it was."""

    def unsound(self, until: float) -> str:
        """Why nothing can be learnt here: the tests do not pass on the patch as it is, or not in time; or "".

        `until` is a moment of the monotonic clock, here and below.
        """
        self._put_back()
        begun = time.monotonic()
        seconds = _patience(self._first_seconds) if self._first_seconds else until - begun
        said = self.bench.asks(self.box, self.known, self.first, seconds=max(1.0, seconds))
        self._first_seconds = time.monotonic() - begun
        if said is None:
            return "the tests take too long for the time that there is"
        return "" if said else "the tests do not pass in a container that was used before"

    def ask(self, path: str, changed: bytes, original: bytes, *, until: float) -> Answer:
        """What the tests say of one changed file: those that are likeliest to notice first, then all of them.

        Raises:
            SandboxError: the machine failed.
        """
        if self._changed is not None and self._changed[0] != path:
            self._put_back()
        self._changed = (path, original)
        self._write(path, changed)
        steps = [(self.first, self._first_seconds)] if self.first else []
        for tests, took in (*steps, ((), self.whole_seconds)):
            now = time.monotonic()
            if now + took > until:
                return Answer.NOT_ASKED
            patience = _patience(took)
            said = self.bench.asks(self.box, self.known, tests, seconds=self._capped(patience, until))
            if said is None:
                return Answer.HANGS if time.monotonic() - now >= patience else Answer.NOT_ASKED
            if not said:
                return Answer.NOTICED
        return Answer.UNNOTICED

    def _put_back(self) -> None:
        if self._changed is not None:
            self._write(*self._changed)
            self._changed = None

    def _write(self, path: str, content: bytes) -> None:
        self.box.exec(["/bin/sh", "-c", 'cat > "$1"', "sh", f"./{path}"], timeout=_WRITE_SECONDS, stdin=content)

    @staticmethod
    def _capped(seconds: float, until: float) -> float:
        return max(1.0, min(seconds, until - time.monotonic()))


def _patience(took: float) -> float:
    return max(_LEAST_SECONDS, _PATIENCE * took)
