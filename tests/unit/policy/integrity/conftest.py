"""Small patches of two versions of a few files, judged by the rules of test integrity alone."""

from __future__ import annotations

import difflib
import hashlib
import textwrap
from collections.abc import Callable, Mapping

import pytest

from runner.model import FileChange, FileHunks, Finding, Goal, Patch, Verdict
from runner.policy.case import Blobs, Case
from runner.policy.evaluate import evaluate
from runner.policy.globs import Globs
from runner.policy.integrity.rules import INTEGRITY
from runner.policy.integrity.sides import TEST_DATA
from runner.policy.schema import load_policy

Files = Mapping[str, str | bytes]
Judge = Callable[..., tuple[Finding, ...]]


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode()


def _oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _case(base: Files, head: Files, goal: Goal = Goal.FIX) -> Case:
    files, hunks, contents = [], [], {}
    for path in sorted({*base, *head}):
        old = _bytes(base[path]) if path in base else None
        new = _bytes(head[path]) if path in head else None
        if old == new:
            continue
        contents |= {_oid(c): c for c in (old, new) if c is not None}
        status = "A" if old is None else "D" if new is None else "M"
        files.append(
            FileChange(
                path=path,
                status=status,
                old_mode="100644" if old is not None else None,
                new_mode="100644" if new is not None else None,
                old_blob=_oid(old) if old is not None else None,
                new_blob=_oid(new) if new is not None else None,
            )
        )
        hunks.append(_hunks(path, old or b"", new or b""))
    patch = Patch(base_tree="a" * 40, head_tree="b" * 40, files=tuple(files))
    tests = Globs(("**/tests/**", "test_*.py", "*.test.*"))
    same = {path: _bytes(base[path]) for path in base if path in tests and path in head and base[path] == head[path]}
    data = {path: _bytes(base[path]) for path in base if path in TEST_DATA and base[path] == head.get(path)}
    return Case(
        patch=patch,
        goal=goal,
        hunks=tuple(hunks),
        base_paths=frozenset(base),
        head_paths=frozenset(head),
        tests=tests,
        blobs=Blobs(contents=contents),
        other_tests=lambda: same,
        test_data=lambda: data,
    )


def _hunks(path: str, old: bytes, new: bytes) -> FileHunks:
    before, after = old.split(b"\n"), new.split(b"\n")
    added, removed = [], []
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            removed += [(n + 1, before[n]) for n in range(i1, i2)]
            added += [(n + 1, after[n]) for n in range(j1, j2)]
    return FileHunks(path=path, added=tuple(added), removed=tuple(removed))


@pytest.fixture
def make_case() -> Callable[..., Case]:
    """(base files, head files, goal) → the patch between them."""
    return _case


@pytest.fixture
def judge() -> Judge:
    """(base files, head files, goal) → the findings of the family."""

    def judged(base: Files, head: Files, goal: Goal = Goal.FIX) -> tuple[Finding, ...]:
        return evaluate(load_policy("default"), _case(base, head, goal), (INTEGRITY,))

    return judged


@pytest.fixture
def refused(judge: Judge) -> Callable[..., set[str]]:
    """The rules that refuse the step from one version of some files to another."""

    def rules(base: Files, head: Files, goal: Goal = Goal.FIX) -> set[str]:
        found = judge(base, head, goal)
        assert Verdict.ERROR not in {f.verdict for f in found}, found
        for finding in found:
            if finding.rule != INTEGRITY.name:
                assert finding.message
                assert finding.remedy
                assert finding.path in {*base, *head}
        return {f.rule for f in found if f.verdict is Verdict.FAILED}

    return rules


@pytest.fixture
def shown(judge: Judge) -> Callable[..., set[str]]:
    """The rules that let the step pass, and have a person look at it."""

    def rules(base: Files, head: Files, goal: Goal = Goal.FIX) -> set[str]:
        return {f.rule for f in judge(base, head, goal) if f.verdict is Verdict.PASSED and f.review}

    return rules
