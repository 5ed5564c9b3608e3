"""How quick the sandbox is, as ratios against a floor that is measured beside it, in one run.

    python benchmarks/sandbox.py [--rounds 7] [--json] [--only NAME] [--peer PYTHON]...

Machines differ and drift; a ratio of two things that took turns does not. Every line is a median.

    start            container up, 1,500 files in, first command answered    against  docker run --rm IMAGE true
    tree out         a small change of 5,000 files and an agent's own .git  against  the whole workspace as a tar
    commands         five commands, with the container's start and end      against  docker run + 5 docker exec
    mini-swe-agent   the same five commands                                 against  its DockerEnvironment
    swe-rex          the same five commands                                 against  its DockerDeployment

PYTHON is one of an environment of its own where mini-swe-agent or swe-rex is installed: nothing of them is a dependency
of ours. SWE-ReX talks to a server in the container, which it would install at each start: so it gets an image of ours
in which the same version is there already, made before the clock runs.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import io
import json
import secrets
import statistics
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

# Python looks for modules beside the script first, and there `sandbox` is this very file: for us, and for the other
# benchmarks, which get the package all the same.
if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
    del sys.path[0]
if __name__ == "sandbox":
    del sys.modules[__name__]
    importlib.import_module(__name__)

from sandbox.api import Limits, Sandbox, Spec
from sandbox.build import build_container
from sandbox.cleanup import image_labels
from sandbox.docker import DockerSandboxes

LIMITS = Limits(memory_mb=1024, workspace_mb=256, tmp_mb=64)
GOALS = {"start": 1.3, "tree out": 0.5, "commands": 1.0}
AHEAD = 1.0
"""What is below it is quicker than a peer."""
COMMANDS = (
    "ls -la",
    "cat f0000/m0001.py",
    "grep -rn answer . | head",
    "echo x >> f0000/m0001.py",
    "python3 -c 'print(1)'",
)

GIT = "git init -q . && git add -A && git -c user.name=a -c user.email=a@localhost commit -q -m base"
# Each is timed from its first call to its last, after its own imports. A peer's commands run in /tmp, where the files
# of the first ones are not; so do ours, then, in an empty workspace.
MINI = """
import sys, time
from minisweagent.environments.docker import DockerEnvironment
image, *commands = sys.argv[1:]
start = time.perf_counter()
there = DockerEnvironment(image=image, cwd="/tmp")
for command in commands:
    there.execute({"command": command})
there.cleanup()
print(time.perf_counter() - start)
"""
REX = """
import asyncio, sys, time
from swerex.deployment.docker import DockerDeployment
from swerex.runtime.abstract import Command
image, *commands = sys.argv[1:]
async def work():
    there = DockerDeployment(image=image, pull="never")
    await there.start()
    for command in commands:
        await there.runtime.execute(Command(command=["bash", "-lc", command], cwd="/tmp", timeout=30))
    await there.stop()
