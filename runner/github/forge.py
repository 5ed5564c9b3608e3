"""GitHub as the `Forge` of the story, through PyGithub.

Whatever writes looks for its own trace first: a pull request by its branch, a comment and a revert by a hidden
marker, a deployment by the run in its payload. Only traces left by ourselves count: a marker that a stranger
copied into a comment changes nothing.
"""

from __future__ import annotations

import base64
from typing import Final

from runner.errors import ForgeError, RepositoryError
from runner.github.failures import GONE, NOT_FOUND, Failure
from runner.github.judgement import Judgement
from runner.github.landing import Landing
from runner.github.shapes import checked_repo
from runner.ports import Forge

STOP_LABEL: Final = "automend:stop"


class GitHubForge(Landing, Judgement, Forge):
    """A forge behind one token: pull requests (`Pulls`), `Landing`, `Judgement`, and here the repository itself.

    Blocking; may be used by many threads. `Client` says what it takes.
    """

    def default_branch(self, repo: str) -> str:
        """The branch that pull requests go to.

        Raises:
            RepositoryError: there is no such repository, it has moved, or the token may not see it.
            ForgeError: the forge failed.
        """
        try:
            with self._told(f"reading {repo}"):
                data = self._reader.get(f"/repos/{checked_repo(repo)}")
                name, branch = str(data["full_name"]), str(data["default_branch"])
        except Failure as e:
            if e.status != NOT_FOUND:
                raise
            raise RepositoryError(
                f"{self._server_url}/{repo} is not there, or the token of {self._login_or('GITHUB_TOKEN')} "
                f"may not see it{self._visible()}",
                remedy="check the spelling OWNER/NAME, and that the token covers this repository",
            ) from None
        if name.casefold() != repo.casefold():
            raise RepositoryError(f"{repo} has moved to {name}", remedy=f"use {name}")
        return branch

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
            if e.status == GONE:  # issues are switched off in this repository
                return None
            raise
        return next((str(i["html_url"]) for i in issues if "pull_request" not in i), None)

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
