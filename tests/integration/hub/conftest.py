"""A hub on loopback with two people and a small repository."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import github
import httpx
import pytest

from runner.hub.server import Hub
from tests.contract.checker import ContractChecked

PATIENCE = 120
"""Seconds to wait for an answer: a busy machine is no fault of the hub."""

TOKENS = {"bot": "bot-token", "ada": "ada-token", "eve": "eve-token"}


@dataclass
class World:
    """What a test has in hand."""

    hub: Hub
    url: str
    work: Path
    checked: ContractChecked

    def api(self, login: str) -> github.Github:
        """Unmodified PyGithub, as this person."""
        return github.Github(
            base_url=f"{self.url}/api/v3",
            auth=github.Auth.Token(TOKENS[login]),
            seconds_between_requests=0,
            seconds_between_writes=0,
            retry=None,
            timeout=PATIENCE,
        )

    def call(self, method: str, path: str, login: str | None = "bot", **kwargs: Any) -> httpx.Response:
        """A bare request below /api/v3."""
        headers = dict(kwargs.pop("headers", {}))
        if login is not None:
            headers["Authorization"] = f"token {TOKENS[login]}"
        return httpx.request(method, f"{self.url}/api/v3{path}", headers=headers, timeout=PATIENCE, **kwargs)

    def open(
        self, branch: str = "fix", files: dict[str, str | None] | None = None
    ) -> tuple[github.PullRequest.PullRequest, str]:
        """A pull request by the bot, and its head."""
        sha = self.push(branch, files or {"shop.py": "def total(prices):\n    return sum(prices or [])\n"})
        pull = self.repo().create_pull(base="main", head=branch, title="Mend totals", body="Empty carts failed.")
        return pull, sha

    def green(self, sha: str, name: str = "ci") -> None:
        self.repo().create_check_run(name, sha, status="completed", conclusion="success")

    def approve(self, number: int, login: str = "ada") -> None:
        self.repo(login).get_pull(number).create_review(event="APPROVE", body="Good.")

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


def people(hub: Hub) -> None:
    """Bot and Ada may write, Eve may read."""
    for login, token in TOKENS.items():
        hub.add_user(login, token=token, password=f"{login}-password")


RIGHTS = {"bot": "write", "ada": "write", "eve": "read"}


# What GitHub and PyGithub do, and the description does not tell.
BEYOND = (
    "has no such operation",  # the contract's copy is pruned to what automend itself uses
    "answers application/vnd.github.diff",
    "labels → 200: request: ['urgent'] is not valid",  # PyGithub sends the short form
    "protection/required_",  # the checker takes the longer path for a branch's name
    "Abstract type",  # the checker cannot know which concrete type an answer is
    "git/refs/heads/main → 422: status 422 has no body",
    "deployments → 409: status 409 has no body",  # GitHub says why
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """All that passes is held to GitHub's schemas, as far as the contract describes the operation."""
    hub = Hub(tmp_path / "hub")
    people(hub)
    hub.create_repo("acme/shop", source=sample(tmp_path / "source"), collaborators=RIGHTS)
    checked = ContractChecked(hub.app)
    hub.app = checked
    work = tmp_path / "work"
    work.mkdir()
    yield World(hub, hub.start(), work, checked)
    hub.stop()
    assert [v for v in checked.violations if not any(words in v for words in BEYOND)] == []


@pytest.fixture
def unchecked(tmp_path: Path) -> Iterator[str]:
    """The address of a hub that gets requests which break the contract on purpose."""
    hub = Hub(tmp_path / "hub")
    people(hub)
    hub.create_repo("acme/shop", source=sample(tmp_path / "source"), collaborators=RIGHTS)
    yield hub.start()
    hub.stop()
