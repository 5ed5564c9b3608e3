from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.errors import ForgeError, Refused
from runner.model import PullRequest
from tests.contract.plugin import BOT, ForgeHub

BRANCH = "automend/r1-fix"


def proposed(hub: ForgeHub, content: bytes = b"x = 2\n") -> PullRequest:
    repo = hub.repo()
    hub.branch(repo, BRANCH, {"app.py": content})
    return hub.forge().open_pull(repo, branch=BRANCH, base="main", title="Mend x", body="b")


def ready(hub: ForgeHub, pull: PullRequest) -> None:
    real = hub.client("ann").get_repo(pull.repo)
    real.create_check_run("ci", pull.head_sha, status="completed", conclusion="success")
    real.get_pull(pull.number).create_review(event="APPROVE")


def landed(hub: ForgeHub) -> tuple[PullRequest, str]:
    pull = proposed(hub)
    ready(hub, pull)
    return pull, hub.forge().merge(pull.repo, pull.number, sha=pull.head_sha, method="squash", title="Mend x (#1)")


def git(hub: ForgeHub, repo: str, *args: str) -> str:
    done = subprocess.run(["git", "-C", str(hub.hub.git_dir(repo)), *args], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_merge_lands_exactly_the_judged_commit(forge_hub: ForgeHub) -> None:
    pull, merge = landed(forge_hub)
    assert git(forge_hub, pull.repo, "rev-parse", "main") == merge
    assert git(forge_hub, pull.repo, "show", "main:app.py") == "x = 2"
    assert git(forge_hub, pull.repo, "log", "-1", "--format=%s", "main") == "Mend x (#1)"
    now = forge_hub.forge().pull(pull.repo, pull.number)
    assert (now.state, now.merge_sha, now.head_sha) == ("merged", merge, pull.head_sha)


def test_merged_twice_is_merged_once(forge_hub: ForgeHub) -> None:
    pull, merge = landed(forge_hub)
    again = forge_hub.forge().merge(pull.repo, pull.number, sha=pull.head_sha, method="squash", title="again")
    assert again == merge
    assert git(forge_hub, pull.repo, "rev-list", "--count", "main") == "2"


def test_what_is_not_ready_is_refused_with_the_forges_reason(forge_hub: ForgeHub) -> None:
    pull = proposed(forge_hub)
    with pytest.raises(Refused, match="does not merge octo/tool#1") as e:
        forge_hub.forge().merge(pull.repo, pull.number, sha=pull.head_sha, method="squash", title="t")
    assert e.value.remedy
    assert git(forge_hub, pull.repo, "rev-list", "--count", "main") == "1"


def test_a_moved_head_is_refused(forge_hub: ForgeHub) -> None:
    pull = proposed(forge_hub)
    ready(forge_hub, pull)
    forge_hub.hub.commit(pull.repo, {"app.py": b"evil\n"}, "More", branch=BRANCH, author="eve")
    with pytest.raises(Refused, match="not at"):
        forge_hub.forge().merge(pull.repo, pull.number, sha=pull.head_sha, method="squash", title="t")
    assert git(forge_hub, pull.repo, "show", "main:app.py") == "x = 1"


def test_a_conflict_is_refused(forge_hub: ForgeHub) -> None:
    pull = proposed(forge_hub)
    ready(forge_hub, pull)
    forge_hub.hub.commit(pull.repo, {"app.py": b"x = 99\n"}, "Meanwhile", author="ann")
    with pytest.raises(Refused, match="does not merge"):
        forge_hub.forge().merge(pull.repo, pull.number, sha=pull.head_sha, method="squash", title="t")


def test_a_closed_pull_request_is_not_merged(forge_hub: ForgeHub) -> None:
    pull = proposed(forge_hub)
    ready(forge_hub, pull)
    forge_hub.client("ann").get_repo(pull.repo).get_pull(pull.number).edit(state="closed")
    with pytest.raises(Refused, match="is closed"):
        forge_hub.forge().merge(pull.repo, pull.number, sha=pull.head_sha, method="squash", title="t")


def test_somebody_who_may_not_merge(forge_hub: ForgeHub) -> None:
    pull = proposed(forge_hub)
    ready(forge_hub, pull)
    with pytest.raises(ForgeError, match=r"40[34]"):
        forge_hub.forge("ben").merge(pull.repo, pull.number, sha=pull.head_sha, method="squash", title="t")


def test_the_revert_is_one_pull_request(forge_hub: ForgeHub) -> None:
    pull, _ = landed(forge_hub)
    forge = forge_hub.forge()
    revert = forge.revert_pull(pull.repo, pull.number, title="Revert “Mend x”", body="It got worse")
    assert (revert.state, revert.base, revert.author, revert.title) == ("open", "main", BOT, "Revert “Mend x”")
    again = forge_hub.forge().revert_pull(pull.repo, pull.number, title="other", body="other")
    assert again.number == revert.number
    assert git(forge_hub, pull.repo, "show", f"{revert.branch}:app.py") == "x = 1"
    body = forge_hub.client("ann").get_repo(pull.repo).get_pull(revert.number).body
    assert body.startswith("It got worse")
    assert f"<!-- automend:revert-of:{pull.number} -->" in body
    assert "mutation revertPullRequest" in forge_hub.checked.seen


def test_only_what_is_merged_can_be_reverted(forge_hub: ForgeHub) -> None:
    pull = proposed(forge_hub)
    with pytest.raises(Refused, match="was not merged"):
        forge_hub.forge().revert_pull(pull.repo, pull.number, title="t", body="b")


def test_a_strangers_marker_does_not_stop_the_revert(forge_hub: ForgeHub) -> None:
    pull, _ = landed(forge_hub)
    forge_hub.branch(pull.repo, "decoy", {"other.py": b"y = 1\n"})
    decoy = (
        forge_hub.client("ann")
        .get_repo(pull.repo)
        .create_pull("main", "decoy", title="decoy", body=f"<!-- automend:revert-of:{pull.number} -->")
    )
    revert = forge_hub.forge().revert_pull(pull.repo, pull.number, title="t", body="b")
    assert revert.number != decoy.number


def test_a_revert_that_later_changes_are_in_the_way_of(forge_hub: ForgeHub) -> None:
    pull, _ = landed(forge_hub)
    forge_hub.hub.commit(pull.repo, {"app.py": b"x = 1234\n"}, "Later", author="ann")
    with pytest.raises(ForgeError) as e:
        forge_hub.forge().revert_pull(pull.repo, pull.number, title="t", body="b")
    assert "reverting octo/tool#1" in e.value.message


def test_a_deployment_is_begun_and_ended_once(forge_hub: ForgeHub) -> None:
    pull, merge = landed(forge_hub)
    first = forge_hub.forge().begin_deployment(pull.repo, sha=merge, environment="production", run="r1")
    assert forge_hub.forge().begin_deployment(pull.repo, sha=merge, environment="production", run="r1") == first
    other = forge_hub.forge().begin_deployment(pull.repo, sha=merge, environment="production", run="r2")
    staging = forge_hub.forge().begin_deployment(pull.repo, sha=merge, environment="staging", run="r1")
    assert len({first, other, staging}) == 3
    for _ in range(2):
        forge_hub.forge().end_deployment(pull.repo, first, state="success", description="healthy")
    forge_hub.forge().end_deployment(pull.repo, first, state="inactive", description="x" * 500)
    real = forge_hub.client("ann").get_repo(pull.repo)
    assert real.get_deployments().totalCount == 3
    statuses = sorted(real.get_deployment(first).get_statuses(), key=lambda s: s.id)
    assert [(s.state, len(s.description)) for s in statuses] == [("success", 7), ("inactive", 140)]


def test_many_at_once_leave_one_trace(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge_hub.branch(repo, BRANCH, {"app.py": b"x = 2\n"})
    forge = forge_hub.forge()
    with ThreadPoolExecutor(6) as pool:
        pulls = list(
            pool.map(lambda _: forge.open_pull(repo, branch=BRANCH, base="main", title="t", body="b"), range(6))
        )
        assert {p.number for p in pulls} == {1}
        list(pool.map(lambda n: forge.comment(repo, 1, marker="status", body=f"{n}"), range(6)))
        ready(forge_hub, pulls[0])
        merges = set(
            pool.map(lambda _: forge.merge(repo, 1, sha=pulls[0].head_sha, method="squash", title="t"), range(6))
        )
        assert len(merges) == 1
        sha = merges.pop()
        deployments = set(
            pool.map(lambda _: forge.begin_deployment(repo, sha=sha, environment="production", run="r"), range(6))
        )
        assert len(deployments) == 1
        reverts = {r.number for r in pool.map(lambda _: forge.revert_pull(repo, 1, title="t", body="b"), range(6))}
        assert len(reverts) == 1
    real = forge_hub.client("ann").get_repo(repo)
    assert real.get_pulls(state="all").totalCount == 2
    assert real.get_issue(1).get_comments().totalCount == 1
    assert git(forge_hub, repo, "rev-list", "--count", "main") == "2"


def test_two_processes_open_one_pull_request(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge_hub.branch(repo, BRANCH, {"app.py": b"x = 2\n"})
    forges = [forge_hub.forge() for _ in range(4)]  # no lock in common, as in processes of their own
    with ThreadPoolExecutor(4) as pool:
        pulls = list(pool.map(lambda f: f.open_pull(repo, branch=BRANCH, base="main", title="t", body="b"), forges))
    assert {p.number for p in pulls} == {1}


def test_git_reaches_a_private_repository_with_nothing_on_the_command_line(forge_hub: ForgeHub, tmp_path: Path) -> None:
    repo = forge_hub.repo(private=True)
    forge = forge_hub.forge()
    work = tmp_path / "work"

    def run(*args: str, auth: dict[str, str], cwd: Path = tmp_path) -> subprocess.CompletedProcess[str]:
        plain = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null"}
        env = {**plain, "GIT_TERMINAL_PROMPT": "0", **auth}
        return subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e@x", *args],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    url = forge.clone_url(repo)
    assert run("clone", "-q", url, str(work), auth={}).returncode != 0
    assert run("clone", "-q", url, str(work), auth=forge_hub.forge("eve").git_auth(repo)).returncode != 0
    done = run("clone", "-q", url, str(work), auth=forge.git_auth(repo))
    assert done.returncode == 0, done.stderr
    (work / "app.py").write_text("x = 2\n")
    run("commit", "-qam", "Mend", auth={}, cwd=work)
    done = run("push", "-q", url, f"HEAD:refs/heads/{BRANCH}", auth=forge.git_auth(repo), cwd=work)
    assert done.returncode == 0, done.stderr
    assert forge.open_pull(repo, branch=BRANCH, base="main", title="t", body="b").number == 1
    config = (work / ".git" / "config").read_text()
    assert "Authorization" not in config
    # The header is for this repository only.
    other = forge_hub.repo("octo/other", private=True)
    assert run("ls-remote", forge.clone_url(other), auth=forge.git_auth(repo)).returncode != 0
