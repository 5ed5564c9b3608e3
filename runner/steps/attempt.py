"""Base → attempt: an agent works in a sealed container, and what it leaves is collected as a tree."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from runner.budget import setting
from runner.errors import Inconclusive, ProviderError
from runner.git.importing import Imported
from runner.git.trees import export
from runner.model import Attempt, Base, Noun, Outcome, Run
from runner.ports import Agent, Budget, Progress
from runner.spending import Account
from runner.steps.brief import prompt_version, write_brief
from runner.steps.canary import VARIABLE, canaries, leaks
from runner.steps.collect import collect
from runner.steps.house import House, base_of, labels, tree_of
from sandbox.again import going_on
from sandbox.api import Sandbox, Spec

log = logging.getLogger(__name__)

# So that an agent can look at its own changes; nobody on the host ever reads this repository. The same files are the
# same commit whenever it is made: a CLI may show its id to the model, and a replay should ask the same.
_GIT_FOR_THE_AGENT = (
    "export GIT_AUTHOR_DATE='@946684800 +0000' GIT_COMMITTER_DATE='@946684800 +0000'; "
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
    work = Work(
        run=run.id,
        name=run.id,
        number=number,
        base=base,
        start=start,
        image=tree_of(run.environment, "the environment image"),
        prompt=write_brief(house, run, number, canary=known.prompt),
        seconds=seconds,
        transcript=house.papers(run.id, f"attempt-{number}"),
        budget=budget,
    )
    tried, left = let_work(house, agent, work, progress=house.say(run.id))
    tried = tried.model_copy(update={"start": start})
    if left is None:
        return tried
    leaked = leaks(known, mirror, start, left.tree or start, tried.message)
    if leaked:
        detail = f"{leaked[0].message}: nothing that it wrote is used"
        return tried.model_copy(update={"outcome": Outcome.LEAKED, "detail": detail, "message": "", "findings": leaked})
    if left.tree == start:
        return tried.model_copy(update={"outcome": Outcome.NO_CHANGE, "detail": "the agent changed no file"})
    if left.tree is not None:
        mirror.keep(f"runs/{run.id}/attempt-{number}", left.tree)
    return tried.model_copy(update={"tree": left.tree, "dropped": left.dropped, "findings": left.findings})


@dataclass(frozen=True)
class Work:
    """What one agent is given.

    `name` is what its container is labelled with, `start` the tree that it begins on; what it leaves is measured
    against `base`.
    """

    run: str
    name: str
    number: int
    base: Base
    start: str
    image: str
    prompt: str
    seconds: float
    transcript: Path
    budget: Budget


def let_work(house: House, agent: Agent, work: Work, *, progress: Progress) -> tuple[Attempt, Imported | None]:
    """A sealed container, an agent in it, and what it leaves; nothing (None) where it did not come to its end.

    Raises:
        DockerError: the engine failed.
        ProviderError: nobody answers.
    """
    mirror = house.mirror(work.base.remote)
    tools = house.sandboxes.tools(house.tools, progress=progress)
    with agent.open_door(work.run, work.number, work.budget) as door:
        spec = Spec(
            image=work.image,
            labels=labels(work.name),
            limits=house.limits(seconds=work.seconds),
            door=door.socket,
            tools=tools,
        )
        with house.sandboxes.open(spec) as box:
            box.put_tree(export(mirror, work.start))
            _give_git(box)
            tried = agent.work(
                box,
                door,
                number=work.number,
                prompt=work.prompt,
                seconds=work.seconds,
                transcript=work.transcript,
                env={VARIABLE: canaries(house.host.home, work.run, work.number).variable},
            )
            done = tried.outcome is Outcome.DONE
            return tried, collect(mirror, box, work.base) if done else None


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
