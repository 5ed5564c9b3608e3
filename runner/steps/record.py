"""Verdict → evidence: everything that was used and measured, as one document that can be judged again."""

from __future__ import annotations

import base64
import platform
import subprocess
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from runner.errors import GitError, UsageError
from runner.evidence import seal
from runner.evidence.document import (
    FORMAT,
    Configuration,
    Environment,
    EvidenceFile,
    Made,
    Platform,
    PolicyUsed,
    Result,
    RunTold,
    Subject,
    TestTold,
)
from runner.git.identity import diff_bytes
from runner.git.mirror import Mirror
from runner.model import Report, SuiteRun, TestEvidence
from runner.policy.schema import Policy
from runner.project import Project
from runner.settings import RepoConfig
from runner.steps.house import House
from sandbox.api import Limits

_LARGEST_DIFF = 16 << 20
# What of the host's word on a repository decides how it is measured. Deploys and probes are nobody's business.
CONFIGURED = ("setup", "test", "junit", "coverage", "lint", "tests")


@dataclass(frozen=True)
class Setting:
    """What a patch was judged with, beside the patch. `head_sha` is the commit that held it, if one did."""

    mirror: Mirror
    repository: str
    config: RepoConfig
    policy: Policy
    project: Project
    limits: Limits
    head_sha: str | None = None
    static: bool = False


def evidence_of(report: Report, setting: Setting) -> EvidenceFile:
    """The evidence for a report, not sealed yet."""
    measured = report.evidence
    host = setting.config.model_dump(mode="json", include=set(CONFIGURED), exclude_none=True)
    return EvidenceFile(
        format=FORMAT,
        version=1,
        made=Made(
            at=datetime.now(UTC).replace(microsecond=0),
            seconds=measured.seconds,
            automend=measured.version,
            prompt=measured.prompt,
            platform=_platform(),
        ),
        subject=Subject(
            repository=_name(setting.repository),
            goal=measured.goal,
            reproduction=measured.reproduction,
            base_commit=measured.base_sha,
            base_tree=measured.base_tree,
            head_commit=setting.head_sha,
            head_tree=measured.head_tree,
            files=report.patch.files,
            dropped=report.patch.dropped,
            diff=_diff(setting.mirror, measured.base_tree, measured.head_tree),
        ),
        policy=PolicyUsed(
            name=setting.policy.name, hash=setting.policy.digest, values=setting.policy.model_dump(mode="json")
        ),
        configuration=Configuration(
            host=host,
            language=setting.project.language,
            setup=setting.project.setup,
            test=setting.project.test_shown,
        ),
        environment=Environment(
            image=measured.image,
            packages_of=measured.packages_of,
            commands=measured.commands,
            limits={key: float(value) for key, value in asdict(setting.limits).items()},
        ),
        result=Result(verdict=report.verdict, static=setting.static, findings=report.findings, checks=report.checks),
        runs=tuple(_told(run) for run in report.runs),
        tests=_tests(report.runs, measured.tests),
        coverage=measured.coverage,
    )


def evidence_path(house: House, run_id: str, head_tree: str) -> Path:
    """Where the evidence for one judged tree of a run is kept."""
    return house.papers(run_id, f"evidence-{head_tree[:16]}.json")


def evidence_text(house: House, run_id: str) -> str:
    """The evidence file for a run's last verdict.

    Raises:
        UsageError: nothing of the run was judged, or its papers are gone.
    """
    run = house.store.run(run_id)
    if run.report is None:
        raise UsageError(f"nothing of run {run.id} was judged yet", remedy="there is evidence after its first verdict")
    try:
        return evidence_path(house, run.id, run.report.patch.head_tree).read_text(encoding="utf-8")
    except OSError as e:
        days = house.host.settings.run.keep_transcripts_days
        raise UsageError(
            f"the evidence of run {run.id} is not there any more: {e.strerror}",
            remedy=f"papers of runs that are over are kept for {days} days; judge it again with `automend gate`",
        ) from e


def sealed_in_words(house: House, run_id: str, report: Report) -> str:
    """What the seal of a judged tree's evidence says, as Markdown; "" where the file is gone."""
    path = evidence_path(house, run_id, report.patch.head_tree)
    return seal.in_words(seal.read(path)) if path.exists() else ""


def _name(repository: str) -> str:
    """What people call a repository: of a folder its last name, so that evidence tells nothing about this machine."""
    folder = repository.removeprefix("file://")
    return Path(folder).resolve().name if folder.startswith(("/", ".", "~")) else repository


def _told(run: SuiteRun) -> RunTold:
    outcomes = list(run.outcomes.values())
    passed, skipped = outcomes.count("passed"), outcomes.count("skipped")
    return RunTold(
        name=run.name,
        tree=run.tree,
        exit_code=run.exit_code,
        seconds=run.seconds,
        passed=passed,
        failed=len(outcomes) - passed - skipped,
        skipped=skipped,
        problem=run.problem,
    )


def _tests(runs: tuple[SuiteRun, ...], shown: TestEvidence | None) -> tuple[TestTold, ...]:
    by_name = {run.name: run.outcomes for run in runs}
    ids = sorted({test for outcomes in by_name.values() for test in outcomes})
    return tuple(
        TestTold(
            id=test,
            before=by_name.get("base", {}).get(test),
            after=by_name.get("head", {}).get(test),
            kept=by_name.get("kept", {}).get(test),
            red=by_name.get("red", {}).get(test),
            reason=shown.reasons.get(test) if shown is not None else None,
            flaky=shown.flaky.get(test) if shown is not None else None,
        )
        for test in ids
    )


def _diff(mirror: Mirror, base_tree: str, head_tree: str) -> str | None:
    try:
        text = diff_bytes(mirror, base_tree, head_tree, limit=_LARGEST_DIFF)
    except GitError:  # the trees cannot be read, which is the verdict already
        return None
    return base64.b64encode(text).decode("ascii") if text is not None else None


def _platform() -> Platform:
    try:
        git = subprocess.run(
            ["git", "--version"], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        git = "unknown"
    system = platform.uname()
    return Platform(
        system=f"{system.system} {system.release} {system.machine}", python=platform.python_version(), git=git
    )
