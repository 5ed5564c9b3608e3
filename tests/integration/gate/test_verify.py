"""The gate on small repositories, in real containers: right fixes pass, and every other kind is refused by its rule."""

from __future__ import annotations

import pytest

from runner.model import Goal, Reproduction, Verdict
from runner.policy.schema import load_policy
from runner.steps.proof import bench, depth
from tests.integration.gate.conftest import Gate, check, no, shown

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

BUGGY = """\
def mean(values):
    return sum(values) / (len(values) + 1)


def largest(values):
    best = values[0]
    for value in values:
        if value > best:
            best = value
    return best
"""
FIXED = BUGGY.replace("(len(values) + 1)", "len(values)")
TESTS = """\
import pytest

from stats import largest, mean


def test_largest():
    assert largest([1, 3, 2]) == 3


def test_mean_of_zeros():
    assert mean([0, 0]) == 0


@pytest.mark.parametrize("value", [1, 2])
def test_largest_of_one(value):
    assert largest([value]) == value
"""
NEW_TEST = TESTS + "\n\ndef test_mean():\n    assert mean([2, 4]) == 3\n"
MEDIAN = "    values = sorted(values)\n    half = len(values) // 2\n    return values[half]\n"
BASE = {"stats.py": BUGGY, "tests/test_stats.py": TESTS, "README.md": "# stats\n"}


def test_a_good_fix_passes_with_its_proof(gate: Gate) -> None:
    gate.cache = gate.folder / "baselines"  # all of it, and in its time
    report = gate(BASE, {"stats.py": FIXED, "tests/test_stats.py": NEW_TEST})

    assert report.verdict is Verdict.PASSED, report.to_json()
    assert {c.name: c.verdict for c in report.checks} == dict.fromkeys(
        ("baseline", "regressions", "red-green", "tests", "coverage"), Verdict.PASSED
    )
    evidence = report.evidence
    assert evidence.tests is not None
    assert evidence.coverage is not None
    assert evidence.tests.red_to_green == ("tests/test_stats.py::test_mean",)
    assert evidence.tests.baseline_passed == 4
    assert evidence.tests.head_passed == 5
    assert (evidence.coverage.changed_lines, evidence.coverage.changed_covered) == (1, 1)
    assert evidence.coverage.after == 100.0
    assert evidence.image is not None
    assert evidence.image.startswith("sha256:")
    assert evidence.limits == {"files": 2, "max_files": 10, "changed_lines": 6, "max_changed_lines": 500}
    assert "pytest" in evidence.commands[0]
    assert evidence.policy_hash == gate.policy.digest
    assert evidence.seconds > 0
    assert all(c.seconds > 0 for c in report.checks if c.name in {"baseline", "regressions", "red-green", "tests"})


def test_a_wrong_fix_fails_its_own_test(gate: Gate) -> None:
    wrong = BUGGY.replace("(len(values) + 1)", "(len(values) + 2)")
    report = gate(BASE, {"stats.py": wrong, "tests/test_stats.py": NEW_TEST})

    assert report.verdict is Verdict.FAILED
    assert no(report).keys() == {"tests.green", "tests.red-green"}
    assert "test_mean" in no(report)["tests.green"]
    output = next(c.details["output"] for c in report.checks if c.name == "tests")
    assert "test_mean" in output  # what the next attempt is told


def test_a_fix_without_a_test(gate: Gate) -> None:
    report = gate(BASE, {"stats.py": FIXED})
    assert report.verdict is Verdict.FAILED
    assert no(report).keys() == {"tests.red-green"}


def test_a_test_that_passes_on_the_base_too_proves_nothing(gate: Gate) -> None:
    idle = TESTS + "\n\ndef test_more():\n    assert largest([5, 1]) == 5\n"
    report = gate(BASE, {"stats.py": FIXED, "tests/test_stats.py": idle})
    assert report.verdict is Verdict.FAILED
    assert "test_more" in no(report)["tests.red-green"]


