"""Branches and their protection."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from runner.hub.rest import shapes
from runner.hub.rest.call import Answer, ApiError, Call, Listing, Result


def index(call: Call) -> Result:
    """GET …/branches."""
    found = {name.removeprefix("refs/heads/"): sha for name, sha in call.git.refs("refs/heads/").items()}
    only = call.query.get("protected")
    names = [n for n in found if only is None or (only == "true") == call.site.is_protected(call.repo, n)]

    def show(name: str) -> dict[str, Any]:
        url = call.links.repo(call.repo)
        return {
            "name": name,
            "commit": {"sha": found[name], "url": f"{url}/commits/{found[name]}"},
            "protected": call.site.is_protected(call.repo, name),
            "protection": _protection_brief(call, name),
            "protection_url": f"{url}/branches/{quote(name)}/protection",
        }

    return Listing(names, show)


def get(call: Call) -> Result:
    """GET …/branches/{branch}."""
    name = call.path["branch"]
    sha = call.git.head(name)
    if sha is None:
        raise ApiError(404, "Branch not found")
    url = f"{call.links.repo(call.repo)}/branches/{quote(name)}"
    body = {
        "name": name,
        "commit": shapes.commit(call.site, call.links, call.repo, sha),
        "_links": {"self": url, "html": f"{call.links.page(call.repo)}/tree/{quote(name)}"},
        "protected": call.site.is_protected(call.repo, name),
        "protection": _protection_brief(call, name),
        "protection_url": f"{url}/protection",
    }
    return Answer(200, body)


def _protection_brief(call: Call, name: str) -> dict[str, Any]:
    on = call.site.is_protected(call.repo, name)
    names = call.repo.required_checks if on else []
    return {
        "enabled": on,
        "required_status_checks": {
            "enforcement_level": "everyone" if names else "off",
            "contexts": names,
            "checks": [{"context": n, "app_id": None} for n in names],
        },
    }


def protection(call: Call) -> Result:
    """GET …/branches/{branch}/protection."""
    name = _branch_name(call)
    if not call.site.is_protected(call.repo, name):
        raise ApiError(404, "Branch not protected")
    return Answer(200, _protected(call, name))


def protection_part(call: Call) -> Result:
    """GET …/branches/{branch}/protection/{part}: one rule of it."""
    part = call.path["part"]
    name = _branch_name(call)
    found = _protected(call, name).get(part) if call.site.is_protected(call.repo, name) else None
    if found is None:
        raise ApiError(404, "Branch not protected" if not call.repo.protected else "Not Found")
    return Answer(200, found)


def protect(call: Call) -> Result:
    """PUT …/branches/{branch}/protection. Of GitHub's many rules this hub has approvals and checks."""
    name = _branch_name(call)
    if name != call.repo.default_branch:
        words = f"This hub protects only the default branch, {call.repo.default_branch}"
        raise ApiError(422, "Validation Failed", [words])
    needed = call.table("required_status_checks") or {}
    reviews = call.table("required_pull_request_reviews")
    named = needed.get("contexts") or [one.get("context") for one in needed.get("checks") or []]
    count = reviews.get("required_approving_review_count", 1) if reviews is not None else 0
    if not all(isinstance(one, str) for one in named) or not isinstance(count, int):
        raise ApiError(422, "Validation Failed", ["Contexts are strings, the count of reviews is an integer"])
    _set_protection(call, named, count)
    return Answer(200, _protected(call, name))


def unprotect(call: Call) -> Result:
    """DELETE …/branches/{branch}/protection."""
    if not call.site.is_protected(call.repo, _branch_name(call)):
        raise ApiError(404, "Branch not protected")
    _set_protection(call, [], 0)
    return Answer(204)


def rules(call: Call) -> Result:
    """GET …/rules/branches/{branch}: rulesets, of which this hub has none; it protects in the classic way."""
    _branch_name(call)
    return Listing([], lambda rule: rule)


def _set_protection(call: Call, checks: list[str], approvals: int) -> None:
    with call.site.store.transaction():
        fresh = call.site.repo_by_id(call.repo.id)
        fresh.required_checks, fresh.required_approvals = list(dict.fromkeys(checks)), approvals
        call.site.store.save(fresh)
    call.repo.required_checks, call.repo.required_approvals = fresh.required_checks, fresh.required_approvals


def _branch_name(call: Call) -> str:
    name = call.path["branch"]
    if call.git.head(name) is None:
        raise ApiError(404, "Branch not found")
    return name


def _protected(call: Call, name: str) -> dict[str, Any]:
    url = f"{call.links.repo(call.repo)}/branches/{quote(name)}/protection"
    body: dict[str, Any] = {"url": url}
    if call.repo.required_checks:
        names = call.repo.required_checks
        body["required_status_checks"] = {
            "url": f"{url}/required_status_checks",
            "strict": False,
            "contexts": names,
            "contexts_url": f"{url}/required_status_checks/contexts",
            "checks": [{"context": n, "app_id": None} for n in names],
        }
    if call.repo.required_approvals:
        body["required_pull_request_reviews"] = {
            "url": f"{url}/required_pull_request_reviews",
            "dismiss_stale_reviews": True,
            "require_code_owner_reviews": False,
            "require_last_push_approval": False,
            "required_approving_review_count": call.repo.required_approvals,
        }
    body["required_signatures"] = {"url": f"{url}/required_signatures", "enabled": False}
    body["enforce_admins"] = {"url": f"{url}/enforce_admins", "enabled": True}
    for off in (
        "required_linear_history", "allow_force_pushes", "allow_deletions", "block_creations",
        "required_conversation_resolution", "lock_branch", "allow_fork_syncing",
    ):  # fmt: skip
        body[off] = {"enabled": False}
    return body
