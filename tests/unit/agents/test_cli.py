"""Event streams become attempts."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.agents import cli as cli_module
from runner.agents.claude import Claude, ClaudeReading
from runner.agents.cli import Cli, CliAgent, Reading, Transcript, judge, storable
from runner.agents.codex import Codex, CodexReading
from runner.model import Outcome, Usage, Verdict
from runner.ports import Door
from runner.tripwire import Tripwire
from sandbox.api import ExecResult, Sandbox

CODEX_STREAM: list[dict[str, Any]] = [
    {"type": "thread.started", "thread_id": "t"},
    {"type": "item.completed", "item": {"id": "0", "type": "error", "message": "no metadata for this model"}},
    {"type": "turn.started"},
    {"type": "item.completed", "item": {"id": "1", "type": "agent_message", "text": "I look."}},
    {"type": "item.started", "item": {"id": "2", "type": "command_execution", "command": "ls"}},
    {"type": "item.completed", "item": {"id": "2", "type": "command_execution", "command": "ls", "exit_code": 0}},
    {"type": "item.completed", "item": {"id": "3", "type": "file_change", "changes": []}},
    {"type": "something.new", "item": 7},
    {"type": "item.completed", "item": {"id": "4", "type": "agent_message", "text": "Fixed."}},
    {"type": "turn.completed", "usage": {"input_tokens": 1}},
]

CLAUDE_STREAM: list[dict[str, Any]] = [
    {"type": "system", "subtype": "init"},
    {"type": "assistant", "message": {"content": [{"type": "text", "text": "I look."}]}},
    {"type": "assistant", "message": {"content": [{"type": "tool_use", "name": "Bash"}]}},
    {"type": "user", "message": {"content": [{"type": "tool_result"}]}},
    {"type": "system", "subtype": "api_retry"},
    {"type": "assistant", "message": {"content": [{"type": "thinking"}, {"type": "tool_use", "name": "Edit"}]}},
    {"type": "something_new"},
    {"type": "result", "subtype": "success", "is_error": False, "result": "Fixed."},
]


def read(reading: Reading, events: list[dict[str, Any]]) -> Reading:
    for event in events:
        reading.take(event)
    return reading


@pytest.mark.parametrize(("reading", "events"), [(CodexReading(), CODEX_STREAM), (ClaudeReading(), CLAUDE_STREAM)])
def test_a_good_stream(reading: Reading, events: list[dict[str, Any]]) -> None:
    read(reading, events)
    assert (reading.message, reading.tool_calls, reading.error) == ("Fixed.", 2, None)


def test_codex_fails_in_the_providers_words() -> None:
    quoted = json.dumps({"error": {"message": "stop now"}})
    error = {"type": "error", "message": quoted}
    failed: list[dict[str, Any]] = [error, {"type": "turn.failed", "error": {"message": quoted}}]
    assert read(CodexReading(), failed).error == "stop now"
    assert read(CodexReading(), [{"type": "error", "message": "Reconnecting... 1/5"}]).error == "Reconnecting... 1/5"
    assert read(CodexReading(), [{"type": "error", "message": "x"}, {"type": "turn.completed"}]).error is None


@pytest.mark.parametrize(
    "result",
    [
        {"type": "result", "subtype": "success", "is_error": True, "result": "API Error: 400 stop now"},
        {"type": "result", "subtype": "error_max_turns", "is_error": False, "result": "API Error: 400 stop now"},
    ],
)
def test_claude_fails_whatever_its_subtype_says(result: dict[str, Any]) -> None:
    assert read(ClaudeReading(), [*CLAUDE_STREAM[:-1], result]).error == "API Error: 400 stop now"


def ended(code: int | None = 0, **facts: Any) -> ExecResult:
    return ExecResult(exit_code=code, stdout=b"", stderr=b"noise\nlast words\n", seconds=1.0, **facts)


BUDGET = ("budget", "enough")
DOWN = ("provider_down", "down")


@pytest.mark.parametrize(
    ("result", "closed", "error", "expected"),
    [
        (ended(0), None, None, (Outcome.DONE, "")),
        (ended(None, timed_out=True), BUDGET, "x", (Outcome.TIMEOUT, "killed after 9 s")),
        (ended(None, truncated=True), None, None, (Outcome.OUTPUT_FLOOD, "killed after 16777216 bytes of output")),
        (ended(0), BUDGET, None, (Outcome.BUDGET, "enough")),
        (ended(1), DOWN, "x", (Outcome.PROVIDER_DOWN, "down")),
        (ended(137, oom=True), None, None, (Outcome.CRASHED, "the container ran out of memory")),
        (ended(143), None, None, (Outcome.CRASHED, "exit code 143: last words")),
        (ended(0), None, "it says no", (Outcome.CRASHED, "exit code 0: it says no")),
        (ended(1), None, "it says no", (Outcome.CRASHED, "exit code 1: it says no")),
    ],
)
def test_judgement(
    result: ExecResult, closed: tuple[str, str] | None, error: str | None, expected: tuple[Outcome, str]
) -> None:
    reading = ClaudeReading()
    reading.error = error
    assert judge(result, closed, reading, 9) == expected


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_lines_are_found_however_they_are_cut(tmp_path: Path, size: int) -> None:
    data = b"WARNING: not JSON\n" + b"\n".join(json.dumps(e).encode() for e in CODEX_STREAM)  # no last newline
    reading = CodexReading()
    with Transcript(tmp_path / "t", reading) as transcript:
        for at in range(0, len(data), size):
            transcript.feed(data[at : at + size])
    assert (reading.message, reading.tool_calls) == ("Fixed.", 2)
    assert (tmp_path / "t").read_bytes() == data


@pytest.mark.parametrize(
    "line",
    [b'{"type": "item.completed"}', b'{"type": "item.completed", "item": 3}', b"{", b"{" * 100_000, b"\xff{", b"{}",
     b'{"type": "turn.failed", "error": "text"}', b'{"type": ["x"]}',
     b'{"type": "turn.failed", "error": {"message": "' + b"[" * 100_000 + b'"}}'],
)  # fmt: skip
def test_odd_lines_are_passed_over(tmp_path: Path, line: bytes) -> None:
    reading = CodexReading()
    with Transcript(tmp_path / "t", reading) as transcript:
        transcript.feed(line + b"\n" + json.dumps(CODEX_STREAM[3]).encode() + b"\n")
    assert reading.message == "I look."


def test_words_can_be_written_down_whatever_an_agent_says() -> None:
    said = json.loads(r'"a\ud800b\u0000c \ud83d\ude00 ü"')
    with pytest.raises(UnicodeEncodeError):
        said.encode()
    assert storable(said) == "a?b\ufffdc \U0001f600 ü"


def test_a_transcript_has_a_cap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_module, "LARGEST_TRANSCRIPT", 1000)
    with Transcript(tmp_path / "t", CodexReading()) as transcript:
        for _ in range(50):
            transcript.feed(b"x" * 100)
        transcript.keep_errors(b"e" * 5000)
    assert (tmp_path / "t").stat().st_size == 1000
    assert (tmp_path / "t.stderr").stat().st_size == 1000


class Box:
    """Says what an agent's program would."""

    id = "box"

    def __init__(self, events: list[dict[str, Any]]) -> None:
        self.events = events
        self.argv: list[str] = []
        self.env: Mapping[str, str] = {}
        self.stdin = b""

    def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        cwd: str = "/workspace",
        stdin: bytes | None = None,
        output_limit: int | None = None,
        on_stdout: Callable[[bytes], None] | None = None,
    ) -> ExecResult:
        assert (timeout, cwd, on_stdout is not None, output_limit) == (77, "/workspace", True, 16 * 1024 * 1024)
        self.argv, self.env, self.stdin = list(argv), env or {}, stdin or b""
        for event in self.events:
            assert on_stdout is not None
            on_stdout(json.dumps(event).encode() + b"\n")
        return ExecResult(exit_code=0, stdout=b"", stderr=b"a warning", seconds=3.0)


