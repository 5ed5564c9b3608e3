"""What the steps work with: the ports, wired by `app`, and the few places that everything hangs on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.budget import Allowance, Scope
from runner.config import Host, read_repo_config
from runner.errors import ConfigError, ForgeError, RepositoryError
from runner.evidence.keys import Signer, load_key
from runner.git.mirror import Mirror
from runner.git.trees import paths, read
from runner.model import Base, Place, Run
from runner.policy.schema import Policy, load_policy
from runner.ports import Agent, Deployer, Forge, Probe, Summarizer
from runner.project import Project, recognise
from runner.settings import BudgetConfig, RepoConfig
from runner.spending import Account
from runner.store import Store
from sandbox.api import LABEL_RUN, Limits, Sandboxes, ToolsRecipe


@dataclass(frozen=True)
class House:
    """Everything a step may touch. `deployer` and `probe` answer None where the host configured none.

    The forge is connected to when it is first needed: a repository without one needs no token.
    """

    host: Host
    store: Store
    sandboxes: Sandboxes
    agents: Mapping[str, Agent]
    tools: ToolsRecipe
    summarizer: Summarizer
    connect: Callable[[], Forge]
    locate: Callable[[str], Place]
    deployer: Callable[[RepoConfig, str], Deployer | None]
    probe: Callable[[RepoConfig], Probe | None]

    @property
    def forge(self) -> Forge:
        """The forge.

        Raises:
            ConfigError: there is no token for it.
        """
        return self.connect()

    def say(self, run: str) -> Callable[[str], None]:
        """Progress of a run, for those who watch."""
        return lambda text: self.store.say(run, text)

    def mirror(self, remote: str) -> Mirror:
        """The runner's own bare repository for a remote."""
        name = hashlib.sha256(remote.encode()).hexdigest()[:20]
        mirror = Mirror(self.host.home / "mirrors" / f"{name}.git")
        mirror.ensure()
        return mirror

    def auth(self, forge: str | None) -> dict[str, str]:
        """What git needs to reach a repository of the forge."""
        return self.forge.git_auth(forge) if forge is not None else {}

    def repo(self, run: Run, place: Place | None = None) -> RepoConfig:
        """The host's word on a run's repository."""
        names = [run.job.repo]
        for known in (run.base, place):
            if known is not None:
                names += [known.remote, *([known.forge] if known.forge else [])]
        return self.config(names, run.job.repo_config)

    def config(self, names: Iterable[str], repo_config: str | None) -> RepoConfig:
        """The host's word on a repository, by any of its names; `--repo-config` goes over the settings file."""
        known = self.host.repo(*names)
        if repo_config is None:
            return known
        return known.model_copy(update=read_repo_config(Path(repo_config)).model_dump(exclude_unset=True))

    def project(self, run: Run) -> Project:
        """How the run's repository is set up, tested and measured: read from the base, the host's word winning."""
        base = base_of(run)
        return project_of(self.mirror(base.remote), base.tree, self.repo(run))

    def policy(self, run: Run) -> Policy:
        """The policy in force: the host's, tightened by the repository's base branch."""
        config = self.repo(run)
        if run.base is None:
            return self.policy_of(run.job.policy, config, None)
        return self.policy_of(run.job.policy, config, self.project(run))

    def policy_of(self, name: str | None, config: RepoConfig, project: Project | None) -> Policy:
        """The policy that was named, else the repository's, else the host's; tightened by the repository."""
        policy = load_policy(name or config.policy or self.host.settings.run.policy)
        return policy.tighten(project.policy) if project is not None else policy

    def signer(self) -> Signer | None:
        """Who signs evidence here; None where the host has no key.

        Raises:
            ConfigError: the key cannot be used, or the one that was named is not there.
        """
        if self.host.evidence_key_file is None and not self.host.evidence_key.exists():
            return None
        return load_key(self.host.evidence_key)

    def limits(self, *, seconds: float) -> Limits:
        """What one container may use."""
        box = self.host.settings.sandbox
        return Limits(
            memory_mb=box.memory_mb,
            cpus=box.cpus,
            pids=box.pids,
            workspace_mb=box.workspace_mb,
            output_mb=box.output_mb,
            wall_seconds=seconds,
        )

    def account(self, run: Run, attempt: int = 0) -> Account:
        """The budgets beyond one attempt, and what was taken of them.

        Raises:
            RepositoryError: the run was never checked out.
        """
        budgets = self.host.settings.budget
        scopes: tuple[tuple[Scope, BudgetConfig], ...] = (
            ("run", budgets.run), ("repo", budgets.repo), ("day", budgets.day),
        )  # fmt: skip
        allowances = {scope: Allowance(**budget.model_dump()) for scope, budget in scopes}
        return Account(self.store.spending, run.id, base_of(run).remote, attempt, allowances)

    def papers(self, run: str, *names: str) -> Path:
        """Where a run's own files are kept (transcripts, recordings)."""
        folder = self.host.home / "runs" / run
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder.joinpath(*names)


def project_of(mirror: Mirror, tree: str, config: RepoConfig) -> Project:
    """How the repository at a tree is set up, tested and measured.

    Raises:
        ConfigError: its `.automend.toml` is wrong.
    """
    return recognise(lambda path: read(mirror, tree, path), paths(mirror, tree).keys(), config)


def labels(run: str) -> dict[str, str]:
    """What every container of a run is labelled with."""
    return {LABEL_RUN: run}


def base_of(run: Run) -> Base:
    """The run's base.

    Raises:
        RepositoryError: the run was never checked out.
    """
    if run.base is None:
        raise RepositoryError(f"run {run.id} has no base: it was never checked out")
    return run.base


def pull_of(run: Run) -> tuple[str, int]:
    """OWNER/NAME and number of the run's pull request.

    Raises:
        ForgeError: the run has none.
    """
    if run.pull is None:
        raise ForgeError(f"run {run.id} has no pull request")
    return run.pull.repo, run.pull.number


def tree_of(value: str | None, what: str) -> str:
    """A tree that an earlier step must have stored.

    Raises:
        ConfigError: it did not; the store was changed by hand.
    """
    if value is None:
        raise ConfigError(f"{what} is not in the store", remedy="start a new run")
    return value
