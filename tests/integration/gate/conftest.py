"""`gate`: judge a change of a small repository with real containers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from runner.git.mirror import Mirror
from runner.git.trees import paths, read
from runner.model import Goal, Report, Reproduction, Verdict
from runner.policy.schema import Action, Policy, load_policy
from runner.project import Project, recognise
from runner.settings import RepoConfig
from runner.steps.gate import judge
from sandbox.api import LABEL_RUN, Limits
from sandbox.docker import DockerSandboxes
from tests.conftest import Repo

Files = Mapping[str, str | bytes | None]

LIMITS = Limits(memory_mb=1024, workspace_mb=128, tmp_mb=128, wall_seconds=120.0)


def quick(policy: Policy) -> Policy:
    """A policy without what only informs the reviewer, and takes its time."""
    tables = {name: getattr(policy, name).model_copy(update={"most": 0}) for name in ("mutants", "necessity")}
    return policy.model_copy(update=tables)


@dataclass
class Gate:
    """Judges; each of its fields may be changed by a test."""

    make_repo: Callable[..., Repo]
    folder: Path
    cache: Path
    engine: DockerSandboxes | None
    limits: Limits = field(default_factory=lambda: LIMITS)
    policy: Policy = field(default_factory=lambda: quick(load_policy("default")))

    def proof_alone(self, *, but: tuple[str, ...] = ("changed", "deleted")) -> None:
        """Let the rules on syntax pass everything: what the proof must stop, it must stop without them."""
        tables = {}
        for name in ("tests", "cheating"):
            table = getattr(self.policy, name)
            actions = [k for k, v in table if isinstance(v, Action) and k not in but]
            tables[name] = table.model_copy(update=dict.fromkeys(actions, Action.ALLOW))
        self.policy = self.policy.model_copy(update=tables)

    host: Mapping[str, Any] | None = None
    project: Project | None = None
    reproduction: Reproduction | None = None
    tree: str = ""

    def __call__(self, base: Files, change: Files, *, goal: Goal = Goal.FIX) -> Report:
        repo = self.make_repo(base, name=f"repo-{len(list(self.folder.iterdir()))}")
        before = repo.head
        repo.commit(change)
        mirror = Mirror(self.folder / "mirror.git")
        mirror.ensure()
        base_sha = mirror.fetch(str(repo.path), ref=before, auth={})
        head_sha = mirror.fetch(str(repo.path), ref=repo.head, auth={})
        self.tree = tree = mirror.tree_of(base_sha)
        host = RepoConfig.model_validate(dict(self.host or {}))
        self.project = recognise(lambda path: read(mirror, tree, path), paths(mirror, tree), host)
        return judge(
            mirror,
            base_tree=tree,
            head_tree=mirror.tree_of(head_sha),
            base_sha=base_sha,
            goal=goal,
            policy=self.policy.tighten(self.project.policy),
            project=self.project,
            sandboxes=self.engine,
            limits=self.limits,
            labels={LABEL_RUN: "gate-test"},
            progress=lambda text: None,
            cache=self.cache,
            reproduction=self.reproduction,
        )

    def with_limits(self, **changes: Any) -> None:
        """Other limits for the containers."""
        self.limits = replace(self.limits, **changes)


@pytest.fixture(scope="session")
def baselines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Most tests have the same base: it is measured once."""
    return tmp_path_factory.mktemp("baselines")


@pytest.fixture
def gate(engine: DockerSandboxes, make_repo: Callable[..., Repo], tmp_path: Path, baselines: Path) -> Gate:
    return Gate(make_repo, tmp_path, baselines, engine)


@pytest.fixture
def static_gate(make_repo: Callable[..., Repo], tmp_path: Path, baselines: Path) -> Gate:
    return Gate(make_repo, tmp_path, baselines, None)


def no(report: Report) -> dict[str, str]:
    """What was refused: rule → message."""
    return {f.rule: f.message for f in report.findings if f.verdict is not Verdict.PASSED}


def shown(report: Report) -> set[str]:
    """Rules that pass and are shown to the reviewer."""
    return {f.rule for f in report.findings if f.review}


def check(report: Report, name: str) -> Verdict:
    """One check's verdict."""
    return next(c.verdict for c in report.checks if c.name == name)
