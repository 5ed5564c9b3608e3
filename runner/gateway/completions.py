"""OpenAI's Chat Completions API, which most servers of one's own speak, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.gateway.dialect import REMOVED, Meter, Strip, table
from runner.gateway.openai import OpenAI

# Servers that are shaped like OpenAI's know more fields, such as other models to fall back to, or plugins that search
# the web. So this is a list of what passes.
_KNOWN_FIELDS = frozenset({
    "messages", "stream", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call",
    "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "n", "seed", "presence_penalty",
    "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "response_format", "reasoning_effort", "verbosity",
    "prompt_cache_key", "user", "safety_identifier",
})  # fmt: skip
# Fields that are the gateway's to say; taking them out is worth no word in the record.
_OURS = frozenset({"model", "store", "stream_options"})
_CLIENT_TOOLS = frozenset({"function", "custom"})
# A part of a message is text, or carries its data itself; the field that must be a data: address, if there is one.
_LOCAL_PARTS: dict[str, tuple[str, str] | None] = {
    "text": None,
    "refusal": None,
    "input_audio": None,
    "image_url": ("image_url", "url"),
    "file": ("file", "file_data"),
}
DONE = "[DONE]"


class Completions(OpenAI):
    """The dialect `openai`, in its older form."""

    paths: Mapping[str, bool] = {"/v1/chat/completions": True}
    reads, writes = "prompt", "completion"

    def clean(self, body: dict[str, Any], model: str) -> tuple[dict[str, Any], list[str]]:
        """Pin the model, keep nothing at the provider, have a stream end with its usage, strip what reaches beyond."""
        strip = Strip()
        clean = {k: v for k, v in body.items() if k in _KNOWN_FIELDS}
        for name in sorted(body.keys() - clean.keys() - _OURS):
            strip(name)
        clean |= {"model": model, "store": False}
        if clean.get("stream") is True:
            clean["stream_options"] = {"include_usage": True}
        if "tools" in clean:
            clean["tools"] = _client_tools(clean["tools"], strip)
            if not clean["tools"]:
                del clean["tools"]
        choice = clean.get("tool_choice")
        if isinstance(choice, dict) and choice.get("type") not in _CLIENT_TOOLS:
            strip("tool_choice")
            clean["tool_choice"] = "auto"
        if "tools" not in clean:
            clean.pop("tool_choice", None)
            clean.pop("parallel_tool_calls", None)
        if isinstance(clean.get("messages"), list):
            clean["messages"] = [_local_message(message, strip) for message in clean["messages"]]
        return clean, strip.names

    def read(self, event: dict[str, Any], meter: Meter) -> None:
        """The last chunk but one carries the usage; `[DONE]` is the end."""
        if event.get("type") == DONE:
            meter.ended = True
        elif "error" in event and "choices" not in event:
            meter.fail(table(event["error"]), str(event["error"]))
        elif isinstance(event.get("usage"), dict):
            self.read_whole(event, meter)


def _client_tools(tools: Any, strip: Strip) -> list[Any]:
    kept: list[Any] = []
    for tool in tools if isinstance(tools, list) else []:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind in _CLIENT_TOOLS:
            kept.append(tool)
        else:
            strip(f"tool {kind}")
    return kept


def _local_message(message: Any, strip: Strip) -> Any:
    if not isinstance(message, dict):
        return message
    if "audio" in message:  # an answer of earlier, kept at the provider
        strip("audio")
        message = {k: v for k, v in message.items() if k != "audio"}
    content = message.get("content")
    if isinstance(content, dict):
        content = [content]
    if isinstance(content, list):
        return {**message, "content": [_local_part(part, strip) for part in content]}
    return message


def _local_part(part: Any, strip: Strip) -> Any:
    if not isinstance(part, dict):
        return part
    kind = str(part.get("type"))
    place = _LOCAL_PARTS.get(kind)
    if kind in _LOCAL_PARTS and place is None:
        return part
    if place is not None:
        outer, inner = place
        data = table(part.get(outer)).get(inner)
        if isinstance(data, str) and data.startswith("data:") and "file_id" not in table(part.get(outer)):
            return part
    strip(kind)
    return {"type": "text", "text": REMOVED}
