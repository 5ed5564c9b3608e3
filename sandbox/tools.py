"""Tools volumes: the agents' programs, filled once per key, mounted read-only.

A volume cannot be renamed, nor labelled later, and filling one takes time in which this process may be killed. So
the files go into a volume with a name of its own, and only when all of them are there an empty second volume is
made whose label points to the first. A volume that nothing points to is never used.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker.errors
from docker import APIClient
from docker.types import Mount

from sandbox.api import LABEL_OWNER, TOOLS, SandboxError, ToolsRecipe
from sandbox.cleanup import BUILD, LABEL_KIND, TOOLS_FILES, TOOLS_READY, forget_container, labels_for, remove_volume
from sandbox.errors import engine_failures
from sandbox.lock import if_free, one_at_a_time, scratch

PREFIX = "automend-tools-"
CHUNK = 1 << 20
LABEL_FILES = "automend.files"
"""On the pointing volume: the name of the volume with the files."""

LABEL_LOCK = "automend.lock"
"""On the volume with the files: the lock that is held while it is being filled."""


def volume(
    api: APIClient,
    recipe: ToolsRecipe,
    *,
    image: Callable[[], str],
    owner: str,
    progress: Callable[[str], None],
) -> str:
    """The name of the filled volume for a recipe.

    Args:
        api: the engine.
        recipe: what is to be in it.
        image: names any image on the engine; asked for only where a volume is to be filled.
        owner: the installation.
        progress: is told what goes on.

    Raises:
        SandboxError: the engine failed, or `recipe.fill` did with a `SandboxError`.
    """
    key = hashlib.sha256(recipe.key.encode()).hexdigest()[:16]
    found = _ready(api, key)
    if found is not None:
        return found
    lock = f"tools-{key}"
    with one_at_a_time(lock, progress=progress):
        found = _ready(api, key)
        if found is not None:
            return found
        name = f"{PREFIX}{key}-{secrets.token_hex(4)}"
        labels = labels_for(owner, TOOLS_FILES, {LABEL_LOCK: lock})
        with scratch(lock) as folder:
            directory = folder / "files"
            directory.mkdir()
            recipe.fill(directory, progress)
            progress("copying the tools into their volume")
            try:
                with engine_failures(f"making the volume {name}"):
                    api.create_volume(name, labels=labels)
                _fill(api, name, directory, image=image(), owner=owner)
            except BaseException:
                remove_volume(api, name)
                raise
        with engine_failures(f"making the volume {PREFIX}{key}"):
            api.create_volume(f"{PREFIX}{key}", labels=labels_for(owner, TOOLS_READY, {LABEL_FILES: name}))
        return name


def drop_unfinished(api: APIClient, *, owner: str, dry_run: bool = False) -> list[str]:
    """Remove the owner's volumes whose filling was cut short; the names of what was removed (a dry run only tells).

    Raises:
        SandboxError: the engine failed.
    """
    removed = []
    for found in _volumes(api, f"{LABEL_KIND}={TOOLS_FILES}", f"{LABEL_OWNER}={owner}"):
        name, labels = found["Name"], found["Labels"]
        with if_free(labels[LABEL_LOCK]) as free:
            # Under the lock, so that one which was finished just now is seen as such.
            if free and name not in {v["Labels"][LABEL_FILES] for v in _volumes(api, f"{LABEL_KIND}={TOOLS_READY}")}:
                if not dry_run:
                    remove_volume(api, name)
                removed.append(f"volume {name}")
    return removed


def _volumes(api: APIClient, *labels: str) -> list[dict[str, Any]]:
    with engine_failures("looking for tools volumes"):
        return api.volumes(filters={"label": list(labels)})["Volumes"] or []


def _ready(api: APIClient, key: str) -> str | None:
    pointer = f"{PREFIX}{key}"
    with engine_failures(f"looking for the volume {pointer}"):
        try:
            name = str(api.inspect_volume(pointer)["Labels"][LABEL_FILES])
        except docker.errors.NotFound:
            return None
        try:
            api.inspect_volume(name)
        except docker.errors.NotFound:
            api.remove_volume(pointer)  # somebody pruned the files; they are fetched again
            return None
    return name


def _fill(api: APIClient, name: str, directory: Path, *, image: str, owner: str) -> None:
    container = f"automend-fill-{secrets.token_hex(4)}"
    try:
        with engine_failures(f"filling the volume {name}"):
            mount = Mount(TOOLS, name, type="volume", no_copy=True)
            host = api.create_host_config(network_mode="none", mounts=[mount])
            labels = labels_for(owner, BUILD, {})
            api.create_container(image, command=["true"], name=container, labels=labels, host_config=host)
            # Never started: the engine unpacks into the volumes of a container that does not run, too.
            if not api.put_archive(container, TOOLS, _tar(directory)):
                raise SandboxError(f"the engine did not take the files for the volume {name}")
    finally:
        forget_container(api, container)


def _tar(directory: Path) -> Iterator[bytes]:
    """A tar of a directory as it is made, everything owned by root and readable by all."""

    def shared(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        entry.mode |= 0o555 if entry.isdir() or entry.mode & 0o100 else 0o444
        return entry

    failed: list[Exception] = []

    def write(fd: int) -> None:
        try:
            with open(fd, "wb") as pipe, tarfile.open(fileobj=pipe, mode="w|", bufsize=CHUNK) as tar:
                tar.add(directory, arcname=".", filter=shared)
        except BrokenPipeError:
            pass  # the reader stopped, and knows why
        except Exception as e:  # noqa: BLE001 (raised again by the reader, in whose thread somebody listens)
            failed.append(e)

    reading, writing = os.pipe()
    with open(reading, "rb", buffering=0) as pipe:  # noqa: PTH123 (a pipe)
        writer = threading.Thread(target=write, args=(writing,), daemon=True)
        writer.start()
        while chunk := pipe.read(CHUNK):
            yield chunk
    writer.join()
    if failed:
        raise SandboxError(f"the tools at {directory} could not be packed: {failed[0]}") from failed[0]
