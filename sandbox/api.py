"""What a sandbox is: the protocol that the runner works with, and the values that cross it.

A sandbox is one throw-away container with one workspace. Nothing in it is trusted: every answer is bytes with
a cap, every call has a deadline, and a failure of the machine (`SandboxError`) is never mixed up with a failure
of the command (an `ExecResult` with an exit code).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

WORKSPACE = "/workspace"
"""Where the checkout is, in every container."""

DOOR = "/run/automend/gateway.sock"
"""Where the gateway's socket is, in an agent's container."""

TOOLS = "/opt/agents"
"""Where the agents' command-line programs are, read-only, in an agent's container."""

LABEL_RUN = "automend.run"
"""Docker label: the run that a container or volume belongs to."""

LABEL_OWNER = "automend.owner"
"""Docker label: the installation (one AUTOMEND_HOME) that made it; only its owner reaps it."""


class SandboxError(Exception):
    """The machine failed: the engine is not there, an image is missing, a container died.

    Args:
        message: what failed, for a person.
        remedy: what can be done about it.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class SetupError(SandboxError):
    """A command that makes an image failed: what it needs is not there, or is wrong."""


class SandboxLostError(SandboxError):
    """The container went away under the job, by no doing of the runner's: a new one may do (`sandbox.again`)."""


class EngineGoneError(SandboxLostError):
    """Nobody answers where the engine was, or the connection broke."""


class OutputTooLargeError(SandboxError):
    """Bytes that leave the sandbox went over their cap."""


@dataclass(frozen=True)
class Limits:
    """What a container may use. Sizes in MiB, time in seconds."""

    memory_mb: int = 3072
    cpus: float = 2.0
    pids: int = 512
    workspace_mb: int = 1024
    workspace_inodes: int = 200_000
    tmp_mb: int = 256
    output_mb: int = 16
    tree_mb: int = 512
    wall_seconds: float = 900.0


@dataclass(frozen=True)
class Spec:
    """What to start: an image, and for whom."""

    image: str
    labels: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    door: Path | None = None
    """Host path of the gateway's unix socket; None seals the container completely."""
    tools: str | None = None
    """Name of the volume (from `Sandboxes.tools`) to mount read-only at `TOOLS`."""


@dataclass(frozen=True)
class Changes:
    """A workspace, told by its difference from files that the asker has: `unchanged` are the paths that are as known.

    `tar` is a raw, hostile stream with all the rest of the workspace; what is known and in neither is gone. Who stops
    reading before its end closes it.
    """

    unchanged: frozenset[bytes]
    tar: Generator[bytes, None, None]


@dataclass(frozen=True)
class ExecResult:
    """How a command ended. `exit_code` is None when we killed it."""

    exit_code: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool = False
    truncated: bool = False
    """More output came than the cap; the command was killed."""
    oom: bool = False


class Sandbox(Protocol):
    """One sealed container with one workspace."""

    @property
    def id(self) -> str:
        """The engine's id of the container."""
        ...

    def exec(
        self,
        argv: Sequence[str],
        *,
        timeout: float,
        env: Mapping[str, str] | None = None,
        cwd: str = WORKSPACE,
        stdin: bytes | None = None,
        output_limit: int | None = None,
        on_stdout: Callable[[bytes], None] | None = None,
    ) -> ExecResult:
        """Run a command as the job's user, to its end, its deadline (seconds) or its output cap (bytes).

        After a deadline or a flood every process of the job is killed, detached ones too.

        Raises:
            SandboxError: the engine or the container failed.
        """
        ...

    def put_tree(self, tar: Iterable[bytes], *, to: str = WORKSPACE) -> None:
        """Unpack a tar stream that *we* made, owned by the job's user.

        Raises:
            SandboxError: the engine failed, or the tree does not fit.
        """
        ...

    def get_tree(self, path: str = WORKSPACE) -> Iterator[bytes]:
        """The workspace as a raw, hostile tar stream. Kills the job's processes and pauses the container first.

        Raises:
            OutputTooLargeError: more than `Limits.tree_mb`.
            SandboxError: the engine or the container failed.
        """
        ...

    def get_changes(self, known: Mapping[bytes, tuple[str, str]]) -> Changes:
        """The workspace like `get_tree`, without the files that are as `known`, and without its own `.git`.

        What it says is no more to be believed than a tree: it may only name contents that the asker has anyway. All of
        the job's processes are killed first, and nothing of the job looks at the files.

        Args:
            known: path → (git's octal mode, git's id of the content).

        Raises:
            OutputTooLargeError: more than `Limits.tree_mb`.
            SandboxError: the engine or the container failed.
        """
        ...

    def read(self, path: str, *, limit: int) -> bytes | None:
        """A regular file's bytes, or None where there is none. Kills the job's processes first.

        Raises:
            OutputTooLargeError: larger than `limit` bytes.
        """
        ...

    def close(self) -> None:
        """Remove the container and its volume; safe to call twice."""
        ...


