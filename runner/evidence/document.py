"""The evidence file: one JSON document with a published schema (`docs/evidence.schema.json`).

Its top-level keys are its *parts*. The seal holds a digest of each, so that a change can be named.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from runner.model import Check, CoverageEvidence, FileChange, Finding, Goal, Noun, Reproduction, Verdict

FORMAT = "automend-evidence"


class Platform(Noun):
    """Where the runner ran; the tests themselves ran in the image."""

    system: str = Field(description="The kernel, its release and the machine's architecture.")
    python: str = Field(description="The runner's own Python.")
    git: str = Field(description="The runner's git.")


class Made(Noun):
    """When and by what."""

    at: datetime = Field(description="When the verdict was reached, UTC.")
    seconds: float = Field(description="How long the judgement took.")
    automend: str = Field(description="Version of automend.")
    prompt: str | None = Field(
        None, description="Version of the agent's prompt (of its templates); None where no agent of ours wrote it."
    )
    platform: Platform


class Subject(Noun):
    """What was judged. `tests/x` paths and all others are the repository's."""

    repository: str = Field(description="OWNER/NAME, where it has one, else the name of its folder.")
    goal: Goal
    reproduction: Reproduction | None = Field(
        None, description="The command that showed the error, and the line that it printed; null where nothing did."
    )
    base_commit: str | None
    base_tree: str
    head_commit: str | None = Field(description="None where the patch was no commit (yet).")
    head_tree: str
    files: tuple[FileChange, ...]
    dropped: tuple[str, ...] = Field(description="Ignored files that were left out of the patch.")
    diff: str | None = Field(
        description="The patch as `git diff --binary --full-index` writes it, in base64; None where it is very large."
    )


class PolicyUsed(Noun):
    """The policy in force, already tightened by the repository."""

    name: str
    hash: str = Field(description="SHA-256 of all values: two policies with the same hash judge alike.")
    values: dict[str, Any] = Field(description="Every key of the policy.")


class Configuration(Noun):
    """How the repository was set up and tested.

    `host` are the host's own words (a `[repo]` table or `--repo-config`); the rest was in the base.
    """

    host: dict[str, Any]
    language: str
    setup: tuple[str, ...]
    test: str


class Environment(Noun):
    """The containers."""

    image: str | None = Field(description="Digest of the image; None where no container was started.")
    packages_of: str | None = Field(
        None, description="The day (YYYY-MM-DD) whose packages were installed; None where the newest were."
    )
    commands: tuple[str, ...] = Field(description="What was run in the workspace, as a person would type it.")
    limits: dict[str, float] = Field(description="Of every container: sizes in MiB, time in seconds.")


class RunTold(Noun):
    """One run of the suite in a fresh container."""

    name: Literal["base", "kept", "red", "head"] = Field(
        description="base: the base; kept: the patch under the base's tests; red: the base under the patch's tests; "
        "head: the patch. Where kept or red is missing, head or base stands for it."
    )
    tree: str
    exit_code: int | None
    seconds: float
    passed: int
    failed: int
    skipped: int
    problem: str = Field(description="Why it cannot be believed or did not end; empty where all is well.")


class TestTold(Noun):
    """How one test ended: passed, failed, error or skipped; None where it did not run (or was not there)."""

    __test__ = False  # not a test class, whatever pytest makes of its name

    id: str
    before: str | None = Field(description="On the base.")
    after: str | None = Field(description="On the patch.")
    kept: str | None = Field(None, description="The base's text of it, on the patch; None where `after` says it.")
    red: str | None = Field(None, description="The patch's text of it, on the base; None where `before` says it.")
    reason: str | None = Field(
        None, description="Why it was red on the base's code, where it proves the fix: exception, line, first words."
    )
    flaky: str | None = Field(None, description="How it ended when it was run again, where it went both ways.")


class Result(Noun):
    """The judgement."""

    verdict: Verdict
    static: bool = Field(description="Rules only: no container was to be started.")
    findings: tuple[Finding, ...]
    checks: tuple[Check, ...]


class Signature(Noun):
    """Over the bytes that `runner/evidence/seal.py` describes."""

    algorithm: Literal["ed25519"]
    public_key: str = Field(description="`ed25519:` and the 32 bytes of the key in base64.")
    value: str = Field(description="The 64 bytes of the signature in base64.")


class Seal(Noun):
    """What shows a change."""

    parts: dict[str, str] = Field(description="SHA-256 of each part's canonical bytes, by its key.")
    digest: str = Field(description="SHA-256 of the signed bytes: the whole document but the seal.")
    signature: Signature | None


class EvidenceFile(Noun):
    """The whole file."""

    format: Literal["automend-evidence"]
    version: Literal[1]
    made: Made
    subject: Subject
    policy: PolicyUsed
    configuration: Configuration
    environment: Environment
    result: Result
    runs: tuple[RunTold, ...]
    tests: tuple[TestTold, ...]
    coverage: CoverageEvidence | None
    seal: Seal | None = None


def schema() -> dict[str, Any]:
    """The JSON Schema of the file, as it is published."""
    made = EvidenceFile.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "automend evidence",
        "description": "What automend judged, how, and what it measured. See docs/evidence.md.",
    }
