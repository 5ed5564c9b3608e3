"""The judges of a proof, on measurements made up here: what is lost, shown, run and covered."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runner.model import FileChange, FileHunks, Finding, Goal, Patch, Verdict
from runner.policy.globs import Globs
from runner.policy.schema import Action, load_policy
from runner.steps.proof.changes import TestChanges
from runner.steps.proof.covered import coverage, fell, looked_twice
from runner.steps.proof.redgreen import red_green
from runner.steps.proof.regressions import regressions
from runner.steps.proof.results import FileLines, Measurement, TestOutcome, TestResult
from runner.steps.proof.suites import baseline, green, never_started
from runner.steps.proof.trial import Trial, capped

A = "tests/test_a.py"
OLD = "def test_one():\n    assert f(1) == 1\n\n\ndef test_two():\n    assert f(2) == 2\n"


def ran(
    problem: str = "", *, limit: bool = False, lines: dict[str, FileLines] | None = None, **tests: str
) -> Measurement:
    """`ran(one="passed", new="failed: why")`; a word `module` is the module that could not be loaded."""
    results = {}
    for name, said in tests.items():
        word, _, message = said.partition(": ")
        test = A if name == "module" else f"{A}::test_{name}"
        outcome = TestOutcome(word)
        results[test] = TestResult(outcome=outcome, message=message, collecting=name == "module")
    return Measurement(tests=results, problem=problem, limit=limit, lines=lines, output="what it printed")


def trial(
    *,
    head_source: str = OLD,
    product: bytes = b"def f(x): return x",
    goal: Goal = Goal.FIX,
    actions: dict[str, Action] | None = None,
    **runs: Measurement,
) -> Trial:
    files = [FileChange(path="src/f.py", status="M", old_blob="1", new_blob="2")]
    if head_source != OLD:
        files.append(FileChange(path=A, status="M" if head_source else "D", old_blob="3", new_blob="4"))
    policy = load_policy("default")
    policy = policy.model_copy(update={"tests": policy.tests.model_copy(update=actions or {})})
    tests = Globs(("tests/**",))
    return Trial(
        goal=goal,
        policy=policy,
        tests=tests,
        changes=TestChanges(
            Patch(base_tree="a", head_tree="b", files=tuple(files)),
            tests,
            lambda path: OLD.encode() if path == A else None,
            lambda path: head_source.encode() if path == A and head_source else None,
        ),
        hunks=(FileHunks(path="src/f.py", added=((1, product),)),),
        read_head=lambda path: product,
        **{"base": ran(), "kept": ran(), "red": ran(), "head": ran(), **runs},
    )


def rules(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(f.rule, "shown" if f.review else f.verdict.value) for f in findings]


# ── the base ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_base_that_can_be_compared_with() -> None:
    check = baseline(ran(one="passed", two="failed"))
    assert check.verdict is Verdict.PASSED
    assert "1 test passes" in check.summary
    assert "1 fail already" in check.summary


@pytest.mark.parametrize("base", [ran(), ran("pytest ended with 4"), ran("not done after 9 s", limit=True)])
def test_a_base_that_cannot(base: Measurement) -> None:
    check = baseline(base)
    assert check.verdict is Verdict.INCONCLUSIVE
    assert check.details["output"] == "what it printed"


def test_a_base_that_has_no_tests_yet() -> None:
    assert baseline(ran(), first_tests=True).verdict is Verdict.PASSED
    assert baseline(ran("pytest ended with 4"), first_tests=True).verdict is Verdict.INCONCLUSIVE


def test_nothing_ever_passed() -> None:
    red = ran(module="error: ModuleNotFoundError: No module named 'numpy'")
    assert never_started(trial(base=red, head=red))
    assert not never_started(trial(base=red, head=ran(one="passed")))


def test_the_tests_of_the_fix_cannot_be_loaded_in_this_environment() -> None:
    passing = TestResult(outcome=TestOutcome.PASSED)
    red = ran(module="error: ImportError: cannot import name 'notset' from '_pytest.monkeypatch'")
    red = red.model_copy(update={"tests": {**red.tests, "tests/test_b.py::test_b": passing}})
    fine = ran(one="passed")
    assert "cannot be loaded" in never_started(trial(head_source=NEW, base=red, head=red))
    assert not never_started(trial(head_source=NEW, base=fine, head=red))  # the patch did that
    assert not never_started(trial(head_source=NEW, base=red, head=fine))
    assert not never_started(trial(head_source=NEW, base=red, head=red, goal=Goal.IMPROVE))
    assert not never_started(trial(base=red, head=red))  # of no test that the patch has


# ── lost ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("now", [{}, {"one": "failed: x"}, {"one": "error: x"}, {"one": "skipped: x"}])
def test_what_passed_must_pass(now: dict[str, str]) -> None:
    found = regressions(trial(base=ran(one="passed", two="passed"), kept=ran(two="passed", **now)))
    assert rules(found.findings) == [("tests.regression", "failed")]
    assert found.names == (f"{A}::test_one",)
    assert found.check.verdict is Verdict.FAILED
    assert found.check.details["output"] == "what it printed"


def test_what_failed_before_may_fail() -> None:
    found = regressions(trial(base=ran(one="passed", two="failed"), kept=ran(one="passed", two="error")))
    assert found.check.verdict is Verdict.PASSED
    assert found.findings == ()


@pytest.mark.parametrize(("action", "said"), [(Action.REVIEW, "shown"), (Action.BLOCK, "failed")])
def test_a_rewritten_test(action: Action, said: str) -> None:
    given = trial(
        head_source=OLD.replace("f(1) == 1", "f(1) == 9"),
        base=ran(one="passed", two="passed"),
        kept=ran(one="failed: assert 9 == 1", two="passed"),
        head=ran(one="passed", two="passed"),
        actions={"changed": action},
    )
    found = regressions(given)
    assert rules(found.findings) == [("tests.changed", said)]
    assert "-     assert f(1) == 1" in found.findings[0].message
    assert "+     assert f(1) == 9" in found.findings[0].message


def test_a_rewritten_test_that_still_fails_is_a_regression() -> None:
    given = trial(
        head_source=OLD.replace("f(1) == 1", "f(1) == 9"),
        base=ran(one="passed"),
        kept=ran(one="failed"),
        head=ran(one="failed"),
    )
    assert rules(regressions(given).findings) == [("tests.regression", "failed")]


def test_an_unedited_test_is_not_excused_by_an_edited_neighbour() -> None:
    given = trial(
        head_source=OLD.replace("f(1) == 1", "f(1) == 9"),
        base=ran(one="passed", two="passed"),
        kept=ran(one="failed", two="failed"),
        head=ran(one="passed", two="passed"),
    )
    assert rules(regressions(given).findings) == [("tests.regression", "failed"), ("tests.changed", "shown")]


def test_deleted_tests() -> None:
    both = ran(one="passed", two="passed")
    gone = trial(head_source="", base=both, kept=both, head=ran())
    assert rules(regressions(gone).findings) == [("tests.deleted", "failed")] * 2
    merged = OLD.replace("test_two", "test_three").replace("f(2) == 2", "g(3) == 4")
    as_many = trial(head_source=merged, base=both, kept=both, head=ran(one="passed", three="passed"))
    assert rules(regressions(as_many).findings) == [("tests.deleted", "shown")]


def test_parameters_that_are_called_otherwise_in_every_run() -> None:
    base = Measurement(tests={f"{A}::test_one[<object at 0x1>]": TestResult(outcome=TestOutcome.PASSED)})
    kept = Measurement(tests={f"{A}::test_one[<object at 0x2>]": TestResult(outcome=TestOutcome.PASSED)})
    assert regressions(trial(base=base, kept=kept)).findings == ()
    assert regressions(trial(base=base, kept=ran(two="passed"))).findings != ()


def test_a_doctest_that_went_with_its_function() -> None:
    base = Measurement(tests={"src/f.py::f.g": TestResult(outcome=TestOutcome.PASSED)})
    assert rules(regressions(trial(base=base)).findings) == [("tests.changed", "shown")]
    broken = Measurement(tests={"src/f.py::f.g": TestResult(outcome=TestOutcome.FAILED)})
    assert rules(regressions(trial(base=base, kept=broken, head=broken)).findings) == [("tests.regression", "failed")]


def test_a_suite_that_does_not_end() -> None:
    base = ran(one="passed")
    dead = regressions(trial(base=base, kept=ran("pytest ended with 3")))
    assert rules(dead.findings) == [("tests.results", "failed")]
    slow = regressions(trial(base=base, kept=ran("not done after 9 s", limit=True)))
    assert (slow.check.verdict, slow.findings) == (Verdict.INCONCLUSIVE, ())


# ── shown ────────────────────────────────────────────────────────────────────────────────────────────────────


NEW = OLD + "\n\ndef test_new():\n    assert f(3) == 3\n"


def test_red_then_green() -> None:
    found = red_green(
        trial(head_source=NEW, red=ran(new="failed: assert 4 == 3"), head=ran(new="passed", one="passed"))
    )
    assert found.names == (f"{A}::test_new",)
    assert found.check.verdict is Verdict.PASSED
    assert found.check.details["red_to_green"] == {f"{A}::test_new": "assert 4 == 3"}


@pytest.mark.parametrize("red", [{}, {"new": "passed"}, {"new": "skipped: x"}])
def test_what_is_not_red_proves_nothing(red: dict[str, str]) -> None:
    found = red_green(trial(head_source=NEW, red=ran(**red), head=ran(new="passed")))
    assert rules(found.findings) == [("tests.red-green", "failed")]
    improved = red_green(trial(goal=Goal.IMPROVE, head_source=NEW, red=ran(**red), head=ran(new="passed")))
    assert improved.check.verdict is Verdict.PASSED
    unasked = trial(head_source=NEW, red=ran(**red), head=ran(new="passed"), actions={"red_green": False})  # type: ignore[dict-item]
    assert red_green(unasked).check.verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("message", "product", "proof"),
    [
        ("ImportError: cannot import name 'g' from 'f' (/workspace/src/f.py)", b"def g(): pass", True),
        ("ModuleNotFoundError: No module named 'pkg.f'", b"x", True),  # the patch has src/f.py
        ("ModuleNotFoundError: No module named 'numpy'", b"def g(): pass", False),
        ("AttributeError: module 'f' has no attribute 'g'", b"g = 1", True),
        ("AttributeError: module 'other' has no attribute 'g'", b"h = 1", False),
        ("TypeError: f() takes 1 argument", b"def f(): pass", True),
        ("SyntaxError: invalid syntax", b"def g(): pass", False),
    ],
)
def test_a_module_that_cannot_be_loaded(message: str, product: bytes, *, proof: bool) -> None:
    red = ran(module=f"error: {message}")
    found = red_green(trial(head_source=NEW, product=product, red=red, head=ran(new="passed")))
    assert bool(found.names) is proof
    own = red_green(trial(product=product, red=red, head=ran(one="passed")))  # the base's own module, untouched
    assert found.check.verdict is (Verdict.PASSED if proof else Verdict.FAILED)
    assert own.names == (f"{A}::test_one",)


def test_old_red_tests_as_the_only_proof_must_all_turn_green() -> None:
    red = ran(one="failed", two="failed")
    half = red_green(trial(base=red, red=red, head=ran(one="passed", two="failed")))
    assert rules(half.findings) == [("tests.red-green", "failed")]
    assert red_green(trial(base=red, red=red, head=ran(one="passed", two="passed"))).findings == ()
    named = ran(two="failed", new="failed")  # with a new test, an old failure beside it is its own affair
    fixed = red_green(trial(head_source=NEW, base=ran(two="failed"), red=named, head=ran(two="failed", new="passed")))
    assert fixed.findings == ()


def test_red_that_could_not_be_measured() -> None:
    found = red_green(trial(red=ran("not done after 9 s", limit=True), head=ran(one="passed")))
    assert found.check.verdict is Verdict.INCONCLUSIVE


# ── run ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_patchs_own_tests_must_pass() -> None:
    found = green(
        trial(
            head_source=NEW, base=ran(one="passed", two="failed"), head=ran(one="passed", two="failed", new="failed: x")
        )
    )
    assert found.names == (f"{A}::test_new",)
    assert rules(found.findings) == [("tests.green", "failed")]


def test_an_old_failure_in_new_words_is_the_patchs() -> None:
    edited = OLD.replace("f(2) == 2", "f(2) == 9")
    found = green(trial(head_source=edited, base=ran(two="failed"), head=ran(two="failed")))
    assert rules(found.findings) == [("tests.green", "failed")]


def test_where_only_the_file_is_known_to_have_changed_what_is_red_anyhow_is_not_the_patchs() -> None:
    path = "tests/a.test.js"

    def measured(**said: str) -> Measurement:
        return Measurement(
            tests={
                f"{path}::{name}": TestResult(outcome=TestOutcome(word), message="", collecting=False)
                for name, word in said.items()
            }
        )

    files = (FileChange(path=path, status="M", old_blob="3", new_blob="4"),)
    changes = TestChanges(
        Patch(base_tree="a", head_tree="b", files=files), Globs(("tests/**",)), lambda _: b"old", lambda _: b"new"
    )
    red = measured(one="passed", two="failed")
    known = replace(trial(), changes=changes, base=red, kept=red, head=red)
    assert green(known).check.verdict is Verdict.PASSED
    rewritten = replace(known, kept=measured(one="passed", two="passed"))
    assert rules(green(rewritten).findings) == [("tests.green", "failed")]


def test_the_test_goal_wants_a_test() -> None:
    found = green(trial(goal=Goal.TEST, base=ran(one="passed"), head=ran(one="passed")))
    assert rules(found.findings) == [("tests.new", "failed")]
    more = trial(goal=Goal.TEST, head_source=NEW, base=ran(one="passed"), head=ran(one="passed", new="passed"))
    assert green(more).findings == ()


# ── covered ──────────────────────────────────────────────────────────────────────────────────────────────────


def covered(before: FileLines, after: FileLines, added: int = 1, **fields: Any) -> tuple[list[tuple[str, str]], str]:
    given = trial(
        product=b"a = 1\nb = 2\nc = 3\n",
        base=ran(lines={"src/f.py": before}, one="passed"),
        head=ran(lines={"src/f.py": after}, one="passed"),
    )
    hunks = (FileHunks(path="src/f.py", added=tuple((n, b"x") for n in range(1, added + 1))),)
    found = coverage(Trial(**{**given.__dict__, "hunks": hunks, **fields}))
    assert found is not None
    return rules(found.findings), found.check.summary


def test_changed_lines_that_run() -> None:
    found, words = covered(FileLines(run=(1, 2)), FileLines(run=(1, 2)))
    assert found == []
    assert words == "100.00 % before, 100.00 % after; tests run 1 of 1 changed lines"


def test_changed_lines_that_do_not_run() -> None:
    assert covered(FileLines(run=(1,)), FileLines(run=(2,), missed=(1,)))[0] == [("coverage.changed", "failed")]
    assert covered(FileLines(run=(1,)), FileLines(run=(1, 2), missed=(3,)), added=3)[0] == [
        ("coverage.changed", "failed")
    ]


def test_lines_elsewhere_that_do_not_run_any_more() -> None:
    assert covered(FileLines(run=(1, 2, 3)), FileLines(run=(1,), missed=(2, 3)))[0] == [("coverage.total", "failed")]
    assert covered(FileLines(run=(1, 2), missed=(3,)), FileLines(run=(1,), missed=(3,)))[0] == []


def test_old_lines_that_the_patch_leads_past_are_shown() -> None:
    before, after = FileLines(run=(1, 2, 3)), FileLines(run=(1, 2), missed=(3,))
    assert covered(before, after)[0] == [("coverage.total", "shown")]
    skipping = ran(lines={"src/f.py": after}, one="skipped")
    assert covered(before, after, head=skipping)[0] == [("coverage.total", "failed")]


@pytest.mark.parametrize(
    ("source", "ends"),
    [
        (b"def f(x):\n    return x\n    return 2\n", "failed"),
        (b"def f(x):\n    if True: return x\n    return 2\n", "failed"),
        (b"for x in (1,):\n    continue\n    print(x)\n", "failed"),
        (b"def f(x):\n    if x: return x\n    return 2\n", "shown"),
        (b"def f(x):\n    x = g(x)\n    return 2\n", "shown"),
        (b"def f(:\n", "shown"),
    ],
)
def test_old_lines_that_no_input_leads_to_any_more(source: bytes, ends: str) -> None:
    before, after = FileLines(run=(1, 2, 3)), FileLines(run=(1, 2), missed=(3,))
    found = covered(before, after, added=2, read_head=lambda path: source)[0]
    assert found == [("coverage.total", ends)]


def test_no_coverage_to_compare() -> None:
    assert coverage(trial(base=ran(one="passed"))) is None
    lines = {"src/f.py": FileLines(run=(1,))}
    lost = coverage(trial(base=ran(lines=lines, one="passed"), head=ran(one="passed")))
    assert lost is not None
    assert lost.check.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("base", "head", "falls"),
    [
        (FileLines(run=(1, 2, 3)), FileLines(run=(1, 2), missed=(3,)), True),
        (FileLines(run=(1, 2, 3)), FileLines(run=(1, 2, 3)), False),  # the patch runs it now and then
        (FileLines(run=(1, 2), missed=(3,)), FileLines(run=(1, 2), missed=(3,)), False),  # and so does the base
    ],
)
def test_a_line_that_runs_now_and_then_is_no_fall(base: FileLines, head: FileLines, *, falls: bool) -> None:
    first = trial(
        base=ran(lines={"src/f.py": FileLines(run=(1, 2, 3))}, one="passed"),
        head=ran(lines={"src/f.py": FileLines(run=(1, 2), missed=(3,))}, one="passed"),
    )
    assert fell(first)
    again = looked_twice(first, ran(lines={"src/f.py": base}), ran(lines={"src/f.py": head}))
    assert fell(again) is falls
    assert fell(looked_twice(first, ran("broken"), ran(lines={"src/f.py": head})))


def test_many_findings_are_capped() -> None:
    many = [Finding(rule="a.b", verdict=Verdict.FAILED, message=str(n)) for n in range(30)]
    other = Finding(rule="a.c", verdict=Verdict.PASSED, message="x", review=True)
    found = capped([*many, other])
    assert len(found) == 12
    assert found[10].message == "and 20 more of the same"
    assert found[10].verdict is Verdict.FAILED


# ── other languages ──────────────────────────────────────────────────────────────────────────────────────────────


def script(**outcomes: str) -> Measurement:
    return Measurement(
        tests={f"test/a.js::{name}": TestResult(outcome=TestOutcome(word)) for name, word in outcomes.items()}
    )


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ({"other": "passed", "kept": "passed"}, [("tests.changed", "shown")]),
        ({"kept": "passed"}, [("tests.regression", "failed")]),
        ({"other": "failed", "kept": "passed"}, [("tests.regression", "failed")]),
        ({"old": "passed", "kept": "passed"}, [("tests.changed", "shown")]),
        ({"old": "failed", "other": "passed", "kept": "passed"}, [("tests.regression", "failed")]),
    ],
)
def test_a_test_of_a_script_that_is_gone_needs_another_in_its_place(head: dict[str, str], said: list[Any]) -> None:
    given = trial(
        base=script(old="passed", kept="passed"), kept=script(old="failed", kept="passed"), head=script(**head)
    )
    patch = Patch(
        base_tree="a", head_tree="b", files=(FileChange(path="test/a.js", status="M", old_blob="1", new_blob="2"),)
    )
    changes = TestChanges(patch, Globs(("test/**",)), lambda _: b"it('old')", lambda _: b"it('other')")
    assert rules(regressions(replace(given, changes=changes)).findings) == said
