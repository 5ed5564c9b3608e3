"""JUnit XML → test ids and outcomes. The file comes from untrusted code: size, depth and number are capped."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from runner.steps.proof.results import TestOutcome, TestResult
from sandbox.api import WORKSPACE

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

MAX_TESTS = 200_000
_MESSAGE = 400
_RANK = (TestOutcome.PASSED, TestOutcome.SKIPPED, TestOutcome.FAILED, TestOutcome.ERROR)
_DEEPEST = 50
_NAME = 120
_TRACE = 64_000
# The last line of a traceback as pytest writes it: `tests/test_x.py:12: AssertionError`, or `…:12: in test_y`.
_PLACE = re.compile(r"^([^\s:][^:\n]{0,400}:\d{1,9}): (in )?([\w.]+)", re.MULTILINE)
_ERROR = re.compile(r"^([A-Za-z_][\w.]*)(?::|$)")
_ON_SETUP = re.compile(r'^failed on (?:setup|teardown) with "')
# What runners write into `classname` where they mean nothing by it.
_SAYS_NOTHING = frozenset({"test", "suite", "Test suite failed to run"})
_SCRIPT = re.compile(r"\.[cm]?[jt]sx?$")


class JUnitError(ValueError):
    """The file is not what a test runner writes."""


def read_junit(content: bytes, paths: Collection[str]) -> dict[str, TestResult]:
    """Outcome by test id. Where a test is told twice (it failed and its teardown too), the worst counts.

    Args:
        content: the file.
        paths: every path of the tree, by which pytest's ids (`tests/test_x.py::test_y`) are put together again.

    Raises:
        JUnitError: it is no JUnit XML, contradicts itself, or is too large.
    """
    try:
        root = fromstring(content, forbid_dtd=True)
    except (DefusedXmlException, SyntaxError, ValueError, RecursionError) as e:
        raise JUnitError(f"it is not XML: {e}") from e
    modules = {path.removesuffix(".py").replace("/", "."): path for path in paths}
    results: dict[str, TestResult] = {}
    for number, (suites, element) in enumerate(_cases(root, (), 0)):
        if number >= MAX_TESTS:
            raise JUnitError(f"it has more than {MAX_TESTS} tests")
        name = _id(element, suites, modules)
        result = _result(element, name)
        before = results.get(name)
        if before is None or _RANK.index(result.outcome) > _RANK.index(before.outcome):
            results[name] = result
    claimed = _claimed(root)
    if claimed and len(results) > claimed:
        raise JUnitError(f"it counts {claimed} tests and names {len(results)}")
    return results


def _claimed(root: Element) -> int:
    """How many tests the file says that it has; 0 where it does not say. Some count what is below a suite with it."""
    suites = list(root.iter("testsuite"))
    outer = [root] if root.tag == "testsuite" else root.findall("testsuite")
    said = max(sum(map(_claim, outer)), sum(map(_claim, suites)))
    alone = len(root.findall("testcase")) if root.tag != "testsuite" else 0
    return said + alone if said else 0


def _claim(suite: Element) -> int:
    def number(name: str) -> int:
        value = suite.get(name, "")
        return int(value) if value.isdecimal() and len(value) < 10 else 0  # noqa: PLR2004 - no number to fear

    # A file that could not be loaded is an error of a suite with no tests.
    return max(number("tests"), number("errors") + number("failures"))


def _cases(element: Element, suites: tuple[str, ...], depth: int) -> Iterator[tuple[tuple[str, ...], Element]]:
    if depth > _DEEPEST:
        raise JUnitError("its suites are nested too deep")
    for child in element:
        if child.tag == "testcase":
            yield suites, child
        elif child.tag == "testsuite":
            runners = element.tag == "testsuites" and depth == 0 and not _is_of_node(child)
            yield from _cases(child, suites if runners else (*suites, child.get("name", "")), depth + 1)


def _is_of_node(suite: Element) -> bool:
    """Whether an outermost suite is the author's, as node:test writes them; else they are the runner's."""
    first = next(suite.iter("testcase"), None)
    return first is not None and first.get("classname") == "test"


def _id(case: Element, suites: tuple[str, ...], modules: dict[str, str]) -> str:
    classname, name = case.get("classname", ""), case.get("name", "").removeprefix(" > ")
    whole = classname or re.split(r"[\[(]", name, maxsplit=1)[0]
    parts = whole.split(".")
    for end in range(min(len(parts), _DEEPEST), 0, -1):
        path = modules.get(".".join(parts[:end]))
        if path is not None:
            return "::".join([path, *parts[end:], *([name] if classname else [])])
    file = _in_workspace(case.get("file", ""))
    if name and _in_workspace(name) == (file or classname):
        return file or classname  # the file itself: it could not be loaded
    if file and classname in _SAYS_NOTHING:
        classname = ""
    return "::".join(part for part in (file, classname, *suites, name) if part)


def _in_workspace(path: str) -> str:
    return path.removeprefix(f"{WORKSPACE}/").removeprefix("./")


def _result(case: Element, name: str) -> TestResult:
    found = TestResult(outcome=TestOutcome.PASSED)
    for child in case:
        outcome = {"failure": TestOutcome.FAILED, "error": TestOutcome.ERROR, "skipped": TestOutcome.SKIPPED}.get(
            child.tag
        )
        if outcome is None:
            continue
        if child.get("type") == "todo":  # fails as its author expects, and is told with its failure
            return TestResult(outcome=outcome, message=child.get("message", "").strip()[:_MESSAGE])
        said = child.get("message", "") or _first_line(child.text or "")
        collecting = (outcome is TestOutcome.ERROR and said == "collection failure") or _is_file(name)
        trace = child.text or ""
        text = _last_error(trace) if said == "collection failure" else _ON_SETUP.sub("", said)
        error, place = ("", "") if outcome is TestOutcome.SKIPPED else _raised(text, trace, child.get("type", ""))
        if not found.outcome.red:
            found = TestResult(
                outcome=outcome, message=text.strip()[:_MESSAGE], collecting=collecting, error=error, place=place
            )
    return found


def _is_file(name: str) -> bool:
    return "::" not in name and _SCRIPT.search(name) is not None


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _raised(message: str, trace: str, kind: str) -> tuple[str, str]:
    """(type of the exception, where it was raised), as far as a traceback tells."""
    places = _PLACE.findall(trace[-_TRACE:])
    place, inner, last = places[-1] if places else ("", "in ", "")
    named = _ERROR.match(message)
    error = last if not inner else named[1] if named else "AssertionError" if message.startswith("assert") else kind
    return error[:_NAME], place


def _last_error(text: str) -> str:
    """The exception of a traceback as pytest prints it: its last line that begins with `E`."""
    lines = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return lines[-1] if lines else text[-_MESSAGE:]
