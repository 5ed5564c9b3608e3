"""Check runs and commit statuses."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from runner.hub import merging, pulls
from runner.hub.rest import shapes
from runner.hub.rest.call import Answer, Call, Listing, Result, invalid
from runner.hub.store import CheckRun, Status, now

STATES = ("queued", "in_progress", "completed", "waiting", "requested", "pending")
CONCLUSIONS = (
    "action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out",
)  # fmt: skip


def _show(call: Call, run: CheckRun) -> dict[str, Any]:
    site, links, repo = call.site, call.links, call.repo
    url = f"{links.repo(repo)}/check-runs/{run.id}"
    page = f"{links.page(repo)}/runs/{run.id}"
    mine = [p for p in pulls.pulls_of(site, repo) if p.head_sha == run.sha and pulls.is_open(site, repo, p)]
    return {
        "id": run.id,
        "name": run.name,
        "node_id": shapes.node("CR", run.id),
        "head_sha": run.sha,
        "external_id": run.external_id,
        "url": url,
        "html_url": page,
        "details_url": run.details_url or page,
        "status": run.status,
        "conclusion": run.conclusion,
        "started_at": run.started,
        "completed_at": run.completed,
        "output": {
            "title": run.title,
            "summary": run.summary,
            "text": run.text,
            "annotations_count": len(run.annotations),
            "annotations_url": f"{url}/annotations",
        },
        "check_suite": {"id": repo.id},
        "app": _app(call, run),
        "pull_requests": [shapes.pull_brief(links, repo, pull) for pull in mine],
    }


def _app(call: Call, run: CheckRun) -> dict[str, Any]:
    """On GitHub only Apps make check runs; here the hub's own CI is one, and every account that posts is another."""
    slug = "hub-ci" if run.hub_ci else run.author.removesuffix("[bot]").lower()
    author = call.site.user(run.author)
    number = 0 if run.hub_ci or author is None else author.id
    return {
        "id": number,
        "slug": slug,
        "node_id": shapes.node("A", number),
        "owner": shapes.user(call.site, call.links, call.repo.owner),
        "name": "CI of this hub" if run.hub_ci else run.author,
        "description": "",
        "external_url": call.links.base,
        "html_url": f"{call.links.base}/apps/{quote(slug)}",
        "created_at": call.repo.created,
        "updated_at": call.repo.created,
        "permissions": {"checks": "write", "metadata": "read"},
        "events": [],
    }


def create(call: Call) -> Result:
    """POST …/check-runs."""
    run = CheckRun(
        repo=call.repo.id,
        sha=call.commit(call.needed("head_sha", "CheckRun")),
        name=call.needed("name", "CheckRun"),
        author=call.user.login,
    )
    _fill(call, run)
    call.site.store.insert(run)
    _moved(call, run.sha)
    return Answer(201, _show(call, run))


def update(call: Call) -> Result:
    """PATCH …/check-runs/{check_run_id}."""
    run = call.record(CheckRun)
    run.name = call.text("name", run.name) or run.name
    _fill(call, run)
    call.site.store.save(run)
    _moved(call, run.sha)
    return Answer(200, _show(call, run))


def _fill(call: Call, run: CheckRun) -> None:
    status = call.choice("status", STATES, "CheckRun", run.status) or run.status
    conclusion = call.choice("conclusion", CONCLUSIONS, "CheckRun", run.conclusion)
    if conclusion is not None and call.text("status") is None:
        status = "completed"  # a conclusion completes a run, as on GitHub
    if status == "completed" and conclusion is None:
        raise invalid("CheckRun", "missing_field", field="conclusion")
    run.status, run.conclusion = status, conclusion if status == "completed" else None
    run.details_url = call.text("details_url", run.details_url)
    run.external_id = call.text("external_id", run.external_id) or ""
    run.started = call.text("started_at", run.started) or now()
    done = call.text("completed_at", run.completed)
    run.completed = (done or now()) if status == "completed" else None
    output = call.table("output")
    if output is not None:
        if not isinstance(output.get("summary"), str):
            raise invalid("CheckRun", "missing_field", field="output.summary")
        run.title = str(output["title"]) if output.get("title") is not None else run.title
        run.summary = output["summary"]
        run.text = str(output["text"]) if output.get("text") is not None else run.text
        run.annotations += [a for a in output.get("annotations") or [] if isinstance(a, dict)]


