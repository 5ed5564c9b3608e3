"""Issues, their comments, and labels."""

from __future__ import annotations

from typing import Any

from runner.hub import pulls
from runner.hub.rest import shapes
from runner.hub.rest.call import Answer, ApiError, Call, Listing, Result, invalid, malformed, not_found
from runner.hub.store import Comment, Issue, Label, Pull, Repo, now


def _show(call: Call, issue: Issue) -> dict[str, Any]:
    site, links, repo = call.site, call.links, call.repo
    url = links.issue(repo, issue.number)
    page = links.talk_page(repo, issue.number, is_pull=issue.is_pull)
    out: dict[str, Any] = {
        "id": issue.id,
        "node_id": shapes.node("I", issue.id),
        "url": url,
        "repository_url": links.repo(repo),
        "labels_url": f"{url}/labels{{/name}}",
        "comments_url": f"{url}/comments",
        "events_url": f"{url}/events",
        "html_url": page,
        "number": issue.number,
        "state": issue.state,
        "state_reason": issue.state_reason,
        "title": issue.title,
        "body": issue.body,
        "user": shapes.user(site, links, issue.author),
        "labels": [shapes.label(site, links, repo, name) for name in issue.labels],
        "assignee": None,
        "assignees": [],
        "milestone": None,
        "locked": False,
        "active_lock_reason": None,
        "comments": len(site.store.find(Comment, repo=repo.id, parent=issue.number)),
        "created_at": issue.created,
        "updated_at": issue.updated,
        "closed_at": issue.closed,
        "closed_by": shapes.user(site, links, issue.closed_by) if issue.closed_by else None,
        "author_association": shapes.association(site, repo, issue.author),
        "timeline_url": f"{url}/timeline",
        "performed_via_github_app": None,
        "reactions": _reactions(url),
    }
    pull = site.store.one(Pull, repo=repo.id, parent=issue.number) if issue.is_pull else None
    if pull is not None:
        out["draft"] = pull.draft
        out["pull_request"] = {
            "url": links.pull(repo, issue.number),
            "html_url": page,
            "diff_url": f"{page}.diff",
            "patch_url": f"{page}.patch",
            "merged_at": pull.merged,
        }
    return out


def _reactions(url: str) -> dict[str, Any]:
    none = dict.fromkeys(("+1", "-1", "laugh", "hooray", "confused", "heart", "rocket", "eyes"), 0)
    return {"url": f"{url}/reactions", "total_count": 0, **none}


def index(call: Call) -> Result:
    """GET …/issues; pull requests are among them, as on GitHub."""
    state = call.asked("state", ("open", "closed", "all"), "open")
    labels = {name.strip().lower() for name in call.query.get("labels", "").split(",") if name.strip()}
    since, creator = call.query.get("since", ""), call.query.get("creator", "").lower()
    order = call.asked("sort", ("created", "updated", "comments"), "created")
    found: list[tuple[str | int, int, Issue]] = []
    for issue in call.site.store.find(Issue, repo=call.repo.id):
        has = {name.lower() for name in issue.labels}
        right = state in ("all", issue.state) and labels <= has and issue.updated >= since
        if right and creator in ("", issue.author.lower()):
            talk = len(call.site.store.find(Comment, repo=call.repo.id, parent=issue.number))
            key: str | int = talk if order == "comments" else issue.updated if order == "updated" else ""
            found.append((key, issue.number, issue))
    down = call.asked("direction", ("asc", "desc"), "desc") == "desc"
    found.sort(key=lambda row: row[:2], reverse=down)
    return Listing([issue for _, _, issue in found], lambda i: _show(call, i))