start = time.perf_counter()
asyncio.run(work())
print(time.perf_counter() - start)
"""
PEERS = {"mini-swe-agent": MINI, "swe-rex": REX}
VERSION = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
REX_SERVER = """set -e
python3 -m venv /opt/swe-rex
/opt/swe-rex/bin/pip install --quiet 'swe-rex=={version}'
ln -s /opt/swe-rex/bin/swerex-remote /usr/local/bin/swerex-remote
"""

Files = dict[bytes, bytes]


def files(count: int) -> Files:
    """A repository of so many source files, of 1 to 8 KB."""
    made = {}
    for n in range(count):
        body = hashlib.sha256(str(n).encode()).hexdigest().encode() + b"\n"
        made[b"f%04d/m%04d.py" % (n // 50, n)] = b"answer = 42\n" + body * (15 + n % 110)
    return made


def packed(tree: Files) -> bytes:
    """The files as a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in tree.items():
            entry = tarfile.TarInfo(name.decode())
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def docker(*words: str) -> str:
    """The docker program, as a person would use it."""
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Peer:
    """Somebody else's sandbox, in the environment of `python`."""

    name: str
    version: str
    python: str

    @classmethod
    def of(cls, python: str) -> Peer:
        """The one that is installed there."""
        for name in PEERS:
            said = subprocess.run([python, "-c", VERSION, name], check=False, capture_output=True, text=True)
            if said.returncode == 0:
                return cls(name=name, version=said.stdout.strip(), python=python)
        sys.exit(f"{python} has none of {', '.join(PEERS)}")

    @contextmanager
    def image(self, base: str, sandboxes: DockerSandboxes) -> Iterator[str]:
        """The image that it can work with at once."""
        if self.name != "swe-rex":
            yield base
            return
        api = sandboxes.client.api
        with build_container(api, base, owner=f"bench-{secrets.token_hex(4)}", labels={}) as builder:
            builder.run(REX_SERVER.format(version=self.version), timeout=300, progress=lambda _: None, cwd="/")
            made = builder.commit("automend-bench-swe-rex", secrets.token_hex(4), labels=image_labels("benchmark"))
        try:
            yield made
        finally:
            api.remove_image(made, force=True)

    def seconds(self, image: str) -> float:
        """The five commands, with the container's start and end."""
        argv = [self.python, "-c", PEERS[self.name], image, *COMMANDS]
        done = subprocess.run(argv, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{self.name} {self.version} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return float(done.stdout.split()[-1])  # both greet at first


class Bench:
    def __init__(self, sandboxes: DockerSandboxes, image: str) -> None:
        self.sandboxes = sandboxes
        self.image = image
        self.small = packed(files(1500))

    @contextmanager
    def box(self) -> Iterator[Sandbox]:
        with self.sandboxes.open(Spec(image=self.image, limits=LIMITS)) as box:
            yield box

    def start(self, rounds: int) -> tuple[list[float], list[float]]:
        ours, floor = [], []
        for _ in range(rounds):
            floor.append(timed(lambda: docker("run", "--rm", "--network", "none", self.image, "true")))
            begun = time.perf_counter()
            with self.box() as box:
                box.put_tree([self.small])
                box.exec(["true"], timeout=60)
                ours.append(time.perf_counter() - begun)
        return ours, floor

    def tree_out(self, rounds: int) -> tuple[list[float], list[float]]:
        tree = files(5000)
        known = {
            name: ("100644", hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest())
            for name, content in tree.items()
        }
        ours, floor = [], []
        with self.box() as box:
            box.put_tree([packed(tree)])
            made = box.exec(["sh", "-c", GIT], timeout=120)  # as every agent finds it
            assert made.exit_code == 0, made.stderr
            for n in range(rounds):
                box.exec(["sh", "-c", f"echo {n} > f0003/m0160.py; echo {n} > new{n}.py"], timeout=60)
                floor.append(timed(lambda: sum(len(chunk) for chunk in box.get_tree())))
                begun = time.perf_counter()
                changes = box.get_changes(known)
                sent = sum(len(chunk) for chunk in changes.tar)
                ours.append(time.perf_counter() - begun)
                assert known.keys() - changes.unchanged == {b"f0003/m0160.py"}
                assert 0 < sent < 100_000
        return ours, floor

    def peer(self, peer: Peer, rounds: int) -> tuple[list[float], list[float]]:
        def sealed() -> None:
            with self.box() as box:
                for command in COMMANDS:
                    box.exec(["bash", "-lc", command], timeout=30)

        ours, floor = [], []
        with peer.image(self.image, self.sandboxes) as image:
            for _ in range(rounds):
                floor.append(peer.seconds(image))
                ours.append(timed(sealed))
        return ours, floor

    def commands(self, rounds: int) -> tuple[list[float], list[float]]:
        tree = packed(files(50))

        def sealed() -> None:
            with self.box() as box:
                box.put_tree([tree])
                for command in COMMANDS:
                    assert box.exec(["sh", "-c", command], timeout=60).exit_code == 0

        def plain() -> None:
            name = f"automend-bench-{secrets.token_hex(4)}"
            docker(
                "run", "-d", "--init", "--network=none", f"--name={name}", "-w/workspace", self.image, "sleep", "600"
            )
            try:
                subprocess.run(["docker", "cp", "-", f"{name}:/workspace"], input=tree, check=True, capture_output=True)
                for command in COMMANDS:
                    docker("exec", name, "sh", "-c", command)
            finally:
                docker("rm", "-f", name)

        ours, floor = [], []
        for _ in range(rounds):
            floor.append(timed(plain))
            ours.append(timed(sealed))
        return ours, floor


def main() -> None:
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--rounds", type=int, default=7)
    words.add_argument("--json", action="store_true")
    words.add_argument("--only", metavar="NAME", help="One of the measures: start, tree out, commands, a peer's name.")
    words.add_argument(
        "--peer", metavar="PYTHON", action="append", default=[], help=f"Python with one of {', '.join(PEERS)}; repeat."
    )
    given = words.parse_args()
    sandboxes = DockerSandboxes(owner=f"bench-{secrets.token_hex(4)}")
    bench = Bench(sandboxes, sandboxes.base(progress=lambda line: print(line, file=sys.stderr)))
    measures = {"start": bench.start, "tree out": bench.tree_out, "commands": bench.commands}
    peers = [Peer.of(python) for python in given.peer]
    measures |= {peer.name: partial(bench.peer, peer) for peer in peers}
    versions = {peer.name: peer.version for peer in peers}
    answers: dict[str, dict[str, float | str]] = {}
    try:
        for name in [given.only] if given.only else list(measures):
            ours, floor = (statistics.median(found) for found in measures[name](given.rounds))
            ratio, goal = ours / floor, GOALS.get(name, AHEAD)
            answers[name] = {"seconds": ours, "floor": floor, "ratio": ratio, "goal": goal}
            if name in versions:
                answers[name]["version"] = versions[name]
            if not given.json:
                held = "ok" if ratio <= goal else "over"
                called = " ".join(filter(None, [name, versions.get(name)]))
                print(f"{called:21} {ours:.3f} s / {floor:.3f} s = {ratio:.2f} (≤ {goal}) {held}", flush=True)
    finally:
        sandboxes.reap()
        sandboxes.disconnect()
    if given.json:
        print(json.dumps(answers, indent=2))


if __name__ == "__main__":
    main()
