"""From check runs, commit statuses and required checks to one verdict. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.model import CiStatus, Verdict

_RED = frozenset({"failure", "timed_out", "startup_failure", "error"})
_GREEN = frozenset({"success"})
# Said nothing, on purpose: does not block, but proves nothing either.
_QUIET = frozenset({"neutral", "skipped"})
_MOST_NAMES = 5
_LONGEST_PART = 6_000


@dataclass(frozen=True)
class Required:
    """A check that the base branch demands; `app` is the id of the only GitHub App that may report it."""

    context: str
    app: int | None = None


@dataclass(frozen=True)
class _Signal:
    name: str
    word: str
    url: str = ""
    app: int | None = None
    said: str = ""

    def __str__(self) -> str:
        told = self.name if self.word in _RED else f"{self.name} ({self.word})"
        told = f"{told}: {self.url}" if self.url else told
        return f"{told}\n{self.said}" if self.said else told


def judge(
    runs: Sequence[Mapping[str, Any]], statuses: Sequence[Mapping[str, Any]], required: Sequence[Required]
) -> CiStatus:
    """One verdict over everything that reported on a commit.

    Any red is FAILED. Anything unfinished, cancelled or unknown, a required check that has not reported, or no
    report of success at all is INCONCLUSIVE.

    Args:
        runs: GitHub's check runs, the latest of each name.
        statuses: GitHub's commit statuses, the latest of each context.
        required: what the base branch demands.
    """
    signals = [_run(run) for run in runs] + [_status(status) for status in statuses]
    red = [s for s in signals if s.word in _RED]
    if red:
        return CiStatus(
            verdict=Verdict.FAILED,
            summary=f"{_count(len(red), 'check')} of {len(signals)} failed: {_names(s.name for s in red)}",
            failures=tuple(str(s) for s in red),
        )
    open_ = [s for s in signals if s.word not in _GREEN | _QUIET]
    missing = [r for r in required if not any(_answers(s, r) for s in signals)]
    if open_ or missing:
        parts = []
        if open_:
            parts.append(f"not finished: {_names(f'{s.name} ({s.word})' for s in open_)}")
        if missing:
            parts.append(f"required and not reported: {_names(r.context for r in missing)}")
        return CiStatus(verdict=Verdict.INCONCLUSIVE, summary="; ".join(parts))
    green = [s for s in signals if s.word in _GREEN]
    if not green:
        why = f"only {_names(f'{s.name} ({s.word})' for s in signals)}" if signals else "nothing has reported"
        return CiStatus(verdict=Verdict.INCONCLUSIVE, summary=f"no check has succeeded: {why}")
    return CiStatus(verdict=Verdict.PASSED, summary=f"{_count(len(green), 'check')} passed")


def required_by(branch: Mapping[str, Any], rules: Sequence[Mapping[str, Any]]) -> tuple[Required, ...]:
    """What a branch demands, by classic protection (as told by the branch itself) and by rulesets."""
    found: dict[str, Required] = {}
    protection = branch.get("protection") or {}
    classic = protection.get("required_status_checks") or {}
    if protection.get("enabled", branch.get("protected")) and classic.get("enforcement_level") != "off":
        for context in classic.get("contexts") or ():
            found[str(context)] = Required(str(context))
        for check in classic.get("checks") or ():
            found[str(check["context"])] = Required(str(check["context"]), _app(check.get("app_id")))
    for rule in rules:
        if rule.get("type") == "required_status_checks":
            for check in (rule.get("parameters") or {}).get("required_status_checks") or ():
                context = str(check["context"])
                found[context] = Required(context, _app(check.get("integration_id")))
    return tuple(found.values())


def _run(run: Mapping[str, Any]) -> _Signal:
    word = str(run.get("conclusion") or "unknown") if run.get("status") == "completed" else str(run.get("status"))
    app = run.get("app") or {}
    return _Signal(
        name=str(run.get("name")),
        word=word,
        url=str(run.get("html_url") or run.get("details_url") or ""),
        app=_app(app.get("id")),
        said=_said(run.get("output") or {}),
    )


def _said(output: Mapping[str, Any]) -> str:
    """What a check wrote about its result; of a long text the end, where most tools sum up what failed."""
    parts = [str(output[key]).strip() for key in ("title", "summary", "text") if output.get(key)]
    return "\n".join(part if len(part) <= _LONGEST_PART else f"…{part[-_LONGEST_PART:]}" for part in parts if part)


def _status(status: Mapping[str, Any]) -> _Signal:
    return _Signal(
        name=str(status.get("context")),
        word=str(status.get("state")),
        url=str(status.get("target_url") or ""),
        said=str(status.get("description") or ""),
    )


def _answers(signal: _Signal, required: Required) -> bool:
    return signal.name == required.context and (required.app is None or required.app == signal.app)


def _app(value: Any) -> int | None:
    # GitHub writes -1 for "any app".
    return value if isinstance(value, int) and value > 0 else None


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _names(names: Any) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMES} more" if len(listed) > _MOST_NAMES else ""
    return ", ".join(listed[:_MOST_NAMES]) + more
