"""What goes through a door, in both dialects."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Callable

import httpx
import pytest

from runner.budget import Price
from runner.errors import OutsideError
from runner.gateway import Gateway, Patience
from runner.gateway.ledger import Ledger
from runner.model import Usage
from runner.ports import Budget, Dialect
from runner.tripwire import Tripwire

from .conftest import KEY, OPENAI_STREAM, PATHS, STREAMS, Client, Provider, Reply, event

BOTH = pytest.mark.parametrize("dialect", ["openai", "anthropic"])
Open = Callable[..., Client]


@BOTH
def test_passes_an_answer_on_and_meters_it(open_door: Open, provider: Provider, dialect: Dialect) -> None:
    provider.replies = [Reply(chunks=list(STREAMS[dialect]))]
    client = open_door(dialect)
    answer = client.ask()
    assert answer.status_code == 200
    assert answer.content == b"".join(STREAMS[dialect])
    assert client.door.usage() == Usage(requests=1, input=100, cached=60, output=7)
    assert client.door.closed_because() is None


@BOTH
def test_puts_the_key_in_and_the_clients_own_out(open_door: Open, provider: Provider, dialect: Dialect) -> None:
    provider.replies = [Reply(chunks=list(STREAMS[dialect]))]
    client = open_door(dialect)
    client.ask(headers={"authorization": "Bearer mine", "x-api-key": "mine", "cookie": "mine", "anthropic-beta": "b1"})
    (asked,) = provider.asked
    assert asked.path == PATHS[dialect]
    assert "mine" not in json.dumps(asked.headers)
    assert asked.headers["authorization" if dialect == "openai" else "x-api-key"].removeprefix("Bearer ") == KEY
    assert asked.headers["anthropic-beta"] == "b1"
    assert asked.body["model"] == "the-pinned-model"


@BOTH
def test_an_answer_that_is_no_stream_is_metered_too(open_door: Open, provider: Provider, dialect: Dialect) -> None:
    body = {"id": "x", "usage": {"input_tokens": 11, "output_tokens": 5}}
    provider.replies = [Reply(body=json.dumps(body).encode())]
    client = open_door(dialect)
    assert client.ask({"model": "m"}).json() == body
    assert client.door.usage() == Usage(requests=1, input=11, output=5)


@BOTH
def test_chunks_come_as_the_provider_sends_them(open_door: Open, provider: Provider, dialect: Dialect) -> None:
    seen = threading.Event()
    first, *rest = STREAMS[dialect]

    def after_the_first_was_seen() -> bytes:
        assert seen.wait(120)
        return b"".join(rest)

    provider.replies = [Reply(chunks=[first, after_the_first_was_seen])]
    client = open_door(dialect)
    with client.http.stream("POST", PATHS[dialect], json={"stream": True}) as answer:
        chunks = answer.iter_raw()
        assert next(chunks) == first
        seen.set()
        assert b"".join(chunks) == b"".join(rest)


@pytest.mark.parametrize("status", [429, 500, 503, 529])
def test_asks_again_while_the_provider_is_overloaded(open_door: Open, provider: Provider, status: int) -> None:
    overloaded = Reply(status, headers={"retry-after": "0"})
    provider.replies = [overloaded, overloaded, Reply(chunks=list(OPENAI_STREAM))]
    client = open_door()
    assert client.ask().status_code == 200
    assert len(provider.asked) == 3
    assert client.door.usage().requests == 1
    assert client.door.closed_because() is None


@BOTH
def test_a_provider_that_stays_down_shuts_the_door(open_door: Open, provider: Provider, dialect: Dialect) -> None:
    provider.replies = [Reply(529, b'{"error": {"type": "overloaded_error", "message": "too much"}}')]
    client = open_door(dialect)
    answer = client.ask()
    assert answer.status_code == 400
    assert "HTTP 529 overloaded_error too much" in answer.json()["error"]["message"]
    kind, why = client.door.closed_because() or ("", "")
    assert (kind, "asked 3 times" in why) == ("provider_down", True)
    assert client.ask().status_code == 400
    assert len(provider.asked) == 3, "a shut door asks nobody"


def test_a_provider_that_is_not_there_shuts_the_door(open_door: Open, provider: Provider) -> None:
    client = open_door()
    provider.close()
    assert client.ask().status_code == 400
    kind, why = client.door.closed_because() or ("", "")
    assert kind == "provider_down"
    assert "unreachable" in why


def test_a_refused_key_is_not_tried_again_and_not_told(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(401, json.dumps({"error": {"message": f"bad key {KEY}"}}).encode())]
    client = open_door()
    answer = client.ask()
    assert answer.status_code == 400
    assert len(provider.asked) == 1
    assert client.door.closed_because() == (
        "provider_down",
        "the provider answers HTTP 401 bad key [secret] (asked 1 times)",
    )
    assert KEY not in answer.text
    assert KEY not in str(client.exchanges())


def test_a_request_that_the_provider_does_not_like_is_told_in_its_words(open_door: Open, provider: Provider) -> None:
    body = json.dumps({"error": {"message": f"too long, {KEY}"}}).encode()
    provider.replies = [Reply(400, body), Reply(chunks=list(OPENAI_STREAM))]
    client = open_door()
    refused = client.ask()
    assert (refused.status_code, refused.json()) == (400, {"error": {"message": "too long, [secret]"}})
    assert client.door.closed_because() is None
    assert client.ask().status_code == 200


def test_no_answer_in_time_is_asked_again(open_door: Open, provider: Provider) -> None:
    never = threading.Event()

    class Slow(Reply):
        @property
        def status(self) -> int:
            never.wait(120)
            return 200

        @status.setter
        def status(self, _: int) -> None: ...

    provider.replies = [Slow(), Reply(chunks=list(OPENAI_STREAM))]
    client = open_door(patience=Patience(headers=1, tries=60, first_wait=0.01, longest_wait=0.01))
    assert client.ask().status_code == 200
    assert len(provider.asked) >= 2  # on a busy machine the second may be late, too
    never.set()


def test_an_answer_in_one_piece_may_take_longer(open_door: Open, provider: Provider) -> None:
    def late() -> bytes:
        threading.Event().wait(1)
        return b"{}"

    class Late(Reply):
        @property
        def status(self) -> int:
            late()
            return 200

        @status.setter
        def status(self, _: int) -> None: ...

    provider.replies = [Late()]
    client = open_door(patience=Patience(headers=0.1, whole=120, tries=1))
    assert client.ask({"stream": False}).status_code == 200
    assert client.ask({"stream": True}).status_code == 400


@pytest.mark.parametrize("clean_end", [True, False])
def test_a_stream_that_breaks_off_at_once_is_asked_for_again(
    open_door: Open, provider: Provider, clean_end: bool
) -> None:
    provider.replies = [Reply(chunks=[], clean_end=clean_end), Reply(chunks=list(OPENAI_STREAM))]
    client = open_door()
    assert client.ask().content == b"".join(OPENAI_STREAM)
    assert len(provider.asked) == 2
    assert client.exchanges()[-1]["tries"] == 2


def test_half_an_answer_in_one_piece_is_asked_for_again(open_door: Open, provider: Provider) -> None:
    body = json.dumps({"usage": {"input_tokens": 1, "output_tokens": 2}}).encode()
    provider.replies = [Reply(body=body[:-5]), Reply(body=body, headers={"content-encoding": "gzip"}), Reply(body=body)]
    client = open_door()
    answer = client.ask({"stream": False})
    assert (answer.status_code, answer.content) == (200, body)
    assert len(provider.asked) == 3


def test_an_answer_in_one_piece_that_never_comes_whole_is_never_given(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(body=b'{"usage": {')]
    client = open_door()
    answer = client.ask({"stream": False})
    assert answer.status_code == 400
    assert "no whole answer" in answer.json()["error"]["message"]
    assert (client.door.closed_because() or ("",))[0] == "provider_down"


def test_a_provider_that_counts_requests_is_waited_for_longer(open_door: Open, provider: Provider) -> None:
    counted = Reply(429, b'{"error": {"code": "rate_limit_exceeded", "message": "slow down"}}')
    provider.replies = [*[counted] * 9, Reply(chunks=list(OPENAI_STREAM))]
    client = open_door(patience=Patience(tries=2, first_wait=0.01, longest_wait=0.02, counted=5))
    assert client.ask().status_code == 200
    assert len(provider.asked) == 10


def test_but_not_forever(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(429)]
    client = open_door(patience=Patience(tries=2, first_wait=0.1, longest_wait=0.1, counted=0.5))
    assert client.ask().status_code == 400
    assert 4 <= len(provider.asked) <= 7
    assert (client.door.closed_because() or ("",))[0] == "provider_down"


# ── answers that break off ───────────────────────────────────────────────────────────────────────────────────


@BOTH
@pytest.mark.parametrize("clean_end", [True, False])
def test_half_an_answer_never_looks_whole(
    open_door: Open, provider: Provider, dialect: Dialect, clean_end: bool
) -> None:
    provider.replies = [Reply(chunks=list(STREAMS[dialect][:-1]), clean_end=clean_end)]
    client = open_door(dialect)
    for _ in range(2):
        with pytest.raises(httpx.RemoteProtocolError):
            client.ask()
        assert client.door.closed_because() is None, "the CLI may ask again"
    with pytest.raises(httpx.RemoteProtocolError):
        client.ask()
    kind, why = client.door.closed_because() or ("", "")
    assert kind == "provider_down"
    assert "3 answers in a row" in why
    assert client.ask().status_code == 400


def test_a_stalled_answer_breaks_off(open_door: Open, provider: Provider) -> None:
    done = threading.Event()

    def stall() -> bytes:
        done.wait(120)
        return b""

    provider.replies = [Reply(chunks=[OPENAI_STREAM[0], stall])]
    client = open_door(patience=Patience(stall=1))
    with pytest.raises(httpx.RemoteProtocolError):
        client.ask()
    done.set()
    assert "stalled" in client.exchanges()[-1]["note"]


@BOTH
def test_a_failure_inside_the_stream_is_passed_on_and_counted(
    open_door: Open, provider: Provider, dialect: Dialect
) -> None:
    failure = {
        "openai": {"type": "response.failed", "response": {"error": {"message": "server trouble"}}},
        "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "server trouble"}},
    }[dialect]
    provider.replies = [Reply(chunks=[STREAMS[dialect][0], event(failure)])]
    client = open_door(dialect)
    for _ in range(3):
        assert event(failure) in client.ask().content
    kind, why = client.door.closed_because() or ("", "")
    assert kind == "provider_down"
    assert "server trouble" in why


def test_one_good_answer_forgives_the_broken_ones(open_door: Open, provider: Provider) -> None:
    broken, good = Reply(chunks=[OPENAI_STREAM[0]]), Reply(chunks=list(OPENAI_STREAM))
    provider.replies = [broken, broken, good, broken, broken, good]
    client = open_door()
    for reply in list(provider.replies):
        if reply is good:
            assert client.ask().status_code == 200
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                client.ask()
    assert client.door.closed_because() is None


def test_a_client_that_goes_away_ends_the_provider_call(open_door: Open, provider: Provider) -> None:
    gone = threading.Event()

    def wait() -> bytes:
        assert gone.wait(120)
        return OPENAI_STREAM[1]

    provider.replies = [Reply(chunks=[OPENAI_STREAM[0], wait, *[b": more\n\n" * 10_000] * 200])]
    client = open_door()
    with client.http.stream("POST", PATHS["openai"], json={"stream": True}) as answer:
        next(answer.iter_raw())
    gone.set()
    assert provider.broken_pipes.acquire(timeout=120), "the provider's connection was closed"


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────────────────


@BOTH
def test_the_request_budget(open_door: Open, provider: Provider, dialect: Dialect) -> None:
    provider.replies = [Reply(chunks=list(STREAMS[dialect]))]
    client = open_door(dialect, budget=Budget(requests=2))
    assert [client.ask().status_code for _ in range(3)] == [200, 200, 400]
    assert client.door.closed_because() == (
        "budget",
        "the attempt's budget of 2 requests is used up; run.requests_per_attempt in automend.toml raises it",
    )
    assert len(provider.asked) == 2


def test_the_token_budget(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(chunks=list(OPENAI_STREAM))]
    client = open_door(budget=Budget(tokens=200))
    assert [client.ask().status_code for _ in range(3)] == [200, 200, 400]
    assert client.door.closed_because() == (
        "budget",
        "the attempt's budget of 200 tokens is used up (214); run.tokens_per_attempt in automend.toml raises it",
    )
    assert client.door.usage().input + client.door.usage().output == 214


def test_the_time_budget_ends_a_stream(open_door: Open, provider: Provider) -> None:
    done = threading.Event()

    def stall() -> bytes:
        done.wait(120)
        return b""

    provider.replies = [Reply(chunks=[OPENAI_STREAM[0], stall])]
    client = open_door(budget=Budget(wall_seconds=3))
    with pytest.raises(httpx.RemoteProtocolError):
        client.ask()
    done.set()
    assert (client.door.closed_because() or ("", ""))[0] == "budget"
    assert client.ask().status_code == 400


def test_time_is_over_before_the_provider_is_back(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(503)]
    client = open_door(budget=Budget(wall_seconds=5), patience=Patience(tries=9, first_wait=30, longest_wait=30))
    assert client.ask().status_code == 400
    assert (client.door.closed_because() or ("", ""))[0] == "budget"


def test_a_budget_in_money(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(chunks=list(OPENAI_STREAM))]
    price = Price(input=1000, cached=100, written=1000, output=2000)
    client = open_door(budget=Budget(usd=0.1), price=price)
    assert client.door.usage().cost_usd == 0.0
    assert [client.ask().status_code for _ in range(3)] == [200, 200, 400]
    # Each time 40 tokens at 1000, 60 from the cache at 100 and 7 written at 2000 dollars for a million.
    assert client.door.usage().cost_usd == pytest.approx(2 * (0.04 + 0.006 + 0.014))
    assert client.door.closed_because() == (
        "budget",
        "the attempt's budget of $0.1000 is used up ($0.1200); run.usd_per_attempt in automend.toml raises it",
    )
    assert client.exchanges()[0]["usage"]["usd"] == pytest.approx(0.06)


def test_filling_the_cache_has_a_price_of_its_own(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(chunks=list(STREAMS["anthropic"]))]
    client = open_door("anthropic", price=Price(input=0, cached=0, written=1000, output=0))
    client.ask()
    assert client.door.usage().cost_usd == pytest.approx(10 * 1000 / 1e6)


class Book:
    """An account of wider budgets that says no after so many requests."""

    def __init__(self, most: int = 10**9) -> None:
        self.most = most
        self.total = Usage()
        self.seconds = 0.0
        self.broken = False
        self.charges = 0
        self.heard_of_tokens = threading.Event()
        self._charged = threading.Condition()

    def refusal(self) -> str | None:
        return "the day is over" if self.total.requests > self.most else None

    def charge(self, usage: Usage, seconds: float) -> None:
        if self.broken:
            raise OutsideError("the disk is full")
        with self._charged:
            self.charges += 1
            self.seconds += seconds
            self.total = Usage(
                requests=self.total.requests + usage.requests,
                input=self.total.input + usage.input,
                cached=self.total.cached + usage.cached,
                output=self.total.output + usage.output,
                cost_usd=(self.total.cost_usd or 0) + (usage.cost_usd or 0),
            )
            self._charged.notify_all()
        if usage.input:
            self.heard_of_tokens.set()

    def hears_of(self, output: int) -> bool:
        """Wait for so many tokens: what an answer took is charged when its reader has it already."""
        with self._charged:
            return self._charged.wait_for(lambda: self.total.output >= output, 120)


def test_what_goes_through_is_charged_to_the_wider_budgets(provider: Provider, open_door: Open) -> None:
    provider.replies = [Reply(chunks=list(OPENAI_STREAM))]
    book = Book(most=2)
    client = open_door(budget=Budget(account=book), price=Price(1, 1, 1, 1))
    assert [client.ask().status_code for _ in range(4)] == [200, 200, 400, 400]
    assert client.door.closed_because() == ("budget", "the day is over")
    assert len(provider.asked) == 2
    assert book.hears_of(14)
    assert (book.total.input, book.total.cached, book.total.output) == (200, 120, 14)
    assert book.total.cost_usd == pytest.approx(214 / 1e6)


def test_time_is_charged_when_the_door_is_shut(provider: Provider, shared: Gateway) -> None:
    book = Book()
    upstream = shared.provider("openai", base_url=provider.url, key=KEY)
    with shared.open(dialect="openai", upstream=upstream, model="m", budget=Budget(account=book), record=None):
        assert book.seconds == 0
    assert book.seconds > 0


def test_refused_requests_do_not_keep_the_database_busy(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(chunks=list(OPENAI_STREAM))]
    book = Book(most=1)
    client = open_door(budget=Budget(account=book), price=Price(1, 1, 1, 1))
    for _ in range(3):
        client.http.post("/v1/files", json={})
    assert book.charges == 0
    client.ask()
    for _ in range(4):
        assert client.ask().status_code == 400
    # The first request, what its answer took, and the second request, after which no more are let in.
    assert book.charges <= 3


def test_what_cannot_be_written_down_is_not_passed(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(chunks=list(OPENAI_STREAM))]
    book = Book()
    client = open_door(budget=Budget(account=book))
    assert client.ask().status_code == 200
    book.broken = True
    assert client.ask().status_code == 400
    assert client.door.closed_because() == ("budget", "the disk is full")
    assert len(provider.asked) == 1


def test_an_answer_that_nobody_hears_out_is_counted_all_the_same(open_door: Open, provider: Provider) -> None:
    """An agent that hangs up before the provider tells the usage would spend without end."""
    gone = threading.Event()

    def wait() -> bytes:
        gone.wait(120)
        return OPENAI_STREAM[1]

    provider.replies = [Reply(chunks=[OPENAI_STREAM[0] + OPENAI_STREAM[1] * 9, wait, *[b": more\n\n" * 10_000] * 200])]
    book = Book()
    client = open_door(budget=Budget(account=book))
    with client.http.stream("POST", PATHS["openai"], json={"stream": True, "input": "x" * 8000}) as answer:
        next(answer.iter_raw())
    gone.set()
    assert provider.broken_pipes.acquire(timeout=120)
    assert book.heard_of_tokens.wait(120)
    assert client.door.usage().input > 2000
    assert client.door.usage().output >= 9


# ── what is not passed on ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/responses"),
        ("GET", "/v1/models"),
        ("POST", "/v1/files"),
        ("POST", "/v1/messages"),
        ("POST", "/v1/responses/"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("POST", "/v1//responses"),
        ("POST", "/v1/responses%2f..%2ffiles"),
        ("DELETE", "/v1/responses"),
    ],
)
def test_other_paths_are_refused(open_door: Open, provider: Provider, method: str, path: str) -> None:
    client = open_door()
    answer = client.http.request(method, path, json={"model": "m"})
    assert answer.status_code == 404
    assert provider.asked == []
    assert client.door.usage().requests == 0


def test_claude_may_ask_whether_anybody_is_there(open_door: Open, provider: Provider) -> None:
    client = open_door("anthropic")
    assert client.http.head("/").status_code == 200
    assert provider.asked == []


def test_only_one_query_is_passed_on(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(chunks=list(STREAMS["anthropic"]))]
    client = open_door("anthropic")
    client.ask(path="/v1/messages?beta=true")
    client.ask(path="/v1/messages?to=elsewhere")
    assert [a.path for a in provider.asked] == ["/v1/messages?beta=true", "/v1/messages"]


@pytest.mark.parametrize("content", [b"", b"[1]", b"not json", b"[" * 100_000])
def test_a_request_that_is_no_object_is_refused(open_door: Open, provider: Provider, content: bytes) -> None:
    client = open_door()
    assert client.http.post("/v1/responses", content=content).status_code == 400
    assert provider.asked == []


@BOTH
def test_a_request_that_is_nested_too_deeply_is_refused(open_door: Open, provider: Provider, dialect: Dialect) -> None:
    client = open_door(dialect)
    field = "input" if dialect == "openai" else "messages"
    nested = b'{"type": "message", "content": [' * 400 + b"]}" * 400
    body = b'{"stream": true, "%s": [%s]}' % (field.encode(), nested)
    assert json.loads(body)
    answer = client.http.post(PATHS[dialect], content=body)
    assert (answer.status_code, provider.asked) == (400, [])


def test_a_request_that_is_too_large_is_refused(
    open_door: Open, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.gateway.door.LARGEST_BODY", 1000)
    client = open_door()
    assert client.ask({"input": "x" * 1001}).status_code == 413
    assert provider.asked == []


# ── the record ───────────────────────────────────────────────────────────────────────────────────────────────


def test_every_exchange_is_recorded(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(429), Reply(chunks=list(OPENAI_STREAM))]
    client = open_door()
    client.ask({"model": "m", "stream": True, "input": "hello", "tools": [{"type": "web_search"}]})
    client.http.get("/v1/models")
    first, second = client.exchanges()
    assert first["path"] == "POST /v1/responses"
    assert (first["status"], first["tries"], first["stripped"]) == (200, 2, ["tool web_search"])
    assert first["usage"] == {"input": 100, "cached": 60, "output": 7}
    assert json.loads(first["request"])["input"] == "hello"
    assert "response.completed" in first["answer"]
    assert (second["path"], second["status"]) == ("GET /v1/models", 404)
    assert stat.S_IMODE(client.record.stat().st_mode) == 0o600


# ── the tripwire ─────────────────────────────────────────────────────────────────────────────────────────────

HELD = "made up, and held by the host"


def test_a_request_with_a_secret_of_the_host_shuts_the_door(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(chunks=list(OPENAI_STREAM))]
    client = open_door(tripwire=Tripwire({"github_token": HELD}))
    assert client.ask({"input": "honest", "stream": True}).status_code == 200
    said = client.ask({"input": [{"output": f"GITHUB_TOKEN={HELD}\n"}], "stream": True})
    assert (said.status_code, HELD in said.text) == (400, False)
    kind, why = client.door.closed_because() or ("", "")
    assert (kind, "github_token" in why, HELD in why) == ("leak", True, False)
    assert client.ask({"input": "honest again", "stream": True}).status_code == 400
    assert len(provider.asked) == 1
    refused = client.exchanges()[1]
    assert refused["note"] == why
    assert "GITHUB_TOKEN=[secret]" in refused["request"]
    assert HELD not in str(client.exchanges())


@pytest.mark.parametrize("written", [r"made up, and held by the \u0068ost", "made up\\u002c and held by the host"])
def test_however_the_secret_is_spelled_in_json(open_door: Open, provider: Provider, written: str) -> None:
    client = open_door(tripwire=Tripwire({"github_token": HELD}))
    said = client.http.post("/v1/responses", content=f'{{"input": "{written}"}}')
    assert said.status_code == 400
    assert provider.asked == []
    assert written not in str(client.exchanges())


def test_a_secret_in_a_header_does_not_pass(open_door: Open, provider: Provider) -> None:
    client = open_door("anthropic", tripwire=Tripwire({"key": HELD}))
    assert client.ask(headers={"anthropic-beta": f"x-{HELD}"}).status_code == 400
    assert (client.door.closed_because() or ("",))[0] == "leak"
    assert provider.asked == []


def test_a_leak_is_told_even_where_the_door_was_shut_already() -> None:
    ledger = Ledger(Budget(), lambda: 0.0)
    ledger.shut("budget", "used up")
    assert ledger.shut("leak", "a secret") == "a secret"
    assert ledger.shut("provider_down", "later") == "a secret"
    assert ledger.closed_because() == ("leak", "a secret")
