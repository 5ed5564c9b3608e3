"""Answers that got lost after the forge had done its work: each write finds its own trace and goes on."""

from __future__ import annotations

import pytest

from runner.errors import ForgeError
from tests.contract.plugin import ForgeHub
from tests.integration.github.test_landing import BRANCH, git, landed, proposed, ready


def test_the_answer_to_a_new_pull_request_is_lost(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge_hub.branch(repo, BRANCH, {"app.py": b"x = 2\n"})
    forge_hub.lossy.losing = ["POST"]
    pull = forge_hub.forge().open_pull(repo, branch=BRANCH, base="main", title="t", body="b")
    assert forge_hub.lossy.losing == []
    assert pull.number == 1
    assert forge_hub.client("ann").get_repo(repo).get_pulls(state="all").totalCount == 1


def test_the_answer_to_a_merge_is_lost(forge_hub: ForgeHub) -> None:
    pull = proposed(forge_hub)
    ready(forge_hub, pull)
    forge_hub.lossy.losing = ["PUT"]
    merge = forge_hub.forge().merge(pull.repo, pull.number, sha=pull.head_sha, method="squash", title="t")
    assert forge_hub.lossy.losing == []
    assert git(forge_hub, pull.repo, "rev-parse", "main") == merge


def test_the_answer_to_a_revert_is_lost(forge_hub: ForgeHub) -> None:
    pull, _ = landed(forge_hub)
    forge_hub.lossy.losing = ["POST"]
    revert = forge_hub.forge().revert_pull(pull.repo, pull.number, title="t", body="b")
    assert forge_hub.lossy.losing == []
    assert (revert.number, forge_hub.client("ann").get_repo(pull.repo).get_pulls(state="all").totalCount) == (2, 2)


def test_the_answer_to_a_deployment_is_lost(forge_hub: ForgeHub) -> None:
    pull, merge = landed(forge_hub)
    forge_hub.lossy.losing = ["POST"]
    made = forge_hub.forge().begin_deployment(pull.repo, sha=merge, environment="production", run="r")
    deployments = forge_hub.client("ann").get_repo(pull.repo).get_deployments()
    assert [d.id for d in deployments] == [made]


def test_the_answer_to_a_comment_is_lost_and_the_step_is_done_again(forge_hub: ForgeHub) -> None:
    pull = proposed(forge_hub)
    forge = forge_hub.forge()
    forge_hub.lossy.losing = ["POST"]
    with pytest.raises(ForgeError, match="502"):
        forge.comment(pull.repo, pull.number, marker="status", body="one")
    forge.comment(pull.repo, pull.number, marker="status", body="one")
    assert forge_hub.client("ann").get_repo(pull.repo).get_issue(pull.number).get_comments().totalCount == 1


def test_a_lost_read_is_repeated_unseen(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge_hub.lossy.losing = ["GET"]
    assert forge_hub.forge().default_branch(repo) == "main"
    assert forge_hub.lossy.losing == []


def test_a_forge_that_is_down_and_comes_back(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge = forge_hub.forge(retries=0)
    assert forge.default_branch(repo) == "main"
    port = int(forge_hub.url.rpartition(":")[2])
    forge_hub.hub.stop()
    with pytest.raises(ForgeError, match="cannot be reached") as e:
        forge.default_branch(repo)
    assert e.value.remedy
    again = ForgeHub(forge_hub.hub.site.root)
    again.hub.start(port=port)
    try:
        assert forge.default_branch(repo) == "main"
    finally:
        again.hub.stop()


def test_a_wrong_token(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge = forge_hub.forge("nobody-of-that-name")
    for call in (forge.whoami, lambda: forge.default_branch(repo), lambda: forge.pull(repo, 1)):
        with pytest.raises(ForgeError, match="token is not valid"):
            call()
