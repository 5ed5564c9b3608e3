"""A provider that does as it is told, and doors of a real gateway."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from runner.budget import Price
from runner.exchanges import read_exchanges
from runner.gateway import Gateway, Patience
from runner.ports import Budget, Dialect, Door
from runner.tripwire import Tripwire

KEY = "the-real-key-of-the-host"


@dataclass
class Asked:
    """A request as the provider got it."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Reply:
    """What the provider does: a status and body, or a stream of chunks. A callable chunk is called for its bytes."""

    status: int = 200
    body: bytes = b"{}"
    chunks: list[bytes | Callable[[], bytes]] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    clean_end: bool = True


class Provider:
    """A local HTTP server with a queue of replies; the last one repeats."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.replies: list[Reply] = []
        self.broken_pipes = threading.Semaphore(0)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None: ...

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers["content-length"]))
                outer.asked.append(Asked(self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(data)))
                reply = outer.replies.pop(0) if len(outer.replies) > 1 else outer.replies[0]
                try:
                    self._reply(reply)
                except (BrokenPipeError, ConnectionResetError):
                    outer.broken_pipes.release()
                    self.close_connection = True

            def _reply(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                if reply.chunks is None:
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(reply.body)))
                    self.end_headers()
                    self.wfile.write(reply.body)
                    return
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()
                for chunk in reply.chunks:
                    data = chunk if isinstance(chunk, bytes) else chunk()
                    self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                    self.wfile.flush()
                if reply.clean_end:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def event(value: dict[str, Any]) -> bytes:
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


OPENAI_STREAM = [
    event({"type": "response.created", "response": {"id": "r1"}}),
    event({"type": "response.output_text.delta", "delta": "hello"}),
    event(
        {
            "type": "response.completed",
            "response": {
                "id": "r1",
                "usage": {"input_tokens": 100, "input_tokens_details": {"cached_tokens": 60}, "output_tokens": 7},
            },
        }
    ),
]

ANTHROPIC_STREAM = [
    event(
        {
            "type": "message_start",
            "message": {
                "id": "m1",
                "usage": {
                    "input_tokens": 30,
                    "cache_creation_input_tokens": 10,
                    "cache_read_input_tokens": 60,
                    "output_tokens": 1,
                },
            },
        }
    ),
    event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hello"}}),
    event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}),
    event({"type": "message_stop"}),
]


def chunk(**fields: Any) -> bytes:
    value = {"id": "c1", "object": "chat.completion.chunk", "choices": [], **fields}
    return f"data: {json.dumps(value)}\n\n".encode()


CHAT_STREAM = [
    chunk(choices=[{"index": 0, "delta": {"role": "assistant", "content": "hello"}}], usage=None),
    chunk(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], usage=None),
    chunk(usage={"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 60}, "completion_tokens": 7}),
    b"data: [DONE]\n\n",
]

STREAMS: dict[str, list[bytes]] = {"openai": OPENAI_STREAM, "anthropic": ANTHROPIC_STREAM}
PATHS = {"openai": "/v1/responses", "anthropic": "/v1/messages"}


@pytest.fixture
def provider() -> Iterator[Provider]:
    made = Provider()
    yield made
    made.close()


@dataclass
class Client:
    """What runs in the container: talks HTTP to the door's socket."""

    door: Door
    http: httpx.Client
    record: Path
    dialect: Dialect

    def ask(self, body: dict[str, Any] | None = None, path: str | None = None, **options: Any) -> httpx.Response:
        body = {"model": "anything", "stream": True} if body is None else body
        return self.http.post(path or PATHS[self.dialect], json=body, **options)

    def exchanges(self) -> list[dict[str, Any]]:
        return [e.model_dump(mode="json") for e in read_exchanges(self.record)]


PATIENCE = Patience(headers=120, stall=120, tries=3, first_wait=0.01, longest_wait=0.05)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("doors"), patience=PATIENCE)
    yield gateway
    gateway.close()


@pytest.fixture
def open_door(tmp_path: Path, provider: Provider, shared: Gateway) -> Iterator[Callable[..., Client]]:
    """Opens a door to the provider and gives what a container would talk through it with."""
    shared._breakers.clear()  # the port may have been another test's provider before
    with ExitStack() as stack:

        def go(
            dialect: Dialect = "openai",
            *,
            budget: Budget | None = None,
            patience: Patience | None = None,
            price: Price | None = None,
            key: str = KEY,
            fresh: bool = False,
            tripwire: Tripwire | None = None,
        ) -> Client:
            gateway = shared
            if patience is not None or fresh or tripwire is not None:
                gateway = Gateway(tmp_path / "doors", patience=patience or PATIENCE, tripwire=tripwire)
                stack.callback(gateway.close)
            base = f"{provider.url}/v1" if dialect == "openai" else provider.url
            record = tmp_path / "records" / "attempt-1.jsonl.gz"
            door = stack.enter_context(
                gateway.open(
                    dialect=dialect,
                    upstream=gateway.provider(dialect, base_url=base, key=key),
                    model="the-pinned-model",
                    budget=budget or Budget(),
                    record=record,
                    price=price,
                )
            )
            http = stack.enter_context(
                httpx.Client(
                    transport=httpx.HTTPTransport(uds=str(door.socket)), base_url="http://gateway", timeout=120
                )
            )
            return Client(door, http, record, dialect)

        yield go
