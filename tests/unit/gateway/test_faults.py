"""A provider with faults, and a job that floods its door: each of these once broke something."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from typing import Any

import pytest

from runner.budget import Price
from runner.gateway import Gateway, Patience, listening
from runner.gateway.exchange import Redactor
from runner.gateway.messages import Messages
from runner.gateway.responses import Responses
from runner.ports import Budget, Dialect

from .conftest import KEY, OPENAI_STREAM, PATHS, STREAMS, Client, Provider, Reply, event

BOTH = pytest.mark.parametrize("dialect", ["openai", "anthropic"])
Open = Callable[..., Client]
GOOD = Reply(chunks=list(OPENAI_STREAM))


def closed(client: Client) -> str:
    return (client.door.closed_because() or ("",))[0]


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("dialect", "failure"),
    [
        ("openai", {"type": "error", "error": {"type": "server_error", "message": "m"}}),
        ("openai", {"type": "response.failed", "response": {"error": {"code": "rate_limit_exceeded", "message": "m"}}}),
        ("anthropic", {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}),
    ],
)
def test_an_answer_that_begins_with_a_trouble_that_passes_is_asked_for_again(
    open_door: Open, provider: Provider, dialect: Dialect, failure: dict[str, Any]
) -> None:
    provider.replies = [Reply(chunks=[event(failure)]), Reply(chunks=list(STREAMS[dialect]))]
    client = open_door(dialect)
    assert client.ask().content == b"".join(STREAMS[dialect])
    assert (len(provider.asked), client.door.usage().requests) == (2, 1)


def test_a_whole_answer_that_is_an_error_is_asked_for_again(open_door: Open, provider: Provider) -> None:
    failure = {"error": {"type": "overloaded_error", "message": "m"}}
    provider.replies = [Reply(body=json.dumps(failure).encode()), Reply(body=b'{"usage": {"input_tokens": 9}}')]
    client = open_door()
    assert client.ask({"stream": False}).json() == {"usage": {"input_tokens": 9}}


def test_a_whole_answer_with_another_error_is_told_and_not_counted_as_good(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(body=b'{"error": {"code": "invalid_prompt", "message": "m"}}')]
    client = open_door()
    assert [client.ask({"stream": False}).status_code for _ in range(4)] == [200, 200, 200, 400]
    assert closed(client) == "provider_down"


@pytest.mark.parametrize("value", ["1e999", "NaN", "-5", "1" + "0" * 400, '"many"', "[]"])
@pytest.mark.parametrize("whole", [True, False])
def test_counts_that_cannot_be(open_door: Open, provider: Provider, value: str, whole: bool) -> None:
    usage = f'{{"input_tokens": {value}, "output_tokens": 1}}'
    last = f'data: {{"type": "response.completed", "response": {{"usage": {usage}}}}}\n\n'.encode()
    provider.replies = [Reply(body=f'{{"usage": {usage}}}'.encode()) if whole else Reply(chunks=[last])]
    client = open_door(price=Price(1, 1, 1, 1))
    assert client.ask({"stream": not whole}).status_code == 200
    assert 0 <= client.door.usage().input <= 10**9
    assert 0 <= (client.door.usage().cost_usd or 0.0) < 10**4


def test_an_event_that_is_nested_too_deeply_is_passed_over(open_door: Open, provider: Provider) -> None:
    deep = b"data: " + b"[" * 100_000 + b"\n\n"
    provider.replies = [Reply(chunks=[deep, *OPENAI_STREAM])]
    client = open_door()
    assert client.ask().content.endswith(OPENAI_STREAM[-1])
    assert client.door.usage().output == 7


def test_an_answer_ends_with_its_last_event_whatever_the_connection_does(open_door: Open, provider: Provider) -> None:
    never = threading.Event()

    def wait() -> bytes:
        never.wait(120)
        return b"\n"

    provider.replies = [Reply(chunks=[*OPENAI_STREAM, wait])]
    client = open_door()
    start = time.monotonic()
    assert client.ask().content == b"".join(OPENAI_STREAM)
    assert time.monotonic() - start < 60
    never.set()


def test_a_whole_answer_that_only_trickles_has_an_end(open_door: Open, provider: Provider) -> None:
    def slowly(handler: Any, _: Reply) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", "1000")
        handler.end_headers()
        for _n in range(1000):
            handler.wfile.write(b" ")
            time.sleep(0.1)

    provider._server.RequestHandlerClass._reply = slowly  # type: ignore[attr-defined]
    provider.replies = [GOOD]
    client = open_door(patience=Patience(whole=0.5, tries=1))
    start = time.monotonic()
    assert client.ask({"stream": False}).status_code == 400
    assert time.monotonic() - start < 60


@pytest.mark.parametrize("status", [500, 501, 505, 521, 523, 530])
def test_every_error_of_a_server_is_asked_again(open_door: Open, provider: Provider, status: int) -> None:
    provider.replies = [Reply(status), GOOD]
    assert open_door().ask().status_code == 200


@pytest.mark.parametrize("status", [204, 206, 301, 302, 307])
def test_what_is_neither_an_answer_nor_an_error_shuts_the_door(
    open_door: Open, provider: Provider, status: int
) -> None:
    provider.replies = [Reply(status, b"", headers={"location": f"{provider.url}/elsewhere"})]
    client = open_door()
    assert (client.ask().status_code, closed(client), len(provider.asked)) == (400, "provider_down", 1)


def test_a_date_to_ask_again_that_is_too_far_is_not_waited_for(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(429, headers={"retry-after": formatdate(time.time() + 3600, usegmt=True)})]
    client = open_door()
    assert (client.ask().status_code, len(provider.asked)) == (400, 1)


def test_a_spending_limit_is_known_by_its_words(open_door: Open, provider: Provider) -> None:
    said = "You have reached your specified API usage limits. You will regain access on a day."
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": said}}
    provider.replies = [Reply(400, json.dumps(error).encode())]
    client = open_door("anthropic")
    assert (client.ask().status_code, closed(client)) == (400, "provider_down")


def test_an_answer_in_a_coding_that_was_not_asked_for_is_not_opened(open_door: Open, provider: Provider) -> None:
    provider.replies = [Reply(headers={"content-encoding": "gzip"})]
    client = open_door()
    answer = client.ask()
    assert (answer.status_code, "`gzip`" in answer.text) == (400, True)


def test_a_key_that_the_provider_tells_does_not_come_in(open_door: Open, provider: Provider) -> None:
    said = event({"type": "response.output_text.delta", "delta": f"your key is {KEY}!"})
    half = said.index(KEY.encode()) + 5
    provider.replies = [Reply(chunks=[said + said[:half], said[half:], OPENAI_STREAM[-1]])]
    client = open_door()
    assert client.ask().content == said.replace(KEY.encode(), b"[secret]") * 2 + OPENAI_STREAM[-1]


def test_nothing_else_is_held_back() -> None:
    hiding = Redactor(("secret", "other"))
    assert [hiding.feed(piece) for piece in (b"a se", b"a", b"secre", b"t", b"o")] == [
        b"a ", b"sea", b"", b"[secret]", b"",
    ]  # fmt: skip
    assert hiding.end() == b"o"


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_parallel_requests_do_not_go_over_a_budget_together(open_door: Open, provider: Provider) -> None:
    provider.replies = [GOOD]
    client = open_door(budget=Budget(tokens=200))
    with ThreadPoolExecutor(12) as pool:
        seen = list(pool.map(lambda _: client.ask().status_code, range(12)))
    assert sorted(seen) == [200] * 2 + [400] * 10
    assert client.door.usage().input + client.door.usage().output == 214


def test_a_request_of_too_many_parts_is_refused(open_door: Open, provider: Provider) -> None:
    client = open_door()
    assert client.http.post("/v1/responses", content=b"[" + b"[]," * 500_000 + b"[]]").status_code == 413
    assert provider.asked == []


def test_requests_that_are_no_use_count(open_door: Open, provider: Provider) -> None:
    client = open_door(budget=Budget(requests=2))
    for _ in range(3):
        assert client.http.post("/v1/responses", content=b"no").status_code == 400
    assert closed(client) == "budget"


@BOTH
def test_headers_that_are_no_text(open_door: Open, provider: Provider, dialect: Dialect) -> None:
    provider.replies = [Reply(chunks=list(STREAMS[dialect]))]
    client = open_door(dialect)
    odd = {"openai-beta": "caf\xe9", "anthropic-beta": "caf\xe9", "content-type": "multipart/form-data"}
    answer = client.http.post(
        PATHS[dialect], content=b"{}", headers=[(n.encode(), v.encode("latin-1")) for n, v in odd.items()]
    )
    assert answer.status_code == 200
    assert provider.asked[0].headers["content-type"] == "application/json"


def test_betas_that_reach_beyond_the_provider_are_taken_out() -> None:
    asked = "a-1, mcp-client-2025-11-20,code-execution-2025-08-25, files-api-2025-04-14,context-1m-2025-08-07,b-2"
    assert Messages().passes("anthropic-beta", asked) == "a-1,b-2"


def test_a_picture_in_the_result_of_a_tool_is_not_fetched_either() -> None:
    picture = {"type": "computer_screenshot", "image_url": "https://example.com/x.png"}
    asked = {"input": [{"type": "computer_call_output", "call_id": "1", "output": picture}]}
    clean, names = Responses().clean(asked, "m")
    assert ("example.com" in json.dumps(clean), names) == (False, ["image_url"])


# ── connections ──────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def held(client: Client, number: int, said: bytes = b"") -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        made = []
        for _ in range(number):
            near = stack.enter_context(socket.socket(socket.AF_UNIX))
            near.settimeout(120)
            near.connect(str(client.door.socket))
            near.sendall(said)
            made.append(near)
        yield made


def test_a_job_takes_only_so_many_of_the_hosts_files(
    open_door: Open, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "AT_A_TIME", 4)
    monkeypatch.setattr(listening, "REQUEST_SECONDS", 0.5)
    provider.replies = [GOOD]
    client = open_door()
    with held(client, 20, b"POST /v1/resp") as many:
        assert client.ask().status_code == 200  # when its turn has come, as those before it never get to a request
        assert many[0].recv(1) == b""


def test_a_flooded_door_keeps_no_other_waiting(open_door: Open, provider: Provider, shared: Gateway) -> None:
    provider.replies = [GOOD]
    flooded, other = open_door(), open_door("openai")
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            with socket.socket(socket.AF_UNIX) as near:
                near.settimeout(0.1)
                near.connect_ex(str(flooded.door.socket))

    with ThreadPoolExecutor(1) as pool:
        pool.submit(flood)
        start = time.monotonic()
        assert [other.ask().status_code for _ in range(5)] == [200] * 5
        stop.set()
    assert time.monotonic() - start < 60


def test_what_is_being_answered_when_a_door_is_shut_is_counted(provider: Provider, shared: Gateway) -> None:
    never = threading.Event()
    asked = threading.Event()

    def wait() -> bytes:
        asked.set()
        never.wait(120)
        return b""

    provider.replies = [Reply(chunks=[OPENAI_STREAM[0], wait])]
    upstream = shared.provider("openai", base_url=provider.url, key=KEY)
    with shared.open(dialect="openai", upstream=upstream, model="m", budget=Budget(), record=None) as door:
        near = socket.socket(socket.AF_UNIX)
        near.connect(str(door.socket))
        body = json.dumps({"stream": True, "input": "x" * 4000}).encode()
        near.sendall(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        assert asked.wait(120)
    assert door.usage().input > 1000
    never.set()
    near.close()
