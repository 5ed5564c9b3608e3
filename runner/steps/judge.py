"""Attempt → verdict: the gate's answer on what an agent left, kept with the run."""

from __future__ import annotations

from runner.model import Report
from runner.steps.gate import judge
from runner.steps.house import House, base_of, labels, tree_of


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
