"""`automend run`: one job in the foreground."""

import pytest

from tests.acceptance.conftest import CALC, FIX, FIXED, TRACEBACK, say, write
from tests.contract.plugin import BOT

pytestmark = [pytest.mark.docker, pytest.mark.agents, pytest.mark.timeout(1800)]  # several runs on a busy machine

WRONG = (write("calc.py", "def mean(values):\n    return 0\n"), say("It is 0 now."))


def job(house, repo, *args, **kwargs):
    house.write("error.log", TRACEBACK)
    return house("run", "--repo", repo, "--context", "error.log", *args, **kwargs)


def snapshot(repo):
    """Everything that belongs to a person's checkout."""
    files = {p.name: p.read_bytes() for p in repo.path.iterdir() if p.is_file()}
    index = (repo.path / ".git" / "index").read_bytes()
    return files, index, repo.git("rev-parse", "HEAD"), repo.git("symbolic-ref", "HEAD"), repo.git("stash", "list")


def test_a_dry_run_prints_the_judged_patch_and_the_story_can_be_read_later(house, calc):
    house.agent(FIX)
    (calc.path / "notes.txt").write_text("mine\n")
    (calc.path / "calc.py").write_text("# half an idea\n")
    before = snapshot(calc)
    done = job(house, calc.path, "--dry-run")
    assert done.code == 0, done.err
    assert done.out.startswith("diff --git a/calc.py b/calc.py\n")
    assert "+    return sum(values) / len(values) if values else 0\n" in done.out
    assert "half an idea" not in done.out
    assert "uncommitted changes are not part of the base" in done.said
    assert "notes.txt" in done.said
    for words in ("base checked out", "environment ready", "agent", "gate", "PASSED", "judged"):
        assert words in done.said
    assert snapshot(calc) == before
    assert calc.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"

    (run,) = house.runs()
    assert run["status"] == "judged"
    assert run["repo"] == str(calc.path)
    for table in (house("status"), house("status", "--all")):
        assert table.code == 0
        assert run["id"] in table.out
    assert house("show", run["id"][:-3], "--patch").out == done.out
    told = house("show", run["id"])
    for words in ("Trail", "Attempt 1", "script", "ZeroDivisionError", "red-green", "tokens in"):
        assert words in told.out
    whole = house.show(run["id"])
    assert whole["report"]["verdict"] == "passed"
    assert whole["diff"] == done.out
    assert whole["attempts"][0]["tool_calls"] == 2
    assert whole["attempts"][0]["usage"]["output"] > 0
    assert {m["step"] for m in whole["trail"]} >= {"checkout.checkout", "attempt.attempt", "judge.judge_attempt"}
    transcript = house("show", run["id"], "--transcript")
    for words in ("attempt 1", "script (gpt-5.3-codex)", "cat >calc.py", "The mean of nothing is 0 now.", "done"):
        assert words in transcript.out
    told = house("show", run["id"], "--transcript", "--attempt", "1", "--json").document
    assert (told["outcome"], len(told["exchanges"]), told["exchanges"][2]["calls"]) == ("done", 3, [])
    none = house("show", run["id"], "--transcript", "--attempt", "7")
    assert none.code == 2
    assert "there are: 1" in none.said
    assert house("show", "2").code == 0
    assert house("show", "x").code == 2


def test_a_path_ends_with_a_branch_and_an_untouched_checkout(house, calc):
    house.agent(FIX)
    before = snapshot(calc)
    done = job(house, calc.path, "--json")
    assert done.code == 0, done.err
    run = done.document
    assert run["status"] == "judged"
    assert run["pull"] is None
    assert run["report"]["verdict"] == "passed"
    assert snapshot(calc) == before
    branch = run["branch"]
    assert branch == f"automend/{run['id']}-fix-zerodivisionerror-division-by-zero"
    assert calc.git("rev-parse", branch) == run["head_sha"]
    assert calc.git("rev-parse", f"{branch}^") == calc.head
    assert calc.git("diff", "--stat", "main", branch).endswith("2 files changed, 5 insertions(+), 1 deletion(-)")
    message = calc.git("log", "-1", "--format=%B", branch)
    assert f"Automend-Run: {run['id']}" in message
    again = house("gate", "--repo", calc.path, "--base", calc.head, "--head", branch, "--json")
    assert again.code == 0
    assert again.document["evidence"]["head_tree"] == run["report"]["evidence"]["head_tree"]
    assert again.document["evidence"]["policy_hash"] == run["report"]["evidence"]["policy_hash"]


def test_the_next_attempt_hears_why_the_first_was_refused(house, calc):
    house.agent(WRONG, FIX)
    done = job(house, calc.path, "--dry-run", "--json")
    assert done.code == 0, done.err
    first, second = done.document["attempts"]
    assert (first["outcome"], second["outcome"]) == ("done", "done")
    asked = house.asked(done.document["id"], 2)
    assert "test_calc.py::test_mean" in asked
    assert "regressions" in asked


