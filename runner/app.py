"""The composition root: the only place that knows which adapter stands behind which port."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from runner.agents.catalog import build_agents, player
from runner.agents.recording import load_recording, prompt_of
from runner.agents.sameness import Difference, first_difference, requests
from runner.agents.summary import build_summarizer
from runner.agents.tools import agent_tools
from runner.config import Host, read_repo_config
from runner.engine import Engine
from runner.errors import UsageError
from runner.evidence.document import EvidenceFile
from runner.exchanges import find_record, read_exchanges
from runner.gateway import Gateway
from runner.git.diff import diff_text
from runner.git.remotes import dirty_paths
from runner.github.forge import GitHubForge
from runner.github.locate import Location, locate
from runner.model import Attempt, Goal, Job, Moment, Place, Reproduction, Run, RunStatus
from runner.policy.schema import load_policy
from runner.ports import Deployer, Probe
from runner.rollout.command import CommandDeployer
from runner.rollout.health import HttpAndLogProbe
from runner.settings import RepoConfig
from runner.steps import again, tidy
from runner.steps.again import Source
from runner.steps.house import House
from runner.steps.judge import Judged, gate_name, judge_somebodys
from runner.steps.record import CONFIGURED, evidence_text
from runner.steps.rerun import Rerun, rerun, same_end
from runner.store import open_store
from runner.tripwire import Tripwire
from sandbox.docker import DockerSandboxes
from sandbox.stock import Keeping

_FOLLOW_SECONDS = 0.15
_LONGEST_CONTEXT = 200_000
_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True)
class Replayed:
    """A recorded attempt and its replay, held against each other.

    `asked` is how many requests each made, `record` where those of the replay are kept.
    """

    then: Attempt
    again: Rerun
    asked: tuple[int, int]
    difference: Difference | None
    record: Path

    @property
    def same(self) -> bool:
        """Whether the CLI asked the same, ended the same, and left the same files."""
        return self.difference is None and not self.again.files and self.same_end

    @property
    def same_end(self) -> bool:
        """Whether both ended alike."""
        return same_end(self.then.outcome, self.again.attempt.outcome)


@dataclass(frozen=True)
class App:
    """One installation: everything wired for one AUTOMEND_HOME."""

    host: Host
    house: House
    engine: Engine
    gateway: Gateway
    sandboxes: DockerSandboxes

    def close(self) -> None:
        """Stop the engine and the gateway; what is unfinished is recovered later."""
        self.engine.close()
        self.gateway.close()

    # ── jobs ────────────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, job: Job) -> Run:
        """A new run for a job; wrong names are told here, before anything is written.

        Raises:
            UsageError: the repository, policy or agent is not one, or an agent's price is not known and money limited.
            RepositoryError: the path is not a git repository.
        """
        where = self.locate(job.repo)
        load_policy(job.policy or self.host.settings.run.policy)
        if job.repo_config is not None:
            read_repo_config(Path(job.repo_config))
        for name in job.agents:
            if name not in self.house.agents:
                known = ", ".join(sorted(self.house.agents))
                raise UsageError(f"there is no agent `{name}`", remedy=f"configured: {known}")
        names = tuple(n for n in (job.repo, where.forge, where.remote, where.path and str(where.path)) if n)
        asked = self.house.config(names, job.repo_config)
        self.host.settings.require_prices(job.agents or asked.agents or self.host.settings.run.agents)
        return self.house.store.create(job.model_copy(update=_anywhere(job, where)))

    def follow(self, run_id: str, *, tell: Callable[[Moment], None], now: Callable[[str], None]) -> Run:
        """Watch a run until its present workflow ends. Becomes the engine if there is none (any more)."""
        seen, said = 0, ""
        while True:
            self.engine.take_over()
            self.engine.submit()
            run = self.house.store.run(run_id)
            for number, moment in self.house.store.trail(run_id, after=seen):
                seen = number
                tell(moment)
            text = self.house.store.now(run_id)
            if text != said:
                said = text
                now(text)
            if run.status not in {RunStatus.QUEUED, RunStatus.WORKING, RunStatus.LANDING}:
                return run
            time.sleep(_FOLLOW_SECONDS)

    def locate(self, text: str) -> Location:
        """Where the repository is that a person named."""
        return locate(text, server_url=self.host.github_server_url, known=self.host.settings.repo)

    def dirty(self, where: Location) -> list[str]:
        """Files of a person's own checkout that are not committed, and so not part of any base."""
        return dirty_paths(where.path) if where.path is not None else []

    # ── somebody's patch ────────────────────────────────────────────────────────────────────────────────────

    def gate(
        self,
        *,
        repo: str,
        base: str,
        head: str | None,
        patch: bytes | None,
        goal: Goal,
        policy: str | None,
        repo_config: str | None,
        static: bool,
        name: str,
        progress: Callable[[str], None],
        reproduce: str = "",
    ) -> Judged:
        """Judge somebody's patch without an agent. `name` is one of `gate_name`; `reproduce` shows the error.

        Raises:
            UsageError: the patch does not apply, or a name is wrong.
            RepositoryError: there is no such repository or ref.
            DockerError: the engine is not there (a verdict of ERROR says so where it fails later).
        """
        load_policy(policy or self.host.settings.run.policy)
        source = self.source(repo)
        progress("reading the trees")
        change = source.change(base, head=head, patch=patch)
        return judge_somebodys(
            self.house,
            source.mirror,
            repository=source.shown,
            base_sha=change.base_sha,
            head_sha=change.head_sha,
            head_tree=change.head_tree,
            goal=goal,
            policy=policy,
            config=self.house.config(source.names, repo_config),
            static=static,
            name=name,
            progress=progress,
            shown=Reproduction(command=reproduce) if reproduce else None,
        )

    def gate_again(
        self,
        evidence: EvidenceFile,
        *,
        repo: str,
        head: str | None,
        policy: str | None,
        name: str,
        progress: Callable[[str], None],
    ) -> Judged:
        """Judge again what a piece of evidence is about: its base, patch, goal, policy and configuration.

        Args:
            evidence: what was judged; its seal was looked at before (`seal.read`).
            repo: where the base is.
            head: where the patched tree is; by default it is made of the evidence's own diff.
            policy: judge by this one instead of the evidence's own.
            name: one of `gate_name`.
            progress: told what is going on.

        Raises:
            Refused: what the evidence names is not what is there.
            UsageError: the patched tree cannot be found.
            RepositoryError: there is no such repository or commit.
            ConfigError: this version cannot read the evidence's policy or configuration.
        """
        told = again.terms(evidence)
        source = self.source(repo)
        progress("reading the trees")
        change = again.find_change(source, evidence.subject, head=head)
        known = self.house.config(source.names, None)
        config = known.model_copy(update={key: getattr(told.config, key) for key in CONFIGURED})
        return judge_somebodys(
            self.house,
            source.mirror,
            repository=source.shown,
            base_sha=change.base_sha,
            head_sha=change.head_sha,
            head_tree=change.head_tree,
            goal=evidence.subject.goal,
            policy=policy or told.policy,
            config=config,
            static=evidence.result.static,
            name=name,
            progress=progress,
            fresh=True,
            shown=evidence.subject.reproduction,
        )

    def source(self, repo: str) -> Source:
        """The repository that a person named, behind the runner's own mirror of it."""
        where = self.locate(repo)
        remote = str(where.path) if where.path is not None else where.remote
        auth = self.house.auth(where.forge) if where.path is None else {}
        names = tuple(n for n in (repo, where.forge, where.remote, remote) if n)
        return Source(self.house.mirror(remote), remote, auth, names, shown=where.forge or where.remote)

    # ── attempts ────────────────────────────────────────────────────────────────────────────────────────────

    def attempt(self, run: Run, number: int | None) -> tuple[Attempt, Path]:
        """An attempt of a run (None: the last one) whose exchanges were recorded, and where they are.

        Raises:
            UsageError: there is none of that number, or no record of it.
        """
        found = self.recorded(run)
        if not found:
            raise UsageError(
                f"run {run.id} has no recorded attempt",
                remedy="it made none, or they were removed after run.keep_transcripts_days",
            )
        chosen = max(found) if number is None else number
        if chosen not in found:
            raise UsageError(
                f"run {run.id} has no record of attempt {chosen}", remedy=f"there are: {', '.join(map(str, found))}"
            )
        return found[chosen]

    def recorded(self, run: Run) -> dict[int, tuple[Attempt, Path]]:
        """Number → attempt and record, of those attempts of a run whose exchanges are still kept."""
        folder = self.host.home / "runs" / run.id
        records = {tried.number: (tried, find_record(folder, tried.number)) for tried in run.attempts}
        return {number: (tried, path) for number, (tried, path) in sorted(records.items()) if path is not None}

    def replay(self, run: Run, number: int | None, *, name: str, progress: Callable[[str], None]) -> Replayed:
        """Play a recorded attempt again to the real CLI, and hold what it does against what it did.

        Args:
            run: whose attempt.
            number: which; None is the last one.
            name: one of `gate_name`.
            progress: told what is going on.

        Raises:
            UsageError: the attempt or its record is not there, or cannot be played.
            DockerError: the engine failed.
            OutsideError: the gateway's door cannot be made.
        """
        tried, record = self.attempt(run, number)
        exchanges = read_exchanges(record)
        tape, prompt = load_recording(record), prompt_of(exchanges)
        if prompt is None:
            raise UsageError(
                f"{record} does not have what the agent was told",
                remedy="requests are kept whole up to a size; this one was larger",
            )
        heard = self.house.papers(run.id, f"replay-{tried.number}.exchanges.jsonl.gz")
        again = rerun(
            self.house,
            run,
            tried,
            player(tried.agent, tried.model, tape, heard, self.gateway),
            prompt=prompt,
            requests=len(tape),
            name=name,
            progress=progress,
        )
        now = read_exchanges(heard)
        return Replayed(
            then=tried,
            again=again,
            asked=(requests(exchanges), requests(now)),
            difference=first_difference(exchanges, now),
            record=heard,
        )

    def evidence(self, run: Run) -> str:
        """The evidence file for a run's last verdict.

        Raises:
            UsageError: nothing was judged yet, or the run's papers are gone.
        """
        return evidence_text(self.house, run.id)

    def gate_name(self) -> AbstractContextManager[str]:
        """A name for one gate's containers, which no engine reaps while the context lasts."""
        return gate_name(self.house)

    def abandon_gate(self, name: str) -> None:
        """Remove the containers of a gate that a person interrupted, and let its threads make no other.

        Raises:
            SandboxError: something may be left.
        """
        self.sandboxes.shut(name)

    def clean(self, *, dry_run: bool) -> list[str]:
        """Remove what runs and gates left that are over or unknown, never anything of those at work; what it was.

        Raises:
            SandboxError: the engine is not there, or something could not be removed.
        """
        with self.engine.kept_out() as alone:
            found = tidy.clean(self.house, alone=alone, dry_run=dry_run)
        return found + self.gateway.clear(dry_run=dry_run)

    def diff(self, run: Run) -> str:
        """The text of a run's judged patch."""
        if run.report is None or run.base is None:
            return ""
        mirror = self.house.mirror(run.base.remote)
        return diff_text(mirror, run.report.patch.base_tree, run.report.patch.head_tree, limit_bytes=10_000_000)


