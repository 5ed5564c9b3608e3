"""What the hub remembers besides git: one SQLite file of JSON documents, one table, one class per kind.

Refs and commits are never kept here: they are read from git. Every change is one transaction, written before
the answer goes out, so a killed hub comes back with what it had said.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, TypeVar


def now() -> str:
    """The time as GitHub writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class Record:
    """One remembered thing. `kind` names it in the table, `parent` is the field that it is looked up by."""

    kind: ClassVar[str] = ""
    parent: ClassVar[str] = "number"

    id: int = 0
    repo: int = 0


@dataclass
class User(Record):
    """An account. Secrets are kept as hashes only."""

    kind = "user"
    parent = "login_key"
    login: str = ""
    login_key: str = ""
    organization: bool = False
    token_hash: str | None = None
    password_hash: str | None = None
    created: str = field(default_factory=now)


@dataclass
class Repo(Record):
    """A repository's settings. `next_number` is the next issue or pull request."""

    kind = "repo"
    parent = "key"
    key: str = ""
    owner: str = ""
    name: str = ""
    default_branch: str = "main"
    private: bool = False
    collaborators: dict[str, str] = field(default_factory=dict)
    required_approvals: int = 1
    required_checks: list[str] = field(default_factory=list)
    next_number: int = 1
    created: str = field(default_factory=now)
    pushed: str = field(default_factory=now)

    @property
    def full_name(self) -> str:
        """OWNER/NAME."""
        return f"{self.owner}/{self.name}"

    @property
    def protected(self) -> bool:
        """Whether the default branch moves by pull request only."""
        return self.required_approvals > 0 or bool(self.required_checks)


@dataclass
class Issue(Record):
    """An issue, or the part of a pull request that is one."""

    kind = "issue"
    number: int = 0
    title: str = ""
    body: str | None = None
    author: str = ""
    is_pull: bool = False
    state: str = "open"
    state_reason: str | None = None
    labels: list[str] = field(default_factory=list)
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)
    closed: str | None = None
    closed_by: str | None = None


@dataclass
class Pull(Record):
    """What a pull request has beyond its issue.

    `head_sha` and `base_sha` are what was last seen; while the pull request is open the branch in git has the word.
    `merging` is a merge that was begun (its commit is made, the branch perhaps moved): a restart finishes it.
    """

    kind = "pull"
    number: int = 0
    head: str = ""
    base: str = ""
    head_sha: str = ""
    base_sha: str = ""
    draft: bool = False
    maintainer_can_modify: bool = False
    merged: str | None = None
    merged_by: str | None = None
    merge_sha: str | None = None
    before_sha: str | None = None
    merging: dict[str, str] | None = None
    auto_merge: dict[str, str] | None = None
    requested_reviewers: list[str] = field(default_factory=list)


@dataclass
class Review(Record):
    """One review; `state` is GitHub's word: APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED, PENDING."""

    kind = "review"
    number: int = 0
    author: str = ""
    state: str = "COMMENTED"
    body: str = ""
    commit: str = ""
    submitted: str | None = field(default_factory=now)
    dismissed_because: str | None = None


@dataclass
class ReviewComment(Record):
    """A comment on a line (or a file) of a pull request's diff."""

    kind = "review_comment"
    number: int = 0
    review: int | None = None
    author: str = ""
    body: str = ""
    path: str = ""
    commit: str = ""
    hunk: str = ""
    position: int | None = None
    line: int | None = None
    side: str = "RIGHT"
    start_line: int | None = None
    start_side: str | None = None
    reply_to: int | None = None
    subject: str = "line"
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


@dataclass
class Comment(Record):
    """A comment in the conversation of an issue or pull request."""

    kind = "comment"
    number: int = 0
    author: str = ""
    body: str = ""
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


@dataclass
class Label(Record):
    """A label of a repository."""

    kind = "label"
    parent = "key"
    key: str = ""
    name: str = ""
    color: str = "ededed"
    description: str = ""


