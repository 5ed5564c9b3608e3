import pytest

from runner.evidence.compare import compare
from runner.evidence.document import TestTold
from runner.model import Check, Finding, Verdict

PASSED = Verdict.PASSED


def update(evidence, part, **fields):
    return evidence.model_copy(update={part: getattr(evidence, part).model_copy(update=fields)})


def test_the_same_again_holds_whatever_time_it_took(evidence):
    later = update(evidence, "made", seconds=99.0)
    found = compare(evidence, later)
    assert found.holds
    assert found.exit_code == 0
    assert found.differences == ()
    assert found.facts > 8


def test_another_image_or_version_is_told_and_breaks_nothing(evidence):
    found = compare(evidence, update(update(evidence, "made", automend="2"), "environment", image="sha256:6"))
    assert found.holds
    assert {(d.what, d.then, d.now) for d in found.differences} == {
        ("image", "sha256:5", "sha256:6"),
        ("automend", "1", "2"),
    }


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda e: update(e, "coverage", after=60.0), ("coverage", "after")),
        (lambda e: update(e, "subject", head_tree="9" * 40), ("subject", "head tree")),
        (lambda e: update(e, "policy", hash="9" * 64), ("policy", "hash")),
        (lambda e: e.model_copy(update={"coverage": None}), ("coverage", "after")),
        (lambda e: e.model_copy(update={"tests": ()}), ("tests", "test_a.py::test_b")),
        (
            lambda e: e.model_copy(update={"tests": (*e.tests, TestTold(id="new", before=None, after="passed"))}),
            ("tests", "new"),
        ),
        (
            lambda e: e.model_copy(update={"runs": (e.runs[0].model_copy(update={"exit_code": 1}),)}),
            ("runs", "head: exit code"),
        ),
        (
            lambda e: update(e, "result", findings=(Finding(rule="size", verdict=PASSED, message="", path="x"),)),
            ("findings", "size x"),
        ),
        (
            lambda e: update(e, "result", checks=(Check(name="tests", verdict=Verdict.ERROR, summary=""),)),
            ("checks", "tests"),
        ),
    ],
)  # fmt: skip
def test_every_measured_fact_breaks_it(evidence, change, what):
    found = compare(evidence, change(evidence))
    assert not found.holds
    assert found.exit_code == 1
    assert what in {(d.part, d.what) for d in found.differences if d.breaks}


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.FAILED, 1), (Verdict.ERROR, 3), (Verdict.INCONCLUSIVE, 4)])
def test_what_could_not_be_measured_again_is_told_apart(evidence, verdict, code):
    found = compare(evidence, update(evidence, "result", verdict=verdict))
    assert (found.then, found.now, found.exit_code) == (Verdict.PASSED, verdict, code)
