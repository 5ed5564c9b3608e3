"""What automend needs on this host, looked at one by one: each with what is wrong, and how to mend it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Literal, NamedTuple

from runner.agents.catalog import script_of
from runner.app import App
from runner.errors import AutomendError, ConfigError
from runner.github.doctor import check_token
from sandbox import contract, debian
from sandbox.api import SandboxError
from sandbox.host import traits
from sandbox.image import image_id

_OLDEST_GIT = (2, 38)  # `git merge-tree --write-tree`


class Symptom(NamedTuple):
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "warn", "bad"]
    what: str
    remedy: str = ""


def examine(app: App, repo: str | None) -> list[Symptom]:
    """Look at everything; a check that breaks is itself a symptom, never a silence."""
    looks: tuple[tuple[str, Callable[[], list[Symptom]]], ...] = (
        ("settings", lambda: _settings(app)),
        ("git", _git),
        ("docker", lambda: _docker(app)),
        ("agents", lambda: _agents(app)),
        ("github", lambda: _github(app, repo)),
    )
    symptoms: list[Symptom] = []
    for name, look in looks:
        try:
            symptoms += look()
        except (AutomendError, SandboxError) as e:
            symptoms.append(Symptom(name, "bad", e.message, e.remedy))
    return symptoms


def try_sandbox(app: App, *, progress: Callable[[str], None]) -> list[Symptom]:
    """Try every promise of the sandbox against the real engine, and say which this host does not keep."""
    try:
        image = app.sandboxes.base(progress=progress)
        told = traits(app.sandboxes.client.info(), str(app.sandboxes.client.version()["Version"]))
        answers = list(contract.examine(app.sandboxes, image=image, progress=progress))
    except SandboxError as e:
        return [Symptom("sandbox", "bad", e.message, e.remedy)]
    states: dict[bool | None, Literal["ok", "warn", "bad"]] = {True: "ok", None: "warn", False: "bad"}
    return [Symptom(f"host {t.name}", states[t.holds], t.what, t.remedy) for t in told] + [
        Symptom(f"sandbox {a.name}", "ok", a.promise)
        if a.broken is None
        else Symptom(f"sandbox {a.name}", "bad", f"{a.promise} BROKEN: {a.broken}", "do not run agents on this engine")
        for a in answers
    ]


def _settings(app: App) -> list[Symptom]:
    source = app.host.settings.source
    found = [Symptom("settings", "ok", f"{source or 'no automend.toml here: defaults'}; state in {app.host.home}")]
    if app.host.disabled:
        found.append(Symptom("switch", "warn", "AUTOMEND_DISABLED is set: no new work is begun", "unset it"))
    free = shutil.disk_usage(app.host.home).free / (1 << 30)
    if free < 5:  # noqa: PLR2004 - GiB: an environment image and a few checkouts
        found.append(Symptom("disk", "warn", f"{free:.1f} GiB free at {app.host.home}", "make room: images need some"))
    return found


def _git() -> list[Symptom]:
    if shutil.which("git") is None:
        return [Symptom("git", "bad", "there is no git on PATH", "apt-get install git")]
    said = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False).stdout
    numbers = re.search(r"(\d+)\.(\d+)", said)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < _OLDEST_GIT:
        return [
            Symptom("git", "bad", f"{said.strip()} is too old", "2.38 or newer is needed (merge-tree --write-tree)")
        ]
    return [Symptom("git", "ok", said.strip())]


def _docker(app: App) -> list[Symptom]:
    version = app.sandboxes.client.version()
    where = os.environ.get("DOCKER_HOST")
    found = [Symptom("docker", "ok", f"engine {version['Version']}" + (f" at {where}" if where else ""))]
    name = app.host.base_image or debian.image_name()
    built = image_id(app.sandboxes.client.api, name)
    if built is None:
        found.append(
            Symptom(
                "base image", "warn", f"{name} is not there yet", "the first run builds it; that takes a minute or two"
            )
        )
    else:
        found += [Symptom("base image", "ok", name), _gateway(app, built)]
    return found


def _gateway(app: App, image: str) -> Symptom:
    """How agents' containers reach the gateway, whose socket is a file of this host."""
    if app.sandboxes.sees(app.host.home, image=image):
        return Symptom("gateway", "ok", "the engine sees this host's files: the gateway's socket is mounted")
    return Symptom(
        "gateway", "ok", f"the engine does not see {app.host.home}: the gateway is relayed over its connection"
    )


def _agents(app: App) -> list[Symptom]:
    symptoms = []
    keys = {
        "openai": ("OPENAI_API_KEY", app.host.secrets.openai_api_key),
        "anthropic": ("ANTHROPIC_API_KEY", app.host.secrets.anthropic_api_key),
    }
    for name in app.host.settings.run.agents:
        agent = app.host.settings.all_agents[name]
        what = f"{agent.cli} with {agent.model}"
        if agent.provider == "replay":
            script = script_of(agent, app.host)
            if script.is_file():
                symptoms.append(Symptom(f"agent {name}", "ok", f"{what}, replaying {script}"))
            else:
                words = f"{what}: there is no script {script}"
                symptoms.append(
                    Symptom(f"agent {name}", "bad", words, f"agents.{name}.script names a file that is there")
                )
            continue
        variable, key = keys[agent.provider]
        if agent.keyless:
            symptoms.append(Symptom(f"agent {name}", "ok", f"{what} at {agent.base_url}, without a key (not tried)"))
        elif key is None:
            symptoms.append(Symptom(f"agent {name}", "warn", f"{what}: {variable} is not set", f"export {variable}=…"))
        else:
            symptoms.append(Symptom(f"agent {name}", "ok", f"{what}, {variable} is set (not tried: that costs money)"))
    return symptoms + _prices(app)


def _prices(app: App) -> list[Symptom]:
    """Where money is limited, every model needs a price."""
    settings = app.host.settings
    if not settings.money_limits:
        return []
    try:
        settings.require_prices(settings.run.agents)
    except ConfigError as e:
        return [Symptom("prices", "bad", e.message, e.remedy)]
    return [Symptom("prices", "ok", f"known for every agent; limited by {', '.join(settings.money_limits)}")]


def _github(app: App, repo: str | None) -> list[Symptom]:
    token = app.host.secrets.github_token
    if token is None and repo is None:
        return [Symptom("forge", "warn", "no token: local repositories only, no pull requests", "set GITHUB_TOKEN")]
    where = app.locate(repo).forge if repo is not None else None
    answers = check_token(
        token=token.get_secret_value() if token is not None else "",
        api_url=app.host.github_api_url,
        server_url=app.host.github_server_url,
        repo=where,
    )
    return [Symptom(a.name, a.state, a.what, a.remedy) for a in answers]
