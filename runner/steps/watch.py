"""Rollout → health: the same readings before and after, and what their difference means."""

from __future__ import annotations

from runner import messages
from runner.model import Health, Level, Noun, Verdict
from runner.steps.house import House, pull_of


class Judgement(Noun):
    """PASSED: it stays. FAILED: it got worse. INCONCLUSIVE: it could not be read."""

    verdict: Verdict
    why: str


def before(house: House, run_id: str) -> Health | None:
    """How production does before the deploy; None where no probe is configured."""
    run = house.store.run(run_id)
    config = house.repo(run).health
    probe = house.probe(house.repo(run))
    if probe is None or config is None:
        return None
    house.say(run_id)(f"reading production's health before the deploy, {config.baseline_seconds:.0f} s")
    health = probe.watch(config.baseline_seconds)
    house.store.update(run_id, before=health)
    return health


def after(house: House, run_id: str) -> Judgement:
    """Watch production for its window, and compare."""
    run = house.store.run(run_id)
    if run.rollout is None or not run.rollout.release:
        return Judgement(verdict=Verdict.PASSED, why="merged; no deployment is configured on this host")
    if run.rollout.verdict is not Verdict.PASSED:
        return Judgement(verdict=Verdict.FAILED, why=f"the deployment did not succeed: {run.rollout.detail}")
    config = house.repo(run).health
    probe = house.probe(house.repo(run))
    if probe is None or config is None:
        return Judgement(verdict=Verdict.INCONCLUSIVE, why="no health probe is configured on this host.")
    house.say(run_id)(f"watching production for {config.window_seconds:.0f} s")
    health = probe.watch(config.window_seconds, stop_when_critical=True)
    run = house.store.update(run_id, after=health)
    if health.level is Level.UNKNOWN:
        return Judgement(verdict=Verdict.INCONCLUSIVE, why=health.summary)
    baseline = run.before or Health(level=Level.HEALTHY, summary="nothing was read before")
    worse = probe.worse(baseline, health)
    if worse is not None:
        return Judgement(verdict=Verdict.FAILED, why=worse)
    return Judgement(verdict=Verdict.PASSED, why=health.summary)


def say_landed(house: House, run_id: str) -> None:
    """Tell the people of the pull request that it is live and well."""
    run = house.store.run(run_id)
    repo, number = pull_of(run)
    house.forge.comment(repo, number, marker=f"<!-- automend:landed:{run_id} -->", body=messages.landed(run))


def say_unknown(house: House, run_id: str, why: str) -> None:
    """Tell the people of the pull request that nobody knows."""
    run = house.store.run(run_id)
    repo, number = pull_of(run)
    body = messages.unknown_health(run, why)
    house.forge.comment(repo, number, marker=f"<!-- automend:unknown:{run_id} -->", body=body)