def test_breaking_another_test(gate: Gate) -> None:
    breaking = FIXED.replace("value > best", "value < best")
    report = gate(BASE, {"stats.py": breaking, "tests/test_stats.py": NEW_TEST})
    assert report.verdict is Verdict.FAILED
    assert no(report).keys() == {"tests.regression", "coverage.total"}
    assert "test_largest " in no(report)["tests.regression"]
    assert report.evidence.tests is not None
    assert report.evidence.tests.regressions == ("tests/test_stats.py::test_largest",)


def test_breaking_another_test_and_deleting_it(gate: Gate) -> None:
    gate.proof_alone(but=("changed",))
    breaking = FIXED.replace("value > best", "value < best")
    without = NEW_TEST.replace("def test_largest():\n    assert largest([1, 3, 2]) == 3\n", "")
    report = gate(BASE, {"stats.py": breaking, "tests/test_stats.py": without})
    assert report.verdict is Verdict.FAILED
    assert "test_largest " in no(report)["tests.regression"]


def test_deleting_a_test_file(gate: Gate) -> None:
    other = {"tests/test_other.py": "from stats import largest\n\n\ndef test_other():\n    assert largest([1]) == 1\n"}
    report = gate({**BASE, **other}, {"stats.py": FIXED, "tests/test_stats.py": NEW_TEST, "tests/test_other.py": None})
    assert report.verdict is Verdict.FAILED
    assert no(report).keys() == {"tests.deleted"}


def test_skipping_a_test(gate: Gate) -> None:
    gate.proof_alone()
    skipping = NEW_TEST.replace("def test_largest():", "@pytest.mark.skip\ndef test_largest():")
    report = gate(BASE, {"stats.py": FIXED, "tests/test_stats.py": skipping})
    assert report.verdict is Verdict.FAILED
    assert no(report).keys() == {"tests.skipped", "coverage.total"}


def test_a_test_rewritten_with_the_behaviour_is_shown_to_the_reviewer(gate: Gate) -> None:
    asserted = TESTS + "\n\ndef test_mean():\n    assert mean([2, 4]) == 2\n"
    report = gate({**BASE, "tests/test_stats.py": asserted}, {"stats.py": FIXED, "tests/test_stats.py": NEW_TEST})
    assert report.verdict is Verdict.PASSED, no(report)
    assert "tests.changed" in shown(report)
    (told,) = (f for f in report.findings if f.rule == "tests.changed")
    assert "- " in told.message
    assert "assert mean([2, 4]) == 2" in told.message
    assert "+     assert mean([2, 4]) == 3" in told.message
    assert told.line is not None


def test_a_repository_without_tests(gate: Gate) -> None:
    report = gate({"stats.py": BUGGY}, {"stats.py": FIXED})
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "no tests were found" in report.checks[0].summary


def test_the_first_tests_of_a_repository(gate: Gate) -> None:
    report = gate({"stats.py": BUGGY}, {"stats.py": FIXED, "test_stats.py": NEW_TEST})
    assert report.verdict is Verdict.PASSED, no(report)
    assert report.checks[0].summary == "the base has no tests; the patch brings the first"


def test_a_base_that_is_red_already(gate: Gate) -> None:
    red = TESTS + "\n\ndef test_of_yesterday():\n    assert mean([]) == 'nothing'\n"
    report = gate({**BASE, "tests/test_stats.py": red}, {"stats.py": FIXED, "tests/test_new.py": NEW_TEST})
    assert report.verdict is Verdict.PASSED, no(report)
    assert report.evidence.tests is not None
    assert report.evidence.tests.baseline_failed == ("tests/test_stats.py::test_of_yesterday",)


def test_a_red_test_of_the_base_turned_green_is_proof(gate: Gate) -> None:
    report = gate({**BASE, "tests/test_stats.py": NEW_TEST}, {"stats.py": FIXED})
    assert report.verdict is Verdict.PASSED, no(report)
    assert report.evidence.tests is not None
    assert report.evidence.tests.red_to_green == ("tests/test_stats.py::test_mean",)


