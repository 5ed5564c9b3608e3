"""Policy → words: which policy is in force for a repository, and what each of its rules says to a patch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.git.diff import read_patch
from runner.git.importing import examine
from runner.model import Finding, Goal, Noun, Verdict
from runner.policy.case import Family
from runner.policy.evaluate import FAMILIES, evaluate
from runner.policy.explain import Setting, explained
from runner.policy.schema import Policy
from runner.settings import RepoConfig
from runner.steps.again import Change, Source
from runner.steps.gate import case_of
from runner.steps.house import House, project_of


@dataclass(frozen=True)
class InForce:
    """The policy that a patch of a repository would be judged by. `chosen` says who named it."""

    policy: Policy
    chosen: str
    settings: tuple[Setting, ...]


class Answer(Noun):
    """What one rule says to a patch: nothing (it holds), or its findings."""

    rule: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()


def in_force(house: House, name: str | None, source: Source | None, base: str | None) -> InForce:
    """The policy that is named, else the repository's, else the host's; tightened by the repository's base.

    Args:
        house: whose settings count.
        name: a built-in policy or a file.
        source: the repository; None for the policy as the host has it.
        base: the base's branch, tag or commit; by default the repository's HEAD.

    Raises:
        ConfigError: there is no such policy, or a file is wrong.
        RepositoryError: there is no such ref.
    """
    if source is None:
        return _in_force(house, name, RepoConfig.model_validate({}), {})
    config = house.config(source.names, None)
    sha = source.mirror.fetch(source.remote, ref=base or config.base, auth=source.auth)
    return _in_force(house, name, config, project_of(source.mirror, source.mirror.tree_of(sha), config).policy)


def ask(house: House, source: Source, change: Change, *, goal: Goal, policy: str | None) -> tuple[Answer, ...]:
    """What every rule that needs no container says to a patch.

    Raises:
        ConfigError: there is no such policy, or a file is wrong.
        GitError: a tree cannot be read.
    """
    mirror = source.mirror
    config = house.config(source.names, None)
    base_tree = mirror.tree_of(change.base_sha)
    project = project_of(mirror, base_tree, config)
    judged_by = house.policy_of(policy, config, project)
    case = case_of(mirror, read_patch(mirror, base_tree, change.head_tree), goal, judged_by, project)
    odd = examine(mirror, base_tree, change.head_tree)
    answers = [Answer(rule="tree", verdict=_verdict(odd), findings=odd)]
    for family in FAMILIES:
        for rule in family.rules:
            alone = Family(name=family.name, rules=(rule,), numbers=lambda _policy, _case: "")
            # A rule without findings is told by a bare PASSED of its family.
            found = tuple(f for f in evaluate(judged_by, case, (alone,)) if f.message)
            answers.append(Answer(rule=rule.name, verdict=_verdict(found), findings=found))
    return tuple(answers)


def _in_force(house: House, name: str | None, config: RepoConfig, tightening: Mapping[str, Any]) -> InForce:
    if name is not None:
        named, chosen = name, "--policy"
    elif config.policy is not None:
        named, chosen = config.policy, "the host's settings for the repository"
    else:
        named, chosen = house.host.settings.run.policy, "the host's settings"
    policy, settings = explained(named, tightening)
    return InForce(policy, chosen, settings)


def _verdict(findings: tuple[Finding, ...]) -> Verdict:
    return Verdict.worst([Verdict.PASSED, *(f.verdict for f in findings)])
