"""OpenAI's Responses API, as codex speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.gateway.dialect import EXCHANGE_FIELDS, REMOVED, Meter, Strip, table
from runner.gateway.openai import OpenAI

# Tools that the CLI itself carries out. All others run at the provider and could be an exit from the sandbox.
_CLIENT_TOOLS = frozenset({"function", "custom", "local_shell", "namespace"})
# Fields that bring in state, prompts or runs that are not in this request, or a dearer service.
_FOREIGN_FIELDS = ("background", "conversation", "previous_response_id", "prompt", "service_tier")
_REMOTE_PARTS = {"image_url": ("data:",), "file_url": (), "file_id": ()}
_TERMINAL = frozenset({"response.completed", "response.incomplete"})


class Responses(OpenAI):
    """The dialect `openai`."""

    paths: Mapping[str, bool] = {"/v1/responses": True}
    reads, writes = "input", "output"

    def clean(self, body: dict[str, Any], model: str) -> tuple[dict[str, Any], list[str]]:
        """Pin the model, keep nothing at the provider, strip its own tools and everything that it would fetch."""
        strip = Strip()
        clean = {k: v for k, v in body.items() if k not in (*_FOREIGN_FIELDS, *EXCHANGE_FIELDS)}
        for name in body.keys() - clean.keys():
            strip(name)
        clean |= {"model": model, "store": False}
        if "tools" in clean:
            clean["tools"] = _client_tools(clean["tools"], strip)
        choice = clean.get("tool_choice")
        if isinstance(choice, dict) and choice.get("type") not in {"function", "custom"}:
            strip("tool_choice")
            clean["tool_choice"] = "auto"
        if "input" in clean:
            clean["input"] = _local_content(clean["input"], strip)
        return clean, strip.names

    def read(self, event: dict[str, Any], meter: Meter) -> None:
        """`response.completed` and its like carry the usage."""
        kind = event.get("type")
        if kind in _TERMINAL:
            meter.ended = True
            self.read_whole(table(event.get("response")), meter)
        elif kind == "response.failed":
            answer = table(event.get("response"))
            self.read_whole(answer, meter)
            meter.fail(table(answer.get("error")), "the answer failed")
        elif kind == "error":
            meter.fail(table(event.get("error")) or event, "an error")


def _client_tools(tools: Any, strip: Strip) -> list[Any]:
    kept: list[Any] = []
    for tool in tools if isinstance(tools, list) else []:
        kind = tool.get("type") if isinstance(tool, dict) else None
        local_search = kind == "tool_search" and tool.get("execution") == "client"
        if kind not in _CLIENT_TOOLS and not local_search:
            strip(f"tool {kind}")
        elif kind == "namespace":
            kept.append({**tool, "tools": _client_tools(tool.get("tools"), strip)})
        else:
            kept.append(tool)
    return kept


def _local_content(value: Any, strip: Strip) -> Any:
    """The input without tools of the provider (newer models list tools there) and without links to fetch."""
    if isinstance(value, list):
        return [_local_content(item, strip) for item in value]
    if not isinstance(value, dict):
        return value
    for name, allowed in _REMOTE_PARTS.items():
        link = value.get(name)
        if "type" in value and link is not None and not (isinstance(link, str) and link.startswith(allowed)):
            strip(name)
            return {"type": "input_text", "text": REMOVED}
    item = dict(value)
    if item.get("type") == "additional_tools":
        return {**item, "tools": _client_tools(item.get("tools"), strip)}
    for name in ("content", "output"):
        if isinstance(item.get(name), list | dict):
            item[name] = _local_content(item[name], strip)
    if item.get("type") == "item_reference":
        strip("item_reference")
        return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": REMOVED}]}
    return item
