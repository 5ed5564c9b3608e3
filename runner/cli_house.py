"""`automend clean` and `automend images`: what is left on this host and its engine, and what of it may go."""

from __future__ import annotations

import json
import time

import click
from rich.markup import escape
from rich.table import Table

from runner.app import App, keeping, opened
from runner.cli_end import err, out
from runner.config import load
from runner.errors import UsageError
from sandbox.stock import Keeping, StockedImage

_DAY = 86_400
_MIB = 1 << 20


@click.command("clean")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def clean_command(context: click.Context, *, dry_run: bool, as_json: bool) -> None:
    """Remove what killed processes left: containers, volumes, sockets, temporary files, old papers.

    Runs and gates that are at work keep what they have, in whichever process. An engine that starts does the same, so
    this is for a host on which none will. Images are another matter: see `automend images`.

    \b
    automend clean --dry-run
    automend clean
    """
    with opened(load(config=context.obj)) as app:
        gone = app.clean(dry_run=dry_run)
    if as_json:
        out.print_json(json.dumps({"dry_run": dry_run, "removed": gone}))
        return
    for what in gone:
        out.print(escape(what), soft_wrap=True)
    words = "would be removed" if dry_run else "removed"
    err.print(f"{len(gone)} {words}" if gone else "nothing is left over")


@click.command("images")
@click.option("--prune", is_flag=True, help="Remove what is older, or more, than is kept.")
@click.option("--days", type=click.FloatRange(min=0), help="Kept so long after the last use; default: as configured.")
@click.option("--budget-mb", type=click.IntRange(min=0), help="Kept in all, in MiB; default: as configured.")
@click.option("--dry-run", is_flag=True, help="With --prune: only say what would go.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def images_command(
    context: click.Context,
    *,
    prune: bool,
    days: float | None,
    budget_mb: int | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """List the environment images: size, age, last use, and for whom; remove those that are not worth their room.

    The size is what an image takes besides the base that it is built on. What was used in the last day stays, and so
    does what a container is made of. An image that is gone is built again when it is needed.

    \b
    automend images
    automend images --prune --days 7
    automend images --prune --budget-mb 5000 --dry-run
    """
    if not prune and (dry_run or days is not None or budget_mb is not None):
        raise UsageError("--days, --budget-mb and --dry-run go with --prune", remedy="add --prune, or leave them out")
    host = load(config=context.obj)
    with opened(host) as app:
        if prune:
            usual = keeping(host)
            wanted = Keeping(
                days=usual.days if days is None else days,
                megabytes=usual.megabytes if budget_mb is None else budget_mb,
            )
            images = app.sandboxes.prune(wanted, dry_run=dry_run)
        else:
            images = app.sandboxes.images()
        rows = [_row(app, image) for image in images]
    if as_json:
        out.print_json(json.dumps({"pruned": prune, "dry_run": dry_run, "images": rows}))
        return
    table = Table("image", "MiB", "made", "last used", "for", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        made, used = (_ago(float(str(row[key]))) for key in ("made", "used"))
        table.add_row(str(row["name"]), f"{row['megabytes']}", made, used, escape(str(row["repo"] or row["used_by"])))
    if rows:
        out.print(table)
    total = sum(image.size for image in images) // _MIB
    words = "would be removed" if dry_run else "removed" if prune else "environment images"
    err.print(f"{len(images)} {words}, {total} MiB")


def _row(app: App, image: StockedImage) -> dict[str, object]:
    return {
        "name": image.name,
        "digest": image.digest,
        "megabytes": image.size // _MIB,
        "made": image.made,
        "used": image.used,
        "used_by": image.used_by,
        "repo": _repo(app, image.used_by),
    }


def _repo(app: App, run: str) -> str | None:
    """The repository of a run; None for a gate, or where the run is forgotten."""
    try:
        return app.house.store.run(run).job.repo if run else None
    except UsageError:
        return None


def _ago(when: float) -> str:
    seconds = max(time.time() - when, 0)
    if seconds >= 2 * _DAY:
        return f"{seconds / _DAY:.0f} days ago"
    return f"{seconds / 3600:.0f} h ago" if seconds >= 3600 else f"{seconds / 60:.0f} min ago"  # noqa: PLR2004 - an hour
