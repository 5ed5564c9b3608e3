"""A laboratory changes one file at a time, and is as it was whenever soundness is asked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from runner.steps.proof.lab import Answer, Lab

FOREVER = 1e12


class Box:
    """A workspace of two files, which remembers what was written."""

    def __init__(self) -> None:
        self.files = {"./a.py": b"a", "./b.py": b"b"}
        self.written: list[tuple[str, bytes]] = []

    def exec(self, argv: list[str], *, timeout: float, stdin: bytes) -> None:
        assert timeout > 0
        self.files[argv[-1]] = stdin
        self.written.append((argv[-1], stdin))


def made(*, first: tuple[str, ...] = ("t",)) -> tuple[Lab, Box, list[dict[str, bytes]]]:
    """A laboratory whose tests fail where the first file is `bad`, and what they saw."""
    box, seen = Box(), []

    def asks(*_: Any, seconds: float) -> bool:
        assert seconds > 0
        seen.append(dict(box.files))
        return box.files["./a.py"] != b"bad"

    bench: Any = SimpleNamespace(asks=asks)
    sandbox: Any = box
    return Lab(bench, sandbox, (), first, 1.0), box, seen


def test_a_file_is_put_back_before_another_is_changed() -> None:
    lab, box, seen = made()
    assert lab.ask("a.py", b"bad", b"a", until=FOREVER) is Answer.NOTICED
    assert lab.ask("a.py", b"worse", b"a", until=FOREVER) is Answer.UNNOTICED
    assert lab.ask("b.py", b"other", b"b", until=FOREVER) is Answer.UNNOTICED
    assert [(one["./a.py"], one["./b.py"]) for one in seen] == [
        (b"bad", b"b"), (b"worse", b"b"), (b"worse", b"b"), (b"a", b"other"), (b"a", b"other"),
    ]  # fmt: skip
    assert len(box.written) == 4  # not once more between the two changes of one file


def test_soundness_is_asked_of_the_patch_as_it_is() -> None:
    lab, box, seen = made()
    assert lab.ask("a.py", b"bad", b"a", until=FOREVER) is Answer.NOTICED
    assert lab.unsound(FOREVER) == ""
    assert seen[-1] == box.files == {"./a.py": b"a", "./b.py": b"b"}
