"""A container in which an image is made: with network, as root, before any agent exists.

It is the opposite of a sandbox: what runs here are the setup commands of a base branch that people have reviewed.
Nothing of the host but its CA certificates and package mirrors comes in, and no credentials but the files that it gives
for the packages of one repository; those are in memory, and in no image.
"""

from __future__ import annotations

import io
import json
import os
import re
import ssl
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from docker import APIClient
from docker.types import LogConfig

from sandbox import cleanup, workspace
from sandbox.api import WORKSPACE, SandboxError, SetupError
from sandbox.errors import engine_failures
from sandbox.exec import Ending, Output, run
from sandbox.limits import ENVIRONMENT, KEEPER, PATH

BUNDLE = "/run/ca-certificates.crt"
"""Where the host's CA bundle is during a build: memory, so that it is not in the image."""

BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "PIP_CERT",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
    "npm_config_cafile",
)

HOST_VARIABLES = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "PIP_INDEX_URL",
    "PIP_TRUSTED_HOST",
    "PIP_DEFAULT_TIMEOUT",
    "UV_DEFAULT_INDEX",
    "UV_INDEX_URL",
    "npm_config_registry",
)
"""Where packages come from, as the host has it; a value with a password in it stays outside."""

# Caches go to memory too: whatever is under HOME and /tmp during the build is not in the image.
BUILD_ENV = {
    "HOME": "/tmp/home",  # noqa: S108 (the container's)
    "PATH": PATH,
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "PIP_NO_CACHE_DIR": "1",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_ROOT_USER_ACTION": "ignore",
    "UV_LINK_MODE": "copy",
    "UV_PROJECT_ENVIRONMENT": ENVIRONMENT,  # `uv sync` would else make it in the workspace, which is emptied
    "VIRTUAL_ENV": ENVIRONMENT,
}

OUTPUT_BYTES = 32 << 20
LAST_LINES = 30
ROOT = "0:0"
_SECRET = re.compile(r"""[^\s"'=:/@,;]{8,}""")
"""What may be a password or a token in a file of credentials, addresses and common words along with it."""


def ca_bundle(env: Mapping[str, str] = os.environ) -> bytes | None:
    """The host's CA certificates (PEM): what its variables name, else the default file, else None."""
    named = [env[name] for name in BUNDLE_VARIABLES if env.get(name)]
    default = ssl.get_default_verify_paths().openssl_cafile
    for path in (*named, default, "/etc/ssl/certs/ca-certificates.crt"):
        try:
            return Path(path).read_bytes()
        except OSError:
            continue
    return None


