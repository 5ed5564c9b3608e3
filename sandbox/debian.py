"""Our own base image: a small Debian with Python, git and a C compiler, made where no registry can be reached.

debootstrap works in memory where there is enough of it (dpkg syncs every file), in a mount namespace of its own, so
that nothing stays mounted however it ends. Its tar goes straight into the engine.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import IO

import docker.errors
import psutil
from docker import APIClient

from sandbox import cleanup
from sandbox.build import build_container
from sandbox.errors import SandboxError, engine_failures
from sandbox.lock import scratch

REPOSITORY = "automend-base"
SUITE = "bookworm"
PACKAGES = (
    "python3", "python3-venv", "python3-dev", "git", "ca-certificates", "gcc", "libc6-dev", "make",
    "patch", "procps", "ripgrep",
)  # fmt: skip
"""Enough for Python projects, to compile the wheels that they lack, and what agents reach for first.
No Node: the environments that need it bring the version that they need."""

UV = "uv>=0.9,<1"
MEMORY_NEEDED = 6 << 30
BOOTSTRAP_SECONDS = 1800.0
UV_SECONDS = 600.0
LAST_LINES = 30
CHUNK = 1 << 20

# $1 directory, $2 suite, $3 packages, $4 "memory" or "disk". Everything but the tar goes to stderr.
BOOTSTRAP = r"""
set -eu
root="$1"
if [ "$4" = memory ]; then mount -t tmpfs -o size=4g,mode=0755 tmpfs "$root"; fi
debootstrap --variant=minbase --include="$3" "$2" "$root" >&2
mirror=$(awk '$1 == "deb" { print $2; exit }' "$root/etc/apt/sources.list")
cat > "$root/etc/apt/sources.list" <<END
deb $mirror $2 main
deb $mirror $2-updates main
deb ${mirror%/debian}/debian-security $2-security main
END
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/log/*
rm -rf "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/*
find "$root/usr/share/doc" -type f ! -name copyright -delete
find "$root/usr/share/doc" -type d -empty -delete
mkdir -p "$root/workspace" "$root/home/job" "$root/opt/agents"
chmod 755 "$root"
tar -C "$root" -c .
"""

# uv is one program; the wheel's directory is enough, without pip beside it.
INSTALL_UV = f"""
set -eu
python3 -m venv /tmp/venv
/tmp/venv/bin/pip install --quiet --no-compile --target /opt/uv '{UV}'
ln -s /opt/uv/bin/uv /usr/local/bin/uv
uv --version
"""

REMEDY = (
    "run automend once as root on Debian or Ubuntu, where it makes its base image itself, "
    "or set AUTOMEND_BASE_IMAGE to an image with sh, tar, git and python3 (for instance python:3.12-bookworm)"
)


def image_name() -> str:
    """The image's name; it changes with all that is in it."""
    content = "\n".join([SUITE, *PACKAGES, BOOTSTRAP, INSTALL_UV])
    return f"{REPOSITORY}:{SUITE}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def lock_name(name: str) -> str:
    """The lock that is held while the image `name` is made."""
    return name.replace(":", "-")


def build(api: APIClient, name: str, *, owner: str, progress: Callable[[str], None]) -> None:
    """Make the image (about two minutes), under its lock.

    Raises:
        SandboxError: this host cannot, or something on the way failed.
    """
    _need_debootstrap(progress)
    repository, tag = name.split(":")
    unfinished = f"unfinished-{tag}"
    progress(f"making the base image {name} from Debian {SUITE}")
    _forget(api, f"{repository}:{unfinished}")  # of a build that was cut short
    with scratch(lock_name(name)) as directory:
        where = "memory" if psutil.virtual_memory().available > MEMORY_NEEDED else "disk"
        argv = ["unshare", "--mount", "sh", "-c", BOOTSTRAP, "sh", str(directory), SUITE, ",".join(PACKAGES), where]
        with engine_failures("importing the base image"):
            api.import_image(src=_output(argv, progress), repository=repository, tag=unfinished, stream_src=True)
    try:
        with build_container(api, f"{repository}:{unfinished}", owner=owner, labels={}) as builder:
            builder.run(INSTALL_UV, timeout=UV_SECONDS, progress=progress, cwd="/")
            builder.commit(repository, tag, labels=cleanup.image_labels("base"))
    finally:
        _forget(api, f"{repository}:{unfinished}")


def _forget(api: APIClient, name: str) -> None:
    with engine_failures("removing the unfinished base image's name"), suppress(docker.errors.NotFound):
        api.remove_image(name, noprune=True)


def _need_debootstrap(progress: Callable[[str], None]) -> None:
    if os.geteuid() != 0:
        raise SandboxError("there is no base image yet, and only root can make one", remedy=REMEDY)
    if shutil.which("debootstrap"):
        return
    if not shutil.which("apt-get"):
        raise SandboxError("there is no base image yet, and no debootstrap to make one", remedy=REMEDY)
    progress("installing debootstrap")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for argv in (
        ["apt-get", "update", "-q"],
        ["apt-get", "install", "-y", "-q", "--no-install-recommends", "debootstrap", "debian-archive-keyring"],
    ):
        done = subprocess.run(argv, env=env, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode != 0:
            said = "\n".join((done.stdout + done.stderr).splitlines()[-LAST_LINES:])
            raise SandboxError(f"`{' '.join(argv)}` failed:\n{said}", remedy=REMEDY)


def _output(argv: list[str], progress: Callable[[str], None]) -> Generator[bytes, None, None]:
    """The stdout of a command, telling its stderr; raises at the end if it failed, so that no half image is made."""
    last: deque[str] = deque(maxlen=LAST_LINES)
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # so that all of its children can be killed with it
    ) as process:
        if not isinstance(process.stdout, io.BufferedReader) or process.stderr is None:
            raise SandboxError("no pipes to debootstrap")

        def kill() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

        teller = threading.Thread(target=_tell, args=(process.stderr, last, progress), daemon=True)
        teller.start()
        clock = threading.Timer(BOOTSTRAP_SECONDS, kill)
        clock.start()
        try:
            while chunk := process.stdout.read1(CHUNK):
                yield chunk
            code = process.wait()
        except BaseException:
            kill()
            raise
        finally:
            clock.cancel()
            teller.join(timeout=5)
    if code != 0:
        raise SandboxError("\n".join([f"debootstrap ended with {code}:", *last]), remedy=REMEDY)


def _tell(stream: IO[bytes], last: deque[str], progress: Callable[[str], None]) -> None:
    for line in stream:
        text = line.decode("utf-8", "replace").strip()
        last.append(text)
        progress(text.removeprefix("I: ")[:200])