def build(host: Host, *, owner: str | None = None) -> App:
    """Wire an installation. Nothing outside is spoken to yet.

    Args:
        host: settings and environment.
        owner: whose containers these are; by default the installation's.

    Raises:
        ConfigError: the database or an agent is configured wrongly.
    """
    gateway = Gateway(host.home / "gateway", tripwire=Tripwire(host.guarded()))

    @cache
    def forge() -> GitHubForge:
        token = host.secrets.github_token
        return GitHubForge(
            token=token.get_secret_value() if token is not None else "",
            api_url=host.github_api_url,
            server_url=host.github_server_url,
        )

    sandboxes = DockerSandboxes(
        owner=owner or owner_name(host.home),
        base_image=host.base_image,
        runtime=host.settings.sandbox.runtime,
        notes=host.home / "environments",
        keeping=keeping(host),
    )
    house = House(
        host=host,
        store=open_store(host.database_url),
        sandboxes=sandboxes,
        agents=build_agents(host.settings.all_agents, host, gateway),
        tools=agent_tools(),
        summarizer=build_summarizer(host),
        connect=forge,
        locate=lambda text: _place(text, host),
        deployer=lambda config, repo: _deployer(config, repo, host),
        probe=_probe,
    )
    return App(host=host, house=house, engine=Engine(house), gateway=gateway, sandboxes=sandboxes)


