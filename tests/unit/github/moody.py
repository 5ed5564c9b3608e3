"""A loopback server that answers whatever a test tells it to: the forge on a bad day."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from runner.github.forge import GitHubForge

TOKEN = "t0ken-of-this-test"


@dataclass
class Said:
    """One answer. `hang` is waited for before anything is sent."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    hang: threading.Event | None = None
    cut: bool = False


@dataclass
class Moody:
    """A server that says what stands in `by_path`, else in `answers`, in order, the last one for ever."""

    url: str
    answers: list[Said]
    asked: list[tuple[str, str, dict[str, str]]]
    by_path: dict[str, Said] = field(default_factory=dict)

    def forge(self, **kwargs: Any) -> GitHubForge:
        settings: dict[str, Any] = {"timeout": 5, "retries": 2, "patience": 5.0, **kwargs}
        return GitHubForge(token=TOKEN, api_url=f"{self.url}/api/v3", server_url=self.url, **settings)

    def says(self, *answers: Said) -> GitHubForge:
        self.answers[:] = answers
        return self.forge()


@contextmanager
def serving() -> Iterator[Moody]:
    answers: list[Said] = []
    asked: list[tuple[str, str, dict[str, str]]] = []
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with lock:
                asked.append((self.command, self.path, dict(self.headers)))
                said = mood.by_path.get(self.path.partition("?")[0].removeprefix("/api/v3"))
                if said is None:
                    said = answers[0] if len(answers) == 1 else answers.pop(0)
            if said.hang is not None:
                said.hang.wait(30)
            body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            if said.status == 304:
                body = b""
            if said.cut:
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{")
                self.close_connection = True
                return
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815

        def log_message(self, *_args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_args: object) -> None:  # clients hang up here on purpose
            pass

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    mood = Moody(f"http://127.0.0.1:{server.server_address[1]}", answers, asked)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield mood
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
