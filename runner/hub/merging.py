"""Whether a pull request may be merged, and merging, updating and reverting it, all without a work tree."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from runner.errors import GitError
from runner.hub import pulls
from runner.hub.bare import Bare, ConflictError, Identity
from runner.hub.pulls import Invalid
from runner.hub.site import Site, same
from runner.hub.store import CheckRun, Issue, Pull, Repo, Review, Status, User, now

Method = Literal["merge", "squash", "rebase"]
GREEN = ("success", "neutral", "skipped")


class NotMergeable(Exception):
    """GitHub's 405: conflicts, protection, or a pull request that is not open."""


class Stale(Exception):
    """GitHub's 409: the head is not what the caller thinks."""


@dataclass(frozen=True)
class Standing:
    """Where a pull request stands: `mergeable` is git's word, `state` GitHub's, `reasons` what protection misses."""

    mergeable: bool | None
    state: str
    reasons: tuple[str, ...]


# ── may it be merged ─────────────────────────────────────────────────────────────────────────────────────────


def standing(site: Site, repo: Repo, pull: Pull) -> Standing:
    """How a pull request stands right now."""
    if pull.merged is not None or not pulls.is_open(site, repo, pull):
        return Standing(None, "unknown", ())
    mergeable = _merges(site.git(repo).path, pull.base_sha, pull.head_sha)
    reasons = tuple(missing(site, repo, pull))
    if pull.draft:
        state = "draft"
    elif not mergeable:
        state = "dirty"
    elif reasons:
        state = "blocked"
    else:
        unhappy = [name for name, word in checks(site, repo, pull.head_sha).items() if word != "success"]
        state = "unstable" if unhappy else "clean"
    return Standing(mergeable, state, reasons)


@lru_cache(maxsize=1024)
def _merges(path: Path, base: str, head: str) -> bool:
    try:
        Bare(path).merge_tree(base, head)
    except ConflictError:
        return False
    return True


def missing(site: Site, repo: Repo, pull: Pull) -> list[str]:
    """What branch protection still asks for, in GitHub's words."""
    if not site.is_protected(repo, pull.base):
        return []
    reasons = []
    opinions = [r for r in latest_opinions(site, repo, pull).values() if writes(site, repo, r.author)]
    if any(r.state == "CHANGES_REQUESTED" for r in opinions):
        reasons.append("Changes were requested by a reviewer with write access.")
    approved = sum(1 for r in opinions if r.state == "APPROVED" and r.commit == pull.head_sha)
    if approved < repo.required_approvals:
        many = repo.required_approvals
        words = "approving review is" if many == 1 else "approving reviews are"
        reasons.append(f"At least {many} {words} required by reviewers with write access.")
    words_for = {"pending": "is in progress", "failure": "is failing"}
    seen = checks(site, repo, pull.head_sha)
    for name in repo.required_checks:
        word = seen.get(name)
        if word != "success":
            reasons.append(f'Required status check "{name}" {words_for.get(word or "", "is expected")}.')
    return reasons


def writes(site: Site, repo: Repo, login: str) -> bool:
    """Whether this account may write to the repository."""
    user = site.user(login)
    return user is not None and site.may(repo, user, "write")


def latest_opinions(site: Site, repo: Repo, pull: Pull) -> dict[str, Review]:
    """The last word of each reviewer, the author excepted; a mere comment does not change an earlier word."""
    issue = pulls.issue_of(site, repo, pull.number)
    author = issue.author.lower() if issue is not None else ""
    opinions: dict[str, Review] = {}
    for review in site.store.find(Review, repo=repo.id, parent=pull.number):
        who = review.author.lower()
        if who == author or review.state in ("PENDING", "COMMENTED"):
            continue
        opinions[who] = review
    return {who: review for who, review in opinions.items() if review.state != "DISMISSED"}


def checks(site: Site, repo: Repo, sha: str) -> dict[str, str]:
    """The latest of each check run and commit status by name: success, failure or pending."""
    seen: dict[str, str] = {}
    for status in site.store.find(Status, repo=repo.id, parent=sha):
        seen[status.context] = {"success": "success", "pending": "pending"}.get(status.state, "failure")
    for run in site.store.find(CheckRun, repo=repo.id, parent=sha):
        done = run.status == "completed"
        seen[run.name] = "pending" if not done else "success" if run.conclusion in GREEN else "failure"
    return seen


