"""The command line: parse, call `app`, answer with an exit code.

0 yes or done · 1 judged no · 2 usage or configuration · 3 something outside failed · 4 inconclusive · 130 interrupted
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import runner
import sandbox
from runner import doctor as doctor_checks
from runner import screens
from runner.agents.transcript import transcript as told_by
from runner.app import App, opened
from runner.cli_house import clean_command, images_command
from runner.cli_policy import policy_group
from runner.cli_replay import replay_command
from runner.config import Host, load, template
from runner.errors import AutomendError, DockerError, UsageError
from runner.evidence import seal
from runner.evidence.compare import compare
from runner.evidence.document import EvidenceFile
from runner.evidence.keys import key_id, make_key, read_public
from runner.exchanges import read_exchanges
from runner.interrupt import interruptible
from runner.model import Goal, Job, Moment, Run, RunStatus, Trigger, Verdict
from runner.screens_transcript import show_transcript, transcript_json
from sandbox.api import SandboxError

EXIT_OF_VERDICT = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.ERROR: 3, Verdict.INCONCLUSIVE: 4}
EXIT_OF_STATUS = {
    RunStatus.REFUSED: 1,
    RunStatus.STOPPED: 1,
    RunStatus.FAILED: 3,
    RunStatus.INCONCLUSIVE: 4,
    RunStatus.REVERTED: 1,
    RunStatus.CLOSED: 1,
}
INTERRUPTED = 130
_LARGEST_INPUT = 64 << 20

log = logging.getLogger(__name__)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--config", type=click.Path(path_type=Path), help="Settings file; default $AUTOMEND_CONFIG, ./automend.toml."
)
@click.option("-v", "--verbose", count=True, help="More log on stderr (-vv: everything).")
@click.version_option(version("automend"), prog_name="automend")
@click.pass_context
def cli(context: click.Context, config: Path | None, verbose: int) -> None:
    """Improve code through pull requests that carry their proof.

    \b
    Try it:      automend demo
    On a repo:   automend run --repo ./my-project --context error.log --dry-run
    Judge:       automend gate --repo . --base main --head my-branch
    Look:        automend status, automend show RUN [--transcript], automend doctor
    Look into:   automend replay RUN

    Exit codes: 0 yes or done, 1 judged no, 2 usage or configuration, 3 something outside failed
    (Docker, GitHub, a model provider), 4 inconclusive, 130 interrupted.
    """
    level = {0: logging.WARNING, 1: logging.INFO}.get(verbose, logging.DEBUG)
    logging.basicConfig(level=level, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for noisy in ("alembic", "httpx", "httpcore", "docker", "urllib3", "github"):
        logging.getLogger(noisy).setLevel(max(level, logging.WARNING) if verbose < 2 else level)  # noqa: PLR2004
    context.obj = config


def _host(context: click.Context) -> Host:
    return load(config=context.obj)


# ── work ─────────────────────────────────────────────────────────────────────────────────────────────────────


@cli.command("run")
@click.option("--repo", required=True, help="OWNER/NAME, a git address, or a path.")
@click.option("--base", help="Branch, tag or commit to start from; default: the repository's default branch.")
@click.option("--goal", type=click.Choice([g.value for g in Goal]), default="fix", show_default=True)
@click.option("--title", default="", help="What is asked, in a few words.")
@click.option(
    "--context",
    "context_file",
    type=click.File("rb"),
    help="A file with the error, log or text that says what is wrong; - is stdin.",
)
@click.option("--reproduce", default="", metavar="COMMAND", help="A shell command that fails while the error is there.")
@click.option("--agent", "agents", multiple=True, help="Agent to use; again for the next one, if a provider is down.")
@click.option("--policy", help="Built-in policy (default) or a policy file.")
@click.option(
    "--repo-config", type=click.Path(exists=True, dir_okay=False), help="How to set up and test the repository."
)
@click.option("--dry-run", is_flag=True, help="End with the judged patch: push nothing, open nothing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def run_command(
    context: click.Context,
    *,
    repo: str,
    base: str | None,
    goal: str,
    title: str,
    context_file: Any,
    reproduce: str,
    agents: tuple[str, ...],
    policy: str | None,
    repo_config: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Do one job in the foreground, up to the pull request.

    \b
    automend run --repo OWNER/NAME --context traceback.log
    automend run --repo . --goal improve --title "Speed up parsing" --dry-run
    """
    text = context_file.read(_LARGEST_INPUT).decode("utf-8", "replace") if context_file is not None else ""
    if not text.strip() and not title.strip():
        raise UsageError(
            "there is nothing to go by", remedy="give --context FILE (the error or the log), or --title, or both"
        )
    job = Job(
        repo=repo,
        base=base,
        goal=Goal(goal),
        title=title,
        context=text,
        reproduce=_reproduce(reproduce, goal),
        agents=agents,
        policy=policy,
        repo_config=str(Path(repo_config).absolute()) if repo_config else None,
        dry_run=dry_run,
        trigger=Trigger(kind="manual", source=getattr(context_file, "name", "") or "the command line"),
    )
    with opened(_host(context)) as app:
        _tell_dirty(app, repo)
        run = app.submit(job)
        final = _follow(app, run, quiet=as_json)
        if as_json:
            out.print_json(json.dumps(_run_json(app, final)))
        else:
            _say_end(app, final)
        code = final.exit_code if final.exit_code is not None else EXIT_OF_STATUS.get(final.status, 0)
    _leave(code)


