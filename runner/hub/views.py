"""What the pages show: plain values for the templates, made from the site and git."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from runner.hub import lines, merging, pulls
from runner.hub.bare import Commit
from runner.hub.diffs import FileDiff
from runner.hub.markdown import render
from runner.hub.site import Site
from runner.hub.store import CheckRun, Comment, Issue, Pull, Repo, Review, ReviewComment, Status, User

MOST_LINES = 1500
"""Lines of one file's diff that a page shows."""

LAST = 1 << 62
"""After everything else of the same second."""

WORDS = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "asked for changes",
    "COMMENTED": "reviewed",
    "DISMISSED": "had given a review that no longer counts",
}


@dataclass(frozen=True)
class Moment:
    """One thing in a conversation."""

    at: str
    kind: str
    who: str
    words: str
    anchor: str = ""
    body: Markup | None = None
    state: str = ""
    sha: str = ""
    remarks: tuple[ReviewComment, ...] = ()
    order: int = 0


@dataclass(frozen=True)
class Row:
    """One line of a diff as it is shown, with what was said about it."""

    kind: str
    old: int | None
    new: int | None
    text: str
    remarks: tuple[tuple[ReviewComment, Markup], ...] = ()


@dataclass(frozen=True)
class FileView:
    """One file of a diff."""

    file: FileDiff
    rows: tuple[Row, ...] = ()
    hidden: int = 0


@dataclass(frozen=True)
class CheckView:
    """A check run or a commit status."""

    name: str
    word: str
    title: str
    required: bool
    text: str = ""
    link: str | None = None


@dataclass(frozen=True)
class PullRow:
    """A pull request in a list."""

    number: int
    title: str
    state: str
    author: str
    head: str
    created: str
    checks: str
    approved: bool
    labels: list[str] = field(default_factory=list)


def state_of(issue: Issue, pull: Pull | None) -> str:
    """open, draft, merged or closed."""
    if pull is not None and pull.merged is not None:
        return "merged"
    if pull is not None and pull.draft and issue.state == "open":
        return "draft"
    return issue.state


