"""Sandboxes on a Docker engine: what `sandbox.api` promises, kept by sealed containers.

with DockerSandboxes(owner="…").open(Spec(image="…")) as box:
    box.put_tree(tar)
    box.exec(["pytest"], timeout=300)
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import docker.errors
from docker import APIClient, DockerClient
from docker.models.containers import Container

from sandbox import cleanup, compare, image, stock, tools, workspace
from sandbox.admission import Admission
from sandbox.again import going_on
from sandbox.api import (
    LABEL_RUN,
    WORKSPACE,
    Changes,
    Environment,
    EnvironmentRecipe,
    ExecResult,
    Limits,
    Sandbox,
    SandboxError,
    SandboxLostError,
    Spec,
    ToolsRecipe,
)
from sandbox.connection import Connections
from sandbox.door import NOT_SEEN, let_in, sees, there
from sandbox.errors import engine_failures
from sandbox.exec import KILLED, Ending, JobWonError, Output, run, sweep
from sandbox.limits import JOB_UIDS, command_env, create_options
from sandbox.lock import sweep_locks
from sandbox.relay import DoorRelay
from sandbox.stock import Keeping, StockedImage

log = logging.getLogger(__name__)

ENGINE_SECONDS = 120
IMAGE_SECONDS = 1800
LOCAL = "http+docker://"
"""How docker-py calls an engine on a unix socket."""
NOTICE_SECONDS = 30.0
SHUT_SECONDS = 60.0
SHUT_LOOK_SECONDS = 0.2
NOT_ENDED = "its processes could not be ended otherwise"
MIB = 1 << 20
PRUNED_AT_ONCE = 5

FIXED = frozenset({"/", WORKSPACE})
"""Directories that the job cannot put something else in the place of."""

# The engine resolves a command's directory while it still holds descriptors of the host's (CVE-2024-21626); a symbolic
# link that the job left there must not be followed by anybody but the job.
FED = 'n="$1"; shift; head -c "$n" | "$@"'
"""A command that is told the end of its stdin by its length."""

THERE = 'cd -- "$1" || exit 126; shift; exec "$@"'


class DockerSandbox:
    """One sealed container; made by `DockerSandboxes.open`.

    Args:
        api: the engine.
        container: the engine's id.
        name: of the container and its workspace volume.
        uid: of the job.
        limits: as in the `Spec`.
        relay: what leads to the gateway, where its socket could not be mounted.
    """

    def __init__(
        self, api: APIClient, *, container: str, name: str, uid: int, limits: Limits, relay: DoorRelay | None = None
    ) -> None:
        self._api = api
        self._id = container
        self._name = name
        self._uid = uid
        self._user = f"{uid}:{uid}"
        self._limits = limits
        self._relay = relay
        self._last_oom = 0
        self._dead = ""

    @property
    def id(self) -> str:
        """The engine's id of the container."""
        return self._id

    @property
    def uid(self) -> int:
        """The uid (and gid) of the job's commands."""
        return self._uid

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
        """See `sandbox.api.Sandbox.exec`. What `on_stdout` raises ends the job and is passed on."""
        self._alive()
        if cwd not in FIXED:
            argv, cwd = ["/bin/sh", "-c", THERE, "sh", cwd, *argv], "/"
        # What is between us and an engine on TCP may not carry a connection of which one half is closed.
        counted = stdin is not None and not self._api.base_url.startswith(LOCAL)
        if stdin is not None and counted:
            argv = ["/bin/sh", "-c", FED, "sh", str(len(stdin)), *argv]
        output = Output(cap=self._limits.output_mb * MIB if output_limit is None else output_limit, on_stdout=on_stdout)
        try:
            ended = run(
                self._api,
                self._id,
                argv,
                user=self._user,
                env=command_env(env),
                cwd=cwd,
                timeout=timeout,
                output=output,
                stdin=None if stdin is None else [stdin],
                knows_the_end=counted,
            )
        except SandboxError:
            raise
        except Exception:
            with suppress(JobWonError):
                self._kill_job()
            raise
        if ended.ending is not Ending.EXITED:
            # Even where that takes the container: how the command ended is known, and the next call says the rest.
            with suppress(JobWonError):
                self._kill_job()
        elif ended.exit_code == KILLED:
            self._not_the_container()
        if ended.exit_code != 0 and self._relay is not None and self._relay.broken is not None:
            raise SandboxLostError(f"the way from container {self._name} to the gateway broke: {self._relay.broken}")
        return ExecResult(
            exit_code=ended.exit_code,
            stdout=bytes(output.stdout),
            stderr=bytes(output.stderr),
            seconds=ended.seconds,
            timed_out=ended.ending is Ending.DEADLINE,
            truncated=ended.ending is Ending.FLOOD,
            oom=ended.exit_code not in {0, None} and self._ran_out_of_memory(),
        )

    def put_tree(self, tar: Iterable[bytes], *, to: str = WORKSPACE) -> None:
        """See `sandbox.api.Sandbox.put_tree`. Modification times become now."""
        self._alive()
        try:
            workspace.put_tree(self._api, self._id, tar, to=to, user=self._user)
        except Exception:
            with suppress(SandboxError, JobWonError):
                self._kill_job()
            raise

    def get_tree(self, path: str = WORKSPACE) -> Generator[bytes, None, None]:
        """See `sandbox.api.Sandbox.get_tree`. Names in the tar begin with `./`, relative to `path`."""
        self._alive()
        try:
            self._kill_job()
        except JobWonError:
            self._alive()
        yield from workspace.stream_tree(self._api, self._id, path, limit=self._limits.tree_mb * MIB)

    def get_changes(self, known: Mapping[bytes, tuple[str, str]]) -> Changes:
        """See `sandbox.api.Sandbox.get_changes`. Where it cannot be told what changed, all of it did."""
        self._alive()
        limit = self._limits.tree_mb * MIB
        try:
            found = compare.get_changes(self._api, self._id, known, limit=limit, user=self._user)
        except JobWonError:
            self._end_container(NOT_ENDED)
            self._alive()
            raise
        return found or Changes(unchanged=frozenset(), tar=self.get_tree())

    def read(self, path: str, *, limit: int) -> bytes | None:
        """See `sandbox.api.Sandbox.read`. A relative path is one in the workspace."""
        self._alive()
        try:
            return workspace.read_file(self._api, self._id, path, limit=limit, user=self._user)
        except JobWonError:
            self._end_container(NOT_ENDED)
            self._alive()
            raise

    def close(self) -> None:
        """See `sandbox.api.Sandbox.close`."""
        self._dead = self._dead or "it is closed"
        if self._relay is not None:
            self._relay.close()
        try:
            cleanup.remove_container(self._api, self._name)
        finally:
            cleanup.remove_volume(self._api, self._name)

    def _alive(self) -> None:
        if self._dead:
            raise SandboxError(f"container {self._name} cannot be used: {self._dead}")

    def _kill_job(self) -> None:
        """End every process of the job; where it cannot be done from within, end the container.

        Raises:
            JobWonError: it took the container.
            SandboxError: the engine failed; the container is to be ended, too.
        """
        try:
            sweep(self._api, self._id, user=self._user)
        except JobWonError:
            self._end_container(NOT_ENDED)
            raise
        except SandboxError as e:
            self._end_container(e.message)
            raise

    def _end_container(self, why: str) -> None:
        self._dead = self._dead or f"it was killed ({why})"
        with suppress(SandboxError), engine_failures("killing the container"):
            self._api.kill(self._id)

    def _ran_out_of_memory(self) -> bool:
        """Whether the kernel killed for memory since we last looked.

        The engine keeps OOMKilled for a container's first process only; its events tell it for an exec too.
        """
        now: Any = f"{time.time():.6f}"  # lets the call come back at once; the stubs know whole seconds only
        with engine_failures(f"asking how a command in {self._name} ended"):
            events = self._api.events(since=1, until=now, filters={"container": self._id, "event": "oom"}, decode=True)
            latest = max((int(e["timeNano"]) for e in events), default=0)
        new = latest > self._last_oom
        self._last_oom = max(latest, self._last_oom)
        return new

    def _not_the_container(self) -> None:
        """Make sure that SIGKILL took the command alone.

        The commands of a dying container end a moment before the engine notices, so its word alone is not enough.
        """
        deadline = time.monotonic() + NOTICE_SECONDS
        while True:
            with suppress(SandboxError):
                probe = run(
                    self._api,
                    self._id,
                    ["true"],
                    user=self._user,
                    env=command_env(),
                    cwd="/",
                    timeout=NOTICE_SECONDS,
                    output=Output(cap=MIB),
                )
                if probe.exit_code == 0:
                    return
            with engine_failures(f"asking whether {self._name} runs"):
                running = self._api.inspect_container(self._id)["State"]["Running"]
            if not running:
                self._dead = "it died"
                raise SandboxLostError(f"container {self._name} died while a command ran in it")
            if time.monotonic() > deadline:
                return
            time.sleep(0.05)


