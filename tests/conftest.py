"""What tests of every kind share: a Docker engine, a home of automend, small repositories, and a forge.

A service that is not there skips a test on a laptop, and fails it in CI.
"""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import pytest
from hypothesis import HealthCheck, settings

from sandbox.api import SandboxError
from sandbox.docker import DockerSandboxes

if TYPE_CHECKING:
    from tests.contract.plugin import ForgeHub

# Property tests are about what is answered, on however busy a machine; and always the same is asked, so that nobody's
# change meets a find that has nothing to do with it. `--hypothesis-profile hunt` is for finding.
settings.register_profile("automend", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("hunt", settings.get_profile("automend"), derandomize=False, max_examples=5000)
settings.load_profile("automend")

REVIEWER = "rita"
OURS = ("AUTOMEND_", "GITHUB_", "OPENAI_", "ANTHROPIC_")


def missing(service: str, why: object) -> NoReturn:
    """What a fixture says when the service that it stands for is not there."""
    if os.environ.get("CI"):
        pytest.fail(f"{service} is not there, and CI needs it: {why}", pytrace=False)
    pytest.skip(f"{service} is not there: {why}")


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerSandboxes]:
    """Sandboxes on the real Docker engine; whatever a test leaves behind fails the session."""
    made = DockerSandboxes(owner=f"tests-{secrets.token_hex(4)}", base_image=os.environ.get("AUTOMEND_BASE_IMAGE"))
    try:
        made.client.ping()
    except (SandboxError, OSError) as e:
        missing("a Docker engine", e)
    try:
        yield made
    finally:
        left = made.reap()
        made.disconnect()
    assert left == [], f"left behind: {left}"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """AUTOMEND_HOME, new and empty; no other setting of this machine, and no `automend.toml` in reach."""
    base_image = os.environ.get("AUTOMEND_BASE_IMAGE")
    for name in [name for name in os.environ if name.startswith(OURS)]:
        monkeypatch.delenv(name)
    if base_image is not None:  # which image the engine has is a fact of the machine, not a setting of a test
        monkeypatch.setenv("AUTOMEND_BASE_IMAGE", base_image)
    made, elsewhere = tmp_path / "automend-home", tmp_path / "elsewhere"
    made.mkdir(mode=0o700)
    elsewhere.mkdir()
    monkeypatch.setenv("AUTOMEND_HOME", str(made))
    monkeypatch.chdir(elsewhere)
    return made


def free_port() -> int:
    """A port of the loopback interface that is free until its taker comes.

    It is below those that the kernel gives to whoever asks for any: one of them that was given back may be the next
    one's, or the near end of somebody's connection.
    """
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    below = range(10_000, lowest) or range(10_000, 60_000)
    while True:
        port = secrets.choice(below)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class Repo:
    """Somebody's repository with a work tree. The same files in the same order are the same commits, always."""

    path: Path
    commits: list[str] = field(default_factory=list)

    @property
    def head(self) -> str:
        """The newest commit."""
        return self.git("rev-parse", "HEAD")

    def git(self, *args: str) -> str:
        """Git without this machine's configuration; what it printed."""
        when = f"@{1_700_000_000 + len(self.commits)} +0000"
        who = {"NAME": "Ada", "EMAIL": "ada@example.org", "DATE": when}
        env = {
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            **{f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()},
        }
        done = subprocess.run(["git", *args], cwd=self.path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"git {' '.join(args)}: {done.stderr}"
        return done.stdout.strip()

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "Change") -> str:
        """Write files (None deletes one) and commit them; the commit."""
        for name, content in files.items():
            path = self.path / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all", "--force")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        self.commits.append(self.head)
        return self.commits[-1]


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    """Makes a repository on branch `main` with one commit of these files: `make_repo(files, name="repo")`."""

    def make(files: Mapping[str, str | bytes | None], *, name: str = "repo", message: str = "First") -> Repo:
        path = tmp_path / name
        path.mkdir(parents=True)
        made = Repo(path)
        made.git("init", "--quiet", "--initial-branch=main")
        made.commit(files, message)
        return made

    return make


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[ForgeHub]:
    """A listening GitHub-shaped server with the accounts of `tests.contract.plugin` and the reviewer `rita`.

    Every request and answer is held to GitHub's schemas; what breaks them fails the test. A repository comes onto it
    by `hub.hub.create_repo("acme/shop", source=make_repo(files).path, collaborators=…)`, or by `hub.repo()`.
    """
    from tests.contract.plugin import ForgeHub, token_of  # noqa: PLC0415 - unit tests need not wait for a web server

    made = ForgeHub(tmp_path / "hub")
    made.hub.add_user(REVIEWER, token=token_of(REVIEWER), password=f"password-of-{REVIEWER}")
    made.start()
    try:
        yield made
    finally:
        made.hub.stop()
    if made.checked.violations:
        pytest.fail("GitHub's schemas were broken:\n" + "\n".join(made.checked.violations), pytrace=False)
