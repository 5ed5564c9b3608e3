"""From GitHub's JSON to our nouns, and from what people typed to what may stand in an address. Pure: no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from runner.errors import ConfigError, RepositoryError
from runner.model import PullRequest, Review

_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*/[A-Za-z0-9._-]+")
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")
_REVIEW_STATES: Final = {
    "APPROVED": "approved",
    "CHANGES_REQUESTED": "changes_requested",
    "COMMENTED": "commented",
    "DISMISSED": "dismissed",
}


def checked_token(token: str) -> str:
    """The token, without the line end that files have.

    Raises:
        ConfigError: it is empty or no token; the message does not show it.
    """
    token = token.strip()
    if not token:
        raise ConfigError("no token for the forge", remedy="set GITHUB_TOKEN")
    if not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigError("the forge's token holds blanks or control characters", remedy="set GITHUB_TOKEN anew")
    return token


def checked_repo(repo: str) -> str:
    """OWNER/NAME, safe to put into an address.

    Raises:
        RepositoryError: it is something else.
    """
    if not _REPO.fullmatch(repo) or repo.rpartition("/")[2] in {".", ".."}:
        raise RepositoryError(f"{repo!r} is not the name of a repository", remedy="write OWNER/NAME")
    return repo


def lies_in(item: Mapping[str, Any], repo: str) -> bool:
    """Whether a pull request's branch lies in `repo` itself, and not in a fork."""
    return str((item["head"].get("repo") or {}).get("full_name")).casefold() == repo.casefold()


def touched_lines(item: Mapping[str, Any]) -> dict[str, tuple[tuple[int, int], ...]]:
    """Path → ranges of the base's lines (first, last) that one file of a pull request changes.

    An insertion touches the lines on its sides. A file without a patch (binary, moved, very large) is touched whole.
    """
    whole = ((0, 1 << 62),)
    path, before = str(item["filename"]), item.get("previous_filename")
    patch = item.get("patch")
    if not isinstance(patch, str) or not patch:
        return {str(name): whole for name in (path, before) if name}
    ranges: list[tuple[int, int]] = []
    line, replaced = 0, False
    for row in patch.split("\n"):
        head = _HUNK.match(row)
        if head is not None:
            line = int(head[1])
            continue
        if row.startswith("-"):
            ranges.append((line, line))
        elif row.startswith("+") and not replaced:
            ranges.append((line - 1, line))
        replaced = row.startswith("-") or (replaced and row.startswith("+"))
        line += row.startswith(("-", " "))
    return {str(before or path): tuple(dict.fromkeys(ranges))}


def pull_request(repo: str, item: Mapping[str, Any]) -> PullRequest:
    """A pull request, from a list or on its own (only there GitHub says whether it can be merged)."""
    merged = item.get("merged_at") is not None
    return PullRequest.model_validate(
        {
            "repo": repo,
            "number": item["number"],
            "url": item["html_url"],
            "title": item["title"],
            "state": "merged" if merged else item["state"],
            "author": author(item),
            "branch": item["head"]["ref"],
            "base": item["base"]["ref"],
            "head_sha": item["head"]["sha"],
            # Before the merge this names GitHub's trial merge, which is on no branch.
            "merge_sha": item["merge_commit_sha"] if merged else None,
            "mergeable": item.get("mergeable"),
        }
    )


def author(item: Mapping[str, Any]) -> str:
    """Who wrote it; empty for accounts that are gone."""
    return str((item.get("user") or {}).get("login") or "")


def deployed_for(item: Mapping[str, Any]) -> str | None:
    """The run that a deployment of ours was made for."""
    payload = item.get("payload")
    run = payload.get("automend_run") if isinstance(payload, dict) else None
    return run if isinstance(run, str) else None


def review(item: Mapping[str, Any], *, can_write: bool) -> Review | None:
    """A submitted review; None for one that is still being written (only its author sees those)."""
    state = _REVIEW_STATES.get(str(item["state"]).upper())
    if state is None:
        return None
    return Review.model_validate(
        {
            "id": item["id"],
            "author": author(item),
            "state": state,
            "commit_sha": item.get("commit_id") or "",
            "can_write": can_write,
            "body": item.get("body") or "",
        }
    )
