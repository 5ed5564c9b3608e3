"""Every word that a person reads on GitHub. Text from agents, logs and people is cleaned here before it is posted."""

from __future__ import annotations

import html
import re
import shlex

from runner.budget import dollars
from runner.model import Check, Evidence, Finding, Health, PullRequest, Report, Rollout, Run, Usage, Verdict

MARKER = "<!-- automend:{kind}:{run} -->"

_MENTION = re.compile(r"(?<![\w`])@(?=[A-Za-z0-9])")
_ISSUE = re.compile(r"(?<![\w&`])(?:[\w.-]+/[\w.-]+)?#(?=\d)|\bGH-(?=\d)", re.IGNORECASE)
_LINK = re.compile(r"\b(https?|ftp|mailto|data|javascript):(?://)?", re.IGNORECASE)
_WWW = re.compile(r"\bwww\.(?=\w)", re.IGNORECASE)
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)
_MOST_ROWS = 20
_SIGN = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.ERROR: "!", Verdict.INCONCLUSIVE: "?"}


def clean(text: str, limit: int = 2000) -> str:
    """Untrusted prose made harmless as Markdown: no mention, no issue reference, no link, image or HTML."""
    text = _INVISIBLE.sub("", text.replace("\r\n", "\n"))[:limit]
    text = html.escape(text, quote=False)
    text = text.replace("](", "] (").replace("![", "! [").replace("][", "] [")
    text = re.sub(r"(?m)^(\s*\[[^\]\n]*\]):", r"\1 :", text)  # link definitions
    text = _LINK.sub(lambda m: m.group(0).replace(":", "&#58;"), text)
    text = _WWW.sub("www&#46;", text)
    text = _ISSUE.sub(lambda m: m.group(0).replace("#", "&#35;").replace("-", "&#45;"), text)
    return _MENTION.sub("&#64;", text)


