"""Deployments and how they go."""

from __future__ import annotations

from typing import Any

from runner.hub.merging import checks
from runner.hub.rest import shapes
from runner.hub.rest.call import Answer, ApiError, Call, Listing, Result, find_commit, invalid
from runner.hub.store import Deployment, DeploymentStatus, now

STATES = ("error", "failure", "inactive", "in_progress", "queued", "pending", "success")


def _show(call: Call, one: Deployment) -> dict[str, Any]:
    url = f"{call.links.repo(call.repo)}/deployments/{one.id}"
    return {
        "url": url,
        "id": one.id,
        "node_id": shapes.node("DE", one.id),
        "sha": one.sha,
        "ref": one.ref,
        "task": one.task,
        "payload": one.payload,
        "original_environment": one.original_environment,
        "environment": one.environment,
        "description": one.description,
        "creator": shapes.user(call.site, call.links, one.author),
        "created_at": one.created,
        "updated_at": one.updated,
        "statuses_url": f"{url}/statuses",
        "repository_url": call.links.repo(call.repo),
        "transient_environment": one.transient,
        "production_environment": one.production,
        "performed_via_github_app": None,
    }


def index(call: Call) -> Result:
    """GET …/deployments, newest first."""
    found = [
        one
        for one in call.site.store.find(Deployment, repo=call.repo.id)
        if all(call.query.get(k, "none") in ("none", getattr(one, k)) for k in ("sha", "ref", "task", "environment"))
    ]
    return Listing(list(reversed(found)), lambda one: _show(call, one))


def get(call: Call) -> Result:
    """GET …/deployments/{deployment_id}."""
    return Answer(200, _show(call, call.record(Deployment)))


def delete(call: Call) -> Result:
    """DELETE …/deployments/{deployment_id}; one that is active must be made inactive first."""
    deployment = call.record(Deployment)
    found = call.site.store.find(DeploymentStatus, repo=call.repo.id, parent=deployment.id)
    others = [d for d in call.site.store.find(Deployment, repo=call.repo.id) if d.id != deployment.id]
    if others and found and found[-1].state == "success":
        raise ApiError(422, "Unprocessable Entity", ["We cannot delete an active deployment unless it is the only one"])
    with call.site.store.transaction():
        for status in found:
            call.site.store.delete(status)
        call.site.store.delete(deployment)
    return Answer(204)


def create(call: Call) -> Result:
    """POST …/deployments. Nothing is merged by it: `auto_merge` finds the ref up to date or refuses."""
    ref = call.needed("ref", "Deployment")
    sha = find_commit(call.git, ref)
    if sha is None:
        raise ApiError(422, f"No ref found for: {ref}")
    environment = call.text("environment", "production") or "production"
    default = call.git.head(call.repo.default_branch)
    if call.flag("auto_merge", default=True) and default is not None and not call.git.contains(sha, default):
        raise ApiError(409, f"Conflict merging {call.repo.default_branch} into {ref}.")
    seen = checks(call.site, call.repo, sha)
    contexts = call.array("required_contexts")
    wanted = contexts if contexts is not None else list(seen)
    if any(seen.get(name) != "success" for name in wanted):
        raise ApiError(409, f"Conflict: Commit status checks failed for {ref}.")
    payload = call.body.get("payload", {})
    if not isinstance(payload, dict | str):
        raise invalid("Deployment", "invalid", field="payload")
    made = Deployment(
        repo=call.repo.id,
        sha=sha,
        ref=ref,
        task=call.text("task", "deploy") or "deploy",
        environment=environment,
        original_environment=environment,
        description=call.text("description"),
        payload=payload,
        transient=call.flag("transient_environment"),
        production=call.flag("production_environment", default=environment == "production"),
        author=call.user.login,
    )
    call.site.store.insert(made)
    where = {"Location": f"{call.links.repo(call.repo)}/deployments/{made.id}"}
    return Answer(201, _show(call, made), headers=where)


# ── statuses ─────────────────────────────────────────────────────────────────────────────────────────────────


def _show_status(call: Call, one: DeploymentStatus) -> dict[str, Any]:
    deployment = f"{call.links.repo(call.repo)}/deployments/{one.deployment}"
    return {
        "url": f"{deployment}/statuses/{one.id}",
        "id": one.id,
        "node_id": shapes.node("DES", one.id),
        "state": one.state,
        "creator": shapes.user(call.site, call.links, one.author),
        "description": one.description,
        "environment": one.environment,
        "target_url": one.log_url,
        "log_url": one.log_url,
        "environment_url": one.environment_url,
        "created_at": one.created,
        "updated_at": one.updated,
        "deployment_url": deployment,
        "repository_url": call.links.repo(call.repo),
        "performed_via_github_app": None,
    }


def statuses(call: Call) -> Result:
    """GET …/deployments/{deployment_id}/statuses, newest first."""
    found = call.site.store.find(DeploymentStatus, repo=call.repo.id, parent=call.record(Deployment).id)
    return Listing(list(reversed(found)), lambda one: _show_status(call, one))


def create_status(call: Call) -> Result:
    """POST …/deployments/{deployment_id}/statuses. A success makes earlier ones of the environment inactive."""
    deployment = call.record(Deployment)
    state = call.choice("state", STATES, "DeploymentStatus")
    if state is None:
        raise invalid("DeploymentStatus", "missing_field", field="state")
    made = DeploymentStatus(
        repo=call.repo.id,
        deployment=deployment.id,
        state=state,
        description=call.text("description", "") or "",
        environment=call.text("environment", deployment.environment) or deployment.environment,
        environment_url=call.text("environment_url", "") or "",
        log_url=call.text("log_url") or call.text("target_url") or "",
        author=call.user.login,
    )
    with call.site.store.transaction():
        if state == "success" and call.flag("auto_inactive", default=True):
            _retire(call, deployment)
        call.site.store.insert(made)
        deployment.updated, deployment.environment = now(), made.environment
        call.site.store.save(deployment)
    return Answer(201, _show_status(call, made))


def _retire(call: Call, newest: Deployment) -> None:
    for other in call.site.store.find(Deployment, repo=call.repo.id):
        if other.id == newest.id or other.environment != newest.environment or other.transient or other.production:
            continue  # GitHub retires only what is neither transient nor production
        last = call.site.store.find(DeploymentStatus, repo=call.repo.id, parent=other.id)
        if last and last[-1].state == "success":
            call.site.store.insert(
                DeploymentStatus(
                    repo=call.repo.id,
                    deployment=other.id,
                    state="inactive",
                    environment=other.environment,
                    author=call.user.login,
                )
            )
