"""A command-line agent at work in a sandbox: started behind the forwarder, read line by line, judged at its end."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from runner.budget import Price
from runner.model import Attempt, Finding, Outcome, Verdict
from runner.ports import Budget, Dialect, Door, Gateway, Upstream
from runner.tripwire import REMEDY, RULE, Tripwire
from sandbox.api import DOOR, TOOLS, ExecResult, Sandbox

log = logging.getLogger(__name__)

PORT = 8080
ADDRESS = f"http://127.0.0.1:{PORT}"
"""Where the CLI finds its provider, in the container."""

# The system's own Python: the environment may have another one first on its PATH.
_FORWARDER = ("/usr/bin/python3", "-I", f"{TOOLS}/bin/automend-forward", DOOR, str(PORT))

LARGEST_TRANSCRIPT = 16 * 1024 * 1024
_LONGEST_LINE = 8 * 1024 * 1024
_LONGEST_MESSAGE = 20_000
_LONGEST_DETAIL = 600


class Reading(Protocol):
    """What an agent's event stream tells, event by event."""

    message: str
    """The last words so far."""
    tool_calls: int
    error: str | None
    """Why the CLI says that it failed."""

    def take(self, event: dict[str, Any]) -> None:
        """Take an event into account; unknown ones are passed over."""
        ...


class Cli(Protocol):
    """One command-line program."""

    dialect: Dialect

    def command(self, model: str) -> list[str]:
        """The command; it reads the prompt from its standard input."""
        ...

    def environment(self) -> dict[str, str]:
        """Environment variables. They reach the agent's own shell: never a secret."""
        ...

    def reading(self) -> Reading:
        """A fresh reader of its event stream."""
        ...


@dataclass
class CliAgent:
    """`runner.ports.Agent` around a CLI.

    Args:
        name: as the host's configuration calls it.
        model: pinned by the gateway.
        cli: the program.
        gateway: makes the doors.
        upstream: makes who answers, for attempt `number` of a run; may raise ProviderError.
        records: where the exchanges of an attempt are kept.
        price: what the model costs, where that is known.
        tripwire: knows what must not stay in a transcript.
    """

    name: str
    model: str
    cli: Cli
    gateway: Gateway
    upstream: Callable[[int], Upstream]
    records: Callable[[str, int], Path]
    price: Price | None = None
    tripwire: Tripwire = field(default_factory=Tripwire)

    def open_door(self, run: str, number: int, budget: Budget) -> AbstractContextManager[Door]:
        """The gateway for attempt `number` of `run`; shut when the context ends.

        Raises:
            ProviderError: no key, nothing is configured to answer, or the provider is down.
        """
        return self.gateway.open(
            dialect=self.cli.dialect,
            upstream=self.upstream(number),
            model=self.model,
            budget=budget,
            record=self.records(run, number),
            price=self.price,
        )

    def work(
        self,
        box: Sandbox,
        door: Door,
        *,
        number: int,
        prompt: str,
        seconds: float,
        transcript: Path,
        env: Mapping[str, str],
    ) -> Attempt:
        """Let the agent work on the workspace, with some variables more. How it went is in the answer, never raised.

        Raises:
            SandboxError: the machine failed.
        """
        reading = self.cli.reading()
        with Transcript(transcript, reading) as lines:
            result = box.exec(
                [*_FORWARDER, "--", *self.cli.command(self.model)],
                timeout=seconds,
                env={**env, **self.cli.environment()},
                stdin=prompt.encode("utf-8", "replace"),
                output_limit=LARGEST_TRANSCRIPT,
                on_stdout=lines.feed,
            )
            lines.keep_errors(result.stderr)
        outcome, detail = judge(result, door.closed_because(), reading, seconds)
        message = reading.message
        findings: tuple[Finding, ...] = ()
        if outcome is Outcome.LEAKED:
            # What carried the secret into the request is in the transcript, too.
            clean(transcript, self.tripwire)
            message, findings = "", (_leak(door),)
        return Attempt(
            number=number,
            agent=self.name,
            model=self.model,
            outcome=outcome,
            detail=storable(detail)[:_LONGEST_DETAIL],
            exit_code=result.exit_code,
            message=storable(message)[:_LONGEST_MESSAGE],
            tool_calls=reading.tool_calls,
            usage=door.usage(),
            seconds=round(result.seconds, 3),
            transcript=str(transcript),
            findings=findings,
        )


