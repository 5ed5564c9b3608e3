"""The hub's CI: which heads want it, and running a repository's own command on one of them in a container."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from runner.errors import AutomendError
from runner.git.plumbing import stream
from runner.hub import merging
from runner.hub.site import Ci, Site
from runner.hub.store import CheckRun, Repo, now
from sandbox.api import SandboxError, Sandboxes, Spec

log = logging.getLogger(__name__)

NAME = "ci"
MOST_TEXT = 60_000
"""Characters of output that a check run keeps; GitHub's limit is 65,535."""


class CiWorker:
    """Runs CI for pull request heads, one after the other, in a thread of its own.

    What is waiting is a check run in the store: a killed hub takes it up again.
    """

    def __init__(self, site: Site, ci: Ci) -> None:
        self.site, self.ci = site, ci
        self._waiting: queue.Queue[int | None] = queue.Queue()
        self._left = 0
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        site.want_ci = self.want

    def start(self) -> None:
        """Begin, with what an earlier hub left unfinished."""
        for repo in self.site.repos():
            for run in self.site.store.find(CheckRun, repo=repo.id):
                if run.hub_ci and run.status != "completed":
                    self._take_up(run.id)
        self._thread = threading.Thread(target=self._work, name="hub-ci", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take up nothing more. What runs now ends by itself; its check run is done again after a restart."""
        self._stopping.set()
        self._waiting.put(None)

    def settled(self, timeout: float) -> bool:
        """Wait until nothing is waiting or running; whether that came about within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._left == 0, timeout)

    def _take_up(self, run_id: int) -> None:
        with self._changed:
            self._left += 1
        self._waiting.put(run_id)

    def want(self, repo: Repo, sha: str) -> None:
        """Make sure that a commit has a CI run."""
        with self.site.store.transaction():
            if any(run.hub_ci for run in self.site.store.find(CheckRun, repo=repo.id, parent=sha)):
                return
            run = self.site.store.insert(CheckRun(repo=repo.id, sha=sha, name=NAME, author="hub-ci", hub_ci=True))
        self._take_up(run.id)

    def _work(self) -> None:
        while (run_id := self._waiting.get()) is not None and not self._stopping.is_set():
            try:
                run = self.site.store.get(CheckRun, run_id)
                if run is not None and run.status != "completed":
                    self._run(run)
            except Exception:
                # The thread must live on for the next commit; the run stays unfinished and is seen to be.
                if self._stopping.is_set():
                    return
                log.exception("CI of check run %d was not finished", run_id)
            with self._changed:
                self._left -= 1
                self._changed.notify_all()

    def _run(self, run: CheckRun) -> None:
        repo = self.site.repo_by_id(run.repo)
        run.status, run.started = "in_progress", now()
        self.site.store.save(run)
        try:
            conclusion, title, text = self.ci(repo.full_name, run.sha, self.site.git(repo).path)
        except (AutomendError, SandboxError) as e:
            conclusion, title, text = "failure", "CI could not run", f"{e.message}\n{e.remedy}".strip()
        except Exception as e:  # noqa: BLE001 - whatever a CI callable does, the check run must say how it ended
            conclusion, title, text = "failure", "CI broke", f"{type(e).__name__}: {e}"
        run.status, run.conclusion, run.completed = "completed", conclusion, now()
        run.title = run.summary = title
        run.text = text[-MOST_TEXT:]
        self.site.store.save(run)
        merging.auto_merge(self.site, repo, run.sha)


def container_ci(
    sandboxes: Sandboxes, image_for: Callable[[Path, str], str], command: str, *, timeout: float = 600.0
) -> Ci:
    """A CI that runs a shell command on the commit's files in a sealed container of its own.

    Args:
        sandboxes: where containers come from.
        image_for: the image for a commit (git directory, sha).
        command: the command, in the checkout; exit code 0 is success.
        timeout: longest time, in seconds.

    Returns:
        A callable for `Hub(ci=…)`. It raises `SandboxError` where the machine fails.
    """

    def ci(repo: str, sha: str, git_dir: Path) -> tuple[str, str, str]:
        labels = {"automend.hub": "ci", "automend.hub.repo": repo}
        with sandboxes.open(Spec(image=image_for(git_dir, sha), labels=labels)) as box:
            box.put_tree(_checkout(git_dir, sha))
            done = box.exec(["sh", "-c", f"exec 2>&1\n{command}"], timeout=timeout, env={"CI": "true"})
        text = (done.stdout + done.stderr).decode(errors="replace")
        if done.timed_out:
            return "timed_out", f"{command} took longer than {timeout:.0f} s", text
        if done.truncated:
            return "failure", f"{command} printed more than it may", text
        if done.exit_code == 0:
            return "success", f"{command} passed in {done.seconds:.1f} s", text
        return "failure", f"{command} ended with exit code {done.exit_code}", text

    return ci


def _checkout(git_dir: Path, sha: str) -> Iterator[bytes]:
    """The commit's files as a tar stream. The hub's `info/attributes` keep git from changing any."""
    return stream(["archive", "--format=tar", f"{sha}^{{tree}}"], git_dir=git_dir)
