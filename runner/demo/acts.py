"""The play, in two acts. Each line on the screen is something that happened, with the time that it took."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.rule import Rule
from rich.status import Status
from rich.table import Table

from runner import screens
from runner.agents.tools import agent_tools
from runner.demo.stage import REPO, REVIEWER, Stage, set_up
from runner.errors import OutsideError
from runner.messages import symptom
from runner.model import Goal, Job, Run, RunStatus, Trigger, Verdict
from runner.project import environment_recipe
from runner.steps.house import labels, project_of
from runner.store import Store, open_store

CART = {"items": [{"sku": "mug", "quantity": 2}], "code": "welcome10"}
"""What a customer sends who types the discount code in lower case: the shop's real bug."""

ACT_TWO_TITLE = "Keep one database connection open instead of one for each request"
_POLL = 0.1


@dataclass
class Play:
    """The stage, the screen, and what is still to be told."""

    stage: Stage
    console: Console
    store: Store
    interactive: bool
    told: dict[str, int] = field(default_factory=dict)
    runs: list[str] = field(default_factory=list)

    def line(self, sign: str, words: str, result: str = "", seconds: float = 0.0) -> None:
        """One thing that happened."""
        screens.tell(self.console, screens.line(sign, words, result, seconds))

    def until(self, run_id: str, done: Callable[[Run], bool], *, seconds: float, waiting: str) -> Run:
        """Tell the run's trail as it grows, until something holds.

        Raises:
            OutsideError: it took too long.
        """
        end = time.monotonic() + seconds
        with self.console.status(waiting, spinner="dots") as status:
            while True:
                run = self._tell(run_id, status, waiting)
                if done(run):
                    return run
                if time.monotonic() > end:
                    raise OutsideError(
                        f"run {run_id} is still {run.status.value} after {seconds:.0f} s: {run.reason}",
                        remedy=f"look at {self.stage.root / 'serve.log'}",
                    )
                time.sleep(_POLL)

    def _tell(self, run_id: str, status: Status, waiting: str) -> Run:
        run = self.store.run(run_id)
        for number, moment in self.store.trail(run_id, after=self.told.get(run_id, 0)):
            self.told[run_id] = number
            text = screens.moment_line(moment)
            if text is not None:
                screens.tell(self.console, text)
        status.update(escape(self.store.now(run_id) or waiting))
        return run


def play(
    console: Console, root: Path, *, agent: str, interactive: bool = False, keep: bool = False, live: bool = False
) -> int:
    """Play both acts; 0 where the first landed and the second was taken back.

    Raises:
        AutomendError: something that the demo needs is not there.
    """
    console.print(Panel(_opening(agent, live), title="automend demo", border_style="cyan"))
    with console.status("building the forge, the repository and the service", spinner="dots") as status:
        stage = set_up(root, agent=agent, live=live)
        try:
            _prepare(stage, status)
        except BaseException:
            stage.close()
            raise
    try:
        with stage.service():
            show = Play(stage, console, open_store(stage.host.database_url), interactive)
            began = time.monotonic()
            landed = act_one(show)
            reverted = act_two(show)
            _curtain(show, time.monotonic() - began)
            if keep:
                _keep(show)
            else:
                console.print("[dim]`./demo --keep` leaves the forge running, to read the pull requests there.[/]")
    finally:
        stage.close()
    return 0 if landed and reverted else 1


def _prepare(stage: Stage, status: Status) -> None:
    """Images and programs, before the clock starts: they are made once on a machine."""
    sandboxes = stage.app.house.sandboxes

    def say(words: str) -> None:
        status.update(escape(words))

    sandboxes.tools(agent_tools(), progress=say)
    remote = f"{stage.hub_url}/{REPO}.git"
    mirror = stage.app.house.mirror(remote)
    head = mirror.fetch(remote, ref="main", auth={})
    tree = mirror.tree_of(head)
    recipe = environment_recipe(project_of(mirror, tree, stage.host.repo(REPO)), mirror, tree)
    sandboxes.environment(recipe, labels=labels("demo"), progress=say)
    say("deploying the first release")
    stage.first_deploy(head)


def act_one(show: Play) -> bool:
    """An error in production becomes a fix in production."""
    stage = show.stage
    show.console.print(Rule("[bold]Act one: an error becomes a fix", align="left"))
    status, answer = stage.request(dict(CART))
    show.line(_sign(status == HTTPStatus.OK), "a customer asks", f"{status} {answer}")
    trace = _last_traceback(stage.log)
    show.line("[red]✘[/]", "the log says", symptom(trace))
    with stage.customers():
        run = show.store.create(
            Job(
                repo=REPO,
                goal=Goal.FIX,
                context=trace,
                trigger=Trigger(kind="log", source=str(stage.log.name)),
            )
        )
        landed = _to_the_end(show, run)
    status, answer = stage.request(dict(CART))
    show.line(_sign(status == HTTPStatus.OK), "the same request", f"{status} {answer}")
    return landed.status is RunStatus.LANDED and status == HTTPStatus.OK


