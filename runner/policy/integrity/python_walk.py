"""The few nodes of a Python module that the rules on cheating ask about, found in one walk for all of them."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import lru_cache

from runner.policy.integrity.python import parsed
from runner.policy.integrity.python_flow import FUNCTIONS
from runner.policy.python_nodes import children

Function = ast.FunctionDef | ast.AsyncFunctionDef

_ACTS = frozenset((
    ast.Compare, ast.Call, ast.Subscript, ast.Import, ast.ImportFrom, ast.Raise, ast.Assign, ast.AugAssign,
    ast.AnnAssign, ast.Delete, ast.ClassDef, ast.ExceptHandler, ast.Try, *FUNCTIONS,
))  # fmt: skip
_BRANCHES = frozenset((ast.If, ast.IfExp, ast.Match, ast.Dict))


@dataclass(frozen=True)
class Walk:
    """What a module does, as far as anybody asks.

    `acts` are statements, calls, comparisons and texts with the function that each is in, the last of the module
    first; `branches` are the places where it may answer one way or another, in the order of `ast.walk`.
    """

    tree: ast.Module
    acts: tuple[tuple[ast.AST, Function | None], ...]
    branches: tuple[ast.AST, ...]


@lru_cache(maxsize=8)  # it holds the tree, which is large
def walked(source: bytes) -> Walk | None:
    """The walk through a source; None where it is no Python."""
    tree = parsed(source)[0]
    if tree is None:
        return None
    acts: list[tuple[ast.AST, Function | None]] = []
    branches: list[tuple[int, ast.AST]] = []
    waiting: list[tuple[ast.AST, Function | None, int]] = [(tree, None, 0)]
    while waiting:
        node, inside, depth = waiting.pop()
        kind = node.__class__
        if kind in _ACTS or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            acts.append((node, inside))
        elif kind in _BRANCHES:
            branches.append((depth, node))
        here = node if isinstance(node, FUNCTIONS) else inside
        waiting += [(child, here, depth + 1) for child in children(node)]
    # Nodes of one depth were met from right to left; `ast.walk` takes depth by depth, from left to right.
    branches.reverse()
    branches.sort(key=lambda found: found[0])
    return Walk(tree, tuple(acts), tuple(node for _, node in branches))
