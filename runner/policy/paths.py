"""paths: may a patch go there?"""

from __future__ import annotations

from collections.abc import Iterator

from runner.model import Finding, Goal, Verdict
from runner.policy.case import Case, Family, Rule, consequence
from runner.policy.globs import Globs
from runner.policy.names import NAMES
from runner.policy.schema import Action, Policy


def _protected(policy: Policy, case: Case) -> Iterator[Finding]:
    globs = Globs(policy.paths.protected)
    for file in case.patch.files:
        if (pattern := globs.which(file.path)) is not None:
            yield _no(
                "paths.protected",
                file.path,
                f"{file.path} is protected (`{pattern}`): no patch may touch it",
                "take the change of this file out; a person can make it",
            )


def _dependencies(policy: Policy, case: Case) -> Iterator[Finding]:
    if case.goal is Goal.DEPS:
        return
    globs = Globs(policy.paths.dependencies)
    for file in case.patch.files:
        if (pattern := globs.which(file.path)) is not None:
            yield _no(
                "paths.dependencies",
                file.path,
                f"{file.path} is a dependency manifest, build or lock file (`{pattern}`), and the goal is "
                f"{case.goal.value}",
                "take the change of this file out, or run it with goal deps",
            )


def _test_configuration(policy: Policy, case: Case) -> Iterator[Finding]:
    globs = Globs(policy.paths.test_configuration)
    for file in case.patch.files:
        if (pattern := globs.which(file.path)) is not None:
            yield _no(
                "paths.test_configuration",
                file.path,
                f"{file.path} decides how tests are run (`{pattern}`): no patch may touch it",
                "take the change of this file out; put fixtures of a new test into its own module",
            )


def _startup(policy: Policy, case: Case) -> Iterator[Finding]:
    globs = Globs(policy.paths.startup)
    for file in case.patch.files:
        if (pattern := globs.which(file.path)) is not None:
            yield _no(
                "paths.startup",
                file.path,
                f"{file.path} is run or trusted without being asked (`{pattern}`): no patch may touch it",
                "take the change of this file out",
            )


def _reviewed(policy: Policy, case: Case) -> Iterator[Finding]:
    globs = Globs(policy.paths.reviewed)
    for file in case.patch.files:
        if (pattern := globs.which(file.path)) is not None:
            yield from consequence(
                Action.REVIEW,
                "paths.reviewed",
                f"{file.path} decides how the project is built or kept (`{pattern}`)",
                path=file.path,
                remedy="leave it out unless the goal needs it",
            )


def _allowed(policy: Policy, case: Case) -> Iterator[Finding]:
    if not policy.paths.allowed:
        return
    globs = Globs(policy.paths.allowed)
    for file in case.patch.files:
        if file.path not in globs:
            yield _no(
                "paths.allowed",
                file.path,
                f"{file.path} is not among the files that a patch may touch",
                f"touch only: {', '.join(policy.paths.allowed)}",
            )


def _goal(policy: Policy, case: Case) -> Iterator[Finding]:
    if case.goal is not Goal.TEST:
        return
    for file in case.patch.files:
        if file.path not in case.tests:
            yield _no(
                "paths.goal",
                file.path,
                f"{file.path} is no test file, and the goal is test",
                "change tests only; if the code is wrong, that is a fix",
            )


def _no(rule: str, path: str, message: str, remedy: str) -> Finding:
    return Finding(rule=rule, verdict=Verdict.FAILED, message=message, path=path, remedy=remedy)


def _numbers(policy: Policy, case: Case) -> str:
    paths = policy.paths
    globs = len(paths.protected) + len(paths.dependencies) + len(paths.test_configuration) + len(paths.startup)
    return f"no path among the {globs} protected patterns"


PATHS = Family(
    "paths",
    (
        Rule("paths.protected", _protected),
        Rule("paths.dependencies", _dependencies),
        Rule("paths.test_configuration", _test_configuration),
        Rule("paths.allowed", _allowed),
        Rule("paths.startup", _startup),
        Rule("paths.reviewed", _reviewed),
        Rule("paths.goal", _goal),
        *NAMES,
    ),
    _numbers,
)
