"""The JSON of things that appear in many answers: accounts, repositories, labels, commits, files.

Field by field as GitHub's OpenAPI has them; a field that the hub has no feature for carries GitHub's empty value.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from runner.hub.bare import Person
from runner.hub.diffs import FileDiff
from runner.hub.rest.links import Links
from runner.hub.site import LEVELS, Site
from runner.hub.store import Issue, Label, Pull, Repo, User

GHOST = User(id=10137, login="ghost", login_key="ghost")


def node(prefix: str, number: int | str) -> str:
    """An opaque global id, of which GraphQL reads kind and number."""
    return f"{prefix}_{number}"


# ── accounts ─────────────────────────────────────────────────────────────────────────────────────────────────


def user(site: Site, links: Links, who: str | User | None) -> dict[str, Any]:
    """GitHub's `simple-user`. An account that is gone is `ghost`."""
    found = who if isinstance(who, User) else site.user(who) if who else None
    account = found or GHOST
    url = links.user(account.login)
    return {
        "login": account.login,
        "id": account.id,
        "node_id": node("U", account.id),
        "avatar_url": f"{links.base}/_/avatar/{quote(account.login)}.svg",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{links.base}/{quote(account.login)}",
        "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}",
        "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}",
        "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs",
        "repos_url": f"{url}/repos",
        "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events",
        "type": kind_of(account),
        "site_admin": False,
        "user_view_type": "public",
    }


def kind_of(account: User) -> str:
    """User, Organization or Bot."""
    return "Organization" if account.organization else "Bot" if account.login.endswith("[bot]") else "User"


def public_user(site: Site, links: Links, account: User) -> dict[str, Any]:
    """GitHub's `public-user`."""
    mine = [r for r in site.repos() if r.owner.lower() == account.login_key]
    return {
        **user(site, links, account),
        "name": account.login,
        "company": None,
        "blog": "",
        "location": None,
        "email": None,
        "hireable": None,
        "bio": None,
        "public_repos": sum(1 for r in mine if not r.private),
        "public_gists": 0,
        "followers": 0,
        "following": 0,
        "created_at": account.created,
        "updated_at": account.created,
    }


def private_user(site: Site, links: Links, account: User) -> dict[str, Any]:
    """GitHub's `private-user`: oneself."""
    mine = [r for r in site.repos() if r.owner.lower() == account.login_key and r.private]
    return {
        **public_user(site, links, account),
        "email": f"{account.login.removesuffix('[bot]')}@users.noreply.localhost",
        "user_view_type": "private",
        "private_gists": 0,
        "total_private_repos": len(mine),
        "owned_private_repos": len(mine),
        "disk_usage": 0,
        "collaborators": 0,
        "two_factor_authentication": False,
    }


def rights(level: str) -> dict[str, bool]:
    """What a permission allows, in GitHub's five words."""
    at = LEVELS.index(level)
    words = {"admin": "admin", "maintain": "maintain", "push": "write", "triage": "triage", "pull": "read"}
    return {word: at >= LEVELS.index(needed) for word, needed in words.items()}


def association(site: Site, repo: Repo, login: str) -> str:
    """How an author stands to a repository."""
    account = site.user(login)
    if login.lower() == repo.owner.lower():
        return "OWNER"
    if account is not None and repo.collaborators.get(account.login_key, "none") != "none":
        return "COLLABORATOR"
    return "NONE"


# ── repositories ─────────────────────────────────────────────────────────────────────────────────────────────

