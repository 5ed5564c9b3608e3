"""kill -9 at any moment: one branch, one PR, one merge, one deploy, at most one revert, nothing left behind."""

import contextlib
import http.server
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import docker
import httpx
import pytest

from runner.app import owner_name
from runner.hub.server import Hub
from runner.model import Goal, Job, RunStatus
from runner.store import open_store

pytestmark = [pytest.mark.docker, pytest.mark.agents]

REPO = "acme/calc"
FILES = {
    "calc.py": "def mean(values):\n    return sum(values) / len(values)\n",
    "test_calc.py": "from calc import mean\n\n\ndef test_mean():\n    assert mean([1, 3]) == 2\n",
    "requirements.txt": "pytest\ncoverage\n",
}
SCRIPT = """
[[attempt]]
[[attempt.turns]]
shell = "printf 'def mean(values):\\n    return sum(values) / len(values) if values else 0\\n' > calc.py"
[[attempt.turns]]
shell = "printf '\\n\\ndef test_mean_of_nothing():\\n    assert mean([]) == 0\\n' >> test_calc.py"
[[attempt.turns]]
say = "An empty list divided by zero; its mean is 0 now."
"""


class Production(http.server.BaseHTTPRequestHandler):
    """Answers 200, unless the release that is live is the one that it cannot stand."""

    folder: Path
    bad = False

    def do_GET(self):
        live = (self.folder / "current").read_text().strip()
        ill = type(self).bad and live != (self.folder / "first").read_text().strip()
        self.send_response(500 if ill else 200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def world(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name, text in FILES.items():
        (source / name).write_text(text)
    git = ["git", "-C", str(source), "-c", "user.name=t", "-c", "user.email=t@localhost"]
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *command], check=True)
    first = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    hub = Hub(tmp_path / "hub", ci=lambda *_: ("success", "fine", ""))
    tokens = {login: secrets.token_hex(16) for login in ("bot", "rita")}
    for login, token in tokens.items():
        hub.add_user(login, token=token)
    url = hub.start()
    hub.create_repo(REPO, source=source, collaborators={"bot": "write", "rita": "write"})
    production = tmp_path / "production"
    production.mkdir()
    (production / "current").write_text(first)
    (production / "first").write_text(first)
    handler = type("Handler", (Production,), {"folder": production})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (tmp_path / "fix.toml").write_text(SCRIPT)
    deploy = "sleep 0.6; echo $AUTOMEND_RELEASE >> deploys; echo $AUTOMEND_RELEASE > new && mv new current"
    (tmp_path / "automend.toml").write_text(
        textwrap.dedent(f"""
        [agents.script]
        cli = "codex"
        model = "gpt-5.5"
        provider = "replay"
        script = "fix.toml"
        [run]
        agents = ["script"]
        [serve]
        poll_seconds = 0.2
        [summary]
        provider = "none"
        [repo."{REPO}".deploy]
        command = {json.dumps(deploy)}
        current = "cat current"
        cwd = {json.dumps(str(production))}
        [repo."{REPO}".health]
        url = "http://127.0.0.1:{server.server_address[1]}/"
        interval_seconds = 0.1
        timeout_seconds = 60
        baseline_seconds = 0.3
        window_seconds = 1
        """)
    )
    home = tmp_path / "home"
    environment = {
        # Coverage would only cost time here: whoever is killed tells it nothing.
        **{k: v for k, v in os.environ.items() if not k.startswith(("AUTOMEND_", "GITHUB_", "COV"))},
        "AUTOMEND_HOME": str(home),
        "AUTOMEND_CONFIG": str(tmp_path / "automend.toml"),
        "GITHUB_TOKEN": tokens["bot"],
        "GITHUB_API_URL": f"{url}/api/v3",
        "GITHUB_SERVER_URL": url,
        "DEATHS": str(tmp_path / "deaths"),
    }
    yield {
        "home": home, "url": url, "rita": tokens["rita"], "environment": environment, "production": production,
        "deaths": tmp_path / "deaths", "handler": handler, "first": first, "hub": hub, "tmp": tmp_path,
    }  # fmt: skip
    server.shutdown()
    server.server_close()
    hub.stop()


def api(world, path):
    headers = {"Authorization": f"token {world['rita']}"}
    url = f"{world['url']}/api/v3/repos/{REPO}/{path}"
    return httpx.get(url, headers=headers, trust_env=False, timeout=120).json()


def approve(world, pull):
    answer = httpx.post(
        f"{world['url']}/api/v3/repos/{REPO}/pulls/{pull.number}/reviews",
        json={"event": "APPROVE", "commit_id": pull.head_sha},
        headers={"Authorization": f"token {world['rita']}"},
        trust_env=False,
        timeout=120,
    )
    answer.raise_for_status()


