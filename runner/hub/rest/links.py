"""Addresses: everything in an answer that points somewhere else on this hub."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

from runner.hub.store import Repo


@dataclass(frozen=True)
class Links:
    """Makes addresses for one request. `base` is the hub's own, as the client reached it, without a slash."""

    base: str

    @property
    def api(self) -> str:
        """Where REST begins."""
        return f"{self.base}/api/v3"

    def repo(self, repo: Repo) -> str:
        """A repository in REST."""
        return f"{self.api}/repos/{repo.full_name}"

    def page(self, repo: Repo) -> str:
        """A repository for people."""
        return f"{self.base}/{repo.full_name}"

    def user(self, login: str) -> str:
        """An account in REST."""
        return f"{self.api}/users/{quote(login)}"

    def pull(self, repo: Repo, number: int) -> str:
        """A pull request in REST."""
        return f"{self.repo(repo)}/pulls/{number}"

    def issue(self, repo: Repo, number: int) -> str:
        """An issue in REST."""
        return f"{self.repo(repo)}/issues/{number}"

    def pull_page(self, repo: Repo, number: int) -> str:
        """A pull request for people."""
        return f"{self.page(repo)}/pull/{number}"

    def talk_page(self, repo: Repo, number: int, *, is_pull: bool) -> str:
        """An issue or pull request for people."""
        return f"{self.page(repo)}/{'pull' if is_pull else 'issues'}/{number}"

    def commit_page(self, repo: Repo, sha: str) -> str:
        """A commit for people."""
        return f"{self.page(repo)}/commit/{sha}"
