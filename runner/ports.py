"""The protocols that the story speaks through. Adapters live in packages of their own; `app` wires them.

All of them are plain blocking code: the engine runs each step in a thread. All that speak to the outside are
idempotent by name: they look for their own trace before they act.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from runner.budget import Price
from runner.model import Attempt, CiStatus, Health, PullRequest, Report, Review, Rollout, Run, Usage
from sandbox.api import Sandbox


class Account(Protocol):
    """The wider budgets that an attempt is charged to; kept where a restart does not forget them."""

    def refusal(self) -> str | None:
        """Why no further request may pass, in words; None while something is left.

        Raises:
            OutsideError: nobody can tell.
        """
        ...

    def charge(self, usage: Usage, seconds: float) -> None:
        """Add what was taken since the last charge.

        Raises:
            OutsideError: it cannot be written down.
        """
        ...


@dataclass(frozen=True)
class Budget:
    """What one attempt may take from the model provider; `usd` None is no limit in money."""

    requests: int = 200
    tokens: int = 4_000_000
    usd: float | None = None
    wall_seconds: float = 900.0
    account: Account | None = None


class Door(Protocol):
    """The one way out of an agent's container: a unix socket that answers as the model provider."""

    socket: Path

    def usage(self) -> Usage:
        """What went through so far."""
        ...

    def closed_because(self) -> tuple[str, str] | None:
        """("budget" | "provider_down" | "leak", why in words) once the door has shut itself, else None."""
        ...


Dialect = Literal["openai", "anthropic"]
"""How a model is spoken to: OpenAI's Responses API (codex) or Anthropic's Messages API (claude)."""


@dataclass(frozen=True)
class Answer:
    """What an upstream answers: the body comes in chunks as the provider sends them."""

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]


class Upstream(Protocol):
    """Who answers behind the gateway: a provider, or a script. The one asynchronous port, as answers are streams."""

    name: str
    """Who this is, for people. The same name is the same provider; a script has none, and is never left alone."""
    secrets: tuple[str, ...]
    """What must not stand in a record or reach the container."""

    def exchange(self, path: str, headers: Mapping[str, str], body: bytes) -> AbstractAsyncContextManager[Answer]:
        """POST `body` to `path` (as the dialect names it, `/v1/responses`); the key is the upstream's own affair.

        Raises:
            OSError: nobody answers there.
        """
        ...

    async def aclose(self) -> None:
        """Give connections back."""
        ...


class Gateway(Protocol):
    """Makes doors. Whatever the container asks for, the model and the key are the gateway's."""

    def provider(self, dialect: Dialect, *, base_url: str, key: str) -> Upstream:
        """The real provider at `base_url`."""
        ...

    def open(
        self,
        *,
        dialect: Dialect,
        upstream: Upstream,
        model: str,
        budget: Budget,
        record: Path | None,
        price: Price | None = None,
    ) -> AbstractContextManager[Door]:
        """A door of its own for one attempt, shut when the context ends; `record` is where exchanges are kept.

        Without a `price`, nothing is known about money.

        Raises:
            ProviderError: the provider is known to be down, or its quota used up.
        """
        ...


class Agent(Protocol):
    """A coding agent: a CLI and the model behind it."""

    name: str
    model: str

    def open_door(self, run: str, number: int, budget: Budget) -> AbstractContextManager[Door]:
        """The gateway for attempt `number` of `run`; shut when the context ends.

        Raises:
            ProviderError: no key, nothing is configured to answer, or the provider is down.
        """
        ...

    def work(
        self,
        box: Sandbox,
        door: Door,
        *,
        number: int,
        prompt: str,
        seconds: float,
        transcript: Path,
        env: Mapping[str, str],
    ) -> Attempt:
        """Let the agent work on the workspace, with some variables more. How it went is in the answer, never raised.

        Raises:
            SandboxError: the machine failed.
        """
        ...


class Summarizer(Protocol):
    """Writes what a reviewer reads first. Its words are untrusted: they are cleaned before they are posted."""

    def summarize(self, run: Run, report: Report, diff: str) -> str | None:
        """Two or three plain sentences (what was wrong, what changed and why), or None where no model answers."""
        ...


