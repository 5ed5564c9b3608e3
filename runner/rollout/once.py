"""Runs a host command exactly once per directory, also when this process is killed in the middle.

The command belongs to a small supervisor (`supervise.py`) in a session of its own. This side only asks, waits
and reads the record. Asked again for the same directory it waits for what is going on, or returns what was.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.errors import DeployError
from runner.rollout import supervise


@dataclass(frozen=True)
class OnceResult:
    """How the command ended. `exit_code` is None when it ran out of time, negative when a signal ended it."""

    exit_code: int | None
    timed_out: bool
    output: str
    """Standard output and error together; beginning and end where it was long."""
    seconds: float
    started_before: bool
    """This call found it started (by an earlier or another caller) and did not start it."""
    output_left_open: bool = False
    """A process that the command left behind still has the command's output open, which nobody reads any more."""


def recorded(directory: Path) -> OnceResult | None:
    """How the command of `directory` ended, or None where it did not end (or never began).

    Raises:
        DeployError: the record cannot be read.
    """
    path = directory / "record.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return OnceResult(
            exit_code=value["exit_code"],
            timed_out=value["timed_out"],
            output=value["output"],
            seconds=value["seconds"],
            output_left_open=value["output_left_open"],
            started_before=True,
        )
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as e:
        raise DeployError(
            f"the record of a command cannot be read ({path}): {e}",
            remedy="look whether the command did its work, then remove the directory to let it run again",
        ) from e


def run_once(directory: Path, command: str, env: Mapping[str, str], cwd: Path, timeout: float) -> OnceResult:
    """Run `/bin/sh -c command` in `cwd` with exactly `env`, once for this directory; `timeout` in seconds.

    It runs in a process group of its own, and is killed with that group when its time is up. Processes that it
    puts into sessions of their own (`setsid`) live on. What happened is kept in `directory`; after a crash of
    the machine in the middle there is no record, and the next call runs the command again.

    Raises:
        DeployError: the command could not be started, or its supervisor was killed. Nothing is recorded, so a
            later call tries again.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    if (earlier := recorded(directory)) is not None:
        return earlier
    request = {"command": command, "env": dict(env), "cwd": str(cwd), "timeout": timeout}
    supervise.write_atomically(directory / "request.json", json.dumps(request))
    log = directory / "supervisor.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-I", supervise.__file__, str(directory)],
            cwd="/",
            env={"LC_ALL": "C.UTF-8"},  # nothing of ours: what a process was started with can be read in /proc
            stdin=subprocess.DEVNULL,
            stdout=errors,
            stderr=errors,
            start_new_session=True,
        )
    code = process.wait()
    result = recorded(directory)
    if result is None:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        why = said[-1] if code > 0 and said else f"its supervisor ended with {code} and left no record"
        raise DeployError(
            f"`{command}` in {cwd}: {why}", remedy=f"mend the command or its directory; the traces are in {directory}"
        )
    return OnceResult(
        exit_code=result.exit_code,
        timed_out=result.timed_out,
        output=result.output,
        seconds=result.seconds,
        output_left_open=result.output_left_open,
        started_before=code != supervise.RAN,
    )
