"""Small patches of two versions of a few files, judged by the static rules of the default policy."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Callable, Mapping

import pytest

from runner.model import FileChange, FileHunks, Finding, Goal, Patch, Verdict
from runner.policy.case import Blobs, Case
from runner.policy.code import CODE_RULES
from runner.policy.comments import COMMENTS
from runner.policy.content import CONTENT
from runner.policy.dependencies import DEPENDENCIES
from runner.policy.evaluate import evaluate
from runner.policy.globs import Globs
from runner.policy.paths import PATHS
from runner.policy.schema import Policy, load_policy
from runner.policy.secrets import SECRETS
from runner.policy.shape import SHAPE
from runner.policy.size import SIZE
from runner.policy.text import TEXT

Files = Mapping[str, str | bytes]
Judge = Callable[..., tuple[Finding, ...]]
STATIC = (SHAPE, SIZE, PATHS, CONTENT, SECRETS, TEXT, COMMENTS, CODE_RULES, DEPENDENCIES)


def _bytes(content: str | bytes | None) -> bytes | None:
    return content.encode() if isinstance(content, str) else content


def _oid(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def make_case(base: Files, head: Files, goal: Goal = Goal.FIX, *, read: bool = True) -> Case:
    files, hunks = [], []
    contents: dict[str, bytes] = {}
    for path in sorted({*base, *head}):
        old, new = _bytes(base.get(path)), _bytes(head.get(path))
        if old == new:
            continue
        contents |= {_oid(c): c for c in (old, new) if c is not None}
        hunk = _hunks(path, old or b"", new or b"")
        files.append(
            FileChange(
                path=path,
                status="A" if old is None else "D" if new is None else "M",
                old_mode=None if old is None else "100644",
                new_mode=None if new is None else "100644",
                old_blob=None if old is None else _oid(old),
                new_blob=None if new is None else _oid(new),
                added=len(hunk.added),
                removed=len(hunk.removed),
            )
        )
        hunks.append(hunk)
    return Case(
        patch=Patch(base_tree="a" * 40, head_tree="b" * 40, files=tuple(files)),
        goal=goal,
        hunks=tuple(hunks),
        base_paths=frozenset(base),
        head_paths=frozenset(head),
        tests=Globs(("**/tests/**", "test_*.py", "*.test.*")),
        blobs=Blobs({oid: len(c) for oid, c in contents.items()}, contents if read else {}),
    )


def _hunks(path: str, old: bytes, new: bytes) -> FileHunks:
    before, after = (text.removesuffix(b"\n").split(b"\n") if text else [] for text in (old, new))
    first = 0
    while first < min(len(before), len(after)) and before[first] == after[first]:
        first += 1  # difflib takes long on what is the same at the start
    left, right = before[first:], after[first:]
    changes = (
        difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes()
        if left and right
        else [("replace", 0, len(left), 0, len(right))]
    )
    added: list[tuple[int, bytes]] = []
    removed: list[tuple[int, bytes]] = []
    for tag, i1, i2, j1, j2 in changes:
        if tag != "equal":
            removed += [(first + n + 1, left[n]) for n in range(i1, i2)]
            added += [(first + n + 1, right[n]) for n in range(j1, j2)]
    return FileHunks(path, tuple(added), tuple(removed))


@pytest.fixture
def judge() -> Judge:
    """All findings of the static rules but the families' own PASSED."""
    default = load_policy("default")

    def judged(base: Files, head: Files, goal: Goal = Goal.FIX, policy: Policy = default) -> tuple[Finding, ...]:
        found = evaluate(policy, make_case(base, head, goal), STATIC)
        return tuple(f for f in found if f.verdict is not Verdict.PASSED or f.review)

    return judged


@pytest.fixture
def said(judge: Judge) -> Callable[..., dict[str, str]]:
    """Rule → "block", "review", or what else its verdict is."""

    def rules(base: Files, head: Files, goal: Goal = Goal.FIX) -> dict[str, str]:
        found = judge(base, head, goal)
        assert all(f.remedy and f.message for f in found)
        return {f.rule: "review" if f.review else "block" if f.verdict is Verdict.FAILED else f.verdict for f in found}

    return rules
