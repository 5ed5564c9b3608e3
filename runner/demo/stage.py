"""The stage: a forge, a host's configuration, a service in production, its customers, and `automend serve`.

Everything is real but two things, which the demo says: the forge is our GitHub-shaped server, and (without `--live`)
the model is a script that answers the real agent through the gateway.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

import runner
from runner.app import App, build
from runner.config import Host, load
from runner.errors import DeployError, UsageError
from runner.github.forge import GitHubForge
from runner.hub.ci import container_ci
from runner.hub.server import Hub
from runner.model import CiStatus
from runner.ports import Forge
from runner.project import environment_recipe
from runner.steps.house import labels, project_of

REPO = "acme/shop"
BOT = "automend-bot"
REVIEWER = "rita"
CI_SECONDS = 60.0
WINDOW_SECONDS = 4.0
BASELINE_SECONDS = 2.0
PATIENCE_SECONDS = 60.0
"""Longest wait for an answer of what runs on this very machine, however busy it is."""


@dataclass
class Stage:
    """What the acts work with."""

    root: Path
    host: Host
    app: App
    hub: Hub
    hub_url: str
    place: socket.socket
    environment: dict[str, str]
    passwords: dict[str, str]
    tokens: dict[str, str]
    reader: Forge

    # ── production ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def port(self) -> int:
        """Where the service listens on loopback. It is ours also while a deploy has the service down."""
        return int(self.place.getsockname()[1])

    @property
    def log(self) -> Path:
        """The service's log file."""
        return self.root / "shop" / "shop.log"

    def request(self, cart: dict[str, object]) -> tuple[int, str]:
        """Ask the service for a quote: status and body."""
        answer = httpx.post(f"http://127.0.0.1:{self.port}/quote", json=cart, timeout=PATIENCE_SECONDS, trust_env=False)
        return answer.status_code, answer.text

    def live_release(self) -> str:
        """The commit that the running service says it is."""
        answer = httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=PATIENCE_SECONDS, trust_env=False)
        return str(answer.json()["release"])

    def first_deploy(self, release: str) -> None:
        """Put the first release live with the same script that automend uses.

        Raises:
            DeployError: it does not come up.
        """
        done = subprocess.run(
            ["sh", str(_host_files() / "deploy.sh")],
            env={**self.shop_environment(), "AUTOMEND_RELEASE": release},
            capture_output=True,
            text=True,
            check=False,
            timeout=5 * PATIENCE_SECONDS,
        )
        if done.returncode != 0:
            raise DeployError(f"the shop does not start: {(done.stderr or done.stdout)[-2000:]}")

    def shop_environment(self) -> dict[str, str]:
        """What the deploy scripts need to know."""
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "SHOP_ROOT": str(self.root / "shop"),
            "SHOP_PORT": str(self.port),
            "SHOP_REPO": f"{self.hub_url}/{REPO}.git",
            "SHOP_PYTHON": sys.executable,
        }

    @contextlib.contextmanager
    def customers(self, seconds: float = 3600) -> Iterator[None]:
        """Customers, a few visits a second, for as long as the context lasts."""
        script = _host_files() / "traffic.py"
        with subprocess.Popen(
            [sys.executable, str(script), "--port", str(self.port), "--seconds", str(seconds), "--rate", "5"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:
            try:
                yield
            finally:
                process.terminate()

    # ── automend and people ─────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def service(self) -> Iterator[subprocess.Popen[bytes]]:
        """`automend serve`, a process of its own."""
        with (self.root / "serve.log").open("ab") as log, self.automend("serve", log=log) as process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(timeout=PATIENCE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()

    def automend(self, *arguments: str, log: IO[bytes] | int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        """A command of the installed automend, with this stage's environment."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("automend")), *arguments],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

    def approve(self, number: int, sha: str) -> None:
        """What a colleague does: approve this commit."""
        answer = httpx.post(
            f"{self.hub_url}/api/v3/repos/{REPO}/pulls/{number}/reviews",
            json={"event": "APPROVE", "commit_id": sha, "body": "The evidence convinces me."},
            headers={"Authorization": f"token {self.tokens[REVIEWER]}"},
            timeout=PATIENCE_SECONDS,
            trust_env=False,
        )
        answer.raise_for_status()

    def ci(self, sha: str) -> CiStatus:
        """What the forge's CI says of a commit."""
        return self.reader.ci(REPO, sha)

    def close(self) -> None:
        """Take the shop off the net and the hub down."""
        subprocess.run(
            ["sh", str(_host_files() / "stop.sh")], env=self.shop_environment(), check=False, capture_output=True
        )
        self.hub.ci_settled(CI_SECONDS)  # a pull request of the last second has its CI still going
        self.hub.stop()
        self.app.sandboxes.reap()
        self.app.close()
        self.place.close()


def set_up(root: Path, *, agent: str, live: bool) -> Stage:
    """Build the stage in an empty folder.

    Raises:
        UsageError: the examples are not there, or `live` without a key.
    """
    for name in ("automend", "hub", "shop"):
        shutil.rmtree(root / name, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    place = _free_place()
    tokens = {name: secrets.token_hex(16) for name in (BOT, REVIEWER)}
    passwords = {name: secrets.token_hex(4) for name in (BOT, REVIEWER)}
    # The hub's CI runs in containers too, so its engine comes from an installation of its own.
    app = build(_host(root, {}, name="hub"), owner=f"demo-hub-{os.getpid()}")
    hub = Hub(root / "hub", ci=_ci(app))
    for login in (BOT, REVIEWER):
        hub.add_user(login, token=tokens[login], password=passwords[login])
    url = hub.start()
    (root / "automend.toml").write_text(
        _settings(root, place.getsockname()[1], url, agent=agent, live=live), encoding="utf-8"
    )
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("AUTOMEND_", "GITHUB_"))},
        "AUTOMEND_HOME": str(root / "automend"),
        "AUTOMEND_CONFIG": str(root / "automend.toml"),
        "GITHUB_TOKEN": tokens[BOT],
        "GITHUB_API_URL": f"{url}/api/v3",
        "GITHUB_SERVER_URL": url,
        **({"AUTOMEND_BASE_IMAGE": base} if (base := os.environ.get("AUTOMEND_BASE_IMAGE")) else {}),
    }
    hub.create_repo(
        REPO,
        source=_repository(_examples() / "shop", root / "hub" / "shop"),
        collaborators={BOT: "write", REVIEWER: "write"},
        required_approvals=1,
        required_checks=("ci",),
    )
    host = load(environment)
    reader = GitHubForge(token=tokens[REVIEWER], api_url=f"{url}/api/v3", server_url=url)
    return Stage(root, host, app, hub, url, place, environment, passwords, tokens, reader)


def _settings(root: Path, port: int, url: str, *, agent: str, live: bool) -> str:
    files, shop = _host_files(), root / "shop"
    model = {"codex": "gpt-5.5", "claude": "claude-sonnet-4-6"}[agent]
    provider = {"codex": "openai", "claude": "anthropic"}[agent]
    one = (
        f'provider = "{provider}"'
        if live
        else f'provider = "replay"\nscript = {json.dumps(str(files / "replay/act-one.toml"))}'
    )
    known = {"SHOP_ROOT": shop, "SHOP_PORT": port, "SHOP_REPO": f"{url}/{REPO}.git", "SHOP_PYTHON": sys.executable}
    exports = " ".join(f"{key}={shlex.quote(str(value))}" for key, value in known.items())
    return f"""# Written by `automend demo`.
[agents.act-one]
cli = "{agent}"
model = "{model}"
{one}

[agents.act-two]
cli = "{agent}"
model = "{model}"
provider = "replay"
script = {json.dumps(str(files / "replay/act-two.toml"))}

[run]
agents = ["act-one"]

[serve]
poll_seconds = 0.5

[summary]
{"" if live else 'provider = "none"'}

[repo."{REPO}".deploy]
command = {json.dumps(f"{exports} sh {shlex.quote(str(files / 'deploy.sh'))}")}
current = {json.dumps(f"{exports} sh {shlex.quote(str(files / 'current.sh'))}")}
timeout_seconds = 300

[repo."{REPO}".health]
url = "http://127.0.0.1:{port}/health"
log = {json.dumps(str(shop / "shop.log"))}
interval_seconds = 0.25
timeout_seconds = 10
baseline_seconds = {BASELINE_SECONDS}
window_seconds = {WINDOW_SECONDS}
"""


def _ci(app: App):  # type: ignore[no-untyped-def]
    """The hub's CI: the repository's own command on the head, in a container of the repository's environment."""

    def image_for(git_dir: Path, sha: str) -> str:
        mirror = app.house.mirror(str(git_dir))
        tree = mirror.tree_of(mirror.fetch(str(git_dir), ref=sha, auth={}))
        project = project_of(mirror, tree, app.host.repo(REPO))
        recipe = environment_recipe(project, mirror, tree)
        return app.house.sandboxes.environment(recipe, labels=labels("ci"), progress=lambda _: None).image

    return container_ci(app.house.sandboxes, image_for, "sh ci")


def _host(root: Path, environ: dict[str, str], *, name: str) -> Host:
    base = {"AUTOMEND_BASE_IMAGE": image} if (image := os.environ.get("AUTOMEND_BASE_IMAGE")) else {}
    return load({**base, **environ, "AUTOMEND_HOME": str(root / name / "home"), "AUTOMEND_CONFIG": os.devnull})


def _examples() -> Path:
    folder = Path(runner.__file__).parents[1] / "examples"
    if not (folder / "shop").is_dir():
        raise UsageError("the demo's service is not here", remedy="run the demo from a clone of the repository: ./demo")
    return folder


def _repository(files: Path, at: Path) -> Path:
    """A git repository with one commit of the files."""
    shutil.copytree(files, at, ignore=shutil.ignore_patterns("__pycache__", ".*_cache", ".coverage*"))
    git = ["git", "-C", str(at), "-c", "user.name=Shop", "-c", "user.email=shop@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "The shop"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    return at


def _host_files() -> Path:
    return _examples() / "shop-host"


def _free_place() -> socket.socket:
    """A port on loopback that is kept from everybody else: bound, but not listened on, which is left to the service."""
    place = socket.socket()
    place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the service has it, too: so both may be bound
    place.bind(("127.0.0.1", 0))
    return place
