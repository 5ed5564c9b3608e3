"""What is kept for a while, and then goes: transcripts and recordings of runs that are over."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta

from runner.errors import UsageError
from runner.steps.house import House


def tidy_papers(house: House) -> list[str]:
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
            shutil.rmtree(papers, ignore_errors=True)
            gone.append(papers.name)
    return gone
