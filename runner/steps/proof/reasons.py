"""Why was a test red on the base's code: for what the code does, or for what the test itself is?

The patch's tests pass on the patch, so whatever made them red on the base is mended by something outside of them. What
is no proof all the same: a test file that no code could make loadable (syntax), and names that the test misses and
that the patch's code does not bring, so that something else than the fix did (a plugin, a setting, chance).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from runner.steps.proof.changes import split
from runner.steps.proof.results import TestOutcome, TestResult
from runner.steps.proof.trial import Trial

_ITS_OWN = ("SyntaxError", "IndentationError", "TabError")
_MISSING = ("ImportError", "ModuleNotFoundError", "AttributeError", "NameError")
# In a test's own run these words name what is missing; an AttributeError of an object's is as good as any other.
_NAMED = re.compile(
    r"^(?:ImportError: cannot import name|ModuleNotFoundError: No module named|NameError: name"
    r"|AttributeError: module '[^']*' has no attribute"
    r"|TypeError: .*\bgot an unexpected keyword argument) '([^']+)'"
)
_FIXTURE = re.compile(r"\bfixture '([^']+)' not found")
_WORD = re.compile(rb"[^\W\d]\w*")
# Code that can bring a name without saying it.
_ANY = re.compile(rb"\bimport\s+\*|\*\*\w|\b(?:setattr|getattr|globals|__getattr\w*__|type|exec|namedtuple)\b")
_SHOWN = 160

Names = Callable[[], AbstractSet[bytes | None]]
"""What `brought` answers, found when it is first needed."""


@dataclass(frozen=True)
class Reason:
    """Why a test was red: the exception and the line in `words`; `bug` where it can be the fault of the base's code."""

    words: str
    bug: bool


def reason(test: str, before: TestResult, trial: Trial, names: Names) -> Reason:
    """Why a test was red on the base's code; `names` are those that the patch `brought`."""
    told = told_by(before)
    message = before.message
    if split(test)[0] not in trial.changes.files:
        return Reason(told, bug=True)  # the base's own words, which no patch had a hand in
    if before.collecting:
        if message.startswith(_ITS_OWN):
            return Reason(f"its file cannot be read: {told}", bug=False)
        if not message.startswith(_MISSING):
            return Reason(told, bug=True)
        quoted = message.split("'")[1::2]
        wanted = {word.rpartition(".")[2] for word in quoted if not word.startswith("/")}
        return _missing(told, wanted, names(), "its file cannot be loaded")
    fixture = _FIXTURE.search(message) if before.outcome is TestOutcome.ERROR else None
    named = fixture or _NAMED.search(message)
    if named is None:
        return Reason(told, bug=True)
    what = "a fixture is missing" if fixture else "the test misses a name"
    return _missing(told, {named[1].rpartition(".")[2]}, names(), what)


def told_by(result: TestResult) -> str:
    """How a red test ended: exception, place, first words."""
    message = result.message.partition("\n")[0]
    error = result.error
    if error and message.startswith(error):
        message = message[len(error) :].lstrip(": ")
    where = f" at {result.place}" if result.place else ""
    head = f"{error}{where}".strip()
    return ": ".join(part for part in (head, message[:_SHOWN]) if part) or result.outcome.value


def _missing(told: str, wanted: set[str], brought: AbstractSet[bytes | None], what: str) -> Reason:
    """Something is missing on the base: whether the patch's code brings it."""
    if not wanted or None in brought or any(word and word.encode() in brought for word in wanted):
        return Reason(told, bug=True)
    return Reason(f"{what}, and the patch's code does not bring it: {told}", bug=False)


def brought(trial: Trial) -> set[bytes | None]:
    """Every name in the files of code that the patch adds to, and their own; None: it may bring any name at all."""
    names: set[bytes | None] = set()
    for file in trial.hunks:
        if file.path in trial.tests:
            continue
        parts = file.path.removesuffix(".py").removesuffix("/__init__").split("/")
        names.add(parts[-1].encode())
        text = b"\n".join(line for _, line in file.added)
        names |= set(_WORD.findall(text))
        if text:
            names |= set(_WORD.findall(trial.read_head(file.path) or b""))
        if _ANY.search(text):
            names.add(None)
    return names
