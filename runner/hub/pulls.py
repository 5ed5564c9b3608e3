"""What people and programs do with pull requests and issues, whichever door they come through (REST, GraphQL, pages).

Functions raise `Invalid` with GitHub's words when the request cannot be done.
"""

from __future__ import annotations

from dataclasses import dataclass

from runner.errors import GitError
from runner.hub.diffs import FileDiff
from runner.hub.site import Site
from runner.hub.store import Comment, Issue, Pull, Repo, Review, User, now


class Invalid(Exception):
    """The request makes no sense in the present state (GitHub's 422).

    Args:
        message: GitHub's words.
        resource: what it is about: PullRequest, Issue, ...
        field: which field, where it is one.
        code: missing, missing_field, invalid, already_exists or custom.
    """

    def __init__(self, message: str, *, resource: str, field: str | None = None, code: str = "custom") -> None:
        super().__init__(message)
        self.message, self.resource, self.field, self.code = message, resource, field, code


@dataclass(frozen=True)
class Span:
    """The commits of a pull request: from `base` (merge base) to `head`."""

    base: str
    head: str
    commits: tuple[str, ...]
    files: tuple[FileDiff, ...]


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────


def issue_of(site: Site, repo: Repo, number: int) -> Issue | None:
    """An issue or pull request's conversation."""
    return site.store.one(Issue, repo=repo.id, parent=number)


def pull_of(site: Site, repo: Repo, number: int) -> Pull | None:
    """A pull request, with what git says now about its branches."""
    pull = site.store.one(Pull, repo=repo.id, parent=number)
    return fresh(site, repo, pull) if pull is not None else None


def pulls_of(site: Site, repo: Repo) -> list[Pull]:
    """All pull requests, oldest first."""
    return [fresh(site, repo, pull) for pull in site.store.find(Pull, repo=repo.id)]


def fresh(site: Site, repo: Repo, pull: Pull) -> Pull:
    """The same with the head and base that git has; a closed pull request keeps what it ended with."""
    issue = issue_of(site, repo, pull.number)
    if issue is not None and issue.state == "open":
        git = site.git(repo)
        pull.head_sha = git.head(pull.head) or pull.head_sha
        pull.base_sha = git.head(pull.base) or pull.base_sha
    return pull


def is_open(site: Site, repo: Repo, pull: Pull) -> bool:
    """Whether a pull request is still open."""
    issue = issue_of(site, repo, pull.number)
    return issue is not None and issue.state == "open"


def span(site: Site, repo: Repo, pull: Pull) -> Span:
    """What a pull request brings: its commits and its diff against the merge base."""
    git = site.git(repo)
    against = pull.before_sha or pull.base_sha
    base = git.merge_base(against, pull.head_sha) or against
    return Span(
        base=base,
        head=pull.head_sha,
        commits=tuple(git.log(pull.head_sha, f"^{against}", reverse=True, limit=250)),
        files=git.diff(base, pull.head_sha),
    )


# ── opening and changing ─────────────────────────────────────────────────────────────────────────────────────


def open_pull(
    site: Site, repo: Repo, user: User, *, title: str, body: str | None, head: str, base: str, draft: bool = False
) -> Pull:
    """Open a pull request for a branch of the same repository. `head` may be OWNER:BRANCH.

    Raises:
        Invalid: a branch is missing, nothing differs, or there is an open one already.
    """
    owner, colon, branch = head.partition(":")
    branch = branch if colon else head
    git = site.git(repo)
    if colon and owner.lower() != repo.owner.lower():
        raise Invalid("", resource="PullRequest", field="head", code="invalid")
    head_sha, base_sha = git.head(branch), git.head(base)
    for name, sha in (("head", head_sha), ("base", base_sha)):
        if sha is None:
            raise Invalid("", resource="PullRequest", field=name, code="invalid")
    assert head_sha is not None  # noqa: S101 - told to the type checker; the loop above raised otherwise
    assert base_sha is not None  # noqa: S101
    if not title.strip():
        raise Invalid("", resource="PullRequest", field="title", code="missing_field")
    with site.store.transaction():
        for other in site.store.find(Pull, repo=repo.id):
            if (other.head, other.base) == (branch, base) and is_open(site, repo, other):
                raise Invalid(f"A pull request already exists for {repo.owner}:{branch}.", resource="PullRequest")
        if git.merge_base(base_sha, head_sha) is None:
            words = f"The {branch} branch has no history in common with {base}"
            raise Invalid(words, resource="PullRequest")
        if git.contains(base_sha, head_sha):
            raise Invalid(f"No commits between {base} and {branch}", resource="PullRequest")
        number = site.next_number(repo)
        site.store.insert(
            Issue(repo=repo.id, number=number, title=title, body=body, author=user.login, is_pull=True)
        )  # fmt: skip
        pull = site.store.insert(
            Pull(
                repo=repo.id, number=number, head=branch, base=base, head_sha=head_sha, base_sha=base_sha, draft=draft
            )
        )  # fmt: skip
    if git.head(branch) != head_sha:
        synchronize(site, repo)  # a push came in between, and found no pull request yet
        return fresh(site, repo, pull)
    git.move(f"refs/pull/{number}/head", head_sha)
    site.want_ci(repo, head_sha)
    return pull


