"""Things as GraphQL shows them: accounts, repositories, refs, commits, pull requests, found by global id or name."""

from __future__ import annotations

import base64
from typing import Any

from graphql import GraphQLError

from runner.hub import merging, pulls
from runner.hub.rest.dispatch import Meter
from runner.hub.rest.links import Links
from runner.hub.rest.shapes import kind_of, node
from runner.hub.site import Site
from runner.hub.store import Pull, Repo, User

Value = dict[str, Any]


def refuse(kind: str, message: str) -> GraphQLError:
    """An error with GitHub's type."""
    return GraphQLError(message, extensions={"type": kind})


class Asked:
    """One request: who asks, and how things are shown to them."""

    def __init__(self, site: Site, links: Links, user: User, meter: Meter) -> None:
        self.site, self.links, self.user, self.meter = site, links, user, meter

    # ── finding ──────────────────────────────────────────────────────────────────────────────────────────────

    def pull(self, node_id: str, *, level: str = "read") -> tuple[Repo, Pull]:
        """The pull request of a global id, for somebody who may do this much.

        Raises:
            GraphQLError: NOT_FOUND or FORBIDDEN.
        """
        prefix, _, number = node_id.partition("_")
        found = self.site.store.get(Pull, int(number)) if prefix == "PR" and number.isdigit() else None
        repo = self.site.repo_by_id(found.repo) if found is not None else None
        if found is None or repo is None or not self.site.may(repo, self.user, "read"):
            raise refuse("NOT_FOUND", f"Could not resolve to a node with the global id of '{node_id}'.")
        if not self.site.may(repo, self.user, level):
            raise refuse("FORBIDDEN", f"{self.user.login} does not have the correct permissions to execute this.")
        return repo, pulls.fresh(self.site, repo, found)

    def repo(self, full_name: str, *, level: str = "read") -> Repo:
        """A repository by name, for somebody who may do this much.

        Raises:
            GraphQLError: NOT_FOUND or FORBIDDEN.
        """
        owner, _, name = full_name.partition("/")
        repo = self.site.repo(owner, name)
        if repo is None or not self.site.may(repo, self.user, "read"):
            raise refuse("NOT_FOUND", f"Could not resolve to a Repository with the name '{full_name}'.")
        if not self.site.may(repo, self.user, level):
            raise refuse("FORBIDDEN", f"{self.user.login} does not have the correct permissions to execute this.")
        return repo

    # ── showing ──────────────────────────────────────────────────────────────────────────────────────────────

    def show_user(self, login: str) -> Value | None:
        """An account."""
        user = self.site.user(login)
        if user is None:
            return None
        return {
            "__typename": "Organization" if kind_of(user) == "Organization" else "User",
            "id": node("U", user.id),
            "databaseId": user.id,
            "login": user.login,
            "url": f"{self.links.base}/{user.login}",
            "resourcePath": f"/{user.login}",
            "avatarUrl": f"{self.links.base}/_/avatar/{user.login}.svg",
        }

    def show_repo(self, repo: Repo) -> Value:
        """A repository."""
        return {
            "__typename": "Repository",
            "id": node("R", repo.id),
            "databaseId": repo.id,
            "name": repo.name,
            "nameWithOwner": repo.full_name,
            "isPrivate": repo.private,
            "url": self.links.page(repo),
            "owner": self.show_user(repo.owner),
            "defaultBranchRef": lambda _info: self.show_ref(repo, f"refs/heads/{repo.default_branch}"),
            "ref": lambda _info, qualifiedName: self.show_ref(repo, qualifiedName),  # noqa: N803 - the schema's name
            "pullRequest": lambda _info, number: self._numbered(repo, number),
        }

    def _numbered(self, repo: Repo, number: int) -> Value:
        pull = pulls.pull_of(self.site, repo, number)
        if pull is None:
            raise refuse("NOT_FOUND", f"Could not resolve to a PullRequest with the number of {number}.")
        return self.show_pull(repo, pull)

    def show_ref(self, repo: Repo, name: str) -> Value | None:
        """A branch or tag by full name, or a branch by its short one."""
        full = name if name.startswith("refs/") else f"refs/heads/{name}"
        sha = self.site.git(repo).refs(full).get(full)
        if sha is None:
            return None
        prefix = "/".join(full.split("/")[:2]) + "/"
        return {
            "__typename": "Ref",
            "id": node("REF", base64.urlsafe_b64encode(f"{repo.id}:{full}".encode()).decode()),
            "name": full.removeprefix(prefix),
            "prefix": prefix,
            "target": lambda _info: self.show_commit(repo, sha),
            "repository": lambda _info: self.show_repo(repo),
        }

    def show_commit(self, repo: Repo, revision: str) -> Value | None:
        """A commit."""
        sha = self.site.git(repo).resolve(revision)
        if sha is None:
            return None
        found = self.site.git(repo).commit(sha)
        return {
            "__typename": "Commit",
            "id": node("C", sha),
            "oid": sha,
            "message": found.message,
            "messageHeadline": found.message.partition("\n")[0],
            "url": self.links.commit_page(repo, sha),
            "committedDate": found.committer.date,
        }

    def show_pull(self, repo: Repo, pull: Pull) -> Value:
        """A pull request."""
        issue = pulls.issue_of(self.site, repo, pull.number)
        if issue is None:
            raise refuse("NOT_FOUND", f"Could not resolve to a PullRequest with the number of {pull.number}.")
        brings = pulls.span(self.site, repo, pull)
        return {
            "__typename": "PullRequest",
            "id": node("PR", pull.id),
            "databaseId": pull.id,
            "number": pull.number,
            "title": issue.title,
            "body": issue.body or "",
            "state": "MERGED" if pull.merged else issue.state.upper(),
            "url": self.links.pull_page(repo, pull.number),
            "isDraft": pull.draft,
            "merged": pull.merged is not None,
            "mergedAt": pull.merged,
            "mergeable": lambda _info: _mergeable(self.site, repo, pull),
            "mergeCommit": lambda _info: self.show_commit(repo, pull.merge_sha) if pull.merge_sha else None,
            "headRefName": pull.head,
            "headRefOid": pull.head_sha,
            "baseRefName": pull.base,
            "baseRefOid": pull.base_sha,
            "author": self.show_user(issue.author),
            "repository": lambda _info: self.show_repo(repo),
            "autoMergeRequest": lambda _info: self._show_auto_merge(repo, pull),
            "createdAt": issue.created,
            "updatedAt": issue.updated,
            "closedAt": issue.closed,
            "closed": issue.state == "closed",
            "additions": sum(f.added for f in brings.files),
            "deletions": sum(f.removed for f in brings.files),
            "changedFiles": len(brings.files),
            "reviewDecision": lambda _info: _decision(self.site, repo, pull),
        }

    def _show_auto_merge(self, repo: Repo, pull: Pull) -> Value | None:
        wish = pull.auto_merge
        if wish is None:
            return None
        return {
            "authorEmail": None,
            "commitBody": wish.get("message"),
            "commitHeadline": wish.get("title"),
            "enabledAt": wish["at"],
            "enabledBy": self.show_user(wish["by"]),
            "mergeMethod": wish["method"].upper(),
            "pullRequest": lambda _info: self.show_pull(repo, pull),
        }


def _mergeable(site: Site, repo: Repo, pull: Pull) -> str:
    word = merging.standing(site, repo, pull).mergeable
    return "UNKNOWN" if word is None else "MERGEABLE" if word else "CONFLICTING"


def _decision(site: Site, repo: Repo, pull: Pull) -> str | None:
    if not site.is_protected(repo, pull.base) or repo.required_approvals == 0:
        return None
    reasons = " ".join(merging.missing(site, repo, pull))
    if "Changes were requested" in reasons:
        return "CHANGES_REQUESTED"
    return "REVIEW_REQUIRED" if "approving" in reasons else "APPROVED"