def test_half_a_fix_is_none(gate: Gate) -> None:
    cases = TESTS + (
        '\n\n@pytest.mark.parametrize("values", [[4], [2, 4]])\ndef test_mean(values):\n'
        "    assert mean(values) == (4 if len(values) == 1 else 3)\n"
    )
    half = BUGGY.replace("    return sum", "    if len(values) == 1:\n        return values[0]\n    return sum")
    report = gate({**BASE, "tests/test_stats.py": cases}, {"stats.py": half})
    assert report.verdict is Verdict.FAILED
    assert "still red" in no(report)["tests.red-green"]


def test_a_suite_that_cannot_start(gate: Gate) -> None:
    report = gate({**BASE, "pytest.ini": "[pytest]\naddopts = --no-such-option\n"}, {"stats.py": FIXED})
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "no-such-option" in str(report.checks[0].details["output"])


def test_tests_that_never_end_on_the_base(gate: Gate) -> None:
    gate.with_limits(wall_seconds=8.0)
    endless = "import time\nwhile True:\n    time.sleep(0.01)\n"
    report = gate({**BASE, "tests/test_endless.py": endless}, {"stats.py": FIXED})
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "8 s (run.verify_seconds)" in report.checks[0].summary


def test_a_bug_that_hangs_is_red_like_any_other(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_ONE_TEST_SECONDS", 4.0)
    hanging = BUGGY.replace(
        "    best = values[0]\n", "    best = values[0]\n    while len(values) == 4:\n        pass\n"
    )
    tests = TESTS + "\n\ndef test_four():\n    assert largest([1, 2, 3, 4]) == 4\n"
    report = gate({**BASE, "stats.py": hanging}, {"stats.py": BUGGY, "tests/test_stats.py": tests})
    assert report.verdict is Verdict.PASSED, no(report)
    assert report.evidence.tests is not None
    assert report.evidence.tests.red_to_green == ("tests/test_stats.py::test_four",)


def test_calls_that_never_end_do_not_lock_the_tests_after_them(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "_ONE_TEST_SECONDS", 12.0)  # and a sixth of it for those that come after two that hang
    endless = "def again(value):\n    return value\n\n\n" + FIXED.replace(
        "    best = values[0]\n", "    best = values[0]\n    while len(values) > 4:\n        best = again(best)\n"
    )
    for_five = (
        "\n\n@pytest.mark.parametrize('n', [5, 6, 7])\ndef test_many(n):\n    assert largest(range(n)) == n - 1\n"
    )
    last = "\n\ndef test_last():\n    assert largest([1]) == 1\n"
    tests = TESTS + for_five + last
    report = gate({**BASE, "tests/test_stats.py": tests}, {"stats.py": endless})
    assert report.verdict is Verdict.FAILED
    (green,) = (c for c in report.checks if c.name == "tests")
    assert sorted(green.details["failed"]) == [f"tests/test_stats.py::test_many[{n}]" for n in (5, 6, 7)]
    assert "Timeout" in str(green.details["output"])


def test_uncovered_new_code(gate: Gate) -> None:
    more = (
        FIXED
        + "\n\ndef median(values):\n    values = sorted(values)\n    half = len(values) // 2\n    return values[half]\n"
    )
    report = gate(BASE, {"stats.py": more, "tests/test_stats.py": NEW_TEST})
    assert report.verdict is Verdict.FAILED
    assert no(report).keys() == {"coverage.changed"}
    assert "stats.py 14, 15, 16" in no(report)["coverage.changed"]


def test_a_pragma_of_the_patch_hides_nothing(gate: Gate) -> None:
    gate.proof_alone()
    more = (
        FIXED
        + "\n\ndef median(values):  # pragma: no cover\n    half = len(values) // 2\n    return sorted(values)[half]\n"
    )
    report = gate(BASE, {"stats.py": more, "tests/test_stats.py": NEW_TEST})
    assert report.verdict is Verdict.FAILED
    assert "coverage.changed" in no(report)


def test_a_repositorys_own_coverage_settings_hide_nothing(gate: Gate) -> None:
    hiding = {"pyproject.toml": "[tool.coverage.run]\nomit = ['*']\n[tool.coverage.report]\nexclude_also = ['.*']\n"}
    report = gate({**BASE, **hiding}, {"stats.py": FIXED, "tests/test_stats.py": NEW_TEST})
    assert report.evidence.coverage is not None
    assert report.evidence.coverage.before == 100.0
    assert report.evidence.coverage.changed_lines == 1


def test_deleting_covered_lines_is_no_fall(gate: Gate) -> None:
    unused = "\n\ndef unused():\n    return 1\n"
    base = {**BASE, "stats.py": BUGGY + unused}
    shorter = FIXED.partition("    best = ")[0] + "    return max(values)\n" + unused
    report = gate(base, {"stats.py": shorter, "tests/test_stats.py": NEW_TEST})
    assert report.verdict is Verdict.PASSED, no(report)
    assert report.evidence.coverage is not None
    assert (report.evidence.coverage.before or 0) > (report.evidence.coverage.after or 0)


def test_new_tests_of_code_that_is_right(gate: Gate) -> None:
    more = TESTS + "\n\ndef test_largest_below_zero():\n    assert largest([-1, -2]) == -1\n"
    assert gate(BASE, {"tests/test_stats.py": more}, goal=Goal.TEST).verdict is Verdict.PASSED
    failing = gate(BASE, {"tests/test_stats.py": NEW_TEST}, goal=Goal.TEST)
    assert no(failing).keys() == {"tests.green"}
    none = gate(BASE, {"tests/data.txt": "nothing\n"}, goal=Goal.TEST)
    assert no(none).keys() == {"tests.new"}


def test_improving_needs_no_red_test(gate: Gate) -> None:
    report = gate(BASE, {"stats.py": BUGGY.replace("best = value\n", "best = value  # so far\n")}, goal=Goal.IMPROVE)
    assert report.verdict is Verdict.PASSED, no(report)


def test_a_test_that_imports_what_the_fix_adds_is_red(gate: Gate) -> None:
    test = "from stats import mean_of_none\n\n\ndef test_none():\n    assert mean_of_none() == 0\n"
    fixed = BUGGY + "\n\ndef mean_of_none():\n    return 0\n"
    report = gate(BASE, {"stats.py": fixed, "tests/test_none.py": test})
    assert report.verdict is Verdict.PASSED, no(report)
    assert report.evidence.tests is not None
    assert report.evidence.tests.red_to_green == ("tests/test_none.py::test_none",)


def test_the_second_patch_on_a_base_does_not_measure_it_again(gate: Gate) -> None:
    gate.cache = gate.folder / "baselines"
    first = gate(BASE, {"stats.py": FIXED, "tests/test_stats.py": NEW_TEST})
    (kept,) = gate.cache.iterdir()
    kept.write_text(kept.read_text().replace('"test_largest"', '"test_largest"'))
    stamp = kept.stat().st_mtime_ns
    second = gate(BASE, {"stats.py": FIXED + "\n", "tests/test_stats.py": NEW_TEST})
    assert first.verdict is second.verdict is Verdict.PASSED
    assert [f.stat().st_mtime_ns for f in gate.cache.iterdir()] == [stamp]


def test_a_patch_that_ends_the_test_run_early(gate: Gate) -> None:
    gate.proof_alone()
    cheating = FIXED + "\n\nimport os\n\nos._exit(0)\n"
    report = gate(BASE, {"stats.py": cheating, "tests/test_stats.py": NEW_TEST})
    assert report.verdict is Verdict.FAILED
    assert "tests.results" in no(report)
    assert check(report, "baseline") is Verdict.PASSED


def test_refused_by_the_rules_starts_no_container(gate: Gate) -> None:
    gate.engine = _NoEngine()  # type: ignore[assignment]
    report = gate(BASE, {"stats.py": FIXED, ".github/workflows/ci.yml": "on: push\n"})
    assert report.verdict is Verdict.FAILED
    assert no(report).keys() == {"paths.protected"}
    assert report.checks == ()


class _NoEngine:
    def __getattr__(self, name: str) -> object:
        raise AssertionError(f"the engine was asked for {name}")


def test_what_breaks_only_in_company_is_no_chance(gate: Gate) -> None:
    """The patch leaves something behind, on which another test fails that passes alone."""
    base = {**BASE, "stats.py": "seen = []\n\n\n" + BUGGY}
    tests = TESTS + "\n\ndef test_untouched():\n    import stats\n\n    assert stats.seen == []\n"
    leaving = base["stats.py"].replace(
        "    return sum(values) / (len(values) + 1)", "    seen.append(1)\n    return sum(values) / len(values)"
    )
    proof = "from stats import mean\n\n\ndef test_mean():\n    assert mean([2, 4]) == 3\n"
    report = gate({**base, "tests/test_stats.py": tests}, {"stats.py": leaving, "tests/test_proof.py": proof})
    assert report.verdict is Verdict.FAILED
    assert "test_untouched" in no(report)["tests.regression"]
    assert report.evidence.tests is not None
    assert report.evidence.tests.flaky == {}
    (told,) = report.evidence.tests.reasons.values()
    assert told.startswith("AssertionError at tests/test_proof.py:5: assert 2.0 == 3")


def test_what_the_traceback_began_with_is_run_on_both_trees(gate: Gate) -> None:
    app = "from stats import mean\n\nassert mean([2, 4]) == 3, 'a wrong mean'\n"
    gate.reproduction = Reproduction(command="python app.py", error="AssertionError: a wrong mean")
    report = gate({**BASE, "app.py": app}, {"stats.py": FIXED, "tests/test_stats.py": NEW_TEST})

    assert report.verdict is Verdict.PASSED, report.to_json()
    shown = next(c for c in report.checks if c.name == "original-error")
    assert "`AssertionError: a wrong mean` on the base, exit code 0 on the patch" in shown.summary
    assert [ran["exit_code"] for ran in (*shown.details["before"], *shown.details["after"])] == [1, 1, 0, 0]


def test_what_no_test_notices_and_no_test_needs_is_noted(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    # Here it is to be done, however busy the machine.
    monkeypatch.setattr(depth, "_LEAST_SECONDS", 300.0)
    policy = load_policy("default")
    patient = {name: getattr(policy, name).model_copy(update={"seconds": 300.0}) for name in ("mutants", "necessity")}
    gate.policy = policy.model_copy(update=patient)
    more = FIXED.replace("best = values[0]", "best = values[0:1][0]")
    report = gate(BASE, {"stats.py": more, "tests/test_stats.py": NEW_TEST})
    assert report.verdict is Verdict.PASSED, no(report)
    told = {c.name: c for c in report.checks}
    assert told["mutants"].details["noticed"] >= 3
    assert told["mutants"].details["notes"] == ["no test notices `1` → `2` (stats.py:6)"]
    assert told["necessity"].details["notes"] == ["no test needs the change of this line (stats.py:6)"]
    assert told["necessity"].summary.startswith("1 of 2 parts")
    assert shown(report) == set()


def test_what_grows_without_end_is_a_red_test_among_others(gate: Gate) -> None:
    gate.with_limits(memory_mb=256)
    grows = (
        "def squares(n):\n    found = b'x'\n    while len(found) != n * n:\n        found += found\n    return found\n"
    )
    fixed = "def squares(n):\n    return b'x' * (n * n)\n"
    tests = "from grow import squares\n\n\ndef test_one():\n    assert squares(1) == b'x'\n\n\n"
    tests += "def test_three():\n    assert len(squares(3)) == 9\n"
    report = gate({"grow.py": grows, "test_grow.py": tests}, {"grow.py": fixed})
    assert report.verdict is Verdict.PASSED, (no(report), report.checks)
    assert report.evidence.tests is not None
    assert report.evidence.tests.red_to_green == ("test_grow.py::test_three",)
    assert report.evidence.tests.baseline_passed == 1