@dataclass
class CheckRun(Record):
    """A check run on a commit. `hub_ci` marks those that the hub itself runs."""

    kind = "check_run"
    parent = "sha"
    sha: str = ""
    name: str = ""
    status: str = "queued"
    conclusion: str | None = None
    started: str | None = None
    completed: str | None = None
    title: str | None = None
    summary: str | None = None
    text: str | None = None
    annotations: list[dict[str, Any]] = field(default_factory=list)
    details_url: str | None = None
    external_id: str = ""
    author: str = ""
    hub_ci: bool = False


@dataclass
class Status(Record):
    """A commit status."""

    kind = "status"
    parent = "sha"
    sha: str = ""
    context: str = "default"
    state: str = "pending"
    description: str | None = None
    target_url: str | None = None
    author: str = ""
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


@dataclass
class Deployment(Record):
    """A request to put a commit live."""

    kind = "deployment"
    parent = "sha"
    sha: str = ""
    ref: str = ""
    task: str = "deploy"
    environment: str = "production"
    original_environment: str = "production"
    description: str | None = None
    payload: Any = field(default_factory=dict)
    transient: bool = False
    production: bool = False
    author: str = ""
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


@dataclass
class DeploymentStatus(Record):
    """How a deployment is going."""

    kind = "deployment_status"
    parent = "deployment"
    deployment: int = 0
    state: str = "pending"
    description: str = ""
    environment: str = "production"
    environment_url: str = ""
    log_url: str = ""
    author: str = ""
    created: str = field(default_factory=now)
    updated: str = field(default_factory=now)


R = TypeVar("R", bound=Record)

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, repo INTEGER NOT NULL, parent TEXT NOT NULL,
  doc TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS records_by_parent ON records (kind, repo, parent);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


class Store:
    """The SQLite file. One connection behind one lock: a forge for a demo has few writers.

    Args:
        path: the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing; nested calls join the outer one. Also keeps other threads out."""
        with self._lock:
            if self._depth == 0:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if self._depth == 0:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if self._depth == 0:
                self._db.execute("COMMIT")

    def insert(self, record: R) -> R:
        """Remember a new record and give it its id."""
        with self.transaction():
            row = (record.kind, record.repo, str(getattr(record, record.parent)), "{}")
            cursor = self._db.execute("INSERT INTO records (kind, repo, parent, doc) VALUES (?, ?, ?, ?)", row)
            record.id = int(cursor.lastrowid or 0)
            self.save(record)
        return record

    def save(self, record: Record) -> None:
        """Remember a changed record."""
        row = (str(getattr(record, record.parent)), json.dumps(asdict(record)), record.id)
        with self.transaction():
            self._db.execute("UPDATE records SET parent = ?, doc = ? WHERE id = ?", row)

    def delete(self, record: Record) -> None:
        """Forget a record."""
        with self.transaction():
            self._db.execute("DELETE FROM records WHERE id = ?", (record.id,))

    def get(self, kind: type[R], record_id: int, *, repo: int | None = None) -> R | None:
        """The record with this id, if it is of this kind (and of this repository)."""
        with self._lock:
            row = self._db.execute("SELECT doc FROM records WHERE id = ? AND kind = ?", (record_id, kind.kind))
            found = row.fetchone()
        record = _load(kind, found[0]) if found else None
        return record if record is not None and repo in (None, record.repo) else None

    def find(self, kind: type[R], *, repo: int = 0, parent: object = None) -> list[R]:
        """The records of a repository (and one parent: a number, a sha, a name), oldest first."""
        sql, values = "SELECT doc FROM records WHERE kind = ? AND repo = ?", [kind.kind, repo]
        if parent is not None:
            sql, values = sql + " AND parent = ?", [*values, str(parent)]
        with self._lock:
            rows = self._db.execute(sql + " ORDER BY id", values).fetchall()
        return [_load(kind, row[0]) for row in rows]

    def one(self, kind: type[R], *, repo: int = 0, parent: object) -> R | None:
        """The first of `find`."""
        found = self.find(kind, repo=repo, parent=parent)
        return found[0] if found else None

    def setting(self, name: str, default: str) -> str:
        """A remembered value; `default` is remembered where there is none yet."""
        with self.transaction():
            self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (name, default))
            row = self._db.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()
        return str(row[0])


def _load(kind: type[R], doc: str) -> R:
    known = {f.name for f in fields(kind)}
    return kind(**{name: value for name, value in json.loads(doc).items() if name in known})
