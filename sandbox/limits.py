"""What a container may do and use: the options that seal it, made from a `Spec`. Pure, no engine.

The container's first process (the keeper) is a sleeping uid 0 without capabilities, so that the job can neither
kill it nor end the container; the job's commands run as a uid that no other live container has, because the kernel
counts inotify watches and the like by uid.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

from docker.types import DriverConfig, LogConfig, Mount, Ulimit

from sandbox.api import DOOR, TOOLS, WORKSPACE, Limits, SandboxError, Spec

HOME = "/home/job"
"""The job's home: memory, writable, gone with the container."""

ENVIRONMENT = "/opt/env"
"""Where setup commands put a project's virtual environment; its programs win."""

PATH = f"{ENVIRONMENT}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where commands are looked for."""

OFFLINE = {"UV_OFFLINE": "1", "UV_NO_SYNC": "1", "UV_PROJECT_ENVIRONMENT": ENVIRONMENT}
"""So that `uv run` uses the environment as it is, instead of looking for a network that is not there."""

JOB_UIDS = range(20_000, 60_000)
"""Below 65,536, so that an engine with user namespaces can map them; above the uids that images use."""

RELAY_UID = 19_999
"""Of our process that is the gateway's door where its socket cannot be mounted (`sandbox.relay`): no job's."""

KEEPER = ("sleep", "infinity")
"""The container's first process: it holds the workspace volume, which is lost with the last container."""

RUN_MB = 4
SHM_MB = 16
SMALLEST_MB = 4
PROCESS_SHARE = 4
FILE_MB = 256
OPEN_FILES = 4096
TMP_INODES = 65_536


@dataclass(frozen=True)
class MemoryDisks:
    """Sizes (MiB) of the container's tmpfs mounts. Their pages count as the container's memory."""

    workspace: int
    home: int
    tmp: int

    @property
    def total(self) -> int:
        """All of them, with /run and /dev/shm."""
        return self.workspace + self.home + self.tmp + RUN_MB + SHM_MB


def memory_disks(limits: Limits) -> MemoryDisks:
    """The sizes asked for, or smaller in proportion where they would not leave processes a quarter of the memory.

    A container whose tmpfs can fill its memory limit wedges: writes get it OOM-killed and nothing can be freed.

    Raises:
        SandboxError: the memory limit is too small for any workspace.
    """
    wanted = MemoryDisks(workspace=limits.workspace_mb, home=limits.tmp_mb, tmp=limits.tmp_mb)
    room = limits.memory_mb - limits.memory_mb // PROCESS_SHARE
    if wanted.total <= room:
        return wanted
    ratio = (room - RUN_MB - SHM_MB) / (wanted.workspace + wanted.home + wanted.tmp)
    fitted = MemoryDisks(
        workspace=int(wanted.workspace * ratio), home=int(wanted.home * ratio), tmp=int(wanted.tmp * ratio)
    )
    if min(fitted.workspace, fitted.home, fitted.tmp) < SMALLEST_MB:
        raise SandboxError(
            f"{limits.memory_mb} MiB of memory do not hold a workspace of {limits.workspace_mb} MiB "
            f"and {limits.tmp_mb} MiB each of /tmp and home",
            remedy="raise sandbox.memory_mb, or lower sandbox.workspace_mb",
        )
    return fitted


@cache
def seccomp() -> str:
    """The seccomp profile as JSON text, which the engine's API takes (a path is the client's business).

    No ptrace, keyrings, bpf, userfaultfd or io_uring; mknod makes FIFOs and nothing else; sockets of AF_UNIX, INET,
    INET6 and NETLINK only. Calls of the machine's own architecture alone: 32-bit programs do not run. That closes a
    part of the kernel; and the filter is made anew for each command, which takes five times as long for three
    architectures.
    Derived from moby/profiles (Apache-2.0): see NOTICE.
    """
    text = files("sandbox").joinpath("seccomp.json").read_text(encoding="utf-8")
    return json.dumps(json.loads(text), separators=(",", ":"))


