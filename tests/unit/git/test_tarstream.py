import contextlib
import io
import struct
import tarfile
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.git.tarstream import BadTarError, members


@pytest.fixture(scope="module", autouse=True, params=["tarfile as it is", "tarfile as in newer releases"])
def tar_library(request: pytest.FixtureRequest) -> Iterator[None]:
    """Releases of 2026 read headers through `_frombuf`, no longer through `frombuf`: all must hold for both."""
    if request.param == "tarfile as it is" or hasattr(tarfile.TarInfo, "_frombuf"):
        yield
        return
    old = tarfile.TarInfo.frombuf.__func__  # type: ignore[attr-defined]

    def frombuf(cls, buf, encoding, errors):  # type: ignore[no-untyped-def]
        return cls._frombuf(buf, encoding, errors)

    def _frombuf(cls, buf, encoding, errors, *, dircheck=True):  # type: ignore[no-untyped-def]
        assert dircheck in {True, False}
        return old(cls, buf, encoding, errors)

    def fromtarfile(cls, tar):  # type: ignore[no-untyped-def]
        return cls._fromtarfile(tar, dircheck=True)

    def _fromtarfile(cls, tar, *, dircheck):  # type: ignore[no-untyped-def]
        made = cls._frombuf(tar.fileobj.read(tarfile.BLOCKSIZE), tar.encoding, tar.errors, dircheck=dircheck)
        made.offset = tar.fileobj.tell() - tarfile.BLOCKSIZE
        return made._proc_member(tar)

    with pytest.MonkeyPatch.context() as patch:
        for new in (frombuf, _frombuf, fromtarfile, _fromtarfile):
            patch.setattr(tarfile.TarInfo, new.__name__, classmethod(new), raising=False)
        yield


def archive(*files: tuple[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def everything(data: bytes, step: int = 1000) -> list[tuple[bytes, bytes]]:
    chunks = (data[i : i + step] for i in range(0, len(data), step))
    return [(m.name, b"".join(m.read()) if m.kind == "file" else b"") for m in members(chunks)]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("step", [1, 511, 512, 100_000])
def test_files_come_out_as_they_went_in(form: int, step: int) -> None:
    files = [("a", b""), ("dir/b", b"x" * 1500), ("c" * 90, b"\0" * 512)]
    assert everything(archive(*files, form=form), step) == [(n.encode(), c) for n, c in files]


def test_names_keep_their_bytes() -> None:
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=form, encoding="utf-8", errors="surrogateescape") as tar:
            tar.addfile(tarfile.TarInfo(b"\xff\xfe".decode("utf-8", "surrogateescape")))
            tar.addfile(tarfile.TarInfo("n" * 300))
        assert everything(out.getvalue()) == [(b"\xff\xfe", b""), (b"n" * 300, b"")]


def test_a_member_that_is_not_read_is_passed_over() -> None:
    data = archive(("a", b"x" * 5000), ("b", b"y"))
    assert [m.name for m in members([data])] == [b"a", b"b"]


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 700, 1024, 1536])
def test_a_stream_that_is_cut_anywhere_is_an_error_not_a_smaller_tree(cut: int) -> None:
    data = archive(("a", b"x" * 600), ("b", b"y"))
    with pytest.raises(BadTarError):
        everything(data[:cut])


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end() -> None:
    data = bytearray(archive(("a", b"x"), ("b", b"y")))
    data[1024 + 3] ^= 0xFF
    with pytest.raises(BadTarError, match="damaged"):
        everything(bytes(data))


def header(kind: bytes, size: bytes, name: bytes = b"x") -> bytes:
    block = bytearray(512)
    block[: len(name)] = name
    block[100:108] = b"0000644\0"
    block[124:136] = size.ljust(12, b"\0")[:12]
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize("kind", [b"x", b"g", b"L", b"K", b"X"])
def test_an_endless_extended_header_is_refused_before_it_is_read(kind: bytes) -> None:
    def stream() -> Iterator[bytes]:
        yield header(kind, b"77777777777\0")
        for _ in range(100):
            yield bytes(1 << 16)
        raise AssertionError("it was read on and on")

    with pytest.raises(BadTarError, match="extended header"):
        list(members(stream()))


def test_a_negative_size_is_refused() -> None:
    negative = b"\xff" + struct.pack(">q", -512).rjust(11, b"\xff")
    with pytest.raises(BadTarError):
        everything(header(b"0", negative) + bytes(1024))


def test_a_negative_size_in_an_extended_header_is_refused() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"size": "-1024"}
        tar.addfile(info)
    with pytest.raises(BadTarError):
        everything(out.getvalue())


def test_maps_of_sparse_files_are_not_read() -> None:
    """They take it a time that grows with their square, or as long as they go on."""
    first = bytearray(header(tarfile.GNUTYPE_SPARSE, b"00000000000\0"))
    with pytest.raises(BadTarError, match="sparse"):
        everything(bytes(first) + bytes(1024))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "10"}
        tar.addfile(info)
    with pytest.raises(BadTarError, match="sparse"):
        everything(out.getvalue())


def test_a_sparse_map_that_never_ends_does_not_hang() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("a")
        info.pax_headers = {
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a", "GNU.sparse.realsize": "10"
        }  # fmt: skip
        content = b"999999999\n" + b"1\n" * 251
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    with pytest.raises(BadTarError):
        everything(out.getvalue())


def test_what_the_chunks_raise_comes_through_as_it_is() -> None:
    class MachineError(Exception):
        pass

    def chunks() -> Iterator[bytes]:
        yield archive(("a", b"x" * 600))[:600]
        raise MachineError

    with pytest.raises(MachineError):
        [list(member.read()) for member in members(chunks())]


def test_a_long_chain_of_extended_headers_is_no_crash() -> None:
    chain = (header(b"L", b"00000000002\0", b"l") + b"n\0".ljust(512, b"\0")) * 3000
    with pytest.raises(BadTarError):
        everything(chain)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=3000))
def test_noise_is_only_ever_called_a_bad_archive(noise: bytes) -> None:
    with pytest.raises(BadTarError):
        everything(b"\x01" + noise)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=8))
def test_a_damaged_archive_gives_members_or_is_called_bad(changes: list[tuple[int, int]]) -> None:
    data = bytearray(archive(("a", b"x" * 600), ("d/" + "b" * 150, b"y")))
    for place, value in changes:
        data[place % len(data)] = value
    with contextlib.suppress(BadTarError):
        everything(bytes(data))
