from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.errors import ForgeError
from runner.model import Verdict
from tests.contract.plugin import BOT, ForgeHub

BRANCH = "automend/r1-fix"


def proposed(hub: ForgeHub, **kwargs: Any) -> tuple[str, int, str]:
    """A repository with an open pull request of the bot's: (OWNER/NAME, number, head)."""
    repo = hub.repo(**kwargs)
    sha = hub.branch(repo, BRANCH, {"app.py": b"x = 2\n"})
    return repo, hub.forge().open_pull(repo, branch=BRANCH, base="main", title="t", body="b").number, sha


def test_ci_from_nothing_to_green(forge_hub: ForgeHub) -> None:
    repo, _, sha = proposed(forge_hub)
    forge = forge_hub.forge()
    real = forge_hub.client("ann").get_repo(repo)
    assert forge.ci(repo, sha).verdict is Verdict.INCONCLUSIVE
    run = real.create_check_run("ci", sha, status="in_progress")
    running = forge.ci(repo, sha)
    assert (running.verdict, "ci (in_progress)" in running.summary) == (Verdict.INCONCLUSIVE, True)
    run.edit(status="completed", conclusion="success")
    assert forge.ci(repo, sha).verdict is Verdict.PASSED


def test_a_required_check_that_has_not_reported(forge_hub: ForgeHub) -> None:
    repo, _, sha = proposed(forge_hub, required_checks=("ci", "e2e"))
    forge_hub.client("ann").get_repo(repo).create_check_run("ci", sha, status="completed", conclusion="success")
    told = forge_hub.forge().ci(repo, sha)
    assert told.verdict is Verdict.INCONCLUSIVE
    assert "required and not reported: e2e" in told.summary


def test_a_red_check_or_status_is_named_with_its_address(forge_hub: ForgeHub) -> None:
    repo, _, sha = proposed(forge_hub)
    real = forge_hub.client("ann").get_repo(repo)
    real.create_check_run("ci", sha, status="completed", conclusion="success")
    real.get_commit(sha).create_status("failure", "https://ci.example/7", "no", "lint")
    told = forge_hub.forge().ci(repo, sha)
    assert (told.verdict, told.failures) == (Verdict.FAILED, ("lint: https://ci.example/7\nno",))
    real.get_commit(sha).create_status("success", "https://ci.example/8", "yes", "lint")
    assert forge_hub.forge().ci(repo, sha).verdict is Verdict.PASSED


@pytest.mark.parametrize("conclusion", ["neutral", "skipped"])
def test_only_skipped_is_no_proof(forge_hub: ForgeHub, conclusion: str) -> None:
    repo, _, sha = proposed(forge_hub)
    forge_hub.client("ann").get_repo(repo).create_check_run("ci", sha, status="completed", conclusion=conclusion)
    assert forge_hub.forge().ci(repo, sha).verdict is Verdict.INCONCLUSIVE


def test_ci_that_cannot_be_read_is_an_error_and_never_green(forge_hub: ForgeHub) -> None:
    repo, _, _ = proposed(forge_hub, private=True)
    assert forge_hub.forge("eve").ci(repo, "0" * 40).verdict is Verdict.ERROR
    assert forge_hub.forge().ci(repo, "0" * 40).verdict in {Verdict.ERROR, Verdict.INCONCLUSIVE}


def test_ci_of_a_commit_without_a_pull_request_asks_the_default_branch(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    sha = forge_hub.branch(repo, "feature", {"app.py": b"x = 3\n"})
    forge_hub.client("ann").get_repo(repo).get_commit(sha).create_status("success", context="other")
    told = forge_hub.forge().ci(repo, sha)
    assert (told.verdict, "required and not reported: ci" in told.summary) == (Verdict.INCONCLUSIVE, True)


def test_reviews_in_order_with_who_may_write(forge_hub: ForgeHub) -> None:
    repo, number, sha = proposed(forge_hub)
    for login, event in (
        ("ben", "APPROVE"), ("ann", "REQUEST_CHANGES"), ("eve", "COMMENT"), ("ann", "APPROVE"), (BOT, "COMMENT"),
    ):  # fmt: skip
        pull = forge_hub.client(login).get_repo(repo).get_pull(number)
        pull.create_review(body=f"{login} says", event=event)
    told = forge_hub.forge().reviews(repo, number)
    assert [(r.author, r.state, r.can_write) for r in told] == [
        ("ben", "approved", False),
        ("ann", "changes_requested", True),
        ("eve", "commented", False),
        ("ann", "approved", True),
        (BOT, "commented", False),
    ]
    assert {r.commit_sha for r in told} == {sha}
    assert [r.id for r in told] == sorted(r.id for r in told)
    assert told[0].body == "ben says"


def test_an_approval_names_the_commit_it_was_given_for(forge_hub: ForgeHub) -> None:
    repo, number, sha = proposed(forge_hub)
    forge_hub.client("ann").get_repo(repo).get_pull(number).create_review(event="APPROVE")
    head = forge_hub.hub.commit(repo, {"app.py": b"x = 3\n"}, "More", branch=BRANCH, author=BOT)
    forge = forge_hub.forge()
    assert forge.pull(repo, number).head_sha == head
    assert forge.reviews(repo, number)[0].commit_sha == sha


def test_a_dismissed_review(forge_hub: ForgeHub) -> None:
    repo, number, _ = proposed(forge_hub)
    real = forge_hub.client("ann").get_repo(repo).get_pull(number)
    real.create_review(body="no", event="REQUEST_CHANGES").dismiss("changed my mind")
    assert [r.state for r in forge_hub.forge().reviews(repo, number)] == ["dismissed"]


def test_write_access_is_asked_once_in_a_while(forge_hub: ForgeHub) -> None:
    repo, number, _ = proposed(forge_hub)
    forge_hub.client("ann").get_repo(repo).get_pull(number).create_review(event="APPROVE")
    forge = forge_hub.forge()
    assert forge.reviews(repo, number)[0].can_write
    permission = "get /repos/{owner}/{repo}/collaborators/{username}/permission"
    assert permission in forge_hub.checked.seen
    forge_hub.checked.seen.clear()
    assert forge.reviews(repo, number)[0].can_write
    assert permission not in forge_hub.checked.seen


def test_reading_again_costs_nothing(forge_hub: ForgeHub) -> None:
    repo, number, sha = proposed(forge_hub)
    forge = forge_hub.forge()
    spent = []
    for _ in range(3):
        forge.pull(repo, number)
        forge.ci(repo, sha)
        spent.append(forge_hub.client(BOT).get_rate_limit().rate.used)
    assert spent[0] == spent[1] == spent[2], spent


def test_a_limit_that_is_used_up(tmp_path: Path) -> None:
    small = ForgeHub(tmp_path / "hub", rate_limit=2)
    small.start()
    try:
        repo = small.repo()
        forge = small.forge()
        forge.default_branch(repo)
        forge.open_pulls(repo)
        for call in (lambda: forge.ci(repo, "0" * 40), lambda: forge.pull(repo, 1), forge.whoami):
            with pytest.raises(ForgeError, match="rate limit is used up; it wants a wait of") as e:
                call()
            assert e.value.remedy
    finally:
        small.hub.stop()
    assert small.checked.violations == []
