"""What is stripped from a request, and what is read from an answer."""

from __future__ import annotations

from typing import Any

import pytest

from runner.gateway.completions import Completions
from runner.gateway.dialect import REMOVED, Meter, Speech
from runner.gateway.messages import Messages
from runner.gateway.responses import Responses

FUNCTION = {"type": "function", "name": "exec_command"}
CUSTOM = {"type": "custom", "name": "apply_patch"}


@pytest.mark.parametrize(
    "kind",
    ["web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp", "shell",
     "computer_use_preview", "tool_search", "something_new", None],
)  # fmt: skip
def test_openai_tools_of_the_provider_go(kind: str | None) -> None:
    body = {"tools": [FUNCTION, {"type": kind, "server_url": "https://example.org"}, CUSTOM]}
    clean, stripped = Responses().clean(body, "m")
    assert clean["tools"] == [FUNCTION, CUSTOM]
    assert stripped == [f"tool {kind}"]


def test_openai_tools_hidden_in_the_input_go_too() -> None:
    body = {
        "input": [
            {"type": "additional_tools", "tools": [FUNCTION, {"type": "web_search"}]},
            {
                "type": "additional_tools",
                "tools": [{"type": "namespace", "name": "n", "tools": [{"type": "mcp"}, CUSTOM]}],
            },
        ]
    }
    clean, stripped = Responses().clean(body, "m")
    assert clean["input"][0]["tools"] == [FUNCTION]
    assert clean["input"][1]["tools"][0]["tools"] == [CUSTOM]
    assert stripped == ["tool web_search", "tool mcp"]


def test_openai_client_side_tool_search_stays() -> None:
    tool = {"type": "tool_search", "execution": "client"}
    assert Responses().clean({"tools": [tool]}, "m")[0]["tools"] == [tool]


def test_openai_keeps_nothing_and_takes_nothing_from_elsewhere() -> None:
    body = {
        "model": "dear", "store": True, "background": True, "previous_response_id": "r", "conversation": "c",
        "prompt": {"id": "p"}, "service_tier": "priority", "tool_choice": {"type": "web_search"}, "stream": True,
        "prompt_cache_key": "k",
    }  # fmt: skip
    clean, stripped = Responses().clean(body, "pinned")
    assert clean == {"model": "pinned", "store": False, "tool_choice": "auto", "stream": True, "prompt_cache_key": "k"}
    assert set(stripped) == {
        "background", "previous_response_id", "conversation", "prompt", "service_tier", "tool_choice",
    }  # fmt: skip


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "image_url": "https://example.org/?secret=1"},
        {"type": "input_image", "file_id": "file_1"},
        {"type": "input_file", "file_url": "https://example.org/?secret=1"},
        {"type": "input_image", "image_url": {"url": "https://example.org"}},
    ],
)
@pytest.mark.parametrize("place", ["content", "output"])
def test_openai_links_that_the_provider_would_fetch_go(part: dict[str, Any], place: str) -> None:
    item = {"type": "message", "role": "user", place: [{"type": "input_text", "text": "see"}, part]}
    clean, stripped = Responses().clean({"input": [item]}, "m")
    assert clean["input"][0][place] == [
        {"type": "input_text", "text": "see"},
        {"type": "input_text", "text": REMOVED},
    ]
    assert len(stripped) == 1


def test_openai_images_in_the_request_itself_stay() -> None:
    item = {"type": "message", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]}
    clean, stripped = Responses().clean({"input": [item]}, "m")
    assert clean["input"] == [item]
    assert stripped == []


@pytest.mark.parametrize(
    "kind",
    ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "mcp_toolset", "advisor_1", "memory_2"],
)
def test_anthropic_tools_of_the_provider_go(kind: str) -> None:
    bash = {"name": "Bash", "input_schema": {}}
    body = {"tools": [bash, {"type": kind, "name": "x"}], "tool_choice": {"type": "tool", "name": "x"}}
    clean, stripped = Messages().clean(body, "m")
    assert clean["tools"] == [bash]
    assert "tool_choice" not in clean
    assert stripped == [f"tool {kind}"]


def test_anthropic_without_any_tool_left() -> None:
    clean, _ = Messages().clean({"tools": [{"type": "web_search_20250305"}], "tool_choice": {"type": "any"}}, "m")
    assert clean == {"model": "m"}


def test_anthropic_connections_of_the_provider_go() -> None:
    body = {
        "mcp_servers": [{"url": "https://example.org"}], "container": "c", "service_tier": "auto", "max_tokens": 5,
        "speed": "fast", "inference_geo": "us",
    }  # fmt: skip
    clean, stripped = Messages().clean(body, "m")
    assert clean == {"model": "m", "max_tokens": 5}
    assert set(stripped) == {"mcp_servers", "container", "service_tier", "speed", "inference_geo"}


@pytest.mark.parametrize("kind", ["image", "document"])
@pytest.mark.parametrize("source", [{"type": "url", "url": "https://example.org"}, {"type": "file", "file_id": "f"}])
def test_anthropic_links_that_the_provider_would_fetch_go(kind: str, source: dict[str, str]) -> None:
    part = {"type": kind, "source": source}
    inside = {"type": "tool_result", "tool_use_id": "t", "content": [part]}
    body = {"messages": [{"role": "user", "content": [part, inside]}], "system": [part]}
    clean, stripped = Messages().clean(body, "m")
    gone = {"type": "text", "text": REMOVED}
    assert clean["messages"][0]["content"] == [gone, {**inside, "content": [gone]}]
    assert clean["system"] == [gone]
    assert stripped == [f"{kind} by {source['type']}"]


@pytest.mark.parametrize("speech", [Responses(), Messages(), Completions()], ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("field", ["models", "fallbacks", "route", "provider", "plugins", "web_search_options"])
def test_no_dialect_lets_a_request_name_other_models(speech: Speech, field: str) -> None:
    clean, stripped = speech.clean({"model": "dear", field: ["dearer"]}, "pinned")
    assert (clean["model"], field in clean, stripped) == ("pinned", False, [field])


def test_anthropic_cached_tokens_are_part_of_the_input() -> None:
    meter = Meter()
    speech = Messages()
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 75, "output_tokens": 1}
    speech.read({"type": "message_start", "message": {"usage": usage}}, meter)
    speech.read({"type": "message_delta", "usage": {"output_tokens": 9}}, meter)
    speech.read({"type": "ping"}, meter)
    assert (meter.input, meter.cached, meter.output, meter.ended) == (100, 75, 9, False)
    speech.read({"type": "message_stop"}, meter)
    assert meter.ended


@pytest.mark.parametrize(
    "event",
    [{}, {"type": "response.completed"}, {"type": "response.completed", "response": {"usage": {"input_tokens": "x"}}},
     {"type": "response.completed", "response": {"usage": {"input_tokens": -5, "output_tokens": True}}}],
)  # fmt: skip
def test_odd_usage_counts_nothing(event: dict[str, Any]) -> None:
    meter = Meter()
    Responses().read(event, meter)
    assert (meter.input, meter.cached, meter.output) == (0, 0, 0)
