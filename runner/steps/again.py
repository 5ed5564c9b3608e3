"""Evidence → the same question once more: where its trees are now, and under which terms they were judged."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from runner.errors import AutomendError, ConfigError, Refused, UsageError
from runner.evidence.document import EvidenceFile, Subject
from runner.git.diff import apply_text
from runner.git.mirror import Mirror
from runner.policy.schema import Policy
from runner.settings import RepoConfig


@dataclass(frozen=True)
class Change:
    """A patch by its trees. `head_sha` is the commit that holds it, if one does."""

    base_sha: str
    head_sha: str | None
    head_tree: str


@dataclass(frozen=True)
class Source:
    """A repository that a person named. `names` are all that the settings may know it by, `shown` is for people."""

    mirror: Mirror
    remote: str
    auth: Mapping[str, str]
    names: tuple[str, ...]
    shown: str

    def fetch(self, ref: str) -> str:
        """The commit of a branch, tag or commit.

        Raises:
            RepositoryError: there is none.
            GitError: the git server failed.
        """
        return self.mirror.fetch(self.remote, ref=ref, auth=self.auth)

    def change(self, base: str, *, head: str | None, patch: bytes | None) -> Change:
        """What a patch's text, or a head since it left the base, makes of the base.

        Raises:
            UsageError: the patch does not apply.
            RepositoryError: there is no such ref.
            GitError: the git server failed.
        """
        base_sha = self.fetch(base)
        if head is None:
            return Change(base_sha, None, apply_text(self.mirror, self.mirror.tree_of(base_sha), patch or b""))
        head_sha = self.fetch(head)
        base_sha = self.mirror.merge_base(base_sha, head_sha) or base_sha
        return Change(base_sha, head_sha, self.mirror.tree_of(head_sha))


@dataclass(frozen=True)
class Terms:
    """What a piece of evidence was judged by."""

    policy: Policy
    config: RepoConfig


def terms(evidence: EvidenceFile) -> Terms:
    """The policy and the configuration of a piece of evidence.

    Raises:
        ConfigError: this version knows other keys.
        Refused: the policy is not the one that the evidence says.
    """
    try:
        policy = Policy.model_validate(evidence.policy.values)
        config = RepoConfig.model_validate(evidence.configuration.host)
    except ValidationError as e:
        first = e.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"the evidence is of automend {evidence.made.automend}, and this one cannot read `{key}`: {first['msg']}",
            remedy="judge it with that version; or give --policy, and --base and --head instead of --evidence",
        ) from e
    if policy.digest != evidence.policy.hash:
        raise Refused("the evidence's `policy.values` are not those of its `policy.hash`", remedy="do not believe it")
    return Terms(policy, config)


def find_change(source: Source, subject: Subject, *, head: str | None) -> Change:
    """The trees that evidence is about: in a repository, and by the evidence's own diff.

    Raises:
        Refused: what the evidence names is something else there.
        UsageError: the evidence has neither a commit nor a diff to make the patched tree of.
        RepositoryError: the base's commit is not there.
        GitError: the git server failed.
    """
    if subject.base_commit is None:
        raise UsageError("the evidence names no commit to start from", remedy="judge with --base and --head")
    base_sha = source.fetch(subject.base_commit)
    base_tree = source.mirror.tree_of(base_sha)
    if base_tree != subject.base_tree:
        raise Refused(
            f"commit {base_sha[:12]} has the tree {base_tree[:12]}, and the evidence says {subject.base_tree[:12]}",
            remedy="its `subject` is wrong: do not believe it",
        )
    if head is not None:
        return _right(Change(base_sha, *_commit(source, head)), subject, f"`{head}`")
    if subject.diff is not None:
        tree = apply_text(source.mirror, base_tree, _decoded(subject.diff))
        return _right(Change(base_sha, subject.head_commit, tree), subject, "its own diff")
    if subject.head_commit is None:
        raise UsageError("the evidence holds no diff, as it was too large", remedy="say with --head where the patch is")
    return _right(
        Change(base_sha, *_commit(source, subject.head_commit)), subject, f"commit {subject.head_commit[:12]}"
    )


def _commit(source: Source, ref: str) -> tuple[str, str]:
    try:
        sha = source.fetch(ref)
    except AutomendError as e:
        raise type(e)(e.message, remedy=e.remedy or "say with --head where the patch is") from e
    return sha, source.mirror.tree_of(sha)


def _right(change: Change, subject: Subject, what: str) -> Change:
    if change.head_tree != subject.head_tree:
        raise Refused(
            f"{what} makes the tree {change.head_tree[:12]}, and the evidence is about {subject.head_tree[:12]}",
            remedy="this is not the patch that was judged",
        )
    return change


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as e:
        raise Refused("the evidence's `subject.diff` is not base64", remedy="do not believe it") from e
