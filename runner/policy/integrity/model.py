"""A test file, whatever its language: its tests, what each of them claims, and what keeps them from running."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple


class Strength(IntEnum):
    """How much a claim rules out."""

    NOTHING = 0
    """It holds whatever the code does."""
    TRUTHY = 1
    PRESENCE = 2
    PARTIAL = 3
    CLOSE = 4
    EXACT = 5


@dataclass(frozen=True)
class Claim:
    """One assertion.

    `subject` is what is looked at and `expected` what it is held against, both in normal form; `kind` is the operator
    or matcher. `tolerance` grows as the claim loosens. `lost` says why a failure would not show; `conditional`, that
    the claim is only made sometimes; `rarely`, why a run on a usual machine in which all is well never makes it.
    """

    text: str
    line: int
    subject: str
    strength: Strength
    kind: str = ""
    expected: str = ""
    negated: bool = False
    tolerance: float = 0.0
    lost: str = ""
    conditional: bool = False
    rarely: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """Two claims with the same key claim the same."""
        return (self.kind, self.subject, self.expected, self.negated, self.tolerance, self.strength)


@dataclass(frozen=True)
class Skip:
    """Something that keeps a test from counting. `always`: on every machine that tests usually run on."""

    text: str
    line: int
    always: bool


@dataclass(frozen=True)
class Mark:
    """Something in a file that has a name, or is one line of text."""

    text: str
    line: int


@dataclass(frozen=True)
class Inside:
    """What is in a test: `cases` are the rows that it is run with, None where it is run once.

    `replaces` are the names of what it puts stand-ins for, `calls` the names of what it calls; `plans` say how many
    assertions it makes (`expect.assertions(2)`).
    """

    claims: tuple[Claim, ...] = ()
    skips: tuple[Skip, ...] = ()
    cases: tuple[str, ...] | None = None
    replaces: tuple[Mark, ...] = ()
    calls: frozenset[str] = frozenset()
    plans: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Test:
    """One test, or a function of a test file that makes claims for tests (`helper`).

    `text` is all that decides what is inside: two tests of the same text need not be read. `off` says why no runner
    would collect it. `around` is what its class and module say of it.
    """

    __test__ = False

    name: str
    line: int
    text: str
    read: Callable[[], Inside] = field(repr=False, compare=False)
    around: tuple[Skip, ...] = ()
    off: str = ""
    helper: bool = False

    @cached_property
    def inside(self) -> Inside:
        """What is in it, read when it is first asked for."""
        try:
            return self.read()
        except RecursionError:
            return Inside()

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Its assertions, in their order."""
        return self.inside.claims

    @property
    def skips(self) -> tuple[Skip, ...]:
        """What keeps it from counting."""
        return (*self.around, *self.inside.skips)

    @property
    def last_name(self) -> str:
        """The name without what it is in."""
        return self.name.rpartition("::")[2]

    @property
    def made(self) -> tuple[Claim, ...]:
        """The claims that can fail, and whose failure shows."""
        return tuple(c for c in self.claims if not c.lost and c.strength > Strength.NOTHING)


class Definition(NamedTuple):
    """A function or class: where it is, and its text."""

    line: int
    text: str


@dataclass(frozen=True)
class TestFile:
    """What a test file holds. `problem` says why it could not be read; then the rest may be incomplete.

    `tests` includes the functions that make claims for others (`helper`). `functions` are the other functions and
    classes. `switches` act on the whole run, `plants` put something into other modules when the file is imported (their
    dotted names). `imports` and `defines` are the module's names.
    """

    __test__ = False

    tests: Mapping[str, Test] = field(default_factory=dict)
    functions: Mapping[str, Definition] = field(default_factory=dict)
    fixtures: Mapping[str, Definition] = field(default_factory=dict)
    always_on: frozenset[str] = frozenset()
    switches: tuple[Mark, ...] = ()
    plants: tuple[Mark, ...] = ()
    imports: frozenset[str] = frozenset()
    defines: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""


def shown(text: str, limit: int = 160) -> str:
    """Text of somebody's file as one short line of a finding."""
    line = " ".join(text.split()).replace("`", "'")
    return line if len(line) <= limit else line[: limit - 1] + "…"