def set_state(site: Site, repo: Repo, issue: Issue, state: str, *, user: User, reason: str | None = None) -> None:
    """Close or reopen an issue or a pull request.

    Raises:
        Invalid: a merged pull request, or one whose branch is gone, cannot be reopened.
    """
    if state == issue.state:
        return
    pull = site.store.one(Pull, repo=repo.id, parent=issue.number) if issue.is_pull else None
    if pull is not None and state == "open":
        if pull.merged is not None:
            raise Invalid("", resource="PullRequest", field="state", code="invalid")
        if site.git(repo).head(pull.head) is None:
            words = "state cannot be changed. The head branch has been deleted."
            raise Invalid(words, resource="PullRequest", field="state", code="invalid")
    if pull is not None and state == "closed":
        site.store.save(fresh(site, repo, pull))
    issue.state, issue.updated = state, now()
    issue.closed, issue.closed_by = (now(), user.login) if state == "closed" else (None, None)
    if not issue.is_pull:
        issue.state_reason = (reason or "completed") if state == "closed" else "reopened"
    site.store.save(issue)
    if pull is not None and state == "open":
        synchronize(site, repo)


def synchronize(site: Site, repo: Repo) -> None:
    """After branches moved: bring open pull requests up to what git says, dismiss stale approvals, ask for CI.

    Safe to call at any time; a restart calls it for what a killed hub did not get to.
    """
    git = site.git(repo)
    with site.git_lock:
        for pull in site.store.find(Pull, repo=repo.id):
            issue = issue_of(site, repo, pull.number)
            if issue is None or issue.state != "open":
                continue
            tip = git.head(pull.head)
            if tip is None:
                # The branch was deleted: GitHub closes the pull request.
                issue.state, issue.closed, issue.updated = "closed", now(), now()
                site.store.save(issue)
                continue
            if tip != pull.head_sha:
                pull.head_sha, issue.updated = tip, now()
                pull.base_sha = git.head(pull.base) or pull.base_sha
                with site.store.transaction():
                    site.store.save(pull)
                    site.store.save(issue)
                    _dismiss_stale(site, repo, pull)
            if git.resolve(f"refs/pull/{pull.number}/head") != tip:
                git.move(f"refs/pull/{pull.number}/head", tip)
            site.want_ci(repo, tip)


def _dismiss_stale(site: Site, repo: Repo, pull: Pull) -> None:
    if pull.base != repo.default_branch or repo.required_approvals == 0:
        return
    for review in site.store.find(Review, repo=repo.id, parent=pull.number):
        if review.state == "APPROVED" and review.commit != pull.head_sha:
            review.state, review.dismissed_because = "DISMISSED", "The head of the pull request moved."
            site.store.save(review)


# ── talking ──────────────────────────────────────────────────────────────────────────────────────────────────

EVENTS = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED", None: "PENDING"}


def review(
    site: Site, repo: Repo, pull: Pull, user: User, *, event: str | None, body: str, commit: str | None = None
) -> Review:
    """Give a review of the head, or of the commit that is named.

    Raises:
        Invalid: one's own pull request, no words where they are needed, or a commit that is not there.
    """
    issue = issue_of(site, repo, pull.number)
    own = issue is not None and issue.author.lower() == user.login.lower()
    if own and event in ("APPROVE", "REQUEST_CHANGES"):
        verb = "approve" if event == "APPROVE" else "request changes on"
        raise Invalid(f"Can not {verb} your own pull request", resource="PullRequestReview")
    if event == "REQUEST_CHANGES" and not body.strip():
        raise Invalid("Body can't be blank", resource="PullRequestReview")
    sha = commit or pull.head_sha
    git = site.git(repo)
    try:
        known = git.type_of(sha) == "commit" and git.contains(pull.head_sha, sha)
    except GitError:
        known = False
    if not known:
        raise Invalid("Commit is not part of the pull request", resource="PullRequestReview")
    made = Review(
        repo=repo.id,
        number=pull.number,
        author=user.login,
        state=EVENTS[event],
        body=body,
        commit=sha,
        submitted=now() if event else None,
    )
    with site.store.transaction():
        touch(site, repo, pull.number)
        return site.store.insert(made)


def comment(site: Site, repo: Repo, number: int, user: User, body: str) -> Comment:
    """Say something in a conversation.

    Raises:
        Invalid: nothing was said.
    """
    if not body.strip():
        raise Invalid("Body can't be blank", resource="IssueComment", field="body", code="unprocessable")
    with site.store.transaction():
        touch(site, repo, number)
        return site.store.insert(Comment(repo=repo.id, number=number, author=user.login, body=body))


def touch(site: Site, repo: Repo, number: int) -> None:
    """Note that something happened in a conversation."""
    issue = issue_of(site, repo, number)
    if issue is not None:
        issue.updated = now()
        site.store.save(issue)
