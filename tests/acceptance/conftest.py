"""automend from outside: the installed console script, a house of its own, real repositories, real containers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from runner.app import owner_name
from runner.exchanges import find_record, read_exchanges
from runner.store import open_store
from tests.conftest import OURS, REVIEWER, Repo
from tests.contract.plugin import BOT, ForgeHub, token_of

SCRIPT = Path(sys.executable).with_name("automend")

CALC = {
    "calc.py": "def mean(values):\n    return sum(values) / len(values)\n",
    "test_calc.py": "from calc import mean\n\n\ndef test_mean():\n    assert mean([1, 3]) == 2\n",
    "requirements.txt": "pytest\ncoverage\n",
}
"""A repository with a bug. The same requirements everywhere, so that one environment image serves all."""

TRACEBACK = """Traceback (most recent call last):
  File "/srv/calc.py", line 2, in mean
    return sum(values) / len(values)
ZeroDivisionError: division by zero
"""

FIXED = "def mean(values):\n    return sum(values) / len(values) if values else 0\n"
NEW_TEST = "\n\ndef test_mean_of_nothing():\n    assert mean([]) == 0\n"

Turn = Mapping[str, object]


def shell(command: str) -> Turn:
    """The model calls the shell."""
    return {"shell": command}


def say(words: str) -> Turn:
    """The model says its last words."""
    return {"say": words}


def write(name: str, text: str, *, append: bool = False) -> Turn:
    """The model writes a file."""
    return shell(f"cat {'>>' if append else '>'}{name} <<'END'\n{text}END\n")


FIX = (write("calc.py", FIXED), write("test_calc.py", NEW_TEST, append=True), say("The mean of nothing is 0 now."))
"""What makes the gate say yes."""


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output as the one JSON document that it has to be."""
        return json.loads(self.out)

    @property
    def said(self) -> str:
        """Standard error as one line, however it was wrapped."""
        return " ".join(self.err.split())


