"""Events found in chunks of any size; records without secrets and with caps."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.exchanges import Exchange, read_exchanges
from runner.gateway import record as record_module
from runner.gateway import sse
from runner.gateway.record import Record, cut
from runner.gateway.sse import Events, EventTooLongError
from runner.tripwire import Tripwire

VALUES = [{"type": "a", "text": "ü\n€"}, {"type": "b"}, {"type": "c", "n": [1, 2]}]


@given(st.lists(st.integers(1, 20), min_size=1), st.sampled_from(["\n", "\r\n"]))
def test_events_are_found_however_they_are_cut(sizes: list[int], newline: str) -> None:
    text = "".join(f"event: x{newline}data: {json.dumps(v)}{newline}{newline}" for v in VALUES).encode()
    events, found, at, turn = Events(), [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        found += list(events.feed(text[at : at + size]))
        at, turn = at + size, turn + 1
    assert found == VALUES


def test_what_is_no_event_is_passed_over() -> None:
    stream = b': ping\n\ndata: DONE\n\ndata: [1]\n\ndata: {"type":\ndata: "two lines"}\n\n'
    assert list(Events().feed(stream)) == [{"type": "two lines"}]


def test_the_end_of_an_older_stream_is_an_event_of_its_own() -> None:
    assert list(Events().feed(b"data: [DONE]\n\n")) == [{"type": "[DONE]"}]


def test_an_event_without_end_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LONGEST_EVENT", 1000)
    events = Events()
    for _ in range(9):
        assert list(events.feed(b"data: " + b"x" * 100 + b"\n")) == []
    with pytest.raises(EventTooLongError):
        list(events.feed(b"data: " + b"x" * 100 + b"\n"))


def test_secrets_are_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    Record(path, ("hunter2", "")).write(request=b"a hunter2 b", answer=b"hunter2", note="hunter2!")
    (line,) = gzip.decompress(path.read_bytes()).splitlines()
    assert json.loads(line) == {"note": "[secret]!", "request": "a [secret] b", "answer": "[secret]"}


def test_half_a_secret_is_not_left_where_a_request_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "LARGEST_REQUEST", 20)
    path = tmp_path / "r.jsonl.gz"
    wire = Tripwire({"token": "the-words-of-the-host"})
    Record(path, ("hunter2hunter2",), wire).write(request=b"1234hunter2hunter2" + b"x" * 50, answer=b"")
    Record(tmp_path / "s", (), wire).write(request=b"1234 the-words-of-the-host" + b"x" * 50, answer=b"")
    assert "hunter" not in read_exchanges(path)[0].request
    assert "words" not in read_exchanges(tmp_path / "s")[0].request


def test_a_record_has_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "LARGEST_REQUEST", 100)
    monkeypatch.setattr(record_module, "LARGEST_FILE", 1000)
    path = tmp_path / "r.jsonl"
    record = Record(path, ())
    for _ in range(50):
        record.write(request=b"x" * 10_000, answer=b"")
    lines = read_exchanges(path)
    assert len(lines[0].request) < 150
    assert lines[-1] == Exchange(note="the record is full")
    assert len(gzip.decompress(path.read_bytes())) < 1100


def test_a_record_that_cannot_be_written_loses_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    record = Record(path, ())
    path.unlink()
    path.mkdir()
    record.write(request=b"", answer=b"")
    record.write(request=b"", answer=b"")


def test_cut_keeps_both_ends() -> None:
    assert cut("abcdef" * 10, 12) == "abcdef\n[… 48 characters …]\nabcdef"
    assert cut("short", 12) == "short"
