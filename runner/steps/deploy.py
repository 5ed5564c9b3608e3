"""Merge → rollout: the host's own command puts the merge live, once."""

from __future__ import annotations

from runner.model import Rollout, Verdict
from runner.ports import Deployer
from runner.steps.house import House, base_of, pull_of, tree_of


def deploy(house: House, run_id: str) -> Rollout | None:
    """Put the merge live and record it on the forge; None where the host configured no deployment.

    Raises:
        ForgeError: the forge failed.
    """
    run = house.store.run(run_id)
    config = house.repo(run).deploy
    deployer = deployer_of(house, run_id)
    if deployer is None or config is None:
        return None
    release = tree_of(run.merge_sha, "the merge commit")
    repo, _ = pull_of(run)
    record = house.forge.begin_deployment(repo, sha=release, environment=config.environment, run=run_id)
    house.say(run_id)(f"deploying {release[:12]}")
    rollout = deployer.deploy(release, run=run_id).model_copy(update={"previous": previous(house, run_id)})
    state = "success" if rollout.verdict is Verdict.PASSED else "failure"
    house.forge.end_deployment(repo, record, state=state, description=f"run {run_id}: {rollout.verdict.value}")
    house.store.update(run_id, rollout=rollout)
    return rollout


def remember_release(house: House, run_id: str) -> str | None:
    """Which release is live before anything is done; what a rollback goes back to.

    A release that cannot be told is the base commit's own: what the branch said before the merge.
    """
    run = house.store.run(run_id)
    deployer = deployer_of(house, run_id)
    if deployer is None:
        return None
    live = deployer.current()
    if live is None or live == run.merge_sha:
        live = base_of(run).sha
    planned = Rollout(release="", previous=live, verdict=Verdict.INCONCLUSIVE, detail="not begun")
    house.store.update(run_id, rollout=planned)
    return live


def previous(house: House, run_id: str) -> str | None:
    """The release that was live before this run's deployment."""
    run = house.store.run(run_id)
    return run.rollout.previous if run.rollout is not None else None


def deployer_of(house: House, run_id: str) -> Deployer | None:
    """The deployer of a run's repository, if the host configured one."""
    run = house.store.run(run_id)
    base = base_of(run)
    return house.deployer(house.repo(run), base.forge or base.repo)
