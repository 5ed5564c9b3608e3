"""A pull request's life, through unmodified PyGithub and git."""

from __future__ import annotations

import github
import pytest

ONE = {"shop.py": "def total(prices):\n    return sum(prices or [])\n"}
OTHER = {"shop.py": "def total(prices):\n    return sum(list(prices))\n"}


def refusal(call, *args, **kwargs):
    with pytest.raises(github.GithubException) as caught:
        call(*args, **kwargs)
    return caught.value


def ready(world, **kwargs):
    pull, sha = world.open(**kwargs)
    world.green(sha)
    world.approve(pull.number)
    return pull, sha


def test_push_open_review_check_merge(world):
    pull, sha = world.open()
    assert (pull.number, pull.head.sha, pull.state, pull.commits, pull.changed_files) == (1, sha, "open", 1, 1)
    assert (pull.additions, pull.deletions, pull.user.login) == (1, 1, "bot")
    assert pull.mergeable is True
    assert pull.mergeable_state == "blocked"
    refused = refusal(pull.merge, sha=sha)
    assert refused.status == 405
    assert "approving review" in refused.data["message"]
    assert '"ci" is expected' in refused.data["message"]

    world.green(sha)
    world.approve(1)
    pull.update()
    assert pull.mergeable_state == "clean"
    done = pull.merge(sha=sha, merge_method="squash", commit_title="Mend totals (#1)", commit_message="All well.")
    assert done.merged
    assert world.repo().get_branch("main").commit.sha == done.sha
    pull = world.repo().get_pull(1)
    assert (pull.merged, pull.state, pull.merge_commit_sha, pull.merged_by.login) == (True, "closed", done.sha, "bot")
    assert pull.is_merged()
    assert (pull.changed_files, pull.mergeable) == (1, None)
    commit = world.repo().get_commit(done.sha)
    assert commit.commit.message == "Mend totals (#1)\n\nAll well."
    assert [p.sha for p in commit.parents] == [pull.base.sha]
    assert refusal(pull.merge).status == 405
    assert refusal(pull.edit, state="open").status == 422


def test_a_merge_commit_and_a_rebase(world):
    pull, sha = ready(world)
    merged = world.repo().get_commit(pull.merge(sha=sha).sha)
    assert [p.sha for p in merged.parents][1] == sha
    assert merged.commit.message.startswith("Merge pull request #1 from acme/fix")
    second, tip = ready(world, branch="more", files={"new.py": "x = 1\n"})
    world.hub.commit("acme/shop", {"README.md": b"# the shop\n"}, "Words")
    rebased = world.repo().get_commit(second.merge(sha=tip, merge_method="rebase").sha)
    assert rebased.commit.message == "Work on more"
    assert rebased.sha != tip
    assert len(rebased.parents) == 1
    assert sorted(e.path for e in world.repo().get_contents("")) == ["README.md", "new.py", "shop.py"]
    assert world.repo().get_contents("README.md").decoded_content == b"# the shop\n"


def test_a_stale_sha_is_409(world):
    pull, sha = ready(world)
    moved = world.push("fix", {"shop.py": "def total(prices):\n    return 0\n"}, base="fix")
    assert moved != sha
    refused = refusal(pull.merge, sha=sha)
    assert refused.status == 409
    assert "Head branch was modified" in refused.data["message"]
    assert world.repo().get_pull(1).head.sha == moved


def test_conflicts_are_told_and_refused(world):
    pull, sha = ready(world)
    world.hub.commit("acme/shop", {"shop.py": b"def total(prices):\n    return -1\n"}, "Elsewhere")
    pull = world.repo().get_pull(1)
    assert (pull.mergeable, pull.mergeable_state) == (False, "dirty")
    assert refusal(pull.merge, sha=sha).status == 405
    assert not pull.update_branch()


def test_a_push_dismisses_approvals_and_ci_counts_for_its_commit_only(world):
    pull, _ = ready(world)
    world.push("fix", {"more.py": "x = 1\n"}, base="fix")
    pull.update()
    assert pull.mergeable_state == "blocked"
    assert [r.state for r in pull.get_reviews()] == ["DISMISSED"]
    words = refusal(pull.merge).data["message"]
    assert "approving review" in words
    assert '"ci" is expected' in words


def test_who_counts_as_a_reviewer(world):
    pull, sha = world.open()
    world.green(sha)
    own = refusal(pull.create_review, event="APPROVE")
    assert own.status == 422
    assert "your own pull request" in str(own.data)
    world.approve(1, "eve")
    assert refusal(pull.merge, sha=sha).status == 405  # eve may not write
    world.approve(1, "ada")
    world.repo("ada").get_pull(1).create_review(event="REQUEST_CHANGES", body="On second thought, no.")
    refused = refusal(pull.merge, sha=sha)
    assert "Changes were requested" in refused.data["message"]
    review = list(world.repo("ada").get_pull(1).get_reviews())[-1]
    assert (review.state, review.commit_id, review.user.login) == ("CHANGES_REQUESTED", sha, "ada")
    review.dismiss("It was a joke.")
    world.approve(1, "ada")
    assert pull.merge(sha=sha).merged
    refused = refusal(world.repo("ada").get_pull(1).create_review, event="REQUEST_CHANGES", body="")
    assert refused.status == 422


