"""Attempt → verdict: the gate's answer on what an agent (or anybody else) left."""

from __future__ import annotations

from collections.abc import Callable

from runner.config import RepoConfig
from runner.git.mirror import Mirror
from runner.model import Goal, Report
from runner.steps.gate import judge
from runner.steps.house import House, base_of, labels, project_of, tree_of


def judge_attempt(house: House, run_id: str, number: int) -> Report:
    """Judge the tree of an attempt against the base. The machine's failures are verdicts (ERROR), never passes."""
    run = house.store.run(run_id)
    tried = next(a for a in run.attempts if a.number == number)
    base = base_of(run)
    report = judge(
        house.mirror(base.remote),
        base_tree=base.tree,
        head_tree=tree_of(tried.tree, "the attempt's tree"),
        base_sha=base.sha,
        goal=run.job.goal,
        policy=house.policy(run),
        project=house.project(run),
        sandboxes=house.sandboxes,
        limits=house.limits(seconds=house.host.settings.run.verify_seconds),
        labels=labels(run_id),
        progress=house.say(run_id),
        dropped=tried.dropped,
        extra_findings=tried.findings,
        cache=house.host.home / "baselines",
    )
    house.store.update(run_id, report=report)
    return report


def judge_somebodys(
    house: House,
    mirror: Mirror,
    *,
    base_sha: str,
    head_tree: str,
    goal: Goal,
    policy: str | None,
    config: RepoConfig,
    static: bool,
    name: str,
    progress: Callable[[str], None],
) -> Report:
    """Judge a patch that no run of ours made. `name` labels its containers.

    Raises:
        ConfigError: the repository's own file, or the policy, is wrong.
    """
    base_tree = mirror.tree_of(base_sha)
    project = project_of(mirror, base_tree, config)
    return judge(
        mirror,
        base_tree=base_tree,
        head_tree=head_tree,
        base_sha=base_sha,
        goal=goal,
        policy=house.policy_of(policy, config, project),
        project=project,
        sandboxes=None if static else house.sandboxes,
        limits=house.limits(seconds=house.host.settings.run.verify_seconds),
        labels=labels(name),
        progress=progress,
        cache=house.host.home / "baselines",
    )
