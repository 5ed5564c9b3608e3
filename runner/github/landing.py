"""Merging, recording deployments, taking back: each looks for what it left before, and leaves it once."""

from __future__ import annotations

import time
from typing import Final

from runner.errors import ForgeError, Refused
from runner.github.failures import CONFLICT, NOT_ALLOWED, Failure
from runner.github.pulls import Pulls
from runner.github.shapes import checked_repo, deployed_for, lies_in, pull_request
from runner.model import PullRequest

_DESCRIPTION_LENGTH: Final = 140  # GitHub's limit for the description of a deployment status
_MERGE_TRIES: Final = 3


class Landing(Pulls):
    """The part of the forge that lands."""

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
                    if status == NOT_ALLOWED and "base branch was modified" in words.casefold() and tries_left:
                        time.sleep(1)  # GitHub says to try again: another merge into the base is under way
                        continue
                    if status in {NOT_ALLOWED, CONFLICT}:
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
            for item in self._reader.each(f"/repos/{repo}/pulls", state="all", sort="created", direction="desc"):
                if int(item["number"]) <= number:
                    break  # older than what it would revert
                if not lies_in(item, repo):
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