@contextmanager
def opened(host: Host) -> Iterator[App]:
    """An installation for a while."""
    app = build(host)
    try:
        yield app
    finally:
        app.close()


def _anywhere(job: Job, where: Location) -> dict[str, str]:
    """What of a job depends on where it was asked for: another process, in another folder, may be the one to do it."""
    update = {"context": _cut(job.context)}
    if where.path is not None:
        update["repo"] = str(where.path)
    if job.policy is not None and Path(job.policy).expanduser().is_file():
        update["policy"] = str(Path(job.policy).expanduser().absolute())
    return update


def _cut(text: str) -> str:
    """Of a long log, its two ends."""
    if len(text) <= _LONGEST_CONTEXT:
        return text
    half = _LONGEST_CONTEXT // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"


def keeping(host: Host) -> Keeping:
    """How many environment images the host keeps."""
    wanted = host.settings.images
    return Keeping(days=wanted.keep_days, megabytes=wanted.budget_mb)


def owner_name(home: Path) -> str:
    """Whose containers: this AUTOMEND_HOME's on this host, so that installations on one engine leave each other alone.

    In a container, which seldom has an id of its own, the place alone tells.
    """
    try:
        host = _MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        host = ""
    return hashlib.sha256(f"{host}{home.resolve()}".encode()).hexdigest()[:12]


def _place(text: str, host: Host) -> Place:
    found = locate(text, server_url=host.github_server_url, known=host.settings.repo)
    return Place(remote=found.remote, forge=found.forge, path=str(found.path) if found.path else None)


def _deployer(config: RepoConfig, repo: str, host: Host) -> Deployer | None:
    if config.deploy is None:
        return None
    return CommandDeployer(config.deploy, repo=repo, home=host.home, clean_env=os.environ)


def _probe(config: RepoConfig) -> Probe | None:
    if config.health is None or (config.health.url is None and config.health.log is None):
        return None
    return HttpAndLogProbe(config.health)
