"""Counts the errors that a service appends to its log file, from now on."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

CHUNK = 1 << 20
READ_AT_MOST = 64 * CHUNK
"""Most bytes taken in one reading; a flood is read on in the next."""

LINE_AT_MOST = 64 * 1024
"""A longer line is cut: what tells an error stands at its beginning."""

_ERROR_LINE = re.compile(
    rb"""^.{0,200}?(?: (?:^|[\s\[|(])(?:ERROR|CRITICAL|FATAL)(?=$|[\s\]:|)])
               | "(?:level|levelname|severity|lvl)"\s*:\s*"(?i:error|critical|fatal)" )""",
    re.VERBOSE,
)
_TRACEBACK = re.compile(rb"^\s*(?:.{0,200}\s)?Traceback \(most recent call last\):\s*$")
_CHAINED = (
    b"During handling of the above exception, another exception occurred:",
    b"The above exception was the direct cause of the following exception:",
)


class ErrorCount:
    """Counts errors in lines: an ERROR line with its traceback, or a chain of tracebacks, is one error."""

    def __init__(self) -> None:
        self.errors = 0
        self._same = False  # the next traceback belongs to an error that is counted already

    def line(self, line: bytes) -> None:
        """Take the next line, without its end."""
        if not line.strip():
            return
        if _TRACEBACK.match(line):
            self.errors += not self._same
            self._same = False
        elif _ERROR_LINE.match(line):
            self.errors += 1
            self._same = True
        else:
            self._same = line.strip() in _CHAINED


class LogTail:
    """What is appended to a file from the moment of construction on, through rotation and truncation.

    A file that is missing then is read from its beginning once it appears. While it is missing or may not be
    read, `readable` is False: nothing is known, which is not the same as no errors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        self._count = ErrorCount()
        self.readable = False
        self._open(at_end=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def errors(self) -> int:
        """Errors counted so far."""
        return self._count.errors

    def read(self) -> int:
        """Take what is new; how many errors it held. A line that is not finished waits for its end."""
        before = self.errors
        if self._file is not None:
            self._drain(self._file)
        if self._file is None or self._replaced(self._file):
            self._finish_line()
            self.close()
            if self._open(at_end=False) and self._file is not None:
                self._drain(self._file)
        return self.errors - before

    def finish(self) -> int:
        """Take what is new, a last line without an end too; how many errors it held."""
        before = self.errors
        self.read()
        self._finish_line()
        return self.errors - before

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self, *, at_end: bool) -> bool:
        try:
            self._file = self._path.open("rb")
            if at_end:
                self._file.seek(0, os.SEEK_END)
        except OSError:
            self.close()
        self.readable = self._file is not None
        return self.readable

    def _replaced(self, file: BinaryIO) -> bool:
        try:
            there = self._path.stat()
        except OSError:
            return True  # moved away, and nothing in its place yet: `_open` says that it cannot be read
        mine = os.fstat(file.fileno())
        return (there.st_dev, there.st_ino) != (mine.st_dev, mine.st_ino)

    def _drain(self, file: BinaryIO) -> None:
        if os.fstat(file.fileno()).st_size < file.tell():  # truncated in place: what is there now is new
            self._finish_line()
            file.seek(0)
        taken = 0
        while taken < READ_AT_MOST and (chunk := file.read(CHUNK)):
            taken += len(chunk)
            *lines, rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                self._count.line(line.rstrip(b"\r"))
            self._rest = rest[:LINE_AT_MOST]

    def _finish_line(self) -> None:
        if self._rest:
            self._count.line(self._rest)
            self._rest = b""