@dataclass
class House:
    """One AUTOMEND_HOME, the folder where commands are given, and a settings file that is built up by a test."""

    folder: Path
    env: dict[str, str]
    agents: list[str] = field(default_factory=list)
    settings: list[str] = field(default_factory=list)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """AUTOMEND_HOME."""
        return Path(self.env["AUTOMEND_HOME"])

    def agent(self, *attempts: tuple[Turn, ...], name: str = "script", cli: str = "codex", use: bool = True) -> None:
        """Configure an agent whose model follows a script; each argument is what it does in one attempt."""
        lines = []
        for turns in attempts:
            lines.append("[[attempt]]")
            for turn in turns:
                lines += ["[[attempt.turns]]", *(f"{key} = {json.dumps(value)}" for key, value in turn.items())]
        (self.folder / f"{name}.toml").write_text("\n".join(lines) + "\n")
        model = {"codex": "gpt-5.3-codex", "claude": "claude-sonnet-4-6"}[cli]
        self.configure(
            f'[agents.{name}]\ncli = "{cli}"\nmodel = "{model}"\nprovider = "replay"\nscript = "{name}.toml"\n',
            agent=name if use else None,
        )

    def configure(self, table: str, *, agent: str | None = None) -> None:
        """Add a table to `automend.toml`."""
        if agent is not None:
            self.agents.append(agent)
        self.settings.append(table)
        first = f"[run]\nagents = {json.dumps(self.agents)}\n" if self.agents else ""
        text = "\n".join([first, '[summary]\nprovider = "none"\n', *self.settings])
        (self.folder / "automend.toml").write_text(text)

    def write(self, name: str, content: str | bytes) -> Path:
        """A file beside `automend.toml`."""
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def __call__(
        self, *args: str | Path, stdin: bytes | None = None, env: Mapping[str, str] | None = None, timeout: float = 600
    ) -> Done:
        """Give a command and wait for its end."""
        done = subprocess.run(
            [SCRIPT, *args], cwd=self.folder, env={**self.env, **(env or {})}, input=stdin or b"",
            capture_output=True, timeout=timeout, check=False,
        )  # fmt: skip
        ended = Done(done.returncode, done.stdout.decode(), done.stderr.decode())
        # Ours would begin a line; what a repository's own tests print is shown in a frame.
        assert not re.search(r"(?m)^Traceback", ended.err.replace(TRACEBACK, "")), ended.err
        return ended

    def start(self, *args: str | Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Give a command that goes on."""
        process = subprocess.Popen(
            [SCRIPT, *args], cwd=self.folder, env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.started.append(process)
        return process

    def runs(self) -> list[dict[str, Any]]:
        """All runs, newest first, as `status` tells them."""
        return list(self._look("status", "--all", "--json").document)

    def show(self, run: str) -> dict[str, Any]:
        """A run, as `show` tells it."""
        return dict(self._look("show", run, "--json").document)

    def _look(self, *args: str) -> Done:
        # Asked all the time: not to measure coverage each time anew halves what it takes.
        unmeasured = {k: v for k, v in self.env.items() if not k.startswith("COV")}
        return House(self.folder, unmeasured)(*args)

    def asked(self, run: str, number: int) -> str:
        """Everything that the CLI of an attempt sent to its model."""
        path = find_record(self.home / "runs" / run, number)
        assert path is not None
        return "\n".join(e.request for e in read_exchanges(path))

    def until(self, holds: Callable[[dict[str, Any]], bool], *, run: str, seconds: float = 600) -> dict[str, Any]:
        """Wait until something holds of a run; read from the store, as commands would slow down what they watch."""
        store = open_store(f"sqlite:///{self.home / 'automend.sqlite'}")
        end = time.monotonic() + seconds
        while True:
            now = {**store.run(run).model_dump(mode="json"), "now": store.now(run)}
            if holds(now):
                return now
            if time.monotonic() > end:
                trail = "\n".join(f"{m.step}: {m.summary}" for _, m in store.trail(run))
                pytest.fail(f"it is {now['status']} ({now['reason']}; {now['now']}) after {seconds} s:\n{trail}")
            time.sleep(0.05)

    def until_containers_run(self, count: int = 1) -> None:
        """Wait until so many containers of ours run at the same time."""
        ours = f"automend.owner={owner_name(self.home)}"
        client = docker.from_env(timeout=600)
        try:
            # Listening before looking: what starts in between is heard.
            began: Any = f"{time.time():.6f}"
            starts = client.events(since=began, filters={"event": "start", "label": ours}, decode=True)
            while len(client.api.containers(filters={"label": ours})) < count:
                next(starts)
            starts.close()
        finally:
            client.close()

    def left_behind(self) -> list[str]:
        """Containers and volumes that carry our label."""
        client = docker.from_env(timeout=120)
        try:
            ours = {"label": f"automend.owner={owner_name(self.home)}"}
            left = [str(c["Names"][0]) for c in client.api.containers(all=True, filters=ours)]
            return left + [str(v.name) for v in client.volumes.list(filters=ours) if "tools" not in str(v.name)]
        finally:
            client.close()

    def close(self) -> None:
        """End what was started."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(120)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()


def build_house(folder: Path) -> House:
    """A house with nothing in it, and none of this machine's settings."""
    (folder / "home").mkdir(mode=0o700)
    (folder / "here").mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(OURS) and k not in {"PYTHONPATH", "FORCE_COLOR"}}
    if (image := os.environ.get("AUTOMEND_BASE_IMAGE")) is not None:
        env["AUTOMEND_BASE_IMAGE"] = image
    made = House(folder / "here", {**env, "AUTOMEND_HOME": str(folder / "home"), "COLUMNS": "300"})
    made.configure("")
    return made


def closed_well(house: House) -> Iterator[House]:
    """Hand a house to a test, and see that nothing is left when it is done."""
    try:
        yield house
    finally:
        house.close()
    if not [p for p in house.started if p.returncode == -signal.SIGKILL]:
        with contextlib.suppress(docker.errors.DockerException):
            assert house.left_behind() == []


