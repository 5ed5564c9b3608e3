"""The repository's own linter: what it says of the head that it does not say of the base."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter

from runner.git.trees import export, paths
from runner.model import Check, Finding, Noun, Verdict
from runner.policy.case import consequence
from runner.policy.schema import Policy
from runner.project.model import Lint
from runner.steps.proof.bench import Bench, tail
from runner.steps.proof.trial import capped
from sandbox.again import going_on
from sandbox.api import WORKSPACE, Sandbox

log = logging.getLogger(__name__)

_LINT_SECONDS = 180.0


class Linted(Noun):
    """What the linter says of the head and not of the base: (path, line, words)."""

    new: tuple[tuple[str | None, int | None, str], ...] = ()
    problem: str = ""
    output: str = ""
    seconds: float = 0.0


def lint(bench: Bench, base_tree: str, head_tree: str, changed: tuple[str, ...]) -> Linted:
    """What the project's linter newly says of the changed files (paths of the head).

    Raises:
        SandboxError: the machine failed.
        GitError: a tree cannot be read.
    """
    linter = bench.project.lint
    begun = time.monotonic()
    if linter is None:
        return Linted()
    line, kind = linter.line, linter.kind

    def work() -> Linted:
        if kind == "command":
            return _by_command(bench, line, base_tree, head_tree)
        return _by_ruff(bench, base_tree, head_tree, changed)

    linted = going_on(work, tell=log.warning)
    return linted.model_copy(update={"seconds": round(time.monotonic() - begun, 2)})


def judged_lint(linted: Linted, policy: Policy, asked: Lint | None) -> tuple[Check | None, tuple[Finding, ...]]:
    """The check and the findings that follow from what the linter said; none where no linter is asked."""
    if asked is None:
        return None, ()
    if linted.problem:
        words = f"the linter could not be asked: {linted.problem}"
        return None, (Finding(rule="lint.unmeasured", verdict=Verdict.PASSED, message=words, review=True),)
    findings = [
        finding
        for path, line, words in linted.new
        for finding in consequence(
            policy.lint.new, "lint.new", words, path=path, line=line, remedy="correct it, as the base is free of it"
        )
    ]
    verdict = Verdict.worst([Verdict.PASSED, *(f.verdict for f in findings)])
    summary = f"{len(linted.new)} findings that the base does not have (`{asked.line}`)"
    details = {"output": linted.output} if linted.output else {}
    check = Check(name="lint", verdict=verdict, summary=summary, seconds=linted.seconds, details=details)
    return check, capped(findings)


def _by_ruff(bench: Bench, base_tree: str, head_tree: str, changed: tuple[str, ...]) -> Linted:
    python = tuple(path for path in changed if path.endswith((".py", ".pyi")))
    if not python:
        return Linted()
    with bench.box(head_tree) as box:
        after = _ruff(box, python)
        box.put_tree(export(bench.mirror, base_tree))  # over it: the files that we ask about are then the base's
        known = paths(bench.mirror, base_tree)
        before = _ruff(box, tuple(path for path in python if path in known))
    if isinstance(after, str) or isinstance(before, str):
        return Linted(problem=after if isinstance(after, str) else str(before))
    left = Counter((path, words) for path, _, words in before)
    new = []
    for path, line, words in after:
        left[path, words] -= 1
        if left[path, words] < 0:
            new.append((path, line, words))
    return Linted(new=tuple(new))


def _by_command(bench: Bench, line: str, base_tree: str, head_tree: str) -> Linted:
    results = []
    for tree in (head_tree, base_tree):
        with bench.box(tree) as box:
            results.append(box.exec(["/bin/sh", "-c", line], timeout=_LINT_SECONDS, env={"CI": "true"}))
        if results[0].exit_code == 0:
            return Linted()
    head, base = results
    if base.exit_code != 0:
        return Linted(problem=f"`{line}` fails on the base already (exit code {base.exit_code})", output=tail(base))
    return Linted(new=((None, None, f"`{line}` ended with {head.exit_code}"),), output=tail(head))


def _ruff(box: Sandbox, files: tuple[str, ...]) -> list[tuple[str, int, str]] | str:
    """Findings (path, line, words), or what kept ruff from finding."""
    if not files:
        return []
    argv = ["ruff", "check", "--no-cache", "--force-exclude", "--output-format=json", "--", *files]
    ran = box.exec(argv, timeout=_LINT_SECONDS)
    try:
        found = json.loads(ran.stdout)
        return [
            (
                entry["filename"].removeprefix(f"{WORKSPACE}/"),
                int(entry["location"]["row"]),
                f"{entry['code'] or 'syntax'}: {entry['message']}",
            )
            for entry in found
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return f"ruff ended with {ran.exit_code}: {tail(ran)[:300]}"
