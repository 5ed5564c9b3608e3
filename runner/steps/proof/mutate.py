"""A changed line, altered: one small mistake at a time, as a careless hand would make it. Python, by its syntax; pure.

Only the altered expression or statement is written anew; the rest of the file stays as it is, byte by byte. What only
people read is left alone: annotations, docstrings, messages of exceptions and logs.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import zip_longest

_COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.LShift: ast.RShift, ast.RShift: ast.LShift,
}  # fmt: skip
_TALKS = frozenset(
    ("print", "warn", "debug", "info", "warning", "error", "exception", "critical", "log", "echo", "secho")
)
_SHOWN = 60


@dataclass(frozen=True)
class Mutant:
    """One altered file: `line` is where, `was` and `now` what a person would see there, `source` the whole file."""

    line: int
    was: str
    now: str
    source: bytes

    @property
    def words(self) -> str:
        """What was done, as a person would say it."""
        return f"`{self.was}` → `{self.now}`" if self.now else f"`{self.was}` removed"


@dataclass(frozen=True)
class _Change:
    """The text of a node, or of a part of it, replaced."""

    node: ast.expr | ast.stmt
    now: str
    removed: bool = False


def mutants(source: bytes, lines: Collection[int]) -> Iterator[Mutant]:
    """Alterations of these lines (numbers from 1), the first of every line before the second of any.

    Nothing where the source is no Python that our own parser reads. Each is made when it is asked for.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    text = _Text(source)
    by_line: dict[int, list[_Change]] = {}
    for change in _changes(module):
        if change.node.lineno in lines:
            by_line.setdefault(change.node.lineno, []).append(change)
    for row in zip_longest(*(by_line[number] for number in sorted(by_line))):
        for change in row:
            mutant = text.with_change(change) if change is not None else None
            if mutant is not None:
                yield mutant


class _Text:
    """A source whose nodes are found by their places, which Python counts in bytes."""

    def __init__(self, source: bytes) -> None:
        self._source = source
        self._starts = [0]
        for line in source.splitlines(keepends=True):  # of bytes: at LF, CR and CR LF, as Python does
            self._starts.append(self._starts[-1] + len(line))
        self._mark = 3 if source.startswith(b"\xef\xbb\xbf") else 0

    def with_change(self, change: _Change) -> Mutant | None:
        """The file with one change; None where its place cannot be told, or it would be no Python any more."""
        node = change.node
        if node.end_lineno is None or node.end_col_offset is None:
            return None
        start, end = self._at(node.lineno, node.col_offset), self._at(node.end_lineno, node.end_col_offset)
        was = self._source[start:end].decode("utf-8", "replace")
        now = change.now.replace(_WAS, was)
        if was == now:
            return None
        mutated = self._source[:start] + now.encode() + self._source[end:]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                compile(mutated, "mutant", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
        return Mutant(node.lineno, _short(was), "" if change.removed else _short(now), mutated)

    def _at(self, line: int, column: int) -> int:
        return self._starts[line - 1] + column + (self._mark if line == 1 else 0)


_WAS = "\0was\0"


def _short(text: str) -> str:
    words = " ".join(text.split()).replace("`", "'")
    return words if len(words) <= _SHOWN else f"{words[: _SHOWN - 1]}…"


def _changes(module: ast.Module) -> Iterator[_Change]:
    """Every change that we know, those that say most first."""
    nodes = list(_living(module))
    for kind in (_conditions, _comparisons, _operators, _statements, _returns, _constants):
        for node in nodes:
            yield from kind(node)


def _living(node: ast.AST) -> Iterator[ast.AST]:
    """Nodes whose change can be seen in what the code does; f-strings are left alone, for their places are not told."""
    if isinstance(node, (ast.JoinedStr, ast.Raise, ast.Assert, ast.Import, ast.ImportFrom)):
        if isinstance(node, ast.Raise):
            yield node
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "type_params", "decorator_list", "type_comment"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_words(child):
                yield from _living(child)


def _is_words(node: ast.AST) -> bool:
    """Whether a statement only speaks to people: a docstring, a log line."""
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant):
        return True
    called = node.value.func if isinstance(node.value, ast.Call) else None
    name = called.id if isinstance(called, ast.Name) else called.attr if isinstance(called, ast.Attribute) else ""
    return name in _TALKS


def _conditions(node: ast.AST) -> Iterator[_Change]:
    if isinstance(node, (ast.If, ast.While, ast.IfExp)) and not isinstance(node.test, ast.Constant):
        yield _Change(node.test, f"not ({_WAS})")
    if isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield _Change(condition, f"not ({_WAS})")
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _Change(node, f"({ast.unparse(node.operand)})")


def _comparisons(node: ast.AST) -> Iterator[_Change]:
    if isinstance(node, ast.Compare):
        for at, operator in enumerate(node.ops):
            other = _COMPARISONS[type(operator)]()
            ops = [*node.ops[:at], other, *node.ops[at + 1 :]]
            yield _Change(node, ast.unparse(ast.Compare(left=node.left, ops=ops, comparators=node.comparators)))
    if isinstance(node, ast.BoolOp):
        other_op: ast.boolop = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield _Change(node, f"({ast.unparse(ast.BoolOp(op=other_op, values=node.values))})")


def _operators(node: ast.AST) -> Iterator[_Change]:
    if not isinstance(node, (ast.BinOp, ast.AugAssign)):
        return
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    other = _OPERATORS.get(type(node.op))
    if other is None or any(_is_text(side) for side in sides):  # text knows no other operator
        return
    if isinstance(node, ast.BinOp):
        yield _Change(node, f"({ast.unparse(ast.BinOp(left=node.left, op=other(), right=node.right))})")
    else:
        yield _Change(node, ast.unparse(ast.AugAssign(target=node.target, op=other(), value=node.value)))


def _statements(node: ast.AST) -> Iterator[_Change]:
    """Statements taken out. Not the first value of a name: to miss that is seen at once."""
    gone = isinstance(node, (ast.Raise, ast.AugAssign, ast.Delete, ast.Break, ast.Continue))
    gone = gone or (isinstance(node, ast.Expr) and isinstance(node.value, (ast.Call, ast.Await)))
    gone = gone or (
        isinstance(node, ast.Assign) and all(isinstance(t, (ast.Attribute, ast.Subscript)) for t in node.targets)
    )
    if gone and isinstance(node, ast.stmt):
        yield _Change(node, "pass", removed=True)


def _returns(node: ast.AST) -> Iterator[_Change]:
    if isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and node.value.value in {None, True, False}):
            yield _Change(node, "return None")
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield _Change(node.value, repr(f"{node.value.value}x"))


def _constants(node: ast.AST) -> Iterator[_Change]:
    if isinstance(node, ast.Compare):
        for side in (node.left, *node.comparators):
            if isinstance(side, ast.Constant) and isinstance(side.value, str):
                yield _Change(side, repr(f"{side.value}x"))
    if isinstance(node, ast.Constant):
        value = node.value
        if isinstance(value, bool):
            yield _Change(node, repr(not value))
        elif isinstance(value, (int, float)):
            yield _Change(node, repr(value + 1))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)))
