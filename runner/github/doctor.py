"""What `automend doctor` says about the forge: the token, its rights on a repository, the branch's protection.

It only reads. Whether a fine-grained token may *write* pull requests, checks or deployments cannot be asked
without writing; what can be read is told, and what is left open is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import quote, urlsplit

from github import Github

from runner.errors import AutomendError
from runner.github.ci import required_by
from runner.github.connection import Reader, connect
from runner.github.failures import FORBIDDEN, GONE, NOT_FOUND, UNAUTHORIZED, Failure, told
from runner.github.forge import GitHubForge
from runner.github.shapes import checked_repo, checked_token

_SOON_DAYS = 7
_EXPIRY = "github-authentication-token-expiration"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Line(NamedTuple):
    """One line of the doctor's: what was looked at, how it is, in words, and how to mend it."""

    name: str
    state: Literal["ok", "warn", "bad"]
    what: str
    remedy: str = ""


def check_token(*, token: str, api_url: str, server_url: str, repo: str | None = None) -> list[Line]:
    """Look at the token, and with `repo` (OWNER/NAME) at what it may do there. Never raises for what it finds."""
    lines: list[Line] = []
    try:
        examination = _Examination(checked_token(token), api_url.rstrip("/"), server_url, lines)
        examination.account()
        if repo is not None and not examination.hopeless:
            examination.repository(checked_repo(repo))
    except AutomendError as e:
        lines.append(Line("forge", "bad", e.message, e.remedy))
    return lines


