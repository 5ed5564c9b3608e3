"""The story of automend. Read this page first.

Four short durable workflows. None of them ever waits for a person: between them a run is a row in the store, and
`engine` looks at the forge to see what it may do next. Each `await step(...)` below is a checkpoint: after kill -9 the
run goes on at the line where it was, and a step that was cut short looks for its own trace (branch, pull request,
deployment) before it acts again. `insist` is a step that follows a merge, and so is not given up when something
outside is down.
"""

from __future__ import annotations

from runner.checkpoint import insist, step, workflow
from runner.model import Attempt, Outcome, Report, RunStatus, Verdict
from runner.steps import attempt, checkout, deploy, finish, judge, merge, propose, revert, review, watch


@workflow("propose")
async def propose_change(run: str) -> None:
    """A job becomes a pull request that carries its proof, or an explained no."""
    await step(checkout.checkout, run)
    await step(checkout.environment, run)
    report = await find_patch(run)
    if report is None or report.verdict is not Verdict.PASSED or await step(finish.is_dry, run):
        await step(finish.judged, run)
        return
    await step(propose.summarize, run)
    await step(propose.push, run)
    if await step(finish.has_forge, run):
        await step(propose.open_pull, run)
    await step(finish.proposed, run)


@workflow("revise")
async def revise_change(run: str, feedback: str) -> None:
    """Review comments, red CI or a moved base become one more commit, judged like the first."""
    await step(checkout.revisit, run, feedback)
    await step(checkout.environment, run)
    report = await find_patch(run)
    if report is not None and report.verdict is Verdict.PASSED:
        await step(propose.summarize, run)
        await step(propose.push, run)
        await step(propose.answer, run)
    else:
        await step(propose.say_not_revised, run)
    await step(finish.revised, run)


@workflow("land")
async def land_change(run: str) -> None:
    """Merge exactly the approved commit, put it live, watch it; take it back if things got worse."""
    await step(watch.before, run)
    await step(deploy.remember_release, run)
    ready = await step(review.readiness, run)
    if ready.verdict is not Verdict.PASSED:
        await step(finish.not_ready, run, "; ".join(ready.reasons))
        return
    await step(merge.merge, run)
    await insist(deploy.deploy, run)
    health = await insist(watch.after, run)
    if health.verdict is Verdict.PASSED:
        await insist(watch.say_landed, run)
        await step(finish.finish, run, RunStatus.LANDED, health.why)
    elif health.verdict is Verdict.FAILED:
        await take_back(run, health.why)
    else:
        await insist(watch.say_unknown, run, health.why)
        await step(finish.finish, run, RunStatus.INCONCLUSIVE, health.why)


async def take_back(run: str, why: str) -> None:
    """Production first, then the commit: roll back, and ask for a revert with what was measured."""
    await insist(revert.roll_back, run)
    await insist(revert.propose_revert, run, why)
    await step(finish.reverted, run, why)


async def find_patch(run: str) -> Report | None:
    """Let an agent try, judge what it left, tell the next attempt why that was not enough.

    An agent whose provider is down costs no attempt: the next agent takes over.
    """
    plan = await step(attempt.plan, run)
    agents, number, spent, report = list(plan.agents), plan.first, 0, None
    while agents and spent < plan.attempts:
        number += 1
        tried: Attempt = await step(attempt.attempt, run, number, agents[0])
        if tried.outcome is Outcome.PROVIDER_DOWN:
            agents.pop(0)
            continue
        spent += 1
        if tried.outcome is Outcome.LEAKED:
            return None  # somebody is at work there: no other attempt meets the same text
        if tried.tree is None:
            continue
        report = await step(judge.judge_attempt, run, number)
        if report.verdict is not Verdict.FAILED:
            break  # a yes; or nothing that another patch could mend
    return report