def create(call: Call) -> Result:
    """POST …/issues. Labels count only from those who may triage, as on GitHub."""
    title = _title(call)
    if not title:
        raise invalid("Issue", "missing_field", field="title")
    names = _label_names(call.array("labels") or [])
    with call.site.store.transaction():
        if not call.site.may(call.repo, call.user, "triage"):
            names = []
        issue = Issue(
            repo=call.repo.id,
            number=call.site.next_number(call.repo),
            title=title,
            body=call.text("body"),
            author=call.user.login,
            labels=[_ensure_label(call, call.repo, name).name for name in names],
        )
        call.site.store.insert(issue)
    return Answer(201, _show(call, issue), headers={"Location": call.links.issue(call.repo, issue.number)})


def get(call: Call) -> Result:
    """GET …/issues/{issue_number}."""
    return Answer(200, _show(call, call.issue()))


def update(call: Call) -> Result:
    """PATCH …/issues/{issue_number}."""
    issue = call.issue()
    if issue.author.lower() != call.user.login.lower() and not call.site.may(call.repo, call.user, "triage"):
        raise ApiError(403, "Must have triage rights to the repository.")
    state = call.choice("state", ("open", "closed"), "Issue")
    reason = call.choice("state_reason", ("completed", "not_planned", "duplicate", "reopened"), "Issue")
    names = call.array("labels")
    with call.site.git_lock, call.site.store.transaction():
        issue.title = _title(call) or issue.title
        issue.body = call.text("body") if "body" in call.body else issue.body
        if names is not None:
            issue.labels = [_ensure_label(call, call.repo, name).name for name in _label_names(names)]
        issue.updated = now()
        call.site.store.save(issue)
        if state is not None:
            pulls.set_state(call.site, call.repo, issue, state, user=call.user, reason=reason)
    return Answer(200, _show(call, issue))


def _title(call: Call) -> str:
    value = call.body.get("title")
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return (call.text("title") or "").strip()


# ── comments ─────────────────────────────────────────────────────────────────────────────────────────────────


def _show_comment(call: Call, comment: Comment) -> dict[str, Any]:
    site, links, repo = call.site, call.links, call.repo
    url = f"{links.repo(repo)}/issues/comments/{comment.id}"
    issue = pulls.issue_of(site, repo, comment.number)
    page = links.talk_page(repo, comment.number, is_pull=issue is not None and issue.is_pull)
    return {
        "id": comment.id,
        "node_id": shapes.node("IC", comment.id),
        "url": url,
        "html_url": f"{page}#issuecomment-{comment.id}",
        "body": comment.body,
        "user": shapes.user(site, links, comment.author),
        "created_at": comment.created,
        "updated_at": comment.updated,
        "issue_url": links.issue(repo, comment.number),
        "author_association": shapes.association(site, repo, comment.author),
        "performed_via_github_app": None,
        "reactions": _reactions(url),
    }


def comments(call: Call) -> Result:
    """GET …/issues/{issue_number}/comments."""
    since = call.query.get("since", "")
    found = call.site.store.find(Comment, repo=call.repo.id, parent=call.issue().number)
    return Listing([c for c in found if c.updated >= since], lambda c: _show_comment(call, c))


def all_comments(call: Call) -> Result:
    """GET …/issues/comments."""
    since = call.query.get("since", "")
    found = [c for c in call.site.store.find(Comment, repo=call.repo.id) if c.updated >= since]
    return Listing(found, lambda c: _show_comment(call, c))


def create_comment(call: Call) -> Result:
    """POST …/issues/{issue_number}/comments."""
    body = call.needed("body", "IssueComment")
    made = pulls.comment(call.site, call.repo, call.issue().number, call.user, body)
    where = {"Location": f"{call.links.repo(call.repo)}/issues/comments/{made.id}"}
    return Answer(201, _show_comment(call, made), headers=where)


def get_comment(call: Call) -> Result:
    """GET …/issues/comments/{comment_id}."""
    return Answer(200, _show_comment(call, call.record(Comment)))