@dataclass(frozen=True)
class Environment:
    """A built image in which a repository's commands run offline."""

    image: str
    digest: str
    built: bool
    """False where it was reused."""
    seconds: float = 0.0


@dataclass(frozen=True)
class EnvironmentRecipe:
    """How to set a repository up, once, with network, before any agent exists.

    `key_files` are the files (lock files, manifests) whose contents, with `setup`, decide whether an image can be
    reused; `tree` yields the base checkout as a tar stream when a build is needed. `secrets` are files (place in HOME →
    content) that package clients find while they build, and that are in no image.
    """

    setup: tuple[str, ...]
    key_files: Mapping[str, str]
    tree: Callable[[], Iterable[bytes]]
    timeout: float = 900.0
    secrets: Mapping[str, bytes] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ToolsRecipe:
    """Programs that an agent's container needs besides the environment: one read-only volume, made once per `key`.

    They are kept out of environment images, so that a new version of a CLI rebuilds no environment.
    """

    key: str
    fill: Callable[[Path, Callable[[str], None]], None]
    """Download the files into a fresh host directory, telling the progress. Its parent is scratch space."""


class Sandboxes(Protocol):
    """An engine that makes sandboxes."""

    def open(self, spec: Spec) -> AbstractContextManager[Sandbox]:
        """A started sandbox, removed on exit whatever happens.

        Raises:
            SandboxError: the engine is not there, or refused.
        """
        ...

    def environment(
        self, recipe: EnvironmentRecipe, *, labels: Mapping[str, str], progress: Callable[[str], None]
    ) -> Environment:
        """The image for a recipe, built if it is not there yet.

        Raises:
            SandboxError: the build failed; the message ends with the last lines of its output.
        """
        ...

    def tools(self, recipe: ToolsRecipe, *, progress: Callable[[str], None]) -> str:
        """The name of the volume for a recipe, filled if it is not there yet.

        Raises:
            SandboxError: the download or the engine failed.
        """
        ...

    def settle(self) -> None:
        """Remove what this object could not remove when it was due, because the engine was gone; often nothing.

        Raises:
            SandboxError: the engine is gone still.
        """
        ...

    def reap(self, *, run: str | None = None, keep: Collection[str] = (), dry_run: bool = False) -> list[str]:
        """Remove what this installation left on the engine (of one run, or of all but `keep`).

        What belongs to no run has the name "". A dry run removes nothing.

        Returns:
            The names of what was removed.

        Raises:
            SandboxError: something could not be removed, or the engine is gone.
        """
        ...

    def shut(self, run: str) -> None:
        """Make no more containers for a run, and remove those that it has or that are just being made.

        In this process, that is: whoever works in them is told that they are gone, and gets no new ones.

        Raises:
            SandboxError: something could not be removed, or the engine is gone.
        """
        ...

    def sweep(self, *, dry_run: bool = False) -> list[str]:
        """Remove the temporary files of processes that are gone; needs no engine. The paths of what was removed.

        Raises:
            SandboxError: a lock cannot be looked at.
        """
        ...
