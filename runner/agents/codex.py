"""OpenAI's `codex exec`, sealed: no network but the gateway, no settings but ours."""

from __future__ import annotations

import json
from typing import Any

from runner.agents.cli import ADDRESS
from runner.ports import Dialect
from sandbox.api import TOOLS, WORKSPACE

# The CLI gives up on a silent stream later than the gateway does, so that it is the gateway that decides.
_IDLE_MS = 600_000

_PROVIDER = {
    "name": "gateway",
    "base_url": f"{ADDRESS}/v1",
    "wire_api": "responses",
    "request_max_retries": 2,
    "stream_max_retries": 4,
    "stream_idle_timeout_ms": _IDLE_MS,
}  # no env_key: the CLI sends no key at all

_CONFIG: dict[str, Any] = {
    "model_provider": "gateway",
    "web_search": "disabled",  # runs at the provider: a way around the sealed container
    "check_for_update_on_startup": False,
    "allow_login_shell": False,  # a login shell forgets the environment's PATH
    "project_doc_max_bytes": 0,  # the repository gives no instructions to the agent
    "analytics.enabled": False,
    "skills.bundled.enabled": False,
    "features.plugins": False,
    "features.apps": False,
    "features.unbounded_connection_retries": False,
    **{f"model_providers.gateway.{key}": value for key, value in _PROVIDER.items()},
}

_FLAGS = (
    "--json",
    "--ephemeral",
    "--skip-git-repo-check",
    "--ignore-user-config",
    "--ignore-rules",
    "--strict-config",
    "--dangerously-bypass-approvals-and-sandbox",  # the container is the sandbox
)

_ACTIONS = frozenset({"command_execution", "file_change", "mcp_tool_call", "web_search"})


class Codex:
    """The program, version 0.169."""

    dialect: Dialect = "openai"

    def command(self, model: str) -> list[str]:
        """`codex exec`, the prompt on standard input."""
        overrides = [part for key, value in _CONFIG.items() for part in ("-c", f"{key}={json.dumps(value)}")]
        return [f"{TOOLS}/bin/codex", "exec", *_FLAGS, "-C", WORKSPACE, "-m", model, *overrides, "-"]

    def environment(self) -> dict[str, str]:
        """None: its files go below HOME, which is memory and gone with the container."""
        return {}

    def reading(self) -> CodexReading:
        """A fresh reader."""
        return CodexReading()


class CodexReading:
    """`codex exec --json`: threads, turns and items."""

    def __init__(self) -> None:
        self.message = ""
        self.tool_calls = 0
        self.error: str | None = None

    def take(self, event: dict[str, Any]) -> None:
        """Items that are completed, and how the turn ended."""
        match event.get("type"):
            case "item.completed":
                item = event["item"]
                if item.get("type") == "agent_message":
                    self.message = str(item.get("text", ""))
                elif item.get("type") in _ACTIONS:
                    self.tool_calls += 1
            case "turn.completed":
                self.error = None
            case "turn.failed":
                self.error = _words(event["error"].get("message"))
            case "error":
                self.error = _words(event.get("message"))


def _words(message: object) -> str:
    """The provider's words out of the body that codex quotes."""
    text = str(message)
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return text
