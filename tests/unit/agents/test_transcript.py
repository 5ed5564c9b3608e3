"""What a record tells: words, calls and results of both dialects, whole or broken off."""

from __future__ import annotations

import json
from typing import Any

from runner.agents.transcript import Call, transcript
from runner.exchanges import Exchange


def stream(*values: dict[str, Any]) -> str:
    return "".join(f"event: {v['type']}\ndata: {json.dumps(v)}\n\n" for v in values)


def openai(history: list[Any], *items: dict[str, Any], note: str = "") -> Exchange:
    done = [{"type": "response.output_item.done", "output_index": n, "item": i} for n, i in enumerate(items)]
    return Exchange(
        path="POST /v1/responses", status=200, request=json.dumps({"input": history}), answer=stream(*done), note=note
    )


def said(role: str, *texts: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": "output_text", "text": text} for text in texts]}


def call(name: str, arguments: dict[str, Any], number: int = 1) -> dict[str, Any]:
    return {"type": "function_call", "call_id": f"c{number}", "name": name, "arguments": json.dumps(arguments)}


def result(output: Any, number: int = 1) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": f"c{number}", "output": output}


def test_codex() -> None:
    prompt = [said("developer", "rules"), said("user", "environment"), said("user", "fix it")]
    thinking = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]}
    look = call("exec_command", {"cmd": "cat calc.py", "yield_time_ms": 3})
    patch = {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** Begin Patch"}
    shell = call("shell", {"command": ["bash", "-c", "true"]}, 3)
    told = transcript(
        (
            openai(prompt, thinking, said("assistant", "I look."), look),
            openai([*prompt, look, result("the file")], patch, shell),
            openai([*prompt, result([{"type": "input_text", "text": "ok"}], 2)], said("assistant", "Done."), note="x"),
        )
    )
    assert told.prompt == "fix it"
    first, second, third = told.turns
    assert (first.number, first.thought, first.said) == (1, "hm", "I look.")
    assert first.calls == (Call("c1", "exec_command", "cat calc.py", "the file"),)
    assert second.calls == (
        Call("c2", "apply_patch", "*** Begin Patch", "ok"),
        Call("c3", "shell", "bash -c true", None),
    )
    assert (third.said, third.calls, third.note) == ("Done.", (), "x")


def test_claude() -> None:
    answer = stream(
        {"type": "message_start", "message": {}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "I "}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "look."}},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "Edit"}},
        {"type": "content_block_delta", "index": 2, "delta": {"partial_json": '{"file_path": "a.py", '}},
        {"type": "content_block_delta", "index": 2, "delta": {"partial_json": '"replace_all": true}'}},
    )
    prompt = {"role": "user", "content": [{"type": "text", "text": "a note"}, {"type": "text", "text": "fix it"}]}
    back = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "edited"}]}
    told = transcript(
        (
            Exchange(path="POST /v1/messages", request=json.dumps({"messages": [prompt]}), answer=answer),
            Exchange(path="POST /v1/messages", request=json.dumps({"messages": [prompt, back]})),
        )
    )
    assert told.prompt == "fix it"
    assert (told.turns[0].thought, told.turns[0].said) == ("hm", "I look.")
    assert told.turns[0].calls == (Call("t", "Edit", "file_path: a.py\nreplace_all: true", "edited"),)


def test_an_answer_that_broke_off_keeps_the_words_that_came() -> None:
    begun = [{"type": "response.output_text.delta", "output_index": 0, "delta": d} for d in ("half a ", "word")]
    (turn,) = transcript((Exchange(path="POST /v1/responses", answer=stream(*begun), note="cut"),)).turns
    assert (turn.said, turn.note) == ("half a word", "cut")


def test_what_is_odd_is_passed_over() -> None:
    odd = (
        {"type": "response.output_item.done", "output_index": 0, "item": 7},
        {"type": "response.output_item.done", "item": {}},
        {"type": "content_block_delta", "index": 0, "delta": 7},
    )
    history = ["x", {"type": "function_call_output"}, {"content": [3, {"type": "tool_result"}]}, {"content": "x"}]
    for path in ("POST /v1/responses", "POST /v1/messages", "GET /", ""):
        told = transcript((
            Exchange(path=path, answer=stream(*odd), request=json.dumps({"input": history, "messages": history})),
            Exchange(path=path, request="[… cut …]"),
        ))  # fmt: skip
        assert (told.prompt, [t.calls for t in told.turns]) == (None, [(), ()])