# ── merging ──────────────────────────────────────────────────────────────────────────────────────────────────


def merge(
    site: Site,
    repo: Repo,
    number: int,
    user: User,
    *,
    method: Method = "merge",
    sha: str | None = None,
    title: str | None = None,
    message: str | None = None,
) -> str:
    """Merge a pull request and return the commit that the base branch is at then.

    Raises:
        Stale: `sha` is not the head.
        NotMergeable: it conflicts, is not open, is a draft, or protection asks for more.
    """
    git = site.git(repo)
    with site.git_lock:
        pull = pulls.pull_of(site, repo, number)
        issue = pulls.issue_of(site, repo, number)
        if pull is None or issue is None or pull.merged is not None or issue.state != "open":
            raise NotMergeable("Pull Request is not mergeable")
        if sha is not None and sha != pull.head_sha:
            raise Stale("Head branch was modified. Review and try the merge again.")
        if pull.draft:
            raise NotMergeable("Pull Request is still a draft")
        reasons = missing(site, repo, pull)
        if reasons:
            raise NotMergeable(" ".join(reasons))
        base = git.head(pull.base)
        if base is None:
            raise NotMergeable("Base branch does not exist")
        try:
            made = _make(
                site, repo, pull, issue, base=base, user=user, method=method, title=title, message=message
            )  # fmt: skip
        except ConflictError as e:
            raise NotMergeable("Pull Request is not mergeable") from e
        pull.merging = {"sha": made, "before": base, "by": user.login}
        site.store.save(pull)
        try:
            git.move(f"refs/heads/{pull.base}", made, base)
        except GitError as e:
            pull.merging = None
            site.store.save(pull)
            raise Stale("Base branch was modified. Review and try the merge again.") from e
        finish(site, repo, pull, issue)
        pulls.synchronize(site, repo)
        return made


def _make(
    site: Site, repo: Repo, pull: Pull, issue: Issue, *, base: str, user: User, method: Method,
    title: str | None, message: str | None,
) -> str:  # fmt: skip
    git, who = site.git(repo), site.identity(user.login)
    hub = Identity("Hub", "noreply@localhost")
    if method == "rebase":
        return _rebase(git, pull, base, hub)
    tree = git.merge_tree(base, pull.head_sha)
    if method == "squash":
        commits = [git.commit(c) for c in pulls.span(site, repo, pull).commits]
        # GitHub's default: one commit gives its own words, several give the title and a list.
        only = commits[0].message.partition("\n") if len(commits) == 1 else None
        subject = title if title is not None else f"{only[0] if only else issue.title} (#{pull.number})"
        rest = only[2].strip() if only else "\n\n".join(f"* {c.message}" for c in commits)
        body = message if message is not None else rest
        author = site.identity(issue.author)
        return git.commit_tree(tree, [base], _words(subject, body), author, hub)
    subject = title if title is not None else f"Merge pull request #{pull.number} from {repo.owner}/{pull.head}"
    body = message if message is not None else issue.title
    return git.commit_tree(tree, [base, pull.head_sha], _words(subject, body), who, hub)


def _words(subject: str, body: str) -> str:
    return f"{subject}\n\n{body}".strip() + "\n"


def _rebase(git: Bare, pull: Pull, base: str, hub: Identity) -> str:
    tip = base
    for sha in git.log(pull.head_sha, f"^{base}", reverse=True):
        commit = git.commit(sha)
        if len(commit.parents) != 1:
            raise NotMergeable("This branch can't be rebased")
        tree = git.replay(base=commit.parents[0], onto=tip, wanted=sha, who=hub)
        author = Identity(commit.author.name, commit.author.email, commit.author.date)
        tip = git.commit_tree(tree, [tip], commit.message + "\n", author, hub)
    return tip


def finish(site: Site, repo: Repo, pull: Pull, issue: Issue) -> None:
    """Write down a merge whose commit is on the base branch."""
    if pull.merging is None:
        return
    with site.store.transaction():
        pull.merged, pull.merged_by = now(), pull.merging["by"]
        pull.merge_sha, pull.before_sha = pull.merging["sha"], pull.merging["before"]
        pull.merging = pull.auto_merge = None
        issue.state, issue.closed, issue.closed_by, issue.updated = "closed", now(), pull.merged_by, now()
        site.store.save(pull)
        site.store.save(issue)


