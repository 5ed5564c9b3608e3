"""`automend serve`: proposed runs move when the forge's state says so, and only then."""

import http.server
import json
import shlex
import signal
import threading

import pytest

from tests.acceptance.conftest import FIX, FIXED, NEW_TEST, TRACEBACK, say, shell, told, write

pytestmark = [pytest.mark.docker, pytest.mark.agents, pytest.mark.timeout(1800)]  # two jobs each, on a busy machine

FASTER = write("calc.py", FIXED.replace("sum(values)", "sum(list(values))"))
DOCUMENTED = write("calc.py", FIXED.replace(":\n", ':\n    """The mean; 0 of nothing."""\n', 1))
ANSWER = (DOCUMENTED, say("It says now what the mean of nothing is."))


@pytest.fixture
def proposed(town, calc):
    """A pull request that waits, and `automend serve` that looks at it all the time."""
    town.house.write("error.log", TRACEBACK)
    town.house.configure("[serve]\npoll_seconds = 0.3\n")

    def propose(*attempts, **kwargs):
        name = town.repo(calc, "acme/calc", required_approvals=1, **kwargs)
        town.house.agent(FIX, *attempts)
        done = town.house("run", "--repo", name, "--context", "error.log", "--json")
        assert done.code == 0, done.err
        return done.document

    return propose


def over(run):
    return run["status"] not in {"queued", "working", "proposed", "landing"}


def end(process):
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    return out, err


def test_it_lands_what_is_green_and_approved_and_nothing_else(town, proposed):
    town.ci[:] = [("success", "3 tests passed", "")]
    run = proposed()
    pull = run["pull"]
    town.hub.hub.ci_settled()
    serve = town.house.start("serve")
    waiting = town.house.until(lambda r: "0 of 1 approvals" in r["now"], run=run["id"])
    assert waiting["status"] == "proposed"
    second = town.house("serve")
    assert second.code == 2
    assert "another automend process works for" in second.said
    town.review(pull, "APPROVE", login="rita")
    landed = town.house.until(over, run=run["id"])
    assert landed["status"] == "landed", landed["reason"]
    assert "no deployment is configured" in landed["reason"]
    (merged,) = town.pulls("acme/calc", "closed")
    assert merged["merged_at"]
    assert merged["head"]["sha"] == run["head_sha"]
    assert town.get("acme/calc/commits/main")["sha"] == landed["merge_sha"]
    assert any("**Landed.**" in c for c in town.comments(pull))
    _, err = end(serve)
    assert f"{run['id']} landed" in err
    assert "stopping (SIGTERM)" in err


def test_a_pull_request_that_a_person_closed_ends_the_run(town, proposed):
    run = proposed()
    serve = town.house.start("serve")
    town.hub.client("rita").get_repo("acme/calc").get_pull(run["pull"]["number"]).edit(state="closed")
    closed = town.house.until(over, run=run["id"])
    assert closed["status"] == "closed"
    assert "closed without being merged" in closed["reason"]
    end(serve)


def test_a_review_is_answered_with_one_more_commit(town, proposed):
    run = proposed(ANSWER)
    pull, first = run["pull"], run["head_sha"]
    town.review(pull, "REQUEST_CHANGES", "Please say in a docstring what the mean of nothing is.")
    town.review(pull, "REQUEST_CHANGES", "I want it in French.", login="ben")  # may read, not write: not heard
    serve = town.house.start("serve")
    revised = town.house.until(lambda r: r["head_sha"] != first and r["status"] == "proposed", run=run["id"])
    assert town.head(pull) == revised["head_sha"]
    commits = [c["sha"] for c in town.get(f"acme/calc/pulls/{pull['number']}/commits")]
    assert commits == [first, revised["head_sha"]]
    assert len(town.pulls("acme/calc")) == 1
    (answer,) = town.comments(pull)
    assert "**Revised:" in answer
    assert revised["head_sha"] in answer
    asked = town.house.asked(run["id"], 2)
    assert "in a docstring what the mean of nothing is" in asked
    assert "French" not in asked
    assert len(revised["attempts"]) == 2
    town.review(pull, "APPROVE")
    landed = town.house.until(over, run=run["id"])
    assert landed["status"] == "landed", landed["reason"]
    end(serve)


def test_red_ci_is_answered(town, proposed):
    town.ci[:] = [("failure", "1 test failed", "E   AssertionError: the docs are missing"), ("success", "fine", "")]
    run = proposed(ANSWER)
    assert town.hub.hub.ci_settled()
    serve = town.house.start("serve")
    revised = town.house.until(lambda r: r["head_sha"] != run["head_sha"] and r["status"] == "proposed", run=run["id"])
    asked = town.house.asked(run["id"], 2)
    assert "the docs are missing" in asked
    town.review(run["pull"], "APPROVE")
    landed = town.house.until(over, run=run["id"])
    assert (landed["status"], landed["head_sha"]) == ("landed", revised["head_sha"])
    end(serve)


