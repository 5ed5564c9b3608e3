"""The script's model in OpenAI's Responses API, for codex."""

from __future__ import annotations

import json
import re
from typing import Any

from runner.agents.replay import BYTES_PER_TOKEN, Heard, Said, sse, turn_of

# codex lets a command (or, in code mode, a script) run on after a while and tells so in these words.
_RUNNING = re.compile(r"(session|cell) ID (\S+)")
_WAIT_MS = 30_000
_TIMEOUT_MS = 1_800_000


class ResponsesVoice:
    """Finds the shell tool among those that codex offers for the model, and answers with calls of it."""

    def hear(self, request: dict[str, Any]) -> Heard:
        """The results of our own calls, by their ids."""
        last, polls, output = -1, 0, ""
        for item in request.get("input") or []:
            kind = item.get("type", "") if isinstance(item, dict) else ""
            ours = turn_of(item.get("call_id")) if kind.endswith("_call_output") else None
            if ours is not None and ours >= (last, polls):
                (last, polls), output = ours, _text(item.get("output"))
        running = _RUNNING.search(output.partition("Output:")[0])
        return Heard(last, f"{running[1]} {running[2]}" if running else None, polls, can_act=bool(_tools(request)))

    def speak(self, request: dict[str, Any], said: Said, tokens_in: int) -> list[bytes]:
        """`response.created`, the items, `response.completed`."""
        items: list[dict[str, Any]] = []
        if said.words is not None:
            content = [{"type": "output_text", "text": said.words, "annotations": []}]
            message = {"type": "message", "role": "assistant", "content": content, "status": "completed"}
            items.append({"id": f"msg_{len(request.get('input') or [])}", **message})
        if said.shell is not None or said.poll is not None:
            items.append({"id": f"fc_{said.call}", "call_id": said.call, **_call(_tools(request), said)})
        size = len(json.dumps(items, ensure_ascii=False).encode())
        usage = {
            "input_tokens": tokens_in,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": max(1, size // BYTES_PER_TOKEN),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": tokens_in + max(1, size // BYTES_PER_TOKEN),
        }
        shell = {"id": f"resp_{said.call or 'last'}", "object": "response", "model": request.get("model")}
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": {**shell, "status": "in_progress", "output": []}}
        ]
        for index, item in enumerate(items):
            if item["type"] == "message":
                events.append(
                    {
                        "type": "response.output_item.added",
                        "output_index": index,
                        "item": {**item, "content": [], "status": "in_progress"},
                    }
                )
                events.append(
                    {
                        "type": "response.output_text.delta",
                        "output_index": index,
                        "content_index": 0,
                        "item_id": item["id"],
                        "delta": said.words,
                    }
                )
            events.append({"type": "response.output_item.done", "output_index": index, "item": item})
        done = {**shell, "status": "completed", "output": items, "usage": usage}
        events.append({"type": "response.completed", "response": done})
        return [sse({**event, "sequence_number": n}) for n, event in enumerate(events)]


def _tools(request: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The tools on offer by name; newer models get them in an item of the input."""
    offered = list(request.get("tools") or [])
    for item in request.get("input") or []:
        if isinstance(item, dict) and item.get("type") == "additional_tools":
            offered += item.get("tools") or []
    return {tool["name"]: tool for tool in offered if isinstance(tool, dict) and "name" in tool}


def _call(tools: dict[str, dict[str, Any]], said: Said) -> dict[str, Any]:
    """A call of whichever shell tool there is."""
    if said.poll is not None:
        kind, _, handle = said.poll.partition(" ")
        if kind == "cell":
            return _function("wait", {"cell_id": handle, "yield_time_ms": _WAIT_MS})
        return _function("write_stdin", {"session_id": int(handle), "chars": "", "yield_time_ms": _WAIT_MS})
    command = said.shell or "true"
    if "exec_command" in tools:
        return _function("exec_command", {"cmd": command, "yield_time_ms": _WAIT_MS})
    if "shell_command" in tools:
        return _function("shell_command", {"command": command, "timeout_ms": _TIMEOUT_MS})
    if "shell" in tools:
        return _function("shell", {"command": ["bash", "-c", command], "timeout_ms": _TIMEOUT_MS})
    return _script(command)


def _function(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "function_call", "name": name, "arguments": json.dumps(arguments), "status": "completed"}


def _script(command: str) -> dict[str, Any]:
    """Models in code mode have one tool, `exec`, that runs JavaScript with the others as functions."""
    wait = f'"yield_time_ms": {_WAIT_MS}'
    script = f"""// @exec: {{{wait}}}
let r = await tools.exec_command({{"cmd": {json.dumps(command)}, {wait}}});
while (r.session_id) {{
  text(r.output);
  r = await tools.write_stdin({{"session_id": r.session_id, "chars": "", {wait}}});
}}
text(r.output);
text("exit code " + r.exit_code);
"""
    return {"type": "custom_tool_call", "name": "exec", "input": script, "status": "completed"}


def _text(output: object) -> str:
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        return "\n".join(str(part.get("text", "")) for part in output if isinstance(part, dict))
    return json.dumps(output)
