"""What the terminal shows: rich text for people, on a console that is given."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.rule import Rule
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from runner.evidence.compare import Comparison
from runner.messages import cost, title
from runner.model import Moment, Report, Run, RunStatus, Verdict

SIGN = {
    Verdict.PASSED: "[green]✔[/]",
    Verdict.FAILED: "[red]✘[/]",
    Verdict.ERROR: "[yellow]![/]",
    Verdict.INCONCLUSIVE: "[yellow]?[/]",
    None: "[dim]·[/]",
}
COLOUR = {
    RunStatus.LANDED: "green",
    RunStatus.JUDGED: "green",
    RunStatus.PROPOSED: "cyan",
    RunStatus.WORKING: "cyan",
    RunStatus.LANDING: "cyan",
    RunStatus.QUEUED: "dim",
    RunStatus.REVERTED: "magenta",
    RunStatus.REFUSED: "red",
    RunStatus.FAILED: "red",
    RunStatus.INCONCLUSIVE: "yellow",
    RunStatus.CLOSED: "dim",
    RunStatus.STOPPED: "yellow",
}

# The trail names code; people read words.
STEP_WORDS = {
    "checkout.checkout": "base checked out",
    "checkout.environment": "environment ready",
    "checkout.revisit": "base looked at again",
    "attempt.plan": "plan",
    "attempt.attempt": "agent",
    "judge.judge_attempt": "gate",
    "propose.summarize": "summary written",
    "propose.push": "branch pushed",
    "propose.open_pull": "pull request",
    "propose.answer": "review answered",
    "propose.say_not_revised": "people told",
    "review.readiness": "ready to land?",
    "watch.before": "health before",
    "deploy.remember_release": "release now live",
    "merge.merge": "merged",
    "deploy.deploy": "deployed",
    "watch.after": "health after",
    "watch.say_landed": "people told",
    "watch.say_unknown": "people told",
    "revert.roll_back": "rolled back",
    "revert.propose_revert": "revert proposed",
    "finish.revised": "waiting again",
    "finish.not_ready": "not ready to land",
}
QUIET = {
    "attempt.plan", "finish.is_dry", "finish.has_forge", "finish.judged", "finish.proposed", "finish.failed",
    "finish.finish", "finish.reverted",
}  # fmt: skip
"""What the run's status says anyway."""


def moment_line(moment: Moment) -> str | None:
    """One line of the trail as rich markup; None for what people need not see."""
    if moment.step in QUIET and moment.verdict is not Verdict.ERROR:
        return None
    summary = moment.summary.splitlines()[0][:600] if moment.summary else ""
    sign = SIGN[moment.verdict if moment.verdict is not None else Verdict.PASSED]
    return line(sign, STEP_WORDS.get(moment.step, moment.step), _short(summary), moment.seconds)


def line(sign: str, words: str, result: str = "", seconds: float = 0.0) -> str:
    """One thing that happened, as rich markup: a sign, what, how long, and how it went."""
    return f" {sign} {words:<20} [dim]{duration(seconds):>7}[/]  {escape(result)}"


def tell(console: Console, markup: str) -> None:
    """Print a line: cut at the edge of a terminal, whole where nobody looks (a log, a pipe)."""
    text = Text.from_markup(markup)
    if console.is_terminal:
        console.print(text, no_wrap=True, overflow="ellipsis", crop=True)
    else:
        console.print(text, soft_wrap=True)


def _short(text: str) -> str:
    """Hashes as people read them."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{20,28}\b", r"\1", text)


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if seconds < 0.1:  # noqa: PLR2004 - below this, time is noise
        return ""
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f} min {seconds % 60:.0f} s"  # noqa: PLR2004


def report_block(report: Report) -> Group:
    """The gate's answer: the verdict, every check, every finding that is not a plain pass."""
    table = Table(box=None, padding=(0, 1), show_header=False)
    for check in report.checks:
        table.add_row(SIGN[check.verdict], check.name, escape(check.summary), duration(check.seconds))
    for finding in report.findings:
        where = f"{finding.path}{f':{finding.line}' if finding.line else ''}: " if finding.path else ""
        sign = "[yellow]👁[/]" if finding.review else SIGN[finding.verdict]
        said = f"{escape(where)}{escape(finding.message)}"
        if finding.remedy and (finding.verdict is not Verdict.PASSED):
            said += f"\n[dim]→ {escape(finding.remedy)}[/]"
        table.add_row(sign, finding.rule, said, "")
    for check in report.checks:
        output = check.details.get("output")
        if output and check.verdict is not Verdict.PASSED:
            table.add_row("", "", Panel(Text(str(output)[-3000:]), title=check.name, border_style="dim"), "")
    patch = report.patch
    head = f"{SIGN[report.verdict]} [bold]{report.verdict.value.upper()}[/]"
    size = f"[dim]{len(patch.files)} files, +{patch.added} −{patch.removed}, policy {escape(report.evidence.policy)}[/]"
    return Group(Text.from_markup(f"{head}  {size}"), table)


