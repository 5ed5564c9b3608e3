"""What an agent is told: the goal, the untrusted text in a fence, what the gate will require, what failed before."""

from __future__ import annotations

import hashlib
import re
import secrets
from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from runner.model import Attempt, Goal, Report, Run, Verdict
from runner.steps.house import House

_CONTEXT_LIMIT = 40_000
_FEEDBACK_LIMIT = 20_000
_SHARED = ("frame", "rules")
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]")
# C0 and C1 controls but tab and newline; bidi, zero-width and tag characters.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]"
)

_templates = Environment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - plain text for a model, not HTML


def write_brief(house: House, run: Run, number: int, *, canary: str) -> str:
    """The prompt of an attempt. `canary` stands at the end of the untrusted text."""
    project = house.project(run)
    policy = house.policy(run)
    earlier = [a for a in run.attempts if run.round < a.number < number]
    return _render(
        f"{run.job.goal.value}.md",
        nonce=secrets.token_hex(8),
        title=plain(run.job.title, 200),
        context=plain(run.job.context, _CONTEXT_LIMIT),
        canary=canary,
        source=plain(run.job.trigger.source or run.job.trigger.kind, 200),
        test=project.test_shown,
        reproduce=run.job.reproduce,
        policy=policy.in_words(run.job.goal),
        feedback=plain(run.feedback, _FEEDBACK_LIMIT),
        refusal=plain(_refusal(run.report, earlier), _FEEDBACK_LIMIT),
        again=bool(earlier),
    )


def prompt_version(goal: Goal) -> str:
    """Which words a goal's prompts are made with: twelve digits of a hash over the templates."""
    texts = (files("prompts").joinpath(f"{part}.md").read_bytes() for part in (goal.value, *_SHARED))
    return hashlib.sha256(b"\0".join(texts)).hexdigest()[:12]


def plain(text: str, limit: int) -> str:
    """Untrusted text without terminal codes and invisible characters, cut in the middle where it is too long."""
    clean = _INVISIBLE.sub("", _ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))
    if len(clean) <= limit:
        return clean
    half = limit // 2
    return f"{clean[:half]}\n[… {len(clean) - limit} characters left out …]\n{clean[-half:]}"


def _refusal(report: Report | None, earlier: list[Attempt]) -> str:
    """Why the last attempt was not good enough, in the gate's words."""
    if not earlier:
        return ""
    last = earlier[-1]
    if last.tree is None or report is None or report.patch.head_tree != last.tree:
        lines = [f"- it ended with `{last.outcome.value}`: {last.detail}"]
        return "\n".join(lines + [f"- {f.rule}: {f.message}" for f in last.findings])
    lines = []
    for finding in report.findings:
        if finding.verdict is not Verdict.PASSED:
            where = f" ({finding.path}{f':{finding.line}' if finding.line else ''})" if finding.path else ""
            mend = f" — {finding.remedy}" if finding.remedy else ""
            lines.append(f"- {finding.rule}{where}: {finding.message}{mend}")
    lines += [f"- {c.name}: {c.summary}" for c in report.checks if c.verdict is not Verdict.PASSED]
    outputs = [str(c.details["output"]) for c in report.checks if c.details.get("output")]
    return "\n".join(lines) + "".join(f"\n\n{o[-6000:]}" for o in outputs[:2])


def _render(name: str, **values: object) -> str:
    source = files("prompts").joinpath(name).read_text(encoding="utf-8")
    shared = {part: files("prompts").joinpath(f"{part}.md").read_text(encoding="utf-8") for part in _SHARED}
    inner = {key: _templates.from_string(text).render(**values) for key, text in shared.items()}
    return _templates.from_string(source).render(**values, **inner)