class Forge(Protocol):
    """GitHub, or what is shaped like it. Every method raises `ForgeError` when the forge fails.

    `repo` is OWNER/NAME everywhere.
    """

    def default_branch(self, repo: str) -> str:
        """The branch that pull requests go to.

        Raises:
            RepositoryError: there is no such repository, or the token may not see it.
        """
        ...

    def clone_url(self, repo: str) -> str:
        """The https address of the repository, without credentials."""
        ...

    def git_auth(self, repo: str) -> dict[str, str]:
        """Environment variables (GIT_CONFIG_*) that let git reach exactly this repository; never on a command line."""
        ...

    def find_pull(self, repo: str, branch: str) -> PullRequest | None:
        """The pull request of a branch of ours, in any state."""
        ...

    def open_pull(self, repo: str, *, branch: str, base: str, title: str, body: str) -> PullRequest:
        """The pull request for `branch`; the existing one where there is one."""
        ...

    def pull(self, repo: str, number: int) -> PullRequest:
        """A pull request as it is now."""
        ...

    def comment(self, repo: str, number: int, *, marker: str, body: str) -> None:
        """Write our comment with this hidden marker, or bring it up to date."""
        ...

    def ci(self, repo: str, sha: str) -> CiStatus:
        """Check runs and commit statuses of a commit, as one verdict."""
        ...

    def reviews(self, repo: str, number: int) -> tuple[Review, ...]:
        """Reviews in their order, each with whether its author has write access now."""
        ...

    def merge(self, repo: str, number: int, *, sha: str, method: str, title: str) -> str:
        """Merge exactly `sha` and return the merge commit; the existing one where it is merged already.

        Raises:
            Refused: the head moved, or the forge does not let it be merged.
        """
        ...

    def revert_pull(self, repo: str, number: int, *, title: str, body: str) -> PullRequest:
        """The pull request that undoes a merged one; the existing one where there is one."""
        ...

    def begin_deployment(self, repo: str, *, sha: str, environment: str, run: str) -> int:
        """The id of this run's deployment of `sha`; the existing one where there is one."""
        ...

    def end_deployment(self, repo: str, deployment: int, *, state: str, description: str) -> None:
        """Record "success", "failure" or "inactive" of a deployment."""
        ...

    def stop_issue(self, repo: str) -> str | None:
        """The address of an open issue labelled `automend:stop`, if there is one."""
        ...

    def open_pulls(self, repo: str) -> tuple[PullRequest, ...]:
        """Open pull requests whose branch begins with `automend/`."""
        ...

    def open_by_others(self, repo: str, *, base: str) -> tuple[PullRequest, ...]:
        """Open pull requests to a branch that are none of ours, newest first, and no more than a few."""
        ...

    def touched(self, repo: str, number: int) -> dict[str, tuple[tuple[int, int], ...]]:
        """Path → ranges of the base's lines (first, last) that a pull request changes; an insertion touches its
        neighbours, and a file that has no text everything."""
        ...

    def whoami(self) -> str:
        """The login that we act as."""
        ...


class Deployer(Protocol):
    """Puts a commit live. A release is started once: asked again, it waits for or reports what it began."""

    def current(self) -> str | None:
        """The release that is live, where the host can tell."""
        ...

    def deploy(self, release: str, *, run: str) -> Rollout:
        """Put `release` live."""
        ...

    def rollback(self, release: str, *, run: str) -> Rollout:
        """Put `release`, which was live before, back."""
        ...


class Probe(Protocol):
    """Reads how production is doing."""

    def watch(self, seconds: float, *, stop_when_critical: bool = False) -> Health:
        """Read for a window of time, and judge it. What cannot be read is UNKNOWN, never healthy."""
        ...

    def worse(self, before: Health, after: Health) -> str | None:
        """Why `after` is worse than `before`, or None where it is not."""
        ...


Progress = Callable[[str], None]
"""Says what is going on right now, in a few words."""
