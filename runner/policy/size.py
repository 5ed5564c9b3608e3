"""size: can a person read it?"""

from __future__ import annotations

from collections.abc import Iterator

from runner.model import Finding, Verdict
from runner.policy.case import Case, Family, Rule
from runner.policy.schema import Policy

_LARGEST = 3


def _files(policy: Policy, case: Case) -> Iterator[Finding]:
    count, limit = len(case.patch.files), policy.size.max_files
    if count > limit:
        yield Finding(
            rule="size.files",
            verdict=Verdict.FAILED,
            message=f"the patch changes {count} files; the limit is {limit}",
            remedy=f"leave {count - limit} of them out, or split the change",
        )


def _lines(policy: Policy, case: Case) -> Iterator[Finding]:
    count, limit = case.patch.added + case.patch.removed, policy.size.max_changed_lines
    if count > limit:
        largest = sorted(case.patch.files, key=lambda f: f.added + f.removed, reverse=True)[:_LARGEST]
        named = ", ".join(f"{f.path} {f.added + f.removed}" for f in largest)
        yield Finding(
            rule="size.lines",
            verdict=Verdict.FAILED,
            message=f"the patch adds {case.patch.added} and removes {case.patch.removed} lines, together {count}; "
            f"the limit is {limit}. Most are in: {named}",
            path=largest[0].path,
            remedy="change only what the goal needs: no reformatting, no moves, no generated text",
        )


def _numbers(policy: Policy, case: Case) -> str:
    changed = case.patch.added + case.patch.removed
    return (
        f"{len(case.patch.files)} of {policy.size.max_files} files, "
        f"{changed} of {policy.size.max_changed_lines} changed lines"
    )


SIZE = Family("size", (Rule("size.files", _files), Rule("size.lines", _lines)), _numbers)
