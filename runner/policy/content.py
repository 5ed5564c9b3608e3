"""content: is a changed path plain text of the kind that it was?"""

from __future__ import annotations

from collections.abc import Iterator

from runner.model import FileChange, Finding
from runner.policy.case import Case, Family, Rule, consequence
from runner.policy.globs import Globs
from runner.policy.schema import Policy

_SYMLINK, _SUBMODULE, _EXECUTABLE, _PLAIN = "120000", "160000", "100755", "100644"
_GIT_FILES = Globs((".gitattributes", ".gitmodules", ".lfsconfig"))
_POINTER = b"version https://git-lfs.github.com/spec/"


def _binary(policy: Policy, case: Case) -> Iterator[Finding]:
    for file in case.patch.files:
        if file.binary:
            yield from consequence(
                policy.content.binary,
                "content.binary",
                f"{file.path} is binary: nobody can review it",
                path=file.path,
                remedy="leave the file out; make test data in the test, as text",
            )


def _symlink(policy: Policy, case: Case) -> Iterator[Finding]:
    for file in case.patch.files:
        if file.new_mode == _SYMLINK:
            yield from consequence(
                policy.content.symlink,
                "content.symlink",
                f"{file.path} is a symbolic link",
                path=file.path,
                remedy="use a plain file",
            )


def _submodule(policy: Policy, case: Case) -> Iterator[Finding]:
    for file in case.patch.files:
        if _SUBMODULE in (file.old_mode, file.new_mode):
            yield from consequence(
                policy.content.submodule,
                "content.submodule",
                f"{file.path} is a submodule: what it brings cannot be seen here",
                path=file.path,
                remedy="leave submodules as they are",
            )


def _mode(policy: Policy, case: Case) -> Iterator[Finding]:
    for file in case.patch.files:
        change = _mode_change(file)
        if change:
            yield from consequence(
                policy.content.mode,
                "content.mode",
                f"{file.path} {change}",
                path=file.path,
                remedy="keep the file's mode; a new file is 100644",
            )


def _mode_change(file: FileChange) -> str:
    kinds = {_SYMLINK, _SUBMODULE}
    if file.new_mode in kinds:
        return ""  # rules of their own
    if file.status == "A":
        return "" if file.new_mode == _PLAIN else f"is new with mode {file.new_mode}"
    if file.status == "D" or file.old_mode == file.new_mode:
        return ""
    return f"changes its mode from {file.old_mode} to {file.new_mode}"


def _git_files(policy: Policy, case: Case) -> Iterator[Finding]:
    for file in case.patch.files:
        if file.path in _GIT_FILES:
            yield from consequence(
                policy.content.git_files,
                "content.git_files",
                f"{file.path} changes what git does with other files, and what a reviewer is shown",
                path=file.path,
                remedy="take the change of this file out",
            )


def _lfs(policy: Policy, case: Case) -> Iterator[Finding]:
    for file in case.patch.files:
        if any(
            (case.blobs.contents.get(oid or "") or b"").startswith(_POINTER) for oid in (file.old_blob, file.new_blob)
        ):
            yield from consequence(
                policy.content.lfs,
                "content.lfs",
                f"{file.path} is a pointer to Git LFS: what it stands for is not in the patch",
                path=file.path,
                remedy="leave files of Git LFS as they are",
            )


def _numbers(policy: Policy, case: Case) -> str:
    binary = sum(file.binary for file in case.patch.files)
    modes = sum(bool(_mode_change(file)) for file in case.patch.files)
    return f"{len(case.patch.files)} files, {binary} of them binary, {modes} changes of mode"


CONTENT = Family(
    "content",
    (
        Rule("content.binary", _binary),
        Rule("content.symlink", _symlink),
        Rule("content.submodule", _submodule),
        Rule("content.mode", _mode),
        Rule("content.git_files", _git_files),
        Rule("content.lfs", _lfs),
    ),
    _numbers,
)