def test_what_no_attempt_gets_right_is_refused_with_reasons(house, calc):
    house.agent(WRONG)
    strict = house.write("one.toml", "attempts = 2\n")
    done = job(house, calc.path, "--policy", strict)
    assert (done.code, done.out) == (1, "")
    for words in ("FAILED", "refused", "regressions", "test_calc.py::test_mean", "attempt 2"):
        assert words in done.said
    assert calc.git("for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_on_the_forge_it_ends_with_a_pull_request_that_carries_its_proof(town, calc):
    town.repo(calc, "acme/calc")
    town.house.agent(FIX)
    done = job(town.house, "acme/calc")
    assert done.code == 0, done.err
    (pull,) = town.pulls("acme/calc")
    assert done.out == f"{pull['html_url']}\n"
    (run,) = town.house.runs()
    assert run["status"] == "proposed"
    assert pull["title"] == "Fix ZeroDivisionError: division by zero"
    assert pull["user"]["login"] == BOT
    assert pull["head"]["ref"] == run["branch"]
    body = pull["body"]
    for words in (
        "What was reported", "ZeroDivisionError", "### Evidence", "red-green", "test_calc.py::test_mean_of_nothing",
        "regressions", "100.00 %", "2 of 10 files", "sha256:", "1 attempt", "automend gate --repo . --base",
        run["id"],
    ):  # fmt: skip
        assert words in body, words

    second = job(town.house, "acme/calc", "--json")
    assert second.code == 0, second.err
    assert second.document["status"] == "proposed"
    assert len(town.pulls("acme/calc")) == 2
    third = job(town.house, "acme/calc")
    assert third.code == 0, third.err
    fourth = job(town.house, "acme/calc")
    assert (fourth.code, fourth.out) == (1, "")
    assert "3 pull requests of automend are open in acme/calc; the policy allows 3" in fourth.said
    assert pull["html_url"] in fourth.said
    assert len(town.pulls("acme/calc")) == len(town.branches("acme/calc")) == 3
    assert job(town.house, "acme/calc", "--dry-run").code == 0


def test_claude_does_it_too(house, calc):
    house.agent(FIX, cli="claude")
    done = job(house, calc.path, "--dry-run", "--json")
    assert done.code == 0, done.err
    assert done.document["attempts"][0]["message"] == "The mean of nothing is 0 now."


def test_a_repository_without_tests_is_inconclusive_for_a_fix(house, make_repo):
    house.agent((write("calc.py", FIXED), say("Done.")))
    repo = make_repo({"calc.py": CALC["calc.py"], "requirements.txt": CALC["requirements.txt"]})
    done = job(house, repo.path, "--json")
    assert done.code == 4, done.err
    assert done.document["status"] == "inconclusive"
    assert "no tests were found" in done.document["reason"]
    assert repo.git("branch", "--list", "automend/*") == ""


def test_tests_that_fail_on_the_base_are_known_and_do_not_stop_a_fix(house, make_repo):
    red = "\n\ndef test_always_red():\n    assert mean([1]) == 2\n"
    repo = make_repo({**CALC, "test_calc.py": CALC["test_calc.py"] + red})
    house.agent(FIX)
    done = job(house, repo.path, "--dry-run", "--json")
    assert done.code == 0, done.err
    tests = done.document["report"]["evidence"]["tests"]
    assert tests["baseline_failed"] == ["test_calc.py::test_always_red"]
    assert tests["red_to_green"] == ["test_calc.py::test_mean_of_nothing"]


def test_a_base_where_nothing_passes_proves_nothing(house, make_repo):
    broken = "import nothing_like_this\n\n\ndef test_mean():\n    assert True\n"
    repo = make_repo({**CALC, "test_calc.py": broken})
    house.agent((write("calc.py", FIXED), say("Done.")))
    done = job(house, repo.path, "--dry-run")
    assert done.code in {1, 4}, done.err
    assert "no test passes" in done.said or "nothing_like_this" in done.said


def test_a_context_of_five_megabytes(house, calc):
    house.agent(FIX)
    house.write("big.log", ("2026-01-01 all is well \x1b[31m\x00\n" * 150_000) + TRACEBACK)
    done = house("run", "--repo", calc.path, "--context", "big.log", "--dry-run", "--json")
    assert done.code == 0, done.err
    run = done.document
    assert 100_000 < len(run["job"]["context"]) < 250_000
    assert run["job"]["context"].endswith(TRACEBACK)
    sent = house.asked(run["id"], 1)
    assert "ZeroDivisionError: division by zero" in sent


def test_the_context_may_come_through_a_pipe(house, calc):
    done = house("run", "--repo", calc.path, "--context", "-", "--agent", "nobody", stdin=TRACEBACK.encode())
    assert done.code == 2
    assert "there is no agent `nobody`" in done.said


def test_switched_off(town, calc):
    name = town.repo(calc, "acme/calc")
    town.house.agent(FIX)
    off = job(town.house, name, env={"AUTOMEND_DISABLED": "1"})
    assert (off.code, off.out) == (1, "")
    assert "AUTOMEND_DISABLED is set" in off.said
    issue = town.hub.client("rita").get_repo(name).create_issue("Enough for now", labels=["automend:stop"])
    stopped = job(town.house, name)
    assert (stopped.code, stopped.out) == (1, "")
    assert f"an open issue stops all new work here: {issue.html_url}" in stopped.said
    assert [r["status"] for r in town.house.runs()] == ["stopped", "stopped"]
    assert town.branches(name) == town.pulls(name) == []
    issue.edit(state="closed")
    assert job(town.house, name, "--dry-run").code == 0
