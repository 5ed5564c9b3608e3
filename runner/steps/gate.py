"""Patch → verdict: the rules that need no container first, then proof in fresh containers. Every answer is explained.

A patch that the rules refuse starts no container. A failure of the machine is an ERROR, never a pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from runner.errors import GitError
from runner.git.diff import hunks, read_patch
from runner.git.importing import examine
from runner.git.mirror import Mirror
from runner.git.trees import contents, paths, read
from runner.model import Check, Evidence, Finding, Goal, Patch, Report, Reproduction, Verdict
from runner.policy.case import Blobs, Case
from runner.policy.evaluate import evaluate
from runner.policy.globs import Globs
from runner.policy.integrity.sides import TEST_DATA
from runner.policy.moves import lines_changed
from runner.policy.schema import Policy
from runner.project import Project, with_first_tests
from runner.steps.proving import Proved, Prover, day_of
from sandbox.api import Limits, SandboxError, Sandboxes

_LARGEST_FILE = 4 << 20
_ALL_FILES = 64 << 20
_LARGEST_TEST = 512 << 10
_LARGEST_DATA = 128 << 10
_ALL_TESTS = 8 << 20
_SUBMODULE = "160000"


def judge(
    mirror: Mirror,
    *,
    base_tree: str,
    head_tree: str,
    base_sha: str | None,
    goal: Goal,
    policy: Policy,
    project: Project,
    sandboxes: Sandboxes | None,
    limits: Limits,
    labels: Mapping[str, str],
    progress: Callable[[str], None],
    dropped: tuple[str, ...] = (),
    extra_findings: tuple[Finding, ...] = (),
    cache: Path | None = None,
    reproduction: Reproduction | None = None,
) -> Report:
    """Judge what changed from one tree to another.

    Args:
        mirror: where both trees are.
        base_tree: what the patch starts from.
        head_tree: what it makes of it.
        base_sha: the base's commit, for the evidence.
        goal: what the patch is for.
        policy: what must hold; already tightened by the repository.
        project: how the repository is tested, read from the base.
        sandboxes: the engine; None for the rules alone.
        limits: of every container; `wall_seconds` is the longest time of one run of the suite.
        labels: on every container.
        progress: told what is going on.
        dropped: ignored files that were left out of the patch.
        extra_findings: what was found before (by collecting the tree); they count like our own.
        cache: a folder in which measurements of bases are kept.
        reproduction: what showed the error that a fix is for, where something did.
    """
    begun = time.monotonic()
    evidence = Evidence(
        base_sha=base_sha,
        base_tree=base_tree,
        head_tree=head_tree,
        goal=goal,
        reproduction=reproduction,
        policy=policy.name,
        policy_hash=policy.digest,
        version=automend_version(),
    )
    try:
        if project.test is None:
            project = with_first_tests(project, partial(read, mirror, head_tree), paths(mirror, head_tree))
        patch = read_patch(mirror, base_tree, head_tree, dropped=dropped)
        case = case_of(mirror, patch, goal, policy, project)
        odd = examine(mirror, base_tree, head_tree)
    except GitError as e:
        finding = Finding(rule="tree.unreadable", verdict=Verdict.ERROR, message=e.message, remedy=e.remedy)
        patch = Patch(base_tree=base_tree, head_tree=head_tree, dropped=dropped)
        return _report(patch, (*extra_findings, finding), (), evidence, begun)
    findings = (*extra_findings, *odd, *evaluate(policy, case))
    evidence = evidence.model_copy(update={"limits": _limits(policy, patch)})
    if sandboxes is None or any(f.verdict is not Verdict.PASSED for f in findings):
        return _report(patch, findings, (), evidence, begun)
    if project.test is None:
        check = Check(name="tests", verdict=Verdict.INCONCLUSIVE, summary=project.why_no_test)
        return _report(patch, findings, (check,), evidence, begun)

    at = time.monotonic()
    prover = Prover(
        mirror=mirror,
        project=project,
        sandboxes=sandboxes,
        limits=limits,
        labels=labels,
        patch=patch,
        case=case,
        policy=policy,
        cache=cache,
        progress=progress,
        reproduction=reproduction,
    )
    try:
        proved = prover.prove(day_of(mirror, base_sha))
    except (SandboxError, GitError) as e:
        remedy = {"remedy": e.remedy} if e.remedy else {}
        seconds = round(time.monotonic() - at, 2)
        failed = Check(name="environment", verdict=Verdict.ERROR, summary=e.message, seconds=seconds, details=remedy)
        return _report(patch, findings, (failed,), evidence, begun)
    proof = proved.proof
    report = _report(patch, (*findings, *proof.findings), proof.checks, _with(evidence, proved), begun)
    return report.model_copy(update={"runs": proof.runs})


def case_of(mirror: Mirror, patch: Patch, goal: Goal, policy: Policy, project: Project) -> Case:
    """What the rules look at.

    Raises:
        GitError: a tree cannot be read.
    """
    # A patch over the limit is refused for it; its lines may be gigabytes, and nobody needs to read them.
    small = lines_changed(patch) <= policy.size.max_changed_lines
    return Case(
        patch=patch,
        goal=goal,
        hunks=hunks(mirror, patch.base_tree, patch.head_tree) if small else (),
        blobs=_blobs(mirror, patch) if small else Blobs(),
        base_paths=frozenset(paths(mirror, patch.base_tree)),
        head_paths=frozenset(paths(mirror, patch.head_tree)),
        tests=project.tests,
        other_tests=lambda: _unchanged(mirror, patch, project.tests, limit=_LARGEST_TEST),
        test_data=lambda: _unchanged(mirror, patch, TEST_DATA, limit=_LARGEST_DATA),
    )


def _unchanged(mirror: Mirror, patch: Patch, wanted: Globs, *, limit: int) -> dict[str, bytes]:
    """Files of the base that the patch leaves alone."""
    changed = {file.path for file in patch.files}
    unchanged = {
        path: oid
        for path, (mode, oid) in paths(mirror, patch.base_tree).items()
        if mode.startswith("100") and path not in changed and path in wanted
    }
    found = contents(mirror, list(unchanged.values()), limit=limit, total=_ALL_TESTS)[1]
    return {path: found[oid] for path, oid in unchanged.items() if oid in found}


def _blobs(mirror: Mirror, patch: Patch) -> Blobs:
    sides = [(f.old_mode, f.old_blob) for f in patch.files] + [(f.new_mode, f.new_blob) for f in patch.files]
    oids = [oid for mode, oid in sides if oid is not None and mode != _SUBMODULE]
    return Blobs(*contents(mirror, oids, limit=_LARGEST_FILE, total=_ALL_FILES))


def _limits(policy: Policy, patch: Patch) -> dict[str, int]:
    return {
        "files": len(patch.files),
        "max_files": policy.size.max_files,
        "changed_lines": lines_changed(patch),
        "max_changed_lines": policy.size.max_changed_lines,
    }


def _with(evidence: Evidence, proved: Proved) -> Evidence:
    return evidence.model_copy(
        update={
            "image": proved.bench.image,
            "packages_of": proved.day,
            "commands": proved.bench.commands(),
            "tests": proved.proof.tests,
            "coverage": proved.proof.coverage,
        }
    )


def _report(
    patch: Patch, findings: tuple[Finding, ...], checks: tuple[Check, ...], evidence: Evidence, begun: float
) -> Report:
    verdict = Verdict.worst([*(f.verdict for f in findings), *(c.verdict for c in checks)])
    seconds = round(time.monotonic() - begun, 2)
    return Report(
        verdict=verdict,
        findings=findings,
        checks=checks,
        patch=patch,
        evidence=evidence.model_copy(update={"seconds": seconds}),
    )


def automend_version() -> str:
    """The version that is installed."""
    try:
        return version("automend")
    except PackageNotFoundError:
        return "unknown"
