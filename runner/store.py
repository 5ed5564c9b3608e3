"""What automend remembers: runs and their audit trail.

A run's row is the truth about *what should be going on*: its `workflow` names the durable workflow that has to
run for it now (with a generation, so that the same workflow can be asked for again later). The engine makes sure
that every such workflow is really there, so a kill between "decided" and "enqueued" loses nothing.
"""

from __future__ import annotations

import fcntl
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config as AlembicConfig
from sqlalchemy.engine import Connection, Engine

from runner.errors import ConfigError, UsageError
from runner.memory import Memory
from runner.model import Job, Moment, Run, RunStatus, Verdict
from runner.spending import Spending

_META = sa.MetaData()
_RUNS = sa.Table(
    "runs",
    _META,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("repo", sa.String(400)),
    sa.Column("status", sa.String(20)),
    sa.Column("workflow", sa.String(20)),
    sa.Column("generation", sa.Integer),
    sa.Column("argument", sa.Text),
    sa.Column("now", sa.Text),
    sa.Column("document", sa.JSON),
    sa.Column("created", sa.DateTime(timezone=True)),
    sa.Column("updated", sa.DateTime(timezone=True)),
)
_MOMENTS = sa.Table(
    "moments",
    _META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.String(40)),
    sa.Column("key", sa.String(120)),
    sa.Column("step", sa.String(60)),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("verdict", sa.String(20)),
    sa.Column("summary", sa.Text),
    sa.Column("seconds", sa.Float),
    sa.Column("data", sa.JSON),
)


@dataclass(frozen=True)
class Assignment:
    """A durable workflow that a run is waiting for."""

    run: str
    repo: str
    workflow: str
    generation: int
    argument: str

    @property
    def id(self) -> str:
        """The workflow's id: the same assignment never runs twice."""
        return f"{self.run}.{self.generation}.{self.workflow}"


