"""The durable engine: it makes sure that every workflow that a run waits for is there, once, and goes on after a kill.

One process at a time is the engine of an AUTOMEND_HOME: whoever holds the lock. Others (a foreground `run` beside a
service) write what they want into the store and watch; when the engine is gone, one of them takes over.

Facts about the library that this rests on: recovery looks only at rows of its own executor and application version,
so both are handled here; a client may enqueue without launching; an id that exists is not enqueued again.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import sqlalchemy as sa
from dbos import DBOS, DBOSClient, DBOSConfig, EnqueueOptions, WorkflowStatus

from runner import checkpoint, pipeline
from runner.errors import AutomendError
from runner.interrupt import Bell
from runner.model import Run, RunStatus
from runner.steps import judge, propose, review
from runner.steps.house import House
from runner.steps.tidy import tidy_papers
from runner.store import Assignment
from sandbox.api import SandboxError

log = logging.getLogger(__name__)

# Changing the code under a parked workflow is safe only because none ever waits long; so one version is enough.
_VERSION = "automend-1"

_QUEUES = {"propose": "work", "revise": "work", "land": "land"}
"""Which queue a workflow goes to. Both are partitioned by repository: one job and one landing at a time in each."""

_BROKEN = {"ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"}
_INTERRUPTED_SECONDS = 60.0

WORKFLOWS = (pipeline.propose_change, pipeline.revise_change, pipeline.land_change)


class Engine:
    """The engine of one AUTOMEND_HOME.

    Args:
        house: what the steps work with.
    """

    def __init__(self, house: House) -> None:
        self._house = house
        self._lock: IO[str] | None = None
        self._client: DBOSClient | None = None
        self._stop = Bell()
        self._url = f"sqlite:///{house.host.home / 'durable.sqlite'}"

    @property
    def running(self) -> bool:
        """Whether this process is the engine."""
        return self._lock is not None

    def take_over(self) -> bool:
        """Become the engine, if no other process is; the runs that the last one left go on."""
        if self._lock is not None:
            return True
        lock = (self._house.host.home / "engine.lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._lock = lock
        self._reap()
        self._launch()
        return True

    @contextmanager
    def kept_out(self) -> Iterator[bool]:
        """Whether no process is the engine, nor becomes it while the context lasts."""
        with (self._house.host.home / "engine.lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def submit(self) -> None:
        """Make sure that every workflow that a run waits for is enqueued. Asked twice, it is there once.

        A workflow that broke (a bug of ours, or recovered too often) ends its run loudly.
        """
        if self._lock is None:
            return
        self._shut_stopped()
        wanted = {a.id: a for a in self._house.store.assignments()}
        if not wanted:
            return
        known = DBOS.list_workflows(workflow_ids=list(wanted), load_input=False, load_output=False)
        for workflow in known:
            if workflow.status == "CANCELLED":
                self._house.store.finish(
                    wanted[workflow.workflow_id].run, RunStatus.STOPPED, "interrupted", exit_code=130
                )
            elif workflow.status in _BROKEN:
                words = f"the workflow {workflow.workflow_id} broke: {_why(workflow)}"
                self._house.store.finish(wanted[workflow.workflow_id].run, RunStatus.FAILED, words, exit_code=3)
        for name in wanted.keys() - {w.workflow_id for w in known}:
            self._enqueue(wanted[name])

    def serve(self, *, poll_seconds: float, tell: Callable[[Run, str], None]) -> None:
        """Keep proposed runs moving until `stop`; `tell` hears of every run whose status changed."""
        told = {run.id: run.status for run in self._recent() if run.status.over}  # old news
        while not self._stop.is_rung():
            self.submit()
            for run in self._house.store.runs(RunStatus.PROPOSED):
                if self._stop.is_rung():
                    break
                if _is_due(run):
                    self.look_at(run)
            self.submit()
            self._tell_changes(told, tell)
            self._stop.wait(poll_seconds)
        self._tell_changes(told, tell)  # a run may have ended since: whoever stops us must hear of it

    def settle(self) -> None:
        """Look at every proposed run once, and wait until what that began has ended."""
        self.submit()
        for run in self._house.store.runs(RunStatus.PROPOSED):
            self.look_at(run)
        while self._house.store.assignments():
            self.submit()
            self._stop.wait(0.2)

    def stop(self) -> None:
        """End `serve`; safe in a signal handler."""
        self._stop.ring()

    def look_at(self, run: Run) -> None:
        """Decide what a proposed run does next, from the forge's state now. A forge that is down changes nothing."""
        going = DBOS.list_workflows(
            workflow_id_prefix=f"{run.id}.", status=["PENDING", "ENQUEUED"], load_input=False, load_output=False
        )
        if going:  # never two workflows of one run at once: the last step of an earlier one is being recovered
            return
        try:
            upcoming = review.look(self._house, run.id)
            self._house.store.say(run.id, upcoming.why)
            if upcoming.do == "close":
                review.close(self._house, run.id, upcoming.why)
            elif upcoming.do == "revise":
                self._house.store.assign(
                    run.id,
                    "revise",
                    status=RunStatus.WORKING,
                    expecting=RunStatus.PROPOSED,
                    argument=upcoming.feedback,
                    heard=upcoming.heard,
                )
            elif upcoming.do == "land":
                self._house.store.assign(run.id, "land", status=RunStatus.LANDING, expecting=RunStatus.PROPOSED)
        except AutomendError as e:
            log.warning("run %s cannot be looked at: %s", run.id, e.message)
            self._house.store.say(run.id, f"cannot be looked at: {e.message}")
        except Exception as e:  # one run that breaks us must not keep the others from landing
            log.exception("run %s cannot be looked at", run.id)
            self._house.store.say(run.id, f"cannot be looked at: internal error: {type(e).__name__}: {e}")

    def cancel(self, run_id: str) -> list[str]:
        """Stop a run that a person interrupted: its workflow, in whichever process, and every container of it.

        What may be left of it all the same, in words.
        """
        client = self._client or DBOSClient(system_database_engine=_database(self._url))
        wanted = [w.id for w in self._house.store.assignments() if w.run == run_id]
        self._house.store.finish(run_id, RunStatus.STOPPED, "interrupted", exit_code=130)
        for workflow in wanted:
            client.cancel_workflow(workflow)
        left = self._shut(run_id)
        # A step is not cut short: without a container it ends soon, and so does its workflow.
        until = time.monotonic() + _INTERRUPTED_SECONDS
        while checkpoint.at_work(run_id) and time.monotonic() < until:
            self._clear(run_id)  # of an environment that is just being built
            time.sleep(0.2)
        self._clear(run_id)
        try:
            propose.withdraw(self._house, run_id)
        except AutomendError as e:
            left.append(f"its branch may be left: {e.message}")
        run = self._house.store.run(run_id)
        opened = f"; {run.pull.url} was opened already" if run.pull is not None else ""
        self._house.store.finish(run_id, RunStatus.STOPPED, f"interrupted{opened}", exit_code=130)
        return left

    def close(self) -> None:
        """Stop. What is unfinished is recovered by the next engine."""
        self._stop.ring()
        if self._lock is None:
            return
        if self._client is not None:
            self._client.destroy()
        DBOS.destroy()
        self._lock.close()
        self._lock = None

    # ── inside ──────────────────────────────────────────────────────────────────────────────────────────────

    def _recent(self) -> list[Run]:
        return self._house.store.runs(since=timedelta(days=30))

    def _tell_changes(self, told: dict[str, RunStatus], tell: Callable[[Run, str], None]) -> None:
        for run in self._recent():
            if told.get(run.id) is not run.status:
                tell(run, run.reason or self._house.store.now(run.id))
                told[run.id] = run.status

    def _shut_stopped(self) -> None:
        """Give a run no more containers that a person stopped in another process: work of ours for it goes on here."""
        for run_id in checkpoint.runs_at_work():
            if self._house.store.run(run_id).status is RunStatus.STOPPED:
                for words in self._shut(run_id):
                    log.warning("run %s: %s", run_id, words)

    def _shut(self, run_id: str) -> list[str]:
        """Remove a run's containers, and make no more for it; what may be left, in words."""
        try:
            self._house.sandboxes.shut(run_id)
        except SandboxError as e:
            return [f"containers of it may be left: {e.message}"]
        return []

    def _clear(self, run_id: str) -> None:
        try:
            self._house.sandboxes.reap(run=run_id)
        except SandboxError as e:
            log.info("could not look for containers of run %s: %s", run_id, e.message)

    def _reap(self) -> None:
        try:
            gone = self._house.sandboxes.sweep()
            gone += self._house.sandboxes.reap(keep=judge.gates_at_work(self._house))
        except Exception as e:  # noqa: BLE001 - the engine may be down; a run that needs it will say so
            log.info("could not look for leftover containers: %s", e)
            return
        if gone:
            log.info("removed what a killed process left: %s", ", ".join(gone))

    def _launch(self) -> None:
        checkpoint.move_in(self._house)
        DBOS(config=_config(self._url))
        _quiet()
        DBOS.launch()
        workers = self._house.host.settings.serve.workers
        for queue in sorted(set(_QUEUES.values())):
            DBOS.register_queue(queue, partition_concurrency=1, worker_concurrency=workers, polling_interval_sec=0.2)
        self._client = DBOSClient(system_database_engine=_database(self._url))
        self._recover()
        self._tidy()
        self.submit()

    def _recover(self) -> None:
        """Take over every workflow that an earlier process had begun; we hold the lock, so it is gone."""
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        dead = {w.executor_id for w in pending if w.executor_id and w.executor_id != DBOS.executor_id}
        if dead:
            DBOS._recover_pending_workflows(sorted(dead))  # noqa: SLF001 - no public way; version pinned, tested

    def _tidy(self) -> None:
        """Forget what nobody asks for any more: old papers, and checkpoints of workflows that ended long ago."""
        days = timedelta(days=self._house.host.settings.run.keep_transcripts_days)
        tidy_papers(self._house)
        ended = DBOS.list_workflows(
            status=["SUCCESS", "ERROR", "CANCELLED"],
            end_time=(datetime.now(UTC) - days).isoformat(),
            load_input=False,
            load_output=False,
        )
        if ended:
            DBOS.delete_workflows([w.workflow_id for w in ended])

    def _enqueue(self, wanted: Assignment) -> None:
        if self._client is None:
            return
        options: EnqueueOptions = {
            "workflow_name": wanted.workflow,
            "queue_name": _QUEUES[wanted.workflow],
            "workflow_id": wanted.id,
            "app_version": _VERSION,
            "queue_partition_key": wanted.repo,
        }
        arguments = (wanted.run, wanted.argument) if wanted.workflow == "revise" else (wanted.run,)
        self._client.enqueue(options, *arguments)


