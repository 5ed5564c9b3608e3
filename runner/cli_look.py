"""`automend status` and `automend show`: the runs, and the story of one."""

from __future__ import annotations

import json
from typing import Any

import click
from rich.table import Table

from runner import screens
from runner.agents.transcript import transcript as told_by
from runner.app import App, opened
from runner.cli_end import out
from runner.config import load
from runner.errors import UsageError
from runner.exchanges import read_exchanges
from runner.model import Run
from runner.screens_transcript import show_transcript, transcript_json


@click.command("status")
@click.option("--all", "everything", is_flag=True, help="Runs that are over, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def status_command(context: click.Context, everything: bool, as_json: bool) -> None:
    """Show the runs, newest first."""
    with opened(load(config=context.obj)) as app:
        runs = app.house.store.runs(limit=200)
        shown = runs if everything else [r for r in runs if not r.status.over] or runs[:10]
        if as_json:
            out.print_json(json.dumps([run_json(app, r, brief=True) for r in shown]))
            return
        if not shown:
            out.print("No runs yet. `automend run --help` shows how to begin one; `automend demo` shows all of it.")
            return
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("run", "status", "repo", "job", "PR", "age"):
            # A run's id is what every other command asks for: only the job's title gives way on a narrow terminal.
            table.add_column(column, no_wrap=column != "job")
        for run in shown:
            table.add_row(*screens.run_line(run), screens.ago(run.created))
        out.print(table)


@click.command("show")
@click.argument("run_id", metavar="RUN")
@click.option("--patch", is_flag=True, help="The judged patch only.")
@click.option("--transcript", is_flag=True, help="What the agent and its model said and did, exchange by exchange.")
@click.option("--attempt", type=int, metavar="N", help="With --transcript: which attempt; default: the last.")
@click.option("--evidence", is_flag=True, help="The evidence file of the last verdict only.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def show_command(
    context: click.Context,
    *,
    run_id: str,
    patch: bool,
    transcript: bool,
    attempt: int | None,
    evidence: bool,
    as_json: bool,
) -> None:
    """Show the whole story of a run: steps, verdicts with reasons, attempts, tokens and money, budgets, links.

    RUN is a run's id, or the beginning of one.

    \b
    automend show RUN --transcript                what happened in the last attempt
    automend show RUN --transcript --attempt 1    and in the first
    """
    if attempt is not None and not transcript:
        raise UsageError("--attempt goes with --transcript", remedy="`show RUN` tells of all attempts")
    with opened(load(config=context.obj)) as app:
        run = app.house.store.run(run_id)
        if patch:
            screens.show_diff(out, app.diff(run))
        elif transcript:
            _show_transcript(app, run, attempt, as_json=as_json)
        elif evidence:
            out.file.write(app.evidence(run))
        elif as_json:
            out.print_json(json.dumps(run_json(app, run)))
        else:
            budget = app.house.account(run).in_words() if run.base is not None else ""
            screens.show_run(out, run, app.house.store.trail(run.id), now=app.house.store.now(run.id), budget=budget)


def run_json(app: App, run: Run, *, brief: bool = False) -> dict[str, Any]:
    """A run as `--json` tells it; `brief` as in a list."""
    document = run.model_dump(mode="json") | {"now": app.house.store.now(run.id)}
    if brief:
        keys = ("id", "status", "reason", "now", "created", "updated", "branch")
        return {k: document[k] for k in keys} | {
            "repo": run.job.repo,
            "goal": run.job.goal.value,
            "title": run.job.title,
            "pull": run.pull.url if run.pull else None,
        }
    document["report"] = run.report.to_json() if run.report is not None else None
    document["trail"] = [m.model_dump(mode="json") for _, m in app.house.store.trail(run.id)]
    document["diff"] = app.diff(run)
    document["budget"] = app.house.account(run).statement() if run.base is not None else None
    return document


def _show_transcript(app: App, run: Run, number: int | None, *, as_json: bool) -> None:
    tried, record = app.attempt(run, number)
    told = told_by(read_exchanges(record))
    if as_json:
        out.print_json(json.dumps(transcript_json(tried, told)))
        return
    show_transcript(out, tried, told, tuple(n for n in app.recorded(run) if n != tried.number))
