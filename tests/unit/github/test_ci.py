from __future__ import annotations

from typing import Any

import pytest

from runner.github.ci import Required, judge, required_by
from runner.model import Verdict


def run(name: str, conclusion: str | None = "success", *, status: str = "completed", app: int = 1) -> dict[str, Any]:
    return {
        "name": name,
        "status": status,
        "conclusion": conclusion,
        "html_url": f"https://x/{name}",
        "app": {"id": app},
    }


def state(context: str, word: str) -> dict[str, Any]:
    return {"context": context, "state": word, "target_url": f"https://s/{context}"}


def test_nothing_reported_is_inconclusive() -> None:
    assert judge([], [], []).verdict is Verdict.INCONCLUSIVE


def test_all_green_passes() -> None:
    assert judge([run("unit")], [state("lint", "success")], []).verdict is Verdict.PASSED
    assert judge([], [state("lint", "success")], []).verdict is Verdict.PASSED


@pytest.mark.parametrize("conclusion", ["failure", "timed_out", "startup_failure"])
def test_one_red_fails_and_is_named_even_while_others_run(conclusion: str) -> None:
    told = judge([run("unit"), run("lint", conclusion), run("docs", None, status="in_progress")], [], [])
    assert told.verdict is Verdict.FAILED
    assert told.failures == ("lint: https://x/lint",)


def test_what_a_red_check_wrote_is_told_and_of_a_long_text_the_end() -> None:
    wrote = {"title": "1 failed", "summary": None, "text": "x" * 10_000 + "AssertionError: 3 != 4"}
    (told,) = judge([{**run("unit", "failure"), "output": wrote}], [], []).failures
    assert told.startswith("unit: https://x/unit\n1 failed\n…x")
    assert told.endswith("AssertionError: 3 != 4")
    assert len(told) < 7_000


@pytest.mark.parametrize("word", ["failure", "error"])
def test_a_red_status_fails(word: str) -> None:
    told = judge([run("unit")], [state("lint", word)], [])
    assert (told.verdict, told.failures) == (Verdict.FAILED, ("lint: https://s/lint",))


@pytest.mark.parametrize("status", ["queued", "in_progress", "waiting", "requested", "pending"])
def test_unfinished_is_inconclusive(status: str) -> None:
    told = judge([run("unit"), run("slow", None, status=status)], [], [])
    assert told.verdict is Verdict.INCONCLUSIVE
    assert "slow" in told.summary


@pytest.mark.parametrize("conclusion", ["cancelled", "stale", "action_required", None, "brand_new_word"])
def test_what_says_nothing_about_the_code_is_neither_green_nor_red(conclusion: str | None) -> None:
    assert judge([run("unit"), run("odd", conclusion)], [], []).verdict is Verdict.INCONCLUSIVE


def test_a_pending_status_is_inconclusive() -> None:
    assert judge([run("unit")], [state("lint", "pending")], []).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("quiet", ["neutral", "skipped"])
def test_neutral_and_skipped_are_fine_but_no_proof(quiet: str) -> None:
    assert judge([run("unit"), run("maybe", quiet)], [], []).verdict is Verdict.PASSED
    assert judge([run("maybe", quiet)], [], []).verdict is Verdict.INCONCLUSIVE


def test_a_required_check_must_have_reported() -> None:
    told = judge([run("unit")], [], [Required("e2e")])
    assert told.verdict is Verdict.INCONCLUSIVE
    assert "e2e" in told.summary
    assert judge([run("unit"), run("e2e")], [], [Required("e2e")]).verdict is Verdict.PASSED
    assert judge([run("unit")], [state("e2e", "success")], [Required("e2e")]).verdict is Verdict.PASSED


def test_a_required_check_of_another_app_does_not_count() -> None:
    assert judge([run("e2e", app=2)], [], [Required("e2e", app=1)]).verdict is Verdict.INCONCLUSIVE
    assert judge([run("e2e", app=1)], [], [Required("e2e", app=1)]).verdict is Verdict.PASSED
    assert judge([], [state("e2e", "success")], [Required("e2e", app=1)]).verdict is Verdict.INCONCLUSIVE


def test_long_lists_are_shortened() -> None:
    told = judge([run(f"job{n}", "failure") for n in range(9)], [], [])
    assert told.summary.endswith("and 4 more")
    assert len(told.failures) == 9


def test_what_a_branch_demands() -> None:
    branch = {
        "protected": True,
        "protection": {
            "enabled": True,
            "required_status_checks": {
                "enforcement_level": "everyone",
                "contexts": ["unit", "lint"],
                "checks": [{"context": "unit", "app_id": 15368}, {"context": "lint", "app_id": -1}],
            },
        },
    }
    rules = [
        {"type": "pull_request", "parameters": {"required_approving_review_count": 1}},
        {
            "type": "required_status_checks",
            "parameters": {"required_status_checks": [{"context": "e2e"}, {"context": "x", "integration_id": 7}]},
        },
    ]
    assert set(required_by(branch, rules)) == {
        Required("unit", 15368),
        Required("lint"),
        Required("e2e"),
        Required("x", 7),
    }


@pytest.mark.parametrize(
    "branch",
    [
        {"protected": False},
        {"protected": False, "protection": None},
        {"protected": True, "protection": {"enabled": False, "required_status_checks": {"contexts": ["old"]}}},
        {
            "protected": True,
            "protection": {"enabled": True, "required_status_checks": {"enforcement_level": "off", "contexts": ["x"]}},
        },
    ],
)
def test_a_branch_that_demands_nothing(branch: dict[str, Any]) -> None:
    assert required_by(branch, []) == ()
