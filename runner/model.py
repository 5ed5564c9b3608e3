"""The nouns of automend, frozen. `docs/glossary.md` says what each word means.

All of them travel through the durable engine and the store as JSON (`model_dump(mode="json")`), so they hold
plain values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Noun(BaseModel):
    """A frozen value; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# ── judgement ────────────────────────────────────────────────────────────────────────────────────────────────


class Verdict(StrEnum):
    """A judgement. The four are never folded into two."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"

    @staticmethod
    def worst(verdicts: list[Verdict]) -> Verdict:
        """The verdict of a whole: no if any part is no, then error, then inconclusive; nothing is inconclusive."""
        for verdict in (Verdict.FAILED, Verdict.ERROR, Verdict.INCONCLUSIVE):
            if verdict in verdicts:
                return verdict
        return Verdict.PASSED if verdicts else Verdict.INCONCLUSIVE


class Finding(Noun):
    """One rule's explained outcome.

    `rule` is `family.name` as in the policy file; `remedy` is what would satisfy the rule. `review` marks a
    finding that passes but must be shown to the reviewer.
    """

    rule: str
    verdict: Verdict
    message: str
    path: str | None = None
    line: int | None = None
    remedy: str = ""
    review: bool = False


class Check(Noun):
    """One measurement: tests, coverage, lint. `details` is what the evidence keeps of it."""

    name: str
    verdict: Verdict
    summary: str
    seconds: float = 0.0
    details: dict[str, Any] = Field(default_factory=dict)


# ── work ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Goal(StrEnum):
    """What a job is for."""

    FIX = "fix"
    IMPROVE = "improve"
    TEST = "test"
    DOCS = "docs"
    DEPS = "deps"


class Trigger(Noun):
    """An outside event asking for work."""

    kind: Literal["manual", "log", "schedule", "dispatch", "issue", "review"] = "manual"
    source: str = ""
    fingerprint: str | None = None


class Reproduction(Noun):
    """What shows the error that a fix is for: a shell command that fails while it is there.

    With `error`, the command was made of a traceback, and only a failure that prints this line is that error.
    """

    command: str
    error: str = ""


class Job(Noun):
    """What is asked. `context` is untrusted text (a log, an issue); `repo` is spelled as the person did.

    `reproduce` is a shell command that fails while the error is there, or "".
    """

    repo: str
    base: str | None = None
    goal: Goal = Goal.FIX
    title: str = ""
    context: str = ""
    reproduce: str = ""
    agents: tuple[str, ...] = ()
    policy: str | None = None
    repo_config: str | None = None
    dry_run: bool = False
    trigger: Trigger = Trigger()


class Place(Noun):
    """Where a repository is: `remote` for git, `forge` (OWNER/NAME) where it lives on the forge."""

    remote: str
    forge: str | None = None
    path: str | None = None


class RunStatus(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    WORKING = "working"
    PROPOSED = "proposed"
    LANDING = "landing"
    LANDED = "landed"
    REVERTED = "reverted"
    REFUSED = "refused"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    JUDGED = "judged"
    CLOSED = "closed"
    STOPPED = "stopped"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to the run."""
        return self not in {RunStatus.QUEUED, RunStatus.WORKING, RunStatus.PROPOSED, RunStatus.LANDING}


class Base(Noun):
    """What a run starts from: one commit of one repository, already in the runner's own mirror.

    `forge` is OWNER/NAME where the repository lives on a forge, else None (then the run ends with a branch).
    `remote` is the git address without credentials.
    """

    repo: str
    forge: str | None
    remote: str
    ref: str
    sha: str
    tree: str


class FileChange(Noun):
    """One path of a patch, as git's plumbing tells it. Modes are git's octal strings; None where absent."""

    path: str
    status: Literal["A", "M", "D", "T"]
    old_mode: str | None = None
    new_mode: str | None = None
    old_blob: str | None = None
    new_blob: str | None = None
    added: int = 0
    removed: int = 0
    binary: bool = False


