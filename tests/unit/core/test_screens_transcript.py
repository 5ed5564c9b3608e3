"""A transcript on consoles of several widths, and as data: nothing of an agent reaches the terminal but words."""

from __future__ import annotations

import io
import json

import pytest
from rich.cells import cell_len
from rich.console import Console

from runner.agents.transcript import Call, Transcript, Turn
from runner.model import Attempt, Outcome, Usage
from runner.screens_transcript import show_transcript, transcript_json

TRIED = Attempt(
    number=2,
    agent="scripted",
    model="m-1",
    outcome=Outcome.TIMEOUT,
    detail="killed after 9 s \x1b[2J",
    usage=Usage(requests=2, input=12_000, output=34, cost_usd=0.5),
    seconds=9.0,
)


def turn(number: int, *, said: str = "", thought: str = "", note: str = "", calls: tuple[Call, ...] = ()) -> Turn:
    return Turn(
        number=number,
        at=1_795_255_079.0,
        seconds=1.5,
        status=200 if not note else 400,
        tries=2,
        thought=thought,
        said=said,
        calls=calls,
        usage={"input": 6_000, "cached": 500, "output": 17, "usd": 0.25},
        stripped=("tool web_search",),
        note=note,
    )


HEAD = "Chunk ID: 1\nWall time: 0.1 s\n"
LONG = "\n".join(f"line {n}" for n in range(1, 101))
TOLD = Transcript(
    "Fix it.\nAll of it.",
    (
        turn(
            1,
            thought="I wonder",
            said="I \x1b[31mlook\x1b[0m\x07 first, [bold]here[/bold]. " + "wide " * 60,
            calls=(
                Call("a", "exec_command", "cat a.py\n", f"{HEAD}Output:\n{LONG}\x1b]0;title\x07"),
                Call("b", "exec_command", "false", f"{HEAD}Process exited with code 7\nOutput:\n"),
                Call("c", "Bash", "sleep 100", None),
            ),
        ),
        turn(2, note="the budget is used up"),
    ),
)  # fmt: skip


def printed(width: int, told: Transcript = TOLD, others: tuple[int, ...] = (1,)) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    show_transcript(console, TRIED, told, others)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_it_reads_at_any_width(width: int) -> None:
    text = printed(width)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    words = " ".join(text.split())
    for expected in (
        "attempt 2 scripted (m-1)", "there are others: 1", "Fix it. All of it.", "I wonder", "[bold]here[/bold]",
        "exec_command $ cat a.py line 1 ", "line 100", "[… 87 lines …]", "exit code 7", "nothing came back",
        "6,000 tokens in (500 cached), 17 out", "asked 2 times", "HTTP 400", "the budget is used up",
        "taken out by the gateway: tool web_search", "timeout killed after 9 s", "12,000 tokens in, 34 out",
    ):  # fmt: skip
        assert expected in words, expected
    assert "line 50" not in words
    assert "Wall time" not in words


def test_no_terminal_code_of_an_agent_passes() -> None:
    assert not {c for c in printed(80) if ord(c) < 32 or 127 <= ord(c) < 160} - {"\n"}
    whole = json.dumps(transcript_json(TRIED, TOLD))
    assert "\\u001b" not in whole
    assert "\\u0007" not in whole


def test_as_data_it_is_whole() -> None:
    told = transcript_json(TRIED, TOLD)
    assert (told["attempt"], told["outcome"], told["usage"]["cost_usd"]) == (2, "timeout", 0.5)
    first, second = told["exchanges"]
    assert "line 50" in first["calls"][0]["output"]
    assert first["calls"][2]["output"] is None
    assert (second["status"], second["note"], second["calls"]) == (400, "the budget is used up", [])


def test_an_attempt_without_words() -> None:
    text = printed(80, Transcript(None, ()), ())
    assert "prompt" not in text
    assert "others" not in text
    assert "timeout" in text
