"""What the gateway adds to each event of a stream, against a direct connection to the same provider, in one run.

    python benchmarks/gateway.py [--events 200] [--every 0.01] [--streams 1] [--rounds 5] [--json]

A provider in a process of its own sends server-sent events at a steady pace, each with the moment at which it was
written (the clock that all processes of a machine share). A client reads them once directly over TCP and once through
a door's unix socket, in turns, so that both meet the same machine. What is compared is the time from writing to
reading; the difference of the medians is what the gateway adds. The goal is less than 5 ms for each event.

The whole of a real door is in the way: the allow-list, stripping, metering, budgets in a database, and the record.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import httpx

from runner.budget import Allowance, Price
from runner.gateway import Gateway
from runner.ports import Budget
from runner.spending import Account
from runner.store import open_store

GOAL_MS = 5.0
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
_WORDS = "words of a model, as many as come at once "


def provide(port: Connection, events: int, every: float) -> None:
    """Serve until killed: a stream for every request, whatever it says."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line)
        await reader.readexactly(length)
        writer.write(_HEAD)
        due = time.monotonic()
        for number in range(events):
            due += every
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            value = {"type": "response.output_text.delta", "n": number, "delta": _WORDS, "at": time.monotonic()}
            _chunk(writer, value)
            await writer.drain()
        usage = {"input_tokens": 1000, "output_tokens": events}
        _chunk(writer, {"type": "response.completed", "response": {"usage": usage}, "at": time.monotonic()})
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


def _chunk(writer: asyncio.StreamWriter, value: dict[str, object]) -> None:
    data = f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


async def read(client: httpx.AsyncClient, streams: int) -> tuple[list[float], list[float]]:
    """Milliseconds from writing to reading of every event of so many streams at once, and to each first event."""

    async def one() -> tuple[list[float], float]:
        late: list[float] = []
        asked = time.monotonic()
        first = 0.0
        body = {"model": "m", "stream": True, "input": "x" * 50_000}
        async with client.stream("POST", "/v1/responses", json=body) as response:
            rest = b""
            async for piece in response.aiter_raw():
                now = time.monotonic()
                first = first or now - asked
                *parts, rest = (rest + piece).split(b"\n\n")
                late += [(now - json.loads(part.split(b"data: ", 1)[1])["at"]) * 1000 for part in parts]
        return late, first * 1000

    heard = await asyncio.gather(*(one() for _ in range(streams)))
    return [value for late, _ in heard for value in late], [first for _, first in heard]


@dataclass(frozen=True)
class Side:
    """One way to the provider."""

    events: list[float]
    firsts: list[float]

    def told(self) -> dict[str, float]:
        """In milliseconds."""
        hundredths = statistics.quantiles(self.events, n=100)
        return {
            "median": round(statistics.median(self.events), 3),
            "p95": round(hundredths[94], 3),
            "p99": round(hundredths[98], 3),
            "first": round(statistics.median(self.firsts), 3),
        }


def measure(url: str, *, streams: int, rounds: int, home: Path) -> tuple[Side, Side]:
    """Both ways, in turns; one more round before, which does not count."""
    direct, through = Side([], []), Side([], [])
    gateway = Gateway(home / "gateway")
    spending = open_store(f"sqlite:///{home / 'a.sqlite'}").spending
    limits = Allowance(requests=10**6, usd=10.0**6)
    account = Account(spending, "bench", "bench", 1, {"run": limits, "repo": limits, "day": limits})

    async def rounds_of_both(socket: str) -> None:
        for number in range(rounds + 1):
            for side, transport in (
                (direct, httpx.AsyncHTTPTransport()),
                (through, httpx.AsyncHTTPTransport(uds=socket)),
            ):
                async with httpx.AsyncClient(base_url=url, transport=transport, timeout=60) as client:
                    events, firsts = await read(client, streams)
                if number:
                    side.events.extend(events)
                    side.firsts.extend(firsts)

    try:
        with gateway.open(
            dialect="openai",
            upstream=gateway.provider("openai", base_url=url, key="none"),
            model="m",
            budget=Budget(requests=10**6, tokens=10**12, account=account),
            record=home / "record.jsonl",
            price=Price(1, 1, 1, 1),
        ) as door:
            asyncio.run(rounds_of_both(str(door.socket)))
    finally:
        gateway.close()
    return direct, through


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=200, help="events in a stream")
    parser.add_argument("--every", type=float, default=0.01, help="seconds between two of them")
    parser.add_argument("--streams", type=int, default=1, help="streams at the same time (a door passes four)")
    parser.add_argument("--rounds", type=int, default=5, help="how often both ways are measured")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    args = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    provider = multiprocessing.get_context("spawn").Process(
        target=provide, args=(theirs, args.events, args.every), daemon=True
    )
    provider.start()
    try:
        with tempfile.TemporaryDirectory() as home:
            url = f"http://127.0.0.1:{ours.recv()}"
            direct, through = measure(url, streams=args.streams, rounds=args.rounds, home=Path(home))
    finally:
        provider.terminate()
        provider.join()
    sides = {"direct": direct.told(), "through": through.told()}
    added = {key: round(sides["through"][key] - sides["direct"][key], 3) for key in sides["direct"]}
    ok = added["median"] < GOAL_MS
    if args.json:
        print(json.dumps({"unit": "ms", **sides, "added": added, "goal_ms": GOAL_MS, "ok": ok}))
    else:
        print(f"{'ms from writing to reading':<28}{'median':>9}{'p95':>9}{'p99':>9}{'first event':>13}")
        for name, row in {**sides, "added": added}.items():
            print(f"{name:<28}{row['median']:>9.2f}{row['p95']:>9.2f}{row['p99']:>9.2f}{row['first']:>13.2f}")
        print(f"goal: less than {GOAL_MS:g} ms added to each event: {'held' if ok else 'NOT held'}")
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
