from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runner.github.doctor import Line, check_token
from tests.unit.github.moody import TOKEN, Moody, Said

REPO = "/repos/o/r"


def look(moody: Moody, repo: str | None = "o/r") -> list[Line]:
    return check_token(token=TOKEN, api_url=f"{moody.url}/api/v3", server_url=moody.url, repo=repo)


def github(moody: Moody, *, headers: dict[str, str] | None = None, **repo: Any) -> None:
    branch = {"protected": True, "protection": {"enabled": True, "required_status_checks": {"contexts": ["ci"]}}}
    moody.by_path |= {
        "/user": Said(body={"login": "bot"}, headers=headers or {}),
        REPO: Said(body={"full_name": "o/r", "default_branch": "main", "permissions": {"push": True}, **repo}),
        f"{REPO}/pulls": Said(body=[]),
        f"{REPO}/commits/main/check-runs": Said(body={"check_runs": []}),
        f"{REPO}/commits/main/status": Said(body={"statuses": []}),
        f"{REPO}/deployments": Said(body=[]),
        f"{REPO}/issues": Said(body=[]),
        f"{REPO}/branches/main": Said(body=branch),
        f"{REPO}/rules/branches/main": Said(body=[]),
        f"{REPO}/branches/main/protection": Said(body={"required_pull_request_reviews": {}}),
    }


def states(lines: list[Line]) -> dict[str, str]:
    return {line.name: line.state for line in lines}


@pytest.mark.parametrize(
    ("scopes", "state"), [("repo, read:org", "ok"), ("public_repo", "warn"), ("gist", "bad"), ("", "bad")]
)
def test_the_scopes_of_a_classic_token(moody: Moody, scopes: str, state: str) -> None:
    github(moody, headers={"X-OAuth-Scopes": scopes})
    assert states(look(moody, None))["scopes"] == state


def test_a_fine_grained_token_has_no_scopes(moody: Moody) -> None:
    github(moody)
    assert list(states(look(moody, None))) == ["token"]


@pytest.mark.parametrize(("days", "warned"), [(3, True), (90, False)])
def test_a_token_that_ends_soon(moody: Moody, days: int, warned: bool) -> None:
    end = datetime.now(UTC) + timedelta(days=days, hours=1)
    github(moody, headers={"github-authentication-token-expiration": f"{end:%Y-%m-%d %H:%M:%S} UTC"})
    assert [line.state for line in look(moody, None)] == (["ok", "warn"] if warned else ["ok"])


def test_an_end_that_cannot_be_read_is_passed_over(moody: Moody) -> None:
    github(moody, headers={"github-authentication-token-expiration": "some day"})
    assert [line.state for line in look(moody, None)] == ["ok"]


def test_an_installation_token_has_no_user(moody: Moody) -> None:
    moody.by_path |= {"/user": Said(403, {"message": "Resource not accessible by integration"})}
    moody.by_path["/api/graphql"] = Said(body={"data": {"viewer": {"login": "automend[bot]"}}})
    (line,) = look(moody, None)
    assert (line.state, "automend[bot]" in line.what) == ("ok", True)


def test_an_archived_repository(moody: Moody) -> None:
    github(moody, archived=True)
    assert states(look(moody))["contents"] == "bad"


def test_rights_that_are_lacking_are_named(moody: Moody) -> None:
    github(moody)
    moody.by_path[f"{REPO}/deployments"] = Said(403, {"message": "Resource not accessible"})
    moody.by_path[f"{REPO}/issues"] = Said(410, {"message": "Issues are disabled"})
    told = {line.name: line for line in look(moody)}
    assert told["deployments"].state == "bad"
    assert "Deployments: read and write" in told["deployments"].remedy
    assert told["issues"].state == "ok"


def test_a_read_that_fails_is_told_and_the_rest_goes_on(moody: Moody) -> None:
    github(moody)
    moody.by_path[f"{REPO}/pulls"] = Said(body=b"<html>")
    moody.by_path[f"{REPO}/branches/main"] = Said(404, {"message": "Branch not found"})
    told = states(look(moody))
    assert (told["pull requests"], told["checks"], told["protection"]) == ("bad", "ok", "bad")


def test_rules_that_fail_to_be_read(moody: Moody) -> None:
    github(moody)
    moody.by_path[f"{REPO}/rules/branches/main"] = Said(body=b"{")
    told = look(moody)
    assert (told[-1].name, told[-1].state) == ("forge", "bad")


@pytest.mark.parametrize(
    ("admin", "enforced", "state"), [(True, False, "warn"), (True, True, "ok"), (False, False, "ok")]
)
def test_an_administrator_past_the_protection(moody: Moody, admin: bool, enforced: bool, state: str) -> None:
    github(moody, permissions={"push": True, "admin": admin})
    moody.by_path[f"{REPO}/branches/main/protection"] = Said(
        body={"required_pull_request_reviews": {}, "enforce_admins": {"enabled": enforced}}
    )
    assert states(look(moody))["direct push"] == state


def test_protection_that_demands_no_pull_request(moody: Moody) -> None:
    github(moody)
    moody.by_path[f"{REPO}/branches/main/protection"] = Said(body={"enforce_admins": {"enabled": True}})
    told = {line.name: line for line in look(moody)}["direct push"]
    assert (told.state, "without a pull request" in told.what) == ("warn", True)


def test_protection_that_only_administrators_may_read(moody: Moody) -> None:
    github(moody)
    moody.by_path[f"{REPO}/branches/main/protection"] = Said(404, {"message": "Not Found"})
    told = {line.name: line for line in look(moody)}["direct push"]
    assert (told.state, "not shown to this token" in told.what) == ("warn", True)


def test_a_ruleset_that_demands_approvals(moody: Moody) -> None:
    github(moody)
    rules = [{"type": "pull_request", "parameters": {"required_approving_review_count": 2}}]
    moody.by_path[f"{REPO}/rules/branches/main"] = Said(body=rules)
    moody.by_path[f"{REPO}/branches/main/protection"] = Said(404, {"message": "Branch not protected"})
    told = {line.name: line for line in look(moody)}
    assert "2 approvals" in told["protection"].what
    assert told["direct push"].state == "ok"


def test_a_connection_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.github.forge.GitHubForge.whoami", lambda _self: "bot")
    monkeypatch.setattr("runner.github.doctor._Examination._headers", lambda _self: {})
    lines = check_token(token=TOKEN, api_url="http://forge.example/api/v3", server_url="http://forge.example")
    assert (lines[0].name, lines[0].state) == ("forge", "warn")
