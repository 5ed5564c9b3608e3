"""Anthropic's `claude -p`, sealed: no network but the gateway, no settings but ours."""

from __future__ import annotations

from typing import Any

from runner.agents.cli import ADDRESS
from runner.ports import Dialect
from sandbox.api import TOOLS

_MOST_TURNS = 200

_FLAGS = (
    "--output-format", "stream-json", "--verbose",
    "--setting-sources", "",  # a repository's settings could lead the model's traffic elsewhere
    "--strict-mcp-config",
    "--disable-slash-commands",
    "--no-session-persistence",
    "--tools", "Bash,Read,Edit,Write,Glob,Grep",
    "--dangerously-skip-permissions",  # the container is the sandbox
    "--max-turns", str(_MOST_TURNS),
)  # fmt: skip


class Claude:
    """The program, version 2.1."""

    dialect: Dialect = "anthropic"

    def command(self, model: str) -> list[str]:
        """`claude -p`, the prompt on standard input."""
        return [f"{TOOLS}/bin/claude", "-p", *_FLAGS, "--model", model]

    def environment(self) -> dict[str, str]:
        """Where the provider is. The key is a word that the CLI wants to see; the gateway has the real one."""
        return {
            "ANTHROPIC_BASE_URL": ADDRESS,
            "ANTHROPIC_API_KEY": "none",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "4",
            "DISABLE_AUTOUPDATER": "1",
        }

    def reading(self) -> ClaudeReading:
        """A fresh reader."""
        return ClaudeReading()


class ClaudeReading:
    """`--output-format stream-json`: messages, then one result."""

    def __init__(self) -> None:
        self.message = ""
        self.tool_calls = 0
        self.error: str | None = None

    def take(self, event: dict[str, Any]) -> None:
        """What the model says and does, and the result."""
        match event.get("type"):
            case "assistant":
                for part in event["message"].get("content") or []:
                    if part.get("type") == "text":
                        self.message = str(part.get("text", ""))
                    elif part.get("type") == "tool_use":
                        self.tool_calls += 1
            case "result":
                words = str(event.get("result") or "")
                if event.get("is_error") or event.get("subtype") != "success":
                    self.error = words or str(event.get("subtype"))
                else:
                    self.error = None
                    self.message = words or self.message