class Store:
    """Runs and moments in one database; `memory` has what became of patches, `spending` what models took.

    Args:
        engine: SQLAlchemy's engine, its schema up to date (`open_store`).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.memory = Memory(engine)
        self.spending = Spending(engine)

    # ── runs ────────────────────────────────────────────────────────────────────────────────────────────────

    def create(self, job: Job, *, workflow: str = "propose") -> Run:
        """A new run for a job, assigned to its first workflow."""
        now = datetime.now(UTC)
        run = Run(id=new_id(now), job=job, status=RunStatus.QUEUED, created=now, updated=now)
        with self._engine.begin() as db:
            db.execute(
                _RUNS.insert().values(
                    id=run.id,
                    repo=job.repo,
                    status=run.status.value,
                    workflow=workflow,
                    generation=1,
                    argument="",
                    now="",
                    document=_document(run),
                    created=now,
                    updated=now,
                )
            )
        return run

    def run(self, run_id: str) -> Run:
        """A run by its id, or by the beginning of it where that is unique.

        Raises:
            UsageError: there is no such run, or several begin so.
        """
        with self._engine.connect() as db:
            rows = db.execute(
                sa.select(_RUNS).where(_RUNS.c.id.startswith(run_id, autoescape=True)).limit(2)
            ).fetchall()
        exact = [row for row in rows if row.id == run_id]
        if len(exact or rows) == 1:
            return _run((exact or rows)[0])
        if not rows:
            raise UsageError(f"there is no run `{run_id}`", remedy="`automend status` lists them")
        raise UsageError(f"several runs begin with `{run_id}`", remedy="give more of the id")

    def runs(
        self, *statuses: RunStatus, repo: str | None = None, limit: int = 1000, since: timedelta | None = None
    ) -> list[Run]:
        """Runs, newest first."""
        query = sa.select(_RUNS).order_by(_RUNS.c.created.desc()).limit(limit)
        if statuses:
            query = query.where(_RUNS.c.status.in_([s.value for s in statuses]))
        if repo is not None:
            query = query.where(_RUNS.c.repo == repo)
        if since is not None:
            query = query.where(_RUNS.c.created >= datetime.now(UTC) - since)
        with self._engine.connect() as db:
            return [_run(row) for row in db.execute(query)]

    def update(self, run_id: str, **fields: Any) -> Run:
        """Change fields of a run's document (`status` among them) in one transaction."""
        with self._locked(run_id) as (db, run):
            changed = run.model_copy(update={**fields, "updated": datetime.now(UTC)})
            _write(db, changed)
            return changed

    def finish(self, run_id: str, status: RunStatus, reason: str, *, exit_code: int | None = None) -> Run:
        """End the run's present workflow with a status; the run may be assigned to another one later."""
        with self._locked(run_id) as (db, run):
            changed = run.model_copy(
                update={"status": status, "reason": reason, "exit_code": exit_code, "updated": datetime.now(UTC)}
            )
            _write(db, changed, workflow=None, now="")
            return changed

    def say(self, run_id: str, text: str) -> None:
        """What is going on right now, for those who watch. Not part of the trail."""
        with self._engine.begin() as db:
            db.execute(_RUNS.update().where(_RUNS.c.id == run_id).values(now=text[:500]))

    def now(self, run_id: str) -> str:
        """What `say` said last."""
        with self._engine.connect() as db:
            return str(db.execute(sa.select(_RUNS.c.now).where(_RUNS.c.id == run_id)).scalar() or "")

    # ── assignments ─────────────────────────────────────────────────────────────────────────────────────────

    def assign(
        self,
        run_id: str,
        workflow: str,
        *,
        status: RunStatus,
        expecting: RunStatus,
        argument: str = "",
        heard: tuple[str, ...] = (),
    ) -> Assignment | None:
        """Ask for a workflow, if the run is still where the caller saw it; None where it is not.

        `heard` adds to what the run has answered, in the same transaction: what is asked for here is heard.
        """
        with self._locked(run_id) as (db, run):
            row = db.execute(sa.select(_RUNS).where(_RUNS.c.id == run_id)).one()
            if run.status is not expecting or row.workflow is not None:
                return None
            news = {"status": status, "heard": (*run.heard, *heard), "updated": datetime.now(UTC)}
            changed = run.model_copy(update=news)
            _write(db, changed, workflow=workflow, generation=row.generation + 1, argument=argument)
            return Assignment(run_id, row.repo, workflow, row.generation + 1, argument)

    def assignments(self) -> list[Assignment]:
        """Every workflow that has to be there now."""
        query = sa.select(_RUNS).where(_RUNS.c.workflow.is_not(None)).order_by(_RUNS.c.created)
        with self._engine.connect() as db:
            return [Assignment(r.id, r.repo, r.workflow, r.generation, r.argument) for r in db.execute(query)]

    # ── the trail ───────────────────────────────────────────────────────────────────────────────────────────

    def note(
        self,
        run_id: str,
        key: str,
        step: str,
        summary: str,
        *,
        verdict: Verdict | None = None,
        seconds: float = 0.0,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Write one line of the trail. The same `key` again (a step that was repeated) replaces the line."""
        values: dict[str, Any] = {
            "run": run_id,
            "key": key,
            "step": step,
            "at": datetime.now(UTC),
            "summary": summary,
            "verdict": verdict.value if verdict else None,
            "seconds": seconds,
            "data": data or {},
        }
        with self._engine.begin() as db:
            db.execute(_MOMENTS.delete().where(_MOMENTS.c.run == run_id, _MOMENTS.c.key == key))
            db.execute(_MOMENTS.insert().values(**values))

    def trail(self, run_id: str, *, after: int = 0) -> list[tuple[int, Moment]]:
        """Lines of the trail with their numbers, in order, after a number."""
        query = sa.select(_MOMENTS).where(_MOMENTS.c.run == run_id, _MOMENTS.c.id > after).order_by(_MOMENTS.c.id)
        with self._engine.connect() as db:
            return [(row.id, _moment(row)) for row in db.execute(query)]

    @contextmanager
    def _locked(self, run_id: str) -> Iterator[tuple[Connection, Run]]:
        with self._engine.begin() as db:
            # Writing first takes SQLite's write lock, so that what we read cannot change under us.
            db.execute(_RUNS.update().where(_RUNS.c.id == run_id).values(id=run_id))
            row = db.execute(sa.select(_RUNS).where(_RUNS.c.id == run_id)).one_or_none()
            if row is None:
                raise UsageError(f"there is no run `{run_id}`", remedy="`automend status` lists them")
            yield db, _run(row)


def new_id(now: datetime) -> str:
    """A run's id: sortable by time, safe in a branch name, a label and a URL."""
    return f"{now:%y%m%d-%H%M%S}-{secrets.token_hex(3)}"


def open_store(url: str) -> Store:
    """Open the database, its schema brought up to date.

    Raises:
        ConfigError: the address is not one of a database that automend can use.
    """
    if not url.startswith("sqlite:///"):
        raise ConfigError(
            "AUTOMEND_DATABASE_URL is not an address that this version can use",
            remedy="leave it unset for SQLite in AUTOMEND_HOME, or give sqlite:////path/to/file; Postgres is to come",
        )
    engine = sa.create_engine(url, connect_args={"timeout": 30})
    sa.event.listen(engine, "connect", _pragmas)
    lock = Path(url.removeprefix("sqlite:///") + ".migrate.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two processes starting at once must not both migrate
        with engine.begin() as connection:
            config = AlembicConfig()
            config.set_main_option("script_location", str(files("runner") / "migrations"))
            config.set_main_option("path_separator", "os")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    return Store(engine)


def _pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _document(run: Run) -> dict[str, Any]:
    return run.model_dump(mode="json")


def _write(db: Connection, run: Run, **columns: Any) -> None:
    # Round trip through validation: `model_copy` does not check what it is given.
    document = _document(Run.model_validate(dict(run)))
    db.execute(
        _RUNS.update()
        .where(_RUNS.c.id == run.id)
        .values(status=run.status.value, document=document, updated=run.updated, **columns)
    )


def _run(row: Any) -> Run:
    return Run.model_validate({**row.document, "status": row.status})


def _moment(row: Any) -> Moment:
    at = row.at if row.at.tzinfo else row.at.replace(tzinfo=UTC)
    return Moment(
        at=at, run=row.run, step=row.step, verdict=row.verdict, summary=row.summary, seconds=row.seconds, data=row.data
    )
