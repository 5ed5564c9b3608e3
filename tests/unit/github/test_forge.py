"""What the hub does not do, but GitHub does: rulesets, renamed and switched-off things, races."""

from __future__ import annotations

from typing import Any

import pytest

from runner.errors import ForgeError, Refused
from runner.github.failures import Failure
from runner.github.shapes import touched_lines
from runner.model import Verdict
from tests.unit.github.moody import Moody, Said

SHA = "a" * 40
REPO = "/repos/o/r"
COMMIT = f"{REPO}/commits/{SHA}"


def pull(state: str = "open", **more: Any) -> dict[str, Any]:
    return {
        "number": 1, "html_url": "u", "title": "t", "state": state, "merged_at": None, "merge_commit_sha": None,
        "user": {"login": "bot"}, "head": {"ref": "automend/x", "sha": SHA, "repo": {"full_name": "o/r"}},
        "base": {"ref": "main"}, "mergeable": None, "body": "", "node_id": "x", **more,
    }  # fmt: skip


def commit_with(moody: Moody, *, rules: Said) -> None:
    run = {"name": "ci", "status": "completed", "conclusion": "success", "html_url": "u", "app": {"id": 1}}
    moody.by_path |= {
        f"{COMMIT}/check-runs": Said(body={"check_runs": [run]}),
        f"{COMMIT}/status": Said(body={"statuses": []}),
        f"{COMMIT}/pulls": Said(body=[pull(base={"ref": "release/1"})]),
        f"{REPO}/branches/release%2F1": Said(body={"protected": True, "protection": {"enabled": False}}),
        f"{REPO}/rules/branches/release%2F1": rules,
    }


def test_a_ruleset_of_the_base_branch_counts(moody: Moody) -> None:
    rule = {
        "type": "required_status_checks",
        "parameters": {"required_status_checks": [{"context": "e2e", "integration_id": 1}]},
    }
    commit_with(moody, rules=Said(body=[rule]))
    told = moody.forge().ci("o/r", SHA)
    assert (told.verdict, told.summary) == (Verdict.INCONCLUSIVE, "required and not reported: e2e")


@pytest.mark.parametrize(
    "rules",
    [Said(404, {"message": "Not Found"}), Said(403, {"message": "Upgrade to GitHub Pro or make this repo public"})],
)
def test_where_there_are_no_rulesets_none_count(moody: Moody, rules: Said) -> None:
    commit_with(moody, rules=rules)
    assert moody.forge().ci("o/r", SHA).verdict is Verdict.PASSED


def test_rules_that_may_not_be_read_are_an_error_and_never_green(moody: Moody) -> None:
    commit_with(moody, rules=Said(403, {"message": "Resource not accessible by personal access token"}))
    told = moody.forge().ci("o/r", SHA)
    assert told.verdict is Verdict.ERROR
    assert "reading the rules" in told.summary


def test_a_forge_that_fails_is_no_verdict(moody: Moody) -> None:
    commit_with(moody, rules=Said(500, {"message": "oops"}))
    with pytest.raises(ForgeError):
        moody.forge(retries=0).ci("o/r", SHA)


def review(number: int, login: str | None, kind: str = "User", state: str = "APPROVED") -> dict[str, Any]:
    user = {"login": login, "type": kind} if login else None
    return {"id": number, "user": user, "state": state, "commit_id": None, "body": None}


def test_who_is_no_person_with_write_access(moody: Moody) -> None:
    moody.by_path |= {
        "/user": Said(body={"login": "me"}),
        f"{REPO}/pulls/1/reviews": Said(
            body=[
                review(1, "ann"), review(2, "gone"), review(3, None), review(4, "helper[bot]", "Bot"), review(5, "me"),
                review(6, "ann", state="PENDING"), review(7, "reader"),
            ]
        ),
        f"{REPO}/collaborators/ann/permission": Said(body={"permission": "admin"}),
        f"{REPO}/collaborators/reader/permission": Said(body={"permission": "read"}),
        f"{REPO}/collaborators/gone/permission": Said(404, {"message": "Not Found"}),
    }  # fmt: skip
    told = moody.forge().reviews("o/r", 1)
    assert [(r.id, r.author, r.can_write) for r in told] == [
        (1, "ann", True),
        (2, "gone", False),
        (3, "", False),
        (4, "helper[bot]", False),
        (5, "me", False),
        (7, "reader", False),
    ]
    assert not any("helper" in path for _, path, _ in moody.asked)


def test_rights_that_cannot_be_read_are_no_answer(moody: Moody) -> None:
    moody.by_path |= {
        "/user": Said(body={"login": "me"}),
        f"{REPO}/pulls/1/reviews": Said(body=[review(1, "ann")]),
        f"{REPO}/collaborators/ann/permission": Said(403, {"message": "Must have push access"}),
    }
    with pytest.raises(Failure, match="asking whether ann may write"):
        moody.forge().reviews("o/r", 1)