TEMPLATES = {
    "archive_url": "{archive_format}{/ref}", "assignees_url": "assignees{/user}", "blobs_url": "git/blobs{/sha}",
    "branches_url": "branches{/branch}", "collaborators_url": "collaborators{/collaborator}",
    "comments_url": "comments{/number}", "commits_url": "commits{/sha}", "compare_url": "compare/{base}...{head}",
    "contents_url": "contents/{+path}", "contributors_url": "contributors", "deployments_url": "deployments",
    "downloads_url": "downloads", "events_url": "events", "forks_url": "forks", "git_commits_url": "git/commits{/sha}",
    "git_refs_url": "git/refs{/sha}", "git_tags_url": "git/tags{/sha}", "hooks_url": "hooks",
    "issue_comment_url": "issues/comments{/number}", "issue_events_url": "issues/events{/number}",
    "issues_url": "issues{/number}", "keys_url": "keys{/key_id}", "labels_url": "labels{/name}",
    "languages_url": "languages", "merges_url": "merges", "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}", "pulls_url": "pulls{/number}",
    "releases_url": "releases{/id}", "stargazers_url": "stargazers", "statuses_url": "statuses/{sha}",
    "subscribers_url": "subscribers", "subscription_url": "subscription", "tags_url": "tags", "teams_url": "teams",
    "trees_url": "git/trees{/sha}",
}  # fmt: skip


def repository(site: Site, links: Links, repo: Repo) -> dict[str, Any]:
    """GitHub's `repository`, without the caller's permissions; also good as `minimal-repository`."""
    url, page = links.repo(repo), links.page(repo)
    waiting = sum(1 for issue in site.store.find(Issue, repo=repo.id) if issue.state == "open")
    return {
        "id": repo.id,
        "node_id": node("R", repo.id),
        "name": repo.name,
        "full_name": repo.full_name,
        "private": repo.private,
        "owner": user(site, links, repo.owner),
        "html_url": page,
        "description": None,
        "fork": False,
        "url": url,
        **{name: f"{url}/{path}" for name, path in TEMPLATES.items()},
        "git_url": f"git:{links.base.partition(':')[2]}/{repo.full_name}.git",
        "ssh_url": f"{page}.git",
        "clone_url": f"{page}.git",
        "svn_url": page,
        "mirror_url": None,
        "homepage": None,
        "language": None,
        "license": None,
        "forks_count": 0,
        "forks": 0,
        "stargazers_count": 0,
        "watchers_count": 0,
        "watchers": 0,
        "size": 0,
        "default_branch": repo.default_branch,
        "open_issues_count": waiting,
        "open_issues": waiting,
        "is_template": False,
        "topics": [],
        "has_issues": True,
        "has_projects": False,
        "has_wiki": False,
        "has_pages": False,
        "has_downloads": False,
        "has_discussions": False,
        "archived": False,
        "disabled": False,
        "visibility": "private" if repo.private else "public",
        "pushed_at": repo.pushed,
        "created_at": repo.created,
        "updated_at": repo.pushed,
        "allow_forking": False,
        "web_commit_signoff_required": False,
    }


def full_repository(site: Site, links: Links, repo: Repo, caller: User | None) -> dict[str, Any]:
    """GitHub's `full-repository`, with what the caller may do."""
    out = {
        **repository(site, links, repo),
        "allow_rebase_merge": True,
        "allow_squash_merge": True,
        "allow_merge_commit": True,
        "allow_auto_merge": True,
        "delete_branch_on_merge": False,
        "allow_update_branch": True,
        "squash_merge_commit_title": "COMMIT_OR_PR_TITLE",
        "squash_merge_commit_message": "COMMIT_MESSAGES",
        "merge_commit_title": "MERGE_MESSAGE",
        "merge_commit_message": "PR_TITLE",
        "subscribers_count": 0,
        "network_count": 0,
    }
    if caller is not None:
        out["permissions"] = rights(site.permission(repo, caller))
    return out


def label(site: Site, links: Links, repo: Repo, name: str) -> dict[str, Any]:
    """GitHub's `label`."""
    found = site.store.one(Label, repo=repo.id, parent=name.lower()) or Label(name=name)
    return {
        "id": found.id,
        "node_id": node("LA", found.id),
        "url": f"{links.repo(repo)}/labels/{quote(found.name)}",
        "name": found.name,
        "description": found.description,
        "color": found.color,
        "default": found.name in ("bug", "documentation", "enhancement"),
    }


# ── commits and files ────────────────────────────────────────────────────────────────────────────────────────


def _git_user(person: Person) -> dict[str, str]:
    return {"name": person.name, "email": person.email, "date": person.date}


UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}


