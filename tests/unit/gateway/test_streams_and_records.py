"""Events found in chunks of any size; records without secrets and with caps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.gateway import record as record_module
from runner.gateway import sse
from runner.gateway.record import Record, cut
from runner.gateway.sse import Events, EventTooLongError

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
    path = tmp_path / "r.jsonl"
    Record(path, ("hunter2", "")).write(request=b"a hunter2 b", answer=b"hunter2", note="hunter2!")
    assert "hunter2" not in path.read_text()
    assert json.loads(path.read_text()) == {"note": "[secret]!", "request": "a [secret] b", "answer": "[secret]"}


def test_a_record_has_caps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_module, "LARGEST_REQUEST", 100)
    monkeypatch.setattr(record_module, "LARGEST_FILE", 1000)
    path = tmp_path / "r.jsonl"
    record = Record(path, ())
    for _ in range(50):
        record.write(request=b"x" * 10_000, answer=b"")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines[0]["request"]) < 150
    assert lines[-1] == {"note": "the record is full"}
    assert path.stat().st_size < 1100


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