def _moved(call: Call, sha: str) -> None:
    merging.auto_merge(call.site, call.repo, sha)


def get(call: Call) -> Result:
    """GET …/check-runs/{check_run_id}."""
    return Answer(200, _show(call, call.record(CheckRun)))


def notes(call: Call) -> Result:
    """GET …/check-runs/{check_run_id}/annotations."""
    run = call.record(CheckRun)

    def show(note: dict[str, Any]) -> dict[str, Any]:
        given = {"start_column": None, "end_column": None, "title": None, "raw_details": None, **note}
        return {**given, "blob_href": f"{call.links.page(call.repo)}/blob/{run.sha}/{quote(str(note.get('path', '')))}"}

    return Listing(run.annotations, show)


def for_ref(call: Call) -> Result:
    """GET …/commits/{ref}/check-runs."""
    found = call.site.store.find(CheckRun, repo=call.repo.id, parent=call.commit(call.path["ref"]))
    if call.asked("filter", ("latest", "all"), "latest") == "latest":
        # By name and by who posted it: two apps may use the same name.
        found = list({(run.author, run.name): run for run in found}.values())
    name, status = call.query.get("check_name"), call.query.get("status")
    found = [r for r in found if name in (None, r.name) and status in (None, r.status)]
    return Listing(list(reversed(found)), lambda r: _show(call, r), wrap="check_runs")


# ── statuses ─────────────────────────────────────────────────────────────────────────────────────────────────


def _show_status(call: Call, status: Status) -> dict[str, Any]:
    return {
        "url": f"{call.links.repo(call.repo)}/statuses/{status.sha}",
        "avatar_url": shapes.user(call.site, call.links, status.author)["avatar_url"],
        "id": status.id,
        "node_id": shapes.node("SC", status.id),
        "state": status.state,
        "description": status.description,
        "target_url": status.target_url,
        "context": status.context,
        "created_at": status.created,
        "updated_at": status.updated,
    }


def create_status(call: Call) -> Result:
    """POST …/statuses/{sha}."""
    state = call.choice("state", ("error", "failure", "pending", "success"), "Status")
    if state is None:
        raise invalid("Status", "missing_field", field="state")
    status = Status(
        repo=call.repo.id,
        sha=call.commit(call.path["sha"]),
        context=call.text("context", "default") or "default",
        state=state,
        description=call.text("description"),
        target_url=call.text("target_url"),
        author=call.user.login,
    )
    call.site.store.insert(status)
    _moved(call, status.sha)
    who = shapes.user(call.site, call.links, status.author)
    return Answer(201, {**_show_status(call, status), "creator": who})


def statuses(call: Call) -> Result:
    """GET …/commits/{ref}/statuses, newest first."""
    found = call.site.store.find(Status, repo=call.repo.id, parent=call.commit(call.path["ref"]))
    return Listing(
        list(reversed(found)),
        lambda s: {**_show_status(call, s), "creator": shapes.user(call.site, call.links, s.author)},
    )


def combined(call: Call) -> Result:
    """GET …/commits/{ref}/status: the latest of each context as one."""
    sha = call.commit(call.path["ref"])
    latest = {s.context: s for s in call.site.store.find(Status, repo=call.repo.id, parent=sha)}
    states = {s.state for s in latest.values()}
    state = "failure" if states & {"failure", "error"} else "pending" if states != {"success"} else "success"
    one, many = call.page()
    url = call.links.repo(call.repo)
    body = {
        "state": state,
        "statuses": [_show_status(call, s) for s in list(latest.values())[(one - 1) * many : one * many]],
        "sha": sha,
        "total_count": len(latest),
        "repository": shapes.repository(call.site, call.links, call.repo),
        "commit_url": f"{url}/commits/{sha}",
        "url": f"{url}/commits/{sha}/status",
    }
    return Answer(200, body)