def recover(site: Site, repo: Repo) -> None:
    """After a kill: finish merges whose commit reached the base branch, forget those that did not."""
    git = site.git(repo)
    for pull in site.store.find(Pull, repo=repo.id):
        issue = pulls.issue_of(site, repo, pull.number)
        if pull.merging is None or issue is None:
            continue
        tip = git.head(pull.base)
        if tip is not None and git.contains(tip, pull.merging["sha"]):
            finish(site, repo, pull, issue)
        else:
            pull.merging = None
            site.store.save(pull)


def auto_merge(site: Site, repo: Repo, sha: str) -> None:
    """Merge what asked to be merged as soon as protection is satisfied, if `sha` was its head."""
    for pull in pulls.pulls_of(site, repo):
        wish = pull.auto_merge
        if wish is None or pull.head_sha != sha or not pulls.is_open(site, repo, pull):
            continue
        user = site.user(wish["by"])
        if user is None or not site.may(repo, user, "write") or missing(site, repo, pull):
            continue
        method: Method = "squash" if wish["method"] == "squash" else "rebase" if wish["method"] == "rebase" else "merge"
        try:
            merge(site, repo, pull.number, user, method=method, sha=sha,
                  title=wish.get("title"), message=wish.get("message"))  # fmt: skip
        except (NotMergeable, Stale):
            continue  # it stays armed, as on GitHub, until its branch or its conflicts change


def update_branch(site: Site, repo: Repo, pull: Pull, user: User, expected: str | None) -> str:
    """Merge the base branch into the head branch.

    Raises:
        Invalid: the head is not `expected`, there is nothing to bring, or it conflicts.
    """
    git = site.git(repo)
    with site.git_lock:
        pull = pulls.fresh(site, repo, pull)
        if expected is not None and expected != pull.head_sha:
            raise Invalid("expected_head_sha does not match", resource="PullRequest")
        if git.contains(pull.head_sha, pull.base_sha):
            raise Invalid("There are no new commits on the base branch.", resource="PullRequest")
        try:
            tree = git.merge_tree(pull.head_sha, pull.base_sha)
        except ConflictError as e:
            raise Invalid("merge conflict between base and head", resource="PullRequest") from e
        words = f"Merge branch '{pull.base}' into {pull.head}\n"
        made = git.commit_tree(tree, [pull.head_sha, pull.base_sha], words, site.identity(user.login))
        git.move(f"refs/heads/{pull.head}", made, pull.head_sha)
        pulls.synchronize(site, repo)
        return made


# ── reverting ────────────────────────────────────────────────────────────────────────────────────────────────


def revert(
    site: Site, repo: Repo, number: int, user: User, *, title: str | None, body: str | None, draft: bool
) -> Pull:
    """Open a new pull request that undoes a merged one.

    Raises:
        Invalid: it is not merged, or cannot be undone by itself.
    """
    git = site.git(repo)
    with site.git_lock:
        pull, issue = pulls.pull_of(site, repo, number), pulls.issue_of(site, repo, number)
        if pull is None or issue is None or pull.merge_sha is None or pull.before_sha is None:
            raise Invalid("Pull request is not merged", resource="PullRequest")
        tip = git.head(pull.base)
        if tip is None:
            raise Invalid("Base branch does not exist", resource="PullRequest")
        who = site.identity(user.login)
        try:
            tree = git.replay(base=pull.merge_sha, onto=tip, wanted=pull.before_sha, who=who)
        except ConflictError as e:
            raise Invalid("The pull request can't be reverted automatically", resource="PullRequest") from e
        subject = title or f'Revert "{issue.title}"'
        branch = _free_branch(git, f"revert-{number}-{pull.head}")
        words = f"{subject}\n\nThis reverts commit {pull.merge_sha}.\n"
        git.move(f"refs/heads/{branch}", git.commit_tree(tree, [tip], words, who), same(None))
        text = body if body is not None else f"Reverts {repo.full_name}#{number}"
        return pulls.open_pull(site, repo, user, title=subject, body=text, head=branch, base=pull.base, draft=draft)


def _free_branch(git: Bare, wanted: str) -> str:
    name, n = wanted, 0
    while git.head(name) is not None:
        n += 1
        name = f"{wanted}-{n}"
    return name
