"""What the names of one Python function stand for, and which of its inner functions are ever run."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Mapping

from runner.policy.integrity.python_claims import constant, last
from runner.policy.integrity.python_claims import truth as fixed

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_EMPTY = frozenset({"list", "tuple", "dict", "set", "frozenset", "str", "bytes", "iter"})


class Own:
    """The names of a function, told by walking it once.

    Args:
        node: the function; None for a module, of which nothing is asked.
    """

    def __init__(self, node: ast.AST | None) -> None:
        self._reads: Counter[str] = Counter()
        self._idle: Counter[str] = Counter()
        self._bare: Counter[str] = Counter()
        self._threads: Counter[str] = Counter()
        self._stores: Counter[str] = Counter()
        self._values: dict[str, ast.expr] = {}
        for inner in ast.walk(node) if node is not None else ():
            self._look(inner)

    def _look(self, node: ast.AST) -> None:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                self._reads[name] += 1
            case ast.Name(id=name):
                self._stores[name] += 1
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._values[name] = value
            case ast.Expr(value=ast.Name(id=name)):
                self._idle[name] += 1
            case ast.Expr(value=ast.Call(func=ast.Name(id="print" | "repr" | "id"), args=args)):
                self._idle.update(a.id for a in args if isinstance(a, ast.Name))
            case ast.Expr(value=ast.Call(func=ast.Name(id=name))):
                self._bare[name] += 1
            case ast.Call(keywords=keywords) if last(node) in ("Thread", "Timer", "Process"):
                self._threads.update(
                    k.value.id for k in keywords if k.arg == "target" and isinstance(k.value, ast.Name)
                )
            case _:
                pass

    @property
    def values(self) -> Mapping[str, ast.expr]:
        """Names that are given one value, and never another, with that value."""
        return {name: value for name, value in self._values.items() if self._stores[name] == 1}

    def why_idle(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
        """Why an inner function never runs, or "" where it may."""
        reads = self._reads[node.name] - self._idle[node.name]
        if node.decorator_list or reads > self._bare[node.name]:
            return ""
        if reads <= 0:
            return "its function is never called"
        if isinstance(node, ast.AsyncFunctionDef):
            return "nobody awaits its function"
        return "its function is a generator, which nobody runs" if _yields(node) else ""

    def in_thread(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Whether an inner function is run by a thread or process of its own, and nowhere else."""
        return 0 < self._threads[node.name] == self._reads[node.name]

    def empty(self, node: ast.expr) -> bool:
        """Whether a loop over an expression does nothing at all."""
        if isinstance(node, ast.Name) and self._reads[node.id] == 1 and node.id in self.values:
            node = self.values[node.id]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "range":
                return _none_in(node)
            if node.func.id in _EMPTY:
                return not (node.args or node.keywords) or any(self.empty(a) for a in node.args)
        if isinstance(node, ast.Constant):
            return node.value in ("", b"")
        return constant(node) and fixed(node) is False


def _none_in(node: ast.Call) -> bool:
    """Whether a `range` of numbers has none."""
    try:
        numbers = [ast.literal_eval(a) for a in node.args]
        return not range(*numbers)
    except (ValueError, TypeError, SyntaxError):
        return False


def _yields(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(isinstance(n, (ast.Yield, ast.YieldFrom)) for n in of_function(node))


def of_function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.AST]:
    """What stands in a function, and in none that is inside it."""
    waiting: list[ast.AST] = list(node.body)
    while waiting:
        inner = waiting.pop()
        yield inner
        if not isinstance(inner, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(inner)
