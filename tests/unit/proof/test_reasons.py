"""Why a test was red: what pytest tells, and whether it can be the fault of the base's code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runner.model import Verdict
from runner.steps.proof.junit import read_junit
from runner.steps.proof.reasons import told_by
from runner.steps.proof.redgreen import red_green
from runner.steps.proof.results import Measurement, TestOutcome, TestResult
from tests.unit.proof.test_judges import NEW, A, ran, trial

PRODUCT = "def divide(a, b):\n    return a / b\n"
SUITE = """\
import pytest
from f import divide


@pytest.fixture
def broken():
    raise KeyError("no such thing")


def test_asserts():
    assert divide(4, 2) == 3


def test_raises():
    divide(1, 0)


def test_within():
    from f import nothing


def test_sets_up(broken):
    pass


def test_wants(unheard_of):
    pass
"""


@pytest.mark.parametrize("style", ["long", "short"])
def test_exception_and_line_are_read_from_what_pytest_writes(tmp_path: Path, style: str) -> None:
    (tmp_path / "f.py").write_text(PRODUCT)
    (tmp_path / "test_f.py").write_text(SUITE)
    options = ["-q", "-p", "no:cacheprovider", f"--tb={style}", "-o", "junit_family=xunit1", "--junitxml=r.xml"]
    subprocess.run([sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True, check=False)
    found = read_junit((tmp_path / "r.xml").read_bytes(), ["f.py", "test_f.py"])
    told = {test.rpartition("_")[2]: (result.error, result.place) for test, result in found.items()}
    assert told["asserts"] == ("AssertionError", "test_f.py:11")
    assert told["raises"] == ("ZeroDivisionError", "f.py:2")
    assert told["within"] == ("ImportError", "test_f.py:19")
    assert told["up"] == ("KeyError", "test_f.py:7")
    assert "fixture 'unheard_of' not found" in found["test_f.py::test_wants"].message
    assert told_by(found["test_f.py::test_raises"]) == "ZeroDivisionError at f.py:2: division by zero"


@pytest.mark.parametrize(
    ("message", "product", "proof"),
    [
        ("assert 4 == 3", b"x", True),
        ("ZeroDivisionError: division by zero", b"x", True),
        ("ImportError: cannot import name 'g' from 'pkg' (/workspace/pkg/__init__.py)", b"from .y import g", True),
        ("ImportError: cannot import name 'g' from 'pkg' (/workspace/pkg/__init__.py)", b"from .y import *", True),
        ("ImportError: cannot import name 'g' from 'pkg' (/workspace/pkg/__init__.py)", b"gg = 1", False),
        ("ModuleNotFoundError: No module named 'pkg.f'", b"x", True),  # the patch has src/f.py
        ("ModuleNotFoundError: No module named 'numpy'", b"x", False),
        ("NameError: name 'g' is not defined", b"h = 1", False),
        ("AttributeError: module 'f' has no attribute 'g'", b"g = 1", True),
        ("AttributeError: module 'other' has no attribute 'g'", b"h = 1", False),
        ("AttributeError: 'NoneType' object has no attribute 'group'", b"h = 1", True),  # what the code returned
        ("TypeError: f() got an unexpected keyword argument 'deep'", b"def f(x, deep=False):", True),
        ("TypeError: f() got an unexpected keyword argument 'deep'", b"def f(x):", False),
        ("TypeError: f() got an unexpected keyword argument 'deep'", b"def f(x, **options):", True),
        ("AttributeError: module 'f' has no attribute 'g'", b"globals().update(made())", True),
        ("TypeError: 'NoneType' object is not subscriptable", b"x", True),
        ("Failed: Timeout (>60.0s) from pytest-timeout.", b"x", True),
    ],
)
def test_what_is_the_bug(message: str, product: bytes, *, proof: bool) -> None:
    found = red_green(
        trial(head_source=NEW, product=product, red=ran(new=f"failed: {message}"), head=ran(new="passed"))
    )
    assert bool(found.names) is proof
    if not proof:
        assert found.check.verdict is Verdict.FAILED
        assert "does not bring it" in found.findings[0].message


@pytest.mark.parametrize(("name", "proof"), [("client", True), ("server", False)])
def test_a_fixture_that_is_not_there(name: str, *, proof: bool) -> None:
    message = f"file /workspace/{A}, line 9\n  def test_new({name}):\nE       fixture '{name}' not found"
    red = Measurement(tests={f"{A}::test_new": TestResult(outcome=TestOutcome.ERROR, message=message)})
    found = red_green(trial(head_source=NEW, product=b"def client(): ...", red=red, head=ran(new="passed")))
    assert bool(found.names) is proof


def test_the_reason_is_kept() -> None:
    result = TestResult(outcome=TestOutcome.FAILED, message="assert 4 == 3", error="AssertionError", place=f"{A}:9")
    red = Measurement(tests={f"{A}::test_new": result})
    found = red_green(trial(head_source=NEW, red=red, head=ran(new="passed")))
    assert found.check.details["red_to_green"] == {f"{A}::test_new": f"AssertionError at {A}:9: assert 4 == 3"}