def comparison_block(found: Comparison) -> Group:
    """Whether evidence still holds, and what is not as it was."""
    words = "[green]✔[/] [bold]HOLDS[/]" if found.holds else "[red]✘[/] [bold]DOES NOT HOLD[/]"
    said = found.then.value if found.then is found.now else f"{found.then.value}, now {found.now.value}"
    table = Table("", "part", "what", "then", "now", box=None, padding=(0, 1))
    for difference in found.differences:
        sign = SIGN[Verdict.FAILED] if difference.breaks else SIGN[None]
        cells = (difference.part, difference.what, _short(difference.then), _short(difference.now))
        table.add_row(sign, *(escape(cell) for cell in cells))
    head = Text.from_markup(f"{words}  [dim]{said}; {found.facts} facts compared[/]")
    return Group(head, table) if found.differences else Group(head)


def run_line(run: Run) -> tuple[str, str, str, str, str]:
    """A run as a row of `status`."""
    colour = COLOUR[run.status]
    link = f"[link={run.pull.url}]#{run.pull.number}[/link]" if run.pull is not None else ""
    return run.id, f"[{colour}]{run.status.value}[/]", escape(run.job.repo), escape(title(run)[:50]), link


def ago(moment: datetime) -> str:
    """How long ago, roughly."""
    seconds = (datetime.now(UTC) - moment).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def show_run(console: Console, run: Run, trail: list[tuple[int, Moment]], *, now: str = "", budget: str = "") -> None:
    """The whole story of a run."""
    console.print(Rule(f"run {run.id}", align="left"))
    facts = Table(box=None, show_header=False, padding=(0, 1))
    base = f"{run.base.ref} {run.base.sha[:12]}" if run.base else "–"
    rows = [
        ("status", f"[{COLOUR[run.status]}]{run.status.value}[/] {escape(run.reason)}"),
        ("now", escape(now) or "–"),
        ("job", f"{escape(title(run))} [dim]({run.job.goal.value}, in {escape(run.job.repo)})[/]"),
        ("from", f"{run.job.trigger.kind} {escape(run.job.trigger.source)}, {ago(run.created)} ago"),
        ("base", base),
        ("branch", run.branch or "–"),
        ("pull request", run.pull.url if run.pull else "–"),
        ("merged as", run.merge_sha or "–"),
        ("revert", run.revert_pull.url if run.revert_pull else "–"),
        ("cost", cost([a.usage for a in run.attempts], len(run.attempts))),
        ("budgets", escape(budget) or "–"),
    ]
    for name, value in rows:
        if value != "–":
            facts.add_row(f"[dim]{name}[/]", value)
    console.print(facts)
    console.print("\n[bold]Trail[/]")
    for _, moment in trail:
        markup = moment_line(moment)
        if markup is not None:
            tell(console, f"[dim]{moment.at.astimezone():%H:%M:%S}[/]{markup}")
    for tried in run.attempts:
        console.print(
            f"\n[bold]Attempt {tried.number}[/] {escape(tried.agent)} ({escape(tried.model)})", highlight=False
        )
        console.print(f"  {tried.outcome.value} {escape(tried.detail)}  {cost([tried.usage], 1)}", highlight=False)
        if tried.message:
            console.print(Panel(Text(tried.message[-2000:]), border_style="dim", title="last message"))
        if tried.transcript:
            console.print(f"  automend show {run.id} --transcript --attempt {tried.number}", highlight=False)
    if run.report is not None:
        console.print("\n[bold]Last verdict[/]")
        console.print(report_block(run.report))


def show_diff(console: Console, diff: str) -> None:
    """A patch, coloured."""
    if console.is_terminal:
        console.print(Syntax(diff, "diff", background_color="default", word_wrap=True))
    else:
        console.file.write(diff)