class Patch(Noun):
    """Base tree → head tree. `dropped` lists ignored files that the agent left and we did not take."""

    base_tree: str
    head_tree: str
    files: tuple[FileChange, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def added(self) -> int:
        """Lines added, binary files counting none."""
        return sum(f.added for f in self.files)

    @property
    def removed(self) -> int:
        """Lines removed, binary files counting none."""
        return sum(f.removed for f in self.files)


@dataclass(frozen=True)
class FileHunks:
    """The changed lines of one file, for rules that read them; never stored, as lines are bytes of any encoding.

    Each line is (its number, its bytes without the line feed): `added` numbered in the new file, `removed` in the
    old one, both counted from 1 and by line feeds alone, as git counts. Binary files have neither.
    """

    path: str
    added: tuple[tuple[int, bytes], ...] = ()
    removed: tuple[tuple[int, bytes], ...] = ()


class Usage(Noun):
    """What an attempt took from the model provider, as metered by the gateway. `input` includes `cached`."""

    requests: int = 0
    input: int = 0
    cached: int = 0
    output: int = 0
    cost_usd: float | None = None


class Outcome(StrEnum):
    """How an attempt of an agent ended."""

    DONE = "done"
    NO_CHANGE = "no_change"
    TIMEOUT = "timeout"
    BUDGET = "budget"
    PROVIDER_DOWN = "provider_down"
    CRASHED = "crashed"
    OUTPUT_FLOOD = "output_flood"
    LEAKED = "leaked"


class Attempt(Noun):
    """One try of an agent in a run. `tree` is what it left, imported and named by the runner's own git."""

    number: int
    agent: str
    model: str
    outcome: Outcome
    detail: str = ""
    exit_code: int | None = None
    message: str = ""
    prompt: str = Field("", description="The version of the prompt's templates: twelve digits of their hash.")
    tool_calls: int = 0
    usage: Usage = Usage()
    seconds: float = 0.0
    transcript: str | None = None
    start: str | None = Field(None, description="The tree that it began on.")
    tree: str | None = None
    dropped: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────────────────


class TestEvidence(Noun):
    """What the tests showed. Ids are the test runner's own (`tests/test_x.py::test_y`).

    `reasons` says of each test in `red_to_green` why it was red (exception, line, first words). `flaky` tests went
    both ways when they were run again, and count for nothing.
    """

    __test__ = False  # not a test class, whatever pytest makes of its name

    baseline_passed: int = 0
    baseline_failed: tuple[str, ...] = ()
    head_passed: int = 0
    red_to_green: tuple[str, ...] = ()
    regressions: tuple[str, ...] = ()
    flaky: dict[str, str] = Field(default_factory=dict)
    reasons: dict[str, str] = Field(default_factory=dict)


class SuiteRun(Noun):
    """One run of the suite on one tree: how every test of it ended, by id.

    `name` says which of the four it is (see `runner/steps/verify.py`), `tree` what it ran on. `problem` says why it
    cannot be believed or did not end; then `outcomes` may be partial.
    """

    name: Literal["base", "kept", "red", "head"]
    tree: str
    exit_code: int | None = None
    seconds: float = 0.0
    problem: str = ""
    outcomes: dict[str, str] = Field(default_factory=dict)


class CoverageEvidence(Noun):
    """Percent of lines covered, 0-100; None where it could not be measured."""

    before: float | None = None
    after: float | None = None
    changed_lines: int = 0
    changed_covered: int = 0


class Evidence(Noun):
    """What was measured, enough to measure it again."""

    base_sha: str | None = None
    base_tree: str = ""
    head_tree: str = ""
    goal: Goal = Goal.FIX
    reproduction: Reproduction | None = Field(None, description="What showed the error; null where nothing did.")
    image: str | None = None
    prompt: str | None = Field(None, description="The version of the agent's prompt; null where no agent of ours was.")
    packages_of: str | None = Field(None, description="The day of the environment's packages; today's, where null.")
    commands: tuple[str, ...] = ()
    tests: TestEvidence | None = None
    coverage: CoverageEvidence | None = None
    policy: str = "default"
    policy_hash: str = ""
    limits: dict[str, int] = Field(default_factory=dict)
    version: str = ""
    seconds: float = 0.0


class Report(Noun):
    """The gate's whole answer: one verdict, and everything that led to it.

    `runs` holds every test of every run, which may be megabytes: it goes into the evidence file, and never through
    the store or a checkpoint.
    """

    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    checks: tuple[Check, ...] = ()
    patch: Patch
    evidence: Evidence = Evidence()
    runs: tuple[SuiteRun, ...] = Field((), exclude=True, repr=False)

    def to_json(self) -> dict[str, Any]:
        """The document that `automend gate --json` prints (a fixed contract)."""
        return {
            "verdict": self.verdict.value,
            "findings": [f.model_dump(mode="json") for f in self.findings],
            "checks": [c.model_dump(mode="json") for c in self.checks],
            "patch": {
                "files": len(self.patch.files),
                "added": self.patch.added,
                "removed": self.patch.removed,
                "paths": [f.path for f in self.patch.files],
                "dropped": list(self.patch.dropped),
            },
            "evidence": self.evidence.model_dump(mode="json"),
        }


# ── the forge ────────────────────────────────────────────────────────────────────────────────────────────────


class PullRequest(Noun):
    """A pull request as the forge has it now."""

    repo: str
    number: int
    url: str
    title: str = ""
    state: Literal["open", "closed", "merged"] = "open"
    author: str = ""
    branch: str
    base: str
    head_sha: str
    merge_sha: str | None = None
    mergeable: bool | None = None


class CiStatus(Noun):
    """The forge's CI on one commit. Nothing there, or still going: INCONCLUSIVE."""

    verdict: Verdict
    summary: str
    failures: tuple[str, ...] = ()


class Review(Noun):
    """One review by one person, bound to the commit it names."""

    id: int
    author: str
    state: Literal["approved", "changes_requested", "commented", "dismissed"]
    commit_sha: str
    can_write: bool
    body: str = ""


class Readiness(Noun):
    """Whether a pull request may land, computed from the forge's state at this moment, and why."""

    verdict: Verdict
    reasons: tuple[str, ...]
    head_sha: str
    approvals: int = 0
    feedback: str = ""


# ── production ───────────────────────────────────────────────────────────────────────────────────────────────


class Rollout(Noun):
    """Putting a release (a commit) live, or taking it back. `output` is the command's, capped."""

    release: str
    previous: str | None = None
    verdict: Verdict
    detail: str = ""
    output: str = ""
    seconds: float = 0.0


class Level(StrEnum):
    """The judgement over a window of readings."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class Health(Noun):
    """What the probes saw over a window. Rates are 0-1, times in milliseconds; None where nothing was read."""

    level: Level
    summary: str
    readings: int = 0
    failures: int = 0
    median_ms: float | None = None
    errors_per_minute: float | None = None
    release: str | None = None


class Moment(Noun):
    """One line of a run's audit trail."""

    at: datetime
    run: str
    step: str
    verdict: Verdict | None = None
    summary: str = ""
    seconds: float = 0.0
    data: dict[str, Any] = Field(default_factory=dict)


class Run(Noun):
    """One execution of a job, as the store has it.

    `environment` is the image that the repository's commands run in. `start_tree` and `feedback` are what the agent
    starts from when it is not the base (a revision); `round` counts the attempts that were made before it; `heard`
    names the reviews and CI failures that were already answered. `report` is the last verdict, `proposed` the one on
    the commit that the pull request has (`head_sha`).
    """

    id: str
    job: Job
    status: RunStatus
    reason: str = ""
    base: Base | None = None
    environment: str | None = None
    start_tree: str | None = None
    feedback: str = ""
    round: int = 0
    attempts: tuple[Attempt, ...] = ()
    report: Report | None = None
    summary: str = ""
    branch: str | None = None
    head_sha: str | None = None
    proposed: Report | None = None
    pull: PullRequest | None = None
    heard: tuple[str, ...] = ()
    merge_sha: str | None = None
    before: Health | None = None
    rollout: Rollout | None = None
    after: Health | None = None
    rollback: Rollout | None = None
    revert_pull: PullRequest | None = None
    exit_code: int | None = None
    created: datetime
    updated: datetime
