"""Where a run stands when a workflow ends, and the words for it."""

from __future__ import annotations

import logging
from typing import Any

from runner.errors import AutomendError, Inconclusive, ProviderError, Refused, Stopped
from runner.model import Outcome, Run, RunStatus, Verdict
from runner.steps import memory
from runner.steps.house import House, base_of
from runner.steps.propose import withdraw
from runner.steps.revert import back_in_words
from sandbox.api import SandboxError

log = logging.getLogger(__name__)

_STATUS = {
    Verdict.PASSED: (RunStatus.JUDGED, 0),
    Verdict.FAILED: (RunStatus.REFUSED, 1),
    Verdict.ERROR: (RunStatus.FAILED, 3),
    Verdict.INCONCLUSIVE: (RunStatus.INCONCLUSIVE, 4),
}


def is_dry(house: House, run_id: str) -> bool:
    """Whether the job ends with the judged patch."""
    return house.store.run(run_id).job.dry_run


def has_forge(house: House, run_id: str) -> bool:
    """Whether the repository lives where pull requests can be opened."""
    return base_of(house.store.run(run_id)).forge is not None


def judged(house: House, run_id: str) -> str:
    """End a run that goes no further than its verdict.

    Raises:
        ProviderError: no agent could work at all.
    """
    run = house.store.run(run_id)
    if run.attempts and all(a.outcome is Outcome.PROVIDER_DOWN for a in run.attempts):
        said = "; ".join(f"{a.agent}: {a.detail}" for a in run.attempts)
        raise ProviderError(f"no model provider could be used: {said}", remedy="`automend doctor` checks each")
    status, code = _STATUS[_last_word(run)]
    why = why_not(run) if status is not RunStatus.JUDGED else "the patch passed; this was a dry run"
    house.store.finish(run_id, status, why, exit_code=code)
    return why


def proposed(house: House, run_id: str) -> str:
    """End `propose`: the run now waits as a row for CI and people."""
    run = house.store.run(run_id)
    if run.pull is None:
        why = f"the judged commit is on branch {run.branch} of {base_of(run).remote}"
        house.store.finish(run_id, RunStatus.JUDGED, why, exit_code=0)
        return why
    house.store.finish(run_id, RunStatus.PROPOSED, f"waiting for CI and approval: {run.pull.url}", exit_code=0)
    return run.pull.url


def revised(house: House, run_id: str) -> str:
    """End `revise`: back to waiting, with or without a new commit."""
    run = house.store.run(run_id)
    pushed = run.pull is not None and _last_word(run) is Verdict.PASSED
    why = f"revised: {run.head_sha}" if pushed else f"no revision passed the gate: {why_not(run)}"
    house.store.finish(run_id, RunStatus.PROPOSED, why)
    return why


def not_ready(house: House, run_id: str, why: str) -> None:
    """End `land` before it began: something changed since the poller looked."""
    house.store.finish(run_id, RunStatus.PROPOSED, f"not ready to land: {why}")


def finish(house: House, run_id: str, status: RunStatus, why: str) -> None:
    """End a run."""
    house.store.finish(run_id, RunStatus(status), why)


def failed(house: House, run_id: str, error: dict[str, Any]) -> str:
    """End a workflow that could not go on. What waits for people goes on waiting: nothing was merged yet."""
    said = AutomendError.from_json(error)
    words = f"{said.message} — {said.remedy}" if said.remedy else said.message
    run = house.store.run(run_id)
    try:
        house.sandboxes.reap(run=run_id)
    except SandboxError as e:  # often the very reason why it failed; the next engine reaps what is left
        log.info("could not look for what run %s left: %s", run_id, e.message)
    if run.pull is not None and run.merge_sha is None:
        house.store.finish(run_id, RunStatus.PROPOSED, f"could not go on: {words}", exit_code=said.exit_code)
        return words
    try:
        withdraw(house, run_id)
    except AutomendError as e:
        words += f"; branch {run.branch} was left behind ({e.message})"
    kinds = {Stopped: RunStatus.STOPPED, Refused: RunStatus.REFUSED, Inconclusive: RunStatus.INCONCLUSIVE}
    house.store.finish(run_id, kinds.get(type(said), RunStatus.FAILED), words, exit_code=said.exit_code)
    return words


def reverted(house: House, run_id: str, why: str) -> str:
    """End a run that was taken back."""
    run = house.store.run(run_id)
    memory.remember_end(house, run, "reverted", why)
    words = f"{why}; {back_in_words(run.rollback)}"
    house.store.finish(run_id, RunStatus.REVERTED, words)
    return words


def why_not(run: Run) -> str:
    """Why a run's last attempt was not good enough, in one line."""
    if not run.attempts:
        return "no attempt was made"
    last = run.attempts[-1]
    if last.tree is None or run.report is None:
        return _no_patch(run)
    bad = [f"{f.rule}: {f.message}" for f in run.report.findings if f.verdict is not Verdict.PASSED]
    bad += [f"{c.name}: {c.summary}" for c in run.report.checks if c.verdict is not Verdict.PASSED]
    return "; ".join(bad)[:1000] or run.report.verdict.value


def _last_word(run: Run) -> Verdict:
    if run.report is not None and run.attempts and run.attempts[-1].tree is not None:
        return run.report.verdict
    # Nothing was left to judge. Refused by a rule while it was collected, or by what the agent did (nothing).
    outcomes = {a.outcome for a in run.attempts}
    if run.report is None and run.attempts and run.attempts[-1].outcome is Outcome.BUDGET:
        return Verdict.INCONCLUSIVE  # a limit of ours stopped it: nobody knows what it would have done
    return Verdict.ERROR if outcomes and outcomes <= {Outcome.CRASHED, Outcome.PROVIDER_DOWN} else Verdict.FAILED


def _no_patch(run: Run) -> str:
    tries = ", ".join(f"{a.number}: {a.outcome.value}{f' ({a.detail})' if a.detail else ''}" for a in run.attempts)
    findings = "; ".join(f.message for a in run.attempts for f in a.findings)
    return f"no attempt left a patch — {tries}{'; ' + findings if findings else ''}"
