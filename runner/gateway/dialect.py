"""What the gateway must know of a provider's dialect: paths, headers, what to strip, how to meter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

REMOVED = "[removed by the gateway: content that the provider would have fetched from elsewhere]"


@dataclass
class Meter:
    """What one answer took, and whether it came to its end. `input` includes `cached`."""

    input: int = 0
    cached: int = 0
    output: int = 0
    ended: bool = False
    """The dialect's terminal event was seen."""
    failure: str | None = None
    """The provider's own words, where it broke off inside the stream."""


class Speech(Protocol):
    """One dialect. Everything here is pure: bodies and events are decoded JSON."""

    paths: Mapping[str, bool]
    """Paths that may be asked (POST); True where the answer is metered, False for free side questions."""

    def headers(self, key: str) -> dict[str, str]:
        """The provider's authentication."""
        ...

    def clean(self, body: dict[str, Any], model: str) -> tuple[dict[str, Any], list[str]]:
        """The request with the model pinned and everything that reaches beyond the provider taken out.

        The second value names what was taken out.
        """
        ...

    def read(self, event: dict[str, Any], meter: Meter) -> None:
        """Take an event of a stream into account."""
        ...

    def read_whole(self, answer: dict[str, Any], meter: Meter) -> None:
        """Take an answer that is not a stream into account."""
        ...

    def error(self, message: str) -> dict[str, Any]:
        """The body of a refusal."""
        ...


@dataclass
class Strip:
    """Collects the names of what was taken out, each once."""

    names: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> None:
        """Note one."""
        if name not in self.names:
            self.names.append(name)


def number(value: Any) -> int:
    """A count out of somebody else's JSON: never negative, zero where it is no number."""
    return max(0, int(value)) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def table(value: Any) -> dict[str, Any]:
    """A JSON object, empty where it is none."""
    return value if isinstance(value, dict) else {}
