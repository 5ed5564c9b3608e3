"""REST beyond pull requests, and how it speaks HTTP."""

from __future__ import annotations

import base64

import github
import httpx
import pytest

from tests.integration.hub.conftest import PATIENCE


def refusal(call, *args, **kwargs):
    with pytest.raises(github.GithubException) as caught:
        call(*args, **kwargs)
    return caught.value


def test_accounts_and_rights(world):
    assert world.api("bot").get_user().login == "bot"
    repo = world.repo()
    assert (repo.permissions.push, repo.permissions.admin) == (True, False)
    assert repo.get_collaborator_permission("ada") == "write"
    assert repo.get_collaborator_permission("eve") == "read"
    assert repo.has_in_collaborators("ada")
    assert not repo.has_in_collaborators("acme")
    assert [u.login for u in repo.get_collaborators()] == ["bot", "ada", "eve"]
    assert world.call("GET", "/user", None).status_code == 401
    wrong = httpx.get(f"{world.url}/api/v3/user", headers={"Authorization": "Bearer nobody"}, timeout=PATIENCE)
    assert (wrong.status_code, wrong.json()["message"]) == (401, "Bad credentials")
    assert [r.full_name for r in world.api("bot").get_user().get_repos()] == ["acme/shop"]


def test_private_repositories_are_not_there_for_strangers(world):
    world.hub.create_repo("acme/secret", private=True, collaborators={"ada": "write"})
    assert world.call("GET", "/repos/acme/secret", "ada").json()["private"] is True
    for login in ("bot", None):
        answer = world.call("GET", "/repos/acme/secret", login)
        assert (answer.status_code, answer.json()["message"]) == (404, "Not Found")
    assert world.call("GET", "/repos/acme/shop", None).status_code == 200
    assert world.call("GET", "/repos/acme/nothing").status_code == 404
    assert world.call("GET", "/no/such/thing").json()["documentation_url"].startswith("https://docs.github.com")


def test_refs_and_branches(world):
    repo = world.repo()
    main = repo.get_branch("main")
    assert main.protected
    assert main.get_required_status_checks().contexts == ["ci"]
    assert main.get_required_pull_request_reviews().required_approving_review_count == 1
    ref = repo.create_git_ref("refs/heads/topic/a", main.commit.sha)
    assert repo.get_branch("topic/a").commit.sha == main.commit.sha
    assert not repo.get_branch("topic/a").protected
    assert refusal(repo.create_git_ref, "refs/heads/topic/a", main.commit.sha).status == 422
    assert refusal(repo.create_git_ref, "refs/heads/x", "0" * 40).status == 422
    assert [r.ref for r in repo.get_git_matching_refs("heads/topic/")] == ["refs/heads/topic/a"]
    other = world.push("other", {"x": "1\n"})
    ref.edit(other)
    assert refusal(ref.edit, main.commit.sha).status == 422  # not a fast forward
    ref.edit(main.commit.sha, force=True)
    assert refusal(repo.get_git_ref("heads/main").edit, other).status == 422  # protected
    assert refusal(repo.get_git_ref("heads/main").delete).status == 422
    ref.delete()
    assert {b.name for b in repo.get_branches()} == {"main", "other"}
    assert world.call("GET", "/repos/acme/shop/rules/branches/main").json() == []


def test_protection_can_be_set_by_admins(world):
    path = "/repos/acme/shop/branches/main/protection"
    wish = {
        "required_status_checks": {"strict": False, "contexts": ["tests"]},
        "enforce_admins": True,
        "required_pull_request_reviews": {"required_approving_review_count": 2},
        "restrictions": None,
    }
    assert world.call("PUT", path, json=wish).status_code == 403
    world.hub.site.repo("acme", "shop")
    stored = world.hub.site.repo("acme", "shop")
    stored.collaborators["ada"] = "admin"
    world.hub.site.store.save(stored)
    done = world.call("PUT", path, "ada", json=wish).json()
    assert done["required_status_checks"]["contexts"] == ["tests"]
    assert world.call("GET", path).json()["required_pull_request_reviews"]["required_approving_review_count"] == 2
    assert world.call("DELETE", path, "ada").status_code == 204
    assert world.call("GET", path).json()["message"] == "Branch not protected"


def test_objects_and_contents(world):
    repo = world.repo()
    main = repo.get_branch("main").commit.sha
    commit = repo.get_git_commit(main)
    assert commit.message == "First"
    tree = repo.get_git_tree(commit.tree.sha, recursive=True)
    blob = next(e for e in tree.tree if e.path == "README.md")
    assert base64.b64decode(repo.get_git_blob(blob.sha).content) == b"# shop\n"
    assert repo.get_contents("README.md", ref=main).decoded_content == b"# shop\n"
    assert refusal(repo.get_contents, "nothing.md").status == 404
    assert [c.sha for c in repo.get_commits()] == [main]
    assert [c.sha for c in repo.get_commits(path="shop.py")] == [main]
    assert refusal(repo.get_commit, "nowhere").status == 422
    assert world.call("GET", "/repos/acme/shop/commits/--all").status_code == 422
    for revision in ("main~1", "main^{tree}", "main@{1}", "main:README.md"):
        assert world.call("GET", f"/repos/acme/shop/commits/{revision}").status_code in (404, 422)


