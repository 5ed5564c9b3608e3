"""The line to the forge on a bad day."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runner.errors import AutomendError, ConfigError, ForgeError, RepositoryError
from runner.github.failures import Failure
from runner.github.forge import GitHubForge
from tests.unit.github.moody import TOKEN, Moody, Said

LIMITED = {"message": "API rate limit exceeded for user"}
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}


ME = Said(body={"login": "bot"})


def test_a_good_answer(moody: Moody) -> None:
    assert moody.says(ME).whoami() == "bot"
    ((method, path, headers),) = moody.asked
    assert (method, path) == ("GET", "/api/v3/user")
    assert headers["Authorization"] == f"token {TOKEN}"


def test_who_we_are_is_asked_once(moody: Moody) -> None:
    forge = moody.says(ME)
    assert {forge.whoami() for _ in range(3)} == {"bot"}
    assert len(moody.asked) == 1


def test_a_token_without_a_user_asks_graphql(moody: Moody) -> None:
    forge = moody.says(
        Said(403, {"message": "Resource not accessible by integration"}),
        Said(body={"data": {"viewer": {"login": "automend[bot]"}}}),
    )
    assert forge.whoami() == "automend[bot]"
    assert moody.asked[1][:2] == ("POST", "/api/graphql")


def test_reads_are_repeated_when_the_server_fails(moody: Moody) -> None:
    assert moody.says(Said(502), Said(503), ME).whoami() == "bot"
    assert len(moody.asked) == 3


def test_a_server_that_keeps_failing_is_told(moody: Moody) -> None:
    with pytest.raises(ForgeError, match="keeps failing") as e:
        moody.says(Said(502)).whoami()
    assert len(moody.asked) == 3
    assert e.value.remedy


def test_writes_are_not_repeated_when_the_server_fails(moody: Moody) -> None:
    # It may have done it: the caller looks for its trace first (here: an empty list of pull requests).
    empty = Said(body=[])
    with pytest.raises(ForgeError, match="500"):
        moody.says(empty, Said(500, {"message": "oops"}), empty).open_pull(
            "o/r", branch="automend/x", base="main", title="t", body="b"
        )
    assert [method for method, _, _ in moody.asked] == ["GET", "POST", "GET"]


@pytest.mark.parametrize(
    "limited",
    [
        Said(403, LIMITED, {"Retry-After": "0"}),
        Said(403, SECONDARY, {"Retry-After": "0"}),
        Said(429, SECONDARY, {"Retry-After": "0"}),
        Said(403, LIMITED, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1"}),
    ],
)
def test_a_short_wait_for_the_rate_limit_is_kept(moody: Moody, limited: Said) -> None:
    assert moody.says(limited, ME).whoami() == "bot"
    assert len(moody.asked) == 2


def test_a_write_waits_for_the_rate_limit_too(moody: Moody) -> None:
    limited = Said(403, SECONDARY, {"Retry-After": "0"})
    made = Said(201, {"id": 7, "state": "success"})
    moody.says(Said(body=[]), limited, made).end_deployment("o/r", 1, state="success", description="")
    assert [method for method, _, _ in moody.asked] == ["GET", "POST", "POST"]


@pytest.mark.parametrize(
    "limited",
    [
        Said(403, LIMITED, {"Retry-After": "3600"}),
        Said(429, SECONDARY, {"Retry-After": "3600"}),
        Said(403, LIMITED, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "in an hour"}),
        Said(429, LIMITED, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "in an hour"}),
    ],
)
def test_a_long_wait_is_told_at_once(moody: Moody, limited: Said) -> None:
    if "X-RateLimit-Reset" in limited.headers:
        reset = {"X-RateLimit-Reset": str(int(time.time()) + 3600)}
        limited = replace(limited, headers={**limited.headers, **reset})
    forge = moody.says(limited)
    began = time.monotonic()
    with pytest.raises(ForgeError, match=r"rate limit is used up; it wants a wait of 3\d\d\d s") as e:
        forge.whoami()
    assert time.monotonic() - began < 2
    assert "poll_seconds" in e.value.remedy
    assert len(moody.asked) == 1


def test_a_server_that_wants_to_be_left_alone_is_told_at_once(moody: Moody) -> None:
    with pytest.raises(ForgeError, match="left alone for 3600 s"):
        moody.says(Said(503, headers={"Retry-After": "3600"})).whoami()
    assert len(moody.asked) == 1


def test_a_rate_limit_without_end_is_told(moody: Moody) -> None:
    with pytest.raises(ForgeError, match="rate limit"):
        moody.says(Said(403, LIMITED, {"Retry-After": "0"})).whoami()


def test_forbidden_is_no_rate_limit(moody: Moody) -> None:
    with pytest.raises(Failure, match=r"may not do this \(403: Must have push access\)"):
        moody.says(Said(403, {"message": "Must have push access"})).pull("o/r", 1)
    assert len(moody.asked) == 1


def test_a_wrong_token(moody: Moody) -> None:
    with pytest.raises(ForgeError, match="token is not valid") as e:
        moody.says(Said(401, {"message": "Bad credentials"})).whoami()
    assert "GITHUB_TOKEN" in e.value.remedy


def test_a_slow_server_is_not_waited_for(moody: Moody) -> None:
    release = threading.Event()
    moody.answers.append(Said(hang=release))
    forge = moody.forge(timeout=1, retries=0)
    try:
        with pytest.raises(ForgeError, match="did not answer in time"):
            forge.whoami()
    finally:
        release.set()


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: refused, and nobody else takes it
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        forge = GitHubForge(token=TOKEN, api_url=f"{url}/api/v3", server_url=url, retries=1)
        with pytest.raises(ForgeError, match=r"cannot be reached: .*Connection refused") as e:
            forge.whoami()
    assert "GITHUB_API_URL" in e.value.remedy


@pytest.mark.parametrize(
    "said",
    [
        Said(body=b"<html>welcome to the hotel</html>", headers={"Content-Type": "text/html"}),
        Said(body=b"{broken"),
        Said(body=b""),
        Said(body=["a", "list"]),
        Said(body={"no": "login"}),
        Said(cut=True),
    ],
)
def test_answers_that_no_github_gives(moody: Moody, said: Said) -> None:
    with pytest.raises(ForgeError) as e:
        moody.says(said).whoami()
    assert "GITHUB_API_URL" in e.value.remedy


def test_an_unchanged_answer_is_not_sent_again(moody: Moody) -> None:
    pull = {
        "number": 1, "html_url": "u", "title": "t", "state": "open", "merged_at": None, "merge_commit_sha": None,
        "user": {"login": "bot"}, "head": {"ref": "b", "sha": "s"}, "base": {"ref": "main"}, "mergeable": None,
    }  # fmt: skip
    changed = {**pull, "title": "new"}
    forge = moody.says(
        Said(body=pull, headers={"ETag": '"one"'}), Said(304), Said(body=changed, headers={"ETag": '"two"'}), Said(304)
    )
    assert [forge.pull("o/r", 1).title for _ in range(4)] == ["t", "t", "new", "new"]
    assert [headers.get("If-None-Match") for _, _, headers in moody.asked] == [None, '"one"', '"one"', '"two"']


def test_long_lists_are_read_to_their_end(moody: Moody) -> None:
    def review(number: int) -> dict[str, Any]:
        return {"id": number, "user": None, "state": "COMMENTED", "commit_id": "s", "body": ""}

    pages = [[review(n) for n in range(100)], [review(n) for n in range(100, 200)], [review(200)]]
    forge = moody.says(ME, *(Said(body=page) for page in pages))
    assert [r.id for r in forge.reviews("o/r", 1)] == list(range(201))
    assert [path.partition("?")[2] for _, path, _ in moody.asked[1:]] == [f"page={n}&per_page=100" for n in (1, 2, 3)]


@pytest.mark.parametrize(
    "said",
    [
        Said(401, {"message": f"Bad credentials {TOKEN}"}),
        Said(422, {"message": "no", "errors": [{"message": f"token {TOKEN} is ugly"}]}),
        Said(500, {"message": TOKEN}),
        Said(body=TOKEN.encode()),
    ],
)
def test_the_token_is_in_no_message(moody: Moody, said: Said) -> None:
    forge = moody.says(said)
    calls: tuple[Callable[[], object], ...] = (
        forge.whoami,
        lambda: forge.pull("o/r", 1),
        lambda: forge.default_branch("o/r"),
        lambda: forge.end_deployment("o/r", 1, state="success", description=""),
    )
    for call in calls:
        with pytest.raises(AutomendError) as e:
            call()
        shown = f"{e.value} {e.value.message} {e.value.remedy} {e.value!r} {e.value.to_json()} {e.value.args}"
        assert TOKEN not in shown
        assert e.value.__cause__ is None
    assert TOKEN not in repr(forge)


@pytest.mark.parametrize("token", ["", "  ", "two words", "line\nbreak", "caf\xe9", "\x00"])
def test_what_is_no_token_is_refused_and_not_shown(token: str) -> None:
    with pytest.raises(ConfigError) as e:
        GitHubForge(token=token)
    assert not token.strip() or token.strip() not in e.value.message


def test_the_line_end_of_a_token_file_does_no_harm(moody: Moody) -> None:
    moody.answers.append(ME)
    GitHubForge(token=f"{TOKEN}\n", api_url=f"{moody.url}/api/v3", server_url=moody.url).whoami()
    assert moody.asked[0][2]["Authorization"] == f"token {TOKEN}"


@pytest.mark.parametrize("repo", ["", "r", "a/b/c", "../x", "o/..", "o/r?x", "o/r#", "o /r", "o/r\n", "https://x/y"])
def test_what_is_no_repository_goes_into_no_address(moody: Moody, repo: str) -> None:
    forge = moody.says(ME)
    for call in (forge.default_branch, forge.clone_url, forge.git_auth, forge.open_pulls, forge.stop_issue):
        with pytest.raises(RepositoryError, match="not the name of a repository"):
            call(repo)
    assert moody.asked == []


def test_a_repository_without_issues_has_no_stop_issue(moody: Moody) -> None:
    assert moody.says(Said(410, {"message": "Issues are disabled for this repo"})).stop_issue("o/r") is None


def test_a_failure_crosses_the_engine_as_its_parent() -> None:
    back = AutomendError.from_json(Failure("what", remedy="how", status=404).to_json())
    assert (type(back), back.message, back.remedy) == (ForgeError, "what", "how")


def test_a_server_that_calls_itself_otherwise_is_told(moody: Moody) -> None:
    pull = {
        "url": "http://forge.elsewhere.example/api/v3/repos/o/r/pulls/1", "number": 1, "node_id": "x",
        "merged_at": "2026-01-01T00:00:00Z", "html_url": "u", "title": "t", "state": "open", "body": "old",
        "merge_commit_sha": None, "user": {"login": "bot"}, "base": {"ref": "main"},
        "head": {"ref": "automend/x", "sha": "s", "repo": {"full_name": "o/r"}},
    }  # fmt: skip
    open_ = {**pull, "merged_at": None}
    with pytest.raises(ForgeError, match="calls itself by another address"):
        moody.says(Said(body=[open_]), Said(body=open_)).open_pull(
            "o/r", branch="automend/x", base="main", title="t", body="new"
        )


def test_a_repository_that_has_moved(moody: Moody) -> None:
    with pytest.raises(RepositoryError, match="o/r has moved to o/new") as e:
        moody.says(Said(body={"full_name": "o/new", "default_branch": "main"})).default_branch("o/r")
    assert "o/new" in e.value.remedy


def test_an_unknown_repository_names_what_the_token_sees(moody: Moody) -> None:
    forge = moody.says(Said(404, {"message": "Not Found"}), ME, Said(body=[{"full_name": "o/a"}, {"full_name": "o/b"}]))
    with pytest.raises(RepositoryError, match="o/r is not there, or the token of bot may not see it; it sees o/a, o/b"):
        forge.default_branch("o/r")


def test_git_gets_the_token_for_one_repository_only() -> None:
    env = GitHubForge(token=TOKEN, server_url="https://h.example/").git_auth("o/r")
    count = int(env["GIT_CONFIG_COUNT"])
    entries = [(env[f"GIT_CONFIG_KEY_{n}"], env[f"GIT_CONFIG_VALUE_{n}"]) for n in range(count)]
    with_value = [key for key, value in entries if value.startswith("Authorization: Basic ")]
    assert with_value == ["http.https://h.example/o/r.git.extraHeader"]
    assert ("credential.helper", "") in entries
    assert TOKEN not in str(env)  # base64 only: a log that greps for it finds the same in both spellings
    assert len(env) == 2 * count + 2
