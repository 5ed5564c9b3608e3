"""The original error, shown once more: what failed when it was reported fails on the base, and not on the patch.

It is a command, as the person gave it, or what a traceback says was started. Only a command that a person gave must
fail on the base; what we made of a traceback may need arguments or a world that is not here, and then says nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from runner.model import Check, Finding, Patch, Reproduction, Verdict
from runner.steps.proof.bench import tail
from runner.steps.proof.trial import Judged
from sandbox.api import ExecResult

NAME = "original-error"

Run = Callable[[], ExecResult]

_AT_ONCE = 2
_SHOWN = 160
_NOT_RUN = frozenset({126, 127})
"""What a shell answers where there is no such command: that shows no error but the writer's."""
_GUESSED_SECONDS = 20.0
_FRAME = re.compile(r'^\s*File "(?P<file>[^"\n]+)", line \d+, in (?P<name>.+?)\s*$')
_BEGIN = "Traceback (most recent call last):"
_ERROR = re.compile(r"^(?:[A-Za-z_][\w.]*)(?:: .*)?$")
_RUNPY = re.compile(r"(^<frozen runpy>$|(^|/)runpy\.py$)")
_SOURCES = ("src", "lib")


def reproduction(command: str, context: str, known: Collection[str]) -> Reproduction | None:
    """What shows the error that a job is about: the command that was given, else what its last traceback began with.

    Args:
        command: as a person gave it; "" for none.
        context: the untrusted text with the error. Only the name of a file of the repository is taken from it.
        known: the paths of the base.
    """
    if command.strip():
        return Reproduction(command=command.strip())
    return _from_traceback(context, known)


def replayed(
    shown: Reproduction, *, base: Run, head: Run, times: int, patch: Patch, progress: Callable[[str], None]
) -> Judged:
    """Run the command on the base and on the patch, each in a fresh container, and judge what it did.

    Args:
        shown: the command, and what it must print on the base.
        base: runs it on the base.
        head: runs it on the patch.
        times: how often on each, so that chance is seen.
        patch: what changed.
        progress: told what is going on.

    Raises:
        SandboxError: the machine failed.
        GitError: a tree cannot be read.
    """
    progress("running what showed the error, on the base and on the patch")
    before, after = _ran((base, head), 1)
    if times > 1 and _failed(before[0], shown) and after[0].exit_code == 0:
        more_before, more_after = _ran((base, head), times - 1)
        before, after = [*before, *more_before], [*after, *more_after]
    verdict, words = _verdict(shown, before, after)
    details = {
        "command": shown.command,
        "before": [_told(ran) for ran in before],
        "after": [_told(ran) for ran in after],
        **({"error": shown.error} if shown.error else {}),
        **({"output": tail(after[0])} if verdict is not Verdict.PASSED else {}),
    }
    seconds = round(sum(ran.seconds for ran in (*before, *after)), 2)
    check = Check(name=NAME, verdict=verdict, summary=words, seconds=seconds, details=details)
    return Judged(check, _findings(shown, verdict, words, patch))


# ── what is run ──────────────────────────────────────────────────────────────────────────────────────────────


def _from_traceback(context: str, known: Collection[str]) -> Reproduction | None:
    frames: list[tuple[str, str]] = []
    error, inside = "", False
    for line in context.splitlines():
        if line.strip() == _BEGIN:
            frames, error, inside = [], "", True
        elif inside and (frame := _FRAME.match(line)):
            frames.append((frame["file"], frame["name"]))
        elif inside and line and not line[0].isspace() and _ERROR.match(line):
            error, inside = line.strip(), False
    started = _started(frames, known) if error else None
    return Reproduction(command=started, error=error) if started else None


def _started(frames: Iterable[tuple[str, str]], known: Collection[str]) -> str | None:
    """The command that began with the outermost frame, where that is a file of the repository."""
    as_module = False
    for file, name in frames:
        if _RUNPY.search(file):
            as_module = True
            continue
        if name != "<module>":
            return None
        path = _in_tree(file, known)
        if path is None:
            return None
        return _module_line(path) if as_module else f"python {shlex.quote(path)}"
    return None


def _in_tree(file: str, known: Collection[str]) -> str | None:
    """The longest end of a path that is a path of the repository."""
    parts = file.replace("\\", "/").lstrip("/").split("/")
    ends = ("/".join(parts[n:]) for n in range(len(parts)))
    return next((end for end in ends if end in known), None)


