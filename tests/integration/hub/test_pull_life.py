"""A pull request's life, through unmodified PyGithub and git."""

from __future__ import annotations

import github
import pytest


def opened(world, branch="fix", files=None):
    sha = world.push(branch, files or {"shop.py": "def total(prices):\n    return sum(prices or [])\n"})
    pull = world.repo().create_pull(base="main", head=branch, title="Mend totals", body="Empty carts failed.")
    return pull, sha


def green(world, sha, name="ci"):
    world.repo().create_check_run(name, sha, status="completed", conclusion="success")


def test_push_open_review_check_merge(world):
    pull, sha = opened(world)
    assert (pull.number, pull.head.sha, pull.state, pull.commits, pull.changed_files) == (1, sha, "open", 1, 1)
    assert pull.mergeable is True
    assert pull.mergeable_state == "blocked"
    with pytest.raises(github.GithubException) as refused:
        pull.merge(sha=sha)
    assert refused.value.status == 405
    assert "approving review" in refused.value.data["message"]

    green(world, sha)
    world.repo("ada").get_pull(1).create_review(event="APPROVE", body="Good.")
    pull.update()
    assert pull.mergeable_state == "clean"
    done = pull.merge(sha=sha, merge_method="squash", commit_title="Mend totals (#1)", commit_message="All well.")
    assert done.merged
    assert world.repo().get_branch("main").commit.sha == done.sha
    pull = world.repo().get_pull(1)
    assert (pull.merged, pull.state, pull.merge_commit_sha, pull.merged_by.login) == (True, "closed", done.sha, "bot")
    assert pull.is_merged()
    commit = world.repo().get_commit(done.sha)
    assert commit.commit.message == "Mend totals (#1)\n\nAll well."
    assert [p.sha for p in commit.parents] == [pull.base.sha]
