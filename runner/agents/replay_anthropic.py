"""The script's model in Anthropic's Messages API, for claude."""

from __future__ import annotations

import json
from typing import Any

from runner.agents.replay import BYTES_PER_TOKEN, Heard, Said, sse, turn_of

_SHELL = "Bash"
_TIMEOUT_MS = 600_000


class MessagesVoice:
    """Answers with `tool_use` of claude's `Bash`."""

    def hear(self, request: dict[str, Any]) -> Heard:
        """The results of our own calls, by their ids."""
        last = -1
        for message in request.get("messages") or []:
            content = message.get("content") if isinstance(message, dict) else None
            for part in content if isinstance(content, list) else []:
                ours = turn_of(part.get("tool_use_id")) if part.get("type") == "tool_result" else None
                if ours is not None:
                    last = max(last, ours[0])
        names = {tool.get("name") for tool in request.get("tools") or []}
        return Heard(last, can_act=_SHELL in names)

    def speak(self, request: dict[str, Any], said: Said, tokens_in: int) -> list[bytes]:
        """`message_start`, the blocks, `message_delta`, `message_stop`."""
        blocks: list[tuple[dict[str, Any], dict[str, Any]]] = []
        if said.words is not None:
            blocks.append(({"type": "text", "text": ""}, {"type": "text_delta", "text": said.words}))
        if said.shell is not None:
            call = {"command": said.shell, "timeout": _TIMEOUT_MS, "description": "As the script says"}
            start = {"type": "tool_use", "id": said.call, "name": _SHELL, "input": {}}
            blocks.append((start, {"type": "input_json_delta", "partial_json": json.dumps(call)}))
        size = sum(len(json.dumps(delta, ensure_ascii=False).encode()) for _, delta in blocks)
        message: dict[str, Any] = {
            "id": f"msg_{said.call or 'last'}",
            "type": "message",
            "role": "assistant",
            "model": request.get("model"),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": tokens_in,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 1,
            },
        }
        events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
        for index, (start, delta) in enumerate(blocks):
            events.append({"type": "content_block_start", "index": index, "content_block": start})
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
            events.append({"type": "content_block_stop", "index": index})
        events.append(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "tool_use" if said.shell is not None else "end_turn", "stop_sequence": None},
                "usage": {"output_tokens": max(1, size // BYTES_PER_TOKEN)},
            }
        )
        events.append({"type": "message_stop"})
        return [sse(event) for event in events]
