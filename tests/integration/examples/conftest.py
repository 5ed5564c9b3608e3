"""The sample shop: a repository of it, and a host that it is deployed on, for real."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from runner.agents.script import load_script
from tests.conftest import free_port

EXAMPLES = Path(__file__).parents[3] / "examples"
HOST = EXAMPLES / "shop-host"
PYTHON_FIRST = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Repo:
    """A git repository of the shop, with whatever is committed on top."""

    path: Path

    def git(self, *args: str) -> str:
        env = {
            **os.environ,
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_SYSTEM": "/dev/null",
            **{
                f"GIT_{who}_{what}": "test@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
            },
        }
        return subprocess.run(
            ["git", *args], cwd=self.path, env=env, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """A command in the checkout, with this Python as python3."""
        env = {"PATH": PYTHON_FIRST, "HOME": str(self.path.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(argv, cwd=self.path, env=env, capture_output=True, text=True, check=False, timeout=300)

    def test(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self.run("python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", *args)

    def replay(self, act: str, attempt: int) -> str:
        """Do what the agent of a replay does in one attempt; what it says at the end."""
        said = ""
        for turn in load_script(HOST / "replay" / f"{act}.toml").turns(attempt):
            if turn.shell is not None:
                done = self.run("/bin/sh", "-c", turn.shell)
                assert done.returncode == 0, done.stderr
            said = turn.say or ""
        assert said
        return said


@dataclass(frozen=True)
class Host:
    """The machine that the shop is deployed on."""

    root: Path
    port: int
    repo: Repo
    scripts: Path = HOST

    @property
    def env(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "SHOP_ROOT": str(self.root),
            "SHOP_PORT": str(self.port),
            "SHOP_REPO": str(self.repo.path),
            "SHOP_PYTHON": sys.executable,
        }

    @property
    def log(self) -> Path:
        return self.root / "shop.log"

    @property
    def pid(self) -> int:
        return int((self.root / "pid").read_text().split()[0])

    def command(self, script: str) -> str:
        """The script as a shell command that needs no environment, as in a configuration file."""
        settings = " ".join(f"{key}='{value}'" for key, value in self.env.items() if key != "PATH")
        return f"{settings} {HOST / script}"

    def run(self, script: str, release: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(HOST / script)],
            env={**self.env, "AUTOMEND_RELEASE": release},
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    def deploy(self, release: str) -> None:
        done = self.run("deploy.sh", release)
        assert done.returncode == 0, done.stderr

    def current(self) -> str:
        return self.run("current.sh").stdout.strip()

    def ask(self, path: str, body: object = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            with DIRECT.open(f"http://127.0.0.1:{self.port}{path}", data, timeout=120) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as e:
            with e:
                return e.code, json.load(e)

    def services(self) -> list[int]:
        """Every process of the shop that belongs to this host."""
        found = []
        for proc in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if proc.name.isdigit() and f"SHOP_ROOT={self.root}\0".encode() in (proc / "environ").read_bytes():
                    command = (proc / "cmdline").read_bytes()
                    if command.endswith(b"-m\0shop\0"):
                        found.append(int(proc.name))
        return found

    @contextlib.contextmanager
    def traffic(self, *more: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, str(HOST / "traffic.py"), "--port", str(self.port), "--seconds", "600", *more],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=120)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    path = tmp_path / "shop"
    shutil.copytree(EXAMPLES / "shop", path, ignore=shutil.ignore_patterns("__pycache__", ".*_cache", ".coverage"))
    made = Repo(path)
    made.git("init", "--quiet", "--initial-branch=main")
    made.commit("The shop")
    return made


@pytest.fixture
def host(tmp_path: Path, repo: Repo) -> Iterator[Host]:
    made = Host(tmp_path / "host", free_port(), repo)
    try:
        yield made
    finally:
        made.run("stop.sh")
        for pid in made.services():
            os.kill(pid, signal.SIGKILL)
