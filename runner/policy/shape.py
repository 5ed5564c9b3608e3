"""shape: is there a change to judge, and did a person make it?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from runner.model import FileChange, Finding, Verdict
from runner.policy.case import Case, Family, Rule, consequence
from runner.policy.globs import Globs
from runner.policy.languages import CODE
from runner.policy.python_uses import UnreadableError, parsed
from runner.policy.schema import Policy

_HEAD = 1024
_SAYS_SO = re.compile(
    rb"@generated\b|\bDO NOT (?:EDIT|MODIFY)\b|\b(?:code|file|automatically|auto-?) ?generated (?:by|from|using|with)\b"
    rb"|\bthis (?:file|code) (?:is|was|has been) (?:auto-?|automatically )?generated\b",
    re.IGNORECASE,
)
_SQUEEZED = Globs(("*.min.js", "*.min.css", "*.min.mjs", "*.js.map", "*.css.map", "*.mjs.map"))
_SCRIPTS = Globs(("*.js", "*.mjs", "*.cjs", "*.css", "*.jsx"))
_LONG_LINE = 1000
_FEW_SPACES = 0.06
_MANY_MARKS = 20


def _empty(policy: Policy, case: Case) -> Iterator[Finding]:
    if not case.patch.files:
        yield Finding(
            rule="shape.empty",
            verdict=Verdict.FAILED,
            message="the patch changes nothing",
            remedy="change a file; if there is nothing to change, propose nothing",
        )


def _whitespace(policy: Policy, case: Case) -> Iterator[Finding]:
    noisy = [file for file in case.patch.files if _only_whitespace(case, file)]
    if not noisy:
        return
    if len(noisy) == len(case.patch.files):
        yield from consequence(
            policy.shape.noise,
            "shape.noise",
            "the patch changes nothing but whitespace",
            path=noisy[0].path,
            remedy="change what the goal asks for; if there is nothing, propose nothing",
        )
        return
    for file in noisy:
        yield from consequence(
            policy.shape.whitespace,
            "shape.whitespace",
            f"{file.path} changes in its whitespace only",
            path=file.path,
            remedy="leave the file as it was",
        )


def _only_whitespace(case: Case, file: FileChange) -> bool:
    """Whether the file says what it said, to a reader and (where whitespace has a meaning) to the language."""
    if file.status != "M" or file.binary or file.old_mode != file.new_mode or file.old_blob == file.new_blob:
        return False
    before, after = case.before(file), case.after(file)
    if before is None or after is None or b"".join(before.split()) != b"".join(after.split()):
        return False
    if file.path.endswith((".py", ".pyi")):
        try:
            return ast.dump(parsed(before)) == ast.dump(parsed(after))
        except (UnreadableError, RecursionError):
            return False
    return not file.path.endswith(
        (".yml", ".yaml", ".mk", "Makefile", ".rst", ".md", ".haml", ".pug", ".sass", ".coffee")
    )


def _minified(policy: Policy, case: Case) -> Iterator[Finding]:
    for file in case.patch.files:
        if file.status == "D" or file.path in case.moved:
            continue
        why = "is minified code, or its map" if file.path in _SQUEEZED else ""
        if not why and file.path in _SCRIPTS and file.path in case.lines:
            line = next((n for n, text in case.lines[file.path].added if _squeezed(text)), None)
            why = f"has minified code on line {line}" if line is not None else ""
        if why:
            yield from consequence(
                policy.shape.minified,
                "shape.minified",
                f"{file.path} {why}: nobody can review it",
                path=file.path,
                remedy="change the source that it is made from",
            )


def _squeezed(line: bytes) -> bool:
    return (
        len(line) > _LONG_LINE
        and line.count(b" ") < len(line) * _FEW_SPACES
        and line.count(b";") + line.count(b",") > _MANY_MARKS
    )


def _generated(policy: Policy, case: Case) -> Iterator[Finding]:
    globs = Globs(policy.shape.generated_paths)
    for file in case.patch.files:
        if file.status == "D" or file.path in case.moved:
            continue
        pattern = globs.which(file.path)
        head = (case.after(file) or b"")[:_HEAD] if pattern is None and file.path in CODE else b""
        says = _SAYS_SO.search(head)
        if pattern is not None or says is not None:
            why = f"`{pattern}`" if pattern is not None else "it says so at its top"
            yield from consequence(
                policy.shape.generated,
                "shape.generated",
                f"{file.path} is written by a program ({why})",
                path=file.path,
                remedy="change what it is made from, and say how to make it again",
            )


def _unread(policy: Policy, case: Case) -> Iterator[Finding]:
    sizes, contents = case.blobs.sizes, case.blobs.contents
    for file in case.patch.files:
        sides = [
            oid for oid in (file.old_blob, file.new_blob) if oid is not None and oid in sizes and oid not in contents
        ]
        if sides and not file.binary and file.path not in case.moved and file.status != "D":
            yield Finding(
                rule="shape.unread",
                verdict=Verdict.INCONCLUSIVE,
                message=f"{file.path} has {max(sizes[oid] for oid in sides)} bytes, too many to be read: "
                "the rules on its content cannot answer",
                path=file.path,
                remedy="leave the file out, or let a person judge the change",
            )


def _numbers(policy: Policy, case: Case) -> str:
    kinds = {"A": "added", "M": "modified", "D": "deleted", "T": "of another type"}
    still = {*case.moved, *case.moved.values()}
    files = [f for f in case.patch.files if f.path not in still]
    counts = {word: sum(f.status == letter for f in files) for letter, word in kinds.items()}
    counts["moved"] = len(case.moved)
    return "files " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


SHAPE = Family(
    "shape",
    (
        Rule("shape.empty", _empty),
        Rule("shape.whitespace", _whitespace),
        Rule("shape.minified", _minified),
        Rule("shape.generated", _generated),
        Rule("shape.unread", _unread),
    ),
    _numbers,
)
