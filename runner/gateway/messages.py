"""Anthropic's Messages API, as claude speaks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.gateway.dialect import EXCHANGE_FIELDS, REMOVED, Meter, Strip, number, table

# Tools that the CLI itself carries out, by the beginning of their type; a tool without a type is the CLI's own.
_CLIENT_TOOLS = ("custom", "bash_", "text_editor_")
# Connections that the provider would make, and services that are dearer than the model's price.
_FOREIGN_BETAS = (
    "mcp-",
    "code-execution-",
    "web-",
    "files-api-",
    "skills-",
    "computer-use-",
    "context-1m-",
    "fast-mode-",
)
_LOCAL_SOURCES = ("base64", "text", "content")
_FOREIGN_FIELDS = ("mcp_servers", "container", "service_tier", "speed", "inference_geo")


class Messages:
    """The dialect `anthropic`."""

    paths: Mapping[str, bool] = {"/v1/messages": True, "/v1/messages/count_tokens": False}

    def headers(self, key: str) -> dict[str, str]:
        """The key, by its own header."""
        return {"x-api-key": key}

    def passes(self, name: str, value: str) -> str:
        """Betas without those that reach beyond the provider, or cost more than the model's price."""
        if name != "anthropic-beta":
            return value
        return ",".join(beta for beta in value.split(",") if not beta.strip().startswith(_FOREIGN_BETAS))

    def clean(self, body: dict[str, Any], model: str) -> tuple[dict[str, Any], list[str]]:
        """Pin the model, strip the provider's own tools, its MCP client and everything that it would fetch."""
        strip = Strip()
        clean = {k: v for k, v in body.items() if k not in (*_FOREIGN_FIELDS, *EXCHANGE_FIELDS)}
        for name in body.keys() - clean.keys():
            strip(name)
        clean["model"] = model
        if "tools" in clean:
            clean["tools"] = _client_tools(clean["tools"], strip)
            names = {tool.get("name") for tool in clean["tools"]}
            choice = clean.get("tool_choice")
            if not names or (isinstance(choice, dict) and choice.get("name") not in {None, *names}):
                clean.pop("tool_choice", None)
            if not names:
                clean.pop("tools")
        for name in ("messages", "system"):
            if name in clean:
                clean[name] = _local_content(clean[name], strip)
        return clean, strip.names

    def read(self, event: dict[str, Any], meter: Meter) -> None:
        """`message_start` tells the input, each `message_delta` the output so far."""
        match event.get("type"):
            case "message_start":
                self.read_whole(table(event.get("message")), meter)
            case "message_delta":
                usage = table(event.get("usage"))
                meter.output = max(meter.output, number(usage.get("output_tokens")))
                _take_input(usage, meter)
            case "message_stop":
                meter.ended = True
            case "error":
                meter.fail(table(event.get("error")), "an error")

    def read_whole(self, answer: dict[str, Any], meter: Meter) -> None:
        """`usage` of a message."""
        usage = table(answer.get("usage"))
        meter.output = number(usage.get("output_tokens"))
        _take_input(usage, meter)

    def error(self, message: str) -> dict[str, Any]:
        """Anthropic's error object."""
        return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}


def _take_input(usage: dict[str, Any], meter: Meter) -> None:
    cached = number(usage.get("cache_read_input_tokens"))
    written = number(usage.get("cache_creation_input_tokens"))
    meter.input = max(meter.input, number(usage.get("input_tokens")) + written + cached)
    meter.cached, meter.written = max(meter.cached, cached), max(meter.written, written)


def _client_tools(tools: Any, strip: Strip) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for tool in tools if isinstance(tools, list) else []:
        if not isinstance(tool, dict):
            continue
        kind = str(tool.get("type") or "custom")
        if kind.startswith(_CLIENT_TOOLS):
            kept.append(tool)
        else:
            strip(f"tool {kind}")
    return kept


def _local_content(value: Any, strip: Strip) -> Any:
    if isinstance(value, list):
        return [_local_content(item, strip) for item in value]
    if not isinstance(value, dict):
        return value
    source = value.get("source")
    if value.get("type") in {"image", "document"} and isinstance(source, dict):
        if source.get("type") not in _LOCAL_SOURCES:
            strip(f"{value['type']} by {source['type']}")
            return {"type": "text", "text": REMOVED}
        if isinstance(source.get("content"), list):
            value = {**value, "source": {**source, "content": _local_content(source["content"], strip)}}
    if isinstance(value.get("content"), list):
        return {**value, "content": _local_content(value["content"], strip)}
    if value.get("type") == "container_upload":
        strip("container_upload")
        return {"type": "text", "text": REMOVED}
    return value
