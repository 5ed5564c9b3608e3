"""A provider that is down is left alone, tried by one, and forgiven."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from runner.errors import ProviderError
from runner.gateway import Gateway
from runner.gateway.breaker import FAILURES_IN_A_ROW, LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, Breaker
from runner.ports import Budget, Dialect, Door

from .conftest import KEY, OPENAI_STREAM, PATHS, PATIENCE, Provider, Reply, event


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker("https://api.example", clock)


def fail(breaker: Breaker, times: int = FAILURES_IN_A_ROW) -> None:
    for _ in range(times):
        breaker.failed(object(), "HTTP 503")


def test_it_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    fail(breaker, FAILURES_IN_A_ROW - 1)
    assert breaker.admit(object()) is None
    fail(breaker, 1)
    said = breaker.admit(object()) or ""
    assert said.startswith("https://api.example is left alone for 60 more seconds")
    assert "HTTP 503" in said


def test_a_good_answer_in_between_counts(breaker: Breaker) -> None:
    for _ in range(5):
        fail(breaker, FAILURES_IN_A_ROW - 1)
        breaker.went_well()
    assert breaker.admit(object()) is None


def test_after_the_pause_one_tries_and_the_others_wait(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += PAUSE_SECONDS
    probe, other = object(), object()
    assert breaker.admit(probe) is None
    assert breaker.refusal(probe) is None
    assert "being tried by one attempt" in (breaker.admit(other) or "")
    breaker.went_well()
    assert breaker.admit(other) is None


def test_a_probe_that_fails_opens_it_for_longer_and_longer(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    pauses = []
    for _ in range(6):
        said = breaker.refusal(object()) or ""
        pauses.append(int(said.split("for ")[1].split()[0]))
        clock.now += pauses[-1]
        probe = object()
        assert breaker.admit(probe) is None
        breaker.failed(probe, "HTTP 503")
    assert pauses == [60, 120, 240, 480, 900, 900]


def test_a_probe_that_leaves_without_a_word_makes_room_for_the_next(breaker: Breaker, clock: Clock) -> None:
    fail(breaker)
    clock.now += PAUSE_SECONDS
    probe = object()
    assert breaker.admit(probe) is None
    breaker.leave(object())
    assert breaker.admit(object()) is not None
    breaker.leave(probe)
    assert breaker.admit(object()) is None


def test_what_is_hopeless_opens_it_at_once_and_for_long(breaker: Breaker, clock: Clock) -> None:
    breaker.hopeless("HTTP 402 no money")
    breaker.failed(object(), "HTTP 503")
    clock.now += LONGEST_PAUSE_SECONDS - 1
    assert "no money" in (breaker.admit(object()) or "")
    clock.now += 1
    assert breaker.admit(object()) is None


# ── at the doors ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "doors", patience=PATIENCE)
    yield made
    made.close()


@pytest.fixture
def once(gateway: Gateway, provider: Provider) -> Callable[..., int]:
    """Opens a door, asks once, and answers the status."""

    def ask(dialect: Dialect = "openai") -> int:
        upstream = gateway.provider(dialect, base_url=provider.url, key=KEY)
        with gateway.open(dialect=dialect, upstream=upstream, model="m", budget=Budget(), record=None) as door:
            return _ask(door, dialect)

    return ask


def _ask(door: Door, dialect: Dialect) -> int:
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=str(door.socket)), base_url="http://gateway", timeout=120
    ) as client:
        return client.post(PATHS[dialect], json={"stream": True}).status_code


def test_attempts_that_were_given_up_open_it_for_the_next(once: Callable[..., int], provider: Provider) -> None:
    provider.replies = [Reply(503)]
    assert [once() for _ in range(FAILURES_IN_A_ROW)] == [400] * FAILURES_IN_A_ROW
    asked = len(provider.asked)
    with pytest.raises(ProviderError, match="left alone for 60 more seconds"):
        once()
    assert len(provider.asked) == asked, "nobody was asked"


UNPAID = [
    Reply(429, b'{"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}'),
    Reply(402, b'{"error": {"type": "billing_error", "message": "pay"}}'),
    Reply(403, b'{"error": {"code": "billing_not_active", "message": "pay"}}'),
    Reply(401, b'{"error": {"message": "bad key"}}'),
]


@pytest.mark.parametrize("reply", UNPAID, ids=lambda reply: str(reply.status))
def test_a_quota_that_is_used_up_burns_one_request_and_no_more(
    once: Callable[..., int], provider: Provider, reply: Reply
) -> None:
    provider.replies = [reply]
    assert once() == 400
    for _ in range(3):
        with pytest.raises(ProviderError, match="left alone"):
            once()
    assert len(provider.asked) == 1


def test_credit_that_is_used_up_is_known_by_its_words(once: Callable[..., int], provider: Provider) -> None:
    said = "Your credit balance is too low to access the API."
    provider.replies = [Reply(400, json.dumps({"error": {"type": "invalid_request_error", "message": said}}).encode())]
    assert once("anthropic") == 400
    with pytest.raises(ProviderError, match="credit balance"):
        once("anthropic")


UNPAID_CODE = {"code": "insufficient_quota", "message": "pay"}


@pytest.mark.parametrize(
    ("dialect", "failure"),
    [
        (
            "openai",
            {"type": "response.failed", "response": {"error": {"code": "insufficient_quota", "message": "pay"}}},
        ),
        ("openai", {"type": "error", "code": "insufficient_quota", "message": "pay"}),
        ("anthropic", {"type": "error", "error": {"type": "billing_error", "message": "pay"}}),
    ],
)
def test_a_quota_that_ends_inside_a_stream_counts_as_well(
    once: Callable[..., int], provider: Provider, dialect: Dialect, failure: dict[str, object]
) -> None:
    provider.replies = [Reply(chunks=[event(failure)])]
    assert once(dialect) == 400
    with pytest.raises(ProviderError, match="pay"):
        once(dialect)


def test_an_agent_cannot_talk_the_breaker_open(once: Callable[..., int], provider: Provider) -> None:
    echoed = "Unknown value: 'insufficient_quota. Your credit balance is too low'"
    provider.replies = [
        Reply(400, json.dumps({"error": {"code": "invalid_value", "message": echoed}}).encode()),
        Reply(404, b'{"error": {"message": "no such model"}}'),
        Reply(403, b'{"error": {"message": "not for you"}}'),
    ]
    for _ in range(5):
        assert once() == 400


def test_a_door_that_is_open_already_stops_asking(
    gateway: Gateway, once: Callable[..., int], provider: Provider
) -> None:
    upstream = gateway.provider("openai", base_url=provider.url, key=KEY)
    with gateway.open(dialect="openai", upstream=upstream, model="m", budget=Budget(), record=None) as door:
        provider.replies = [Reply(402)]
        once()
        provider.replies = [Reply(chunks=list(OPENAI_STREAM))]
        assert _ask(door, "openai") == 400
        assert (door.closed_because() or ("",))[0] == "provider_down"
    assert len(provider.asked) == 1


def test_another_provider_is_none_of_its_business(
    gateway: Gateway, once: Callable[..., int], provider: Provider
) -> None:
    provider.replies = [Reply(402)]
    once()
    other = Provider()
    other.replies = [Reply(chunks=list(OPENAI_STREAM))]
    try:
        upstream = gateway.provider("openai", base_url=f"{other.url}/v1", key="")
        with gateway.open(dialect="openai", upstream=upstream, model="m", budget=Budget(), record=None) as door:
            assert _ask(door, "openai") == 200
        assert "authorization" not in other.asked[0].headers, "a server of one's own gets no key"
    finally:
        other.close()
