"""The scripted model, asked as the CLIs ask."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from runner.agents.recording import Recording, dialect_of, load_recording
from runner.agents.replay import Replay, Voice
from runner.agents.replay_anthropic import MessagesVoice
from runner.agents.replay_openai import ResponsesVoice
from runner.agents.script import Turn
from runner.errors import ConfigError
from runner.ports import Upstream

EXEC = {"type": "function", "name": "exec_command"}
BASH = {"name": "Bash", "input_schema": {}}
PATHS: dict[type[Voice], str] = {ResponsesVoice: "/v1/responses", MessagesVoice: "/v1/messages?beta=true"}


def ask(upstream: Upstream, request: dict[str, Any], path: str = "/v1/responses") -> tuple[int, list[dict[str, Any]]]:
    async def go() -> tuple[int, bytes]:
        async with upstream.exchange(path, {}, json.dumps(request).encode()) as answer:
            return answer.status, b"".join([chunk async for chunk in answer.chunks])

    status, data = asyncio.run(go())
    if not data.startswith(b"event:"):
        return status, [json.loads(data)]
    return status, [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: ")]


class Codex:
    """Keeps the conversation as codex does."""

    def __init__(self, upstream: Upstream, tools: list[dict[str, Any]] | None = None) -> None:
        self.upstream = upstream
        self.request: dict[str, Any] = {"input": [{"type": "message", "role": "user"}], "tools": tools or [EXEC]}

    def turn(self, result: str = "Output:\nfine") -> dict[str, Any]:
        status, events = ask(self.upstream, self.request)
        assert status == 200
        assert events[-1]["type"] == "response.completed"
        items: list[dict[str, Any]] = events[-1]["response"]["output"]
        for item in items:
            self.request["input"].append(item)
            if "call_id" in item:
                kind = f"{item['type']}_output"
                self.request["input"].append({"type": kind, "call_id": item["call_id"], "output": result})
        return items[-1]


class Claude:
    """Keeps the conversation as claude does."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.request: dict[str, Any] = {"messages": [{"role": "user", "content": "fix"}], "tools": [BASH]}

    def turn(self) -> dict[str, Any]:
        status, events = ask(self.upstream, self.request, "/v1/messages")
        assert status == 200
        assert [events[0]["type"], events[-1]["type"]] == ["message_start", "message_stop"]
        starts = [e["content_block"] for e in events if e["type"] == "content_block_start"]
        deltas = [e["delta"] for e in events if e["type"] == "content_block_delta"]
        last, delta = starts[-1], deltas[-1]
        if last["type"] == "tool_use":
            result = {"type": "tool_result", "tool_use_id": last["id"], "content": "fine"}
            self.request["messages"] += [
                {"role": "assistant", "content": [last]},
                {"role": "user", "content": [result]},
            ]
            return {**last, "input": json.loads(delta["partial_json"])}
        return {**last, "text": delta["text"]}


SCRIPT = (Turn(shell="one", say="I begin."), Turn(shell="two"), Turn(say="over"))


def test_codex_plays_the_script() -> None:
    codex = Codex(Replay(ResponsesVoice(), SCRIPT))
    assert json.loads(codex.turn()["arguments"])["cmd"] == "one"
    assert json.loads(codex.turn()["arguments"])["cmd"] == "two"
    assert codex.turn()["content"][0]["text"] == "over"


def test_claude_plays_the_script() -> None:
    claude = Claude(Replay(MessagesVoice(), SCRIPT))
    assert claude.turn()["input"]["command"] == "one"
    assert claude.turn()["input"]["command"] == "two"
    assert claude.turn()["text"] == "over"


def test_the_same_request_gets_the_same_answer() -> None:
    upstream = Replay(ResponsesVoice(), SCRIPT)
    request = {"input": [], "tools": [EXEC]}
    assert ask(upstream, request) == ask(upstream, request)


def test_a_script_without_last_words_ends_anyway() -> None:
    codex = Codex(Replay(ResponsesVoice(), (Turn(shell="one"),)))
    codex.turn()
    assert codex.turn()["content"][0]["text"] == "Done."


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "function", "name": "exec_command"}, {"cmd": "ls"}),
        ({"type": "function", "name": "shell_command"}, {"command": "ls"}),
        ({"type": "function", "name": "shell"}, {"command": ["bash", "-c", "ls"]}),
    ],
)
def test_codex_is_offered_the_shell_tool_that_it_has(tool: dict[str, Any], expected: dict[str, Any]) -> None:
    call = Codex(Replay(ResponsesVoice(), (Turn(shell="ls"),)), [tool]).turn()
    assert (call["type"], call["name"]) == ("function_call", tool["name"])
    assert json.loads(call["arguments"]).items() >= expected.items()


def test_code_mode() -> None:
    codex = Codex(Replay(ResponsesVoice(), (Turn(shell='echo "hi"'), Turn(say="over"))))
    codex.request.pop("tools")
    codex.request["input"].append({"type": "additional_tools", "tools": [{"type": "custom", "name": "exec"}]})
    call = codex.turn("Script running with cell ID 7\nOutput:\n")
    assert (call["type"], call["name"]) == ("custom_tool_call", "exec")
    assert 'tools.exec_command({"cmd": "echo \\"hi\\""' in call["input"]
    poll = codex.turn("Script completed\nOutput:\n")
    assert (poll["name"], json.loads(poll["arguments"])["cell_id"]) == ("wait", "7")
    assert codex.turn()["content"][0]["text"] == "over"


