from __future__ import annotations

import pytest

from runner.errors import ForgeError, RepositoryError
from tests.contract.plugin import BOT, ForgeHub

BRANCH = "automend/r1-fix"


def branch(hub: ForgeHub, repo: str, name: str = BRANCH, content: bytes = b"x = 2\n") -> str:
    return hub.branch(repo, name, {"app.py": content})


def test_who_and_where(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge = forge_hub.forge()
    assert forge.whoami() == BOT
    assert forge.default_branch(repo) == "main"
    assert forge.clone_url(repo) == f"{forge_hub.url}/octo/tool.git"


def test_an_unknown_repository(forge_hub: ForgeHub) -> None:
    with pytest.raises(RepositoryError, match="octo/nothing is not there, or the token of automend-bot may not see it"):
        forge_hub.forge().default_branch("octo/nothing")


def test_open_find_read(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge = forge_hub.forge()
    assert forge.find_pull(repo, BRANCH) is None
    sha = branch(forge_hub, repo)
    pull = forge.open_pull(repo, branch=BRANCH, base="main", title="Mend x", body="Why and how")
    assert (pull.number, pull.state, pull.author, pull.branch, pull.base, pull.head_sha) == (
        1, "open", BOT, BRANCH, "main", sha,
    )  # fmt: skip
    assert pull.url == f"{forge_hub.url}/octo/tool/pull/1"
    assert pull.merge_sha is None
    assert forge.pull(repo, 1).mergeable is True
    found = forge.find_pull(repo, BRANCH)
    assert found is not None
    assert found.number == 1


def test_opened_twice_is_one_and_its_body_is_brought_up_to_date(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    branch(forge_hub, repo)
    first = forge_hub.forge().open_pull(repo, branch=BRANCH, base="main", title="Mend x", body="one")
    again = forge_hub.forge().open_pull(repo, branch=BRANCH, base="main", title="Mend x", body="two\nlines")
    assert again.number == first.number
    real = forge_hub.client("ann").get_repo(repo)
    assert [p.body for p in real.get_pulls(state="all")] == ["two\nlines"]


def test_a_closed_pull_request_is_not_opened_again(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    branch(forge_hub, repo)
    forge = forge_hub.forge()
    first = forge.open_pull(repo, branch=BRANCH, base="main", title="t", body="b")
    forge_hub.client("ann").get_repo(repo).get_pull(first.number).edit(state="closed")
    again = forge.open_pull(repo, branch=BRANCH, base="main", title="t", body="changed")
    assert (again.number, again.state) == (first.number, "closed")


def test_a_branch_that_was_not_pushed(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    with pytest.raises(ForgeError, match="422") as e:
        forge_hub.forge().open_pull(repo, branch="automend/none", base="main", title="t", body="b")
    assert "head" in e.value.message


def test_only_our_branches_are_listed(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge = forge_hub.forge()
    for number, name in enumerate(("automend/a", "feature", "automend/b")):
        branch(forge_hub, repo, name, b"x = %d\n" % (number + 5))
        forge.open_pull(repo, branch=name, base="main", title=name, body="")
    forge_hub.client("ann").get_repo(repo).get_pull(3).edit(state="closed")
    assert [p.branch for p in forge.open_pulls(repo)] == ["automend/a"]


def test_what_others_have_open_and_which_lines_they_touch(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge = forge_hub.forge()
    for number, name in enumerate(("automend/a", "feature", "other")):
        branch(forge_hub, repo, name, b"x = %d\n" % (number + 5))
        forge.open_pull(repo, branch=name, base="main", title=name, body="")
    forge_hub.client("ann").get_repo(repo).get_pull(3).edit(state="closed")
    (other,) = forge.open_by_others(repo, base="main")
    assert (other.branch, other.number) == ("feature", 2)
    assert forge.open_by_others(repo, base="release") == ()
    assert forge.touched(repo, 2) == {"app.py": ((1, 1),)}


def test_a_stop_issue(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge = forge_hub.forge()
    real = forge_hub.client("ann").get_repo(repo)
    real.create_issue("something else")
    assert forge.stop_issue(repo) is None
    issue = real.create_issue("please stop", labels=["automend:stop"])
    assert forge.stop_issue(repo) == issue.html_url
    issue.edit(state="closed")
    assert forge.stop_issue(repo) is None


def test_a_labelled_pull_request_is_no_stop_issue(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    forge = forge_hub.forge()
    branch(forge_hub, repo)
    pull = forge.open_pull(repo, branch=BRANCH, base="main", title="t", body="b")
    forge_hub.client("ann").get_repo(repo).get_issue(pull.number).edit(labels=["automend:stop"])
    assert forge.stop_issue(repo) is None


def test_a_comment_is_written_once_and_kept_up_to_date(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    branch(forge_hub, repo)
    forge = forge_hub.forge()
    number = forge.open_pull(repo, branch=BRANCH, base="main", title="t", body="b").number
    for text in ("one", "one", "two"):
        forge_hub.forge().comment(repo, number, marker="status", body=text)
    forge.comment(repo, number, marker="<!-- another -->", body="three")
    comments = list(forge_hub.client("ann").get_repo(repo).get_issue(number).get_comments())
    assert [c.body for c in comments] == ["two\n\n<!-- automend:status -->", "three\n\n<!-- another -->"]


def test_a_strangers_copy_of_our_marker_is_no_trace_of_ours(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    branch(forge_hub, repo)
    forge = forge_hub.forge()
    number = forge.open_pull(repo, branch=BRANCH, base="main", title="t", body="b").number
    issue = forge_hub.client("ben").get_repo(repo).get_issue(number)
    issue.create_comment("mine <!-- automend:status -->")
    forge.comment(repo, number, marker="status", body="ours")
    assert [(c.user.login, c.body[:4]) for c in issue.get_comments()] == [("ben", "mine"), (BOT, "ours")]


def test_copies_of_our_own_comment_are_removed(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    branch(forge_hub, repo)
    forge = forge_hub.forge()
    number = forge.open_pull(repo, branch=BRANCH, base="main", title="t", body="b").number
    issue = forge_hub.client(BOT).get_repo(repo).get_issue(number)
    for text in ("a", "b"):
        issue.create_comment(f"{text} <!-- automend:status -->")
    forge.comment(repo, number, marker="status", body="ours")
    assert [c.body for c in issue.get_comments()] == ["ours\n\n<!-- automend:status -->"]
