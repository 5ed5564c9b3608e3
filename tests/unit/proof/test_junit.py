"""JUnit XML from untrusted code: ids put together again, and nothing forged believed."""

from __future__ import annotations

import time

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


def test_a_name_of_many_parts_does_not_keep_anybody_waiting() -> None:
    many = "a." * 200_000
    content = suite(f'<testcase classname="{many}" name="x"/>', f'<testcase name="{many}"/>')
    start = time.monotonic()
    assert len(read_junit(content, PATHS)) == 2
    assert time.monotonic() - start < 5


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
        b'<testcase name="works" classname="" file="test/plus.test.js"/></testsuite></testsuite></testsuites>'
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


# ── what runners of JavaScript write ─────────────────────────────────────────────────────────────────────────────

NODE = """<testsuites>
  <testcase name="/workspace/test/broken.test.js" classname="test" file="/workspace/test/broken.test.js">
    <failure type="testCodeFailure" message="test failed"/></testcase>
  <testsuite name="outer" tests="1"><testsuite name="inner" tests="2">
    <testcase name="adds" classname="test" file="/workspace/test/a.test.js"/>
    <testcase name="fails" classname="test" file="/workspace/test/a.test.js"><failure message="2 == 3"/></testcase>
  </testsuite></testsuite>
  <testcase name="later" classname="test" file="/workspace/test/a.test.js">
    <skipped type="todo" message="true"/><failure message="not yet"/></testcase>
</testsuites>"""
VITEST = """<testsuites tests="2"><testsuite name="src/a/test.ts" tests="1">
    <testcase classname="src/a/test.ts" name="outer &gt; adds"/></testsuite>
  <testsuite name="src/b/test.ts" tests="1" failures="1"><testcase classname="src/b/test.ts" name="src/b/test.ts">
    <failure message="Cannot find module './gone'"/></testcase></testsuite></testsuites>"""
JEST = """<testsuites tests="2" failures="1" errors="1"><testsuite name="outer" tests="2">
    <testcase classname="suite" name="outer &gt; adds" file="test/a.spec.js"/>
    <testcase classname="suite" name=" &gt; top" file="test/a.spec.js"><failure>Error: expected 1
    at x</failure></testcase></testsuite>
  <testsuite name="test/b.spec.js" errors="1" tests="0">
    <testcase classname="Test suite failed to run" name="test/b.spec.js" file="test/b.spec.js"><error>

      Cannot find module './gone'</error></testcase></testsuite></testsuites>"""
MOCHA = """<testsuite name="Mocha Tests" tests="2">
  <testcase classname="outer inner" name="adds" file="/workspace/test/a.js"/>
  <testcase classname="outer" name="skips" file="/workspace/test/a.js"><skipped/></testcase></testsuite>"""


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            NODE,
            {
                "test/broken.test.js": "failed",
                "test/a.test.js::outer::inner::adds": "passed",
                "test/a.test.js::outer::inner::fails": "failed",
                "test/a.test.js::later": "skipped",
            },
        ),
        (VITEST, {"src/a/test.ts::outer > adds": "passed", "src/b/test.ts": "failed"}),
        (
            JEST,
            {"test/a.spec.js::outer > adds": "passed", "test/a.spec.js::top": "failed", "test/b.spec.js": "error"},
        ),
        (MOCHA, {"test/a.js::outer inner::adds": "passed", "test/a.js::outer::skips": "skipped"}),
    ],
)
def test_runners_of_javascript(content: str, expected: dict[str, str]) -> None:
    found = read_junit(content.encode(), ["test/a.js", "src/a/test.ts"])
    assert {name: result.outcome.value for name, result in found.items()} == expected


def test_a_file_that_cannot_be_loaded_is_told_with_its_reason() -> None:
    found = read_junit(JEST.encode(), [])
    assert found["test/b.spec.js"].collecting
    assert found["test/b.spec.js"].message == "Cannot find module './gone'"
    assert found["test/a.spec.js::top"].message == "Error: expected 1"
    assert not found["test/a.spec.js::top"].collecting


def test_more_tests_than_the_file_counts_are_not_believed() -> None:
    with pytest.raises(JUnitError, match="counts 2 tests and names 3"):
        read_junit(MOCHA.replace("</testsuite>", '<testcase classname="x" name="y"/></testsuite>').encode(), [])
