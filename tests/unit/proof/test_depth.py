"""What is said of mistakes that no test notices, and of parts that no test needs; in a laboratory made up here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from runner.model import FileHunks, Verdict
from runner.policy.schema import Action
from runner.steps.proof.depth import Series, likeliest, measure, mutation, necessity
from runner.steps.proof.lab import Answer
from runner.steps.proof.results import FileLines
from runner.steps.proof.trial import Trial
from tests.unit.proof.test_judges import NEW, A, ran, rules, trial

BASE = b"def f(x):\n    return x\n\n\ndef g(y):\n    return y\n"
HEAD = b"def f(x):\n    return x + 1\n\n\ndef g(y):\n    return not y\n"


class FakeLab:
    """Answers what it is told to, and says the problems of a list."""

    def __init__(self, answer: Callable[[bytes], Answer], *problems: str) -> None:
        self._answer = answer
        self._problems = list(problems)
        self.asked: list[bytes] = []

    def unsound(self, until: float) -> str:
        return self._problems.pop(0) if self._problems else ""

    def ask(self, path: str, changed: bytes, original: bytes, *, until: float) -> Answer:
        assert (path, original) == ("src/f.py", HEAD)
        self.asked.append(changed)
        return self._answer(changed)


def given(*, table: str = "", **keys: object) -> Trial:
    hunks = (FileHunks(path="src/f.py", added=((2, b"    return x + 1"), (6, b"    return not y"))),)
    made = replace(trial(head_source=NEW), hunks=hunks, read_head=lambda path: HEAD)
    if not table:
        return made
    tight = getattr(made.policy, table).model_copy(update=keys)
    return replace(made, policy=made.policy.model_copy(update={table: tight}))


def parts_of(trial_: Trial) -> Series:
    return necessity(trial_, lambda path: BASE)


def test_what_only_informs_costs_half_of_the_suite() -> None:
    slow = given()
    slow = replace(slow, head=slow.head.model_copy(update={"seconds": 20.0}))
    assert (mutation(given()).seconds, mutation(slow).seconds) == (5.0, 10.0)
    decides = given(table="mutants", survived=Action.REVIEW)
    assert mutation(decides).seconds == decides.policy.mutants.seconds


def test_survivors_are_notes() -> None:
    lab = FakeLab(lambda changed: Answer.UNNOTICED if b"x - 1" in changed else Answer.NOTICED)
    found = measure(mutation(given()), lab)
    assert found.findings == ()
    assert found.check.verdict is Verdict.PASSED
    assert found.check.details["unnoticed"] == [{"path": "src/f.py", "line": 2, "what": "`x + 1` → `(x - 1)`"}]
    assert found.check.details["notes"] == ["no test notices `x + 1` → `(x - 1)` (src/f.py:2)"]
    assert found.check.summary.startswith("4 of 5 mistakes")
    assert len(lab.asked) == 5


@pytest.mark.parametrize(("action", "said"), [(Action.REVIEW, "shown"), (Action.BLOCK, "failed")])
def test_a_policy_can_ask_for_more(action: Action, said: str) -> None:
    lab = FakeLab(lambda changed: Answer.UNNOTICED)
    found = measure(mutation(given(table="mutants", survived=action)), lab)
    assert rules(found.findings) == [("mutants.survived", said)] * 5
    assert (found.findings[0].path, found.findings[0].line) == ("src/f.py", 2)
    assert found.check.verdict is (Verdict.FAILED if action is Action.BLOCK else Verdict.PASSED)
    unneeded = measure(parts_of(given(table="necessity", unneeded=action)), lab)
    assert rules(unneeded.findings) == [("necessity.unneeded", said)] * 2


def test_what_hangs_is_noticed() -> None:
    found = measure(mutation(given()), FakeLab(lambda changed: Answer.HANGS))
    assert (found.check.details["hangs"], found.check.details["noticed"]) == (5, 0)
    assert found.check.summary == "5 of 5 mistakes made on the changed lines are noticed by a test"


@pytest.mark.parametrize("action", list(Action))
def test_running_out_of_time_is_said_and_no_fault(action: Action) -> None:
    late = measure(mutation(given(table="mutants", seconds=0.0, survived=action)), FakeLab(lambda _: Answer.NOTICED))
    assert (late.check.verdict, late.findings) == (Verdict.PASSED, ())
    assert late.check.details["not_tried"] == 5
    assert "5 not tried in 0 s" in late.check.summary
    some = FakeLab(lambda changed: Answer.NOT_ASKED if b"not y" not in changed else Answer.NOTICED)
    assert measure(mutation(given()), some).check.details["not_tried"] > 0


@pytest.mark.parametrize("problems", [("they fail",), ("", "they fail")])
def test_a_container_in_which_the_patch_itself_fails_teaches_nothing(problems: tuple[str, ...]) -> None:
    lab = FakeLab(lambda changed: Answer.UNNOTICED if b"x - 1" in changed else Answer.NOTICED, *problems)
    found = measure(mutation(given(table="mutants", survived=Action.BLOCK)), lab)
    assert (found.check.verdict, found.findings) == (Verdict.PASSED, ())
    assert found.check.summary == "not measured: they fail"


def test_only_so_many_and_only_lines_that_run() -> None:
    few = mutation(given(table="mutants", most=2))
    assert [v.line for v in few.variants] == [2, 6]
    assert mutation(given(table="mutants", most=0)).variants == ()
    half = replace(given(), head=ran(lines={"src/f.py": FileLines(run=(1, 2, 5), missed=(6,))}))
    assert {v.line for v in mutation(half).variants} == {2}


def test_parts_that_no_test_needs() -> None:
    lab = FakeLab(lambda changed: Answer.UNNOTICED if b"not y" not in changed else Answer.NOTICED)
    found = measure(parts_of(given()), lab)
    assert found.check.summary == (
        "1 of 2 parts of the patch are needed by a test; no test needs the change of this line (src/f.py:6)"
    )
    assert lab.asked == [HEAD.replace(b"x + 1", b"x"), HEAD.replace(b"not y", b"y")]


def test_the_only_part_is_not_asked_about() -> None:
    assert necessity(given(), lambda path: HEAD.replace(b"x + 1", b"x")).variants == ()
    assert necessity(given(), lambda path: None).variants == ()  # a new file


def test_tests_are_no_product() -> None:
    in_tests = replace(given(), hunks=(FileHunks(path=A, added=((2, b"x"),)),))
    assert mutation(in_tests).variants == parts_of(in_tests).variants == ()


def test_who_is_asked_first() -> None:
    assert likeliest(given(), [f"{A}::test_new[1]", f"{A}::test_new[2]"]) == (f"{A}::test_new",)
    assert likeliest(replace(given(), head=ran(new="passed")), []) == (A,)
    assert likeliest(replace(trial(), head=ran(one="passed")), []) == ()
