"""What OpenAI's two APIs have in common: who asks, how a refusal looks, and how an answer's use is told."""

from __future__ import annotations

from typing import Any, ClassVar

from runner.gateway.dialect import Meter, number, table


class OpenAI:
    """The dialect `openai`, without the form of its requests and events."""

    reads: ClassVar[str]
    """What `usage` calls the tokens of the request."""
    writes: ClassVar[str]
    """What `usage` calls those of the answer."""

    def headers(self, key: str) -> dict[str, str]:
        """A bearer token."""
        return {"authorization": f"Bearer {key}"}

    def passes(self, name: str, value: str) -> str:
        """All of what the door lets through."""
        return value

    def read_whole(self, answer: dict[str, Any], meter: Meter) -> None:
        """`usage` of a whole answer."""
        usage = table(answer.get("usage"))
        meter.input = number(usage.get(f"{self.reads}_tokens"))
        meter.cached = number(table(usage.get(f"{self.reads}_tokens_details")).get("cached_tokens"))
        meter.output = number(usage.get(f"{self.writes}_tokens"))

    def error(self, message: str) -> dict[str, Any]:
        """OpenAI's error object."""
        return {"error": {"message": message, "type": "invalid_request_error", "code": "gateway", "param": None}}
