"""Job → base: the repository's commit in the runner's own mirror, and the image that its commands run in."""

from __future__ import annotations

import re

from runner import messages
from runner.git.diff import diff_text
from runner.git.trees import merge_trees
from runner.model import Base, Run, RunStatus
from runner.project import environment_recipe
from runner.steps.house import House, base_of, labels, tree_of
from runner.steps.intake import may_begin


def checkout(house: House, run_id: str) -> Base:
    """Fetch the base.

    Raises:
        Stopped: new work may not begin.
        RepositoryError: there is no such repository or ref, or it is empty.
        GitError: the git server failed.
        ForgeError: the forge failed.
    """
    run = house.store.run(run_id)
    if run.status is RunStatus.QUEUED:
        house.store.update(run_id, status=RunStatus.WORKING)
    place = house.locate(run.job.repo)
    may_begin(house, run, place)
    auth = house.auth(place.forge)
    ref = run.job.base or house.repo(run, place).base
    if ref is None and place.forge is not None:
        ref = house.forge.default_branch(place.forge)
    house.say(run_id)(f"fetching {place.forge or place.remote}")
    mirror = house.mirror(place.remote)
    sha = mirror.fetch(place.remote, ref=ref, auth=auth)
    mirror.keep(f"runs/{run.id}/base", sha)
    branch = ref
    if place.forge is not None and mirror.remote_sha(place.remote, ref or "", auth) is None:
        branch = house.forge.default_branch(place.forge)  # --base named a tag or a commit: the PR still needs a branch
    base = Base(
        repo=run.job.repo,
        forge=place.forge,
        remote=place.remote,
        ref=branch or "HEAD",
        sha=sha,
        tree=mirror.tree_of(sha),
    )
    house.store.update(run_id, base=base, branch=branch_name(run))
    return base


def environment(house: House, run_id: str) -> str:
    """The image of the repository's environment, built if it is not there yet.

    Raises:
        DockerError: the engine is down, or a setup command failed.
    """
    run = house.store.run(run_id)
    base = base_of(run)
    recipe = environment_recipe(house.project(run), house.mirror(base.remote), base.tree)
    built = house.sandboxes.environment(recipe, labels=labels(run_id), progress=house.say(run_id))
    house.store.update(run_id, environment=built.image)
    return built.image


def revisit(house: House, run_id: str, feedback: str) -> Base:
    """Prepare a revision: what people and CI said, on the base as it is now.

    Where the base moved and merges cleanly, the agent starts from the merge; where it does not, it starts from the
    new base and is shown what it had written.
    """
    run = house.store.run(run_id)
    old = base_of(run)
    mirror = house.mirror(old.remote)
    auth = house.auth(old.forge)
    head = tree_of(run.proposed.patch.head_tree if run.proposed else None, "the proposed tree")
    sha = mirror.fetch(old.remote, ref=old.ref, auth=auth)
    if sha == old.sha:
        house.store.update(run_id, start_tree=head, feedback=feedback, round=len(run.attempts))
        return old
    mirror.keep(f"runs/{run.id}/base", sha)
    base = old.model_copy(update={"sha": sha, "tree": mirror.tree_of(sha)})
    merged, conflicts = merge_trees(mirror, old.tree, head, base.tree)
    if merged is None:
        before = diff_text(mirror, old.tree, head, limit_bytes=60_000)
        feedback += (
            f"\n\nThe base branch moved and the change no longer merges ({', '.join(conflicts[:10])}). "
            f"You start from the new base. The change was:\n\n{before}"
        )
    house.store.update(run_id, base=base, start_tree=merged or base.tree, feedback=feedback, round=len(run.attempts))
    return base


def branch_name(run: Run) -> str:
    """`automend/<run>-<slug>`: the trace by which every later step finds its own work."""
    words = re.sub(r"[^a-z0-9]+", "-", messages.title(run).lower()).strip("-")
    return f"automend/{run.id}-{words[:40].strip('-') or run.job.goal.value}"