def test_a_merge_is_tried_again_while_the_base_moves(moody: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("runner.github.landing.time.sleep", waits.append)
    busy = Said(405, {"message": "Base branch was modified. Review and try the merge again."})
    moody.by_path[f"{REPO}/pulls/1"] = Said(body=pull())
    forge = moody.says(busy, busy, Said(body={"sha": "m" * 40, "merged": True, "message": "ok"}))
    assert forge.merge("o/r", 1, sha=SHA, method="squash", title="t") == "m" * 40
    assert len(waits) == 2


def test_a_base_that_never_rests_is_refused(moody: Moody, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.github.landing.time.sleep", lambda _: None)
    moody.by_path[f"{REPO}/pulls/1"] = Said(body=pull())
    busy = Said(405, {"message": "Base branch was modified. Review and try the merge again."})
    with pytest.raises(Refused, match="Base branch was modified"):
        moody.says(busy).merge("o/r", 1, sha=SHA, method="squash", title="t")
    assert [method for method, _, _ in moody.asked].count("PUT") == 3


def test_a_head_that_moves_during_the_merge_is_refused(moody: Moody) -> None:
    moody.by_path[f"{REPO}/pulls/1"] = Said(body=pull())
    moved = Said(409, {"message": "Head branch was modified. Review and try the merge again."})
    with pytest.raises(Refused, match="Head branch was modified"):
        moody.says(moved).merge("o/r", 1, sha=SHA, method="squash", title="t")


def test_somebody_merged_another_head(moody: Moody) -> None:
    other = pull("closed", merged_at="2026-01-01T00:00:00Z", merge_commit_sha="m" * 40)
    moody.by_path[f"{REPO}/pulls/1"] = Said(body=other)
    with pytest.raises(Refused, match=r"not at bbbbbbbbbbbb which was judged \(and merged\)"):
        moody.forge().merge("o/r", 1, sha="b" * 40, method="squash", title="t")
    assert all(method == "GET" for method, _, _ in moody.asked)


def test_a_pull_request_from_a_fork_is_not_ours(moody: Moody) -> None:
    fork = pull(head={"ref": "automend/x", "sha": SHA, "repo": {"full_name": "eve/r"}})
    gone = pull(head={"ref": "automend/x", "sha": SHA, "repo": None})
    moody.by_path[f"{REPO}/pulls"] = Said(body=[fork, gone])
    assert moody.forge().find_pull("o/r", "automend/x") is None
    assert moody.forge().open_pulls("o/r") == ()


def test_a_filter_that_the_forge_ignores_finds_nothing_of_another_branch(moody: Moody) -> None:
    moody.by_path[f"{REPO}/pulls"] = Said(body=[pull()])
    assert moody.forge().find_pull("o/r", "automend/y") is None


def test_an_open_pull_request_goes_before_an_older_closed_one(moody: Moody) -> None:
    closed, merged = pull("closed", number=9), pull("closed", number=5, merged_at="2026-01-01T00:00:00Z")
    moody.by_path[f"{REPO}/pulls"] = Said(body=[closed, pull(number=3), merged])
    found = moody.forge().find_pull("o/r", "automend/x")
    assert found is not None
    assert (found.number, found.state) == (3, "open")
    moody.by_path[f"{REPO}/pulls"] = Said(body=[closed, merged])
    found = moody.forge().find_pull("o/r", "automend/x")
    assert found is not None
    assert (found.number, found.state) == (5, "merged")


def test_a_revert_that_a_person_began_is_taken_over(moody: Moody) -> None:
    merged = pull("closed", merged_at="2026-01-01T00:00:00Z", merge_commit_sha="m" * 40)
    theirs = pull(number=8, user={"login": "ann"}, body="Reverts o/r#1")
    theirs["head"] = {"ref": "revert-1-automend/x", "sha": "c" * 40, "repo": {"full_name": "o/r"}}
    merged["url"] = f"{moody.url}/api/v3{REPO}/pulls/1"
    moody.by_path |= {
        "/user": Said(body={"login": "bot"}),
        f"{REPO}/pulls/1": Said(body=merged),
        f"{REPO}/pulls": Said(body=[theirs, merged]),
    }
    assert moody.forge().revert_pull("o/r", 1, title="t", body="b").number == 8
    assert all(method == "GET" for method, _, _ in moody.asked)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ("@@ -4,3 +4,3 @@ def f\n a\n-b\n+c\n d", ((5, 5),)),
        ("@@ -4,2 +4,3 @@\n a\n+b\n c", ((4, 5),)),
        ("@@ -1,3 +1 @@\n-a\n-b\n c\n@@ -9 +7 @@\n-x\n+y\n\\ No newline at end of file", ((1, 1), (2, 2), (9, 9))),
        ("@@ -0,0 +1,2 @@\n+a\n+b", ((-1, 0),)),
        (None, ((0, 1 << 62),)),
    ],
)
def test_lines_that_a_file_of_a_pull_request_touches(patch: str | None, expected: tuple[tuple[int, int], ...]) -> None:
    assert touched_lines({"filename": "f.py", "patch": patch}) == {"f.py": expected}


def test_a_moved_file_is_touched_where_it_was() -> None:
    item = {"filename": "new.py", "previous_filename": "old.py", "patch": "@@ -1 +1 @@\n-a\n+b"}
    assert touched_lines(item) == {"old.py": ((1, 1),)}
    assert set(touched_lines({"filename": "new.py", "previous_filename": "old.py"})) == {"new.py", "old.py"}