def test_issues_labels_and_comments(world):
    repo = world.repo()
    issue = repo.create_issue("Totals are wrong", body="See log.", labels=["bug", "automend:stop"])
    assert issue.number == 1
    assert [i.number for i in repo.get_issues(labels=["automend:stop"])] == [1]
    assert list(repo.get_issues(labels=["nothing"])) == []
    plain = world.repo("eve").create_issue("Hello", labels=["automend:stop"])
    assert plain.labels == []  # who may not triage sets no labels
    comment = issue.create_comment("One")
    comment.edit("Two")
    assert [c.body for c in issue.get_comments()] == ["Two"]
    assert refusal(world.repo("eve").get_issue(1).get_comment(comment.id).edit, "Mine").status == 403
    assert refusal(issue.create_comment, " ").status == 422
    comment.delete()
    assert list(issue.get_comments()) == []
    issue.add_to_labels("urgent")
    issue.remove_from_labels("bug")
    assert {label.name for label in issue.get_labels()} == {"automend:stop", "urgent"}
    repo.create_label("night", "FF0000", "Wakes people")
    assert repo.get_label("night").color == "ff0000"
    issue.edit(state="closed", state_reason="not_planned")
    assert [i.number for i in repo.get_issues()] == [2]
    assert [i.number for i in repo.get_issues(state="all", sort="created", direction="asc")] == [1, 2]
    pull, _ = world.open()
    assert repo.get_issue(pull.number).pull_request is not None
    pull.create_issue_comment("In the conversation")
    assert [c.body for c in pull.get_issue_comments()] == ["In the conversation"]


def test_check_runs_and_statuses(world):
    _, sha = world.open()
    repo = world.repo()
    run = repo.create_check_run("ci", sha, status="in_progress")
    assert (run.status, run.conclusion) == ("in_progress", None)
    run.edit(status="completed", conclusion="failure", output={"title": "Red", "summary": "1 failed", "text": "…"})
    again = repo.create_check_run("ci", sha, conclusion="success")
    assert again.status == "completed"
    commit = repo.get_commit(sha)
    assert [(r.name, r.conclusion) for r in commit.get_check_runs()] == [("ci", "success")]
    assert commit.get_check_runs(filter="all").totalCount == 2
    assert repo.get_check_run(run.id).output.title == "Red"
    assert commit.get_combined_status().state == "pending"
    commit.create_status("success", description="fine", context="lint")
    commit.create_status("failure", context="docs", target_url="https://example.com/1")
    assert commit.get_combined_status().state == "failure"
    assert [s.context for s in commit.get_statuses()] == ["docs", "lint"]
    assert refusal(world.repo("eve").create_check_run, "ci", sha).status == 403


def test_deployments(world):
    repo = world.repo()
    main = repo.get_branch("main").commit.sha
    made = repo.create_deployment(main, environment="production", required_contexts=[], payload={"run": "r1"})
    assert (made.sha, made.environment, made.payload) == (main, "production", {"run": "r1"})
    made.create_status("in_progress")
    made.create_status("success", description="Live")
    assert [s.state for s in made.get_statuses()] == ["success", "in_progress"]
    assert [d.id for d in repo.get_deployments(sha=main, environment="production")] == [made.id]
    assert repo.get_deployments(environment="staging").totalCount == 0
    assert refusal(repo.create_deployment, "nowhere").status == 422
    repo.get_commit(main).create_status("failure", context="lint")
    assert refusal(repo.create_deployment, main).status == 409
    assert world.call("DELETE", f"/repos/acme/shop/deployments/{made.id}").status_code == 204


def test_pages_have_links(world):
    repo = world.repo()
    for number in range(7):
        repo.create_issue(f"Issue {number}")
    first = world.call("GET", "/repos/acme/shop/issues?per_page=3")
    assert len(first.json()) == 3
    assert set(first.links) == {"next", "last"}
    last = httpx.get(first.links["last"]["url"], timeout=PATIENCE)
    assert [i["number"] for i in last.json()] == [1]
    assert set(last.links) == {"prev", "first"}
    assert len(list(world.api("bot").get_repo("acme/shop").get_issues())) == 7


def test_conditional_requests_are_304_and_free(world):
    world.open()
    first = world.call("GET", "/repos/acme/shop/pulls/1")
    again = world.call("GET", "/repos/acme/shop/pulls/1", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    world.approve(1)
    changed = world.call("GET", "/repos/acme/shop/pulls/1/reviews", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    one = world.call("GET", "/repos/acme/shop/pulls/1")
    used = int(one.headers["x-ratelimit-used"])
    free = world.call("GET", "/repos/acme/shop/pulls/1", headers={"If-None-Match": one.headers["etag"]})
    assert free.status_code == 304
    limits = world.call("GET", "/rate_limit").json()["resources"]["core"]
    assert (limits["used"], limits["limit"]) == (used, 15_000)


def test_the_limit_is_kept(world):
    world.hub._rest.meter.limit = 2
    for _ in range(2):
        assert world.call("GET", "/user", "eve").status_code == 200
    answer = world.call("GET", "/user", "eve")
    assert answer.status_code == 403
    assert "rate limit exceeded" in answer.json()["message"]
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert world.call("GET", "/user", "bot").status_code == 200


def test_a_status_has_one_of_four_states(unchecked):
    who = {"Authorization": "token bot-token"}
    sha = httpx.get(f"{unchecked}/api/v3/repos/acme/shop/branches/main", timeout=PATIENCE).json()["commit"]["sha"]
    address = f"{unchecked}/api/v3/repos/acme/shop/statuses/{sha}"
    assert httpx.post(address, json={"state": "excellent"}, headers=who, timeout=PATIENCE).status_code == 422


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b'"text"', 400), (b"[]", 400), (b'{"title": 5}', 422), (b"{}", 422), (b"x" * 10_000_001, 413)],
)
def test_bad_bodies(unchecked, body, status):
    who = {"Authorization": "token bot-token"}
    answer = httpx.post(f"{unchecked}/api/v3/repos/acme/shop/pulls", content=body, headers=who, timeout=PATIENCE)
    assert answer.status_code == status
    assert answer.json()["documentation_url"]
