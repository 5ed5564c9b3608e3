"""Pull requests and what is said on them, each written once: by its branch, by its hidden marker."""

from __future__ import annotations

from itertools import islice
from typing import Final

from runner.errors import ForgeError
from runner.github.client import Client
from runner.github.shapes import author, checked_repo, lies_in, pull_request, touched_lines
from runner.model import PullRequest

OUR_BRANCHES: Final = "automend/"
_MOST_OTHERS: Final = 20


class Pulls(Client):
    """The part of the forge that proposes."""

    def find_pull(self, repo: str, branch: str) -> PullRequest | None:
        """The pull request of a branch, in any state: an open one before a merged before a closed one."""
        with self._told(f"looking for the pull request of {branch} in {repo}"):
            owner = checked_repo(repo).partition("/")[0]
            found = [
                pull
                for item in self._reader.pages(f"/repos/{repo}/pulls", state="all", head=f"{owner}:{branch}")
                # Forks have branches of the same name, and GitHub ignores a filter that it does not understand.
                if lies_in(item, repo) and (pull := pull_request(repo, item)).branch == branch
            ]
        order = ("open", "merged", "closed")
        return min(found, key=lambda pull: (order.index(pull.state), -pull.number), default=None)

    def open_pull(self, repo: str, *, branch: str, base: str, title: str, body: str) -> PullRequest:
        """The pull request for `branch`; the existing one where there is one, an open one with `body` brought in.

        Raises:
            ForgeError: the forge refused, for instance because the branch was not pushed or changes nothing.
        """
        with self._writing:
            found = self.find_pull(repo, branch)
            if found is None:
                try:
                    with self._told(f"opening the pull request of {branch} in {repo}"):
                        made = self._repo(repo).create_pull(base, branch, title=title, body=body)
                        return pull_request(repo, made.raw_data)
                except ForgeError as e:
                    # Somebody was faster, or our request was carried out although its answer was lost.
                    found = self._look_again(e, lambda: self.find_pull(repo, branch))
            if found.state == "open":
                with self._told(f"updating {repo}#{found.number}"):
                    pull = self._raw_pull(repo, found.number)
                    if (pull.body or "").replace("\r\n", "\n") != body.replace("\r\n", "\n"):
                        pull.edit(body=body)
            return found

    def pull(self, repo: str, number: int) -> PullRequest:
        """A pull request as it is now."""
        with self._told(f"reading {repo}#{number}"):
            return pull_request(repo, self._reader.get(f"/repos/{checked_repo(repo)}/pulls/{number}"))

    def open_pulls(self, repo: str) -> tuple[PullRequest, ...]:
        """Open pull requests whose branch begins with `automend/`, oldest first."""
        with self._told(f"listing the pull requests of {repo}"):
            items = self._reader.pages(
                f"/repos/{checked_repo(repo)}/pulls", state="open", sort="created", direction="asc"
            )
            pulls = (pull_request(repo, item) for item in items if lies_in(item, repo))
            return tuple(pull for pull in pulls if pull.branch.startswith(OUR_BRANCHES))

    def open_by_others(self, repo: str, *, base: str) -> tuple[PullRequest, ...]:
        """Open pull requests to a branch that are none of ours, newest first, at most 20 of them."""
        with self._told(f"listing the pull requests of {repo}"):
            items = self._reader.each(
                f"/repos/{checked_repo(repo)}/pulls", state="open", base=base, sort="created", direction="desc"
            )
            found = ((lies_in(item, repo), pull_request(repo, item)) for item in items)
            others = (pull for here, pull in found if not (here and pull.branch.startswith(OUR_BRANCHES)))
            return tuple(islice(others, _MOST_OTHERS))

    def touched(self, repo: str, number: int) -> dict[str, tuple[tuple[int, int], ...]]:
        """Path → ranges of the base's lines (first, last) that a pull request changes."""
        with self._told(f"reading the files of {repo}#{number}"):
            items = self._reader.each(f"/repos/{checked_repo(repo)}/pulls/{number}/files")
            found: dict[str, tuple[tuple[int, int], ...]] = {}
            for item in items:
                found |= touched_lines(item)
            return found

    def comment(self, repo: str, number: int, *, marker: str, body: str) -> None:
        """Write our comment with this hidden marker, or bring it up to date. Copies of it are removed.

        `marker` is a word, or a whole HTML comment.
        """
        hidden = marker if marker.startswith("<!--") else f"<!-- automend:{marker} -->"
        text = body if hidden in body else f"{body}\n\n{hidden}"
        with self._writing:
            me = self.whoami()
            with self._told(f"commenting on {repo}#{number}"):
                path = f"/repos/{checked_repo(repo)}/issues/{number}/comments"
                ours = [
                    item
                    for item in self._reader.pages(path)
                    if author(item) == me and hidden in str(item.get("body") or "")
                ]
                if not ours:
                    self._send("POST", path, body=text)
                    return
                kept = min(ours, key=lambda item: int(item["id"]))
                if str(kept["body"]) != text:
                    self._send("PATCH", f"/repos/{repo}/issues/comments/{kept['id']}", body=text)
                for item in ours:
                    if item is not kept:
                        self._send("DELETE", f"/repos/{repo}/issues/comments/{item['id']}")