def act_two(show: Play) -> bool:
    """A patch that every test likes makes production worse, and is taken back."""
    stage = show.stage
    show.console.print(Rule("[bold]Act two: a bad change takes itself back", align="left"))
    before = stage.live_release()
    with stage.customers():
        run = show.store.create(
            Job(
                repo=REPO,
                goal=Goal.IMPROVE,
                title=ACT_TWO_TITLE,
                agents=("act-two",),
                trigger=Trigger(kind="schedule", source="weekly improvement"),
            )
        )
        ended = _to_the_end(show, run)
    live = stage.live_release()
    back = live == before
    show.line(_sign(back), "production", f"release {live[:12]}, as before" if back else live)
    return ended.status is RunStatus.REVERTED and ended.revert_pull is not None and back


def _to_the_end(show: Play, run: Run) -> Run:
    show.runs.append(run.id)
    over = {RunStatus.PROPOSED}
    proposed = show.until(run.id, lambda r: r.status in over or r.status.over, seconds=1800, waiting="queued")
    if proposed.pull is None or proposed.head_sha is None:
        return proposed
    if show.interactive:
        password = show.stage.passwords[REVIEWER]
        show.console.print(
            f"   Your turn: log in there as [bold]{REVIEWER}[/] with [bold]{password}[/], and approve (or close) it."
        )
        return show.until(run.id, lambda r: r.status.over, seconds=86400, waiting="waiting for you")
    _wait_for_ci(show, proposed)
    show.stage.approve(proposed.pull.number, proposed.head_sha)
    show.line("[green]✔[/]", "approved", f"{REVIEWER} approved {proposed.head_sha[:12]}")
    return show.until(run.id, lambda r: r.status.over, seconds=900, waiting="waiting for CI and approval")


def _wait_for_ci(show: Play, run: Run) -> None:
    began = time.monotonic()
    with show.console.status("CI is running", spinner="dots"):
        while True:
            ci = show.stage.ci(run.head_sha or "")
            if ci.verdict is not Verdict.INCONCLUSIVE or time.monotonic() - began > 300:  # noqa: PLR2004 - seconds
                break
            time.sleep(_POLL)
    show.line(screens.SIGN[ci.verdict], "CI on the forge", ci.summary, time.monotonic() - began)


def _sign(good: bool) -> str:
    return screens.SIGN[Verdict.PASSED if good else Verdict.FAILED]


def _last_traceback(log: Path) -> str:
    """The last traceback in a log, with the line before it."""
    text = log.read_text(encoding="utf-8", errors="replace")
    found = list(re.finditer(r"(?m)^.*\nTraceback \(most recent call last\):\n(?:[ \t].*\n)+\S.*$", text))
    return found[-1].group(0) if found else text[-2000:]


def _opening(agent: str, live: bool) -> str:
    answer = (
        f"The model is the real one behind `{agent}` in act one; act two stays scripted."
        if live
        else "The model is a script that answers the real CLI through the gateway: it shows nothing of a model's wit."
    )
    return (
        "A service in production, a forge, a reviewer, and automend between them. Everything runs on this machine: "
        f"the real [bold]{agent}[/] CLI in a sealed container, real tests, a real deploy. {answer} "
        "The forge is a GitHub-shaped server over bare git repositories, checked against GitHub's published schemas."
    )


def _curtain(show: Play, seconds: float) -> None:
    runs = [show.store.run(run_id) for run_id in show.runs]
    table = Table("run", "ended", "attempts", "verdict", "requests", "tokens in", "out", "PR", "revert", box=None)
    for run in runs:
        table.add_row(
            run.id,
            f"[{screens.COLOUR[run.status]}]{run.status.value}[/]",
            str(len(run.attempts)),
            run.report.verdict.value if run.report else "–",
            str(sum(a.usage.requests for a in run.attempts)),
            f"{sum(a.usage.input for a in run.attempts):,}",
            f"{sum(a.usage.output for a in run.attempts):,}",
            f"#{run.pull.number}" if run.pull else "–",
            f"#{run.revert_pull.number}" if run.revert_pull else "–",
        )
    show.console.print(Rule(f"[bold]{screens.duration(seconds)} for both acts", align="left"))
    show.console.print(table)


def _keep(show: Play) -> None:
    stage = show.stage
    pulls = [pull for run in map(show.store.run, show.runs) for pull in (run.pull, run.revert_pull) if pull]
    for pull in pulls:
        show.console.print(f" {pull.url}  [dim]{escape(pull.title)}[/]", highlight=False)
    show.console.print(
        f"\nThe forge: {stage.hub_url}/{REPO} (log in as {REVIEWER} with {stage.passwords[REVIEWER]})\n"
        f"The shop:  http://127.0.0.1:{stage.port}/health\n"
        f"The runs:  AUTOMEND_HOME={stage.host.home} automend show {show.runs[0]}\n"
        "Ctrl-C ends it.",
        highlight=False,
    )
    with contextlib.suppress(KeyboardInterrupt):
        threading.Event().wait()
