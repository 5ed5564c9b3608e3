"""Every promise on the real engine, and that the checks notice a seal that is taken away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import sandbox.docker
from sandbox.contract import PROMISES, Promise, check
from sandbox.docker import DockerSandboxes
from sandbox.limits import create_options

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
BY_NAME = {promise.name: promise for promise in PROMISES}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda p: p.name)
def test_promise_is_kept(promise: Promise, sandboxes: DockerSandboxes, base: str) -> None:
    answer = check(promise, sandboxes, image=base)
    assert answer.broken is None


def as_root(options: dict[str, Any]) -> None:
    options["cap_drop"] = []


def without_profile(options: dict[str, Any]) -> None:
    options["security_opt"] = ["seccomp=unconfined"]


def with_network(options: dict[str, Any]) -> None:
    options.update(network_mode="bridge")


def writable(options: dict[str, Any]) -> None:
    options["read_only"] = False
    options["user"] = "0:0"
    options["tmpfs"]["/etc"] = "rw,mode=1777"


def without_memory_limit(options: dict[str, Any]) -> None:
    del options["mem_limit"], options["memswap_limit"], options["mem_swappiness"]


def without_process_limit(options: dict[str, Any]) -> None:
    del options["pids_limit"]


def without_disk_limit(options: dict[str, Any]) -> None:
    options["tmpfs"]["/tmp"] = "rw,mode=1777"


def noexec_home(options: dict[str, Any]) -> None:
    options["tmpfs"]["/home/job"] += ",noexec"


@pytest.mark.parametrize(
    ("leak", "name"),
    [
        (as_root, "powerless"),
        (without_profile, "powerless"),
        (without_profile, "system_calls"),
        (with_network, "no_network"),
        (writable, "read_only"),
        (noexec_home, "read_only"),
        (without_memory_limit, "memory"),
        (without_process_limit, "processes"),
        (without_disk_limit, "disk"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_broken_seal_is_noticed(
    leak: Callable[[dict[str, Any]], None],
    name: str,
    sandboxes: DockerSandboxes,
    base: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def leaking(*args: Any, **kwargs: Any) -> dict[str, Any]:
        options = create_options(*args, **kwargs)
        leak(options)
        return options

    monkeypatch.setattr(sandbox.docker, "create_options", leaking)
    answer = check(BY_NAME[name], sandboxes, image=base)
    assert answer.broken is not None
    assert not answer.broken.startswith("the machine failed")
