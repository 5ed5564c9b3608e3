"""Base → attempt: an agent works in a sealed container, and what it leaves is collected as a tree."""

from __future__ import annotations

import logging

from runner.budget import setting
from runner.errors import Inconclusive, ProviderError
from runner.git.trees import export
from runner.model import Attempt, Noun, Outcome, Run
from runner.ports import Budget
from runner.spending import Account
from runner.steps.brief import prompt_version, write_brief
from runner.steps.canary import VARIABLE, canaries, leaks
from runner.steps.collect import collect
from runner.steps.house import House, base_of, labels, tree_of
from sandbox.again import going_on
from sandbox.api import Sandbox, Spec

log = logging.getLogger(__name__)

# So that an agent can look at its own changes; nobody on the host ever reads this repository.
_GIT_FOR_THE_AGENT = (
    "git init -q . && git add -A -f && "
    "git -c user.name=base -c user.email=base@localhost commit -q --allow-empty -m base"
)


class Plan(Noun):
    """Who may try, and how often; `first` counts the attempts of earlier rounds (a revision is a new round)."""

    agents: tuple[str, ...]
    attempts: int
    first: int = 0


def plan(house: House, run_id: str) -> Plan:
    """The agents of a run in their order, and the attempts that the policy allows.

    Raises:
        ConfigError: money is limited, and nobody knows what an agent costs.
    """
    run = house.store.run(run_id)
    agents = run.job.agents or house.repo(run).agents or house.host.settings.run.agents
    house.host.settings.require_prices(agents)
    return Plan(agents=tuple(agents), attempts=house.policy(run).attempts, first=run.round)


def attempt(house: House, run_id: str, number: int, agent_name: str) -> Attempt:
    """Let one agent try once. How it went is in the answer; only the machine's failures are raised.

    Raises:
        DockerError: the engine failed.
        Inconclusive: a budget of the run, the repository or the day is used up, so nobody can try. Nothing was found
            wrong, with the patch or with the world: the host itself has said that this is enough.
    """
    run = house.store.run(run_id)
    agent = house.agents[agent_name]
    account = house.account(run, number)
    refusal = account.refusal()
    if refusal is not None:
        raise Inconclusive(f"attempt {number} was not begun: {refusal}")

    def work() -> Attempt:
        seconds = min(house.host.settings.run.attempt_seconds, account.seconds_left())
        house.sandboxes.reap(run=run_id)  # what an earlier, killed try of this very step left behind
        house.say(run_id)(f"{agent_name} ({agent.model}) is working, attempt {number}")
        return _work(house, run, account, agent_name, seconds)

    try:
        tried = going_on(work, tell=house.say(run_id))
    except ProviderError as e:
        detail = f"{e.message} — {e.remedy}" if e.remedy else e.message
        tried = Attempt(
            number=number, agent=agent_name, model=agent.model, outcome=Outcome.PROVIDER_DOWN, detail=detail
        )
    tried = tried.model_copy(update={"prompt": prompt_version(run.job.goal)})
    if tried.outcome is Outcome.TIMEOUT:
        tried = tried.model_copy(update=_why_killed(tried, account))
    others = tuple(a for a in run.attempts if a.number != number)
    house.store.update(run_id, attempts=(*others, tried))
    return tried


def _work(house: House, run: Run, account: Account, agent_name: str, seconds: float) -> Attempt:
    number, agent = account.attempt, house.agents[agent_name]
    base = base_of(run)
    mirror = house.mirror(base.remote)
    start = run.start_tree or base.tree
    settings = house.host.settings.run
    known = canaries(house.host.home, run.id, number)
    budget = Budget(
        requests=settings.requests_per_attempt,
        tokens=settings.tokens_per_attempt,
        usd=settings.usd_per_attempt,
        wall_seconds=settings.attempt_seconds,
        account=account,
    )
    tools = house.sandboxes.tools(house.tools, progress=house.say(run.id))
    with agent.open_door(run.id, number, budget) as door:
        spec = Spec(
            image=tree_of(run.environment, "the environment image"),
            labels=labels(run.id),
            limits=house.limits(seconds=seconds),
            door=door.socket,
            tools=tools,
        )
        with house.sandboxes.open(spec) as box:
            box.put_tree(export(mirror, start))
            _give_git(box)
            tried = agent.work(
                box,
                door,
                number=number,
                prompt=write_brief(house, run, number, canary=known.prompt),
                seconds=seconds,
                transcript=house.papers(run.id, f"attempt-{number}"),
                env={VARIABLE: known.variable},
            )
            if tried.outcome is not Outcome.DONE:
                return tried
            left = collect(mirror, box, base)
    leaked = leaks(known, mirror, start, left.tree or start, tried.message)
    if leaked:
        detail = f"{leaked[0].message}: nothing that it wrote is used"
        return tried.model_copy(update={"outcome": Outcome.LEAKED, "detail": detail, "message": "", "findings": leaked})
    if left.tree == start:
        return tried.model_copy(update={"outcome": Outcome.NO_CHANGE, "detail": "the agent changed no file"})
    if left.tree is not None:
        mirror.keep(f"runs/{run.id}/attempt-{number}", left.tree)
    return tried.model_copy(update={"tree": left.tree, "dropped": left.dropped, "findings": left.findings})


def _why_killed(tried: Attempt, account: Account) -> dict[str, object]:
    """Whether it was the attempt's own time that was over, or a wider budget's."""
    refusal = account.refusal()
    if refusal is not None:
        return {"outcome": Outcome.BUDGET, "detail": f"{tried.detail}: {refusal}"}
    return {"detail": f"{tried.detail}; {setting('attempt', 'seconds')} in automend.toml gives it longer"}


def _give_git(box: Sandbox) -> None:
    made = box.exec(["sh", "-c", _GIT_FOR_THE_AGENT], timeout=60)
    if made.exit_code != 0:  # an environment without git: the agent has to do without
        log.info("no git in the agent's container: %s", made.stderr[-200:].decode(errors="replace"))
