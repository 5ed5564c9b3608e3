"""Health → revert: production goes back first, then a pull request asks to take the commit back."""

from __future__ import annotations

from runner import messages
from runner.errors import ForgeError
from runner.model import PullRequest, Rollout, Verdict
from runner.steps.deploy import deployer_of, previous
from runner.steps.house import House, pull_of


def roll_back(house: House, run_id: str) -> Rollout | None:
    """Put the previous release back; None where no deployment is configured, or none is known to go back to."""
    deployer = deployer_of(house, run_id)
    release = previous(house, run_id)
    if deployer is None or release is None:
        return None
    house.say(run_id)(f"rolling back to {release[:12]}")
    rollback = deployer.rollback(release, run=run_id)
    run = house.store.update(run_id, rollback=rollback)
    config = house.repo(run).deploy
    if config is not None and run.merge_sha is not None:
        repo, _ = pull_of(run)
        record = house.forge.begin_deployment(repo, sha=run.merge_sha, environment=config.environment, run=run_id)
        house.forge.end_deployment(repo, record, state="failure", description=f"rolled back to {release[:12]}")
    return rollback


def propose_revert(house: House, run_id: str, why: str) -> PullRequest | None:
    """Open the pull request that undoes the merge, with what was measured; None where the policy wants none.

    Raises:
        ForgeError: the forge failed.
    """
    run = house.store.run(run_id)
    repo, number = pull_of(run)
    if run.pull is None:
        raise ForgeError(f"run {run_id} has no pull request")
    revert = None
    if house.policy(run).land.revert:
        revert = house.forge.revert_pull(
            repo, number, title=messages.revert_title(run.pull), body=messages.revert_body(run, why)
        )
        run = house.store.update(run_id, revert_pull=revert)
    house.forge.comment(repo, number, marker=f"<!-- automend:reverted:{run_id} -->", body=messages.reverted(run, why))
    return revert


def back_in_words(rollback: Rollout | None) -> str:
    """Where production stands after a rollback."""
    if rollback is None:
        return "nothing was rolled back"
    if rollback.verdict is Verdict.PASSED:
        return f"release {rollback.release[:12]} is live again"
    return f"the rollback to {rollback.release[:12]} did not succeed: {rollback.detail}"
