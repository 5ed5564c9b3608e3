"""Which of the patch's tests are run on the base's code."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from runner.model import FileChange, Goal, Patch
from runner.policy.globs import Globs
from runner.steps import verify
from runner.steps.proof.changes import TestChanges
from runner.steps.proof.results import Measurement, TestOutcome, TestResult

NEW, OLD = "tests/test_new.py", "tests/test_old.py"
TREES = {"base": {OLD: None}, "red": {OLD: None, NEW: None}}


def asked(monkeypatch: pytest.MonkeyPatch, *ran: str, changed: str = OLD) -> tuple[str, ...] | None:
    """What is asked for where these tests ran on the base, and one file of tests changed."""
    monkeypatch.setattr(verify, "paths", lambda _, tree: TREES[tree])
    bench: Any = SimpleNamespace(mirror=None)
    files = (FileChange(path=changed, status="M", old_blob="1", new_blob="2"),)
    changes = TestChanges(
        Patch(base_tree="a", head_tree="b", files=files), Globs(("tests/**",)), lambda _: b"", lambda _: b""
    )
    passed = TestResult(outcome=TestOutcome.PASSED, message="", collecting=False)
    return verify._red_modules(
        bench,
        verify.Trees(base="base", kept="base", red="red", head="red", linted="red"),
        base=Measurement(tests=dict.fromkeys(ran, passed)),
        changes=changes,
        goal=Goal.FIX,
    )


def test_the_modules_that_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, f"{OLD}::test_a") == (OLD,)
    assert asked(monkeypatch, f"{OLD}::test_a", changed=NEW) == (NEW,)


def test_all_of_them_where_the_suite_runs_a_module_under_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, "tests/__main__.py::TestOld::test_a") == ()
