"""JUnit XML from untrusted code: ids put together again, and nothing forged believed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.steps.proof.junit import JUnitError, read_junit
from runner.steps.proof.results import TestOutcome

PATHS = ("tests/test_a.py", "tests/sub.dir/test_b.py", "src/pkg/mod.py", "test/plus.test.js")


def suite(*cases: str, tests: int | None = None) -> bytes:
    claim = len(cases) if tests is None else tests
    return f'<testsuites><testsuite name="pytest" tests="{claim}">{"".join(cases)}</testsuite></testsuites>'.encode()


@pytest.mark.parametrize(
    ("classname", "name", "expected"),
    [
        ("tests.test_a", "test_x", "tests/test_a.py::test_x"),
        ("tests.test_a.TestX", "test_x", "tests/test_a.py::TestX::test_x"),
        ("tests.test_a.TestX.TestY", "test_x", "tests/test_a.py::TestX::TestY::test_x"),
        ("tests.test_a", "test_x[a::b.c/d]", "tests/test_a.py::test_x[a::b.c/d]"),
        ("tests.sub.dir.test_b", "test_x", "tests/sub.dir/test_b.py::test_x"),
        ("src.pkg.mod", "pkg.mod.f", "src/pkg/mod.py::pkg.mod.f"),
        ("", "tests.test_a", "tests/test_a.py"),
        ("com.example.CalcTest", "adds", "com.example.CalcTest::adds"),
    ],
)
def test_ids_are_the_test_runners_own(classname: str, name: str, expected: str) -> None:
    content = suite(f'<testcase classname="{classname}" name="{name}"/>')
    assert read_junit(content, PATHS) == {expected: read_junit(content, PATHS)[expected]}


def test_outcomes_and_messages() -> None:
    found = read_junit(
        suite(
            '<testcase classname="tests.test_a" name="ok"/>',
            '<testcase classname="tests.test_a" name="bad"><failure message="assert 1 == 2">more</failure></testcase>',
            '<testcase classname="tests.test_a" name="broken"><error message="failed on setup">x</error></testcase>',
            '<testcase classname="tests.test_a" name="skip"><skipped message="no"/></testcase>',
            '<testcase classname="" name="tests.test_a"><error message="collection failure">'
            "ImportError while importing\nE   ModuleNotFoundError: No module named 'nope'</error></testcase>",
        ),
        PATHS,
    )
    assert {name.rpartition("::")[2]: result.outcome.value for name, result in found.items()} == {
        "ok": "passed",
        "bad": "failed",
        "broken": "error",
        "skip": "skipped",
        "tests/test_a.py": "error",
    }
    assert found["tests/test_a.py::bad"].message == "assert 1 == 2"
    assert found["tests/test_a.py"].collecting
    assert found["tests/test_a.py"].message == "ModuleNotFoundError: No module named 'nope'"


def test_told_twice_the_worst_counts() -> None:
    case = '<testcase classname="tests.test_a" name="x"{}'
    for cases in (
        (case.format("/>"), case.format("><error/></testcase>")),
        (case.format("><error/></testcase>"), case.format("/>")),
    ):
        assert read_junit(suite(*cases), PATHS)["tests/test_a.py::x"].outcome is TestOutcome.ERROR


def test_suites_within_suites_of_other_runners() -> None:
    content = (
        b'<testsuites><testsuite name="add"><testsuite name="of negatives">'
        b'<testcase name="works" classname="test" file="test/plus.test.js"/></testsuite></testsuite></testsuites>'
    )
    assert list(read_junit(content, PATHS)) == ["test/plus.test.js::of negatives::works"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not xml",
        b"<testsuites>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><testsuites>&b;</testsuites>',
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuites/>',
        b"<testsuites>" + b"<testsuite>" * 80 + b"</testsuite>" * 80 + b"</testsuites>",
        suite('<testcase name="a"/>', '<testcase name="b"/>', tests=1),
    ],
)
def test_what_no_test_runner_writes(content: bytes) -> None:
    with pytest.raises(JUnitError):
        read_junit(content, PATHS)


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read_junit(content, PATHS)
    except JUnitError:
        return
