from datetime import UTC, datetime

import pytest

from runner.evidence.document import (
    Configuration,
    Environment,
    EvidenceFile,
    Made,
    Platform,
    PolicyUsed,
    Result,
    RunTold,
    Subject,
    TestTold,
)
from runner.model import Check, CoverageEvidence, Finding, Goal, Verdict


@pytest.fixture
def evidence():
    """Evidence that is not sealed yet."""
    return EvidenceFile(
        format="automend-evidence",
        version=1,
        made=Made(
            at=datetime(2030, 1, 2, tzinfo=UTC),
            seconds=1.25,
            automend="1",
            platform=Platform(system="Linux", python="3.11", git="git version 2.38"),
        ),
        subject=Subject(
            repository="a/b", goal=Goal.FIX, base_commit="1" * 40, base_tree="2" * 40, head_commit=None,
            head_tree="3" * 40, files=(), dropped=(), diff="",
        ),
        policy=PolicyUsed(name="default", hash="4" * 64, values={"size": {"max_files": 10}}),
        configuration=Configuration(host={}, language="python", setup=("true",), test="pytest"),
        environment=Environment(image="sha256:5", commands=("pytest",), limits={"cpus": 2.0}),
        result=Result(
            verdict=Verdict.PASSED,
            static=False,
            findings=(Finding(rule="size", verdict=Verdict.PASSED, message="é"),),
            checks=(Check(name="tests", verdict=Verdict.PASSED, summary="1 passes", seconds=3.0),),
        ),
        runs=(
            RunTold(name="head", tree="3" * 40, exit_code=0, seconds=1.0, passed=1, failed=0, skipped=0, problem=""),
        ),
        tests=(TestTold(id="test_a.py::test_b", before="passed", after="passed"),),
        coverage=CoverageEvidence(before=50.0, after=66.67, changed_lines=2, changed_covered=2),
    )  # fmt: skip
