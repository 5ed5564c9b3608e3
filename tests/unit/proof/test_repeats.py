"""Chance is neither a fault nor a proof: what follows from running tests again, on runs made up here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from runner.model import Patch, Verdict
from runner.policy.globs import Globs
from runner.steps.proof.changes import TestChanges
from runner.steps.proof.redgreen import red_green
from runner.steps.proof.regressions import regressions
from runner.steps.proof.repeats import measures_time, repeat
from runner.steps.proof.results import Measurement
from runner.steps.proof.suites import green
from runner.steps.proof.trial import Repeats, Trial
from tests.unit.proof.test_judges import NEW, OLD, A, ran, trial

ONE, THE_NEW = f"{A}::test_one", f"{A}::test_new"


def script(**sides: list[Measurement]) -> tuple[Callable[..., Measurement], list[tuple[str, bool]]]:
    """Answers `side` (alone) and `side_whole` (all tests) from lists, the last one for ever; and what was asked."""
    asked: list[tuple[str, bool]] = []

    def again(side: str, tests: tuple[str, ...]) -> Measurement:
        asked.append((side, bool(tests)))
        answers = sides[side if tests else f"{side}_whole"]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    return again, asked


def lost(**more: Measurement) -> Trial:
    return trial(base=ran(one="passed", two="passed"), kept=ran(one="failed: x", two="passed"), **more)


def judged(given: Trial, **sides: list[Measurement]) -> Trial:
    return replace(given, repeats=repeat(given, script(**sides)[0], alone=True))


OK, BAD = ran(one="passed"), ran(one="failed: x")


def test_what_is_broken_every_time_is_lost() -> None:
    again, asked = script(kept=[BAD], base=[OK])
    assert repeat(lost(), again, alone=True) == Repeats(runs=4)
    assert sorted(asked) == [("base", True)] * 2 + [("kept", True)] * 2
    found = regressions(judged(lost(), kept=[BAD], base=[OK]))
    assert found.names == (ONE,)


def test_what_fails_on_the_base_now_and_then_is_flaky() -> None:
    given = judged(lost(), kept=[BAD], base=[OK, BAD])
    assert set(given.repeats.flaky) == {ONE}
    found = regressions(given)
    assert (found.check.verdict, found.findings, found.names) == (Verdict.PASSED, (), ())
    assert "1 flaky" in found.check.summary
    assert found.check.details["notes"] == [
        f"{ONE} is flaky: it passed 2 of 3 times on the base, and it passed 0 of 3 times on the patch"
    ]


def test_what_failed_once_and_never_again_is_flaky() -> None:
    given = judged(lost(), kept=[OK], base=[OK], kept_whole=[ran(one="passed")], base_whole=[OK])
    assert given.repeats.flaky == {ONE: "it passed 3 of 4 times on the patch, and it passed 4 of 4 times on the base"}


def test_what_breaks_only_in_company_is_lost_all_the_same() -> None:
    """A patch that leaves something behind for the tests after it."""
    given = judged(lost(), kept=[OK], base=[OK], kept_whole=[BAD], base_whole=[OK])
    assert given.repeats.flaky == given.repeats.unsure == {}
    assert regressions(given).names == (ONE,)


def test_what_is_too_slow_only_in_company_and_looks_at_the_clock_is_flaky() -> None:
    timed = OLD.replace(
        "    assert f(1) == 1", "    began = time.perf_counter()\n    assert perf_counter() - began < 1"
    )
    changes = TestChanges(
        Patch(base_tree="a", head_tree="b", files=()),
        Globs(("tests/**",)),
        lambda path: timed.encode() if path == A else None,
        lambda path: None,
    )
    given = replace(lost(), changes=changes)
    found = judged(given, kept=[OK], base=[OK], kept_whole=[BAD], base_whole=[OK])
    assert found.repeats.flaky == {
        ONE: "it passed 2 of 4 times on the patch, every time alone, and it looks at the clock"
    }
    slower = judged(given, kept=[BAD], base=[OK], kept_whole=[BAD], base_whole=[OK])
    assert regressions(slower).names == (ONE,)


@pytest.mark.parametrize(
    ("body", "measures"),
    [
        ("began = time.perf_counter()\nf()\nassert time.perf_counter() - began < 1", True),
        ("began = time.time()\nf()\ntook = time.time() - began\nassert took <= 1", True),
        ("assert timeit.timeit(f) < 1", True),
        ("began = time.monotonic()\nself.assertLess(time.monotonic() - began, 1)", True),
        ("now = time.time()\nassert f(now) == now", False),
        ("record = make(time.time())\nassert record.name == 'a'", False),
        ("assert f(1) < 2", False),
        ("assert (", False),
    ],
)
def test_only_who_limits_a_span_of_time_may_be_slow_by_chance(body: str, *, measures: bool) -> None:
    inner = body.replace("\n", "\n        ")
    assert measures_time(f"    def test_it(self):\n        {inner}\n") is measures


def test_a_test_that_never_runs_alone_is_not_excused_by_that() -> None:
    given = judged(lost(), kept=[BAD], base=[BAD], kept_whole=[BAD], base_whole=[OK])
    assert given.repeats.flaky == given.repeats.unsure == {}
    assert regressions(given).names == (ONE,)


def test_steady_on_the_base_and_mostly_red_on_the_patch_is_for_nobody_to_say() -> None:
    given = judged(lost(), kept=[BAD, OK], base=[OK])
    assert given.repeats.unsure == {ONE: "it passed 1 of 3 times on the patch, and it passed 3 of 3 times on the base"}
    found = regressions(given)
    assert (found.check.verdict, found.findings) == (Verdict.INCONCLUSIVE, ())
    assert "1 of 3 times on the patch" in found.check.summary


def test_no_time_for_all_tests_again() -> None:
    slow = lost().kept.model_copy(update={"seconds": 500.0})
    found = judged(replace(lost(), kept=slow), kept=[OK], base=[OK])
    assert set(found.repeats.unsure) == {ONE}
    assert regressions(found).check.verdict is Verdict.INCONCLUSIVE
    assert "repeats.seconds" in regressions(found).check.summary


def test_all_tests_again_broke() -> None:
    found = judged(lost(), kept=[OK], base=[OK], kept_whole=[ran("pytest ended with 3")], base_whole=[OK])
    assert set(found.repeats.unsure) == {ONE}


def test_a_policy_that_believes_every_first_run() -> None:
    policy = lost().policy
    none = policy.model_copy(update={"repeats": policy.repeats.model_copy(update={"times": 0})})
    again, asked = script()
    assert repeat(replace(lost(), policy=none), again, alone=True) == Repeats()
    assert asked == []


def test_more_than_are_run_again_are_lost_with_those_that_were() -> None:
    names = [f"n{n}" for n in range(40)]
    given = trial(base=ran(**dict.fromkeys(names, "passed")), kept=ran(**dict.fromkeys(names, "failed")))
    still = ran(**dict.fromkeys(names, "failed"))
    fine = ran(**dict.fromkeys(names, "passed"))
    assert len(regressions(judged(given, kept=[still], base=[fine])).names) == 40
    chance = judged(given, kept=[fine], base=[fine], kept_whole=[fine], base_whole=[fine])
    assert len(chance.repeats.flaky) == 30
    assert regressions(chance).check.verdict is Verdict.INCONCLUSIVE


# ── the patch's own tests ────────────────────────────────────────────────────────────────────────────────────


def test_a_new_test_that_fails_every_time_fails() -> None:
    given = trial(head_source=NEW, base=ran(one="passed"), kept=ran(one="passed"), head=ran(new="failed", one="passed"))
    found = green(judged(given, head=[ran(new="failed")]))
    assert found.names == (THE_NEW,)


def test_a_new_test_that_fails_now_and_then_is_flaky() -> None:
    given = trial(head_source=NEW, base=ran(one="passed"), kept=ran(one="passed"), head=ran(new="failed", one="passed"))
    found = green(judged(given, head=[ran(new="passed"), ran(new="failed")]))
    assert (found.check.verdict, found.findings) == (Verdict.PASSED, ())
    assert "1 of them flaky" in found.check.summary


# ── proof ────────────────────────────────────────────────────────────────────────────────────────────────────

RED, GREEN = ran(new="failed: assert 4 == 3"), ran(new="passed")


def proved() -> Trial:
    return trial(head_source=NEW, red=RED, head=GREEN)


def test_proof_is_red_and_green_every_time() -> None:
    again, asked = script(red=[RED], head=[GREEN])
    given = replace(proved(), repeats=repeat(proved(), again, alone=True))
    assert sorted(asked) == [("head", True)] * 2 + [("red", True)] * 2
    assert red_green(given).names == (THE_NEW,)


@pytest.mark.parametrize(
    "sides",
    [
        {"red": [GREEN], "head": [GREEN], "red_whole": [GREEN]},
        {"red": [RED], "head": [RED], "head_whole": [RED]},
    ],
)
def test_a_test_that_goes_both_ways_proves_nothing(sides: dict[str, list[Measurement]]) -> None:
    found = red_green(judged(proved(), **sides))
    assert found.names == ()
    assert (found.check.verdict, found.findings) == (Verdict.INCONCLUSIVE, ())
    assert "flaky" in found.check.summary


def test_proof_that_needs_the_tests_before_it() -> None:
    found = judged(proved(), red=[RED], head=[RED], head_whole=[GREEN])
    assert found.repeats.flaky == {}
    assert red_green(found).names == (THE_NEW,)


def test_steady_proof_beside_a_flaky_test() -> None:
    both = trial(head_source=NEW, red=ran(new="failed", one="failed"), head=ran(new="passed", one="passed"))
    given = judged(
        both, red=[ran(new="failed", one="passed")], red_whole=[ran(new="failed", one="passed")],
        head=[ran(new="passed", one="passed")],
    )  # fmt: skip
    found = red_green(given)
    assert (found.names, found.check.verdict) == ((THE_NEW,), Verdict.PASSED)


def test_runs_that_broke_say_nothing() -> None:
    given = judged(proved(), red=[ran("pytest ended with 4")], head=[GREEN], red_whole=[RED])
    assert given.repeats.flaky == {}


def test_a_runner_that_knows_no_single_test_runs_all_of_them_once_more() -> None:
    again, asked = script(kept_whole=[BAD], base_whole=[OK], red_whole=[RED], head_whole=[GREEN])
    assert repeat(lost(), again, alone=False) == Repeats(runs=2)
    assert repeat(proved(), again, alone=False) == Repeats(runs=2)
    assert sorted(asked) == [("base", False), ("head", False), ("kept", False), ("red", False)]
    slow = replace(
        proved(), red=RED.model_copy(update={"seconds": 60.0}), head=GREEN.model_copy(update={"seconds": 60})
    )
    assert repeat(slow, again, alone=False) == Repeats()
    once = script(kept_whole=[OK], base_whole=[OK])[0]
    assert set(repeat(lost(), once, alone=False).flaky | repeat(lost(), once, alone=False).unsure) == {ONE}


def test_a_proof_that_could_not_be_run_again_in_time_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    given = trial(head_source=NEW, red=RED, head=GREEN)
    tables = {"repeats": given.policy.repeats.model_copy(update={"seconds": 0.0})}
    late = replace(given, policy=given.policy.model_copy(update=tables))
    again, asked = script(red=[RED], head=[GREEN])
    found = red_green(replace(late, repeats=repeat(late, again, alone=True)))
    assert asked == []
    assert (found.check.verdict, found.names) == (Verdict.INCONCLUSIVE, ())
    assert "could not be run again in time" in found.check.summary
