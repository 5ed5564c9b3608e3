"""Pull requests: list, open, read, change, files, commits, merge."""

from __future__ import annotations

from typing import Any, cast

from runner.hub import merging, pulls
from runner.hub.rest import shapes
from runner.hub.rest.call import Answer, ApiError, Call, Listing, Result, invalid, malformed, not_found
from runner.hub.store import Comment, Issue, Pull, ReviewComment, now


def _issue(call: Call, pull: Pull) -> Issue:
    found = pulls.issue_of(call.site, call.repo, pull.number)
    if found is None:
        raise not_found()
    return found


def pull_simple(call: Call, pull: Pull) -> dict[str, Any]:
    """GitHub's `pull-request-simple`."""
    site, links, repo = call.site, call.links, call.repo
    issue = _issue(call, pull)
    url, page = links.pull(repo, pull.number), links.pull_page(repo, pull.number)
    conversation = links.issue(repo, pull.number)
    whole = shapes.repository(site, links, repo)
    urls = {
        "comments": f"{conversation}/comments",
        "review_comments": f"{url}/comments",
        "review_comment": f"{links.repo(repo)}/pulls/comments{{/number}}",
        "commits": f"{url}/commits",
        "statuses": f"{links.repo(repo)}/statuses/{pull.head_sha}",
    }

    def side(branch: str, sha: str) -> dict[str, Any]:
        owner = shapes.user(site, links, repo.owner)
        return {"label": f"{repo.owner}:{branch}", "ref": branch, "sha": sha, "user": owner, "repo": whole}

    return {
        "url": url,
        "id": pull.id,
        "node_id": shapes.node("PR", pull.id),
        "html_url": page,
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "issue_url": conversation,
        "commits_url": urls["commits"],
        "review_comments_url": urls["review_comments"],
        "review_comment_url": urls["review_comment"],
        "comments_url": urls["comments"],
        "statuses_url": urls["statuses"],
        "number": pull.number,
        "state": issue.state,
        "locked": False,
        "title": issue.title,
        "user": shapes.user(site, links, issue.author),
        "body": issue.body,
        "labels": [shapes.label(site, links, repo, name) for name in issue.labels],
        "milestone": None,
        "active_lock_reason": None,
        "created_at": issue.created,
        "updated_at": issue.updated,
        "closed_at": issue.closed,
        "merged_at": pull.merged,
        "merge_commit_sha": pull.merge_sha,
        "assignee": None,
        "assignees": [],
        "requested_reviewers": [shapes.user(site, links, login) for login in pull.requested_reviewers],
        "requested_teams": [],
        "head": side(pull.head, pull.head_sha),
        "base": side(pull.base, pull.base_sha),
        "_links": {
            "self": {"href": url},
            "html": {"href": page},
            "issue": {"href": conversation},
            **{name: {"href": href} for name, href in urls.items()},
        },
        "author_association": shapes.association(site, repo, issue.author),
        "auto_merge": _auto_merge(call, pull),
        "draft": pull.draft,
    }


def _auto_merge(call: Call, pull: Pull) -> dict[str, Any] | None:
    wish = pull.auto_merge
    if wish is None:
        return None
    return {
        "enabled_by": shapes.user(call.site, call.links, wish["by"]),
        "merge_method": wish["method"],
        "commit_title": wish.get("title", ""),
        "commit_message": wish.get("message", ""),
    }


def pull_full(call: Call, pull: Pull) -> dict[str, Any]:
    """GitHub's `pull-request`."""
    site, repo = call.site, call.repo
    stands = merging.standing(site, repo, pull)
    brings = pulls.span(site, repo, pull)
    return {
        **pull_simple(call, pull),
        "merged": pull.merged is not None,
        "mergeable": stands.mergeable,
        "rebaseable": stands.mergeable,
        "mergeable_state": stands.state,
        "merged_by": shapes.user(site, call.links, pull.merged_by) if pull.merged_by else None,
        "comments": len(site.store.find(Comment, repo=repo.id, parent=pull.number)),
        "review_comments": len(site.store.find(ReviewComment, repo=repo.id, parent=pull.number)),
        "maintainer_can_modify": pull.maintainer_can_modify,
        "commits": len(brings.commits),
        "additions": sum(f.added for f in brings.files),
        "deletions": sum(f.removed for f in brings.files),
        "changed_files": len(brings.files),
    }


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────


def index(call: Call) -> Result:
    """GET …/pulls."""
    state = call.asked("state", ("open", "closed", "all"), "open")
    head, base = call.query.get("head"), call.query.get("base")
    order = call.asked("sort", ("created", "updated", "popularity", "long-running"), "created")
    default = "desc" if order == "created" else "asc"
    down = call.asked("direction", ("asc", "desc"), default) == "desc"
    found: list[tuple[str, int, Pull]] = []
    for pull in pulls.pulls_of(call.site, call.repo):
        issue = _issue(call, pull)
        # GitHub takes a `head` without an owner for no filter at all.
        wanted = head is None or ":" not in head or head.lower() == f"{call.repo.owner}:{pull.head}".lower()
        if state in ("all", issue.state) and wanted and base in (None, "", pull.base):
            found.append((issue.updated if order == "updated" else "", pull.number, pull))
    found.sort(key=lambda row: row[:2], reverse=down)
    return Listing([pull for _, _, pull in found], lambda p: pull_simple(call, p))


