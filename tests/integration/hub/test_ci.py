"""The hub's own CI, and coming back after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import httpx
import pytest

from runner.hub.ci import container_ci
from runner.hub.server import Hub
from runner.hub.store import Pull
from sandbox.api import ExecResult, SandboxError
from tests.conftest import free_port
from tests.integration.hub.conftest import PATIENCE, RIGHTS, TOKENS, git, people, sample

AUTH = {"Authorization": f"token {TOKENS['bot']}"}


def made(tmp_path, **kwargs):
    hub = Hub(tmp_path / "hub", **kwargs)
    people(hub)
    if not hub.has_repo("acme/shop"):
        hub.create_repo("acme/shop", source=sample(tmp_path / "source"), collaborators=RIGHTS)
    return hub


def branch(hub, name="fix", text=b"x = 1\n"):
    """A branch with one commit on main."""
    where = hub.git_dir("acme/shop")
    git("--git-dir", str(where), "update-ref", f"refs/heads/{name}", "refs/heads/main", cwd=where)
    return hub.commit("acme/shop", {f"{name}.py": text}, f"Work on {name}", branch=name, author="bot")


def open_pull(url, head="fix"):
    given = {"title": "Mend", "head": head, "base": "main"}
    return httpx.post(f"{url}/api/v3/repos/acme/shop/pulls", json=given, headers=AUTH, timeout=PATIENCE).json()


def runs(url, sha):
    answer = httpx.get(f"{url}/api/v3/repos/acme/shop/commits/{sha}/check-runs", headers=AUTH, timeout=PATIENCE).json()
    return [(r["name"], r["status"], r["conclusion"], r["output"]["title"]) for r in answer["check_runs"]]


@pytest.fixture
def started(tmp_path):
    hubs = []

    def start(**kwargs):
        hub = made(tmp_path, **kwargs)
        hubs.append(hub)
        return hub, hub.start()

    yield start
    for hub in hubs:
        hub.stop()


def test_every_head_of_a_pull_is_checked_once(started):
    seen = []

    def ci(repo, sha, git_dir):
        seen.append((repo, sha))
        assert git("--git-dir", str(git_dir), "cat-file", "-t", sha, cwd=git_dir).stdout == "commit\n"
        return "failure" if len(seen) > 1 else "success", f"Run {len(seen)}", "…"

    hub, url = started(ci=ci)
    sha = branch(hub)
    assert hub.ci_settled()
    assert seen == []  # a branch alone wants no CI
    open_pull(url)
    assert hub.ci_settled()
    assert runs(url, sha) == [("ci", "completed", "success", "Run 1")]
    moved = hub.commit("acme/shop", {"more.py": b"y = 1\n"}, "More", branch="fix")
    assert hub.ci_settled()
    assert runs(url, moved) == [("ci", "completed", "failure", "Run 2")]
    assert seen == [("acme/shop", sha), ("acme/shop", moved)]


@pytest.mark.parametrize(
    ("error", "title", "words"),
    [
        (SandboxError("no engine answers", remedy="start Docker"), "CI could not run", "start Docker"),
        (ZeroDivisionError("by zero"), "CI broke", "by zero"),
    ],
)
def test_a_ci_that_cannot_run_is_a_failure_and_says_why(started, error, title, words):
    def ci(*_):
        raise error

    hub, url = started(ci=ci)
    sha = branch(hub)
    open_pull(url)
    assert hub.ci_settled()
    assert runs(url, sha) == [("ci", "completed", "failure", title)]
    answer = httpx.get(f"{url}/api/v3/repos/acme/shop/commits/{sha}/check-runs", timeout=PATIENCE).json()
    assert words in answer["check_runs"][0]["output"]["text"]


KILLED = """
import sys, threading
from pathlib import Path
from runner.hub.server import serve

def ci(repo, sha, git_dir):
    print("ci began", flush=True)
    threading.Event().wait()