def host_variables(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The host's package mirrors and proxies, without those that carry credentials."""
    return {name: env[name] for name in HOST_VARIABLES if env.get(name) and "@" not in env[name]}


class Builder:
    """A running build container; made by `build_container`."""

    def __init__(self, api: APIClient, container: str, *, env: Mapping[str, str]) -> None:
        self._api = api
        self._container = container
        self._env = env
        self._secret: re.Pattern[str] | None = None

    def put_secrets(self, files: Mapping[str, bytes]) -> None:
        """Lay files for package clients into HOME, which is memory; from here on, no word of theirs is told."""
        if not files:
            return
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            for place, content in files.items():
                entry = tarfile.TarInfo(place)
                entry.size, entry.mode = len(content), 0o600
                archive.addfile(entry, io.BytesIO(content))
        workspace.put_tree(self._api, self._container, [tar.getvalue()], to=BUILD_ENV["HOME"], user=ROOT)
        words = {word for content in files.values() for word in _SECRET.findall(content.decode("utf-8", "replace"))}
        longest_first = sorted(map(re.escape, words), key=len, reverse=True)
        self._secret = re.compile("|".join(longest_first)) if words else None

    def _open(self, text: str) -> str:
        """A text without secrets."""
        return self._secret.sub("***", text) if self._secret is not None else text

    def run(self, command: str, *, timeout: float, progress: Callable[[str], None], cwd: str = WORKSPACE) -> None:
        """Run a shell command as root, telling its lines.

        Raises:
            SetupError: it failed or took longer than `timeout` seconds; ends with its last lines.
            SandboxError: the engine failed.
        """
        lines = Lines(lambda line: progress(self._open(line)))
        ended = run(
            self._api,
            self._container,
            ["/bin/sh", "-c", f"exec 2>&1\n{command}"],
            user=ROOT,
            env=self._env,
            cwd=cwd,
            timeout=timeout,
            output=Output(cap=OUTPUT_BYTES, on_stdout=lines.feed),
        )
        if ended.exit_code == 0:
            return
        how = {
            Ending.EXITED: f"ended with {ended.exit_code}",
            Ending.DEADLINE: f"was not done after {timeout:.0f} s",
            Ending.FLOOD: f"printed more than {OUTPUT_BYTES >> 20} MiB",
        }[ended.ending]
        said = self._open(bytes(ended.output.stdout).decode("utf-8", "replace")).splitlines()[-LAST_LINES:]
        raise SetupError(
            "\n".join([f"`{command.strip().rsplit(chr(10), 1)[-1]}` {how}:", *said]),
            remedy="correct the setup commands of the repository, or what they install",
        )

    def put_tree(self, tar: Iterable[bytes]) -> None:
        """Unpack our own tar at the workspace, here on the container's disk."""
        workspace.put_tree(self._api, self._container, tar, to=WORKSPACE, user=ROOT)

    def commit(self, repository: str, tag: str, *, labels: Mapping[str, str]) -> str:
        """Make what is there now the image `repository:tag`, and return the image's id."""
        changes = [f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()]
        changes += [f"ENV PATH={PATH}", "ENV LANG=C.UTF-8", f"WORKDIR {WORKSPACE}", 'CMD ["/bin/sh"]']
        with engine_failures(f"making the image {repository}:{tag}"):
            made = self._api.commit(self._container, repository=repository, tag=tag, changes=changes)
        return str(made["Id"])


@contextmanager
def build_container(api: APIClient, image: str, *, owner: str, labels: Mapping[str, str]) -> Iterator[Builder]:
    """A build container from `image`, gone at the end whatever happens.

    Raises:
        SandboxError: the engine refused.
    """
    name = cleanup.name_for("automend-build", labels)
    bundle = ca_bundle()
    env = {**BUILD_ENV, **host_variables()}
    if bundle is not None:
        env.update(dict.fromkeys(BUNDLE_VARIABLES, BUNDLE))
    try:
        with engine_failures(f"starting a build container from {image}"):
            host = api.create_host_config(
                init=True,
                network_mode="bridge",
                security_opt=["no-new-privileges:true"],
                tmpfs={"/run": "rw,nosuid,nodev,size=16m,mode=0755", "/tmp": "rw,nosuid,nodev,exec,mode=1777"},  # noqa: S108
                log_config=LogConfig(type=LogConfig.types.NONE),
            )
            made = api.create_container(
                image,
                command=list(KEEPER),
                entrypoint=[],
                user=ROOT,
                working_dir="/",
                name=name,
                labels=cleanup.labels_for(owner, cleanup.BUILD, labels),
                host_config=host,
            )
            api.start(made["Id"])
        builder = Builder(api, made["Id"], env=env)
        _prepare(api, made["Id"], bundle)
        yield builder
    finally:
        cleanup.forget_container(api, name)


def _prepare(api: APIClient, container: str, bundle: bytes | None) -> None:
    ended = run(
        api,
        container,
        ["/bin/sh", "-c", f"mkdir -p {WORKSPACE} /tmp/home && cat > {BUNDLE}"],
        user=ROOT,
        env={},
        cwd="/",
        timeout=60,
        output=Output(cap=1 << 16),
        stdin=[bundle or b""],
    )
    if ended.exit_code != 0:
        raise SandboxError(
            f"the build container could not be prepared: {bytes(ended.output.stderr).decode('utf-8', 'replace')}",
            remedy="the base image needs /bin/sh, tar and the usual coreutils",
        )


class Lines:
    """Cuts a byte stream into lines for a progress display, at most some ten a second."""

    def __init__(self, progress: Callable[[str], None], *, every: float = 0.1) -> None:
        self._progress = progress
        self._every = every
        self._rest = b""
        self._next = 0.0

    def feed(self, data: bytes) -> None:
        """Take some bytes; tells the newest whole line."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[-4096:]
        now = time.monotonic()
        if now >= self._next:
            line = next((text for text in reversed(lines) if text.strip()), b"")
            if line:
                self._next = now + self._every
                self._progress(line.decode("utf-8", "replace").strip()[:200])
