"""May it land? Every answer is computed from what the forge says now, here a forge of plain values."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from runner.model import CiStatus, Finding, Job, Patch, PullRequest, Report, Review, Run, RunStatus, Verdict
from runner.policy.schema import load_policy
from runner.steps import review

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HEAD = "a" * 40
GREEN = CiStatus(verdict=Verdict.PASSED, summary="1 check passed")
RED = CiStatus(verdict=Verdict.FAILED, summary="ci failed", failures=("ci: 2 tests failed",))
PENDING = CiStatus(verdict=Verdict.INCONCLUSIVE, summary="running")
BROKEN = CiStatus(verdict=Verdict.ERROR, summary="unreadable")


@dataclass
class World:
    """A forge and a store that hold one run."""

    status: CiStatus = GREEN
    said: tuple[Review, ...] = ()
    pr: PullRequest = field(
        default_factory=lambda: PullRequest(
            repo="a/b", number=1, url="u", author="bot", branch="automend/x", base="main", head_sha=HEAD
        )
    )
    findings: tuple[Finding, ...] = ()
    heard: tuple[str, ...] = ()

    def house(self):
        run = Run(
            id="r",
            job=Job(repo="a/b"),
            status=RunStatus.PROPOSED,
            pull=self.pr,
            head_sha=HEAD,
            heard=self.heard,
            proposed=Report(verdict=Verdict.PASSED, findings=self.findings, patch=Patch(base_tree="b", head_tree="h")),
            created=NOW,
            updated=NOW,
        )
        return SimpleNamespace(
            store=SimpleNamespace(run=lambda _: run),
            policy=lambda _: load_policy("default"),
            forge=SimpleNamespace(
                pull=lambda repo, number: self.pr,
                ci=lambda repo, sha: self.status,
                reviews=lambda repo, number: self.said,
            ),
        )


def said(state, author="rita", *, sha=HEAD, can_write=True, number=1, body=""):
    return Review(id=number, author=author, state=state, commit_sha=sha, can_write=can_write, body=body)


def ready(world):
    return review.readiness(world.house(), "r").verdict


def test_green_and_approved_is_ready():
    world = World(said=(said("approved"),))
    assert ready(world) is Verdict.PASSED
    assert review.look(world.house(), "r").do == "land"


@pytest.mark.parametrize(
    ("world", "why"),
    [
        (World(), "nobody approved"),
        (World(said=(said("approved", sha="b" * 40),)), "another commit was approved"),
        (World(said=(said("approved", can_write=False),)), "the approver may not write"),
        (World(said=(said("approved", author="bot"),)), "the author approved"),
        (World(said=(said("commented"),)), "a remark is no approval"),
        (World(said=(said("approved"), said("dismissed", number=2))), "the approval was dismissed"),
        (World(said=(said("approved"),), status=PENDING), "CI is running"),
        (World(said=(said("approved"),), status=BROKEN), "CI cannot be read"),
        (World(said=(said("approved"),), status=RED), "CI is red"),
        (World(said=(said("approved"), said("changes_requested", "ann", number=2))), "somebody is against it"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_anything_less_is_not_ready(world, why):
    assert ready(world) is not Verdict.PASSED, why
    assert review.look(world.house(), "r").do != "land"


def test_a_remark_does_not_take_an_approval_back_but_a_later_no_does():
    assert ready(World(said=(said("approved"), said("commented", number=2)))) is Verdict.PASSED
    assert ready(World(said=(said("approved"), said("changes_requested", number=2)))) is Verdict.FAILED


def test_a_commit_that_was_not_judged_never_lands():
    world = World(said=(said("approved", sha="c" * 40),))
    world.pr = world.pr.model_copy(update={"head_sha": "c" * 40})
    assert ready(world) is Verdict.INCONCLUSIVE
    assert review.look(world.house(), "r").do == "wait"


def test_a_finding_that_people_have_to_see_costs_one_more_approval():
    seen = Finding(rule="tests.changed", verdict=Verdict.PASSED, message="x", review=True)
    assert ready(World(findings=(seen,), said=(said("approved"),))) is Verdict.INCONCLUSIVE
    both = (said("approved"), said("approved", "ann", number=2))
    assert ready(World(findings=(seen,), said=both)) is Verdict.PASSED


def test_a_closed_pull_request_ends_the_run_and_our_own_merge_does_not():
    world = World()
    world.pr = world.pr.model_copy(update={"state": "closed"})
    assert review.look(world.house(), "r").do == "close"
    world.pr = world.pr.model_copy(update={"state": "merged", "merge_sha": "d" * 40})
    assert review.look(world.house(), "r").do == "land"
    world.pr = world.pr.model_copy(update={"head_sha": "e" * 40})
    assert review.look(world.house(), "r").do == "close"


def test_reviews_and_red_ci_are_answered_once():
    world = World(said=(said("changes_requested", body="use strip()", number=7),), status=RED)
    upcoming = review.look(world.house(), "r")
    assert upcoming.do == "revise"
    assert "use strip()" in upcoming.feedback
    assert "2 tests failed" in upcoming.feedback
    assert upcoming.heard == ("review:7", f"ci:{HEAD}")
    world.heard = upcoming.heard
    assert review.look(world.house(), "r").do == "wait"


def test_words_of_people_without_write_access_are_not_acted_on():
    world = World(said=(said("changes_requested", can_write=False, body="run curl"),))
    assert review.look(world.house(), "r").do == "wait"


def test_a_conflict_asks_for_a_revision():
    world = World()
    world.pr = world.pr.model_copy(update={"mergeable": False})
    assert review.look(world.house(), "r").do == "revise"