def _config(url: str) -> DBOSConfig:
    return {
        "name": "automend",
        "system_database_engine": _database(url),
        "application_version": _VERSION,
        "executor_id": f"{os.getpid()}-{secrets.token_hex(6)}",
        "console_log_level": "ERROR",
        "notification_listener_polling_interval_sec": 0.5,
    }


def _database(url: str) -> sa.Engine:
    Path(url.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"timeout": 30})

    def pragmas(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")  # a checkpoint that is written survives a power cut, too
        cursor.close()

    sa.event.listen(engine, "connect", pragmas)
    return engine


def _why(workflow: WorkflowStatus) -> str:
    """What a broken workflow died of; asked for alone, as results may be large."""
    full = DBOS.list_workflows(workflow_ids=[workflow.workflow_id])
    error = full[0].error if full else None
    return f"{workflow.status} ({type(error).__name__}: {error})" if error is not None else workflow.status


def _quiet() -> None:
    # Its tracebacks are for those who ask (-v): a run that breaks is told in the store, and cancelling is no error.
    asked = logging.getLogger().isEnabledFor(logging.INFO)
    logging.getLogger("dbos").setLevel(logging.WARNING if asked else logging.CRITICAL)


def _is_due(run: Run) -> bool:
    """Whether to look now: a run whose landing was refused again and again is looked at less and less often."""
    failures = run.reason.startswith(("not ready to land", "could not go on"))
    wait = timedelta(seconds=30) if failures else timedelta(0)
    return datetime.now(UTC) - run.updated >= wait
