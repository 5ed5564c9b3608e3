"""Attempt → verdict: the gate's answer on what an agent (or anybody else) left."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from runner.evidence import seal
from runner.evidence.document import EvidenceFile
from runner.git.mirror import Mirror
from runner.git.trees import paths
from runner.model import Goal, Report, Reproduction
from runner.policy.schema import Policy
from runner.settings import RepoConfig
from runner.steps import memory
from runner.steps.gate import judge
from runner.steps.house import House, base_of, labels, project_of, tree_of
from runner.steps.proof.original import reproduction
from runner.steps.record import Setting, evidence_of, evidence_path
from sandbox.api import SandboxError


@dataclass(frozen=True)
class Judged:
    """The gate's answer on somebody's patch, and the evidence for it, sealed."""

    report: Report
    evidence: EvidenceFile


def judge_attempt(house: House, run_id: str, number: int) -> Report:
    """Judge the tree of an attempt against the base. The machine's failures are verdicts (ERROR), never passes."""
    run = house.store.run(run_id)
    tried = next(a for a in run.attempts if a.number == number)
    base = base_of(run)
    tree = tree_of(tried.tree, "the attempt's tree")
    signer = house.signer()
    setting = Setting(
        mirror=house.mirror(base.remote),
        repository=base.forge or base.remote,
        config=house.repo(run),
        policy=house.policy(run),
        project=house.project(run),
        limits=house.limits(seconds=house.host.settings.run.verify_seconds),
    )
    report = judge(
        setting.mirror,
        base_tree=base.tree,
        head_tree=tree,
        base_sha=base.sha,
        goal=run.job.goal,
        policy=setting.policy,
        project=setting.project,
        sandboxes=house.sandboxes,
        limits=setting.limits,
        labels=labels(run_id),
        progress=house.say(run_id),
        dropped=tried.dropped,
        extra_findings=(*tried.findings, *memory.known(house, run, tree, number, setting.policy)),
        cache=house.host.home / "baselines",
        reproduction=reproduction(run.job.reproduce, run.job.context, paths(setting.mirror, base.tree)),
    )
    report = report.model_copy(update={"evidence": report.evidence.model_copy(update={"prompt": tried.prompt or None})})
    evidence = seal.seal(evidence_of(report, setting), signer)
    evidence_path(house, run_id, tree).write_text(seal.write(evidence), encoding="utf-8")
    memory.remember_refusal(house, run, number, report, setting.policy)
    house.store.update(run_id, report=report)
    return report


@contextmanager
def gate_name(house: House) -> Iterator[str]:
    """What the containers of a gate outside any run are labelled with; while it lasts, nobody reaps them.

    Gates that were killed before leave theirs at work, and not everybody runs an engine: they are removed now.
    """
    for dead in _dead_gates(house):
        with suppress(SandboxError):  # no engine, perhaps; and what is left is not this gate's affair
            house.sandboxes.reap(run=dead)
    path = house.host.home / "gates" / f"gate-{os.getpid()}-{secrets.token_hex(3)}"
    path.parent.mkdir(exist_ok=True, mode=0o700)
    while True:
        with path.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)  # let go by the kernel, however this process ends
            if not path.exists():
                continue  # an engine took it for a dead one's, before it was locked
            try:
                yield path.name
            finally:
                with suppress(SandboxError):
                    house.sandboxes.settle()
                path.unlink(missing_ok=True)
            return


def gates_at_work(house: House, *, forget: bool = True) -> list[str]:
    """The names of the gates whose processes live; with `forget`, what dead ones left is forgotten."""
    dead = _dead_gates(house, forget=forget)
    return [path.name for path in (house.host.home / "gates").glob("gate-*") if path.name not in dead]


def _dead_gates(house: House, *, forget: bool = True) -> list[str]:
    """The names of the gates whose processes ended before they could say so; they are forgotten unless told not to."""
    dead = []
    for path in (house.host.home / "gates").glob("gate-*"):
        with path.open("a") as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            dead.append(path.name)
            if forget:
                path.unlink(missing_ok=True)
    return dead


def judge_somebodys(
    house: House,
    mirror: Mirror,
    *,
    repository: str,
    base_sha: str,
    head_sha: str | None,
    head_tree: str,
    goal: Goal,
    policy: str | Policy | None,
    config: RepoConfig,
    static: bool,
    name: str,
    progress: Callable[[str], None],
    fresh: bool = False,
    shown: Reproduction | None = None,
) -> Judged:
    """Judge a patch that no run of ours made.

    Args:
        house: where it is judged.
        mirror: where both trees are.
        repository: what the evidence calls the repository.
        base_sha: the commit that the patch starts from.
        head_sha: the commit that holds it, if one does.
        head_tree: what the patch makes of the base.
        goal: what it is for.
        policy: the policy's name or file, by default the repository's; or one that is in force as it is.
        config: the host's word on the repository.
        static: rules only.
        name: labels the containers.
        progress: told what is going on.
        fresh: measure the base again, whatever is known of it.
        shown: what showed the error that a fix is for.

    Raises:
        ConfigError: the repository's own file, the policy, or the key for evidence is wrong.
    """
    signer = house.signer()
    base_tree = mirror.tree_of(base_sha)
    project = project_of(mirror, base_tree, config)
    setting = Setting(
        mirror=mirror,
        repository=repository,
        config=config,
        policy=policy if isinstance(policy, Policy) else house.policy_of(policy, config, project),
        project=project,
        limits=house.limits(seconds=house.host.settings.run.verify_seconds),
        head_sha=head_sha,
        static=static,
    )
    report = judge(
        mirror,
        base_tree=base_tree,
        head_tree=head_tree,
        base_sha=base_sha,
        goal=goal,
        policy=setting.policy,
        project=project,
        sandboxes=None if static else house.sandboxes,
        limits=setting.limits,
        labels=labels(name),
        progress=progress,
        cache=None if fresh else house.host.home / "baselines",
        reproduction=shown,
    )
    return Judged(report, seal.seal(evidence_of(report, setting), signer))
