"""A hub on loopback with two people and a small repository."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import github
import pytest

from runner.hub.server import Hub

TOKENS = {"bot": "bot-token", "ada": "ada-token", "eve": "eve-token"}


@dataclass
class World:
    """What a test has in hand."""

    hub: Hub
    url: str
    work: Path

    def api(self, login: str) -> github.Github:
        """Unmodified PyGithub, as this person."""
        return github.Github(
            base_url=f"{self.url}/api/v3",
            auth=github.Auth.Token(TOKENS[login]),
            seconds_between_requests=0,
            seconds_between_writes=0,
            retry=None,
        )

    def repo(self, login: str = "bot") -> github.Repository.Repository:
        return self.api(login).get_repo("acme/shop")

    def remote(self, login: str = "bot") -> str:
        return self.url.replace("http://", f"http://x:{TOKENS[login]}@") + "/acme/shop.git"

    def git(self, *args: str, cwd: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        return git(*args, cwd=cwd or self.work, check=check)

    def clone(self, login: str = "bot") -> Path:
        """A checkout of acme/shop."""
        target = self.work / f"clone-{len(list(self.work.iterdir()))}"
        self.git("clone", "--quiet", self.remote(login), str(target))
        return target

    def push(self, branch: str, files: dict[str, str | None], *, login: str = "bot", base: str = "main") -> str:
        """Push a branch with one commit on `base`, and return its sha."""
        tree = self.clone(login)
        self.git("checkout", "--quiet", "-B", branch, f"origin/{base}", cwd=tree)
        for name, text in files.items():
            path = tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)
        self.git("add", "-A", cwd=tree)
        self.git("commit", "--quiet", "-m", f"Work on {branch}", cwd=tree)
        self.git("push", "--quiet", "origin", branch, cwd=tree)
        return self.git("rev-parse", "HEAD", cwd=tree).stdout.strip()


def git(*args: str, cwd: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Git as a person's own, but for this machine's configuration."""
    who = {"GIT_AUTHOR_NAME": "Somebody", "GIT_AUTHOR_EMAIL": "somebody@localhost"}
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(cwd),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **who,
        **{name.replace("AUTHOR", "COMMITTER"): value for name, value in who.items()},
    }
    return subprocess.run(["git", *args], cwd=cwd, env=env, check=check, capture_output=True, text=True)


def sample(path: Path) -> Path:
    """A small repository."""
    path.mkdir()
    git("init", "--quiet", "--initial-branch=main", cwd=path)
    (path / "shop.py").write_text("def total(prices):\n    return sum(prices)\n")
    (path / "README.md").write_text("# shop\n")
    git("add", "-A", cwd=path)
    git("commit", "--quiet", "-m", "First", cwd=path)
    return path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    hub = Hub(tmp_path / "hub")
    for login, token in TOKENS.items():
        hub.add_user(login, token=token, password=f"{login}-password")
    hub.create_repo(
        "acme/shop", source=sample(tmp_path / "source"), collaborators={"bot": "write", "ada": "write", "eve": "read"}
    )
    work = tmp_path / "work"
    work.mkdir()
    yield World(hub, hub.start(), work)
    hub.stop()
