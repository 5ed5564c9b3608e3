"""Readiness → merge: exactly the commit that was judged, approved and green."""

from __future__ import annotations

from runner import messages
from runner.errors import Refused
from runner.steps.house import House, pull_of, tree_of


def merge(house: House, run_id: str) -> str:
    """Merge the judged head, pinned by its SHA, and return the merge commit; the existing one where it is merged.

    Raises:
        Refused: the head moved, or the forge does not let it be merged.
        ForgeError: the forge failed.
    """
    run = house.store.run(run_id)
    repo, number = pull_of(run)
    if run.pull is None or run.head_sha is None:
        raise Refused("there is no judged commit to merge")
    sha = house.forge.merge(
        repo,
        number,
        sha=tree_of(run.head_sha, "the judged head"),
        method=house.policy(run).land.method,
        title=f"{messages.title(run)} ({number})",
    )
    house.store.update(run_id, merge_sha=sha)
    return sha
