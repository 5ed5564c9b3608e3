"""What the gateway must know of a provider's dialect: paths, headers, what to strip, how to meter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

# Fields by which exchanges between many providers let a request name other models, or have the web searched for it.
EXCHANGE_FIELDS = ("models", "fallbacks", "route", "provider", "plugins", "transforms", "web_search_options")
REMOVED = "[removed by the gateway: content that the provider would have fetched from elsewhere]"

_BYTES_PER_TOKEN = 4
_MOST_TOKENS = 10**9


@dataclass
class Meter:
    """What one answer took, and whether it came to its end. `input` includes `cached` and `written`."""

    input: int = 0
    cached: int = 0
    """Read from the provider's cache."""
    written: int = 0
    """Put into the provider's cache, where that has a price of its own."""
    output: int = 0
    events: int = 0
    """Events of a stream that were seen."""
    guessed: bool = False
    """The provider did not say all of it."""
    ended: bool = False
    """The dialect's terminal event was seen."""
    failure: str | None = None
    """The provider's own words, where it broke off inside the stream."""
    failure_names: frozenset[str] = frozenset()
    """The `code` and `type` of that failure."""

    def fail(self, error: dict[str, Any], otherwise: str) -> None:
        """The provider broke off with this error object."""
        self.ended = True
        self.failure = str(error.get("message") or otherwise)
        self.failure_names = names_of(error)

    def guess(self, *, request: int, answer: int) -> None:
        """Fill in what the provider did not say; it does so at the end of a stream, and some servers never do.

        Four bytes of the request are taken for a token, and so is each event of a stream, or four bytes of an answer
        in one piece. Both are given in bytes.
        """
        self.guessed = True
        self.input = self.input or request // _BYTES_PER_TOKEN
        self.output = max(self.output, self.events or answer // _BYTES_PER_TOKEN)


class Speech(Protocol):
    """One dialect. Everything here is pure: bodies and events are decoded JSON."""

    paths: Mapping[str, bool]
    """Paths that may be asked (POST); True where the answer is metered, False for free side questions."""

    def headers(self, key: str) -> dict[str, str]:
        """The provider's authentication."""
        ...

    def passes(self, name: str, value: str) -> str:
        """What of a client's header goes to the provider; nothing is an empty text."""
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
    """A count out of somebody else's JSON: zero where it is none, and never more than can be reckoned with."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return int(min(max(0, value), _MOST_TOKENS))  # in this order, so that what is not a number is zero


def names_of(error: dict[str, Any]) -> frozenset[str]:
    """What a provider calls an error, which no agent can write into, as it can into the message."""
    return frozenset(str(error[name]) for name in ("code", "type") if error.get(name))


def table(value: Any) -> dict[str, Any]:
    """A JSON object, empty where it is none."""
    return value if isinstance(value, dict) else {}
