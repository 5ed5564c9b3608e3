"""The hub's ground: accounts, repositories, who may do what, and where things are on disk."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.errors import UsageError
from runner.git.plumbing import GitFailed
from runner.hub.bare import ZERO, Bare, Identity
from runner.hub.store import Label, Repo, Store, User

LEVELS = ("none", "read", "triage", "write", "maintain", "admin")
LABELS = {
    "bug": ("d73a4a", "Something isn't working"),
    "documentation": ("0075ca", "Improvements or additions to documentation"),
    "enhancement": ("a2eeef", "New feature or request"),
}
LOGIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38}|[A-Za-z0-9-]{0,32}\[bot\])\Z")
REPO_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}\Z")

UPDATE_HOOK = """#!/bin/sh
# Branches that are protected move by pull request only; a new one may be pushed.
if [ "$1" = "refs/heads/$HUB_PROTECTED" ] && [ "$2" != 0000000000000000000000000000000000000000 ]; then
    echo "error: GH006: Protected branch update failed for $1." >&2
    echo "error: Changes must be made through a pull request." >&2
    exit 1
fi
"""

Ci = Callable[[str, str, Path], tuple[str, str, str]]
"""`ci(repo, sha, git_dir)` runs a repository's CI on a commit: (conclusion, title, text)."""


@dataclass(frozen=True)
class Moved:
    """A branch that was at `old` (None: not there) and is at `new` now (None: deleted)."""

    repo: int
    branch: str
    old: str | None
    new: str | None


