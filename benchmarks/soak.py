"""Many short runs, some of them killed at random: at the end the machine is as it was at the start.

    python benchmarks/soak.py [--runs 200] [--kill 0.4] [--seed N]

Each run is a process of its own with a sandbox, a gateway's door and the locks that go with them. What is counted
before and after: containers, volumes, networks, temporary files, sockets, processes. Exit code 0 when nothing is left.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from runner.gateway import Gateway
from runner.gateway.server import clear_doors
from runner.ports import Budget, Upstream
from sandbox.api import LABEL_RUN, Limits, Spec
from sandbox.docker import DockerSandboxes
from sandbox.lock import one_at_a_time, scratch

LIMITS = Limits(memory_mb=256, workspace_mb=32, tmp_mb=16, pids=64)
JOB = "for i in 1 2 3; do (setsid sleep 600 >/dev/null 2>&1 &); echo $i > f$i; done; head -c 100000 /dev/urandom > big"


def one(owner: str, home: Path, number: int) -> None:
    """One short run, as far as it comes."""
    from runner.agents.replay import Replay  # noqa: PLC0415 - only the children need it
    from runner.agents.replay_openai import ResponsesVoice  # noqa: PLC0415
    from runner.agents.script import Turn  # noqa: PLC0415

    upstream: Upstream = Replay(ResponsesVoice(), (Turn(say="hello"),))
    sandboxes = DockerSandboxes(owner=owner)
    gateway = Gateway(home / "gateway")
    lock = f"soak-{owner}-{number}"
    with (
        one_at_a_time(lock, progress=lambda _: None),
        scratch(lock) as folder,
        gateway.open(
            dialect="openai",
            upstream=upstream,
            model="m",
            budget=Budget(requests=1, tokens=1, wall_seconds=60),
            record=None,
        ) as door,
        sandboxes.open(
            Spec(
                image=sandboxes.base(progress=print),
                labels={LABEL_RUN: f"soak-{number}"},
                limits=LIMITS,
                door=door.socket,
            )
        ) as box,
    ):
        (folder / "file").write_bytes(bytes(1 << 20))
        box.exec(["/bin/sh", "-c", JOB], timeout=30)
        sum(len(chunk) for chunk in box.get_changes({}).tar)
    gateway.close()


def machine(sandboxes: DockerSandboxes, owner: str, home: Path) -> dict[str, set[str]]:
    """What is there now; other people's containers come and go, so only what could be ours is looked at."""
    api = sandboxes.client.api
    mine = {"label": f"automend.owner={owner}"}
    uid = os.geteuid()
    return {
        "containers": {c["Id"] for c in api.containers(all=True, filters=mine)},
        "volumes": {v["Name"] for v in api.volumes(filters=mine)["Volumes"] or []},
        "networks": {n["Name"] for n in api.networks() if n["Name"].startswith("automend")},
        "temporary files": {p.name for p in Path(tempfile.gettempdir()).glob(f"automend-{uid}-soak-{owner}*")},
        "sockets": {p.name for p in home.rglob("*") if p.is_socket() or p.name.startswith("gateway-")},
        "processes": {str(p.pid) for p in psutil.Process().children(recursive=True)},
    }


def main() -> None:
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--runs", type=int, default=200)
    words.add_argument("--kill", type=float, default=0.4, help="How many of them are killed.")
    words.add_argument("--seed", type=int, default=int(time.time()))
    words.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = words.parse_args()
    if given.one:
        one(given.one[0], Path(given.one[1]), int(given.one[2]))
        return
    chance = random.Random(given.seed)
    owner = f"soak-{secrets.token_hex(4)}"
    sandboxes = DockerSandboxes(owner=owner)
    sandboxes.base(progress=print)
    ended = {"done": 0, "killed": 0, "failed": 0}
    with tempfile.TemporaryDirectory(prefix="automend-soak-") as folder:
        home = Path(folder)
        before = machine(sandboxes, owner, home)
        for number in range(given.runs):
            argv = [sys.executable, __file__, "--one", owner, folder, str(number)]
            child = subprocess.Popen(argv, start_new_session=True)
            try:
                child.wait(timeout=chance.uniform(0.3, 3.0) if chance.random() < given.kill else 120)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
            code = child.wait()
            ended["done" if code == 0 else "killed" if code == -signal.SIGKILL else "failed"] += 1
        left = machine(sandboxes, owner, home)
        swept = [*sandboxes.reap(), *sandboxes.sweep(), *clear_doors(home / "gateway")]
        after = machine(sandboxes, owner, home)
    sandboxes.disconnect()
    print(f"seed {given.seed}: {given.runs} runs, {ended}")
    print(f"left by the killed: { {what: len(found) for what, found in left.items()} }, {len(swept)} things swept")
    more = {what: sorted(found - before[what]) for what, found in after.items() if found - before[what]}
    print(f"left in the end: {more or 'nothing'}")
    sys.exit(1 if more or ended["failed"] else 0)


if __name__ == "__main__":
    main()