def fenced(text: str, limit: int = 4000, *, language: str = "text") -> str:
    """Untrusted text as a code block that it cannot close."""
    text = _INVISIBLE.sub("", text.replace("\r\n", "\n"))
    if len(text) > limit:
        text = f"[… {len(text) - limit} characters left out …]\n" + text[-limit:]
    longest = max((len(m) for m in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"


def code(text: str, limit: int = 200) -> str:
    """Untrusted text as one inline code span."""
    text = _INVISIBLE.sub("", text).replace("\n", " ").replace("`", "'")[:limit]
    return f"`{text}`" if text else ""


def title(run: Run) -> str:
    """The pull request's title, from the job alone (an agent's words do not belong in a title)."""
    verb = {"fix": "Fix", "improve": "Improve", "test": "Test", "docs": "Document", "deps": "Update"}[
        run.job.goal.value
    ]
    subject = _INVISIBLE.sub("", run.job.title or symptom(run.job.context)).replace("\n", " ").strip()
    subject = _ISSUE.sub("", _MENTION.sub("", subject))
    if not subject:
        return f"{verb}: a change by automend"
    return subject[:110] if run.job.title else f"{verb} {subject[:100]}"


def symptom(context: str) -> str:
    """The line of a log that says most: the last exception line of a traceback, else the first line."""
    lines = [line.strip() for line in context.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"^[\w.]*(Error|Exception|Warning|Exit|Interrupt)\b", line)]
    return (errors[-1] if errors else lines[0] if lines else "")[:200]


def body(run: Run, report: Report, *, evidence: str = "", neighbours: tuple[str, ...] = ()) -> str:
    """The pull request's body: what was wrong, what changed and why, the evidence, how to run it again.

    `evidence` says how the evidence file is sealed, `neighbours` are open pull requests that touch the same lines;
    both are Markdown of ours.
    """
    parts = [f"{clean(run.summary)}\n"]
    if run.job.context:
        parts.append(f"<details><summary>What was reported</summary>\n\n{fenced(run.job.context)}\n\n</details>\n")
    parts += [
        "### Evidence\n",
        evidence_table(report, run),
        _proofs(report),
        f"Evidence file: {evidence}\n" if evidence else "",
        _shown(report.findings),
        _notes(report.checks),
        "### Open at the same time\n\n" + "\n".join(f"- {line}" for line in neighbours) + "\n" if neighbours else "",
        "### Run it again\n",
        rerun(run, report),
        (
            f"\n---\nRun `{run.id}` · patch by {code(_agents(run))}, judged and opened by automend. It merges only the "
            "commit that a person with write access approved, and only when CI is green on it.\n"
        ),
        MARKER.format(kind="run", run=run.id),
    ]
    return "\n".join(p for p in parts if p)


def template_summary(run: Run, report: Report) -> str:
    """What stands at the top where no model wrote a summary: only what was measured."""
    what = symptom(run.job.context)
    files = ", ".join(code(f.path) for f in report.patch.files[:5])
    words = [f"The reported failure: {code(what)}." if what else f"A change with the goal `{run.job.goal.value}`."]
    words.append(f"This changes {files or 'no file'} (+{report.patch.added} −{report.patch.removed} lines).")
    tests = report.evidence.tests
    if tests is not None and tests.red_to_green:
        shown = ", ".join(code(t) for t in tests.red_to_green[:3])
        words.append(f"Shown by {shown}: failing before, passing after.")
    return " ".join(words)


def evidence_table(report: Report, run: Run | None = None) -> str:
    """The evidence as a Markdown table."""
    rows = [(_SIGN[report.verdict], "verdict", report.verdict.value)]
    rows += [(_SIGN[c.verdict], c.name, _cell(clean(c.summary, 300))) for c in report.checks]
    rows += [
        (_SIGN[f.verdict], f.rule, _cell(clean(f.message, 300)))
        for f in report.findings
        if f.verdict is Verdict.PASSED and not f.path
    ]
    rows += _facts(report.evidence)
    if run is not None:
        rows.append(("", "cost", cost([a.usage for a in run.attempts], len(run.attempts))))
    lines = ["| | what | result |", "|---|---|---|"]
    return "\n".join(lines + [f"| {sign} | {what} | {result} |" for sign, what, result in rows]) + "\n"


def _proofs(report: Report) -> str:
    """Each test that proves the fix, and why it was red on the base's code."""
    tests = report.evidence.tests
    if tests is None or not tests.red_to_green:
        return ""
    rows = [
        f"| {_cell(code(test))} | {_cell(clean(tests.reasons.get(test, ''), 200))} | passed |"
        for test in tests.red_to_green[:_MOST_ROWS]
    ]
    more = len(tests.red_to_green) - len(rows)
    rows += [f"| and {more} more | | |"] if more > 0 else []
    return "\n".join(["| proof | red on the base | on the patch |", "|---|---|---|", *rows]) + "\n"


def _notes(checks: tuple[Check, ...]) -> str:
    """What the checks saw that refuses nothing: flaky tests, mistakes that no test notices, parts that none needs."""
    notes = [str(note) for c in checks for note in c.details.get("notes", ())]
    lines = [f"- {clean(note, 300)}" for note in notes[:_MOST_ROWS]]
    lines += [f"- and {len(notes) - _MOST_ROWS} more, in the evidence file"] if len(notes) > _MOST_ROWS else []
    return "### Worth knowing\n\n" + "\n".join(lines) + "\n" if lines else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _facts(evidence: Evidence) -> list[tuple[str, str, str]]:
    rows: list[tuple[str, str, str]] = []
    if evidence.image:
        day = f", packages of {evidence.packages_of}" if evidence.packages_of else ""
        rows.append(("", "environment", f"{code(evidence.image)}{day}"))
    rows.append(("", "policy", f"{code(evidence.policy)} {code(evidence.policy_hash[:12])}"))
    rows.append(("", "trees", f"{code(evidence.base_tree[:12])} → {code(evidence.head_tree[:12])}"))
    return rows


def cost(usages: list[Usage], attempts: int) -> str:
    """What the model was asked for, in words."""
    total = Usage(
        requests=sum(u.requests for u in usages),
        input=sum(u.input for u in usages),
        cached=sum(u.cached for u in usages),
        output=sum(u.output for u in usages),
    )
    priced = [u.cost_usd for u in usages if u.cost_usd is not None]
    money = f", {dollars(sum(priced))}" if priced else ""
    if priced and len(priced) < len([u for u in usages if u.requests]):
        money += " and what has no price"
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return (
        f"{times}, {total.requests} requests, {total.input:,} tokens in ({total.cached:,} cached), "
        f"{total.output:,} out{money}"
    )


def rerun(run: Run, report: Report) -> str:
    """The command that shows the evidence again."""
    head = run.head_sha or report.evidence.head_tree
    base = report.evidence.base_sha or report.evidence.base_tree
    shown = f" --reproduce {shlex.quote(run.job.reproduce)}" if run.job.reproduce else ""
    line = f"automend gate --repo . --base {base} --head {head} --goal {run.job.goal.value}{shown}"
    return f"In a clone of this repository that has the branch:\n\n{fenced(line, language='sh')}\n"


def landed(run: Run) -> str:
    """The comment under a pull request that went live and stayed."""
    marker = MARKER.format(kind="landed", run=run.id)
    deployed = f" and deployed in {run.rollout.seconds:.0f} s" if run.rollout is not None else ""
    return f"**Landed.** Merged as {code(run.merge_sha or '')}{deployed}.\n\n{_health(run)}\n{marker}"


def reverted(run: Run, why: str) -> str:
    """The comment under a pull request that was taken back."""
    marker = MARKER.format(kind="reverted", run=run.id)
    revert = f" Revert: {run.revert_pull.url}" if run.revert_pull is not None else ""
    return f"**Taken back.** {clean(why)}{revert}\n\n{_rollback(run.rollback)}\n{_health(run)}\n{marker}"


def revert_title(pull: PullRequest) -> str:
    """The title of a revert pull request."""
    return f'Revert "{pull.title}"'[:200]


def revert_body(run: Run, why: str) -> str:
    """The body of a revert pull request: what got worse, as measured."""
    marker = MARKER.format(kind="revert", run=run.id)
    number = run.pull.number if run.pull else 0
    output = run.rollout.output if run.rollout and run.rollout.verdict is not Verdict.PASSED else ""
    parts = [
        f"This undoes #{number} (merged as {code(run.merge_sha or '')}): {clean(why)}",
        _rollback(run.rollback),
        "### What was measured\n",
        _health(run),
        fenced(output) if output else "",
        f"\n---\nRun `{run.id}`. Production is already back on the previous release; merging this brings the branch "
        "in line with it. It needs approval and CI like any other change.\n"
        if run.rollback is not None and run.rollback.verdict is Verdict.PASSED
        else f"\n---\nRun `{run.id}`. It needs approval and CI like any other change.\n",
        marker,
    ]
    return "\n\n".join(p for p in parts if p)


def unknown_health(run: Run, why: str) -> str:
    """The comment when nobody can say how production does."""
    marker = MARKER.format(kind="unknown", run=run.id)
    return (
        f"**A person has to look.** The change is live (release {code(run.merge_sha or '')}), but its health could not "
        f"be read: {clean(why)} Nothing was taken back, and nothing is claimed.\n{marker}"
    )


def revised(run: Run, report: Report) -> str:
    """The comment when an answer to a review was pushed."""
    marker = MARKER.format(kind=f"revised-{(run.head_sha or '')[:12]}", run=run.id)
    return f"**Revised:** {code(run.head_sha or '')}. {clean(run.summary)}\n\n{evidence_table(report, run)}\n{marker}"


def not_revised(run: Run, marker: str) -> str:
    """The comment when no answer to a review passed the gate."""
    said = []
    if run.report is not None:
        said = [f"- {clean(f.message, 400)}" for f in run.report.findings if f.verdict is not Verdict.PASSED]
        said += [
            f"- {code(c.name)}: {clean(c.summary, 400)}" for c in run.report.checks if c.verdict is not Verdict.PASSED
        ]
    tried = len(run.attempts) - run.round
    return (
        f"automend tried to answer ({tried} attempts), and no revision passed the gate. This is as it was.\n\n"
        + "\n".join(said[:10])
        + f"\n{marker}"
    )


def _shown(findings: tuple[Finding, ...]) -> str:
    shown = [f for f in findings if f.review]
    if not shown:
        return ""
    lines = [f"- **{f.rule}** {code(f.path or '')}: {clean(f.message, 600)}" for f in shown]
    return "### Please look at\n\n" + "\n".join(lines) + "\n"


def _rollback(rollback: Rollout | None) -> str:
    if rollback is None:
        return "No rollback was run (none is configured, or no previous release is known)."
    said = f": {clean(rollback.detail, 300)}" if rollback.detail else ""
    return f"Rollback to {code(rollback.release)}: **{rollback.verdict.value}**{said}"


def _health(run: Run) -> str:
    lines = ["| | level | readings | failures | median | errors/min |", "|---|---|---|---|---|---|"]
    for when, health in (("before", run.before), ("after", run.after)):
        if health is not None:
            lines.append(_reading(when, health))
    return "\n".join(lines) + "\n" if len(lines) > 2 else ""  # noqa: PLR2004 - the two lines of the head


def _reading(when: str, health: Health) -> str:
    median = f"{health.median_ms:.0f} ms" if health.median_ms is not None else "–"
    errors = f"{health.errors_per_minute:.1f}" if health.errors_per_minute is not None else "–"
    return f"| {when} | {health.level.value} | {health.readings} | {health.failures} | {median} | {errors} |"


def _agents(run: Run) -> str:
    return ", ".join(dict.fromkeys(f"{a.agent} ({a.model})" for a in run.attempts if a.tree)) or "nobody"


def failed_checks(checks: tuple[Check, ...]) -> str:
    """The checks that did not pass, one to a line."""
    return "\n".join(f"{c.name}: {c.summary}" for c in checks if c.verdict is not Verdict.PASSED)