class _Examination:
    def __init__(self, token: str, api_url: str, server_url: str, lines: list[Line]) -> None:
        self.lines = lines
        self.hopeless = False
        self._token, self._api_url = token, api_url
        self._github: Github = connect(token=token, api_url=api_url, timeout=10, retries=1, patience=5.0)
        self._reader = Reader(self._github.requester)
        self._forge = GitHubForge(
            token=token, api_url=api_url, server_url=server_url, timeout=10, retries=1, patience=5.0
        )

    # ── the account ──────────────────────────────────────────────────────────────────────────────────────────

    def account(self) -> None:
        """Is the forge there, is the token good, and until when."""
        parts = urlsplit(self._api_url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            self._say(
                "forge", "warn", f"{self._api_url} is not encrypted: the token is readable on the way", "use https"
            )
        try:
            login = self._forge.whoami()
        except AutomendError as e:
            self.hopeless = True
            name = "token" if isinstance(e, Failure) and e.status in {UNAUTHORIZED, FORBIDDEN} else "forge"
            self._say(name, "bad", e.message, e.remedy)
            return
        self._say("token", "ok", f"valid; we act as {login} on {self._api_url}")
        headers = self._headers()
        self._expiry(headers.get(_EXPIRY, ""))
        scopes = headers.get("x-oauth-scopes")
        if scopes is not None:  # only classic tokens have them
            names = {name.strip() for name in scopes.split(",") if name.strip()}
            if "repo" in names:
                self._say("scopes", "ok", f"{', '.join(sorted(names))}")
            elif "public_repo" in names:
                self._say(
                    "scopes", "warn", "public_repo: private repositories are out of reach", "add the scope `repo`"
                )
            else:
                self._say("scopes", "bad", f"the token lacks the scope `repo` (it has: {scopes or 'none'})", "add it")

    def _headers(self) -> Mapping[str, str]:
        try:
            with self._told("reading the token's scopes"):
                headers, _ = self._github.requester.requestJsonAndCheck("GET", "/user")
                return headers
        except AutomendError:  # installation tokens have no user, no scopes and no need of either
            return {}

    def _expiry(self, text: str) -> None:
        if not text:
            return
        try:
            end = datetime.strptime(text.removesuffix(" UTC").rsplit(" +", 1)[0], "%Y-%m-%d %H:%M:%S").replace(
                tzinfo=UTC
            )
        except ValueError:
            return
        days = (end - datetime.now(UTC)).days
        if days < _SOON_DAYS:
            self._say("token", "warn", f"expires on {end:%Y-%m-%d}", "make a new one in time")

    # ── a repository ─────────────────────────────────────────────────────────────────────────────────────────

    def repository(self, repo: str) -> None:
        """What the token may do in `repo`, and how its default branch is protected."""
        try:
            branch = self._forge.default_branch(repo)
            data = self._get(f"/repos/{repo}")
        except AutomendError as e:
            self._say("repository", "bad", e.message, e.remedy)
            return
        self._say("repository", "ok", f"{repo} is there; pull requests go to {branch}")
        rights = data.get("permissions") or {}
        if data.get("archived"):
            self._say("contents", "bad", f"{repo} is archived: nothing can be written", "unarchive it")
        elif rights and not rights.get("push"):
            self._say(
                "contents", "bad", f"the account may not push to {repo}", "give it the role Write; no more is needed"
            )
        else:
            self._say("contents", "ok", "branches can be pushed" if rights else "readable")
        for name, path, right in (
            ("pull requests", f"/repos/{repo}/pulls", "Pull requests: read and write"),
            ("checks", f"/repos/{repo}/commits/{quote(branch, safe='')}/check-runs", "Checks: read"),
            ("statuses", f"/repos/{repo}/commits/{quote(branch, safe='')}/status", "Commit statuses: read"),
            ("deployments", f"/repos/{repo}/deployments", "Deployments: read and write"),
            ("issues", f"/repos/{repo}/issues", "Issues: read"),
        ):
            self._readable(name, path, right)
        self._protection(repo, branch, admin=bool(rights.get("admin")))

    def _readable(self, name: str, path: str, right: str) -> None:
        try:
            self._get(path, per_page=1)
            self._say(name, "ok", "readable")
        except Failure as e:
            if name == "issues" and e.status == GONE:
                self._say(name, "ok", "switched off; an `automend:stop` issue is not possible here")
                return
            self._say(name, "bad", e.message, f"give the token the right `{right}`")
        except AutomendError as e:
            self._say(name, "bad", e.message, e.remedy)

    def _protection(self, repo: str, branch: str, *, admin: bool) -> None:
        name = quote(branch, safe="")
        try:
            shown = self._get(f"/repos/{repo}/branches/{name}")
        except AutomendError as e:
            self._say("protection", "bad", e.message, e.remedy)
            return
        rules = self._optional(f"/repos/{repo}/rules/branches/{name}") or []
        classic = self._optional(f"/repos/{repo}/branches/{name}/protection") or {}
        reviews = self._reviews(rules, classic)
        demands = [f"check {r.context}" for r in required_by(shown, rules)]
        if reviews is not None:
            demands.append(f"{reviews} approval{'' if reviews == 1 else 's'}" if reviews else "a pull request")
        if not shown.get("protected") and not rules:
            self._say(
                "protection",
                "warn",
                f"{branch} is not protected: whoever may push, may push to it directly, this account included",
                f"protect {branch} with a required check and a required approval",
            )
            return
        self._say(
            "protection", "ok", f"{branch} demands {', '.join(demands) or 'something, but neither check nor approval'}"
        )
        if not required_by(shown, rules):
            self._say("protection", "warn", f"no check is required on {branch}", "require the CI's check")
        if reviews is None and (classic or not shown.get("protected")):
            self._say(
                "direct push",
                "warn",
                f"this account can push to {branch} without a pull request",
                f"require a pull request before merging into {branch}",
            )
        elif reviews is None:
            self._say(
                "direct push", "warn", f"whether {branch} demands a pull request is not shown to this token",
                "look it up under Settings → Branches: automend must not be able to push there directly",
            )  # fmt: skip
        elif admin and not (classic.get("enforce_admins") or {}).get("enabled") and not rules:
            self._say(
                "direct push",
                "warn",
                f"this account is an administrator, and the protection of {branch} does not hold for those",
                "give it the role Write only",
            )
        else:
            self._say("direct push", "ok", f"{branch} takes pull requests only")

    @staticmethod
    def _reviews(rules: list[dict[str, Any]], classic: Mapping[str, Any]) -> int | None:
        """Approvals that the branch demands; None where no pull request is demanded, as far as can be seen."""
        counts = [
            int((rule.get("parameters") or {}).get("required_approving_review_count") or 0)
            for rule in rules
            if rule.get("type") == "pull_request"
        ]
        demanded = classic.get("required_pull_request_reviews")
        if demanded is not None:
            counts.append(int(demanded.get("required_approving_review_count") or 0))
        return max(counts, default=None)

    # ── small change ─────────────────────────────────────────────────────────────────────────────────────────

    def _say(self, name: str, state: Literal["ok", "warn", "bad"], what: str, remedy: str = "") -> None:
        self.lines.append(Line(name, state, what, remedy))

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        with told(doing, api_url=self._api_url, secret=self._token):
            yield

    def _get(self, path: str, **parameters: Any) -> Any:
        with self._told(f"reading {path}"):
            return self._reader.get(path, **parameters)

    def _optional(self, path: str) -> Any:
        """The JSON at `path`, or None where it is not there or not for us."""
        try:
            return self._get(path)
        except Failure as e:
            if e.status in {FORBIDDEN, NOT_FOUND}:
                return None
            raise
