"""Environment images: a repository set up once, with network; agents and tests run on it offline.

An image is found by its name, which is a hash of all that decides what is in it. So it is made once on an engine,
whoever asks, and never changes.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import docker.errors
from docker import APIClient
from docker.utils import parse_repository_tag

from sandbox import cleanup, debian
from sandbox.api import LABEL_RUN, WORKSPACE, Environment, EnvironmentRecipe, SandboxError
from sandbox.build import build_container
from sandbox.errors import engine_failures
from sandbox.lock import one_at_a_time
from sandbox.stock import note_use

REPOSITORY = "automend-env"
FORMAT = 1
"""Counts changes in how images are made; old ones are then not used again."""

EMPTY = f"rm -rf {WORKSPACE} && mkdir -p {WORKSPACE} /home/job /opt/agents"


def image_id(api: APIClient, name: str) -> str | None:
    """The id of a local image, or None where there is none.

    Raises:
        SandboxError: the engine failed.
    """
    with engine_failures(f"looking for the image {name}"):
        try:
            return str(api.inspect_image(name)["Id"])  # type: ignore[no-untyped-call]
        except docker.errors.NotFound:
            return None


def base(api: APIClient, wanted: str | None, *, owner: str, progress: Callable[[str], None]) -> str:
    """The image that environments are built on: the one that the host configured, or our own Debian.

    Raises:
        SandboxError: it is not there and cannot be had.
    """
    if wanted is None:
        name = debian.image_name()
        if image_id(api, name) is None:
            with one_at_a_time(debian.lock_name(name), progress=progress):
                if image_id(api, name) is None:
                    debian.build(api, name, owner=owner, progress=progress)
        return name
    if image_id(api, wanted) is None:
        progress(f"pulling {wanted}")
        repository, tag = parse_repository_tag(wanted)
        try:
            with engine_failures(f"pulling the base image {wanted}"):
                api.pull(repository, tag=tag or "latest")
        except SandboxError as e:
            raise SandboxError(
                e.message, remedy=f"`docker pull {wanted}`, or unset AUTOMEND_BASE_IMAGE to use automend's own"
            ) from e
    return wanted


def environment_key(recipe: EnvironmentRecipe, base_id: str) -> str:
    """A hash of all that decides what is in the image."""
    parts = [FORMAT, base_id, list(recipe.setup), sorted(recipe.key_files.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def environment(
    api: APIClient,
    recipe: EnvironmentRecipe,
    *,
    base: str,
    labels: Mapping[str, str],
    owner: str,
    notes: Path | None,
    progress: Callable[[str], None],
) -> Environment:
    """The image for a recipe, built if it is not there yet; its use is noted in the folder `notes`.

    Raises:
        SandboxError: a setup command failed (the message ends with its last lines), or the engine did.
    """
    start = time.monotonic()
    base_id = image_id(api, base)
    if base_id is None:
        raise SandboxError(f"the base image {base} is gone", remedy="try again: it will be made anew")
    key = environment_key(recipe, base_id)
    name = f"{REPOSITORY}:{key}"
    note_use(notes, key, labels.get(LABEL_RUN, ""))  # first, so that nobody takes it for one that is not needed
    found = image_id(api, name)
    if found is not None:
        return Environment(image=name, digest=found, built=False, seconds=time.monotonic() - start)
    with one_at_a_time(f"env-{key}", progress=progress):
        found = image_id(api, name)  # somebody else may have made it while we waited
        digest = found or _build(api, recipe, base=base_id, key=key, labels=labels, owner=owner, progress=progress)
    return Environment(image=name, digest=digest, built=found is None, seconds=time.monotonic() - start)


def _build(
    api: APIClient,
    recipe: EnvironmentRecipe,
    *,
    base: str,
    key: str,
    labels: Mapping[str, str],
    owner: str,
    progress: Callable[[str], None],
) -> str:
    deadline = time.monotonic() + recipe.timeout
    with build_container(api, base, owner=owner, labels=labels) as builder:
        builder.put_tree(recipe.tree())
        builder.put_secrets(recipe.secrets)
        for command in recipe.setup:
            progress(f"$ {command}")
            builder.run(command, timeout=max(deadline - time.monotonic(), 0.1), progress=progress)
        builder.run(EMPTY, timeout=120, progress=progress, cwd="/")
        progress("keeping the environment as an image")
        return builder.commit(REPOSITORY, key, labels=cleanup.image_labels("environment"))