def test_a_command_that_still_runs_is_asked_after() -> None:
    codex = Codex(Replay(ResponsesVoice(), (Turn(shell="make"), Turn(say="over"))))
    codex.turn("Process running with session ID 42\nOutput:\n")
    for _ in range(2):
        poll = codex.turn("Process running with session ID 42\nOutput:\n")
        assert (poll["name"], json.loads(poll["arguments"])["session_id"]) == ("write_stdin", 42)
    codex.turn("Process exited with code 0\nOutput:\nProcess running with session ID 43")
    assert codex.turn()["content"][0]["text"] == "over", "what a command prints is not codex's word"


def test_faults_come_before_their_turn_and_so_many_times() -> None:
    script = (Turn(fail=529, times=2), Turn(shell="one"), Turn(fail=500), Turn(say="over"))
    codex = Codex(Replay(ResponsesVoice(), script))
    assert [ask(codex.upstream, codex.request)[0] for _ in range(2)] == [529, 529]
    assert json.loads(codex.turn()["arguments"])["cmd"] == "one"
    assert ask(codex.upstream, codex.request)[0] == 500
    assert codex.turn()["content"][0]["text"] == "over"


def test_a_fault_without_end() -> None:
    upstream = Replay(ResponsesVoice(), (Turn(fail=503, times=0), Turn(say="never")))
    assert {ask(upstream, {"input": [], "tools": [EXEC]})[0] for _ in range(20)} == {503}


@pytest.mark.parametrize("voice", [ResponsesVoice, MessagesVoice])
def test_a_cut_answer_has_no_end(voice: type[Voice]) -> None:
    upstream = Replay(voice(), (Turn(cut=True), Turn(say="over")))
    _, events = ask(upstream, {"input": [], "messages": [], "tools": [EXEC, BASH]}, PATHS[voice])
    assert events
    assert events[-1]["type"] not in {"response.completed", "message_stop"}


@pytest.mark.parametrize("voice", [ResponsesVoice, MessagesVoice])
def test_a_request_without_tools_is_not_a_turn(voice: type[Voice]) -> None:
    upstream = Replay(voice(), (Turn(fail=500, times=0), Turn(shell="one")))
    status, events = ask(upstream, {"input": [], "messages": []}, PATHS[voice])
    assert status == 200
    assert "Done." in json.dumps(events)


def test_tokens_follow_the_bytes() -> None:
    upstream = Replay(ResponsesVoice(), (Turn(say="over"),))
    small = ask(upstream, {"input": [], "tools": [EXEC]})[1][-1]["response"]["usage"]
    large = ask(upstream, {"input": [{"type": "message", "text": "x" * 4000}], "tools": [EXEC]})[1][-1]
    assert 1000 <= large["response"]["usage"]["input_tokens"] - small["input_tokens"] < 1020


def test_counting_tokens() -> None:
    upstream = Replay(MessagesVoice(), (Turn(fail=500, times=0),))
    status, (answer,) = ask(upstream, {"messages": []}, "/v1/messages/count_tokens")
    assert (status, answer) == (200, {"input_tokens": 4})


def test_a_recording_is_played_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        {"status": 400, "answer": "{}"},
        {"status": 200, "answer": 'event: a\ndata: {"n": 1}\n\n'},
        {"note": "the record is full", "answer": ""},
        {"status": 200, "answer": 'event: b\ndata: {"n": 2}\n\n'},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    upstream = Recording(load_recording(path))
    assert [ask(upstream, {}) for _ in range(2)] == [(200, [{"n": 1}]), (200, [{"n": 2}])]
    status, (error,) = ask(upstream, {})
    assert status == 400
    assert "ends after 2 answers" in error["error"]["message"]


def test_each_path_has_its_own_answers_and_errors_come_again(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    lines = [
        {"path": "POST /v1/messages/count_tokens", "status": 200, "tries": 1, "answer": '{"input_tokens": 4}'},
        {"path": "POST /v1/messages", "status": 400, "tries": 1, "answer": '{"error": {"message": "too long"}}'},
        {"path": "GET /v1/models", "status": 404, "note": "refused here, never there"},
        {"path": "POST /v1/messages", "status": 200, "tries": 1, "answer": 'event: a\ndata: {"n": 1}\n\n'},
        {"path": "POST /v1/messages", "status": 400, "tries": 4, "note": "the provider answers HTTP 529"},
        {"path": "POST /v1/messages", "status": 400, "note": "the budget is used up"},
        {"path": "POST /v1/messages", "status": 0, "tries": 1, "note": "the client went away"},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines))
    upstream = Recording(load_recording(path))
    assert ask(upstream, {}, "/v1/messages?beta=true") == (400, [{"error": {"message": "too long"}}])
    assert ask(upstream, {}, "/v1/messages?beta=true") == (200, [{"n": 1}])
    assert ask(upstream, {}, "/v1/messages/count_tokens") == (200, [{"input_tokens": 4}])
    status, body = ask(upstream, {}, "/v1/messages")
    assert (status, "529" in str(body)) == (400, True)
    status, body = ask(upstream, {}, "/v1/messages")
    assert (status, "ends after 4 answers" in str(body)) == (400, True)
    assert dialect_of(load_recording(path)) == "anthropic"


@pytest.mark.parametrize("text", ["", "{}", "[1]", "nonsense", '{"status": 200, "answer": "{}"}'])
def test_what_is_no_recording(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"a\.jsonl"):
        load_recording(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recording(tmp_path / "none")
