from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.rollout.logtail import LogTail

TRACEBACK = """Traceback (most recent call last):
  File "shop.py", line 3, in quote
    return codes[code]
KeyError: 'welcome10'
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "service.log"
    path.write_text("2026-01-01 ERROR old, from before the window\n")
    return path


@pytest.fixture
def tail(log: Path) -> Iterator[LogTail]:
    with LogTail(log) as tail:
        yield tail


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_counts_only_what_is_new(log: Path, tail: LogTail) -> None:
    assert tail.read() == 0
    append(log, "INFO fine\nERROR not fine\n")
    assert tail.read() == 1
    assert tail.read() == 0
    assert tail.errors == 1


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        (TRACEBACK, 1),
        ("2026-01-01 12:00:00 ERROR shop.web: GET /quote\n" + TRACEBACK, 1),
        ("2026-01-01 12:00:00 ERROR shop.web: GET /quote\n\n" + TRACEBACK, 1),
        (TRACEBACK + TRACEBACK, 2),
        (
            TRACEBACK
            + "\nDuring handling of the above exception, another exception occurred:\n\n"
            + TRACEBACK
            + "\nThe above exception was the direct cause of the following exception:\n\n"
            + TRACEBACK,
            1,
        ),
        ("ERROR one\nERROR two\n" + TRACEBACK, 2),
        ("[ERROR] a\n(CRITICAL) b\nFATAL: c\nERROR:root:d\nx | ERROR | e\n", 5),
        ('{"level": "error", "message": "x"}\n{"severity":"CRITICAL"}\n{"level": "info", "note": "an error"}\n', 2),
        ("INFO GET /TERRORS 200\nINFO no ERRORS today\nerror in lower case is prose\n", 0),
        ("INFO ERROR_CODE=0\n", 0),
        ("ERROR windows line\r\nERROR another\r\n", 2),
        (b"ERROR caf\xe9 is latin-1\n", 1),
        ("x" * 300 + " ERROR far into a line is text\n", 0),
    ],
)
def test_what_counts_as_an_error(log: Path, tail: LogTail, text: str | bytes, errors: int) -> None:
    with log.open("ab") as file:
        file.write(text if isinstance(text, bytes) else text.encode())
    assert tail.read() == errors


def test_a_line_in_two_pieces_counts_once(log: Path, tail: LogTail) -> None:
    append(log, "ERR")
    assert tail.read() == 0
    append(log, "OR half\nINFO\n")
    assert tail.read() == 1
    append(log, "ERROR never finished")
    assert tail.read() == 0
    assert tail.finish() == 1


def test_rotation_loses_nothing(log: Path, tail: LogTail) -> None:
    append(log, "ERROR before\n")
    log.rename(log.with_suffix(".1"))
    append(log.with_suffix(".1"), "ERROR after the move\n")
    log.write_text("ERROR in the new file\n")
    assert tail.read() == 3
    assert tail.readable


def test_truncation_begins_anew(log: Path, tail: LogTail) -> None:
    append(log, "INFO filling\n" * 20)
    tail.read()
    log.write_text("ERROR after truncation\n")
    assert tail.read() == 1


def test_a_missing_log_is_unreadable_and_then_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "later.log"
    with LogTail(path) as tail:
        assert not tail.readable
        assert tail.read() == 0
        assert not tail.readable
        path.write_text("ERROR at start\n")
        assert tail.read() == 1
        assert tail.readable
        path.unlink()
        tail.read()
        assert not tail.readable


def test_a_directory_is_unreadable(tmp_path: Path) -> None:
    assert not LogTail(tmp_path).readable


def test_an_endless_line_takes_no_endless_memory(log: Path, tail: LogTail) -> None:
    append(log, "ERROR " + "x" * 3_000_000)
    assert tail.read() == 0
    assert len(tail._rest) <= 64 * 1024
    append(log, "\n")
    assert tail.read() == 1