def _reproduce(command: str, goal: str) -> str:
    if command and goal != Goal.FIX.value:
        raise UsageError(f"--reproduce shows that an error is gone, and the goal is `{goal}`", remedy="--goal fix")
    return command.strip()


@cli.command("gate")
@click.option("--repo", default=".", show_default=True, help="Path of a git repository (or an address).")
@click.option("--base", help="What the patch is measured against: branch, tag or commit.")
@click.option("--patch", "patch_file", type=click.File("rb"), help="A patch as text (git diff); - is stdin.")
@click.option("--head", help="A branch, tag or commit that holds the patched tree.")
@click.option("--goal", type=click.Choice([g.value for g in Goal]), help="What the patch is for; default: fix.")
@click.option("--reproduce", default="", metavar="COMMAND", help="A shell command that fails while the error is there.")
@click.option("--policy", help="Built-in policy (default) or a policy file.")
@click.option(
    "--repo-config", type=click.Path(exists=True, dir_okay=False), help="How to set up and test the repository."
)
@click.option("--static", is_flag=True, help="Rules only; no container is started.")
@click.option("--evidence-out", type=click.Path(path_type=Path), help="Write the evidence to this file.")
@click.option("--evidence", type=click.Path(path_type=Path), help="Judge again what this evidence is about.")
@click.option("--public-key", help="With --evidence: the key that must have signed it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def gate_command(
    context: click.Context,
    *,
    repo: str,
    base: str | None,
    patch_file: Any,
    head: str | None,
    goal: str | None,
    reproduce: str,
    policy: str | None,
    repo_config: str | None,
    static: bool,
    evidence_out: Path | None,
    evidence: Path | None,
    public_key: str | None,
    as_json: bool,
) -> None:
    """Judge somebody's patch, without an agent: rules, then tests in fresh containers.

    \b
    automend gate --base main --head my-branch --evidence-out evidence.json
    git diff main | automend gate --base main --patch - --static
    automend gate --evidence evidence.json       does it still hold? 0 yes, 1 no
    """
    if evidence is not None:
        if base is not None or patch_file is not None or goal is not None or reproduce or repo_config or static:
            raise UsageError(
                "--evidence says itself what is judged, and how",
                remedy="beside it: --repo, --head, --policy, --public-key, --evidence-out, --json",
            )
        _gate_again(
            _host(context), evidence, repo=repo, head=head, policy=policy, public_key=public_key,
            evidence_out=evidence_out, as_json=as_json,
        )  # fmt: skip
    if public_key is not None:
        raise UsageError("--public-key goes with --evidence", remedy="it says who must have signed the evidence")
    if base is None:
        raise UsageError("there is nothing to measure the patch against", remedy="give --base REF, or --evidence FILE")
    if (patch_file is None) == (head is None):
        raise UsageError("give either --patch FILE or --head REF", remedy="one of the two, not both")
    patch = patch_file.read(_LARGEST_INPUT + 1) if patch_file is not None else None
    if patch is not None and len(patch) > _LARGEST_INPUT:
        raise UsageError(f"the patch is larger than {_LARGEST_INPUT >> 20} MiB", remedy="judge it with --head REF")
    with (
        opened(_host(context)) as app,
        app.gate_name() as name,
        err.status("judging", spinner="dots") as status,
    ):
        judged = interruptible(
            lambda: app.gate(
                repo=repo,
                base=base,
                head=head,
                patch=patch,
                goal=Goal(goal or "fix"),
                policy=policy,
                repo_config=repo_config,
                static=static,
                name=name,
                progress=lambda words: status.update(escape(words)),
                reproduce=_reproduce(reproduce, goal or "fix"),
            ),
            clear_up=lambda: None if static else app.abandon_gate(name),
        )
    _write_evidence(evidence_out, judged.evidence)
    if as_json:
        out.print_json(json.dumps(judged.report.to_json()))
    else:
        out.print(screens.report_block(judged.report))
    _leave(EXIT_OF_VERDICT[judged.report.verdict])


