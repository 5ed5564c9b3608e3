"""Where Python code answers what it recognises: branches, tables and lists of literals, as pairs of key and answer."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count, pairwise

from runner.policy.integrity.python_own import FUNCTIONS
from runner.policy.integrity.sides import touched
from runner.policy.integrity.values import NoValueError, Value, also, number, of_python
from runner.policy.python_nodes import children

_FEW = 2
_ANSWERING = frozenset((
    ast.If, ast.IfExp, ast.BoolOp, ast.BinOp, ast.Match, ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Subscript,
    ast.Module, *FUNCTIONS,
))  # fmt: skip
_HOLDING = frozenset((ast.Assign, ast.AnnAssign, ast.Call))
_SMALL = 64
"""Most numbers that a condition like `2 < n < 9` is taken to name one by one."""


@dataclass(frozen=True)
class Answer:
    """One literal answer to literals that are compared with. `shown` and `line` are where."""

    compared: tuple[Value, ...]
    answer: Value
    shown: str
    line: int
    table: int = 0
    """Answers of one table share a number; 0 for a branch."""


Asked = tuple[tuple[Value, ...], ...]
"""What a condition compares with: alternatives of literals that go together."""


def python_answers(tree: ast.Module, lines: frozenset[int] | None) -> Iterator[Answer]:
    """Every answer that has some of these lines (all, where there are none)."""
    lists: dict[int, list[ast.List | ast.Tuple]] = {}
    inner: set[int] = set()
    waiting: deque[tuple[ast.AST, ast.AST]] = deque([(tree, tree)])
    while waiting:
        node, scope = waiting.popleft()
        within = node if isinstance(node, FUNCTIONS) else scope
        waiting += [(child, within) for child in children(node)]
        if node.__class__ in _HOLDING and id(scope) in lists:
            lists[id(scope)] += _lists_in(node, lines)
        if node.__class__ not in _ANSWERING or not touched(
            lines, getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0
        ):
            continue
        yield from _of_branch(node)
        if isinstance(node, ast.Dict):
            yield from _of_table(node)
        elif isinstance(node, (ast.List, ast.Tuple, ast.Set)) and id(node) not in inner:
            inner.update(id(n) for n in ast.walk(node))
            yield from _of_pairs(node)
        elif isinstance(node, ast.Subscript) and isinstance(node.value, (ast.List, ast.Tuple)):
            yield from _by_position(node.value)
        if isinstance(node, (ast.Module, *FUNCTIONS)):
            lists[id(node)] = []
    tables = count(-1, -1)
    for found in lists.values():
        yield from _side_by_side(found, tables)


def _of_branch(node: ast.AST) -> Iterator[Answer]:  # noqa: C901 - one form a branch
    match node:
        case ast.If(test=test, body=body, orelse=orelse):
            asked, denied = _compared(test)
            if asked or denied:
                yield from _told(asked, _returned(body), f"if {ast.unparse(test)}", node.lineno)
                yield from _told(denied, _returned(orelse), f"unless {ast.unparse(test)}", node.lineno)
        case ast.IfExp(test=test, body=yes, orelse=no):
            asked, denied = _compared(test)
            yield from _told(asked, yes, ast.unparse(node), node.lineno)
            yield from _told(denied, no, ast.unparse(node), node.lineno)
        case ast.BoolOp(op=ast.And(), values=[*conditions, answer]):
            asked, _ = _compared(ast.BoolOp(ast.And(), conditions))
            yield from _told(asked, answer, ast.unparse(node), node.lineno)
        case ast.BinOp(op=ast.Mult(), left=ast.Compare() as test, right=answer):
            yield from _told(_compared(test)[0], answer, ast.unparse(node), node.lineno)
        case ast.BinOp(op=ast.Mult(), left=answer, right=ast.Compare() as test):
            yield from _told(_compared(test)[0], answer, ast.unparse(node), node.lineno)
        case ast.Subscript(value=ast.Tuple(elts=[_, answer]) | ast.List(elts=[_, answer]), slice=ast.Compare() as test):
            yield from _told(_compared(test)[0], answer, ast.unparse(node), node.lineno)
        case ast.Match(cases=cases):
            for case in cases:
                said = f"case {ast.unparse(case.pattern)}"
                yield from _told(_patterns(case.pattern), _returned(case.body), said, node.lineno)
        case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body) | ast.Module(body=body):
            yield from _unless(body)


def _unless(body: Sequence[ast.stmt]) -> Iterator[Answer]:
    """`if n != 3: return …` and then the answer."""
    for guard, then in pairwise(body):
        if isinstance(guard, ast.If) and guard.body and isinstance(guard.body[-1], ast.Return) and not guard.orelse:
            denied = _compared(guard.test)[1]
            yield from _told(denied, _returned([then]), f"unless {ast.unparse(guard.test)}", guard.lineno)


def _told(compared: Asked, answer: ast.expr | None, shown: str, line: int) -> Iterator[Answer]:
    if answer is None:
        return
    for together in compared:
        with suppress(NoValueError):
            yield Answer(together, of_python(answer), f"{shown}: {ast.unparse(answer)}", line)


def _returned(body: Sequence[ast.stmt]) -> ast.expr | None:
    last = body[-1] if body else None
    if isinstance(last, ast.Expr) and isinstance(last.value, (ast.Yield, ast.YieldFrom)):
        return last.value.value
    return last.value if isinstance(last, (ast.Return, ast.Assign)) else None


def _compared(test: ast.expr) -> tuple[Asked, Asked]:
    """The literals that a condition wants to be equal, and those that it wants to be unequal."""
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        sides = [_compared(value) for value in test.values]
        unequal = tuple(v for _, denied in sides for values in denied for v in values)
        return tuple(values for asked, _ in sides for values in asked), (unequal,) if unequal else ()
    asked: list[Value] = []
    denied: list[Value] = []
    others: list[Value] = []  # one of them will do
    for node in ast.walk(test):
        if not isinstance(node, ast.Compare):
            continue
        only = _only_between(node)
        if only is not None:
            asked.append(only)
            continue
        for op, side in zip([node.ops[0], *node.ops], [node.left, *node.comparators], strict=True):
            inside = isinstance(op, (ast.In, ast.NotIn)) and isinstance(side, (ast.Tuple, ast.List, ast.Set))
            elements: Sequence[ast.expr] = side.elts if inside else [side]  # type: ignore[attr-defined]
            into = denied if isinstance(op, (ast.NotEq, ast.NotIn, ast.IsNot)) else others if inside else asked
            if isinstance(op, (ast.Eq, ast.Is, ast.In, ast.NotEq, ast.NotIn, ast.IsNot)):
                for element in elements:
                    with suppress(NoValueError):
                        into.append(also(of_python(element))[-1])
    together = ((tuple(asked),) if asked else ()) + tuple((*asked, other) for other in others)
    return together, ((tuple(denied),) if denied else ())


def _only_between(node: ast.Compare) -> Value | None:
    """The one whole number of `2 < n < 4`."""
    if len(node.ops) != _FEW or not all(isinstance(op, (ast.Lt, ast.LtE)) for op in node.ops):
        return None
    with suppress(NoValueError):
        low, high = of_python(node.left).plain, of_python(node.comparators[1]).plain
        if isinstance(low, int) and isinstance(high, int):
            first, last = low + isinstance(node.ops[0], ast.Lt), high - isinstance(node.ops[1], ast.Lt)
            return number(first) if first == last else None
    return None


def _patterns(pattern: ast.pattern) -> Asked:
    if isinstance(pattern, ast.MatchOr):
        return tuple(values for inner in pattern.patterns for values in _patterns(inner))
    found = []
    for node in ast.walk(pattern):
        value = node.value if isinstance(node, ast.MatchValue) else None
        if isinstance(node, ast.MatchSingleton):
            value = ast.Constant(node.value)
        if value is not None:
            with suppress(NoValueError):
                found.append(of_python(value))
    return (tuple(found),) if found else ()


def _of_table(table: ast.Dict) -> Iterator[Answer]:
    """`{7: 49}`, under a name or not."""
    for key, value in zip(table.keys, table.values, strict=True):
        with suppress(NoValueError):
            yield Answer(
                (also(of_python(key))[-1],), of_python(value), ast.unparse(table), table.lineno, table=table.lineno
            )


def _of_pairs(node: ast.List | ast.Tuple | ast.Set) -> Iterator[Answer]:
    """`[(7, 49), (8, 64)]`: the last of each is the answer to the rest."""
    rows = [e for e in node.elts if isinstance(e, (ast.Tuple, ast.List)) and len(e.elts) >= _FEW]
    if not rows or len(rows) != len(node.elts):
        return
    for row in rows:
        with suppress(NoValueError):
            *keys, answer = (of_python(e) for e in row.elts)
            yield Answer(tuple(also(k)[-1] for k in keys), answer, ast.unparse(node), node.lineno, table=node.lineno)


def _by_position(node: ast.List | ast.Tuple) -> Iterator[Answer]:
    """`[0, 1, 4, 9][n]`."""
    for position, element in enumerate(node.elts[:_SMALL]):
        with suppress(NoValueError):
            yield Answer((number(position),), of_python(element), ast.unparse(node), node.lineno, table=node.lineno)


def _lists_in(node: ast.AST, lines: frozenset[int] | None) -> Iterator[ast.List | ast.Tuple]:
    """The lists to which a statement gives a name, or which a call zips."""
    held: list[ast.expr] = []
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
        held = [node.value, *(node.value.elts if isinstance(node.value, ast.Tuple) else [])]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip":
        held = node.args
    for one in held:
        if isinstance(one, (ast.List, ast.Tuple)) and one.elts and touched(lines, one.lineno, one.end_lineno or 0):
            yield one


def _side_by_side(found: list[ast.List | ast.Tuple], tables: Iterator[int]) -> Iterator[Answer]:
    """Questions in one list and, in the same places of another, the answers."""
    if len(found) > _SMALL:
        return
    for questions in found:
        for answers in found:
            if questions is answers or len(questions.elts) != len(answers.elts):
                continue
            table = next(tables)
            for question, answer in zip(questions.elts, answers.elts, strict=True):
                with suppress(NoValueError):
                    yield Answer(
                        (also(of_python(question))[-1],),
                        of_python(answer),
                        f"{ast.unparse(questions)} and {ast.unparse(answers)}",
                        answers.lineno,
                        table=table,
                    )