class DockerSandboxes:
    """Sandboxes on the engine that DOCKER_HOST names (by default the local one); `sandbox.api.Sandboxes`.

    The engine is first spoken to when something is asked of it.

    Args:
        owner: the installation; only its containers and volumes are ever reaped.
        base_image: what environments are built on; None for our own Debian base, made on the first use.
        runtime: an OCI runtime (`runsc`, `kata`) for sealed containers; None for the engine's default.
        notes: folder in which the use of environment images is noted; None notes nothing.
        keeping: how many of them are kept; after each build the oldest go.
    """

    def __init__(
        self,
        *,
        owner: str,
        base_image: str | None = None,
        runtime: str | None = None,
        notes: Path | None = None,
        keeping: Keeping | None = None,
    ) -> None:
        self._owner = owner
        self._base_image = base_image
        self._runtime = runtime
        self._notes = notes
        self._keeping = keeping
        self._connections = Connections()
        self._lock = threading.Lock()
        self._uids: set[int] = set()
        self._owed: set[str] = set()
        self._admission = Admission()

    @property
    def client(self) -> DockerClient:
        """The connection to the engine.

        Raises:
            SandboxError: no engine answers.
        """
        return self._connections.client(ENGINE_SECONDS)

    def disconnect(self) -> None:
        """Close the connections to the engine; they are made anew when needed."""
        self._connections.close()

    @contextmanager
    def open(self, spec: Spec) -> Iterator[Sandbox]:
        """See `sandbox.api.Sandboxes.open`."""
        api = self.client.api
        self.settle()
        if spec.door is not None:
            there(spec.door)
        name = cleanup.name_for("automend", spec.labels)
        labels = cleanup.labels_for(self._owner, cleanup.SANDBOX, spec.labels)
        with self._admission.admitted(spec.labels.get(LABEL_RUN, "")), self._job_uid() as uid:
            options = partial(create_options, spec, name=name, uid=uid, labels=labels, runtime=self._runtime)
            box = DockerSandbox(api, container=name, name=name, uid=uid, limits=spec.limits)
            try:
                with engine_failures(f"starting a container from {spec.image}"):
                    container, relayed = self._created(options)
                    _no_other_volumes(container.attrs, name)
                    if spec.door is not None and not relayed:
                        let_in(api, spec.door, uid)
                    api.start(str(container.id))
                relay = DoorRelay(api, str(container.id), spec.door) if spec.door is not None and relayed else None
                box = DockerSandbox(
                    api, container=str(container.id), name=name, uid=uid, limits=spec.limits, relay=relay
                )
            except BaseException:
                self._owed.add(name)  # where the answer was lost, the engine may be making it still
                with suppress(SandboxError):
                    box.close()
                raise
            try:
                yield box
            finally:
                try:
                    box.close()
                except SandboxError:
                    self._owed.add(name)
                    raise

    def _created(self, options: Callable[..., dict[str, Any]]) -> tuple[Container, bool]:
        """A container, and whether its door has to be relayed because the engine does not see our files."""
        try:
            return self.client.containers.create(**options()), False
        except docker.errors.APIError as e:
            if NOT_SEEN not in str(e.explanation):
                raise
        return self.client.containers.create(**options(relayed=True)), True

    def sees(self, place: Path, *, image: str) -> bool:
        """Whether the engine sees this host's files in the folder `place`; any image of its own is asked by.

        Where it does not, the gateway's socket is not mounted but relayed.

        Raises:
            SandboxError: the engine failed, or nothing can be written in the folder.
        """
        return sees(self.client.api, place, image=image, owner=self._owner)

    def settle(self) -> None:
        """See `sandbox.api.Sandboxes.settle`."""
        for name in tuple(self._owed):
            api = self.client.api
            cleanup.remove_container(api, name)
            cleanup.remove_volume(api, name)
            self._owed.discard(name)

    def environment(
        self, recipe: EnvironmentRecipe, *, labels: Mapping[str, str], progress: Callable[[str], None]
    ) -> Environment:
        """See `sandbox.api.Sandboxes.environment`."""

        def work() -> Environment:
            self._admission.check(labels.get(LABEL_RUN, ""))
            return image.environment(
                self._connections.client(IMAGE_SECONDS).api,
                recipe,
                base=self.base(progress=progress),
                labels=labels,
                owner=self._owner,
                notes=self._notes,
                progress=progress,
            )

        made = going_on(work, tell=progress)
        if made.built and self._keeping is not None:
            try:
                gone = self.prune(self._keeping, most=PRUNED_AT_ONCE, noted_only=True)
            except SandboxError as e:  # the image that was asked for is there
                log.warning("old environment images cannot be removed: %s", e.message)
            else:
                log.info("%s environment images were removed", len(gone))
        return made

    def images(self) -> list[StockedImage]:
        """The environment images on this engine, last used first.

        Raises:
            SandboxError: the engine failed.
        """
        return stock.stock(self.client.api, image.REPOSITORY, notes=self._notes)

    def prune(
        self, keeping: Keeping, *, most: int | None = None, noted_only: bool = False, dry_run: bool = False
    ) -> list[StockedImage]:
        """Remove the environment images that are not to be kept, at most so many; what was removed.

        With `noted_only`, those of other installations on this engine stay.

        Raises:
            SandboxError: the engine failed.
        """
        return stock.prune(
            self._connections.client(IMAGE_SECONDS).api,
            image.REPOSITORY,
            notes=self._notes,
            keeping=keeping,
            most=most,
            noted_only=noted_only,
            dry_run=dry_run,
        )

    def base(self, *, progress: Callable[[str], None]) -> str:
        """The name of the image that environments are built on, made if it is ours and not there yet.

        Raises:
            SandboxError: it is not there and cannot be made here; the remedy says what to do.
        """
        return image.base(
            self._connections.client(IMAGE_SECONDS).api, self._base_image, owner=self._owner, progress=progress
        )

    def tools(self, recipe: ToolsRecipe, *, progress: Callable[[str], None]) -> str:
        """See `sandbox.api.Sandboxes.tools`."""
        return tools.volume(
            self._connections.client(IMAGE_SECONDS).api,
            recipe,
            image=lambda: self.base(progress=progress),
            owner=self._owner,
            progress=progress,
        )

    def reap(self, *, run: str | None = None, keep: Collection[str] = (), dry_run: bool = False) -> list[str]:
        """See `sandbox.api.Sandboxes.reap`."""
        removed = cleanup.reap(self.client.api, owner=self._owner, run=run, keep=keep, dry_run=dry_run)
        if run is None:
            removed += tools.drop_unfinished(self.client.api, owner=self._owner, dry_run=dry_run)
        return removed

    def shut(self, run: str) -> None:
        """See `sandbox.api.Sandboxes.shut`."""
        self._admission.shut(run)
        deadline = time.monotonic() + SHUT_SECONDS
        alone = False
        while not alone:
            alone = self._admission.empty(run, seconds=SHUT_LOOK_SECONDS)  # asked first: who is alone makes no more
            self.reap(run=run)
            if not alone and time.monotonic() > deadline:
                raise SandboxError(f"{run} still has, or makes, a container after {SHUT_SECONDS:g} s")

    def sweep(self, *, dry_run: bool = False) -> list[str]:
        """See `sandbox.api.Sandboxes.sweep`."""
        return sweep_locks(dry_run=dry_run)

    @contextmanager
    def _job_uid(self) -> Iterator[int]:
        with self._lock:
            uid = next(u for u in iter(lambda: secrets.choice(JOB_UIDS), None) if u not in self._uids)
            self._uids.add(uid)
        try:
            yield uid
        finally:
            with self._lock:
                self._uids.discard(uid)


def _no_other_volumes(attrs: Mapping[str, Any], name: str) -> None:
    """Refuse what an image's VOLUME adds: a writable place on the host's disk, without any limit."""
    for mount in attrs["Mounts"]:
        if mount["Type"] == "volume" and mount["RW"] and mount["Name"] != name:
            raise SandboxError(
                f"the image declares a volume at {mount['Destination']}, which would escape the disk limit",
                remedy="use a base image without VOLUME",
            )
