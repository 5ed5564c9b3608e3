"""What the forge says about a commit: its CI, and what people with write access think of it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from runner.github.ci import Required, judge, required_by
from runner.github.client import Client
from runner.github.failures import FORBIDDEN, NOT_FOUND, UNAUTHORIZED, UNPROCESSABLE, Failure
from runner.github.shapes import author, checked_repo, review
from runner.model import CiStatus, Review, Verdict

_WRITERS: Final = frozenset({"admin", "write"})
_PERMISSION_SECONDS: Final = 60.0
_UNREADABLE: Final = frozenset({UNAUTHORIZED, FORBIDDEN, NOT_FOUND, UNPROCESSABLE})


class Judgement(Client):
    """The part of the forge that is read before a pull request lands."""

    def ci(self, repo: str, sha: str) -> CiStatus:
        """Check runs, commit statuses and required checks of a commit, as one verdict.

        Required checks are those of the branch that the commit's open pull request goes to, else of the default
        branch. What the token may not read is ERROR, never green.

        Raises:
            ForgeError: the forge cannot be reached, is failing, or limits us.
        """
        try:
            with self._told(f"reading the CI of {repo}@{sha[:12]}"):
                path = f"/repos/{checked_repo(repo)}/commits/{quote(sha, safe='')}"
                runs = self._reader.pages(f"{path}/check-runs", within="check_runs", filter="latest")
                statuses = self._reader.pages(f"{path}/status", within="statuses")
                return judge(runs, statuses, self._required(repo, sha))
        except Failure as e:
            if e.status in _UNREADABLE:
                return CiStatus(verdict=Verdict.ERROR, summary=f"CI cannot be read: {e.message}")
            raise

    def reviews(self, repo: str, number: int) -> tuple[Review, ...]:
        """Reviews in their order, each with whether its author has write access now.

        Our own, and those of bots, never count as written by a person with write access.
        """
        me = self.whoami()
        with self._told(f"reading the reviews of {repo}#{number}"):
            items = self._reader.pages(f"/repos/{checked_repo(repo)}/pulls/{number}/reviews")
            told = (
                review(item, can_write=self._person(item, me) and self._can_write(repo, author(item))) for item in items
            )
            return tuple(r for r in told if r is not None)

    def _required(self, repo: str, sha: str) -> tuple[Required, ...]:
        pulls = self._reader.pages(f"/repos/{repo}/commits/{quote(sha, safe='')}/pulls")
        bases = {str(p["base"]["ref"]) for p in pulls if p["state"] == "open" and p["head"]["sha"] == sha}
        if not bases:
            bases = {str(self._reader.get(f"/repos/{repo}")["default_branch"])}
        found: list[Required] = []
        for base in sorted(bases):
            name = quote(base, safe="")
            branch = self._reader.get(f"/repos/{repo}/branches/{name}")
            found += required_by(branch, self._rules(repo, name))
        return tuple(found)

    def _rules(self, repo: str, branch: str) -> list[dict[str, Any]]:
        try:
            with self._told(f"reading the rules of {branch} in {repo}"):
                return self._reader.pages(f"/repos/{repo}/rules/branches/{branch}")
        except Failure as e:
            # Servers and plans without rulesets: 404, or 403 with an invitation to pay.
            if e.status == NOT_FOUND or (e.status == FORBIDDEN and "upgrade" in e.words.casefold()):
                return []
            raise

    def _person(self, item: Mapping[str, Any], me: str) -> bool:
        login = author(item)
        return bool(login) and login != me and (item.get("user") or {}).get("type") != "Bot"

    def _can_write(self, repo: str, login: str) -> bool:
        now = time.monotonic()
        known = self._writers.get((repo, login))
        if known is not None and now - known[0] < _PERMISSION_SECONDS:
            return known[1]
        try:
            with self._told(f"asking whether {login} may write to {repo}"):
                path = f"/repos/{repo}/collaborators/{quote(login, safe='')}/permission"
                can = self._reader.get(path)["permission"] in _WRITERS
        except Failure as e:
            if e.status != NOT_FOUND:
                raise
            can = False
        self._writers[repo, login] = (now, can)
        return can
