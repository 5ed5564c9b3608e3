"""An attempt on the terminal: what the model said, what it called, what came back, and how it ended."""

from __future__ import annotations

import os
import re
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from runner.agents.transcript import Call, Transcript, Turn
from runner.budget import dollars
from runner.model import Attempt, Outcome, Verdict
from runner.screens import SIGN, duration
from runner.steps.brief import plain

_PROMPT_LINES, _SAID_LINES, _COMMAND_LINES, _OUTPUT_LINES = 12, 200, 30, 14
_LONGEST = 100_000
_LONGEST_LINE = 1_000
# What codex writes over the output of a command.
_HEAD = re.compile(r"\A(?:Chunk ID: .*\n)?Wall time: .*\n(?:Process exited with code (-?\d+)\n)?(?:.*\n)?Output:\n")


def show_transcript(console: Console, tried: Attempt, told: Transcript, others: tuple[int, ...]) -> None:
    """Print an attempt; through a pager where a person looks at a terminal.

    Args:
        console: where.
        tried: the attempt.
        told: what it and its model said.
        others: the numbers of the attempts that could be shown instead.
    """
    if not console.is_terminal:
        _print(console, tried, told, others)
        return
    os.environ.setdefault("LESS", "FRX")  # end at once where it fits, keep colours, leave the screen as it is
    with console.pager(styles=True):
        _print(console, tried, told, others)


def transcript_json(tried: Attempt, told: Transcript) -> dict[str, Any]:
    """The same as plain values, whole."""
    return {
        "attempt": tried.number,
        "agent": tried.agent,
        "model": tried.model,
        "outcome": tried.outcome.value,
        "detail": _clean(tried.detail),
        "exit_code": tried.exit_code,
        "seconds": tried.seconds,
        "usage": tried.usage.model_dump(mode="json"),
        "prompt": None if told.prompt is None else _clean(told.prompt),
        "exchanges": [
            {
                "number": turn.number,
                "at": turn.at,
                "seconds": turn.seconds,
                "status": turn.status,
                "tries": turn.tries,
                "thought": _clean(turn.thought),
                "said": _clean(turn.said),
                "calls": [
                    {
                        "tool": _clean(call.tool),
                        "command": _clean(call.command),
                        "output": None if call.output is None else _clean(call.output),
                    }
                    for call in turn.calls
                ],
                "usage": dict(turn.usage),
                "stripped": [_clean(name) for name in turn.stripped],
                "note": _clean(turn.note),
            }
            for turn in told.turns
        ],
    }


def _print(console: Console, tried: Attempt, told: Transcript, others: tuple[int, ...]) -> None:
    head = Text.assemble((f"attempt {tried.number}", "bold"), f"  {tried.agent} ({tried.model})")
    console.print(Rule(head, align="left"))
    if others:
        numbers = ", ".join(str(n) for n in others)
        console.print(Text(f"there are others: {numbers}; --attempt N shows one", "dim"))
    if told.prompt is not None:
        console.print(Text("\nprompt", "bold"))
        _block(console, told.prompt, _PROMPT_LINES, "dim")
    for turn in told.turns:
        _turn(console, turn)
    console.print()
    console.print(Rule(style="dim"))
    console.print(_ending(tried))


def _turn(console: Console, turn: Turn) -> None:
    console.print()
    line = Text.assemble((f"{turn.number:>3}", "bold cyan"), (f"  {_clock(turn.at)}  {_took(turn)}", "dim"))
    console.print(line)
    if turn.thought:
        _block(console, turn.thought, _SAID_LINES, "dim italic")
    if turn.said:
        _block(console, turn.said, _SAID_LINES, "")
    for call in turn.calls:
        _call(console, call)
    if turn.stripped:
        _block(console, f"taken out by the gateway: {', '.join(turn.stripped)}", 3, "yellow")
    if turn.note:
        _block(console, turn.note, 6, "red")


def _call(console: Console, call: Call) -> None:
    _block(console, call.tool[:100], 1, "magenta")
    _block(console, f"$ {call.command.rstrip()}", _COMMAND_LINES, "bold", indent=7)
    if call.output is None:
        _block(console, "nothing came back", 1, "yellow", indent=7)
        return
    head = _HEAD.match(call.output)
    output = call.output[head.end() :] if head else call.output
    if output.strip():
        _block(console, output.rstrip(), _OUTPUT_LINES, "dim", indent=7)
    if head and head[1] not in {None, "0"}:
        _block(console, f"exit code {head[1]}", 1, "yellow", indent=7)


def _block(console: Console, text: str, limit: int, style: str, *, indent: int = 5) -> None:
    console.print(Padding(Text("\n".join(_lines(text, limit)), style), (0, 0, 0, indent), expand=False))


def _lines(text: str, limit: int) -> list[str]:
    """The beginning and the end of a text, cleaned; never empty."""
    lines = [line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]} […]" for line in _clean(text).split("\n")]
    if len(lines) <= limit:
        return lines
    first = limit * 2 // 3
    left_out = len(lines) - (limit - 1)
    return [*lines[:first], f"[… {left_out} lines …]", *lines[len(lines) - (limit - 1 - first) :]]


def _ending(tried: Attempt) -> Text:
    usage = tried.usage
    took = [f"{usage.requests} requests", f"{usage.input:,} tokens in, {usage.output:,} out"]
    if usage.cost_usd is not None:
        took.append(dollars(usage.cost_usd))
    took.append(duration(tried.seconds) or "no time")
    good = tried.outcome is Outcome.DONE
    sign = Text.from_markup(SIGN[Verdict.PASSED if good else Verdict.FAILED])
    words = Text.assemble((tried.outcome.value, "bold"), f"  {_clean(tried.detail)}" if tried.detail else "")
    return Text.assemble(sign, " ", words, ("\n  " + ", ".join(took), "dim"))


def _took(turn: Turn) -> str:
    usage = turn.usage
    parts = [duration(turn.seconds)]
    if usage.get("input") or usage.get("output"):
        cached = f" ({usage['cached']:,} cached)" if usage.get("cached") else ""
        parts.append(f"{usage.get('input', 0):,} tokens in{cached}, {usage.get('output', 0):,} out")
    if usage.get("usd"):
        parts.append(dollars(float(usage["usd"])))
    if turn.tries > 1:
        parts.append(f"asked {turn.tries} times")
    if turn.status != 200:  # noqa: PLR2004 - HTTP's OK
        parts.append(f"HTTP {turn.status}" if turn.status else "no answer")
    return "  ".join(part for part in parts if part)


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S}" if at else "--:--:--"


def _clean(text: str, limit: int = _LONGEST) -> str:
    """Untrusted words without terminal codes and invisible characters; tabs as blanks, so that columns are known."""
    return plain(text, limit).expandtabs(4)
