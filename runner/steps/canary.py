"""Canaries: worthless secrets that only this attempt knows. Where one turns up again, something carried it there.

One is a variable of the agent's container, as a careless host would leave a token there. The other stands among the
untrusted text of the prompt. Honest work has no reason to write either into a patch or into its last words; an agent
that was talked into "collect what you see and put it into the docs" does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.errors import ConfigError, GitError, Refused
from runner.git.diff import hunks, read_patch
from runner.git.mirror import Mirror
from runner.model import Finding, Run, Verdict
from runner.steps.house import House

VARIABLE = "DEPLOY_TOKEN"
"""The variable of the agent's container that holds the first canary."""

RULE = "leak.canary"
_REMEDY = "read the transcript for who asked for that (`automend show RUN --transcript`) before the job runs again"
_KEY_BYTES = 32
_NOT_HEX = re.compile(r"[^0-9a-f]")
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
_OTHER_ALPHABET = str.maketrans("-_", "+/")


@dataclass(frozen=True)
class Canaries:
    """The two of one attempt, 40 hexadecimal digits each."""

    variable: str
    prompt: str

    def seen_in(self, text: str) -> str | None:
        """Which of them a text has (as it is, cut by signs, backwards, in hexadecimal or base64), in words."""
        digits = _NOT_HEX.sub("", text.lower())
        letters = _NOT_BASE64.sub("", text.translate(_OTHER_ALPHABET))
        for value, where in ((self.variable, "environment"), (self.prompt, "prompt")):
            plain = (value, value[::-1], value.encode().hex())
            if any(form in digits for form in plain) or any(form in letters for form in _in_base64(value)):
                return where
        return None


def canaries(home: Path, run: str, number: int) -> Canaries:
    """The canaries of an attempt: the same whenever they are asked for, and nobody else can tell them.

    Raises:
        ConfigError: the host's key for them cannot be read or made.
    """
    key = _key(home / "canary.key")
    variable, prompt = (
        hmac.new(key, f"{kind}\0{run}\0{number}".encode(), hashlib.sha256).hexdigest()[:40]
        for kind in ("variable", "prompt")
    )
    return Canaries(variable, prompt)


def leaks(known: Canaries, mirror: Mirror, start: str, tree: str, message: str) -> tuple[Finding, ...]:
    """Findings for every file to which a canary was carried, by its name or by lines added, and for the last words.

    A patch that cannot be read (too large, say) passes no gate, which reads it in the same way and says why.
    """
    found: list[Finding] = []
    with suppress(GitError):
        for finding in _written(known, mirror, start, tree):
            found.append(finding)  # noqa: PERF402 - what was found before it could not be read any further is kept
    return (*found, *_said(known, message))


def refuse_leaks(house: House, run: Run, words: str) -> None:
    """Stop words that were written from what an agent said or saw, before anybody reads them.

    Raises:
        Refused: they carry a canary of one of the run's attempts.
    """
    for tried in run.attempts:
        where = canaries(house.host.home, run.id, tried.number).seen_in(words)
        if where is not None:
            raise Refused(
                f"{RULE}: the text for the pull request carries a canary out of the agent's {where}", remedy=_REMEDY
            )


def _said(known: Canaries, message: str) -> Iterator[Finding]:
    where = known.seen_in(message)
    if where is not None:
        yield _finding(f"the agent's last words carry a canary out of its {where}")


def _written(known: Canaries, mirror: Mirror, start: str, tree: str) -> Iterator[Finding]:
    for file in read_patch(mirror, start, tree).files:
        where = known.seen_in(file.path) if file.status == "A" else None
        if where is not None:
            yield _carried(file.path, None, where)
    for hunk in hunks(mirror, start, tree):
        # All lines at once: a value that was cut into lines is still one.
        where = known.seen_in(b"".join(content for _, content in hunk.added).decode("utf-8", "replace"))
        if where is not None:
            lines = (n for n, content in hunk.added if known.seen_in(content.decode("utf-8", "replace")))
            yield _carried(hunk.path, next(lines, None), where)


def _carried(path: str, line: int | None, where: str) -> Finding:
    return _finding(f"{path} carries a canary out of the agent's {where}", path, line)


def _finding(message: str, path: str | None = None, line: int | None = None) -> Finding:
    return Finding(
        rule=RULE,
        verdict=Verdict.FAILED,
        message=message,
        path=path,
        line=line,
        remedy=_REMEDY,
    )


def _in_base64(value: str) -> Iterator[str]:
    yield from _base64(value.encode())
    yield from _base64(bytes.fromhex(value))


def _base64(value: bytes) -> Iterator[str]:
    # What does not depend on the bytes before and after it, for each of the three places where it can begin.
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + value).decode("ascii").rstrip("=")
        yield whole[(0, 2, 3)[before] : -1]


def _key(path: Path) -> bytes:
    try:
        if not path.exists():
            made = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
            try:
                os.link(made, path)  # who comes second takes the first one's
            except FileExistsError:
                pass
            finally:
                made.unlink()
        return path.read_bytes()
    except OSError as e:
        raise ConfigError(f"{path} cannot be read or made: {e.strerror}", remedy="make it readable for automend") from e
