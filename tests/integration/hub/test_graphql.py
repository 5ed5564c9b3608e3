"""GraphQL: what is asked, what is changed, and how refusals look."""

from __future__ import annotations

import base64

import httpx
import pytest

from tests.integration.hub.conftest import PATIENCE, TOKENS


def ask(world, query, login="bot", **variables):
    answer = httpx.post(
        f"{world.url}/api/graphql",
        json={"query": query, "variables": variables},
        headers={"Authorization": f"bearer {TOKENS[login]}"},
        timeout=PATIENCE,
    )
    assert answer.status_code == 200
    return answer.json()


def write(world, wish, login="bot"):
    wanted = "{ commit { oid url } ref { name } }"
    query = f"mutation($i: CreateCommitOnBranchInput!) {{ createCommitOnBranch(input: $i) {wanted} }}"
    return ask(world, query, login, i=wish)


def wish(head, branch="fix", **changes):
    return {
        "branch": {"repositoryNameWithOwner": "acme/shop", "branchName": branch},
        "message": {"headline": "Mend", "body": "Because."},
        "expectedHeadOid": head,
        "fileChanges": changes,
    }


def text(words):
    return base64.b64encode(words).decode()


@pytest.fixture
def fix(world):
    """A branch `fix` at main, and its commit."""
    repo = world.repo()
    head = repo.get_branch("main").commit.sha
    repo.create_git_ref("refs/heads/fix", head)
    return head


def test_questions(world):
    pull, sha = world.open()
    query = """query($id: ID!) {
      viewer { login }
      repository(owner: "acme", name: "shop") {
        nameWithOwner defaultBranchRef { name target { oid } }
        pullRequest(number: 1) { number state mergeable reviewDecision headRefOid changedFiles author { login } }
      }
      node(id: $id) { ... on PullRequest { title isDraft } }
      rateLimit { limit remaining }
    }"""
    data = ask(world, query, id=pull.node_id)["data"]
    assert data["viewer"] == {"login": "bot"}
    assert data["repository"]["pullRequest"] == {
        "number": 1, "state": "OPEN", "mergeable": "MERGEABLE", "reviewDecision": "REVIEW_REQUIRED",
        "headRefOid": sha, "changedFiles": 1, "author": {"login": "bot"},
    }  # fmt: skip
    assert data["node"] == {"title": "Mend totals", "isDraft": False}
    world.approve(1)
    found = ask(world, query, id=pull.node_id)["data"]["repository"]["pullRequest"]["reviewDecision"]
    assert found == "APPROVED"


def test_a_commit_through_the_api(world, fix):
    additions = [{"path": "new/x.txt", "contents": text(b"x\n")}]
    answer = write(world, wish(fix, additions=additions, deletions=[{"path": "README.md"}]))
    made = answer["data"]["createCommitOnBranch"]
    assert made["ref"] == {"name": "fix"}
    commit = world.repo().get_commit(made["commit"]["oid"])
    assert commit.commit.message == "Mend\n\nBecause."
    assert commit.author.login == "bot"
    assert {f.filename: f.status for f in commit.files} == {"new/x.txt": "added", "README.md": "removed"}
    stale = write(world, wish(fix, additions=additions))
    assert (stale["data"], stale["errors"][0]["type"]) == ({"createCommitOnBranch": None}, "STALE_DATA")


@pytest.mark.parametrize(
    ("change", "login", "kind"),
    [
        ({"additions": [{"path": "../x", "contents": text(b"x")}]}, "bot", "UNPROCESSABLE"),
        ({"additions": [{"path": "x", "contents": "no base 64!"}]}, "bot", "UNPROCESSABLE"),
        ({"deletions": [{"path": "nothing"}]}, "bot", "UNPROCESSABLE"),
        ({}, "eve", "FORBIDDEN"),
    ],
)
def test_commits_that_are_refused(world, fix, change, login, kind):
    answer = write(world, wish(fix, **change), login)
    assert answer["errors"][0]["type"] == kind
    assert answer["errors"][0]["path"] == ["createCommitOnBranch"]
    assert world.repo().get_branch("fix").commit.sha == fix


def test_the_protected_branch_takes_no_commit(world, fix):
    answer = write(world, wish(fix, branch="main", additions=[{"path": "x", "contents": text(b"x")}]))
    assert "Protected branch" in answer["errors"][0]["message"]


def test_what_is_not_there(world):
    for node_id in ("PR_999", "I_1", "nonsense"):
        answer = ask(world, "query($id: ID!) { node(id: $id) { id } }", id=node_id)
        assert answer["errors"][0]["type"] == "NOT_FOUND"
    world.hub.create_repo("acme/secret", private=True)
    answer = ask(world, '{ repository(owner: "acme", name: "secret") { id } }')
    assert (answer["data"], answer["errors"][0]["type"]) == ({"repository": None}, "NOT_FOUND")


def test_no_token_no_answer_and_bad_documents(unchecked):
    address, who = f"{unchecked}/api/graphql", {"Authorization": "bearer bot-token"}
    assert httpx.post(address, json={"query": "{ viewer { login } }"}, timeout=PATIENCE).status_code == 401
    assert httpx.post(address, content=b"{", headers=who, timeout=PATIENCE).status_code == 400
    assert httpx.post(address, json={"query": 5}, headers=who, timeout=PATIENCE).status_code == 400
    assert httpx.post(address, json={"query": "{" * 20_001}, headers=who, timeout=PATIENCE).status_code == 400
    unknown = httpx.post(address, json={"query": "{ viewer { shoeSize } }"}, headers=who, timeout=PATIENCE).json()
    assert "Cannot query field 'shoeSize'" in unknown["errors"][0]["message"]


def test_auto_merge_is_refused_where_it_is_of_no_use(world):
    pull, sha = world.open()
    query = (
        "mutation($i: EnablePullRequestAutoMergeInput!) { enablePullRequestAutoMerge(input: $i) { clientMutationId } }"
    )
    stale = ask(world, query, i={"pullRequestId": pull.node_id, "expectedHeadOid": "0" * 40})
    assert stale["errors"][0]["type"] == "UNPROCESSABLE"
    world.green(sha)
    world.approve(1)
    ready = ask(world, query, i={"pullRequestId": pull.node_id})
    assert ready["errors"][0]["message"] == "Pull request is in clean status"


def test_a_second_revert_gets_a_branch_of_its_own(world):
    pull, sha = world.open()
    world.green(sha)
    world.approve(1)
    pull.merge(sha=sha, merge_method="squash")
    query = (
        "mutation($i: RevertPullRequestInput!) { revertPullRequest(input: $i) { revertPullRequest { headRefName } } }"
    )
    names = [
        ask(world, query, i={"pullRequestId": pull.node_id})["data"]["revertPullRequest"]["revertPullRequest"]
        for _ in range(2)
    ]
    assert [n["headRefName"] for n in names] == ["revert-1-fix", "revert-1-fix-1"]
    world.hub.commit("acme/shop", {"shop.py": b"def total(prices):\n    return 7\n"}, "In between")
    clash = ask(world, query, i={"pullRequestId": pull.node_id})
    assert "can't be reverted automatically" in clash["errors"][0]["message"]