def update_comment(call: Call) -> Result:
    """PATCH …/issues/comments/{comment_id}."""
    comment = _own_comment(call)
    comment.body, comment.updated = call.needed("body", "IssueComment"), now()
    call.site.store.save(comment)
    return Answer(200, _show_comment(call, comment))


def delete_comment(call: Call) -> Result:
    """DELETE …/issues/comments/{comment_id}."""
    call.site.store.delete(_own_comment(call))
    return Answer(204)


def _own_comment(call: Call) -> Comment:
    comment = call.record(Comment)
    if comment.author.lower() != call.user.login.lower() and not call.site.may(call.repo, call.user, "write"):
        raise ApiError(403, "Must have write rights to the repository, or be the author.")
    return comment


# ── labels ───────────────────────────────────────────────────────────────────────────────────────────────────


def _label_names(given: list[Any]) -> list[str]:
    names = []
    for one in given:
        name = one.get("name") if isinstance(one, dict) else one
        if not isinstance(name, str) or not name.strip():
            raise malformed("labels", "an array of names")
        names.append(name.strip())
    return list(dict.fromkeys(names))


def _ensure_label(call: Call, repo: Repo, name: str) -> Label:
    found = call.site.store.one(Label, repo=repo.id, parent=name.lower())
    return found or call.site.store.insert(Label(repo=repo.id, key=name.lower(), name=name))


def _labels_answer(call: Call, issue: Issue) -> Answer:
    return Answer(200, [shapes.label(call.site, call.links, call.repo, name) for name in issue.labels])


def issue_labels(call: Call) -> Result:
    """GET …/issues/{issue_number}/labels."""
    return Listing(call.issue().labels, lambda name: shapes.label(call.site, call.links, call.repo, name))


def add_labels(call: Call) -> Result:
    """POST …/issues/{issue_number}/labels."""
    return _set_labels(call, keep=True)


def set_labels(call: Call) -> Result:
    """PUT …/issues/{issue_number}/labels."""
    return _set_labels(call, keep=False)


def _set_labels(call: Call, *, keep: bool) -> Result:
    with call.site.store.transaction():
        issue = call.issue()
        names = [_ensure_label(call, call.repo, n).name for n in _label_names(call.array("labels") or [])]
        issue.labels = list(dict.fromkeys([*(issue.labels if keep else []), *names]))
        issue.updated = now()
        call.site.store.save(issue)
    return _labels_answer(call, issue)


def remove_label(call: Call) -> Result:
    """DELETE …/issues/{issue_number}/labels/{name}."""
    with call.site.store.transaction():
        issue = call.issue()
        left = [name for name in issue.labels if name.lower() != call.path["name"].lower()]
        if len(left) == len(issue.labels):
            raise ApiError(404, "Label does not exist")
        issue.labels, issue.updated = left, now()
        call.site.store.save(issue)
    return _labels_answer(call, issue)


def labels(call: Call) -> Result:
    """GET …/labels."""
    found = call.site.store.find(Label, repo=call.repo.id)
    return Listing(found, lambda one: shapes.label(call.site, call.links, call.repo, one.name))


def label(call: Call) -> Result:
    """GET …/labels/{name}."""
    found = call.site.store.one(Label, repo=call.repo.id, parent=call.path["name"].lower())
    if found is None:
        raise not_found()
    return Answer(200, shapes.label(call.site, call.links, call.repo, found.name))


def create_label(call: Call) -> Result:
    """POST …/labels."""
    name = call.needed("name", "Label").strip()
    with call.site.store.transaction():
        if not name or call.site.store.one(Label, repo=call.repo.id, parent=name.lower()) is not None:
            raise invalid("Label", "already_exists" if name else "missing_field", field="name")
        color = (call.text("color") or "ededed").removeprefix("#").lower()
        about = call.text("description") or ""
        call.site.store.insert(
            Label(repo=call.repo.id, key=name.lower(), name=name, color=color, description=about)
        )  # fmt: skip
    return Answer(201, shapes.label(call.site, call.links, call.repo, name))