def judge(result: ExecResult, closed: tuple[str, str] | None, reading: Reading, seconds: float) -> tuple[Outcome, str]:
    """How an attempt ended, and why in words.

    A secret in a request counts before all else; then what we did ourselves (killed it, shut the door), then the exit
    code; the CLI's own word about success counts last, as a killed claude still reports success.
    """
    if closed is not None and closed[0] == "leak":
        return Outcome.LEAKED, f"{closed[1]}: nothing that it wrote is used"
    if result.timed_out:
        return Outcome.TIMEOUT, f"killed after {seconds:.0f} s"
    if result.truncated:
        return Outcome.OUTPUT_FLOOD, f"killed after {LARGEST_TRANSCRIPT} bytes of output"
    if closed is not None:
        kind, why = closed
        return (Outcome.BUDGET if kind == "budget" else Outcome.PROVIDER_DOWN), why
    if result.oom:
        return Outcome.CRASHED, "the container ran out of memory"
    if result.exit_code == 0 and reading.error is None:
        return Outcome.DONE, ""
    said = reading.error or _last_line(result.stderr) or "no reason given"
    return Outcome.CRASHED, f"exit code {result.exit_code}: {said}"


def storable(text: str) -> str:
    """A text out of JSON, in which there may be what neither UTF-8 nor every database takes: half characters, NUL."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "\N{REPLACEMENT CHARACTER}")


def clean(transcript: Path, tripwire: Tripwire) -> None:
    """Take secrets out of a transcript and of what stands beside it."""
    for path in (transcript, errors_beside(transcript)):
        if path.exists():
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            path.write_bytes(tripwire.hide(text).encode("utf-8", "surrogateescape"))


def errors_beside(transcript: Path) -> Path:
    """Where the standard error of a transcript's program is kept."""
    return transcript.with_name(f"{transcript.name}.stderr")


def _leak(door: Door) -> Finding:
    _, why = door.closed_because() or ("", "")
    return Finding(rule=RULE, verdict=Verdict.FAILED, message=why, remedy=REMEDY)


def _last_line(output: bytes) -> str:
    lines = output.decode("utf-8", "replace").strip().split("\n")
    return lines[-1].strip()


class Transcript:
    """Keeps what the CLI prints, as it comes and up to a cap, and hands each JSON line to the reader."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self._path = path
        self._reading = reading
        self._left = LARGEST_TRANSCRIPT
        self._rest = b""

    def __enter__(self) -> Self:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("wb")
        return self

    def __exit__(self, *_: object) -> None:
        self._line(self._rest)
        self._rest = b""
        self._file.close()

    def feed(self, chunk: bytes) -> None:
        """The next piece of standard output."""
        self._file.write(chunk[: self._left])
        self._file.flush()
        self._left = max(0, self._left - len(chunk))
        *lines, rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._line(line)
        self._rest = rest if len(rest) <= _LONGEST_LINE else b""

    def keep_errors(self, stderr: bytes) -> None:
        """Standard error goes into a file beside the transcript."""
        if stderr:
            errors_beside(self._path).write_bytes(stderr[:LARGEST_TRANSCRIPT])

    def _line(self, line: bytes) -> None:
        if not line.lstrip().startswith(b"{"):
            return
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            return
        try:
            self._reading.take(event)
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as e:
            log.info("an event that is not like the others: %s (%r)", line[:200], e)
