"""Trigger → job: may new work begin, and what is it called?

The switches that stop all new work, and the budget of people's attention: so many pull requests a day and open at
once, per repository.
"""

from __future__ import annotations

from datetime import timedelta

from runner.errors import ConfigError, Stopped
from runner.model import Place, Run
from runner.steps.house import House


def may_begin(house: House, run: Run, place: Place) -> None:
    """Raise unless a job may begin now.

    Raises:
        Stopped: AUTOMEND_DISABLED, an `automend:stop` issue, or no budget for another pull request.
        ConfigError: the job names an agent that is not configured.
        RepositoryError: the forge does not know the repository.
    """
    unknown = [name for name in run.job.agents if name not in house.agents]
    if unknown:
        known = ", ".join(sorted(house.agents))
        raise ConfigError(f"there is no agent `{unknown[0]}`", remedy=f"configured: {known}")
    if house.host.disabled:
        raise Stopped("AUTOMEND_DISABLED is set: no new work is begun", remedy="unset it to go on")
    if place.forge is None:
        return
    house.forge.default_branch(place.forge)  # says which name is wrong, if one is
    stop = house.forge.stop_issue(place.forge)
    if stop is not None:
        raise Stopped(f"an open issue stops all new work here: {stop}", remedy="close it to go on")
    if run.job.dry_run:
        return
    limits = house.policy(run).pulls
    waiting = house.forge.open_pulls(place.forge)
    if len(waiting) >= limits.open:
        raise Stopped(
            f"{len(waiting)} pull requests of automend are open in {place.forge}; the policy allows {limits.open}",
            remedy="review one of: " + ", ".join(pull.url for pull in waiting[:5]),
        )
    recent = house.store.runs(repo=run.job.repo, since=timedelta(days=1))
    opened = sum(1 for other in recent if other.pull is not None and other.id != run.id)
    if opened >= limits.per_day:
        raise Stopped(f"{opened} pull requests were opened in {place.forge} in the last 24 hours; that is the limit")