def test_a_second_pull_for_a_head_is_422_and_so_is_an_empty_one(world):
    world.open()
    repo = world.repo()
    again = refusal(repo.create_pull, base="main", head="fix", title="Again")
    assert again.status == 422
    assert again.data["errors"][0]["message"] == "A pull request already exists for acme:fix."
    repo.create_git_ref("refs/heads/idle", repo.get_branch("main").commit.sha)
    empty = refusal(repo.create_pull, base="main", head="idle", title="Nothing")
    assert "No commits between main and idle" in empty.data["errors"][0]["message"]
    assert refusal(repo.create_pull, base="main", head="nowhere", title="X").status == 422
    assert refusal(world.repo("eve").create_pull, base="main", head="idle", title="X").status == 403


def test_closing_deleting_and_filters(world):
    pull, sha = world.open()
    repo = world.repo()
    assert [p.number for p in repo.get_pulls(head="acme:fix")] == [1]
    assert list(repo.get_pulls(head="acme:other")) == []
    pull.edit(state="closed")
    assert list(repo.get_pulls()) == []
    closed = repo.get_pulls(state="closed")[0]
    assert (closed.state, closed.merged_at, closed.head.sha) == ("closed", None, sha)
    pull.edit(state="open", title="Again", body="")
    assert repo.get_pull(1).title == "Again"
    repo.get_git_ref("heads/fix").delete()
    assert repo.get_pull(1).state == "closed"
    assert repo.get_pull(1).head.sha == sha
    assert refusal(pull.edit, state="open").status == 422
    assert refusal(repo.get_git_ref, "heads/fix").status == 404


def test_files_commits_and_comparison(world):
    files = {"shop.py": None, "cart.py": "def total(prices):\n    return sum(prices)\n", "b.txt": "b\n"}
    pull, sha = world.open(files=files)
    found = {f.filename: f for f in pull.get_files()}
    assert found["cart.py"].status == "renamed"
    assert found["cart.py"].previous_filename == "shop.py"
    assert found["b.txt"].patch == "@@ -0,0 +1 @@\n+b"
    assert [c.sha for c in pull.get_commits()] == [sha]
    compared = world.repo().compare("main", "fix")
    assert (compared.status, compared.ahead_by, compared.behind_by) == ("ahead", 1, 0)
    assert world.repo().get_commit(sha).stats.total == 1
    text = world.call("GET", "/repos/acme/shop/pulls/1", headers={"Accept": "application/vnd.github.diff"}).text
    assert text.startswith("diff --git a/b.txt b/b.txt")


def test_update_branch_brings_the_base(world):
    pull, sha = world.open()
    base = world.hub.commit("acme/shop", {"README.md": b"# news\n"}, "News")
    assert pull.update_branch(expected_head_sha=sha)
    head = world.repo().get_git_commit(world.repo().get_pull(1).head.sha)
    assert [p.sha for p in head.parents] == [sha, base]
    assert not pull.update_branch(expected_head_sha=sha)


def test_remarks_on_lines(world):
    pull, sha = world.open()
    commit = world.repo().get_commit(sha)
    note = pull.create_review_comment("Why `or []`?", commit, "shop.py", line=2)
    assert (note.line, note.side, note.path) == (2, "RIGHT", "shop.py")
    assert note.diff_hunk.endswith("+    return sum(prices or [])")
    reply = pull.create_review_comment_reply(note.id, "Carts may be None.")
    assert reply.in_reply_to_id == note.id
    assert [c.body for c in pull.get_comments()] == ["Why `or []`?", "Carts may be None."]
    assert refusal(pull.create_review_comment, "Where?", commit, "shop.py", line=99).status == 422
    with_notes = (
        world.repo("ada")
        .get_pull(1)
        .create_review(commit, "Two things", "COMMENT", comments=[{"path": "shop.py", "position": 2, "body": "Gone"}])
    )
    assert [c.side for c in pull.get_single_review_comments(with_notes.id)] == ["LEFT"]


def test_drafts_and_reverting_through_graphql(world):
    sha = world.push("fix", ONE)
    pull = world.repo().create_pull(base="main", head="fix", title="Mend totals", body="", draft=True)
    assert pull.mergeable_state == "draft"
    pull.mark_ready_for_review()
    world.green(sha)
    world.approve(1)
    api = world.api("bot")
    wish = {"pullRequestId": pull.node_id}
    wanted = "revertPullRequest { number headRefName title body }"
    early = refusal(api.requester.graphql_named_mutation, "revertPullRequest", wish, wanted)
    assert "not merged" in str(early.data)
    before = world.repo().get_branch("main").commit.commit.tree.sha
    world.repo().get_pull(1).merge(sha=sha, merge_method="squash")
    world.hub.commit("acme/shop", {"README.md": b"# later\n"}, "Later work")
    _, answer = api.requester.graphql_named_mutation("revertPullRequest", wish, wanted)
    made = answer["revertPullRequest"]
    assert made == {
        "number": 2,
        "headRefName": "revert-1-fix",
        "title": 'Revert "Mend totals"',
        "body": "Reverts acme/shop#1",
    }
    revert = world.repo().get_pull(2)
    assert refusal(revert.merge).status == 405  # it needs its own approval and checks
    world.green(revert.head.sha)
    world.approve(2)
    revert.merge(merge_method="squash")
    main = world.repo().get_branch("main").commit
    assert world.repo().get_contents("README.md").decoded_content == b"# later\n"
    assert main.commit.tree.sha != before
    assert world.repo().get_contents("shop.py").decoded_content == b"def total(prices):\n    return sum(prices)\n"


def test_auto_merge_waits_for_everything(world):
    pull, sha = world.open()
    pull.enable_automerge("SQUASH", commit_headline="Mended")
    world.approve(1)
    assert not world.repo().get_pull(1).merged
    world.green(sha)
    pull = world.repo().get_pull(1)
    assert pull.merged
    assert world.repo().get_commit(pull.merge_commit_sha).commit.message.startswith("Mended")