def commit(site: Site, links: Links, repo: Repo, sha: str, *, detailed: bool = False) -> dict[str, Any]:
    """GitHub's `commit`; `detailed` adds the files and their statistics."""
    git = site.git(repo)
    found = git.commit(sha)
    url = links.repo(repo)
    out: dict[str, Any] = {
        "sha": sha,
        "node_id": node("C", sha),
        "commit": {
            "author": _git_user(found.author),
            "committer": _git_user(found.committer),
            "message": found.message,
            "tree": {"sha": found.tree, "url": f"{url}/git/trees/{found.tree}"},
            "url": f"{url}/git/commits/{sha}",
            "comment_count": 0,
            "verification": UNSIGNED,
        },
        "url": f"{url}/commits/{sha}",
        "html_url": links.commit_page(repo, sha),
        "comments_url": f"{url}/commits/{sha}/comments",
        "author": _account(site, links, found.author),
        "committer": _account(site, links, found.committer),
        "parents": [
            {"sha": p, "url": f"{url}/commits/{p}", "html_url": links.commit_page(repo, p)} for p in found.parents
        ],
    }
    if detailed:
        files = commit_files(site, repo, sha)
        added, removed = sum(f.added for f in files), sum(f.removed for f in files)
        out["stats"] = {"total": added + removed, "additions": added, "deletions": removed}
        out["files"] = [file(links, repo, sha, f) for f in files]
    return out


def commit_files(site: Site, repo: Repo, sha: str) -> tuple[FileDiff, ...]:
    """What a commit changed against its first parent."""
    git = site.git(repo)
    found = git.commit(sha)
    empty = git.line("hash-object", "-t", "tree", "-w", "--stdin", stdin=b"") if not found.parents else ""
    return git.diff(found.parents[0] if found.parents else empty, sha)


def _account(site: Site, links: Links, person: Person) -> dict[str, Any] | None:
    account = site.by_email(person.email)
    return user(site, links, account) if account is not None else None


def git_commit(links: Links, repo: Repo, site: Site, sha: str) -> dict[str, Any]:
    """GitHub's `git-commit`: the object itself."""
    found = site.git(repo).commit(sha)
    url = links.repo(repo)
    return {
        "sha": sha,
        "node_id": node("C", sha),
        "url": f"{url}/git/commits/{sha}",
        "html_url": links.commit_page(repo, sha),
        "author": _git_user(found.author),
        "committer": _git_user(found.committer),
        "tree": {"sha": found.tree, "url": f"{url}/git/trees/{found.tree}"},
        "message": found.message,
        "parents": [
            {"sha": p, "url": f"{url}/git/commits/{p}", "html_url": links.commit_page(repo, p)} for p in found.parents
        ],
        "verification": UNSIGNED,
    }


def file(links: Links, repo: Repo, sha: str, found: FileDiff) -> dict[str, Any]:
    """GitHub's `diff-entry`. `sha` is the commit that the file is seen in."""
    path = quote(found.path)
    out: dict[str, Any] = {
        "sha": found.sha,
        "filename": found.path,
        "status": found.status,
        "additions": found.added,
        "deletions": found.removed,
        "changes": found.added + found.removed,
        "blob_url": f"{links.page(repo)}/blob/{sha}/{path}",
        "raw_url": f"{links.page(repo)}/raw/{sha}/{path}",
        "contents_url": f"{links.repo(repo)}/contents/{path}?ref={sha}",
    }
    if found.patch is not None:
        out["patch"] = found.patch
    if found.old_path is not None:
        out["previous_filename"] = found.old_path
    return out


def pull_brief(links: Links, repo: Repo, pull: Pull) -> dict[str, Any]:
    """GitHub's `pull-request-minimal`."""
    where = {"id": repo.id, "url": links.repo(repo), "name": repo.name}
    return {
        "id": pull.id,
        "number": pull.number,
        "url": links.pull(repo, pull.number),
        "head": {"ref": pull.head, "sha": pull.head_sha, "repo": where},
        "base": {"ref": pull.base, "sha": pull.base_sha, "repo": where},
    }
