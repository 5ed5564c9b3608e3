"""Python sources as syntax trees, made and walked no oftener than needed: every rule looks at every changed file.

Trees are sixty times as large as their sources, so only the last few are kept; of every source, its outline.
"""

from __future__ import annotations

import ast
import warnings
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_WITH_STATEMENTS = (ast.stmt, ast.ExceptHandler, ast.match_case)
# Fields that never hold a child: contexts and operators, and what is text or a number in every kind of node.
_CHILDLESS = frozenset(
    ("ctx", "op", "ops", "id", "attr", "arg", "level", "module", "kind", "type_comment", "is_async", "conversion")
)
_BLOCKS = frozenset(("body", "handlers", "orelse", "finalbody", "cases"))


def _kinds(of: type[ast.AST]) -> Iterator[type[ast.AST]]:
    yield of
    for kind in of.__subclasses__():
        yield from _kinds(kind)


_CHILDREN = {kind: tuple(f for f in kind._fields if f not in _CHILDLESS) for kind in _kinds(ast.AST)}
_CHILDREN |= {ast.Name: (), ast.Constant: ()}
_STATEMENTS = {
    kind: tuple(f for f in kind._fields if f in _BLOCKS) if issubclass(kind, (ast.mod, *_WITH_STATEMENTS)) else ()
    for kind in _kinds(ast.AST)
}


@dataclass(frozen=True)
class Outline:
    """What is kept of a source: why it is none, or its functions and classes (name, first line, last line)."""

    failure: Exception | None
    definitions: tuple[tuple[str, int, int], ...] = ()


@lru_cache(maxsize=8)
def tree_of(source: bytes) -> ast.Module | Exception:
    """A module's tree, or what the parser raised. The tree is shared: nobody may change it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in somebody's string is nothing to us
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, LookupError) as e:
        return e.with_traceback(None)


@lru_cache(maxsize=4096)  # both sides of every file of a patch; emptied after each patch (reading.py)
def outline(source: bytes) -> Outline:
    """The outline of a source."""
    tree = tree_of(source)
    if isinstance(tree, Exception):
        return Outline(tree)
    found = [n for n in statements(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))]
    return Outline(None, tuple((n.name, n.lineno, n.end_lineno or n.lineno) for n in found))


def children(node: ast.AST) -> list[ast.AST]:
    """What `ast.iter_child_nodes` yields, but for contexts and operators: they have neither a line nor children."""
    found: list[ast.AST] = []
    for name in _CHILDREN[node.__class__]:
        value = getattr(node, name, None)
        if value.__class__ is list:
            found += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """What `ast.walk` yields, in its order, but for contexts and operators."""
    waiting = deque([tree])
    while waiting:
        node = waiting.popleft()
        waiting += children(node)
        yield node


def statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """The statements that `ast.walk` yields, in its order. No expression holds one, so none is looked into."""
    waiting: deque[ast.AST] = deque([tree])
    while waiting:
        node = waiting.popleft()
        if isinstance(node, ast.stmt):
            yield node
        for name in _STATEMENTS[node.__class__]:
            waiting += getattr(node, name)
