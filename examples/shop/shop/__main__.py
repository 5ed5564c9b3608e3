"""Starts the service: `python3 -m shop`. It is told by the environment:

PORT (8000), LOG (a file; without it the log goes to standard error), STOCK (the database, ./stock.sqlite),
RELEASE (told by /health), THREADS (how many requests are answered at the same time, 8).
"""

import logging
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from socket import socket
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from shop.stock import Stock
from shop.web import Shop


class Handler(WSGIRequestHandler):
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        """The application logs its requests itself."""


class Server(WSGIServer):
    """Answers each request in a thread of a small pool."""

    request_queue_size = 128

    def __init__(self, port: int, threads: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._threads = ThreadPoolExecutor(threads)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._threads.submit(self._process, request, client_address)

    def _process(self, request: socket, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # the customer went away
        except Exception:
            logging.getLogger("shop").exception("a request failed")
        finally:
            self.shutdown_request(request)


def main() -> None:
    logging.basicConfig(
        filename=os.environ.get("LOG"),
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    server = Server(int(os.environ.get("PORT", "8000")), int(os.environ.get("THREADS", "8")))
    server.set_app(Shop(Stock(Path(os.environ.get("STOCK", "stock.sqlite"))), os.environ.get("RELEASE", "unknown")))
    logging.getLogger("shop").info("open on port %d", server.server_port)
    server.serve_forever()


if __name__ == "__main__":
    main()
