"""The judge itself: what follows GitHub's schemas passes, what does not is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.contract.checker import ContractChecked

PERMISSION = {
    "permission": "write",
    "role_name": "write",
    "user": None,
}
PERMISSION_PATH = "/api/v3/repos/o/r/collaborators/ann/permission"


def call(
    method: str, path: str, *, status: int = 200, answer: Any = None, asked: Any = None, query: str = "",
    headers: tuple[tuple[bytes, bytes], ...] = (), media: bytes = b"application/json; charset=utf-8",
) -> ContractChecked:  # fmt: skip
    """Send one request through the checker to an app that answers what it is told to."""
    sent = [b"" if asked is None else json.dumps(asked).encode()]
    body = b"" if answer is None else json.dumps(answer).encode()
    got: list[Any] = []

    async def app(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", media)]})
        await send({"type": "http.response.body", "body": body[:5], "more_body": True})
        await send({"type": "http.response.body", "body": body[5:]})

    async def receive() -> Any:
        return {"type": "http.request", "body": sent.pop(), "more_body": False}

    async def send(message: Any) -> None:
        got.append(message)

    checked = ContractChecked(app)
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": query.encode(),
        "headers": list(headers),
    }  # fmt: skip
    asyncio.run(checked(scope, receive, send))
    assert b"".join(m.get("body", b"") for m in got) == body, "the checker must not change what passes"
    return checked


def test_a_good_exchange_is_no_violation() -> None:
    checked = call("GET", PERMISSION_PATH, answer=PERMISSION)
    assert checked.violations == []
    assert checked.seen == {"get /repos/{owner}/{repo}/collaborators/{username}/permission"}


@pytest.mark.parametrize(
    ("spoiled", "words"),
    [
        ({"permission": "write"}, "'role_name' is a required property"),
        ({**PERMISSION, "permission": 5}, "answer.permission: 5"),
        ([], "is not of type 'object'"),
    ],
)
def test_an_answer_of_another_shape_is_told(spoiled: Any, words: str) -> None:
    violations = call("GET", PERMISSION_PATH, answer=spoiled).violations
    assert any(words in violation for violation in violations), violations
    assert all(PERMISSION_PATH.removeprefix("/api/v3") in violation for violation in violations)


def test_an_undocumented_status_is_told() -> None:
    (violation,) = call("GET", PERMISSION_PATH, status=418, answer={"message": "tea"}).violations
    assert "status 418 is not documented" in violation


@pytest.mark.parametrize("status", [401, 403, 404])
def test_what_github_says_everywhere_passes_in_its_shape(status: int) -> None:
    path = "/api/v3/repos/o/r/pulls/1/reviews"
    assert call("GET", path, status=status, answer={"message": "no"}).violations == []
    assert call("GET", path, status=status, answer={"message": 5}).violations != []


def test_a_nullable_enum_may_be_null_and_nothing_else() -> None:
    # `required_status_checks` and its like; the check run's `conclusion` is the enum that matters to us.
    run = {
        "id": 1, "node_id": "x", "head_sha": "a", "external_id": None, "url": "u", "html_url": None,
        "details_url": None, "status": "queued", "conclusion": None, "started_at": None, "completed_at": None,
        "output": {"title": None, "summary": None, "text": None, "annotations_count": 0, "annotations_url": "u"},
        "name": "ci", "check_suite": None, "app": None, "pull_requests": [],
    }  # fmt: skip
    path = "/api/v3/repos/o/r/check-runs/1"
    assert call("GET", path, answer=run).violations == []
    assert "conclusion" in call("GET", path, answer={**run, "conclusion": "great"}).violations[0]


def test_an_operation_that_github_has_not_is_told() -> None:
    assert "no such operation" in call("GET", "/api/v3/repos/o/r/wishes", answer={}).violations[0]
    assert "no such operation" in call("DELETE", "/api/v3/user", status=204).violations[0]


def test_a_request_body_is_judged() -> None:
    path = "/api/v3/repos/o/r/deployments/1/statuses"
    told = "\n".join(call("POST", path, status=422, answer={"message": "x"}, asked={"state": "great"}).violations)
    assert "request.state: 'great' is not one of" in told
    told = "\n".join(call("POST", path, status=422, answer={"message": "x"}, asked={"stat": "success"}).violations)
    assert "'state' is a required property" in told
    assert "'stat' is not documented" in told
    told = "\n".join(call("POST", path, status=422, answer={"message": "x"}).violations)
    assert "a body is required" in told


def test_query_parameters_are_judged() -> None:
    path = "/api/v3/repos/o/r/pulls"
    assert call("GET", path, answer=[], query="state=all&head=o%3Ab&per_page=100&page=1").violations == []
    assert "is not documented" in call("GET", path, answer=[], query="mood=good").violations[0]
    assert "'sad' is not one of" in call("GET", path, answer=[], query="state=sad").violations[0]
    assert "query parameter per_page" in call("GET", path, answer=[], query="per_page=many").violations[0]


@pytest.mark.parametrize("branch", ["main", "automend/x", "automend%2Fx"])
def test_branches_may_hold_slashes(branch: str) -> None:
    assert call("GET", f"/api/v3/repos/o/r/rules/branches/{branch}", answer=[]).violations == []


def test_304_only_answers_a_condition() -> None:
    path = "/api/v3/repos/o/r/commits/abc/check-runs"
    assert call("GET", path, status=304, headers=((b"if-none-match", b'"x"'),)).violations == []
    assert call("GET", path, status=304).violations != []


def test_a_204_has_no_body() -> None:
    path = "/api/v3/repos/o/r/issues/comments/1"
    assert call("DELETE", path, status=204).violations == []
    assert "has no body" in call("DELETE", path, status=204, answer={}).violations[0]


def test_a_page_of_html_is_told() -> None:
    assert "answers text/html" in call("GET", "/api/v3/user", answer="hello", media=b"text/html").violations[0]


REVERT = "mutation M($input: RevertPullRequestInput!) { revertPullRequest(input: $input) { %s } }"


def test_graphql_is_judged_in_both_directions() -> None:
    asked = {
        "query": REVERT % "revertPullRequest { number headRefName }",
        "variables": {"input": {"pullRequestId": "PR_1", "title": "t", "body": "b"}},
    }
    data = {"revertPullRequest": {"revertPullRequest": {"number": 7, "headRefName": "revert-1-x"}}}
    checked = call("POST", "/api/graphql", asked=asked, answer={"data": data})
    assert checked.violations == []
    assert checked.seen == {"mutation revertPullRequest"}
    data["revertPullRequest"]["revertPullRequest"]["number"] = "seven"
    assert "answer" in call("POST", "/api/graphql", asked=asked, answer={"data": data}).violations[0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"query": REVERT % "wish", "variables": {"input": {"pullRequestId": "x"}}}, "Cannot query field 'wish'"),
        ({"query": REVERT % "clientMutationId", "variables": {"input": {"title": "x"}}}, "pullRequestId"),
        ({"query": "mutation {"}, "Syntax Error"),
        ({}, "KeyError"),
    ],
)
def test_a_wrong_graphql_request_is_told(asked: Any, words: str) -> None:
    violations = call("POST", "/api/graphql", asked=asked, answer={"errors": [{"message": "no"}]}).violations
    assert any(words in violation for violation in violations), violations


def test_other_paths_are_nobodys_business() -> None:
    assert call("GET", "/o/r.git/info/refs", answer="anything", media=b"text/plain").violations == []