class FakeDoor:
    socket = Path("/nowhere")

    def usage(self) -> Usage:
        return Usage(requests=2, input=10)

    def closed_because(self) -> None:
        return None


@pytest.mark.parametrize(("cli", "events"), [(Codex(), CODEX_STREAM), (Claude(), CLAUDE_STREAM)])
def test_work(tmp_path: Path, cli: Cli, events: list[dict[str, Any]]) -> None:
    def nothing(*_: object) -> Any:
        raise AssertionError

    agent = CliAgent(name="a", model="m1", cli=cli, gateway=nothing, upstream=nothing, records=nothing)  # type: ignore[arg-type]
    box: Any = Box(events)
    door: Door = FakeDoor()
    path = tmp_path / "runs" / "attempt-4"
    tried = agent.work(
        _box(box), door, number=4, prompt="fix ü \ud800", seconds=77, transcript=path, env={"KIND": "odd"}
    )
    assert (tried.outcome, tried.message, tried.tool_calls) == (Outcome.DONE, "Fixed.", 2)
    assert (tried.number, tried.agent, tried.model, tried.seconds) == (4, "a", "m1", 3.0)
    assert tried.usage == Usage(requests=2, input=10)
    assert path.read_text().count("\n") == len(events)
    assert path.with_name("attempt-4.stderr").read_text() == "a warning"
    assert box.stdin.startswith("fix ü ".encode())
    assert box.argv[:2] == ["/usr/bin/python3", "-I"]
    assert "m1" in box.argv
    assert box.env["KIND"] == "odd"
    assert all("fix" not in part for part in box.argv), "the prompt is not on the command line"


def test_a_leak_leaves_no_word_behind(tmp_path: Path) -> None:
    class Shut(FakeDoor):
        def closed_because(self) -> Any:
            return "leak", "a request carried some_token"

    def nothing(*_: object) -> Any:
        raise AssertionError

    wire = Tripwire({"some_token": "a warning, Fixed"})
    agent = CliAgent("a", "m1", Codex(), nothing, nothing, nothing, tripwire=wire)  # type: ignore[arg-type]
    events = [{"type": "item.completed", "item": {"type": "agent_message", "text": "it is: a warning, Fixed"}}]
    path = tmp_path / "attempt-1"
    tried = agent.work(_box(Box(events)), Shut(), number=1, prompt="", seconds=77, transcript=path, env={})
    assert (tried.outcome, tried.message) == (Outcome.LEAKED, "")
    assert tried.detail == "a request carried some_token: nothing that it wrote is used"
    (finding,) = tried.findings
    assert (finding.rule, finding.verdict) == ("leak.secret", Verdict.FAILED)
    assert "it is: [secret]" in path.read_text()


def test_a_leak_counts_before_a_kill() -> None:
    killed = ExecResult(exit_code=None, stdout=b"", stderr=b"", seconds=1.0, timed_out=True)
    assert judge(killed, ("leak", "why"), CodexReading(), 9)[0] is Outcome.LEAKED


def _box(box: Any) -> Sandbox:
    checked: Sandbox = box
    return checked