def told(process: subprocess.Popen[str], words: str) -> str:
    """Read what a command says on standard error, up to the line with these words."""
    heard = ""
    assert process.stderr is not None
    for line in process.stderr:
        heard += line
        if words in line:
            return heard
    pytest.fail(f"it ended without a word of {words!r}:\n{heard}")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A house of automend, new for each test."""
    yield from closed_well(build_house(tmp_path))


@pytest.fixture
def calc(make_repo: Callable[..., Repo]) -> Repo:
    """The repository with the bug."""
    return make_repo(CALC, name="calc")


# ── with a forge ─────────────────────────────────────────────────────────────────────────────────────────────


class Faulty:
    """In front of a hub: answers 503 to what a test says is broken."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.broken: list[tuple[str, str]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or not."""
        hit = scope["type"] == "http" and any(
            scope["method"] == method and scope["path"].endswith(end) for method, end in self.broken
        )
        if not hit:
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 503, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"out of order"})


@dataclass
class Town:
    """A house, and a forge with people."""

    house: House
    hub: ForgeHub
    faulty: Faulty
    ci: list[tuple[str, str, str]]
    """What CI says next of a commit: conclusion, title, text. The last answer is said again and again."""

    def repo(self, source: Repo, name: str, **kwargs: Any) -> str:
        """Put a repository on the forge: the bot and rita may write, ben may read."""
        people = {BOT: "write", REVIEWER: "write", "ben": "read"}
        self.hub.hub.create_repo(name, source=source.path, **{"collaborators": people, **kwargs})
        return name

    def get(self, path: str) -> Any:
        """GET below /repos of the API, as rita."""
        answer = httpx.get(
            f"{self.hub.api_url}/repos/{path}", headers={"Authorization": f"token {token_of(REVIEWER)}"},
            trust_env=False, timeout=120,
        )  # fmt: skip
        answer.raise_for_status()
        return answer.json()

    def review(self, pull: Mapping[str, Any], event: str, body: str = "", *, login: str = REVIEWER) -> None:
        """What a person does in the browser: APPROVE or REQUEST_CHANGES."""
        answer = httpx.post(
            f"{self.hub.api_url}/repos/{pull['repo']}/pulls/{pull['number']}/reviews",
            json={"event": event, "commit_id": self.head(pull), "body": body},
            headers={"Authorization": f"token {token_of(login)}"}, trust_env=False, timeout=120,
        )  # fmt: skip
        answer.raise_for_status()

    def head(self, pull: Mapping[str, Any]) -> str:
        """Where a pull request is now."""
        return str(self.get(f"{pull['repo']}/pulls/{pull['number']}")["head"]["sha"])

    def branches(self, name: str) -> list[str]:
        """Branches of ours on the forge."""
        found = [str(b["name"]) for b in self.get(f"{name}/branches")]
        return [b for b in found if b.startswith("automend/")]

    def pulls(self, name: str, state: str = "open") -> list[dict[str, Any]]:
        """Pull requests."""
        return list(self.get(f"{name}/pulls?state={state}"))

    def comments(self, pull: Mapping[str, Any]) -> list[str]:
        """What stands below a pull request."""
        return [str(c["body"]) for c in self.get(f"{pull['repo']}/issues/{pull['number']}/comments")]


def build_town(folder: Path) -> Iterator[Town]:
    """A house and a forge, which know each other; every request is held to GitHub's schemas."""
    house = build_house(folder)
    ci: list[tuple[str, str, str]] = [("success", "all is well", "")]
    hub = ForgeHub(folder / "hub", ci=lambda *_: ci.pop(0) if len(ci) > 1 else ci[0])
    hub.hub.add_user(REVIEWER, token=token_of(REVIEWER), password=f"password-of-{REVIEWER}")
    faulty = Faulty(hub.hub.app)
    hub.hub.app = faulty
    hub.start()
    house.env |= {
        "GITHUB_TOKEN": token_of(BOT), "GITHUB_API_URL": hub.api_url, "GITHUB_SERVER_URL": hub.url,
    }  # fmt: skip
    try:
        for kept in closed_well(house):
            yield Town(kept, hub, faulty, ci)
    finally:
        hub.hub.stop()
    if hub.checked.violations:
        pytest.fail("GitHub's schemas were broken:\n" + "\n".join(hub.checked.violations), pytrace=False)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A house with a forge, new for each test."""
    yield from build_town(tmp_path)
