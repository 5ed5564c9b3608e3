"""What an attempt and its model said to each other, as the gateway kept it: the file's form, written and read.

One JSON object a line, one line an exchange, each line compressed by itself: `zcat` reads the file, and whatever was
killed while it wrote loses the last line at most. Files of earlier versions, which are plain, are read as well.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runner.errors import ConfigError

LARGEST = 512 * 1024 * 1024
"""Most bytes of a record that are read, uncompressed; the gateway writes less."""

_GZIP = b"\x1f\x8b"
_FAST = 1  # compressed between two pieces of other attempts' streams: quickly is better than small
_MENDING = "see docs/replay.md"


class Exchange(BaseModel):
    """One request of the CLI, and what came of it."""

    model_config = ConfigDict(frozen=True)

    at: float = Field(0.0, description="When it was over: seconds since 1970.")
    path: str = Field("", description="Method and path, `POST /v1/responses`.")
    status: int = Field(0, description="What the CLI was answered; 0 where nothing came.")
    tries: int = Field(0, description="How often the provider was asked; 0 where the gateway refused by itself.")
    seconds: float = Field(0.0, description="From the request to the end of the answer.")
    stripped: tuple[str, ...] = Field((), description="What the gateway took out of the request.")
    usage: dict[str, Any] = Field(default_factory=dict, description="Tokens in, cached, out; US dollars where known.")
    note: str = Field("", description="Why it was refused, or broke off.")
    request: str = ""
    answer: str = Field("", description="The body, or the event stream as far as it came.")


def record_path(folder: Path, number: int) -> Path:
    """Where the exchanges of attempt `number` are written, in its run's folder."""
    return folder / f"attempt-{number}.exchanges.jsonl.gz"


def find_record(folder: Path, number: int) -> Path | None:
    """The record of attempt `number` in its run's folder, compressed or of an earlier version; None without one."""
    path = record_path(folder, number)
    return next((p for p in (path, path.with_suffix("")) if p.is_file()), None)


def append(path: Path, line: bytes) -> None:
    """Add a line to a record.

    Raises:
        OSError: it cannot be written.
    """
    with path.open("ab") as file:
        file.write(gzip.compress(line, compresslevel=_FAST))


def read_exchanges(path: Path) -> tuple[Exchange, ...]:
    """The exchanges in a record, in the order in which they ended.

    Raises:
        ConfigError: the file is missing or is no record.
    """
    try:
        return tuple(Exchange.model_validate_json(line) for line in _lines(path) if line.strip())
    except OSError as e:
        raise ConfigError(f"the recording {path} cannot be read: {e.strerror or e}") from e
    except (ValueError, ValidationError) as e:
        raise ConfigError(f"{path} is not a record of the gateway: {str(e).splitlines()[0]}", remedy=_MENDING) from e


def decoded(text: str) -> dict[str, Any] | None:
    """The JSON object that a recorded body is; None where it is another thing, or was cut."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def events(answer: str) -> Iterator[dict[str, Any]]:
    """The JSON events of a recorded stream; what is none is passed over."""
    for block in answer.replace("\r\n", "\n").split("\n\n"):
        data = "\n".join(line[5:].strip() for line in block.split("\n") if line.startswith("data:"))
        event = decoded(data) if data else None
        if event is not None:
            yield event


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        packed = file.read(LARGEST + 1)
    if len(packed) > LARGEST:
        raise ValueError(f"more than {LARGEST} bytes")
    return BytesIO(_unpack(packed) if packed.startswith(_GZIP) else packed)


def _unpack(packed: bytes) -> bytes:
    """All members, as far as they are whole."""
    out = bytearray()
    while packed:
        member = zlib.decompressobj(wbits=31)
        try:
            out += member.decompress(packed, LARGEST + 1 - len(out))
        except zlib.error as e:
            raise ValueError(str(e)) from e
        if len(out) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        if not member.eof:
            break  # whoever wrote it was killed just then
        packed = member.unused_data
    return bytes(out[: out.rfind(b"\n") + 1])