serve(Path(sys.argv[1]), int(sys.argv[2]), ci=ci)
"""


def test_after_kill_9_everything_said_is_there_and_ci_goes_on(tmp_path):
    hub = made(tmp_path)
    port = free_port()
    sha = branch(hub)
    url = f"http://127.0.0.1:{port}"
    hub.site.store.close()
    command = [sys.executable, "-c", KILLED, str(tmp_path / "hub"), str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd(), env=os.environ) as process:
        with httpx.Client(transport=httpx.HTTPTransport(retries=50), headers=AUTH, timeout=PATIENCE) as patient:
            wish = {"title": "Mend", "head": "fix", "base": "main"}
            number = patient.post(f"{url}/api/v3/repos/acme/shop/pulls", json=wish).json()["number"]
        assert process.stdout is not None
        assert process.stdout.readline() == "ci began\n"
        comment = httpx.post(
            f"{url}/api/v3/repos/acme/shop/issues/{number}/comments",
            json={"body": "Kept?"},
            headers=AUTH,
            timeout=PATIENCE,
        )
        assert comment.status_code == 201
        assert runs(url, sha) == [("ci", "in_progress", None, None)]
        process.send_signal(signal.SIGKILL)
        process.wait()

    again = made(tmp_path, ci=lambda *_: ("success", "At the second try", ""))
    url = again.start()
    try:
        assert again.ci_settled()
        assert runs(url, sha) == [("ci", "completed", "success", "At the second try")]
        kept = httpx.get(f"{url}/api/v3/repos/acme/shop/issues/{number}/comments", timeout=PATIENCE).json()
        assert [c["body"] for c in kept] == ["Kept?"]
    finally:
        again.stop()


@pytest.mark.parametrize("moved", [True, False])
def test_a_merge_that_was_cut_in_two_is_finished_or_forgotten(tmp_path, moved):
    hub = made(tmp_path)
    url = hub.start()
    sha = branch(hub)
    number = open_pull(url)["number"]
    where = hub.git_dir("acme/shop")
    before = git("--git-dir", str(where), "rev-parse", "main", cwd=where).stdout.strip()
    pull = hub.site.store.one(Pull, repo=hub.site.repo("acme", "shop").id, parent=number)
    pull.merging = {"sha": sha, "before": before, "by": "ada"}
    hub.site.store.save(pull)
    if moved:
        git("--git-dir", str(where), "update-ref", "refs/heads/main", sha, cwd=where)
    hub.stop()

    again = made(tmp_path)
    url = again.start()
    try:
        found = httpx.get(f"{url}/api/v3/repos/acme/shop/pulls/{number}", timeout=PATIENCE).json()
    finally:
        again.stop()
    assert found["merged"] is moved
    assert found["state"] == ("closed" if moved else "open")
    assert found["merge_commit_sha"] == (sha if moved else None)
    assert (found["merged_by"] or {}).get("login") == ("ada" if moved else None)


# ── the container ────────────────────────────────────────────────────────────────────────────────────────────


class Box:
    """Remembers what it was asked; the real one is in the Docker test below."""

    def __init__(self, result):
        self.result = result

    def put_tree(self, tar):
        self.tar = b"".join(tar)

    def exec(self, argv, **kwargs):
        self.argv = argv
        return self.result


class Boxes:
    def __init__(self, box):
        self.box = box

    def open(self, spec):
        self.spec = spec
        return nullcontext(self.box)


@pytest.mark.parametrize(
    ("result", "conclusion", "words"),
    [
        (ExecResult(0, b"fine\n", b"", 1.5), "success", "passed in 1.5 s"),
        (ExecResult(2, b"", b"broken\n", 1.0), "failure", "exit code 2"),
        (ExecResult(None, b"", b"", 9.0, timed_out=True), "timed_out", "longer than 9 s"),
        (ExecResult(None, b"x", b"", 1.0, truncated=True), "failure", "more than it may"),
    ],
)
def test_how_a_command_ends_is_how_the_check_ends(tmp_path, result, conclusion, words):
    hub = made(tmp_path)
    box = Box(result)
    boxes = Boxes(box)
    ci = container_ci(boxes, lambda _dir, sha: f"image-of-{sha[:7]}", "make check", timeout=9)
    sha = branch(hub, text=b"answer = 42\n")
    said = ci("acme/shop", sha, hub.git_dir("acme/shop"))
    hub.site.store.close()
    assert said[0] == conclusion
    assert words in said[1]
    assert boxes.spec.image == f"image-of-{sha[:7]}"
    assert b"answer = 42\n" in box.tar
    assert "make check" in box.argv[-1]


@pytest.mark.docker
def test_ci_in_a_real_container(tmp_path, engine):
    source = sample(tmp_path / "source")
    (source / ".gitattributes").write_text("* export-ignore\n")  # must not hide anything from CI
    git("add", "-A", cwd=source)
    git("commit", "--quiet", "-m", "Attributes", cwd=source)
    hub = Hub(tmp_path / "hub")
    hub.create_repo("acme/shop", source=source)
    image = engine.base(progress=lambda _: None)
    command = 'test "$(python3 -c "import shop; print(shop.total([1, 2]))")" = 3 && echo all well'
    ci = container_ci(engine, lambda *_: image, command)
    where = hub.git_dir("acme/shop")
    head = git("--git-dir", str(where), "rev-parse", "main", cwd=where).stdout.strip()
    conclusion, title, text = ci("acme/shop", head, where)
    assert (conclusion, text) == ("success", "all well\n"), title
    broken = hub.commit("acme/shop", {"shop.py": b"def total(prices):\n    return 0\n"}, "Break it")
    assert ci("acme/shop", broken, where)[0] == "failure"
    hub.site.store.close()
