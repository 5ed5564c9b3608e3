"""The stock of environment images on an engine: which there are, and which go when they are old or too many.

An engine does not say when an image was last used, so that is noted in a folder of the installation: one small file
for each image, whose time is that of the last use and whose text says for what.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import docker.errors
from docker import APIClient

from sandbox.api import SandboxError
from sandbox.cleanup import LABEL_IMAGE
from sandbox.errors import engine_failures
from sandbox.lock import if_free

log = logging.getLogger(__name__)

DAY = 86_400.0
IN_USE_SECONDS = DAY
"""So long after its last use an image is left alone: a run or a gate may still be working on it."""

CONFLICT = 409


@dataclass(frozen=True)
class Keeping:
    """How much is kept: `days` since the last use, `megabytes` of all images together, without the base's share."""

    days: float = 30.0
    megabytes: int = 20_480


@dataclass(frozen=True)
class StockedImage:
    """One environment image. Times in seconds since 1970; `size` is what its removal frees, in bytes."""

    name: str
    digest: str
    made: float
    used: float
    size: int
    noted: bool
    """Whether this installation ever asked for it."""
    used_by: str
    """The run or gate that last did."""


def note_use(notes: Path | None, key: str, by: str) -> None:
    """Write down that the image with `key` is used now. A disk that is full must not end a run."""
    if notes is None:
        return
    try:
        notes.mkdir(parents=True, exist_ok=True, mode=0o700)
        (notes / key).write_text(by + "\n", encoding="utf-8")
    except OSError as e:
        log.warning("the use of an environment image cannot be noted: %s", e)


def stock(api: APIClient, repository: str, *, notes: Path | None) -> list[StockedImage]:
    """The environment images, last used first.

    Raises:
        SandboxError: the engine failed.
    """
    with engine_failures("listing the environment images"):
        found = api.images(repository, filters={"label": f"{LABEL_IMAGE}=environment"})
        sizes = {image["Id"]: int(image["Size"]) for image in api.images(all=True)}
    listed = []
    for image in found:
        for name in image.get("RepoTags") or []:
            made = float(image["Created"])
            used, used_by = _note(notes, name.rpartition(":")[2])
            noted = used > 0
            own = max(int(image["Size"]) - sizes.get(image.get("ParentId", ""), 0), 0)
            listed.append(StockedImage(name, str(image["Id"]), made, max(made, used), own, noted, used_by))
    return sorted(listed, key=lambda image: image.used, reverse=True)


def too_many(images: Sequence[StockedImage], keeping: Keeping, *, now: float) -> list[StockedImage]:
    """What should go, longest unused first: all that is older than it may be, then until the rest fits the budget.

    What was used in the last day stays, whatever that takes.
    """
    left = sum(image.size for image in images)
    going = []
    for image in sorted(images, key=lambda image: image.used):
        idle = now - image.used
        if idle > IN_USE_SECONDS and (idle > keeping.days * DAY or left > keeping.megabytes << 20):
            going.append(image)
            left -= image.size
    return going


def prune(
    api: APIClient,
    repository: str,
    *,
    notes: Path | None,
    keeping: Keeping,
    most: int | None = None,
    noted_only: bool = False,
    dry_run: bool = False,
) -> list[StockedImage]:
    """Remove what should go, at most so many; one that a container is made of, or that is being built on, stays.

    With `noted_only`, images are left alone that only another installation on this engine may know.

    Raises:
        SandboxError: the engine failed.
    """
    here = [image for image in stock(api, repository, notes=notes) if image.noted or not noted_only]
    going = too_many(here, keeping, now=time.time())[:most]
    return [image for image in going if dry_run or _removed(api, image, notes)]


def _removed(api: APIClient, image: StockedImage, notes: Path | None) -> bool:
    key = image.name.rpartition(":")[2]
    with if_free(f"env-{key}") as free:
        if not free:
            return False
        try:
            with engine_failures(f"removing the image {image.name}"):
                api.remove_image(image.name)
        except SandboxError as e:
            cause = e.__cause__
            if isinstance(cause, docker.errors.APIError) and cause.status_code == CONFLICT:
                return False
            if not isinstance(cause, docker.errors.NotFound):
                raise
        if notes is not None:
            (notes / key).unlink(missing_ok=True)
    return True


def _note(notes: Path | None, key: str) -> tuple[float, str]:
    with suppress(OSError):
        if notes is not None:
            return (notes / key).stat().st_mtime, (notes / key).read_text(encoding="utf-8", errors="replace").strip()
    return 0.0, ""
