"""Attempt → known? A patch that was refused, closed or taken back before is not proposed again.

Identical changes are known again (same lines and surroundings, wherever they stand now). Of those that people closed or
production took back, almost the same ones are, too. A refusal of ours counts for the identical patch alone: what the
next attempt mends is often a single word.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from runner import messages
from runner.errors import AutomendError, ForgeError
from runner.git.identity import patch_id, touched
from runner.git.likeness import ALIKE, likeness, sketch
from runner.memory import KnownPatch
from runner.model import Finding, PullRequest, Report, Run, RunStatus, Verdict
from runner.policy.schema import Policy
from runner.steps.gate import automend_version
from runner.steps.house import House, base_of

log = logging.getLogger(__name__)

_WORDS = {
    "refused": "was refused under the same policy",
    "closed": "was proposed before, and a person closed it",
    "reverted": "went live before, and was taken back",
}
_REMEDY = {
    "refused": "make another change; the same one gets the same answer",
    "closed": "make another change; whoever wants this one after all reopens its pull request",
    "reverted": "make another change, one that does not do what this one did to production",
}
_LONGEST_REASON = 600
_Lines = Mapping[str, tuple[tuple[int, int], ...]]
_OWN = ("memory.known", "memory.alike")


def known(house: House, run: Run, tree: str, number: int, policy: Policy) -> tuple[Finding, ...]:
    """What is remembered of the patch that an attempt left: a refusal, or nothing.

    Raises:
        GitError: the tree cannot be read.
    """
    base = base_of(run)
    patch = patch_id(house.mirror(base.remote), base.tree, tree)
    if patch is None:
        return ()
    found = house.store.memory.recall(base.remote, patch, terms=_terms(run, policy), run=run.id, attempt=number)
    if found is None:
        return _alike(house, run, tree)
    where = found.link or (f"attempt {found.attempt} of this run" if found.run == run.id else f"run {found.run}")
    again = ", for the same error" if found.fingerprint and found.fingerprint == fingerprint(run) else ""
    message = f"the same patch {_WORDS[found.outcome]}{again} ({where}, {found.at:%Y-%m-%d}): {found.reason}"
    return (Finding(rule="memory.known", verdict=Verdict.FAILED, message=message, remedy=_REMEDY[found.outcome]),)


def _alike(house: House, run: Run, tree: str) -> tuple[Finding, ...]:
    """What is remembered of almost the same patch: a no where it is for the same error, to be shown otherwise."""
    base = base_of(run)
    ended = [known for known in house.store.memory.ended(base.remote, run=run.id) if known.sketch]
    if not ended:
        return ()
    mine = sketch(house.mirror(base.remote), base.tree, tree, house.project(run).tests)
    scored = [(likeness(mine, known.sketch), known) for known in ended]
    near = [(score, known) for score, known in scored if score >= ALIKE]
    if not near:
        return ()
    this = fingerprint(run)
    same = [(score, known) for score, known in near if this and known.fingerprint == this]
    score, found = max(same or near, key=lambda pair: pair[0])
    where = found.link or f"run {found.run}"
    error = "for the same error" if same else "for something else"
    message = (
        f"almost the same patch ({score:.0%} of the changed words) {_WORDS[found.outcome]}, {error} "
        f"({where}, {found.at:%Y-%m-%d}): {found.reason}"
    )
    verdict = Verdict.FAILED if same else Verdict.PASSED
    return (
        Finding(rule="memory.alike", verdict=verdict, message=message, remedy=_REMEDY[found.outcome], review=not same),
    )


def remember_refusal(house: House, run: Run, number: int, report: Report, policy: Policy) -> None:
    """Write down that an attempt's patch was refused; one that was known already is not written down anew.

    Raises:
        GitError: the tree cannot be read.
    """
    bad = [f"{f.rule}: {f.message}" for f in report.findings if f.verdict is Verdict.FAILED]
    if report.verdict is not Verdict.FAILED or any(
        f.rule in _OWN and f.verdict is Verdict.FAILED for f in report.findings
    ):
        return
    bad += [f"{c.name}: {c.summary}" for c in report.checks if c.verdict is Verdict.FAILED]
    _write(house, run, report, "refused", "; ".join(bad), attempt=number, terms=_terms(run, policy))


def remember_end(house: House, run: Run, outcome: Literal["closed", "reverted"], reason: str) -> None:
    """Write down what became of a proposed patch. A run that ends does so even where this fails."""
    if run.proposed is None:
        return
    try:
        _write(house, run, run.proposed, outcome, reason)
    except AutomendError as e:
        log.warning("what became of the patch of run %s is not remembered: %s", run.id, e.message)


def neighbours(house: House, run: Run, report: Report) -> tuple[str, ...]:
    """Open pull requests in the same repository, ours and others', that touch the same lines; as lines of Markdown.

    Lines are told in the base of each: where another base moved them, a neighbour may be missed. So it may be where
    the forge does not answer, as nothing depends on it.
    """
    base = base_of(run)
    mirror = house.mirror(base.remote)
    ours = touched(mirror, report.patch.base_tree, report.patch.head_tree)
    found: list[str] = []
    for other in house.store.runs(RunStatus.PROPOSED, RunStatus.LANDING):
        if other.id == run.id or other.pull is None or other.proposed is None or other.base is None:
            continue
        if other.base.remote != base.remote:
            continue
        theirs = touched(mirror, other.proposed.patch.base_tree, other.proposed.patch.head_tree)
        found += _neighbour(other.pull, ours, theirs)
    try:
        for pull in house.forge.open_by_others(base.forge, base=base.ref) if base.forge is not None else ():
            found += _neighbour(pull, ours, house.forge.touched(pull.repo, pull.number))
    except ForgeError as e:
        log.warning("what others have open in %s is not known: %s", base.forge, e.message)
    return tuple(found)


def _neighbour(pull: PullRequest, ours: _Lines, theirs: _Lines) -> list[str]:
    same = [path for path in sorted(ours.keys() & theirs.keys()) if _meet(ours[path], theirs[path])]
    shown = ", ".join(messages.code(path) for path in same[:5])
    return [f"{pull.url} changes the same lines of {shown}"] if same else []


def fingerprint(run: Run) -> str:
    """What names the error that a run is about: its trigger's, or its symptom; "" where it has none."""
    if run.job.trigger.fingerprint:
        return run.job.trigger.fingerprint
    symptom = messages.symptom(run.job.context)
    return hashlib.sha256(symptom.encode("utf-8", "replace")).hexdigest() if symptom else ""


