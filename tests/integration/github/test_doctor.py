from __future__ import annotations

from runner.github.doctor import Line, check_token
from tests.contract.plugin import BOT, ForgeHub, token_of


def look(hub: ForgeHub, login: str = BOT, repo: str | None = None) -> dict[str, Line]:
    lines = check_token(token=token_of(login), api_url=hub.api_url, server_url=hub.url, repo=repo)
    assert all(line.remedy for line in lines if line.state != "ok"), lines
    assert all(token_of(login) not in " ".join(line) for line in lines)
    return {line.name: line for line in lines}


def test_a_good_token_on_a_protected_repository(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo()
    told = look(forge_hub, repo=repo)
    assert {name: line.state for name, line in told.items()} == {
        "token": "ok",
        "repository": "ok",
        "contents": "ok",
        "pull requests": "ok",
        "checks": "ok",
        "statuses": "ok",
        "deployments": "ok",
        "issues": "ok",
        "protection": "ok",
        "direct push": "ok",
    }
    assert f"we act as {BOT}" in told["token"].what
    assert "check ci" in told["protection"].what
    assert "1 approval" in told["protection"].what


def test_without_a_repository_only_the_token(forge_hub: ForgeHub) -> None:
    assert list(look(forge_hub)) == ["token"]


def test_a_wrong_token(forge_hub: ForgeHub) -> None:
    lines = check_token(token="wrong", api_url=forge_hub.api_url, server_url=forge_hub.url, repo="o/r")
    (line,) = lines
    assert (line.name, line.state) == ("token", "bad")
    assert "GITHUB_TOKEN" in line.remedy


def test_no_token(forge_hub: ForgeHub) -> None:
    (line,) = check_token(token="", api_url=forge_hub.api_url, server_url=forge_hub.url)
    assert (line.state, line.remedy) == ("bad", "set GITHUB_TOKEN")


def test_a_forge_that_is_not_there(forge_hub: ForgeHub) -> None:
    forge_hub.hub.stop()
    told = look(forge_hub, repo="octo/tool")
    assert list(told) == ["forge"]
    assert "cannot be reached" in told["forge"].what


def test_a_repository_that_the_token_may_not_see(forge_hub: ForgeHub) -> None:
    repo = forge_hub.repo(private=True)
    told = look(forge_hub, "eve", repo)
    assert told["token"].state == "ok"
    assert told["repository"].state == "bad"


def test_an_account_that_may_only_read(forge_hub: ForgeHub) -> None:
    told = look(forge_hub, "ben", forge_hub.repo())
    assert told["contents"].state == "bad"
    assert "Write" in told["contents"].remedy


def test_an_unprotected_branch(forge_hub: ForgeHub) -> None:
    told = look(forge_hub, repo=forge_hub.repo(required_approvals=0, required_checks=()))
    assert told["protection"].state == "warn"
    assert "push to it directly" in told["protection"].what


def test_a_branch_that_demands_no_check(forge_hub: ForgeHub) -> None:
    told = look(forge_hub, repo=forge_hub.repo(required_checks=()))
    assert told["protection"].state == "warn"
    assert "no check is required" in told["protection"].what
    assert told["direct push"].state == "ok"


def test_what_is_no_name(forge_hub: ForgeHub) -> None:
    told = look(forge_hub, repo="../x")
    assert told["forge"].state == "bad"
