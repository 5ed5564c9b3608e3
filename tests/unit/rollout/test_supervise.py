import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from runner.rollout.supervise import Ends, identity, kill_left_over, write_atomically


@given(st.lists(st.binary(max_size=30)), st.integers(2, 40))
def test_ends_keep_the_beginning_and_the_end(pieces: list[bytes], limit: int) -> None:
    ends, whole = Ends(limit), b"".join(pieces)
    for piece in pieces:
        ends.add(piece)
    half = limit // 2
    if len(whole) <= 2 * half:
        assert ends.text() == whole.decode("utf-8", "replace")
    else:
        gap = f"\n[… {len(whole) - 2 * half} bytes left out …]\n".encode()
        assert ends.text() == (whole[:half] + gap + whole[-half:]).decode("utf-8", "replace")


def test_identity_is_stable_and_tells_the_dead() -> None:
    assert identity(os.getpid()) == identity(os.getpid())
    assert identity(2**22 + 1) is None


def test_nobody_else_is_killed(tmp_path: Path) -> None:
    """A pid that was given to another process since (here: to us) is left alone."""
    pid, start, boot = str(identity(os.getpid())).split()
    for name in (f"{pid} {int(start) - 1} {boot}", f"{pid} {start} another-boot", "", f"1 0 {boot}"):
        (tmp_path / "started").write_text(name)
        kill_left_over(tmp_path / "started")
    kill_left_over(tmp_path / "missing")


def test_written_whole_and_private(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
