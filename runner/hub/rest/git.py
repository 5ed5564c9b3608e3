"""The git database: refs, commits, trees, blobs."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from runner.errors import GitError
from runner.hub.bare import ZERO
from runner.hub.pulls import synchronize
from runner.hub.rest import shapes
from runner.hub.rest.call import Answer, ApiError, Call, Listing, Result, not_found
from runner.hub.store import now


def _ref(call: Call, name: str, sha: str) -> dict[str, Any]:
    url = call.links.repo(call.repo)
    kind = call.git.type_of(sha) or "commit"
    return {
        "ref": name,
        "node_id": shapes.node("REF", f"{call.repo.id}:{name}"),
        "url": f"{url}/git/{quote(name)}",
        "object": {"type": kind, "sha": sha, "url": f"{url}/git/{kind}s/{sha}"},
    }


def ref(call: Call) -> Result:
    """GET …/git/ref/{ref}."""
    name = f"refs/{call.path['ref']}"
    found = call.git.refs(name).get(name)
    if found is None:
        raise not_found()
    return Answer(200, _ref(call, name, found))


def matching_refs(call: Call) -> Result:
    """GET …/git/matching-refs/{ref}: all that begin so."""
    prefix = f"refs/{call.path['ref']}"
    found = {name: sha for name, sha in call.git.refs("refs/").items() if name.startswith(prefix)}
    return Listing(list(found.items()), lambda pair: _ref(call, *pair))


def create_ref(call: Call) -> Result:
    """POST …/git/refs."""
    name, sha = call.needed("ref", "Reference"), call.needed("sha", "Reference")
    if not name.startswith(("refs/heads/", "refs/tags/")) or not call.git.valid_ref(name):
        raise ApiError(422, f"Reference name must start with 'refs/' and be valid: {name}")
    _check_object(call, sha)
    if call.git.refs(name).get(name) is not None:
        raise ApiError(422, "Reference already exists")
    _move(call, name, sha, ZERO)
    return Answer(201, _ref(call, name, sha), headers={"Location": f"{call.links.repo(call.repo)}/git/{quote(name)}"})


def update_ref(call: Call) -> Result:
    """PATCH …/git/refs/{ref}."""
    name, sha = f"refs/{call.path['ref']}", call.needed("sha", "Reference")
    old = _existing(call, name)
    _check_object(call, sha)
    if not call.flag("force") and not call.git.contains(sha, old):
        raise ApiError(422, "Update is not a fast forward")
    _move(call, name, sha, old)
    return Answer(200, _ref(call, name, sha))


def delete_ref(call: Call) -> Result:
    """DELETE …/git/refs/{ref}."""
    name = f"refs/{call.path['ref']}"
    _existing(call, name)
    if name == f"refs/heads/{call.repo.default_branch}":
        raise ApiError(422, "Cannot delete the default branch")
    with call.site.git_lock:
        call.git.remove(name)
        synchronize(call.site, call.repo)
    return Answer(204)


def _existing(call: Call, name: str) -> str:
    old = call.git.refs(name).get(name) if name.startswith(("refs/heads/", "refs/tags/")) else None
    if old is None:
        raise ApiError(422, "Reference does not exist")
    return old


def _check_object(call: Call, sha: str) -> None:
    if call.git.type_of(sha) is None:
        raise ApiError(422, "Object does not exist")


def _move(call: Call, name: str, sha: str, old: str) -> None:
    branch = name.removeprefix("refs/heads/")
    if old != ZERO and name.startswith("refs/heads/") and call.site.is_protected(call.repo, branch):
        raise ApiError(422, f"Protected branch update failed for {name}. Changes must be made through a pull request.")
    with call.site.git_lock:
        try:
            call.git.move(name, sha, old)
        except GitError as e:
            raise ApiError(409, "Reference cannot be updated") from e
        repo = call.site.repo_by_id(call.repo.id)
        repo.pushed = now()
        call.site.store.save(repo)
        synchronize(call.site, call.repo)


def commit(call: Call) -> Result:
    """GET …/git/commits/{commit_sha}."""
    sha = call.path["sha"]
    if call.git.type_of(sha) != "commit":
        raise not_found()
    return Answer(200, shapes.git_commit(call.links, call.repo, call.site, sha))


def tree(call: Call) -> Result:
    """GET …/git/trees/{tree_sha}; a branch or commit will do."""
    wanted = call.path["sha"]
    sha = call.git.resolve(wanted, "tree")
    if sha is None:
        raise not_found()
    url = call.links.repo(call.repo)
    entries = []
    for e in call.git.tree(sha, recursive="recursive" in call.query):
        row: dict[str, Any] = {"path": e.path, "mode": e.mode, "type": e.type, "sha": e.sha}
        if e.size is not None:
            row["size"] = e.size
        if e.type != "commit":
            row["url"] = f"{url}/git/{e.type}s/{e.sha}"
        entries.append(row)
    return Answer(200, {"sha": sha, "url": f"{url}/git/trees/{sha}", "tree": entries, "truncated": False})


def blob(call: Call) -> Result:
    """GET …/git/blobs/{file_sha}."""
    sha = call.path["sha"]
    if call.git.type_of(sha) != "blob":
        raise not_found()
    data = call.git.blob(sha)
    if "raw" in call.accept:
        return Answer(200, text=data, media="application/vnd.github.raw")
    body = {
        "sha": sha,
        "node_id": shapes.node("B", sha),
        "size": len(data),
        "url": f"{call.links.repo(call.repo)}/git/blobs/{sha}",
        "content": base64.encodebytes(data).decode(),
        "encoding": "base64",
    }
    return Answer(200, body)