def ago(stamp: str | None) -> str:
    """A moment in words."""
    if not stamp:
        return ""
    then = datetime.fromisoformat(stamp)
    seconds = (datetime.now(UTC) - then).total_seconds()
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        count = int(seconds // size)
        if count >= 1:
            return f"{count} {word}{'s' if count > 1 else ''} ago" if word != "day" or count < 30 else stamp[:10]  # noqa: PLR2004 - a month
    return "just now"


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────


def pull_rows(site: Site, repo: Repo, *, wanted: str = "open") -> list[PullRow]:
    """Pull requests, newest first."""
    rows = []
    for pull in reversed(pulls.pulls_of(site, repo)):
        issue = pulls.issue_of(site, repo, pull.number)
        if issue is None or wanted not in {"all", issue.state}:
            continue
        opinions = merging.latest_opinions(site, repo, pull).values()
        rows.append(
            PullRow(
                number=pull.number,
                title=issue.title,
                state=state_of(issue, pull),
                author=issue.author,
                head=pull.head,
                created=issue.created,
                checks=_worst(merging.checks(site, repo, pull.head_sha)),
                approved=any(o.state == "APPROVED" and o.commit == pull.head_sha for o in opinions),
                labels=issue.labels,
            )
        )
    return rows


def _worst(words: dict[str, str]) -> str:
    for word in ("failure", "pending", "success"):
        if word in words.values():
            return word
    return "none"


def commit_rows(site: Site, repo: Repo, shas: tuple[str, ...] | list[str]) -> list[Commit]:
    """Commits for a list."""
    git = site.git(repo)
    return [git.commit(sha) for sha in shas]


# ── one pull request ─────────────────────────────────────────────────────────────────────────────────────────


def pull_page(site: Site, repo: Repo, issue: Issue, pull: Pull, viewer: User | None) -> dict[str, Any]:
    """All that a pull request's page shows."""
    brings = pulls.span(site, repo, pull)
    stands = merging.standing(site, repo, pull)
    writer = viewer is not None and site.may(repo, viewer, "write")
    own = viewer is not None and viewer.login.lower() == issue.author.lower()
    remarks = site.store.find(ReviewComment, repo=repo.id, parent=pull.number)
    waiting = {r.id for r in site.store.find(Review, repo=repo.id, parent=pull.number) if r.state == "PENDING"}
    shown = [r for r in remarks if r.review not in waiting]
    return {
        "issue": issue,
        "pull": pull,
        "state": state_of(issue, pull),
        "body": render(issue.body),
        "commits": commit_rows(site, repo, brings.commits),
        "files": [file_view(f, shown) for f in brings.files],
        "added": sum(f.added for f in brings.files),
        "removed": sum(f.removed for f in brings.files),
        "stands": stands,
        "checks": check_views(site, repo, pull),
        "opinions": sorted(merging.latest_opinions(site, repo, pull).values(), key=lambda r: r.author),
        "timeline": timeline(site, repo, issue, pull, shown),
        "may_review": viewer is not None and not own,
        "may_comment": viewer is not None,
        "may_merge": writer,
        "may_close": writer or own,
    }


def check_views(site: Site, repo: Repo, pull: Pull) -> list[CheckView]:
    """The checks of a pull request's head, also those that are required and not there yet."""
    views: dict[str, CheckView] = {}
    required = repo.required_checks if site.is_protected(repo, pull.base) else []
    words = merging.checks(site, repo, pull.head_sha)
    for status in site.store.find(Status, repo=repo.id, parent=pull.head_sha):
        name = status.context
        title = status.description or status.state
        link = status.target_url if (status.target_url or "").startswith(("http://", "https://")) else None
        views[name] = CheckView(name, words[name], title, name in required, link=link)
    for run in site.store.find(CheckRun, repo=repo.id, parent=pull.head_sha):
        title = run.title or run.conclusion or run.status.replace("_", " ")
        text, link = run.text or "", f"/{repo.full_name}/runs/{run.id}"
        views[run.name] = CheckView(run.name, words[run.name], title, run.name in required, text=text, link=link)
    for name in required:
        views.setdefault(name, CheckView(name, "pending", "expected, not reported yet", required=True))
    return sorted(views.values(), key=lambda v: v.name)


def timeline(
    site: Site, repo: Repo, issue: Issue, pull: Pull | None, remarks: list[ReviewComment]
) -> list[Moment]:  # fmt: skip
    """The conversation in its order."""
    moments = [
        Moment(c.created, "comment", c.author, "commented", f"issuecomment-{c.id}", render(c.body), order=c.id)
        for c in site.store.find(Comment, repo=repo.id, parent=issue.number)
    ]
    if pull is not None:
        moments += _reviews(site, repo, pull, remarks)
        moments += [
            Moment(c.committer.date, "commit", c.author.name, c.message.partition("\n")[0], sha=c.sha)
            for c in commit_rows(site, repo, pulls.span(site, repo, pull).commits)
        ]
        if pull.merged is not None and pull.merge_sha is not None:
            words = f"merged this into {pull.base} as"
            who = pull.merged_by or ""
            moments.append(Moment(pull.merged, "merged", who, words, sha=pull.merge_sha, order=LAST))
    if issue.closed and not (pull is not None and pull.merged):
        moments.append(Moment(issue.closed, "closed", issue.closed_by or "", "closed this", order=LAST))
    # Times are whole seconds; ids, counted over all kinds, tell the rest.
    return sorted(moments, key=lambda m: (m.at, m.order))


def _reviews(site: Site, repo: Repo, pull: Pull, remarks: list[ReviewComment]) -> list[Moment]:
    moments = []
    for review in site.store.find(Review, repo=repo.id, parent=pull.number):
        if review.state == "PENDING" or review.submitted is None:
            continue
        mine = tuple(r for r in remarks if r.review == review.id)
        if not mine and not review.body and review.state == "COMMENTED":
            continue
        words = WORDS[review.state] + (f" ({review.dismissed_because})" if review.dismissed_because else "")
        moments.append(
            Moment(
                at=review.submitted,
                kind="review",
                who=review.author,
                words=words,
                anchor=f"pullrequestreview-{review.id}",
                body=render(review.body) if review.body else None,
                state=review.state,
                sha=review.commit,
                remarks=mine,
                order=review.id,
            )
        )
    return moments


# ── diffs ────────────────────────────────────────────────────────────────────────────────────────────────────


def file_view(file: FileDiff, remarks: list[ReviewComment]) -> FileView:
    """One file's diff with what was said about its lines."""
    said: dict[int, list[tuple[ReviewComment, Markup]]] = {}
    for remark in remarks:
        if remark.path == file.path and remark.position is not None:
            said.setdefault(remark.position, []).append((remark, render(remark.body)))
    kinds = {"+": "add", "-": "del", "@": "hunk", "\\": "note"}
    rows = [
        Row(kinds.get(line.kind, "same"), line.old, line.new, line.text, tuple(said.get(line.position, ())))
        for line in lines.numbered(file.patch or "")
    ]
    return FileView(file, tuple(rows[:MOST_LINES]), max(0, len(rows) - MOST_LINES))