def get(call: Call) -> Result:
    """GET …/pulls/{pull_number}; as a diff where that is accepted."""
    pull = call.pull()
    if "vnd.github" in call.accept and ("diff" in call.accept or "patch" in call.accept):
        text = call.git.diff_text(pulls.span(call.site, call.repo, pull).base, pull.head_sha)
        return Answer(200, text=text, media="application/vnd.github.diff; charset=utf-8")
    return Answer(200, pull_full(call, pull))


def files(call: Call) -> Result:
    """GET …/pulls/{pull_number}/files."""
    pull = call.pull()
    found = pulls.span(call.site, call.repo, pull).files[:3000]
    return Listing(found, lambda f: shapes.file(call.links, call.repo, pull.head_sha, f))


def commits(call: Call) -> Result:
    """GET …/pulls/{pull_number}/commits."""
    found = pulls.span(call.site, call.repo, call.pull()).commits
    return Listing(found, lambda sha: shapes.commit(call.site, call.links, call.repo, sha))


# ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────


def create(call: Call) -> Result:
    """POST …/pulls."""
    if call.integer("issue") is not None:
        raise invalid("PullRequest", "invalid", field="issue")
    pull = pulls.open_pull(
        call.site,
        call.repo,
        call.user,
        title=call.needed("title", "PullRequest"),
        body=call.text("body"),
        head=call.needed("head", "PullRequest"),
        base=call.needed("base", "PullRequest"),
        draft=call.flag("draft"),
    )
    call.flag("maintainer_can_modify")  # of no use without forks; its type is checked all the same
    where = {"Location": call.links.pull(call.repo, pull.number)}
    return Answer(201, pull_full(call, pull), headers=where)


def update(call: Call) -> Result:
    """PATCH …/pulls/{pull_number}."""
    pull, issue = call.pull(), call.issue()
    if issue.author.lower() != call.user.login.lower() and not call.site.may(call.repo, call.user, "write"):
        raise ApiError(403, "Must have write rights to the repository.")
    title, body = call.text("title"), call.text("body")
    state = call.choice("state", ("open", "closed"), "PullRequest")
    base = call.text("base")
    if title is not None and not title.strip():
        raise invalid("PullRequest", "missing_field", field="title")
    with call.site.git_lock, call.site.store.transaction():
        if base is not None and base != pull.base:
            sha = call.git.head(base)
            if sha is None or pull.merged is not None:
                raise invalid("PullRequest", "invalid", field="base")
            pull.base, pull.base_sha = base, sha
            call.site.store.save(pull)
        issue.title = title if title is not None else issue.title
        issue.body = body if body is not None else issue.body
        issue.updated = now()
        call.site.store.save(issue)
        if state is not None:
            pulls.set_state(call.site, call.repo, issue, state, user=call.user)
    return Answer(200, pull_full(call, call.pull()))


def request_reviewers(call: Call) -> Result:
    """POST …/pulls/{pull_number}/requested_reviewers."""
    pull, issue = call.pull(), call.issue()
    for login in call.array("reviewers") or []:
        who = call.site.user(login) if isinstance(login, str) else None
        if who is None or not call.site.may(call.repo, who, "read"):
            raise ApiError(422, "Reviews may only be requested from collaborators.")
        if who.login.lower() == issue.author.lower():
            raise ApiError(422, "Review cannot be requested from pull request author.")
        if who.login not in pull.requested_reviewers:
            pull.requested_reviewers.append(who.login)
    call.site.store.save(pull)
    return Answer(201, pull_simple(call, pull))


def requested_reviewers(call: Call) -> Result:
    """GET …/pulls/{pull_number}/requested_reviewers."""
    people = [shapes.user(call.site, call.links, login) for login in call.pull().requested_reviewers]
    return Answer(200, {"users": people, "teams": []})


# ── merging ──────────────────────────────────────────────────────────────────────────────────────────────────


def is_merged(call: Call) -> Result:
    """GET …/pulls/{pull_number}/merge: 204 or 404."""
    return Answer(404 if call.pull().merged is None else 204)


def merge(call: Call) -> Result:
    """PUT …/pulls/{pull_number}/merge."""
    method = call.text("merge_method", "merge")
    if method not in ("merge", "squash", "rebase"):
        raise malformed("merge_method", "merge, squash or rebase")
    sha = merging.merge(
        call.site,
        call.repo,
        call.pull().number,
        call.user,
        method=cast("merging.Method", method),
        sha=call.text("sha"),
        title=call.text("commit_title"),
        message=call.text("commit_message"),
    )
    return Answer(200, {"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


def update_branch(call: Call) -> Result:
    """PUT …/pulls/{pull_number}/update-branch."""
    pull = call.pull()
    merging.update_branch(call.site, call.repo, pull, call.user, call.text("expected_head_sha"))
    return Answer(
        202, {"message": "Updating pull request branch.", "url": call.links.pull(call.repo, pull.number)}
    )  # fmt: skip