class Lives:
    """The doomed service: one life after the other."""

    def __init__(self, world, only):
        with (world["tmp"] / "serve.log").open("ab") as log:
            self.nursery = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("doomed.py"))],
                env={**world["environment"], "DIE_ONLY_AT": only}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=log, text=True, start_new_session=True,
            )  # fmt: skip
        self.told = queue.SimpleQueue()
        self.listener = threading.Thread(target=self._listen)
        self.listener.start()

    def _listen(self):
        for line in self.nursery.stdout:
            self.told.put(int(line))

    def begin(self):
        """The process id of a new life."""
        self.nursery.stdin.write("live\n")
        self.nursery.stdin.flush()
        return self.told.get(timeout=300)

    def ended(self, seconds):
        """The exit code of the present life, if it is over within some seconds."""
        with contextlib.suppress(queue.Empty):
            return self.told.get(timeout=seconds)

    def close(self):
        """End it, a life too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.nursery.pid, signal.SIGKILL)
        self.nursery.wait(120)
        self.listener.join(120)
        self.nursery.stdin.close()
        self.nursery.stdout.close()


def live_through(world, run, *, only="", seconds=1500):
    """Start the doomed service again and again until the run is over; how often it died.

    What comes before a step is what follows the one before it, so each step has two places to die: done but not
    written down, and written down.
    """
    world["home"].mkdir(exist_ok=True)
    store = open_store(f"sqlite:///{world['home'] / 'automend.sqlite'}")
    end = time.monotonic() + seconds
    approved, deaths = False, 0
    with contextlib.closing(Lives(world, only)) as lives:
        while time.monotonic() < end:
            life = lives.begin()
            while (code := lives.ended(0.05)) is None and time.monotonic() < end:
                now = store.run(run)
                if now.pull is not None and not approved and now.status is RunStatus.PROPOSED:
                    approve(world, now.pull)
                    approved = True
                if now.status.over and not store.assignments():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(life, signal.SIGTERM)
                    assert lives.ended(300) in {0, -signal.SIGKILL}, (world["tmp"] / "serve.log").read_text()[-4000:]
                    return deaths
            deaths += 1
            assert code in {None, -signal.SIGKILL}, (world["tmp"] / "serve.log").read_text()[-4000:]
    raise AssertionError(f"not over: {store.run(run).status}\n{(world['tmp'] / 'serve.log').read_text()[-4000:]}")


def left_behind(world):
    client = docker.from_env(timeout=120)
    owner = {"label": f"automend.owner={owner_name(world['home'])}"}
    left = [c["Names"][0] for c in client.api.containers(all=True, filters=owner)]
    left += [v.name for v in client.volumes.list(filters=owner)]
    client.close()
    return left


def begin(world, goal=Goal.FIX):
    world["home"].mkdir(exist_ok=True)
    store = open_store(f"sqlite:///{world['home'] / 'automend.sqlite'}")
    job = Job(repo=REPO, goal=goal, context="ZeroDivisionError: division by zero")
    return store, store.create(job).id


@pytest.mark.slow
@pytest.mark.timeout(1800)  # some fifty deaths of a whole process, each followed by a start
def test_a_run_that_is_killed_everywhere_lands_once(world):
    store, run = begin(world)
    deaths = live_through(world, run)
    places = world["deaths"].read_text().splitlines()
    story = "\n".join(f"{m.step}: {m.summary}" for _, m in store.trail(run))
    assert deaths > 30, f"it died in {places} only; the run:\n{story}"
    for step in ("checkout.checkout", "attempt.attempt.1", "judge.judge_attempt.1", "propose.push", "propose.open_pull",
                 "merge.merge", "deploy.deploy", "watch.after"):  # fmt: skip
        assert {f"{step}:done, not written", f"{step}:written"} <= set(places)
    assert {"container with a door", "container without a door", "push:effect", "open_pull:effect", "merge:effect",
            "begin_deployment:effect", "deploy:while"} <= set(places)  # fmt: skip
    final = store.run(run)
    assert final.status is RunStatus.LANDED, final.reason
    branches = [b["name"] for b in api(world, "branches")]
    assert [b for b in branches if b.startswith("automend/")] in ([final.branch], [])
    pulls = api(world, "pulls?state=all")
    assert [p["number"] for p in pulls] == [final.pull.number]
    assert len(api(world, "commits?sha=main")) == 2
    assert (world["production"] / "deploys").read_text().split() == [final.merge_sha]
    assert len(api(world, "deployments")) == 1
    assert len(api(world, f"issues/{final.pull.number}/comments")) == 1
    assert left_behind(world) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)  # as above
def test_a_change_that_is_taken_back_is_taken_back_once(world):
    world["handler"].bad = True
    store, run = begin(world)
    live_through(world, run, only="watch.after,revert,finish.reverted,rollback,revert_pull,deploy.deploy")
    places = world["deaths"].read_text().splitlines()
    assert {"rollback:while", "revert_pull:effect", "revert.propose_revert:done, not written"} <= set(places)
    final = store.run(run)
    assert final.status is RunStatus.REVERTED, final.reason
    assert (world["production"] / "deploys").read_text().split() == [final.merge_sha, world["first"]]
    assert (world["production"] / "current").read_text().strip() == world["first"]
    assert [p["number"] for p in api(world, "pulls?state=open")] == [final.revert_pull.number]
    assert left_behind(world) == []
