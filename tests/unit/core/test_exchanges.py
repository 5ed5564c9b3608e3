"""A record is written line by line and read whole: compressed, plain as it once was, or cut short."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from runner import exchanges
from runner.errors import ConfigError
from runner.exchanges import Exchange, append, decoded, events, find_record, read_exchanges, record_path

LINES = [{"path": "POST /v1/responses", "status": 200, "request": f"{n} ü", "answer": "a" * 50} for n in range(3)]


def written(path: Path) -> Path:
    for line in LINES:
        append(path, json.dumps(line).encode() + b"\n")
    return path


def test_compressed_and_plain_records_read_the_same(tmp_path: Path) -> None:
    plain = tmp_path / "attempt-1.exchanges.jsonl"
    plain.write_text("\n".join(json.dumps(line) for line in LINES))
    found = read_exchanges(written(tmp_path / "a.gz"))
    assert found == read_exchanges(plain) == tuple(Exchange.model_validate(line) for line in LINES)
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()).count(b"\n") == 3, "other programs can read it, too"


def test_what_was_cut_short_loses_its_last_line(tmp_path: Path) -> None:
    path = written(tmp_path / "a.gz")
    whole = path.read_bytes()
    for missing in (1, 9, 40):
        path.write_bytes(whole[:-missing])
        assert [e.request for e in read_exchanges(path)] in (["0 ü", "1 ü"], ["0 ü", "1 ü", "2 ü"])
    path.write_bytes(b"")
    assert read_exchanges(path) == ()


def test_a_record_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "LARGEST", 5_000)
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"\n" * 1_000_000))
    with pytest.raises(ConfigError, match="more than 5000 bytes"):
        read_exchanges(path)


@pytest.mark.parametrize("data", [b"\x1f\x8bnonsense", b"[1]\n", b'{"status": "many"}\n', b"\xff\xfe"])
def test_what_is_no_record_is_told(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "odd.gz"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"odd\.gz is not a record"):
        read_exchanges(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_exchanges(tmp_path / "none")


def test_the_newer_of_two_forms_is_found(tmp_path: Path) -> None:
    assert find_record(tmp_path, 2) is None
    old = tmp_path / "attempt-2.exchanges.jsonl"
    old.touch()
    assert find_record(tmp_path, 2) == old
    new = record_path(tmp_path, 2)
    new.touch()
    assert find_record(tmp_path, 2) == new


def test_events_and_bodies() -> None:
    stream = 'event: a\r\ndata: {"n": 1}\r\n\r\n: ping\n\ndata: [DONE]\n\ndata: {"n":\ndata: 2}\n\ndata: {"n": 3'
    assert list(events(stream)) == [{"n": 1}, {"n": 2}]
    assert decoded('{"a": 1}') == {"a": 1}
    assert [decoded(text) for text in ("[1]", "{", "", "[" * 100_000)] == [None] * 4