@cli.command("serve")
@click.option("--once", is_flag=True, help="Look at everything once, finish what that begins, and end.")
@click.pass_context
def serve_command(context: click.Context, once: bool) -> None:
    """Keep proposed runs moving: CI, reviews, merge, deploy, watch. Ends on Ctrl-C or SIGTERM."""
    host = _host(context)
    with opened(host) as app:

        def stop(number: int, _frame: object) -> None:
            err.print(f"[dim]stopping ({signal.Signals(number).name}); unfinished runs go on at the next start[/]")
            app.engine.stop()

        if not once:  # from the first moment on: runs are at work as soon as we are the engine
            signal.signal(signal.SIGTERM, stop)
            signal.signal(signal.SIGINT, stop)
        if not app.engine.take_over():
            raise UsageError(
                f"another automend process works for {host.home}", remedy="stop it, or set another AUTOMEND_HOME"
            )
        if once:
            app.engine.settle()
            return
        err.print(f"automend serves {host.home}, looking every {host.settings.serve.poll_seconds:g} s")
        app.engine.serve(poll_seconds=host.settings.serve.poll_seconds, tell=_tell_change)
    _leave(0)


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────


@cli.command("status")
@click.option("--all", "everything", is_flag=True, help="Runs that are over, too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def status_command(context: click.Context, everything: bool, as_json: bool) -> None:
    """Show the runs, newest first."""
    with opened(_host(context)) as app:
        runs = app.house.store.runs(limit=200)
        shown = runs if everything else [r for r in runs if not r.status.over] or runs[:10]
        if as_json:
            out.print_json(json.dumps([_run_json(app, r, brief=True) for r in shown]))
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


@cli.command("show")
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
    with opened(_host(context)) as app:
        run = app.house.store.run(run_id)
        if patch:
            screens.show_diff(out, app.diff(run))
        elif transcript:
            _show_transcript(app, run, attempt, as_json=as_json)
        elif evidence:
            out.file.write(app.evidence(run))
        elif as_json:
            out.print_json(json.dumps(_run_json(app, run)))
        else:
            budget = app.house.account(run).in_words() if run.base is not None else ""
            screens.show_run(out, run, app.house.store.trail(run.id), now=app.house.store.now(run.id), budget=budget)


@cli.command("doctor")
@click.option("--repo", help="Look at this repository too: rights of the token, branch protection.")
@click.option(
    "--sandbox", "seals", is_flag=True, help="Try every promise of the sandbox on this engine (half a minute)."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def doctor_command(context: click.Context, *, repo: str | None, seals: bool, as_json: bool) -> None:
    """Check what automend needs, and say how to mend what is wrong."""
    with opened(_host(context)) as app:
        symptoms = doctor_checks.examine(app, repo)
        if seals:
            with err.status("trying the sandbox", spinner="dots") as status:
                symptoms += doctor_checks.try_sandbox(app, progress=lambda words: status.update(escape(words)))
    if as_json:
        out.print_json(json.dumps([s._asdict() for s in symptoms]))
    else:
        table = Table(box=None, show_header=False, padding=(0, 1))
        sign = {"ok": "[green]✔[/]", "warn": "[yellow]![/]", "bad": "[red]✘[/]"}
        for symptom in symptoms:
            mend = f"\n[dim]→ {escape(symptom.remedy)}[/]" if symptom.remedy and symptom.state != "ok" else ""
            table.add_row(sign[symptom.state], symptom.name, f"{escape(symptom.what)}{mend}")
        out.print(table)
    _leave(3 if any(s.state == "bad" for s in symptoms) else 0)


@cli.command("init")
@click.option("--force", is_flag=True, help="Overwrite the file.")
@click.option("--key", is_flag=True, help="Instead: make the key that signs evidence here.")
@click.argument("path", type=click.Path(path_type=Path), default=Path("automend.toml"))
@click.pass_context
def init_command(context: click.Context, *, path: Path, force: bool, key: bool) -> None:
    """Write a settings file with every key explained, all of them commented out."""
    if key:
        where = _host(context).evidence_key
        public = make_key(where).public
        out.print(f"Wrote {escape(str(where))}. Evidence made here is signed by key {key_id(public)}:", soft_wrap=True)
        out.print(public, soft_wrap=True)
        return
    if path.exists() and not force:
        raise UsageError(f"{path} exists", remedy="`--force` overwrites it")
    try:
        path.write_text(template(), encoding="utf-8")
    except OSError as e:
        raise UsageError(f"{path} cannot be written: {e.strerror}", remedy="name a file in a folder you own") from e
    out.print(f"Wrote {escape(str(path))}. `automend doctor` checks what else is needed.")


# ── showing off ──────────────────────────────────────────────────────────────────────────────────────────────


@cli.command("demo")
@click.option("--agent", type=click.Choice(["codex", "claude"]), default="codex", show_default=True, help="Which CLI.")
@click.option("--interactive", is_flag=True, help="You approve, in the browser.")
@click.option("--keep", is_flag=True, help="Leave the forge and the service running at the end.")
@click.option("--live", is_flag=True, help="Use the real model in act one (needs its key; costs money).")
@click.option("--root", type=click.Path(path_type=Path), help="Where to build it; default: demo/ in AUTOMEND_HOME.")
@click.pass_context
def demo_command(
    context: click.Context, *, agent: str, interactive: bool, keep: bool, live: bool, root: Path | None
) -> None:
    """Play the whole circle on this machine: an error becomes a fix; a bad change takes itself back."""
    from runner.demo import play  # noqa: PLC0415 - only this command needs the server's libraries

    where = (root or _host(context).home / "demo").absolute()
    _leave(play(out, where, agent=agent, interactive=interactive, keep=keep, live=live))


@cli.command("hub")
@click.option("--root", type=click.Path(path_type=Path), required=True, help="Where repositories and state are kept.")
@click.option("--port", type=int, default=0, help="Port on loopback; 0 takes a free one.")
def hub_command(root: Path, port: int) -> None:
    """Run the GitHub-shaped server of the demo and the tests, on loopback. Not for real repositories."""
    from runner.hub.server import serve  # noqa: PLC0415 - only this command needs the server's libraries

    serve(root, port)


cli.add_command(policy_group)
cli.add_command(clean_command)
cli.add_command(images_command)
cli.add_command(replay_command)


# ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────


def _follow(app: App, run: Run, *, quiet: bool) -> Run:
    if not quiet:
        err.print(f"run [bold]{run.id}[/]  [dim]later: automend show {run.id}[/]")
    try:
        with err.status("queued", spinner="dots") as status:

            def tell(moment: Moment) -> None:
                line = screens.moment_line(moment)
                if line is not None and not quiet:
                    screens.tell(err, line)

            return app.follow(run.id, tell=tell, now=lambda words: status.update(escape(words or "…")))
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        err.print("[dim]stopping, and clearing up[/]")
        app.engine.cancel(run.id)
        err.print(f"interrupted; run {run.id} is stopped, nothing of it is left running")
        _leave(INTERRUPTED)


def _gate_again(
    host: Host,
    path: Path,
    *,
    repo: str,
    head: str | None,
    policy: str | None,
    public_key: str | None,
    evidence_out: Path | None,
    as_json: bool,
) -> NoReturn:
    then = seal.read(path, key=read_public(public_key) if public_key is not None else None)
    with (
        opened(host) as app,
        app.gate_name() as name,
        err.status("judging again", spinner="dots") as status,
    ):
        judged = interruptible(
            lambda: app.gate_again(
                then,
                repo=repo,
                head=head,
                policy=policy,
                name=name,
                progress=lambda words: status.update(escape(words)),
            ),
            clear_up=lambda: None if then.result.static else app.abandon_gate(name),
        )
    _write_evidence(evidence_out, judged.evidence)
    found = compare(then, judged.evidence)
    if as_json:
        signature = then.seal.signature if then.seal is not None else None
        signed = signature.public_key if signature is not None else None
        document = {"comparison": found.model_dump(mode="json"), "signed_by": signed}
        out.print_json(json.dumps(document | {"report": judged.report.to_json()}))
    else:
        out.print(f"{escape(str(path))}: {escape(seal.in_words(then))}", soft_wrap=True)
        out.print(screens.comparison_block(found))
    _leave(found.exit_code)


def _write_evidence(path: Path | None, evidence: EvidenceFile) -> None:
    if path is None:
        return
    try:
        path.write_text(seal.write(evidence), encoding="utf-8")
    except OSError as e:
        raise UsageError(f"{path} cannot be written: {e.strerror}", remedy="name a file in a folder you own") from e


def _say_end(app: App, run: Run) -> None:
    if run.report is not None and run.status is not RunStatus.PROPOSED:
        err.print(screens.report_block(run.report))
    colour = screens.COLOUR[run.status]
    err.print(f"[{colour}]{run.status.value}[/] {escape(run.reason)}")
    if run.job.dry_run and run.status is RunStatus.JUDGED:
        screens.show_diff(out, app.diff(run))
    elif run.pull is not None:
        out.print(run.pull.url)


def _run_json(app: App, run: Run, *, brief: bool = False) -> dict[str, Any]:
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


def _tell_dirty(app: App, repo: str) -> None:
    where = app.locate(repo)
    if where.note:
        err.print(f"[dim]{escape(where.note)}[/]")
    dirty = app.dirty(where)
    if dirty:
        shown = ", ".join(dirty[:5]) + (" …" if len(dirty) > 5 else "")  # noqa: PLR2004 - five are enough to recognise
        err.print(f"[yellow]uncommitted changes are not part of the base:[/] {escape(shown)}")


def _tell_change(run: Run, words: str) -> None:
    err.print(f"{run.id} [{screens.COLOUR[run.status]}]{run.status.value}[/] {escape(words)}")


def _leave(code: int) -> NoReturn:
    """End now: threads of a step that was cut short must not keep the process alive."""
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(code)


def _same_home() -> None:
    """Our top-level names are common words: refuse to run where a checkout shadows them."""
    ours = Path(runner.__file__).parents[1]
    if Path(sandbox.__file__).parents[1] != ours:
        raise UsageError(
            f"`sandbox` is imported from {Path(sandbox.__file__).parent}, not from beside {ours / 'runner'}",
            remedy="run the installed `automend`, not from inside another project's folder with PYTHONPATH set",
        )


def _guarded(command: Callable[[], object]) -> int:
    try:
        _same_home()
        # Outside of standalone mode, click hands the code of `Context.exit` back as the command's value.
        code = command()
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.ClickException as e:
        e.show()
        return e.exit_code
    except (KeyboardInterrupt, click.Abort):
        err.print("interrupted")
        return INTERRUPTED
    except (AutomendError, SandboxError) as raised:
        error = raised if isinstance(raised, AutomendError) else DockerError(raised.message, remedy=raised.remedy)
        _tell_error(error)
        return error.exit_code
    except BrokenPipeError:
        return 0
    except Exception as e:
        log.debug("unexpected", exc_info=True)
        what = f"internal error: {type(e).__name__}: {e}"
        _tell_error(AutomendError(what, remedy="again with -vv shows where; please report it"))
        return AutomendError.exit_code
    return code if isinstance(code, int) else 0


def _tell_error(error: AutomendError) -> None:
    err.print(f"[red]automend:[/] {escape(error.message)}", soft_wrap=not err.is_terminal)
    if error.remedy:
        err.print(f"[dim]→ {escape(error.remedy)}[/]", soft_wrap=not err.is_terminal)
    if "--json" in sys.argv[1:]:
        out.print_json(json.dumps({"error": error.to_json()}))


def main() -> None:
    """The console script."""
    _leave(_guarded(lambda: cli(standalone_mode=False)))
