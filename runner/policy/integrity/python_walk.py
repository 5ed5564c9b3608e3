"""The few nodes of a Python module that the rules on cheating ask about, found in one walk for all of them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache

from runner.policy.integrity.python import parsed
from runner.policy.integrity.python_own import FUNCTIONS
from runner.policy.python_nodes import children

Function = ast.FunctionDef | ast.AsyncFunctionDef

_ACTS = frozenset((
    ast.Compare, ast.Call, ast.Subscript, ast.Import, ast.ImportFrom, ast.Raise, ast.Assign, ast.AugAssign,
    ast.AnnAssign, ast.Delete, ast.ClassDef, ast.Dict, ast.ExceptHandler, ast.Try, ast.If, ast.IfExp,
    *FUNCTIONS,
))  # fmt: skip


@dataclass(frozen=True)
class Walk:
    """What a module does, as far as anybody asks.

    `acts` are statements, calls, comparisons and texts with the function that each is in, the last of the module
    first.
    """

    tree: ast.Module
    acts: tuple[tuple[ast.AST, Function | None], ...]


@lru_cache(maxsize=8)  # it holds the tree, which is large
def walked(source: bytes) -> Walk | None:
    """The walk through a source; None where it is no Python."""
    tree = parsed(source)[0]
    if tree is None:
        return None
    acts: list[tuple[ast.AST, Function | None]] = []
    waiting: list[tuple[ast.AST, Function | None]] = [(tree, None)]
    while waiting:
        node, inside = waiting.pop()
        kind = node.__class__
        if kind in _ACTS or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            acts.append((node, inside))
        here = node if isinstance(node, FUNCTIONS) else inside
        waiting += [(child, here) for child in children(node)]
    return Walk(tree, tuple(acts))
