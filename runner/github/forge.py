"""GitHub as the `Forge` of the story, through PyGithub.

Whatever writes looks for its own trace first: a pull request by its branch, a comment and a revert by a hidden
marker, a deployment by the run in its payload. Only traces left by ourselves count: a marker that a stranger
copied into a comment changes nothing.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TypeVar
from urllib.parse import quote

from github.GithubException import GithubException, RateLimitExceededException
from github.PullRequest import PullRequest as GitHubPull
from github.Repository import Repository

from runner.errors import ForgeError, Refused, RepositoryError
from runner.github.ci import Required, judge, required_by
from runner.github.connection import Reader, connect
from runner.github.failures import Failure, told
from runner.github.shapes import author, checked_repo, checked_token, deployed_for, lies_in, pull_request, review
from runner.model import CiStatus, PullRequest, Review, Verdict

Found = TypeVar("Found")

OUR_BRANCHES: Final = "automend/"
STOP_LABEL: Final = "automend:stop"

_WRITERS: Final = frozenset({"admin", "write"})
_PERMISSION_SECONDS: Final = 60.0
_DESCRIPTION_LENGTH: Final = 140  # GitHub's limit for the description of a deployment status
_MERGE_TRIES: Final = 3
_FORBIDDEN, _NOT_FOUND, _NOT_ALLOWED, _CONFLICT, _GONE, _UNPROCESSABLE = 403, 404, 405, 409, 410, 422


class GitHubForge:
    """A forge behind one token. Blocking; may be used by many threads.

    Writes are made one at a time, as GitHub asks of its clients; that also closes the gap between looking for a
    trace and leaving it.

    Args:
        token: a personal, fine-grained or installation token.
        api_url: as in GITHUB_API_URL.
        server_url: as in GITHUB_SERVER_URL; git and people go there.
        timeout: longest wait for the next bytes of an answer, in seconds.
        retries: how often a failed read is repeated.
        patience: longest wait for a rate limit, in seconds; a longer one is a `ForgeError`.

    Raises:
        ConfigError: the token is empty or holds characters that no token has.
    """

    def __init__(
        self,
        *,
        token: str,
        api_url: str = "https://api.github.com",
        server_url: str = "https://github.com",
        timeout: int = 20,
        retries: int = 3,
        patience: float = 60.0,
    ) -> None:
        self._token = checked_token(token)
        self._api_url = api_url.rstrip("/")
        self._server_url = server_url.rstrip("/")
        self._github = connect(
            token=self._token, api_url=self._api_url, timeout=timeout, retries=retries, patience=patience
        )
        self._reader = Reader(self._github.requester)
        self._writing = threading.RLock()
        self._login: str | None = None
        self._writers: dict[tuple[str, str], tuple[float, bool]] = {}

    def __repr__(self) -> str:
        return f"GitHubForge({self._api_url})"

    # ── the repository ───────────────────────────────────────────────────────────────────────────────────────

    def default_branch(self, repo: str) -> str:
        """The branch that pull requests go to.

        Raises:
            RepositoryError: there is no such repository, it has moved, or the token may not see it.
            ForgeError: the forge failed.
        """
        try:
            with self._told(f"reading {repo}"):
                data = self._reader.get(f"/repos/{checked_repo(repo)}")
        except Failure as e:
            if e.status != _NOT_FOUND:
                raise
            raise RepositoryError(
                f"{self._server_url}/{repo} is not there, or the token of {self._login_or('GITHUB_TOKEN')} "
                f"may not see it{self._visible()}",
                remedy="check the spelling OWNER/NAME, and that the token covers this repository",
            ) from None
        name = str(data["full_name"])
        if name.casefold() != repo.casefold():
            raise RepositoryError(f"{repo} has moved to {name}", remedy=f"use {name}")
        return str(data["default_branch"])

    def clone_url(self, repo: str) -> str:
        """The address of the repository for git, without credentials."""
        return f"{self._server_url}/{checked_repo(repo)}.git"

    def git_auth(self, repo: str) -> dict[str, str]:
        """Environment variables that let git reach exactly this repository, with no helper and no question asked."""
        url = self.clone_url(repo)
        basic = base64.b64encode(f"x-access-token:{self._token}".encode()).decode()
        entries = (
            # The empty value drops whatever the host has configured, so that one account never speaks for another.
            (f"http.{url}.extraHeader", ""),
            (f"http.{url}.extraHeader", f"Authorization: Basic {basic}"),
            (f"http.{url}.followRedirects", "false"),
            ("credential.helper", ""),
        )
        env = {"GIT_CONFIG_COUNT": str(len(entries)), "GIT_TERMINAL_PROMPT": "0"}
        for number, (key, value) in enumerate(entries):
            env[f"GIT_CONFIG_KEY_{number}"] = key
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        return env

    def stop_issue(self, repo: str) -> str | None:
        """The address of an open issue labelled `automend:stop`, if there is one."""
        try:
            with self._told(f"looking for a stop issue in {repo}"):
                issues = self._reader.pages(f"/repos/{checked_repo(repo)}/issues", state="open", labels=STOP_LABEL)
        except Failure as e:
            if e.status == _GONE:  # issues are switched off in this repository
                return None
            raise
        return next((str(i["html_url"]) for i in issues if "pull_request" not in i), None)

    def whoami(self) -> str:
        """The login that we act as."""
        if self._login is None:
            with self._told("asking who we are"):
                self._login = self._ask_login()
        return self._login

    # ── pull requests ────────────────────────────────────────────────────────────────────────────────────────

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

    # ── judgement ────────────────────────────────────────────────────────────────────────────────────────────

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
            if e.status in {401, _FORBIDDEN, _NOT_FOUND, _UNPROCESSABLE}:
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

    # ── landing and taking back ──────────────────────────────────────────────────────────────────────────────

    def merge(self, repo: str, number: int, *, sha: str, method: str, title: str) -> str:
        """Merge exactly `sha` and return the merge commit; the existing one where it is merged already.

        Args:
            method: "merge", "squash" or "rebase".

        Raises:
            Refused: the head moved, the pull request is closed, or the forge does not let it be merged.
            ForgeError: the forge failed.
        """
        with self._writing:
            for tries_left in reversed(range(_MERGE_TRIES)):
                merged = self._merged(repo, number, sha)
                if merged is not None:
                    return merged
                try:
                    with self._told(f"merging {repo}#{number}"):
                        answer = self._send(
                            "PUT",
                            f"/repos/{repo}/pulls/{number}/merge",
                            sha=sha,
                            merge_method=method,
                            commit_title=title,
                        )
                        return str(answer["sha"])
                except ForgeError as e:
                    # An answer can get lost on its way, or another process of ours was faster.
                    merged = self._merged(repo, number, sha)
                    if merged is not None:
                        return merged
                    status = e.status if isinstance(e, Failure) else 0
                    words = e.words if isinstance(e, Failure) else ""
                    if status == _NOT_ALLOWED and "base branch was modified" in words.casefold() and tries_left:
                        time.sleep(1)  # GitHub says to try again: another merge into the base is under way
                        continue
                    if status in {_NOT_ALLOWED, _CONFLICT}:
                        raise Refused(
                            f"the forge does not merge {repo}#{number} at {sha[:12]}: {words or e.message}",
                            remedy="see the merge box of the pull request: checks, approvals, conflicts, branch rules",
                        ) from None
                    raise
        raise AssertionError("the last try returns or raises")

    def revert_pull(self, repo: str, number: int, *, title: str, body: str) -> PullRequest:
        """The pull request that undoes a merged one; the existing one where there is one.

        Raises:
            Refused: the pull request was not merged.
            ForgeError: the forge failed, or cannot revert it because later changes are in the way.
        """
        marker = f"<!-- automend:revert-of:{number} -->"
        with self._writing:
            with self._told(f"reading {repo}#{number}"):
                merged = self._raw_pull(repo, number)
                node, merged_at = merged.node_id, merged.merged_at
            if merged_at is None:
                raise Refused(f"{repo}#{number} was not merged: there is nothing to revert", remedy="close it instead")
            found = self._find_revert(repo, number, marker)
            if found is not None:
                return found
            text = body if marker in body else f"{body}\n\n{marker}"
            try:
                with self._told(f"reverting {repo}#{number}"):
                    _, answer = self._github.requester.graphql_named_mutation(
                        "revertPullRequest",
                        {"pullRequestId": node, "title": title, "body": text},
                        "revertPullRequest { number headRefName }",
                    )
                    made = int(answer["revertPullRequest"]["number"])
            except ForgeError as e:
                return self._look_again(e, lambda: self._find_revert(repo, number, marker))
            return self.pull(repo, made)

    def begin_deployment(self, repo: str, *, sha: str, environment: str, run: str) -> int:
        """The id of this run's deployment of `sha`; the existing one where there is one."""
        with self._writing:
            with self._told(f"recording the deployment of {repo}@{sha[:12]}"):
                found = self._find_deployment(repo, sha, environment, run)
                if found is not None:
                    return found
            try:
                with self._told(f"recording the deployment of {repo}@{sha[:12]}"):
                    repository = self._repo(repo)
                    made = repository.create_deployment(
                        sha,
                        auto_merge=False,
                        required_contexts=[],  # whether CI is green was judged before the merge
                        payload={"automend_run": run},
                        environment=environment,
                        description=f"automend run {run}"[:_DESCRIPTION_LENGTH],
                    )
                    return made.id
            except ForgeError as e:
                return self._look_again(e, lambda: self._find_deployment(repo, sha, environment, run))

    def end_deployment(self, repo: str, deployment: int, *, state: str, description: str) -> None:
        """Record "success", "failure" or "inactive" of a deployment, once."""
        text = description[:_DESCRIPTION_LENGTH]
        with self._writing, self._told(f"recording that deployment {deployment} of {repo} is {state}"):
            path = f"/repos/{checked_repo(repo)}/deployments/{deployment}/statuses"
            statuses = self._reader.pages(path)
            last = max(statuses, key=lambda item: int(item["id"]), default=None)
            if last is None or (last["state"], last["description"]) != (state, text):
                self._send("POST", path, state=state, description=text)

    # ── what the above is made of ────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        with told(doing, api_url=self._api_url, secret=self._token):
            yield

    def _repo(self, repo: str) -> Repository:
        return self._github.get_repo(checked_repo(repo))

    def _raw_pull(self, repo: str, number: int) -> GitHubPull:
        return self._repo(repo).get_pull(number)

    def _send(self, verb: str, path: str, **body: Any) -> Any:
        _, data = self._github.requester.requestJsonAndCheck(verb, path, input=body or None)
        return data

    def _look_again(self, error: ForgeError, find: Callable[[], Found | None]) -> Found:
        """What `find` finds after a write failed, else the failure."""
        found = find()
        if found is None:
            raise error
        return found

    def _ask_login(self) -> str:
        try:
            return str(self._reader.get("/user")["login"])
        except GithubException as e:
            # Installation tokens have no user; GraphQL's viewer knows the app's login.
            if e.status != _FORBIDDEN or isinstance(e, RateLimitExceededException):
                raise
            _, data = self._github.requester.graphql_query("query { viewer { login } }", {})
            return str(data["data"]["viewer"]["login"])

    def _login_or(self, other: str) -> str:
        try:
            return self.whoami()
        except ForgeError:
            return other

    def _visible(self) -> str:
        """A few repositories that the token does see, as the end of a sentence; empty where it cannot be told."""
        try:
            with self._told("listing repositories"):
                items = self._reader.get("/user/repos", per_page=6, sort="pushed")
                names = [str(item["full_name"]) for item in items]
        except ForgeError:
            return ""
        if not names:
            return "; it sees no repository of its own"
        return f"; it sees {', '.join(names[:5])}{' and more' if len(names) > 5 else ''}"  # noqa: PLR2004  # asked for six

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
            if e.status == _NOT_FOUND or (e.status == _FORBIDDEN and "upgrade" in e.words.casefold()):
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
            if e.status != _NOT_FOUND:
                raise
            can = False
        self._writers[repo, login] = (now, can)
        return can

    def _merged(self, repo: str, number: int, sha: str) -> str | None:
        """The merge commit where `sha` is merged, None where it may be tried; Refused where it cannot be."""
        pull = self.pull(repo, number)
        if pull.head_sha != sha:
            raise Refused(
                f"{repo}#{number} is at {pull.head_sha[:12]} now, not at {sha[:12]} which was judged"
                + (" (and merged)" if pull.state == "merged" else ""),
                remedy="the new commits have to be judged first",
            )
        if pull.state == "closed":
            raise Refused(f"{repo}#{number} is closed", remedy="reopen it, if it shall be merged after all")
        return pull.merge_sha if pull.state == "merged" else None

    def _find_revert(self, repo: str, number: int, marker: str) -> PullRequest | None:
        me = self.whoami()
        with self._told(f"looking for the revert of {repo}#{number}"):
            items = self._reader.pages(f"/repos/{repo}/pulls", state="all", sort="created", direction="desc")
            for item in items:
                if int(item["number"]) <= number or not lies_in(item, repo):
                    continue
                pull = pull_request(repo, item)
                if marker in str(item.get("body") or "") and pull.author == me:
                    return pull
                # What GitHub's own revert button makes; only people with write access can have such a branch here.
                if pull.branch.startswith(f"revert-{number}-") and pull.state != "closed":
                    return pull
        return None

    def _find_deployment(self, repo: str, sha: str, environment: str, run: str) -> int | None:
        path = f"/repos/{checked_repo(repo)}/deployments"
        items = self._reader.pages(path, sha=sha, environment=environment)
        ours = [int(item["id"]) for item in items if deployed_for(item) == run]
        return min(ours, default=None)
