"""`automend serve`, but it dies: SIGKILL at every step boundary, and in the middle of what touches the outside.

It dies once at each place, and writes the place down first; started again and again, it gets a little further each
time. Nothing of this is in the product: the places are found by wrapping its functions from here.

Each line on stdin begins a life, whose process id is told on stdout, and then its exit code. A life is a fork of a
process that has imported everything and done nothing else: imports are most of what a start takes, and there are some
fifty.
"""

import contextlib
import functools
import os
import signal
import sys
import threading
import time
from pathlib import Path

from runner import checkpoint
from runner.cli import main
from runner.git.mirror import Mirror
from runner.github.forge import GitHubForge
from runner.rollout.command import CommandDeployer
from sandbox.docker import DockerSandboxes

DEATHS = Path(os.environ["DEATHS"])
ONLY = tuple(filter(None, os.environ.get("DIE_ONLY_AT", "").split(",")))


def die(place):
    """Die here, if we never did."""
    if ONLY and not place.startswith(ONLY):
        return
    seen = DEATHS.read_text().splitlines() if DEATHS.exists() else []
    if place in seen:
        return
    with DEATHS.open("a") as file:
        file.write(place + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.kill(os.getpid(), signal.SIGKILL)


def die_soon(place, seconds):
    def later():
        time.sleep(seconds)
        die(place)

    thread = threading.Thread(target=later, daemon=True)
    thread.start()
    return thread


checkpointed = checkpoint._checkpointed


async def doomed_step(body, run, args, kwargs):
    place = ".".join([body.__module__.rpartition(".")[2], body.__name__, *[str(a) for a in args if isinstance(a, int)]])

    @functools.wraps(body)
    def wrapped(*a, **k):
        value = body(*a, **k)
        die(f"{place}:done, not written")
        return value

    value = await checkpointed(wrapped, run, args, kwargs)
    die(f"{place}:written")
    return value


def around(owner, name, place, *, seconds=None):
    """Die in the middle of a method: right after its effect, or `seconds` after it began."""
    method = getattr(owner, name)

    @functools.wraps(method)
    def wrapped(*args, **kwargs):
        if seconds is None:
            value = method(*args, **kwargs)
            die(f"{place}:effect")
            return value
        death = die_soon(f"{place}:while", seconds)
        value = method(*args, **kwargs)
        death.join()  # a machine that is busy may wake it late
        return value

    setattr(owner, name, wrapped)


opened = DockerSandboxes.open


@contextlib.contextmanager
def doomed_open(self, spec):
    with opened(self, spec) as box:
        die("container with a door" if spec.door is not None else "container without a door")
        yield box


checkpoint._checkpointed = doomed_step
DockerSandboxes.open = doomed_open
around(Mirror, "push", "push")
around(GitHubForge, "open_pull", "open_pull")
around(GitHubForge, "merge", "merge")
around(GitHubForge, "revert_pull", "revert_pull")
around(GitHubForge, "begin_deployment", "begin_deployment")
around(CommandDeployer, "deploy", "deploy", seconds=0.3)
around(CommandDeployer, "rollback", "rollback", seconds=0.3)

sys.argv = ["automend", "serve"]
for _ in sys.stdin:
    life = os.fork()
    if not life:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        main()
    print(life, flush=True)  # noqa: T201 - to the test
    print(os.waitstatus_to_exitcode(os.waitpid(life, 0)[1]), flush=True)  # noqa: T201 - to the test
