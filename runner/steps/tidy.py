"""What is kept for a while and then goes (the papers of runs that are over), and what killed processes left."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

from runner.errors import UsageError
from runner.model import RunStatus
from runner.steps.house import House
from runner.steps.judge import gates_at_work


def clean(house: House, *, alone: bool, dry_run: bool) -> list[str]:
    """Remove what nobody works with any more: containers, volumes, locks, temporary files, old papers; what it was.

    Args:
        house: the installation.
        alone: no engine is at work. Where one is, its runs keep what they have, and what belongs to no run stays.
        dry_run: only tell.

    Raises:
        DockerError: the engine of containers is not there, or something could not be removed.
    """
    keep = gates_at_work(house, forget=not dry_run)
    if not alone:
        keep += ["", *(run.id for run in house.store.runs(*(s for s in RunStatus if not s.over)))]
    found = house.sandboxes.sweep(dry_run=dry_run)
    found += [f"papers of run {name}" for name in tidy_papers(house, dry_run=dry_run)]
    return found + house.sandboxes.reap(keep=keep, dry_run=dry_run)


def tidy_papers(house: House, *, dry_run: bool = False) -> list[str]:
    """Remove the papers of runs that are over and older than `run.keep_transcripts_days`; names the runs."""
    folder = house.host.home / "runs"
    if not folder.is_dir():
        return []
    oldest = datetime.now(UTC) - timedelta(days=house.host.settings.run.keep_transcripts_days)
    gone = []
    for papers in sorted(folder.iterdir()):
        try:
            run = house.store.run(papers.name)
        except UsageError:  # no such run: the database was replaced, and these belong to nobody
            changed, over = datetime.fromtimestamp(papers.stat().st_mtime, UTC), True
        else:
            changed, over = run.updated, run.status.over
        if over and changed < oldest:
            if not dry_run:
                shutil.rmtree(papers, ignore_errors=True)
            gone.append(papers.name)
    return gone