def _write(
    house: House,
    run: Run,
    report: Report,
    outcome: Literal["refused", "closed", "reverted"],
    reason: str,
    *,
    attempt: int = 0,
    terms: str = "",
) -> None:
    base = base_of(run)
    mirror, trees = house.mirror(base.remote), (report.patch.base_tree, report.patch.head_tree)
    patch = patch_id(mirror, *trees)
    if patch is None:
        return
    house.store.memory.remember(
        KnownPatch(
            repo=base.remote,
            patch=patch,
            run=run.id,
            attempt=attempt,
            outcome=outcome,
            terms=terms,
            fingerprint=fingerprint(run),
            reason=reason[:_LONGEST_REASON],
            link=run.pull.url if run.pull is not None and outcome != "refused" else "",
            at=datetime.now(UTC),
            sketch=sketch(mirror, *trees, house.project(run).tests) if outcome != "refused" else (),
        )
    )


def _terms(run: Run, policy: Policy) -> str:
    """What a refusal of ours depends on."""
    words = (base_of(run).tree, run.job.goal.value, policy.digest, automend_version(), fingerprint(run))
    return hashlib.sha256(" ".join(words).encode()).hexdigest()


def _meet(ours: tuple[tuple[int, int], ...], theirs: tuple[tuple[int, int], ...]) -> bool:
    return any(a <= d and c <= b for a, b in ours for c, d in theirs)
