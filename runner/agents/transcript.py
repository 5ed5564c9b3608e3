"""What an agent and its model said and did, exchange by exchange, told from the gateway's record of them.

The words here are the agent's: whoever shows them cleans them first.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from runner.agents.recording import prompt_of, texts
from runner.exchanges import Exchange, decoded, events

_COMMANDS = ("cmd", "command", "input", "chars")
"""The arguments of shell tools that are the command itself, in the CLIs' words."""


@dataclass(frozen=True)
class Call:
    """A tool that the model called. `output` is None where nothing of it was heard: the attempt ended before."""

    id: str
    tool: str
    command: str
    output: str | None = None


@dataclass(frozen=True)
class Turn:
    """One exchange: what was said and called in it, and what it took."""

    number: int
    at: float
    seconds: float
    status: int
    tries: int
    thought: str
    said: str
    calls: tuple[Call, ...]
    usage: Mapping[str, Any]
    stripped: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Transcript:
    """A whole attempt. `prompt` is what the agent was told, None where the record does not have it."""

    prompt: str | None
    turns: tuple[Turn, ...]


def transcript(exchanges: tuple[Exchange, ...]) -> Transcript:
    """The story that a record tells, in either dialect."""
    outputs: dict[str, str] = {}
    for exchange in exchanges:
        outputs |= _outputs(decoded(exchange.request) or {})
    turns = tuple(_turn(number, exchange, outputs) for number, exchange in enumerate(exchanges, 1))
    return Transcript(prompt_of(exchanges), turns)


def _turn(number: int, exchange: Exchange, outputs: Mapping[str, str]) -> Turn:
    heard = list(events(exchange.answer))
    thought, said, calls = _messages(heard) if "/messages" in exchange.path else _responses(heard)
    return Turn(
        number=number,
        at=exchange.at,
        seconds=exchange.seconds,
        status=exchange.status,
        tries=exchange.tries,
        thought="\n".join(thought).strip(),
        said="\n".join(said).strip(),
        calls=tuple(Call(c.id, c.tool, c.command, outputs.get(c.id)) for c in calls),
        usage=exchange.usage,
        stripped=exchange.stripped,
        note=exchange.note,
    )


def _responses(heard: Iterable[dict[str, Any]]) -> tuple[list[str], list[str], list[Call]]:
    """OpenAI's items, each from its last event; of one that broke off, the words that came."""
    items: dict[int, dict[str, Any]] = {}
    begun: dict[int, str] = {}
    for event in heard:
        index = event.get("output_index")
        if not isinstance(index, int):
            continue
        if event.get("type") == "response.output_item.done" and isinstance(event.get("item"), dict):
            items[index] = event["item"]
        elif event.get("type") == "response.output_text.delta":
            begun[index] = begun.get(index, "") + str(event.get("delta", ""))
    thought: list[str] = []
    said: list[str] = []
    calls: list[Call] = []
    for index in sorted({*items, *begun}):
        item = items.get(index)
        if item is None:
            said.append(begun[index])
        elif item.get("type") == "message":
            said += texts(item.get("content"))
        elif item.get("type") == "reasoning":
            thought += texts(item.get("summary"))
        elif str(item.get("type", "")).endswith("_call"):
            given = item.get("arguments", item.get("input", item.get("action")))
            name = str(item.get("name") or item.get("type"))
            calls.append(Call(str(item.get("call_id", "")), name, _command(given)))
    return thought, said, calls


def _messages(heard: Iterable[dict[str, Any]]) -> tuple[list[str], list[str], list[Call]]:
    """Anthropic's blocks, put together from their pieces."""
    blocks: dict[int, dict[str, Any]] = {}
    pieces: dict[int, str] = {}
    for event in heard:
        index = event.get("index")
        if not isinstance(index, int):
            continue
        if event.get("type") == "content_block_start" and isinstance(event.get("content_block"), dict):
            blocks[index] = event["content_block"]
        elif event.get("type") == "content_block_delta" and isinstance(event.get("delta"), dict):
            delta = event["delta"]
            piece = delta.get("text") or delta.get("partial_json") or delta.get("thinking") or ""
            pieces[index] = pieces.get(index, "") + str(piece)
    thought: list[str] = []
    said: list[str] = []
    calls: list[Call] = []
    for index, block in sorted(blocks.items()):
        text = pieces.get(index, "")
        if block.get("type") == "text":
            said.append(str(block.get("text", "")) + text)
        elif block.get("type") == "thinking":
            thought.append(text)
        elif block.get("type") == "tool_use":
            calls.append(Call(str(block.get("id", "")), str(block.get("name", "")), _command(text)))
    return thought, said, calls


def _command(given: Any) -> str:
    """The command of a shell tool; of another tool, its arguments as they are."""
    value = decoded(given) if isinstance(given, str) else given
    if not isinstance(value, dict):
        return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)
    for name in _COMMANDS:
        command = value.get(name)
        if isinstance(command, str) and command:
            return command
        if isinstance(command, list):
            return " ".join(str(word) for word in command)
    return "\n".join(f"{key}: {_shown(part)}" for key, part in value.items())


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _outputs(request: Mapping[str, Any]) -> dict[str, str]:
    """The results of tools that a request brings back, by the ids of their calls."""
    found: dict[str, str] = {}
    history = request.get("input") or request.get("messages")
    for item in history if isinstance(history, list) else []:
        if not isinstance(item, dict):
            continue
        if str(item.get("type", "")).endswith("_call_output"):
            found[str(item.get("call_id"))] = _output(item.get("output"))
        content = item.get("content")
        for part in content if isinstance(content, list) else []:
            if isinstance(part, dict) and part.get("type") == "tool_result":
                found[str(part.get("tool_use_id"))] = _output(part.get("content"))
    return found


def _output(value: Any) -> str:
    if isinstance(value, dict):  # an older form of codex
        value = value.get("content")
    return "\n".join(texts(value)) if isinstance(value, (str, list)) else _shown(value)