def command_env(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a command: a home, a path, a locale and a name, then what the caller wants."""
    return {"HOME": HOME, "PATH": PATH, "LANG": "C.UTF-8", "USER": "job", "LOGNAME": "job", **OFFLINE, **(env or {})}


def create_options(
    spec: Spec, *, name: str, uid: int, labels: Mapping[str, str], runtime: str | None = None, relayed: bool = False
) -> dict[str, Any]:
    """Keyword arguments of docker-py's `containers.create` for a sealed container called `name`.

    Args:
        spec: what to start.
        name: of the container and of its workspace volume.
        uid: of the job, owner of workspace and home.
        labels: on both.
        runtime: an OCI runtime that the engine knows, or None for its default.
        relayed: the door is not mounted, but made in the container by `sandbox.relay`.

    Raises:
        SandboxError: the limits contradict each other.
    """
    limits = spec.limits
    disks = memory_disks(limits)
    options: dict[str, Any] = {
        "image": spec.image,
        "name": name,
        "entrypoint": [],
        "command": list(KEEPER),
        "user": "0:0",
        "working_dir": WORKSPACE,
        "environment": command_env(),
        "hostname": "job",
        "labels": dict(labels),
        "init": True,
        "healthcheck": {"test": ["NONE"]},  # an image's own would run in here as root
        # Who may do what.
        # Not `network_disabled` besides: the engine then leaves out /etc/hosts, and tests that listen on "localhost"
        # cannot find it. The host's DNS servers and search domains are nobody's business in here.
        "network_mode": "none",
        "dns": ["127.0.0.1"],
        "dns_search": ["."],
        "privileged": False,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", f"seccomp={seccomp()}"],
        "ipc_mode": "private",
        "cgroupns": "private",
        "read_only": True,
        # How much.
        "mem_limit": f"{limits.memory_mb}m",
        "memswap_limit": f"{limits.memory_mb}m",
        "mem_swappiness": 0,
        "oom_score_adj": 1000,
        "nano_cpus": int(limits.cpus * 1e9),
        "pids_limit": limits.pids,
        "shm_size": f"{SHM_MB}m",
        "ulimits": _ulimits(),
        "log_config": LogConfig(type=LogConfig.types.NONE),
        # Where files may be written, and the two things that come in from outside.
        "tmpfs": _tmpfs(disks, uid),
        "mounts": _mounts(spec, disks, name=name, uid=uid, labels=labels),
    }
    if runtime is not None:
        options["runtime"] = runtime
    if spec.door is not None:
        if relayed:
            options["tmpfs"][str(PurePosixPath(DOOR).parent)] = (
                f"rw,nosuid,nodev,noexec,size=4k,nr_inodes=16,uid={RELAY_UID},gid={RELAY_UID},mode=0755"
            )
        else:
            # The file, not its directory: what can be swapped in the directory could be swapped by the job.
            options["mounts"].append(Mount(DOOR, str(spec.door), type="bind", read_only=True))
    return options


def _ulimits() -> list[Ulimit]:
    def both(name: str, value: int) -> Ulimit:
        return Ulimit(name=name, soft=value, hard=value)

    return [
        both("nofile", OPEN_FILES),
        both("fsize", FILE_MB << 20),  # also bounds what a sparse file can grow to on its way out
        both("core", 0),
        both("memlock", 64 << 10),
        both("msgqueue", 0),
    ]


def _tmpfs(disks: MemoryDisks, uid: int) -> dict[str, str]:
    # Test suites and agents write scripts to /tmp and run them, so it is not noexec: whoever can run Python in
    # the workspace gains nothing by it.
    safe = "rw,nosuid,nodev"
    return {
        "/tmp": f"{safe},exec,size={disks.tmp}m,nr_inodes={TMP_INODES},mode=1777",  # noqa: S108 (the container's)
        HOME: f"{safe},exec,size={disks.home}m,nr_inodes={TMP_INODES},uid={uid},gid={uid},mode=0700",
        "/run": f"{safe},noexec,size={RUN_MB}m,nr_inodes=1024,mode=0755",
    }


def _mounts(spec: Spec, disks: MemoryDisks, *, name: str, uid: int, labels: Mapping[str, str]) -> list[Mount]:
    size = f"size={disks.workspace}m,nr_inodes={spec.limits.workspace_inodes}"
    workspace = DriverConfig(
        name="local",
        options={"type": "tmpfs", "device": "tmpfs", "o": f"{size},uid={uid},gid={uid},mode=0700,nosuid,nodev"},
    )
    mounts = [
        Mount(WORKSPACE, name, type="volume", no_copy=True, labels=dict(labels), driver_config=workspace),
    ]
    if spec.tools is not None:
        mounts.append(Mount(TOOLS, spec.tools, type="volume", read_only=True, no_copy=True))
    return mounts
