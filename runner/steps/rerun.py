"""An attempt once more: the same base, prompt and limits, an agent that is given, and what it leaves this time."""

from __future__ import annotations

from dataclasses import dataclass

from runner.errors import UsageError
from runner.git.diff import read_patch
from runner.model import Attempt, Outcome, Run
from runner.ports import Agent, Budget, Progress
from runner.project import environment_recipe
from runner.steps.attempt import Work, let_work
from runner.steps.house import House, base_of, labels

_ENOUGH = 1_000_000_000
SPARE_REQUESTS = 20
"""How many more a replay may ask than were recorded, before it is stopped."""

# How an attempt ends when it is played again that we had stopped, or whose work we would not use: the recording is
# over where a budget was, and only a run looks for canaries.
_STANDS_FOR = {
    Outcome.BUDGET: {Outcome.CRASHED},
    Outcome.PROVIDER_DOWN: {Outcome.CRASHED},
    Outcome.LEAKED: {Outcome.CRASHED, Outcome.DONE, Outcome.NO_CHANGE},
}


@dataclass(frozen=True)
class Rerun:
    """How an attempt ended this time.

    `comparable` says whether both came to their end, so that what they left can be held against each other; `files`
    are those that differ then.
    """

    attempt: Attempt
    comparable: bool
    files: tuple[str, ...]


def same_end(then: Outcome, now: Outcome) -> bool:
    """Whether a replay ended as the attempt did, as far as a replay can."""
    return now is then or now in _STANDS_FOR.get(then, ())


def rerun(
    house: House, run: Run, tried: Attempt, agent: Agent, *, prompt: str, requests: int, name: str, progress: Progress
) -> Rerun:
    """Let an agent try what was tried, in a sealed container on the same base.

    Args:
        house: what to work with.
        run: the attempt's.
        tried: the attempt.
        agent: who tries now.
        prompt: what to tell it.
        requests: how many were recorded.
        name: what the container is labelled with.
        progress: told what is going on.

    Raises:
        UsageError: nobody knows on what the attempt began.
        DockerError: the engine failed.
        GitError: the base is not in the mirror any more.
    """
    base = base_of(run)
    start = tried.start or (run.start_tree or base.tree if tried.number > run.round else None)
    if start is None:
        raise UsageError(
            f"what attempt {tried.number} of run {run.id} began on was not written down",
            remedy="it is for attempts of this version, and for those of a run's last round",
        )
    mirror = house.mirror(base.remote)
    recipe = environment_recipe(house.project(run), mirror, base.tree)
    image = house.sandboxes.environment(recipe, labels=labels(name), progress=progress).image
    progress(f"attempt {tried.number} is played again")
    again, left = let_work(
        house,
        agent,
        Work(
            run=run.id,
            name=name,
            number=tried.number,
            base=base,
            start=start,
            image=image,
            prompt=prompt,
            seconds=house.host.settings.run.attempt_seconds,
            transcript=house.papers(run.id, f"replay-{tried.number}"),
            budget=Budget(
                requests=requests + SPARE_REQUESTS,
                tokens=_ENOUGH,
                wall_seconds=house.host.settings.run.attempt_seconds,
            ),
        ),
        progress=progress,
    )
    if again.outcome is Outcome.DONE and left is not None and left.tree == start:
        again = again.model_copy(update={"outcome": Outcome.NO_CHANGE})
    before = start if tried.outcome is Outcome.NO_CHANGE else tried.tree
    now = left.tree if left is not None else None
    if before is None or now is None:
        return Rerun(again, comparable=False, files=())
    files = () if before == now else tuple(file.path for file in read_patch(mirror, before, now).files)
    return Rerun(again.model_copy(update={"tree": now}), comparable=True, files=files)