class Site:
    """All that the hub's parts share.

    Args:
        root: where everything is kept: `hub.sqlite`, `repositories/`, `hooks/`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        (self.root / "repositories").mkdir(parents=True, exist_ok=True)
        self.store = Store(self.root / "hub.sqlite")
        self.secret = bytes.fromhex(self.store.setting("secret", os.urandom(32).hex()))
        self.hooks = self.root / "hooks"
        self.hooks.mkdir(exist_ok=True)
        hook = self.hooks / "update"
        hook.write_text(UPDATE_HOOK)
        hook.chmod(0o755)
        self.git_lock = threading.RLock()
        """Held while a ref and its records change; always taken before a transaction, never inside one."""
        self.want_ci: Callable[[Repo, str], None] = lambda _repo, _sha: None
        """Told of every pull request head that appears or moves."""

    # ── accounts ─────────────────────────────────────────────────────────────────────────────────────────────

    def add_user(self, login: str, *, token: str | None, password: str | None, organization: bool = False) -> User:
        """Make an account, or give an existing one a new token and password.

        Raises:
            UsageError: the login is not one.
        """
        if not LOGIN.match(login):
            raise UsageError(f"`{login}` is not a login", remedy="letters, digits and hyphens; not first a hyphen")
        with self.store.transaction():
            user = self.user(login)
            if user is None:
                user = self.store.insert(User(login=login, login_key=login.lower(), organization=organization))
            user.organization = organization
            user.token_hash = _digest(token) if token else user.token_hash
            user.password_hash = self._password(password) if password else user.password_hash
            self.store.save(user)
        return user

    def user(self, login: str) -> User | None:
        """The account with this login, letter case aside."""
        return self.store.one(User, parent=login.lower())

    def users(self) -> list[User]:
        """All accounts."""
        return self.store.find(User)

    def by_token(self, token: str) -> User | None:
        """The account that a token belongs to."""
        digest = _digest(token)
        for user in self.users():
            if user.token_hash is not None and hmac.compare_digest(user.token_hash, digest):
                return user
        return None

    def by_password(self, login: str, secret: str) -> User | None:
        """The account, if this is its password or its token."""
        user = self.user(login)
        if user is None or not secret:
            return None
        if user.token_hash is not None and hmac.compare_digest(user.token_hash, _digest(secret)):
            return user
        salt = user.password_hash.partition("$")[0] if user.password_hash else ""
        right = user.password_hash is not None and hmac.compare_digest(user.password_hash, self._password(secret, salt))
        return user if right else None

    def identity(self, login: str) -> Identity:
        """Who a commit is by that the hub makes for somebody."""
        return Identity(login, f"{login}@users.noreply.localhost")

    def by_email(self, email: str) -> User | None:
        """The account that an author's address belongs to."""
        login, at, host = email.partition("@")
        return self.user(login) if at and host == "users.noreply.localhost" else None

    @staticmethod
    def _password(password: str, salt: str | None = None) -> str:
        salt = salt if salt is not None else os.urandom(16).hex()
        key = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), n=2**13, r=8, p=1)
        return f"{salt}${key.hex()}"

    # ── repositories ─────────────────────────────────────────────────────────────────────────────────────────

    def create_repo(
        self,
        full_name: str,
        *,
        source: Path | None,
        default_branch: str,
        collaborators: dict[str, str],
        required_approvals: int,
        required_checks: tuple[str, ...],
        private: bool,
    ) -> Repo:
        """Make a repository, with the default branch of a local one in it if `source` is given.

        Raises:
            UsageError: the name is not OWNER/NAME or taken, a permission is unknown, or `source` has no such branch.
        """
        owner, _, name = full_name.partition("/")
        if not LOGIN.match(owner) or not REPO_NAME.match(name) or name.endswith(".git"):
            raise UsageError(f"`{full_name}` is not a repository name", remedy="write it as OWNER/NAME")
        unknown = [level for level in collaborators.values() if level not in LEVELS[1:]]
        if unknown:
            raise UsageError(f"`{unknown[0]}` is not a permission", remedy=f"one of {', '.join(LEVELS[1:])}")
        if self.repo(owner, name) is not None:
            raise UsageError(f"{full_name} exists already on this hub")
        repo = Repo(
            key=full_name.lower(),
            owner=owner,
            name=name,
            default_branch=default_branch,
            private=private,
            collaborators={login.lower(): level for login, level in collaborators.items()},
            required_approvals=required_approvals,
            required_checks=list(required_checks),
        )
        git = self.git(repo)
        git.init(default_branch)
        if source is not None:
            self._import(git, source.absolute(), default_branch)
        with self.store.transaction():
            if self.user(owner) is None:
                self.add_user(owner, token=None, password=None, organization=True)
            self.store.insert(repo)
            for label, (color, description) in LABELS.items():
                self.store.insert(Label(repo=repo.id, key=label, name=label, color=color, description=description))
        return repo

    @staticmethod
    def _import(git: Bare, source: Path, branch: str) -> None:
        # The path is given by whoever starts the hub, never by a client; it may belong to another user of the machine.
        flags = ["-c", "safe.directory=*"]
        refspec = f"+refs/heads/{branch}:refs/heads/{branch}"
        try:
            git.run(*flags, "fetch", "--quiet", "--no-write-fetch-head", str(source), refspec)
        except GitFailed as e:
            words = f"{source}: branch `{branch}` cannot be read: {e.stderr}"
            raise UsageError(words, remedy="name a git repository with that branch") from e

    def repo(self, owner: str, name: str) -> Repo | None:
        """A repository by its name, letter case aside."""
        return self.store.one(Repo, parent=f"{owner}/{name}".lower())

    def repo_by_id(self, repo_id: int) -> Repo:
        """A repository that is known to be there."""
        repo = self.store.get(Repo, repo_id)
        if repo is None:
            raise LookupError(f"no repository {repo_id}")
        return repo

    def repos(self) -> list[Repo]:
        """All repositories."""
        return self.store.find(Repo)

    def git(self, repo: Repo) -> Bare:
        """The bare repository."""
        return Bare(self.root / "repositories" / repo.owner.lower() / f"{repo.name.lower()}.git")

    def permission(self, repo: Repo, user: User | None) -> str:
        """What somebody may do: one of `LEVELS`."""
        if user is not None and user.login_key == repo.owner.lower():
            return "admin"
        given = repo.collaborators.get(user.login_key, "none") if user is not None else "none"
        return given if given != "none" or repo.private else "read"

    def may(self, repo: Repo, user: User | None, level: str) -> bool:
        """Whether somebody has at least this permission."""
        return LEVELS.index(self.permission(repo, user)) >= LEVELS.index(level)

    def next_number(self, repo: Repo) -> int:
        """Take the next issue or pull request number. Call it inside a transaction."""
        fresh = self.repo_by_id(repo.id)
        number = fresh.next_number
        fresh.next_number += 1
        self.store.save(fresh)
        return number

    def is_protected(self, repo: Repo, branch: str) -> bool:
        """Whether a branch moves by pull request only."""
        return repo.protected and branch == repo.default_branch

    def hook_env(self, repo: Repo) -> dict[str, str]:
        """Configuration and variables for git that receives a push: our hook, and refs that nobody may push to."""
        settings = {
            "core.hooksPath": str(self.hooks),
            "receive.hideRefs": "refs/pull",
            "receive.fsckObjects": "true",
            "http.receivepack": "true",
            "uploadpack.allowAnySHA1InWant": "true",
            "gc.auto": "0",
        }
        env = {"GIT_CONFIG_COUNT": str(len(settings)), "HUB_PROTECTED": repo.default_branch if repo.protected else ""}
        for i, (key, value) in enumerate(settings.items()):
            env[f"GIT_CONFIG_KEY_{i}"], env[f"GIT_CONFIG_VALUE_{i}"] = key, value
        return env


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def same(old: str | None) -> str:
    """The old value that `Bare.move` should insist on, for a ref that was at `old` or was not there."""
    return old if old is not None else ZERO
