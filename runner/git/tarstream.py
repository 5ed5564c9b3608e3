"""Reads a hostile tar stream, member by member: nothing is ever extracted, and nothing but `BadTarError` is raised.

`tarfile` is used in streaming mode with four doors shut: it takes a damaged header in the middle for the end of the
archive (files would silently be missing), it reads extended headers of any size into memory, some crafted ones make it
read on forever after the end, and maps of sparse files, which no sandbox of ours sends, take it minutes.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any, ClassVar, Literal, cast

Kind = Literal["file", "folder", "symlink", "hardlink", "special"]

_LARGEST_EXTENDED_HEADER = 1 << 20
_MOST_IN_A_ROW = 20
_MOST_READS_AFTER_THE_END = 64
_SPARSE = "a file is told as a sparse one"
_CHUNK = 1 << 18

_EXTENDED = {
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
}  # fmt: skip


class BadTarError(Exception):
    """The stream is not a whole tar archive; says why."""


@dataclass(frozen=True)
class Member:
    """One member as the archive tells it. `name` and `link` are raw bytes; `size` is in bytes, unpacked."""

    name: bytes
    kind: Kind
    executable: bool
    size: int
    link: bytes
    content: _Content

    def read(self) -> Iterator[bytes]:
        """The bytes of a file; only before the next member is asked for.

        Raises:
            BadTarError: the stream ends too early or is damaged.
        """
        return self.content.read()


class _Source:
    """The chunks as the file that `tarfile` reads from; keeps what the chunks themselves raise apart."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""
        self._after_the_end = 0
        self.failure: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                self._after_the_end += 1
                if self._after_the_end > _MOST_READS_AFTER_THE_END:
                    raise BadTarError("a header asks for more than there is") from None
                return b""
            except Exception as e:
                self.failure = e
                raise
        if size < 0:
            size = len(self._rest)
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


class _Content:
    def __init__(self, tar: tarfile.TarFile, info: tarfile.TarInfo, source: _Source) -> None:
        self._tar, self._info, self._source = tar, info, source

    def read(self) -> Iterator[bytes]:
        left = self._info.size
        try:
            file = self._tar.extractfile(self._info)
            while file is not None and left > 0:
                chunk = file.read(min(_CHUNK, left))
                if not chunk:
                    break
                left -= len(chunk)
                yield chunk
        except GeneratorExit:
            raise
        except Exception as e:
            raise _failure(e, self._source) from e
        if left > 0:
            raise BadTarError("it ends in the middle of a file")


def members(chunks: Iterable[bytes]) -> Iterator[Member]:
    """The members of a tar stream, in its order.

    Raises:
        BadTarError: the stream is damaged, or not a tar archive.
        Exception: whatever `chunks` itself raises.
    """
    source = _Source(chunks)
    kind = _header_reader()
    try:
        tar = tarfile.open(  # noqa: SIM115 - it holds nothing open: the source is ours
            fileobj=cast("IO[bytes]", source), mode="r|", tarinfo=kind, encoding="utf-8", errors="surrogateescape"
        )
        while (info := tar.next()) is not None:
            tar.members = []  # type: ignore[attr-defined]  # else it remembers every member until the end
            if info.size < 0:
                raise BadTarError("a header tells a negative size")
            yield Member(
                name=info.name.encode("utf-8", "surrogateescape"),
                kind=_kind(info),
                executable=bool(info.mode & 0o100),
                size=info.size,
                link=info.linkname.encode("utf-8", "surrogateescape"),
                content=_Content(tar, info, source),
            )
    except GeneratorExit:
        raise
    except Exception as e:
        raise _failure(e, source) from e
    if not kind.saw_the_end:
        raise BadTarError("it ends without the mark of its end")


class _Header(tarfile.TarInfo):
    saw_the_end: ClassVar[bool] = False
    in_a_row: ClassVar[int] = 0


def _header_reader() -> type[_Header]:
    """A reader of headers for one stream, as `tarfile` makes nothing but calls to its class."""

    def checked(buf: bytes | bytearray, parse: Callable[[], Any]) -> Any:
        try:
            info = parse()
        except tarfile.HeaderError as e:
            if len(buf) == tarfile.BLOCKSIZE and buf.count(0) == tarfile.BLOCKSIZE:
                Header.saw_the_end = True
                raise
            raise BadTarError(f"a header is damaged ({e})") from e
        Header.in_a_row = Header.in_a_row + 1 if info.type in _EXTENDED else 0
        if Header.in_a_row > _MOST_IN_A_ROW:  # each is read inside of the one before
            raise BadTarError(f"there are more than {_MOST_IN_A_ROW} extended headers in a row")
        _look_at(info)
        return info

    def sparse(*_: object, **__: object) -> Any:
        raise BadTarError(_SPARSE)

    class Header(_Header):
        _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = sparse

        @classmethod
        def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Any:
            return checked(buf, lambda: super(Header, cls).frombuf(buf, encoding, errors))

        @classmethod
        def _frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str, **more: Any) -> Any:
            # Where releases of 2026 and later read headers. If it moves again, no end is ever seen: all is refused.
            return checked(buf, lambda: super(Header, cls)._frombuf(buf, encoding, errors, **more))  # type: ignore[misc]

    return Header


def _look_at(info: tarfile.TarInfo) -> None:
    if info.size < 0:
        raise BadTarError("a header tells a negative size")
    if info.type == tarfile.GNUTYPE_SPARSE:
        raise BadTarError(_SPARSE)
    if info.type in _EXTENDED and info.size > _LARGEST_EXTENDED_HEADER:
        raise BadTarError("an extended header is larger than 1 MiB")


def _kind(info: tarfile.TarInfo) -> Kind:
    if info.isreg():
        return "file"
    if info.isdir():
        return "folder"
    if info.issym():
        return "symlink"
    if info.islnk():
        return "hardlink"
    return "special"


def _failure(e: Exception, source: _Source) -> Exception:
    """What the caller shall see: the chunks' own exception as it is, everything else as a damaged stream."""
    if source.failure is not None:
        return source.failure
    if isinstance(e, BadTarError):
        return e
    return BadTarError(f"{type(e).__name__}: {e}"[:300])
