"""The fixture `forge_hub`: a hub of our own on a port of its own, watched by the contract.

In a conftest.py:  from tests.contract.plugin import forge_hub  # noqa: F401
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from github import Auth, Github

from runner.github.forge import GitHubForge
from runner.hub.server import Hub
from tests.contract.checker import App, ContractChecked, Message, Receive, Send

BOT = "automend-bot"
PEOPLE = ("ann", "ben", "eve")


def token_of(login: str) -> str:
    """Every account's token on the hub of a test."""
    return f"token-of-{login}"


class Lossy:
    """Carries requests out and then, where a test says so, answers 502: what a client sees when a proxy gives up.

    Attributes:
        losing: methods ("POST"); the next answer to one of each is lost.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.losing: list[str] = []

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer or not."""
        if scope["type"] != "http" or scope["method"] not in self.losing:
            await self.app(scope, receive, send)
            return
        self.losing.remove(scope["method"])

        async def lose(_message: Message) -> None:
            pass

        await self.app(scope, receive, lose)
        await send({"type": "http.response.start", "status": 502, "headers": [(b"content-type", b"text/html")]})
        await send({"type": "http.response.body", "body": b"<html>Bad Gateway</html>"})


class ForgeHub:
    """A running hub, and ways to speak to it. All that passes is held to GitHub's schemas.

    Attributes:
        hub: not started; `start` does that.
        checked: the contract's watch; `violations` in it are asserted to be none at the end of the test.
        lossy: loses answers on demand.
    """

    def __init__(self, root: Path, **kwargs: Any) -> None:
        self.hub = Hub(root, **kwargs)
        self.checked = ContractChecked(self.hub.app)
        self.lossy = Lossy(self.checked)
        self.hub.app = self.lossy
        self.url = ""
        for login in (BOT, *PEOPLE):
            self.hub.add_user(login, token=token_of(login), password=f"password-of-{login}")

    def start(self) -> None:
        """Listen on a free port of the loopback interface."""
        self.url = self.hub.start()

    @property
    def api_url(self) -> str:
        """As in GITHUB_API_URL."""
        return f"{self.url}/api/v3"

    def repo(self, name: str = "octo/tool", **kwargs: Any) -> str:
        """A repository with one commit: the bot and ann may write, ben may read, eve is nobody there."""
        collaborators = {BOT: "write", "ann": "write", "ben": "read"}
        self.hub.create_repo(name, **{"collaborators": collaborators, **kwargs})
        self.hub.commit(name, {"app.py": b"x = 1\n", "README.md": b"# tool\n"}, "Begin", author="ann")
        return name

    def branch(self, repo: str, name: str, changes: Mapping[str, bytes | None]) -> str:
        """A branch off the default branch with one commit of the bot's more; its id."""
        real = self.client(BOT).get_repo(repo)
        real.create_git_ref(f"refs/heads/{name}", real.get_branch(real.default_branch).commit.sha)
        return self.hub.commit(repo, changes, "Mend", branch=name, author=BOT)

    def forge(self, login: str = BOT, **kwargs: Any) -> GitHubForge:
        """Our adapter, as one of the accounts."""
        settings: dict[str, Any] = {"timeout": 120, "retries": 1, "patience": 2.0, **kwargs}
        return GitHubForge(token=token_of(login), api_url=self.api_url, server_url=self.url, **settings)

    def client(self, login: str) -> Github:
        """Plain PyGithub, as one of the accounts: what a person does in the browser."""
        return Github(
            auth=Auth.Token(token_of(login)), base_url=self.api_url, retry=None,
            seconds_between_requests=None, seconds_between_writes=None, timeout=120,
        )  # fmt: skip


@pytest.fixture
def forge_hub(tmp_path: Path) -> Iterator[ForgeHub]:
    """A hub that is listening, with the accounts `BOT` and `PEOPLE`; the test fails where the contract is broken."""
    made = ForgeHub(tmp_path / "hub")
    made.start()
    try:
        yield made
    finally:
        made.hub.stop()
    if made.checked.violations:
        pytest.fail("GitHub's schemas were broken:\n" + "\n".join(made.checked.violations), pytrace=False)
