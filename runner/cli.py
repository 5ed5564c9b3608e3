"""The command line: parse, call `app`, answer with an exit code.

0 yes or done · 1 judged no · 2 usage or configuration · 3 something outside failed · 4 inconclusive · 130 interrupted
"""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

import runner
import sandbox
from runner import doctor as doctor_checks
from runner import screens
from runner.app import App, opened
from runner.cli_end import EXIT_OF_STATUS, INTERRUPTED, err, hush, leave, out, tell_error
from runner.cli_gate import gate_command, reproduction
from runner.cli_house import clean_command, images_command
from runner.cli_look import run_json, show_command, status_command
from runner.cli_policy import policy_group
from runner.cli_replay import replay_command
from runner.config import Host, load, template
from runner.errors import AutomendError, DockerError, UsageError
from runner.evidence.keys import key_id, make_key
from runner.model import Goal, Job, Moment, Run, RunStatus, Trigger
from sandbox.api import SandboxError

_LARGEST_INPUT = 64 << 20

log = logging.getLogger(__name__)


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
        reproduce=reproduction(reproduce, goal),
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
            out.print_json(json.dumps(run_json(app, final)))
        else:
            _say_end(app, final)
        code = final.exit_code if final.exit_code is not None else EXIT_OF_STATUS.get(final.status, 0)
    leave(code)


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
    leave(0)


# ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────


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
    leave(3 if any(s.state == "bad" for s in symptoms) else 0)


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
    leave(play(out, where, agent=agent, interactive=interactive, keep=keep, live=live))


@cli.command("hub")
@click.option("--root", type=click.Path(path_type=Path), required=True, help="Where repositories and state are kept.")
@click.option("--port", type=int, default=0, help="Port on loopback; 0 takes a free one.")
def hub_command(root: Path, port: int) -> None:
    """Run the GitHub-shaped server of the demo and the tests, on loopback. Not for real repositories."""
    from runner.hub.server import serve  # noqa: PLC0415 - only this command needs the server's libraries

    serve(root, port)


cli.add_command(gate_command)
cli.add_command(status_command)
cli.add_command(show_command)
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
        hush()
        err.print("[dim]stopping, and clearing up[/]")
        left = app.engine.cancel(run.id)
        if not app.engine.running:
            left.append("the service that does it ends its work soon")
        said = "; ".join(left) or "nothing of it is left running"
        err.print(f"interrupted; run {run.id} is stopped, {escape(said)}")
        leave(INTERRUPTED)


def _say_end(app: App, run: Run) -> None:
    if run.report is not None and run.status is not RunStatus.PROPOSED:
        err.print(screens.report_block(run.report))
    colour = screens.COLOUR[run.status]
    err.print(f"[{colour}]{run.status.value}[/] {escape(run.reason)}")
    if run.job.dry_run and run.status is RunStatus.JUDGED:
        screens.show_diff(out, app.diff(run))
    elif run.pull is not None:
        out.print(run.pull.url)


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
        tell_error(error)
        return error.exit_code
    except BrokenPipeError:
        return 0
    except Exception as e:
        log.debug("unexpected", exc_info=True)
        what = f"internal error: {type(e).__name__}: {e}"
        tell_error(AutomendError(what, remedy="again with -vv shows where; please report it"))
        return AutomendError.exit_code
    return code if isinstance(code, int) else 0


def main() -> None:
    """The console script."""
    leave(_guarded(lambda: cli(standalone_mode=False)))
