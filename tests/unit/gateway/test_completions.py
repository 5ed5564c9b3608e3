"""OpenAI's Chat Completions: the same guards, the same metering."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from runner.gateway.completions import Completions
from runner.gateway.dialect import REMOVED, Meter
from runner.model import Usage

from .conftest import CHAT_STREAM, KEY, Client, Provider, Reply, chunk

Open = Callable[..., Client]
PATH = "/v1/chat/completions"
FUNCTION = {"type": "function", "function": {"name": "run"}}


def ask(client: Client, **body: Any) -> httpx.Response:
    return client.ask({"model": "dear", "messages": [{"role": "user", "content": "hi"}], **body}, PATH)


def test_a_stream_is_passed_on_and_metered(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(chunks=list(CHAT_STREAM))]
    client = open_door()
    answer = ask(client, stream=True)
    assert answer.content == b"".join(CHAT_STREAM)
    assert client.door.usage() == Usage(requests=1, input=100, cached=60, output=7)
    (asked,) = provider.asked
    assert asked.path == PATH
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.body["model"] == "the-pinned-model"
    assert asked.body["stream_options"] == {"include_usage": True}


def test_an_answer_in_one_piece_is_metered(open_door: Open, provider: Provider) -> None:
    usage = {"prompt_tokens": 11, "completion_tokens": 5}
    provider.replies = [Reply(body=json.dumps({"choices": [], "usage": usage}).encode())]
    client = open_door()
    assert ask(client).json()["usage"] == usage
    assert client.door.usage() == Usage(requests=1, input=11, output=5)
    assert "stream_options" not in provider.asked[0].body


def test_half_a_stream_never_looks_whole(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(chunks=list(CHAT_STREAM[:-1]))]
    client = open_door()
    with pytest.raises(httpx.RemoteProtocolError):
        ask(client, stream=True)
    assert client.exchanges()[-1]["note"] == "the answer ended without its last event"


def test_an_error_inside_the_stream_counts_as_one(open_door: Open, provider: Provider) -> None:
    error = b'data: {"error": {"message": "server trouble"}}\n\n'
    provider.replies = [Reply(chunks=[CHAT_STREAM[0], error])]
    client = open_door()
    for _ in range(3):
        assert error in ask(client, stream=True).content
    assert "server trouble" in (client.door.closed_because() or ("", ""))[1]


def test_a_server_that_tells_no_usage_is_guessed(open_door: Open, provider: Provider) -> None:
    words = [chunk(choices=[{"index": 0, "delta": {"content": "x"}}]) for _ in range(20)]
    provider.replies = [Reply(chunks=[*words, CHAT_STREAM[-1]])]
    client = open_door()
    ask(client, stream=True, user="x" * 4000)
    usage = client.door.usage()
    assert usage.input > 1000
    assert usage.output >= 20
    assert client.exchanges()[-1]["usage"]["guessed"] is True


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_stored_completions_are_out_of_reach(open_door: Open, provider: Provider, method: str) -> None:
    client = open_door()
    assert client.http.request(method, PATH).status_code == 404
    assert client.http.request("POST", f"{PATH}/chatcmpl-1", json={}).status_code == 404
    assert provider.asked == []


def test_claude_does_not_speak_it(open_door: Open, provider: Provider) -> None:
    client = open_door("anthropic")
    assert client.ask({}, PATH).status_code == 404
    assert provider.asked == []


# ── what is stripped ─────────────────────────────────────────────────────────────────────────────────────────


def test_only_known_fields_pass() -> None:
    body = {
        "model": "dear", "messages": [], "stream": True, "temperature": 0, "web_search_options": {}, "store": True,
        "service_tier": "priority", "models": ["dearer"], "plugins": [{"id": "web"}], "provider": {}, "audio": {},
        "metadata": {"a": "b"}, "stream_options": {"include_usage": False},
    }  # fmt: skip
    clean, stripped = Completions().clean(body, "pinned")
    assert clean == {
        "model": "pinned", "messages": [], "stream": True, "temperature": 0, "store": False,
        "stream_options": {"include_usage": True},
    }  # fmt: skip
    assert stripped == ["audio", "metadata", "models", "plugins", "provider", "service_tier", "web_search_options"]


@pytest.mark.parametrize("kind", ["web_search", "mcp", "code_interpreter", "something_new", None])
def test_tools_of_the_provider_go(kind: str | None) -> None:
    clean, stripped = Completions().clean({"tools": [{"type": kind}, FUNCTION], "tool_choice": {"type": kind}}, "m")
    assert clean["tools"] == [FUNCTION]
    assert clean["tool_choice"] == "auto"
    assert stripped == [f"tool {kind}", "tool_choice"]


def test_without_any_tool_left_there_is_nothing_to_choose() -> None:
    body = {"tools": [{"type": "web_search"}], "tool_choice": "required", "parallel_tool_calls": True}
    assert Completions().clean(body, "m")[0] == {"model": "m", "store": False}


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/?secret=1"}},
        {"type": "image_url", "image_url": "https://example.org"},
        {"type": "video_url", "video_url": {"url": "https://example.org"}},
        {"type": "file", "file": {"file_id": "file_1"}},
        {"type": "file", "file": {"file_data": "https://example.org"}},
        {"type": "file", "file": {"file_data": "data:text/plain,x", "file_id": "file_1"}},
        {"type": "something_new"},
        {},
    ],
)
def test_what_the_provider_would_fetch_goes(part: dict[str, Any]) -> None:
    message = {"role": "user", "content": [{"type": "text", "text": "see"}, part]}
    clean, stripped = Completions().clean({"messages": [message]}, "m")
    assert clean["messages"][0]["content"] == [{"type": "text", "text": "see"}, {"type": "text", "text": REMOVED}]
    assert len(stripped) == 1


def test_content_that_is_no_list_hides_nothing() -> None:
    message = {"role": "user", "content": {"type": "image_url", "image_url": {"url": "https://example.org"}}}
    clean, stripped = Completions().clean({"messages": [message]}, "m")
    assert (clean["messages"][0]["content"], stripped) == ([{"type": "text", "text": REMOVED}], ["image_url"])


def test_what_a_message_carries_itself_stays() -> None:
    content = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "file", "file": {"file_data": "data:text/plain,x", "filename": "x"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": None, "tool_calls": []}]
    clean, stripped = Completions().clean({"messages": messages}, "m")
    assert (clean["messages"], stripped) == (messages, [])


def test_earlier_answers_that_the_provider_kept_go() -> None:
    messages = [{"role": "assistant", "audio": {"id": "a"}}, "odd"]
    clean, stripped = Completions().clean({"messages": messages}, "m")
    assert (clean["messages"], stripped) == ([{"role": "assistant"}, "odd"], ["audio"])


@pytest.mark.parametrize("event", [{}, {"usage": None}, {"usage": []}, {"usage": {"prompt_tokens": "x"}}])
def test_odd_usage_counts_nothing(event: dict[str, Any]) -> None:
    meter = Meter()
    Completions().read(event, meter)
    assert (meter.input, meter.cached, meter.output, meter.ended) == (0, 0, 0, False)
