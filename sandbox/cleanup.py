"""Labels on everything that we make, and the removal of what was left behind.

A name or label says whose a thing is: the owner (one installation) and the run. Only containers and volumes that
carry the owner's label are touched; images and finished tools volumes stay, they are shared and made once.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

import docker.errors
from docker import APIClient

from sandbox.api import LABEL_OWNER, LABEL_RUN, SandboxError
from sandbox.errors import engine_failures

LABEL_KIND = "automend.kind"
"""Docker label: what a thing is for (`Kind`)."""

LABEL_IMAGE = "automend.image"
"""Docker label of an image: "base" or "environment"."""

SANDBOX = "sandbox"
BUILD = "build"
TOOLS_FILES = "tools-files"
TOOLS_READY = "tools-ready"

REAPED = (SANDBOX, BUILD)
GONE_SECONDS = 120.0


def labels_for(owner: str, kind: str, labels: Mapping[str, str]) -> dict[str, str]:
    """All labels of a thing. The run is always named, because an image's label would show through where it is not."""
    return {LABEL_RUN: "", **labels, LABEL_OWNER: owner, LABEL_KIND: kind}


def image_labels(purpose: str) -> dict[str, str]:
    """All labels of an image.

    Whatever is made from an image inherits its labels, other people's containers and builds too: so an image has
    no owner, or reaping would take them. A commit takes over the labels of its container, and they can be emptied
    but not removed.
    """
    return {LABEL_RUN: "", LABEL_OWNER: "", LABEL_KIND: "", LABEL_IMAGE: purpose}


def name_for(prefix: str, labels: Mapping[str, str]) -> str:
    """A new name, with the run in it where there is one."""
    run = re.sub(r"[^a-zA-Z0-9_.-]", "-", labels.get(LABEL_RUN, ""))
    return "-".join(filter(None, [prefix, run, secrets.token_hex(4)]))


def remove_container(api: APIClient, name: str) -> None:
    """Kill and remove a container; one that is not there is fine.

    Raises:
        SandboxError: it is still there after two minutes, or the engine is gone.
    """
    deadline = time.monotonic() + GONE_SECONDS
    with engine_failures(f"removing container {name}"):
        while True:
            try:
                api.remove_container(name, force=True, v=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError:
                # "removal already in progress", or a process that takes its time to die.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def remove_volume(api: APIClient, name: str) -> None:
    """Remove a volume; one that is not there is fine.

    Raises:
        SandboxError: it is still in use after two minutes, or the engine is gone.
    """
    deadline = time.monotonic() + GONE_SECONDS
    with engine_failures(f"removing volume {name}"):
        while True:
            try:
                api.remove_volume(name, force=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


def reap(
    api: APIClient, *, owner: str, run: str | None = None, keep: Collection[str] = (), dry_run: bool = False
) -> list[str]:
    """Remove the owner's containers and their volumes, of one run or of all but `keep`; what was removed, by name.

    A dry run only tells.

    Raises:
        SandboxError: something could not be removed (the rest was tried), or the engine is gone.
    """
    wanted = [f"{LABEL_OWNER}={owner}"] + ([f"{LABEL_RUN}={run}"] if run is not None else [])
    removed: list[str] = []
    failures: list[str] = []
    with engine_failures("looking for left-over containers and volumes"):
        containers: list[dict[str, Any]] = api.containers(all=True, filters={"label": wanted})
        volumes: list[dict[str, Any]] = api.volumes(filters={"label": wanted})["Volumes"] or []
    for container in containers:
        if container["Labels"].get(LABEL_KIND) not in REAPED or container["Labels"].get(LABEL_RUN) in keep:
            continue  # at work; or somebody else's, made from an image with a label of ours
        name = (container.get("Names") or [container["Id"]])[0].removeprefix("/")
        if dry_run:
            removed.append(f"container {name}")
            continue
        _try(lambda name=name: remove_container(api, name), f"container {name}", removed, failures)
    for volume in volumes:
        labels = volume.get("Labels") or {}
        if labels.get(LABEL_KIND) in REAPED and labels.get(LABEL_RUN) not in keep:
            name = volume["Name"]
            if dry_run:
                removed.append(f"volume {name}")
                continue
            _try(lambda name=name: remove_volume(api, name), f"volume {name}", removed, failures)
    if failures:
        raise SandboxError("could not be removed: " + "; ".join(failures), remedy="`docker rm -f` it by hand")
    return removed


def _try(remove: Any, what: str, removed: list[str], failures: list[str]) -> None:
    try:
        remove()
    except SandboxError as e:
        failures.append(f"{what} ({e.message})")
    else:
        removed.append(what)


def forget_container(api: APIClient, name: str) -> None:
    """Remove a container on a path where something else failed already, and that must be what is told."""
    with suppress(SandboxError):
        remove_container(api, name)
