"""What a provider's errors mean for the next try: does it pass, and is there any hope."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from runner.gateway.dialect import names_of
from runner.ports import Answer

_OVERLOADED = frozenset({408, 409, 425, 429})
_HOPELESS = frozenset({401, 402, 403, 404})
_FIRST_REQUEST_ERROR, _FIRST_SERVER_ERROR = 400, 500
_WRONG_KEY, _UNPAID, _TOO_MANY = 401, 402, 429
# What providers call it when there is no money left: the error's `code` or `type`, never its message, into which an
# agent could write. The one exception has no code of its own, and begins so.
UNPAID_CODES = frozenset({
    "insufficient_quota", "billing_error", "billing_not_active", "billing_hard_limit_reached", "quota_exceeded",
    "usage_limit_reached",
})  # fmt: skip
_UNPAID_WORDS = ("Your credit balance is too low", "You have reached your specified API usage limits")
# What they call a trouble that passes, in an answer that began as a good one.
_TOO_MANY_CODES = frozenset({"rate_limit_error", "rate_limit_exceeded", "slow_down"})
_PASSING_CODES = _TOO_MANY_CODES | {
    "overloaded_error", "api_error", "timeout_error", "server_error", "server_is_overloaded", "internal_server_error",
    "internal_error", "service_unavailable",
}  # fmt: skip


@dataclass
class Fault:
    """What a try that came to nothing says about the next one."""

    why: str
    wait: float = 0.0
    counted: bool = False
    hopeless: bool = False
    unpaid: bool = False


def passing(names: frozenset[str], message: str) -> Fault | None:
    """What a failure means that the provider told in an answer; None where the CLI is to hear it."""
    unpaid = bool(names & UNPAID_CODES) or message.startswith(_UNPAID_WORDS)
    if not unpaid and not names & _PASSING_CODES:
        return None
    said = " ".join(f"{' '.join(sorted(names))} {message}".split())[:300]
    return Fault(said, counted=bool(names & _TOO_MANY_CODES), hopeless=unpaid, unpaid=unpaid)


def judged(answer: Answer, text: str) -> Fault | None:
    """What an error of the provider means; None where it is about this very request, and the CLI's to know."""
    error = _error(text)
    unpaid = (
        answer.status == _UNPAID
        or bool(names_of(error) & UNPAID_CODES)
        or str(error.get("message")).startswith(_UNPAID_WORDS)
    )
    overloaded = answer.status in _OVERLOADED or answer.status >= _FIRST_SERVER_ERROR
    # Neither an answer nor an error: a redirection, for instance, which the key must not follow.
    strange = answer.status < _FIRST_REQUEST_ERROR
    if not (unpaid or overloaded or strange or answer.status in _HOPELESS):
        return None
    said = " ".join(f"{error.get('code') or error.get('type') or ''} {error.get('message') or ''}".split()) or text
    return Fault(
        f"HTTP {answer.status} {' '.join(said.split())[:300]}".strip(),
        wait=_retry_after(answer),
        counted=answer.status == _TOO_MANY,
        hopeless=unpaid or strange or answer.status in _HOPELESS,
        unpaid=unpaid or answer.status == _WRONG_KEY,
    )


def _error(text: str) -> dict[str, Any]:
    """The error object of a body, empty where it has none."""
    try:
        error = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return error if isinstance(error, dict) else {"message": str(error)}


def _retry_after(answer: Answer) -> float:
    """Seconds, in which the provider writes it or by a date."""
    said = answer.headers.get("retry-after", "0")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
