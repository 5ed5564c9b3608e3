"""`automend replay`: a recorded attempt once more, with the real CLI and without a provider."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from runner.app import Replayed, opened
from runner.cli_end import abandon, err, out
from runner.config import load
from runner.interrupt import interruptible
from runner.model import Run, Verdict
from runner.screens import SIGN, duration
from runner.steps.brief import plain

_SAME, _DIFFERENT = 0, 1
_LONGEST = 400
_MOST_FILES = 20


@click.command("replay")
@click.argument("run_id", metavar="RUN")
@click.option("--attempt", type=int, metavar="N", help="Which attempt; default: the last.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def replay_command(context: click.Context, *, run_id: str, attempt: int | None, as_json: bool) -> None:
    """Play a recorded attempt again, and say whether the CLI behaved the same.

    The real CLI works in a sealed container on the same base, and hears what the provider answered then; no key is
    needed and nothing is pushed. What it asks (but for ids, times and the like) and the files that it leaves are held
    against what was recorded. The run itself stays as it is.

    RUN is a run's id, or the beginning of one. Ends with 0 where all is the same, 1 where something differs.
    """
    with opened(load(config=context.obj)) as app:
        run = app.house.store.run(run_id)
        with app.gate_name() as name, err.status("beginning", spinner="dots") as status:
            played = interruptible(
                lambda: app.replay(
                    run, attempt, name=name, progress=lambda words: status.update(escape(words.replace("\n", " ")))
                ),
                clear_up=lambda: abandon(app, name),
            )
    if as_json:
        out.print_json(json.dumps(_document(run, played)))
    else:
        _show(run, played)
    context.exit(_SAME if played.same else _DIFFERENT)


def _document(run: Run, played: Replayed) -> dict[str, Any]:
    then, now, found = played.then, played.again.attempt, played.difference
    return {
        "run": run.id,
        "attempt": then.number,
        "same": played.same,
        "requests": {"then": played.asked[0], "now": played.asked[1]},
        "outcome": {"then": then.outcome.value, "now": now.outcome.value, "detail": _clean(now.detail)},
        "difference": found
        and {
            "request": found.request,
            "where": _clean(found.where),
            "then": _clean(found.then),
            "now": _clean(found.now),
        },
        "files": {"compared": played.again.comparable, "different": [_clean(f) for f in played.again.files]},
        "seconds": now.seconds,
        "record": str(played.record),
    }


def _show(run: Run, played: Replayed) -> None:
    then, now, found = played.then, played.again.attempt, played.difference
    words = "[bold]THE SAME[/]" if played.same else "[bold]DIFFERENT[/]"
    out.print(
        f"{_sign(played.same)} {words}  [dim]attempt {then.number} of {run.id}, {escape(then.agent)} "
        f"({escape(then.model)}), {duration(now.seconds) or 'no time'}[/]",
        soft_wrap=True,
    )
    table = Table(box=None, padding=(0, 1), show_header=False)
    counts = f"{played.asked[0]}" if played.asked[0] == played.asked[1] else f"{played.asked[0]}, now {played.asked[1]}"
    table.add_row(_sign(found is None), "requests", counts)
    if found is not None:
        table.add_row("", "", f"number {found.request} differs first, in {escape(_clean(found.where))}")
        table.add_row("", "[dim]then[/]", escape(_clean(found.then)))
        table.add_row("", "[dim]now[/]", escape(_clean(found.now)))
    ended = (
        then.outcome.value if played.same_end else f"{then.outcome.value}, now {now.outcome.value} {_clean(now.detail)}"
    )
    table.add_row(_sign(played.same_end), "ended", escape(ended))
    if played.again.comparable:
        files = played.again.files
        table.add_row(_sign(not files), "files", "the same" if not files else f"{len(files)} differ")
        for path in files[:_MOST_FILES]:
            table.add_row("", "", escape(_clean(path)))
    else:
        table.add_row(SIGN[None], "files", "not compared: one of the two did not come to its end")
    out.print(table)
    out.print(f"[dim]what it asked now: {escape(str(played.record))}[/]", soft_wrap=True)


def _sign(good: bool) -> str:
    return SIGN[Verdict.PASSED if good else Verdict.FAILED]


def _clean(text: str) -> str:
    return plain(text, _LONGEST)
