"""The base's own measurement: made once per base tree, image and commands, and kept in a folder of the runner's."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from pathlib import Path

from pydantic import ValidationError

from runner.steps.proof.bench import Bench
from runner.steps.proof.results import Measurement

log = logging.getLogger(__name__)

FORMAT = 3
"""Counts changes in how suites are measured; what was kept by an older way is then not used again."""


def measured_base(bench: Bench, tree: str, cache: Path | None) -> Measurement:
    """The base's suite on the base, measured now or earlier. What a limit of ours ended is not kept.

    Raises:
        SandboxError: the machine failed.
        GitError: the tree cannot be read.
    """
    file = cache / f"{_key(bench, tree)}.json" if cache is not None else None
    if file is not None and (found := _read(file)) is not None:
        return found
    measured = bench.measure(tree)
    if file is not None and not measured.limit:
        _write(file, measured)
    return measured


def _key(bench: Bench, tree: str) -> str:
    parts = [FORMAT, tree, bench.image, bench.commands(), repr(bench.project.test)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:40]


def _read(file: Path) -> Measurement | None:
    try:
        return Measurement.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as e:
        log.warning("the baseline kept in %s is not used: %s", file, e)
        return None


def _write(file: Path, measured: Measurement) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as part:
            part.write(measured.model_dump_json())
        os.replace(part.name, file)  # noqa: PTH105 - whole or not at all, for other processes that read
    except OSError as e:
        log.warning("the baseline could not be kept in %s: %s", file, e)
