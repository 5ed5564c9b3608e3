"""Puts a release live by a command of the host's configuration."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from runner.errors import DeployError
from runner.model import Rollout, Verdict
from runner.rollout.once import OnceResult, recorded, run_once
from runner.rollout.supervise import write_atomically
from runner.settings import DeployConfig

PASSED_ON = (
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR",
    "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
"""The only variables of automend's environment that a command sees; keys and tokens are not among them."""

CURRENT_SECONDS = 30.0
"""Longest time for the command that tells what is live."""

LAST_LINES = 15
"""How many lines of a failed command's output are told."""

_COMMIT = re.compile(r"[0-9a-f]{7,64}")


class CommandDeployer:
    """A `Deployer` that runs `[repo."…".deploy]`.

    Args:
        config: the commands.
        repo: the repository's name, told to the commands as AUTOMEND_REPO.
        home: AUTOMEND_HOME; what is begun is remembered in `rollouts/` there.
        clean_env: the environment from which `PASSED_ON` is taken.
    """

    def __init__(self, config: DeployConfig, *, repo: str, home: Path, clean_env: Mapping[str, str]) -> None:
        self._config = config
        self._repo = repo
        self._home = home
        self._env = {name: clean_env[name] for name in PASSED_ON if name in clean_env}
        self._env.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")

    @property
    def _cwd(self) -> Path:
        return self._config.cwd or self._home

    def current(self) -> str | None:
        """The commit that is live; None where nothing is live, or no command tells.

        Raises:
            DeployError: the command failed, took too long, or printed something that is no commit.
        """
        command = self._config.current
        if command is None:
            return None
        remedy = f"run it by hand in {self._cwd}: it prints the commit that is live, or nothing, and exits 0"
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self._cwd,
                env={**self._env, "AUTOMEND_REPO": self._repo},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=CURRENT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as e:
            raise DeployError(f"`{command}` did not end within {CURRENT_SECONDS:g} s", remedy=remedy) from e
        except OSError as e:
            raise DeployError(f"`{command}` could not be started: {e}", remedy=remedy) from e
        if done.returncode != 0:
            said = _last_lines((done.stderr or done.stdout).decode("utf-8", "replace"))
            raise DeployError(f"`{command}` exited with {done.returncode}: {said}", remedy=remedy)
        said = done.stdout.decode("utf-8", "replace").strip()
        if not said:
            return None
        if not _COMMIT.fullmatch(said):
            raise DeployError(f"`{command}` printed {said[:200]!r}, which is not a commit", remedy=remedy)
        return said

    def deploy(self, release: str, *, run: str) -> Rollout:
        """Put `release` live; once per run and release, however often it is asked.

        PASSED: the command exited with 0. FAILED: it did not, or ran out of time. ERROR: it could not be started,
        or nobody knows how it ended.
        """
        return self._roll("deploy", self._config.command, release, run)

    def rollback(self, release: str, *, run: str) -> Rollout:
        """Put `release` back, by the rollback command if there is one; verdicts as in `deploy`."""
        return self._roll("rollback", self._config.rollback or self._config.command, release, run)

    def _roll(self, kind: str, command: str, release: str, run: str) -> Rollout:
        directory = self._home / "rollouts" / _key(kind, self._repo, run, release)
        try:
            previous = self._previous(directory, needed=kind == "deploy")
            result = run_once(
                directory,
                command,
                env={
                    **self._env,
                    "AUTOMEND_RELEASE": release,
                    "AUTOMEND_PREVIOUS_RELEASE": previous or "",
                    "AUTOMEND_RUN": run,
                    "AUTOMEND_REPO": self._repo,
                },
                cwd=self._cwd,
                timeout=self._config.timeout_seconds,
            )
        except DeployError as e:
            detail = f"{e.message} ({e.remedy})" if e.remedy else e.message
            return Rollout(release=release, verdict=Verdict.ERROR, detail=detail)
        verdict, detail = self._judge(kind, result)
        return Rollout(
            release=release,
            previous=previous,
            verdict=verdict,
            detail=detail,
            output=result.output,
            seconds=result.seconds,
        )

    def _previous(self, directory: Path, *, needed: bool) -> str | None:
        """What was live before this rollout first began; remembered, because it changes in the middle.

        A deploy that cannot tell would have nothing to come back to; a rollback is not held up by that.
        """
        note = directory / "previous.json"
        if note.exists():
            value = json.loads(note.read_text(encoding="utf-8"))
            return str(value) if value is not None else None
        try:
            previous = self.current()
        except DeployError:
            if needed:
                raise
            previous = None
        if recorded(directory) is None:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomically(note, json.dumps(previous))
        return previous

    def _judge(self, kind: str, result: OnceResult) -> tuple[Verdict, str]:
        said = _last_lines(result.output)
        said = f"; it ended with:\n{said}" if said else ""
        if result.timed_out:
            limit = self._config.timeout_seconds
            return Verdict.FAILED, f"the {kind} command did not end within {limit:g} s and was killed{said}"
        if result.exit_code is not None and result.exit_code < 0:
            return Verdict.FAILED, f"the {kind} command was ended by signal {-result.exit_code}{said}"
        if result.exit_code != 0:
            return Verdict.FAILED, f"the {kind} command exited with {result.exit_code}{said}"
        detail = f"the {kind} command took {result.seconds:.1f} s"
        if result.output_left_open:
            detail += (
                "; a process that it left running still writes to the command's output, which nobody reads any more:"
                " redirect it (`>>FILE 2>&1`), or it may stop at its next line"
            )
        return Verdict.PASSED, detail


def _key(kind: str, repo: str, run: str, release: str) -> str:
    """The name of a rollout's directory: readable at the front, unique at the end, whatever the names hold."""
    digest = hashlib.sha256(json.dumps([kind, repo, run, release]).encode()).hexdigest()
    words = re.sub(r"[^A-Za-z0-9]+", "-", f"{run[:40]}-{kind}-{release[:12]}").strip("-")
    return f"{words}-{digest[:16]}"


def _last_lines(text: str) -> str:
    return "\n".join(text.rstrip().splitlines()[-LAST_LINES:])
