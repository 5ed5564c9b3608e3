"""Accounts, repositories, collaborators, commits, contents, comparing."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

from runner.hub import pulls
from runner.hub.bare import Entry
from runner.hub.rest import shapes
from runner.hub.rest.call import Answer, ApiError, Call, Listing, Result, find_commit, not_found
from runner.hub.rest.pulls import pull_simple
from runner.hub.store import Repo, User

LARGEST_CONTENT = 1_000_000
"""Bytes; GitHub sends no content of a file beyond 1 MB in this way."""


def me(call: Call) -> Result:
    """GET /user."""
    return Answer(200, shapes.private_user(call.site, call.links, call.user))


def account(call: Call) -> Result:
    """GET /users/{username}."""
    return Answer(200, shapes.public_user(call.site, call.links, _named(call)))


def _named(call: Call) -> User:
    found = call.site.user(call.path["username"])
    if found is None:
        raise not_found()
    return found


def my_repos(call: Call) -> Result:
    """GET /user/repos: those that one owns or was given rights to, last pushed first where that is asked."""
    me = call.user
    found = [r for r in call.site.repos() if me.login_key in (r.owner.lower(), *r.collaborators)]
    order = call.asked("sort", ("created", "updated", "pushed", "full_name"), "full_name")
    keys = {"created": "created", "updated": "pushed", "pushed": "pushed", "full_name": "key"}
    down = call.asked("direction", ("asc", "desc"), "asc" if order == "full_name" else "desc") == "desc"
    found.sort(key=lambda r: str(getattr(r, keys[order])), reverse=down)

    def show(one: Repo) -> dict[str, Any]:
        rights = shapes.rights(call.site.permission(one, me))
        return {**shapes.repository(call.site, call.links, one), "permissions": rights}

    return Listing(found, show)


def repo(call: Call) -> Result:
    """GET /repos/{owner}/{repo}."""
    return Answer(200, shapes.full_repository(call.site, call.links, call.repo, call.caller))


# ── collaborators ────────────────────────────────────────────────────────────────────────────────────────────


def _role(call: Call, who: User) -> str:
    return call.site.permission(call.repo, who)


def _collaborator(call: Call, who: User) -> dict[str, Any]:
    level = _role(call, who)
    return {
        **shapes.user(call.site, call.links, who),
        "permissions": shapes.rights(level),
        "role_name": level,
    }


def collaborators(call: Call) -> Result:
    """GET …/collaborators."""
    given = {login for login, level in call.repo.collaborators.items() if level != "none"} | {call.repo.owner.lower()}
    people = [u for u in call.site.users() if u.login_key in given and not u.organization]
    return Listing(people, lambda who: _collaborator(call, who))


def is_collaborator(call: Call) -> Result:
    """GET …/collaborators/{username}: 204 or 404."""
    who = _named(call)
    owner = who.login_key == call.repo.owner.lower() and not who.organization
    if not owner and call.repo.collaborators.get(who.login_key, "none") == "none":
        return Answer(404)
    return Answer(204)


def permission(call: Call) -> Result:
    """GET …/collaborators/{username}/permission."""
    who = _named(call)
    role = _role(call, who)
    # GitHub's older word knows no triage and no maintain.
    word = {"triage": "read", "maintain": "write"}.get(role, role)
    return Answer(200, {"permission": word, "role_name": role, "user": _collaborator(call, who)})


# ── commits ──────────────────────────────────────────────────────────────────────────────────────────────────


def commits(call: Call) -> Result:
    """GET …/commits."""
    wanted = call.query.get("sha") or call.repo.default_branch
    tip = find_commit(call.git, wanted)
    if tip is None:
        if not call.git.refs("refs/heads/"):
            raise ApiError(409, "Git Repository is empty.")
        raise not_found()
    limits = [f"--{name}={call.query[name]}" for name in ("since", "until") if name in call.query]
    shas = call.git.log(tip, path=call.query.get("path"), flags=limits)
    author = call.query.get("author", "").lower()
    if author:
        shas = [s for s in shas if author in _author_names(call, s)]
    return Listing(shas, lambda sha: shapes.commit(call.site, call.links, call.repo, sha))


def _author_names(call: Call, sha: str) -> set[str]:
    person = call.git.commit(sha).author
    found = call.site.by_email(person.email)
    return {person.email.lower()} | ({found.login_key} if found is not None else set())


def commit(call: Call) -> Result:
    """GET …/commits/{ref}."""
    sha = call.commit(call.path["ref"])
    if "diff" in call.accept or "patch" in call.accept:
        found = call.git.commit(sha)
        if found.parents:
            return Answer(200, text=call.git.diff_text(found.parents[0], sha), media="application/vnd.github.diff")
    if "sha" in call.accept.partition("vnd.github.")[2]:
        return Answer(200, text=sha.encode(), media="application/vnd.github.sha")
    return Answer(200, shapes.commit(call.site, call.links, call.repo, sha, detailed=True))


def commit_pulls(call: Call) -> Result:
    """GET …/commits/{commit_sha}/pulls: those that bring the commit, or were merged as it."""
    sha = call.commit(call.path["ref"])
    found = [
        p
        for p in pulls.pulls_of(call.site, call.repo)
        if p.merge_sha == sha or sha in pulls.span(call.site, call.repo, p).commits
    ]
    return Listing(found, lambda p: pull_simple(call, p))


def compare(call: Call) -> Result:
    """GET …/compare/{base}...{head}."""
    base_name, dots, head_name = call.path["basehead"].partition("...")
    git = call.git
    owner = call.repo.owner.lower() + ":"
    base, head = (
        find_commit(git, name[len(owner) :] if name.lower().startswith(owner) else name)
        for name in (base_name, head_name)
    )
    if not dots or base is None or head is None:
        raise not_found()
    middle = git.merge_base(base, head)
    if middle is None:
        raise ApiError(404, f"No common ancestor between {base_name} and {head_name}.")
    if "vnd.github" in call.accept and ("diff" in call.accept or "patch" in call.accept):
        return Answer(200, text=git.diff_text(middle, head), media="application/vnd.github.diff")
    ahead, behind = git.log(head, f"^{base}", reverse=True), git.count(base, f"^{head}")
    url = f"{call.links.repo(call.repo)}/compare/{quote(base_name)}...{quote(head_name)}"
    page = f"{call.links.page(call.repo)}/compare/{quote(base_name)}...{quote(head_name)}"
    one, many = call.page()
    shown = git.diff(middle, head)[:300] if one == 1 else ()  # as on GitHub, with the first page only
    status = "diverged" if ahead and behind else "ahead" if ahead else "behind" if behind else "identical"
    body = {
        "url": url,
        "html_url": page,
        "permalink_url": f"{call.links.page(call.repo)}/compare/{base}...{head}",
        "diff_url": f"{page}.diff",
        "patch_url": f"{page}.patch",
        "base_commit": shapes.commit(call.site, call.links, call.repo, base),
        "merge_base_commit": shapes.commit(call.site, call.links, call.repo, middle),
        "status": status,
        "ahead_by": len(ahead),
        "behind_by": behind,
        "total_commits": len(ahead),
        "commits": [
            shapes.commit(call.site, call.links, call.repo, s) for s in ahead[(one - 1) * many : one * many]
        ],
        "files": [shapes.file(call.links, call.repo, head, f) for f in shown],
    }  # fmt: skip
    return Answer(200, body)


# ── contents ─────────────────────────────────────────────────────────────────────────────────────────────────

KINDS = {"tree": "dir", "commit": "submodule"}


def contents(call: Call) -> Result:
    """GET …/contents/{path}."""
    ref = call.query.get("ref") or call.repo.default_branch
    sha = find_commit(call.git, ref)
    if sha is None:
        raise ApiError(404, f"No commit found for the ref {ref}")
    path = call.path.get("path", "").strip("/")
    if not path:
        return Answer(200, [_content(call, ref, e) for e in call.git.tree(sha)])
    found = call.git.entry(sha, path)
    if found is None:
        raise not_found()
    if "raw" in call.accept and found.type == "blob":
        return Answer(200, text=call.git.blob(found.sha), media="application/vnd.github.raw")
    if found.type == "tree":
        inside = call.git.tree(found.sha)
        below = [Entry(e.mode, e.type, e.sha, e.size, f"{path}/{e.path}") for e in inside]
        return Answer(200, [_content(call, ref, e) for e in below])
    body = _content(call, ref, found)
    if body["type"] == "symlink":
        body["target"] = call.git.blob(found.sha).decode(errors="replace")
    elif body["type"] == "submodule":
        body["submodule_git_url"] = None
    else:
        small = (found.size or 0) <= LARGEST_CONTENT
        text = base64.encodebytes(call.git.blob(found.sha)).decode() if small else ""
        body |= {"encoding": "base64" if small else "none", "content": text}
    return Answer(200, body)


def _content(call: Call, ref: str, entry: Entry) -> dict[str, Any]:
    kind = "symlink" if entry.mode == "120000" else KINDS.get(entry.type, "file")
    path, at = quote(entry.path), quote(ref, safe="")
    repo_url, page = call.links.repo(call.repo), call.links.page(call.repo)
    url = f"{repo_url}/contents/{path}?ref={at}"
    git_url = f"{repo_url}/git/{'trees' if kind == 'dir' else 'blobs'}/{entry.sha}"
    html = f"{page}/{'tree' if kind == 'dir' else 'blob'}/{at}/{path}"
    return {
        "type": kind,
        "size": entry.size or 0,
        "name": entry.path.rpartition("/")[2],
        "path": entry.path,
        "sha": entry.sha,
        "url": url,
        "git_url": git_url if kind != "submodule" else None,
        "html_url": html if kind != "submodule" else None,
        "download_url": f"{page}/raw/{at}/{path}" if kind in ("file", "symlink") else None,
        "_links": {
            "self": url,
            "git": git_url if kind != "submodule" else None,
            "html": html if kind != "submodule" else None,
        },
    }
