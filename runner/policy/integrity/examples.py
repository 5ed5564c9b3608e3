"""What the tests give in and expect: by their own text, and by the files of data that they read."""

from __future__ import annotations

import ast
import csv
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from runner.policy.integrity.model import Test
from runner.policy.integrity.product import javascript_tree
from runner.policy.integrity.sides import Sides
from runner.policy.integrity.syntax import walk
from runner.policy.integrity.values import NoValueError, Value, also, of_javascript, of_python, plain, within

_SHORT_TEST = 12
_MOST_ROWS = 5_000
_ANSWERS = frozenset({"expected", "expect", "output", "out", "answer", "result", "want", "wanted", "returns"})


@dataclass(frozen=True)
class Example:
    """One question and its answer: all the literals of a claim or row, and those that it expects."""

    given: frozenset[Value]
    expected: frozenset[Value]


@dataclass(frozen=True)
class Examples:
    """What the tests give in and expect.

    Of changed tests any literal counts, as they were written beside the code. Of those that the patch leaves alone
    there are many, and chance would meet some: there, question and answer must come from one and the same claim.
    """

    sides: Sides

    @cached_property
    def inputs(self) -> frozenset[Value]:
        """Literals of the changed tests."""
        return frozenset(v for t in self._changed for v in literals(t.text))

    @cached_property
    def expected(self) -> frozenset[Value]:
        """Literals that the changed tests expect."""
        return frozenset(v for t in self._changed for v in _answers(t))

    @cached_property
    def claims(self) -> tuple[Example, ...]:
        """Of each claim of the tests, and of each row of their data."""
        tests = [t for file in self.sides.other_tests for t in file.tests.values()]
        told = [e for test in (*tests, *self._changed) for e in _claimed(test)]
        return tuple(e for e in (*told, *self._rows()) if e.given and e.expected)

    def beside(self, compared: tuple[Value, ...], answer: Value) -> bool:
        """Whether the changed tests know all of these literals."""
        return self.inputs.issuperset(compared) or self.inputs.issuperset(_parts(compared))

    def answers(self, compared: tuple[Value, ...], answer: Value) -> bool:
        """Whether one claim gives in what is compared, and expects the answer."""
        parts = _parts(compared)
        return any(
            answer in e.expected and (e.given.issuperset(compared) or (bool(parts) and e.given.issuperset(parts)))
            for e in self.claims
        )

    @cached_property
    def _changed(self) -> list[Test]:
        return [t for file in self.sides.head_tests.values() for t in file.tests.values()]

    def _rows(self) -> Iterator[Example]:
        for path, content in self.sides.test_data.items():
            for number, row in enumerate(_rows_of(path, content)):
                if number >= _MOST_ROWS:
                    break
                yield row


def _parts(compared: tuple[Value, ...]) -> tuple[Value, ...]:
    return tuple(part for one in compared for part in (one.parts if one.kind == "many" else (one,)))


def _claimed(test: Test) -> Iterator[Example]:
    for case in test.inside.cases or ():
        row = frozenset(literals(f"({case},)"))
        yield Example(row, row)
    for claim in test.claims:
        every = frozenset(literals(claim.text))
        # `abs(f(2) - 1.41) < 0.1` expects what it takes away; told apart it cannot be.
        close = every if claim.tolerance or claim.kind in ("<", "<=") else frozenset()
        yield Example(every, frozenset(literals(claim.expected)) | close)
    if test.inside.cases is None and len(test.claims) == 1 and test.text.count("\n") <= _SHORT_TEST:
        # The answer was perhaps put into a variable first.
        yield Example(frozenset(literals(test.text)), frozenset(_answers(test)))


def _answers(test: Test) -> Iterator[Value]:
    for claim in test.claims:
        yield from literals(claim.expected)
    for case in test.inside.cases or ():
        yield from literals(f"({case},)")


def literals(source: str) -> Iterator[Value]:
    """Every literal of a text, in Python or JavaScript."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        root, _ = javascript_tree(source.encode("utf-8", "replace"), ".ts")
        for found in walk(root):
            with suppress(NoValueError):
                yield of_javascript(found)
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.UnaryOp, ast.Tuple, ast.List, ast.Set, ast.Dict)):
            with suppress(NoValueError):
                yield of_python(node)


def _rows_of(path: str, content: bytes) -> Iterator[Example]:
    said = content.decode("utf-8", "replace")
    if PurePosixPath(path).suffix.lower() in (".csv", ".tsv"):
        with suppress(csv.Error):
            for cells in csv.reader(said.splitlines(), delimiter="\t" if path.lower().endswith(".tsv") else ","):
                values = [v for cell in cells for v in also(plain(cell))]
                if len(cells) > 1:
                    yield Example(frozenset(values), frozenset(also(plain(cells[-1]))))
        return
    for document in _documents(said):
        yield from _json_rows(document)


def _documents(said: str) -> Iterable[Any]:
    try:
        return [json.loads(said)]
    except (ValueError, RecursionError):
        found = []
        for line in said.splitlines()[:_MOST_ROWS]:
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError):
                return found
        return found


def _json_rows(value: Any, depth: int = 0) -> Iterator[Example]:
    if depth > 4:  # noqa: PLR2004 - cases are never further down
        return
    if isinstance(value, list):
        if len(value) > 1:
            yield Example(_all(value), _all(value[-1:]))
        for inner in value:
            yield from _json_rows(inner, depth + 1)
    elif isinstance(value, dict):
        named = [v for k, v in value.items() if k.lower() in _ANSWERS]
        if len(value) > 1:
            yield Example(_all(list(value.values())), _all(named or list(value.values())))
        for inner in value.values():
            yield from _json_rows(inner, depth + 1)


def _all(values: list[Any]) -> frozenset[Value]:
    return frozenset(found for one in values for value in within(plain(one)) for found in also(value))
