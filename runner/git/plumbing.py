"""Runs the host's git with nothing of the host about it: no configuration, hooks, prompts, or inherited secrets.

Everything in this package goes through here. The git directory is always named, and is either the runner's own
mirror or (for questions about it only) a person's own repository; never one that an agent wrote.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import IO, Any

from runner.errors import GitError

CHUNK = 1 << 16

# What git may take from the environment of the runner: where programs and certificates are, and the way out.
_INHERITED = (
    "PATH", "TMPDIR", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "SSL_CERT_DIR",
)  # fmt: skip

_FIXED = {
    "LC_ALL": "C.UTF-8",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_ALLOW_PROTOCOL": "file:http:https",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_ADVICE": "0",
}

_OPTIONS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.excludesFile=/dev/null",
    "core.quotePath=true",
    # A twin of ours may hold a ref for longer than git's tenth of a second, where the machine is busy.
    "core.filesRefLockTimeout=10000",
    "core.packedRefsTimeout=10000",
    "core.pager=cat",
    "credential.helper=",
    "protocol.ext.allow=never",
    "protocol.version=2",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "advice.detachedHead=false",
)


class GitFailed(GitError):
    """A git command ended badly.

    Args:
        command: what was run, without credentials.
        returncode: git's exit code; None where it was killed at its deadline.
        stderr: the last lines that it wrote, without credentials.
        stdout: what it printed, where that was kept.
    """

    def __init__(
        self, command: str, returncode: int | None, stderr: str, *, stdout: bytes = b"", remedy: str = ""
    ) -> None:
        how = "did not end in time" if returncode is None else f"ended with exit code {returncode}"
        super().__init__(f"`{command}` {how}" + (f": {stderr}" if stderr else ""), remedy=remedy)
        self.command = command
        self.returncode = returncode
        self.stderr = stderr
        self.stdout = stdout

    def to_json(self) -> dict[str, Any]:
        """As a plain `GitError`: the engine needs no finer type."""
        return {"type": GitError.__name__, "message": self.message, "remedy": self.remedy}


def run(
    args: Sequence[str],
    *,
    git_dir: Path,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 120,
    pass_fds: Sequence[int] = (),
) -> bytes:
    """What a git command prints.

    Args:
        args: the command after `git`, options first; never a shell line.
        git_dir: the repository.
        stdin: what it reads; nothing by default.
        env: variables on top of the clean environment (an index file, credentials as GIT_CONFIG_*).
        timeout: seconds; then git and its children are killed.
        pass_fds: open files that git shall inherit, so that a lock lives as long as the last of us.

    Raises:
        GitError: it failed or took too long; in fact a `GitFailed`, with exit code and standard error.
    """
    process = _start(args, git_dir, env, stdin=PIPE, stdout=PIPE, stderr=PIPE, pass_fds=pass_fds)
    try:
        out, err = process.communicate(stdin or b"", timeout=timeout)
    except subprocess.TimeoutExpired:
        _kill(process)
        _, err = process.communicate()
        raise _failure(args, None, err, env) from None
    except BaseException:
        _kill(process)
        process.wait()
        raise
    if process.returncode != 0:
        raise _failure(args, process.returncode, err, env, stdout=out)
    return out


def stream(
    args: Sequence[str],
    *,
    git_dir: Path,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
) -> Iterator[bytes]:
    """What a git command prints, chunk by chunk; stopping early kills it.

    Raises:
        GitError: as `run`; what was yielded before is then not to be used.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as errors:
        given.write(stdin)
        given.seek(0)
        process = _start(args, git_dir, env, stdin=given, stdout=PIPE, stderr=errors)
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        with _deadline(process, timeout) as overdue, process.stdout:
            while chunk := process.stdout.read(CHUNK):
                yield chunk
            process.wait()
        if process.returncode != 0 or overdue():
            raise _failure(args, None if overdue() else process.returncode, _tail(errors), env)


@contextmanager
def feed(
    args: Sequence[str],
    *,
    git_dir: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
    pass_fds: Sequence[int] = (),
) -> Iterator[Callable[[bytes], object]]:
    """A git command that reads what the block writes; what it prints is thrown away.

    Raises:
        GitError: as `run`, at the end of the block or as soon as git stops reading.
    """
    with tempfile.TemporaryFile() as errors:
        process = _start(args, git_dir, env, stdin=PIPE, stdout=DEVNULL, stderr=errors, pass_fds=pass_fds)
        assert process.stdin is not None  # noqa: S101 - PIPE was asked for
        with _deadline(process, timeout) as overdue:
            try:
                yield process.stdin.write
                process.stdin.close()
            except BrokenPipeError:
                with suppress(BrokenPipeError):
                    process.stdin.close()
                process.wait()
                raise _failure(args, None if overdue() else process.returncode, _tail(errors), env) from None
            process.wait()
        if process.returncode != 0 or overdue():
            raise _failure(args, None if overdue() else process.returncode, _tail(errors), env)


def redact(text: str, env: Mapping[str, str] | None = None) -> str:
    """`text` without credentials in addresses, authorization headers, or values of git's configuration in `env`."""
    for name, value in (env or {}).items():
        if name.startswith("GIT_CONFIG_VALUE_") and value:
            text = text.replace(value, "***")
    text = re.sub(r"(?i)(authorization:\s*)(\S+\s+)?\S+", r"\1***", text)
    return re.sub(r"([a-z][a-z0-9+.-]*://)[^/\s@]+@", r"\1***@", text)


def clean_environment(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a git command, `env` on top."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    bundle = os.environ.get("SSL_CERT_FILE", "")
    if bundle and Path(bundle).is_file():
        inherited["GIT_SSL_CAINFO"] = bundle  # git built with GnuTLS does not look at SSL_CERT_FILE
    return {"PATH": os.defpath, **inherited, **_FIXED, **(env or {})}


def _start(
    args: Sequence[str],
    git_dir: Path,
    env: Mapping[str, str] | None,
    *,
    stdin: int | IO[bytes],
    stdout: int,
    stderr: int | IO[bytes],
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    options = [word for option in _OPTIONS for word in ("-c", option)]
    try:
        return subprocess.Popen(
            ["git", f"--git-dir={git_dir}", "--no-pager", *options, *args],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            env=clean_environment(env),
            cwd="/",
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    except FileNotFoundError:
        raise GitError("the git program is not on PATH", remedy="install git 2.39 or later") from None
    except (OSError, ValueError) as e:
        raise GitError(f"git could not be started: {e}") from e


@contextmanager
def _deadline(process: subprocess.Popen[bytes], timeout: float) -> Iterator[Callable[[], bool]]:
    """Kill `process` after `timeout` seconds, and in any case at the end of the block; tells whether it was late."""
    late = threading.Event()

    def strike() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(timeout, strike)
    timer.daemon = True
    timer.start()
    try:
        yield late.is_set
    finally:
        timer.cancel()
        if process.poll() is None:
            _kill(process)
        process.wait()
        if process.stdin is not None:
            with suppress(BrokenPipeError):
                process.stdin.close()


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _failure(
    args: Sequence[str],
    returncode: int | None,
    stderr: bytes,
    env: Mapping[str, str] | None,
    *,
    stdout: bytes = b"",
) -> GitFailed:
    lines = [line for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    command = redact(" ".join(["git", *args]), env)
    return GitFailed(command[:400], returncode, redact("\n".join(lines[-12:]), env)[-4000:], stdout=stdout)


def _tail(file: IO[bytes]) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - CHUNK))
    return file.read()
