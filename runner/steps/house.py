"""What the steps work with: the ports, wired by `app`, and the few places that everything hangs on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from runner.config import Host, RepoConfig
from runner.errors import ConfigError, ForgeError, RepositoryError
from runner.git.mirror import Mirror
from runner.git.trees import paths, read
from runner.model import Base, Place, Run
from runner.policy.schema import Policy, load_policy
from runner.ports import Agent, Deployer, Forge, Probe, Summarizer
from runner.project import Project, recognise, settings_from_file
from runner.store import Store
from sandbox.api import LABEL_RUN, Limits, Sandboxes, ToolsRecipe


@dataclass(frozen=True)
class House:
    """Everything a step may touch. `deployer` and `probe` answer None where the host configured none."""

    host: Host
    store: Store
    sandboxes: Sandboxes
    agents: Mapping[str, Agent]
    tools: ToolsRecipe
    summarizer: Summarizer
    forge: Forge
    locate: Callable[[str], Place]
    deployer: Callable[[RepoConfig, str], Deployer | None]
    probe: Callable[[RepoConfig], Probe | None]

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
        """The host's word on a run's repository; `--repo-config` goes over the settings file."""
        names = [run.job.repo]
        if run.base is not None:
            names += [run.base.remote, *([run.base.forge] if run.base.forge else [])]
        if place is not None:
            names += [place.remote, *([place.forge] if place.forge else [])]
        known = self.host.repo(*names)
        if run.job.repo_config is None:
            return known
        given = settings_from_file(Path(run.job.repo_config))
        return known.model_copy(update=given.model_dump(exclude_unset=True))

    def project(self, run: Run) -> Project:
        """How the run's repository is set up, tested and measured: read from the base, the host's word winning."""
        base = base_of(run)
        mirror = self.mirror(base.remote)
        return _project(self, run.id, mirror, base.tree)

    def policy(self, run: Run) -> Policy:
        """The policy in force: the host's, tightened by the repository's base branch."""
        name = run.job.policy or self.repo(run).policy or self.host.settings.run.policy
        policy = load_policy(name)
        return policy.tighten(self.project(run).policy) if run.base is not None else policy

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

    def papers(self, run: str, *names: str) -> Path:
        """Where a run's own files are kept (transcripts, recordings)."""
        folder = self.host.home / "runs" / run
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder.joinpath(*names)


@lru_cache(maxsize=256)
def _project(house: House, run_id: str, mirror: Mirror, tree: str) -> Project:
    run = house.store.run(run_id)
    return recognise(lambda path: read(mirror, tree, path), paths(mirror, tree).keys(), house.repo(run))


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
