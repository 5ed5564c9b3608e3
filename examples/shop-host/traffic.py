"""Customers of the shop on this machine: some requests a second, in small bursts as browsers make them.

`python3 traffic.py --port 8000 --seconds 10` asks 127.0.0.1 and nobody else, never for longer than an hour, and
prints how it was answered as JSON. SIGTERM ends it early. It needs nothing but Python.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

HOST = "127.0.0.1"
MOST_SECONDS = 3600.0
MOST_BURSTS = 50.0
PAGE = (  # what one visit asks for, all at once
    ("GET", "/products", None),
    ("GET", "/products/mug", None),
    ("GET", "/products/lamp", None),
    ("GET", "/products/rug", None),
    ("GET", "/products/card", None),
    ("POST", "/quote", {"items": [{"sku": "mug", "quantity": 2}], "code": "WELCOME10"}),
    ("POST", "/quote", {"items": [{"sku": "rug"}, {"sku": "card", "quantity": 3}]}),
    ("POST", "/quote", {"items": [{"sku": "lamp", "quantity": 1}], "code": "SUMMER25"}),
)
TYPED = ("POST", "/quote", {"items": [{"sku": "mug", "quantity": 2}], "code": "welcome10"})
"""What a customer sends who types the code in lower case."""


def ask(port: int, method: str, path: str, body: object) -> str:
    """The status of the answer, or what went wrong."""
    connection = http.client.HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body))
        answer = connection.getresponse()
        answer.read()
        return str(answer.status)
    except ConnectionRefusedError:
        return "refused"
    except (OSError, http.client.HTTPException) as e:
        return type(e).__name__
    finally:
        connection.close()


def visit(port: int, seconds: float, rate: float, typed: bool, stop: threading.Event) -> Counter[str]:
    """Visit the shop `rate` times a second; how often which answer came."""
    page = (*PAGE, TYPED) if typed else PAGE
    answers: Counter[str] = Counter()
    end = time.monotonic() + seconds
    with ThreadPoolExecutor(len(page)) as customers:
        while not stop.is_set() and (begin := time.monotonic()) < end:
            answers.update(customers.map(lambda request: ask(port, *request), page))
            stop.wait(max(0.0, min(begin + 1 / rate, end) - time.monotonic()))
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rate", type=float, default=4.0, help="visits a second, each of eight requests")
    parser.add_argument("--typed", action="store_true", help="one customer types the discount code in lower case")
    args = parser.parse_args()
    if not (0 < args.seconds <= MOST_SECONDS and 0 < args.rate <= MOST_BURSTS and 0 < args.port < 65536):
        parser.error(f"at most {MOST_SECONDS:g} seconds and {MOST_BURSTS:g} visits a second, on a real port")
    stop = threading.Event()
    for sign in (signal.SIGTERM, signal.SIGINT):
        signal.signal(sign, lambda *_: stop.set())
    json.dump(visit(args.port, args.seconds, args.rate, args.typed, stop), sys.stdout)
    print()


if __name__ == "__main__":
    main()
