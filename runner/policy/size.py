"""size: can a person read it?"""

from __future__ import annotations

from collections.abc import Iterator

from runner.model import Finding, Verdict
from runner.policy.case import Case, Family, Rule
from runner.policy.moves import files_changed, lines_changed
from runner.policy.schema import Policy

_LARGEST = 3


def _files(policy: Policy, case: Case) -> Iterator[Finding]:
    count, limit = files_changed(case.patch), policy.size.max_files
    if count > limit:
        yield Finding(
            rule="size.files",
            verdict=Verdict.FAILED,
            message=f"the patch changes {count} files; the limit is {limit}",
            remedy=f"leave {count - limit} of them out, or split the change",
        )


def _lines(policy: Policy, case: Case) -> Iterator[Finding]:
    count, limit = lines_changed(case.patch), policy.size.max_changed_lines
    if count > limit:
        still = {*case.moved, *case.moved.values()}
        counted = [f for f in case.patch.files if f.path not in still]
        largest = sorted(counted, key=lambda f: f.added + f.removed, reverse=True)[:_LARGEST]
        named = ", ".join(f"{f.path} {f.added + f.removed}" for f in largest)
        yield Finding(
            rule="size.lines",
            verdict=Verdict.FAILED,
            message=f"the patch adds {sum(f.added for f in counted)} and removes {sum(f.removed for f in counted)} "
            f"lines, together {count}; the limit is {limit}. Most are in: {named}",
            path=largest[0].path,
            remedy="change only what the goal needs: no reformatting, no moves, no generated text",
        )


def _file_lines(policy: Policy, case: Case) -> Iterator[Finding]:
    limit = policy.size.max_file_lines
    still = {*case.moved, *case.moved.values()}
    for file in case.patch.files:
        count = file.added + file.removed
        if count > limit and file.path not in still:
            yield Finding(
                rule="size.file_lines",
                verdict=Verdict.FAILED,
                message=f"{file.path} has {count} changed lines; the limit for one file is {limit}",
                path=file.path,
                remedy="change only what the goal needs, or split the change",
            )


def _line_length(policy: Policy, case: Case) -> Iterator[Finding]:
    limit = policy.size.max_line_length
    for path, hunk in case.lines.items():
        number, length = max(((n, len(line)) for n, line in hunk.added), key=lambda x: x[1], default=(0, 0))
        if length > limit:
            yield Finding(
                rule="size.line_length",
                verdict=Verdict.FAILED,
                message=f"{path}:{number} is {length} bytes long; the limit of one line is {limit}",
                path=path,
                line=number,
                remedy="break the line, or leave the data out",
            )


def _file_bytes(policy: Policy, case: Case) -> Iterator[Finding]:
    limit, sizes = policy.size.max_file_bytes, case.blobs.sizes
    for file in case.patch.files:
        size = sizes.get(file.new_blob or "", 0)
        if size > limit and size > sizes.get(file.old_blob or "", 0) and file.path not in case.moved:
            yield Finding(
                rule="size.file_bytes",
                verdict=Verdict.FAILED,
                message=f"{file.path} has {size} bytes; the limit of a new or grown file is {limit}",
                path=file.path,
                remedy="leave the file out, or make what it holds where it is needed",
            )


def _numbers(policy: Policy, case: Case) -> str:
    moved = f", {len(case.moved)} only moved" if case.moved else ""
    return (
        f"{files_changed(case.patch)} of {policy.size.max_files} files{moved}, "
        f"{lines_changed(case.patch)} of {policy.size.max_changed_lines} changed lines"
    )


SIZE = Family(
    "size",
    (
        Rule("size.files", _files),
        Rule("size.lines", _lines),
        Rule("size.file_lines", _file_lines),
        Rule("size.line_length", _line_length),
        Rule("size.file_bytes", _file_bytes),
    ),
    _numbers,
)