def _module_line(path: str) -> str | None:
    first, _, rest = path.partition("/")
    setting, inner = (f"PYTHONPATH={first} ", rest) if first in _SOURCES and rest else ("", path)
    parts = inner.removesuffix(".py").split("/")
    if parts[-1] == "__main__":
        parts.pop()
    if not parts or not all(part.isidentifier() for part in parts):
        return None
    return f"{setting}python -m {'.'.join(parts)}"


# ── what it showed ───────────────────────────────────────────────────────────────────────────────────────────


def _ran(sides: tuple[Run, Run], times: int) -> tuple[list[ExecResult], list[ExecResult]]:
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        before, after = ([pool.submit(side) for _ in range(times)] for side in sides)
        return [run.result() for run in before], [run.result() for run in after]


def _failed(ran: ExecResult, shown: Reproduction) -> bool:
    """Whether a run shows the error."""
    if ran.timed_out or ran.truncated or ran.exit_code in {0, None}:
        return False
    return not shown.error or shown.error in {line.strip() for line in tail(ran).splitlines()}


def _verdict(shown: Reproduction, before: list[ExecResult], after: list[ExecResult]) -> tuple[Verdict, str]:
    line = f"`{shown.command}`"
    red = [_failed(ran, shown) for ran in before]
    green = [ran.exit_code == 0 and not ran.timed_out for ran in after]
    if not shown.error and before[0].exit_code in _NOT_RUN:
        return Verdict.INCONCLUSIVE, f"{line} cannot be run on the base ({_last_line(before[0])})"
    if not any(red):
        if shown.error:
            return Verdict.PASSED, f"not shown again: {line} does not end with the reported error here"
        how = _how(before[0])
        return Verdict.INCONCLUSIVE, f"{line} {how} on the base: it does not show the error"
    if not all(red):
        return Verdict.INCONCLUSIVE, f"{line} goes both ways on the base: failed {sum(red)} of {len(red)} times"
    if all(green):
        what = f"`{shown.error[:_SHOWN]}`" if shown.error else _how(before[0])
        return Verdict.PASSED, f"{line}: {what} on the base, exit code 0 on the patch"
    if any(green):
        return Verdict.INCONCLUSIVE, f"{line} goes both ways on the patch: passed {sum(green)} of {len(green)} times"
    first = after[0]
    if first.timed_out or first.truncated:
        return Verdict.INCONCLUSIVE, f"{line} {_how(first)} on the patch"
    if shown.error and not _failed(first, shown):
        return Verdict.INCONCLUSIVE, f"{line} shows the reported error no more, and {_how(first)} on the patch"
    return Verdict.FAILED, f"{line} {_how(first)} on the patch, as on the base"


def _how(ran: ExecResult) -> str:
    if ran.timed_out:
        return "was not done in time"
    if ran.truncated:
        return "printed too much"
    return "ends with no exit code" if ran.exit_code is None else f"ends with exit code {ran.exit_code}"


def _findings(shown: Reproduction, verdict: Verdict, words: str, patch: Patch) -> tuple[Finding, ...]:
    found = []
    if verdict is Verdict.FAILED:
        remedy = f"make `{shown.command}` end with exit code 0"
        found.append(Finding(rule="fix.original-error", verdict=verdict, message=words, remedy=remedy))
    if not shown.error:  # of a traceback's entry point one expects that it is mended
        named = set(re.split(r"[\s'\"=:;|&()<>]+", shown.command))
        found += [
            Finding(
                rule="fix.original-error",
                verdict=Verdict.PASSED,
                path=file.path,
                message=f"the patch changes a file that `{shown.command}` names, and perhaps what it shows",
                review=True,
            )
            for file in patch.files
            if file.path in {name.removeprefix("./") for name in named}
        ]
    return tuple(found)


def _told(ran: ExecResult) -> dict[str, object]:
    return {"exit_code": ran.exit_code, "seconds": round(ran.seconds, 2), "last_line": _last_line(ran)}


def _last_line(ran: ExecResult) -> str:
    return (tail(ran).splitlines() or [""])[-1][:300]


def runs(shell: Callable[[str, str, float], ExecResult], tree: str, shown: Reproduction, seconds: float) -> Run:
    """A run of the command on one tree. One that we made of a traceback may be a server, and gets little time."""
    return partial(shell, tree, shown.command, min(seconds, _GUESSED_SECONDS) if shown.error else seconds)