def test_a_base_that_moved_elsewhere_changes_nothing(town, proposed):
    run = proposed()
    town.hub.hub.commit("acme/calc", {"NEWS.md": b"news\n"}, "News", author="rita")
    serve = town.house.start("serve")
    town.review(run["pull"], "APPROVE")
    landed = town.house.until(over, run=run["id"])
    assert landed["status"] == "landed", landed["reason"]
    assert landed["head_sha"] == run["head_sha"]
    assert {f["path"] for f in town.get("acme/calc/git/trees/main")["tree"]} >= {"NEWS.md", "calc.py"}
    end(serve)


def test_a_base_that_moved_against_it_is_met_from_the_new_base(town, proposed):
    theirs = "def mean(numbers):\n    return sum(numbers) / len(numbers)\n"
    ours = (
        write("calc.py", theirs.replace("len(numbers)", "len(numbers) if numbers else 0")),
        shell(f"grep -q mean_of_nothing test_calc.py || printf '%s' {shlex.quote(NEW_TEST)} >>test_calc.py"),
        say("Met their new names."),
    )
    run = proposed(ours)
    town.hub.hub.commit("acme/calc", {"calc.py": theirs.encode()}, "Other names", author="rita")
    serve = town.house.start("serve")
    revised = town.house.until(lambda r: r["head_sha"] != run["head_sha"] and r["status"] == "proposed", run=run["id"])
    asked = town.house.asked(run["id"], 2)
    assert "no longer merges (calc.py)" in asked
    main = town.get("acme/calc/commits/main")["sha"]
    parents = [p["sha"] for p in town.get(f"acme/calc/commits/{revised['head_sha']}")["parents"]]
    assert parents == [run["head_sha"], main]
    assert town.get(f"acme/calc/pulls/{run['pull']['number']}")["mergeable"] is True
    town.review(run["pull"], "APPROVE")
    landed = town.house.until(over, run=run["id"])
    assert landed["status"] == "landed", landed["reason"]
    end(serve)


def test_a_job_is_done_by_the_service_when_there_is_one(town, calc):
    name = town.repo(calc, "acme/calc")
    town.house.agent(FIX)
    town.house.configure("[serve]\npoll_seconds = 0.3\n")
    serve = town.house.start("serve")
    told(serve, "automend serves")
    done = town.house("run", "--repo", name, "--title", "Mend the mean")
    assert done.code == 0, done.err
    assert len(town.pulls(name)) == 1
    # The service runs in a folder of its own; a path is told from where the person is.
    local = town.house("run", "--repo", "../calc", "--title", "Mend the mean", "--dry-run")
    assert local.code == 0, local.err
    assert local.out.startswith("diff --git")
    assert serve.poll() is None
    end(serve)


class Production(http.server.BaseHTTPRequestHandler):
    """Ill as long as a release is live that it does not like."""

    live = None
    good = "first"

    def do_GET(self):
        release = self.live.read_text().strip() if self.live.exists() else self.good
        self.send_response(200 if release == self.good else 500)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_release_that_makes_things_worse_is_taken_back(town, proposed, calc):
    folder = town.house.folder / "production"
    folder.mkdir()
    (folder / "live").write_text(calc.head)
    handler = type("Handler", (Production,), {"live": folder / "live", "good": calc.head})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    deploy = json.dumps("echo $AUTOMEND_RELEASE >>deploys; env >environment; echo $AUTOMEND_RELEASE >live")
    town.house.configure(
        f'[repo."acme/calc".deploy]\ncommand = {deploy}\ncurrent = "cat live"\ncwd = {json.dumps(str(folder))}\n'
        f'[repo."acme/calc".health]\nurl = "http://127.0.0.1:{server.server_address[1]}/"\ninterval_seconds = 0.1\n'
        "timeout_seconds = 60\nbaseline_seconds = 0.5\nwindow_seconds = 2\n"
    )
    run = proposed()
    serve = town.house.start("serve")
    town.review(run["pull"], "APPROVE")
    back = town.house.until(over, run=run["id"])
    assert back["status"] == "reverted", back["reason"]
    assert (folder / "live").read_text().strip() == calc.head
    assert (folder / "deploys").read_text().split() == [back["merge_sha"], calc.head]
    assert "token-of" not in (folder / "environment").read_text()
    (revert,) = town.pulls("acme/calc")
    assert revert["number"] == back["revert_pull"]["number"]
    assert revert["title"].startswith('Revert "')
    assert "| after |" in revert["body"]
    assert any("**Taken back.**" in c for c in town.comments(run["pull"]))
    told = town.house("show", run["id"])
    for words in ("reverted", "rolled back", "revert proposed", "health after"):
        assert words in told.out
    end(serve)
    server.shutdown()
    server.server_close()
