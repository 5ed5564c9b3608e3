"""What keeps a Python assertion's failure from showing: handlers, contexts, and who complains after all."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from runner.policy.integrity.python_claims import BROAD, last
from runner.policy.integrity.python_claims import truth as fixed
from runner.policy.integrity.python_own import FUNCTIONS, of_function
from runner.policy.python_nodes import statements

_CAUGHT = frozenset({*BROAD, "failureException"})


def caught(node: ast.expr | None, names: Mapping[str, ast.expr]) -> frozenset[str]:
    """The last names of what an `except` or a `suppress` names; the names that the file gives them are seen through."""
    if node is None:
        return frozenset({"BaseException"})
    parts: list[ast.expr] = list(node.elts) if isinstance(node, (ast.Tuple, ast.List)) else [node]
    found: set[str] = set()
    for part in parts:
        inner = part.value if isinstance(part, ast.Starred) else part
        if isinstance(inner, ast.Name) and inner.id in names:
            inner = names[inner.id]
        if isinstance(inner, (ast.Tuple, ast.List)):
            found |= {last(e) for e in inner.elts}
        else:
            found.add(last(inner))
    return frozenset(found)


def catches_failures(node: ast.expr | None, names: Mapping[str, ast.expr]) -> bool:
    """Whether an assertion's failure is among what is caught."""
    return bool(caught(node, names) & _CAUGHT)


def complains(handler: ast.ExceptHandler) -> bool:
    """Whether a handler fails the test whenever it is entered."""
    return any(_fails(statement, handler.name or "") for statement in handler.body)


def _fails(node: ast.stmt, error: str) -> bool:
    match node:
        case ast.Raise(exc=raised):
            return raised is None or last(raised) not in ("SkipTest", "Skipped")
        case ast.Assert(test=test):
            return fixed(test) is False or _about(test, error)
        case ast.Expr(value=ast.Call() as call):
            return last(call) == "fail" or (last(call).startswith("assert") and _about(call, error))
        case ast.If(body=body, orelse=orelse):
            return any(_fails(s, error) for s in body) and any(_fails(s, error) for s in orelse)
        case ast.With(body=body) | ast.Try(finalbody=body):
            return any(_fails(s, error) for s in body)
        case _:
            return False


def _about(node: ast.expr, error: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == error for n in ast.walk(node)) or "exc_info" in ast.unparse(node)


def swallows(call: ast.expr, word: str, names: Mapping[str, ast.expr], swallowers: frozenset[str]) -> bool:
    """Whether a context lets no assertion's failure out. `word` is the name of what makes it."""
    if isinstance(call, ast.Call) and word == "suppress":
        return any(catches_failures(a, names) for a in call.args)
    return word in swallowers


def swallowers_of(tree: ast.Module, source: bytes) -> frozenset[str]:
    """The contexts that a module defines and that let no assertion's failure out."""
    if b"contextmanager" not in source and b"__exit__" not in source:
        return frozenset()
    return frozenset(_swallowers(tree))


def _swallowers(tree: ast.Module) -> Iterator[str]:
    for node in statements(tree):
        if isinstance(node, FUNCTIONS) and any("contextmanager" in last(d) for d in node.decorator_list):
            if any(isinstance(inner, ast.Try) and _around_yield(inner) for inner in of_function(node)):
                yield node.name
        elif isinstance(node, ast.ClassDef):
            ends = [n for n in node.body if isinstance(n, FUNCTIONS) and n.name in ("__exit__", "__aexit__")]
            if any(_says_yes(end) for end in ends):
                yield node.name


def _around_yield(node: ast.Try) -> bool:
    silent = any(catches_failures(h.type, {}) and not complains(h) for h in node.handlers)
    returns = any(isinstance(s, ast.Return) for s in node.finalbody)
    return (silent or returns) and any(isinstance(n, ast.Yield) for s in node.body for n in ast.walk(s))


def _says_yes(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    returned = [n for n in of_function(node) if isinstance(n, ast.Return)]
    return bool(returned) and all(n.value is not None and fixed(n.value) is True for n in returned)


def aliases_of(tree: ast.Module, source: bytes) -> Mapping[str, str]:
    """What names were imported as another name: `quiet` → `suppress`."""
    if b" as " not in source:
        return {}
    return {
        alias.asname: alias.name
        for node in statements(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }


def answers(handlers: Sequence[ast.ExceptHandler]) -> Iterator[tuple[str, str, int]]:
    """(name, value, line) of every literal that a handler puts in the place of what could not be had."""
    for handler in handlers:
        for node in handler.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                yield node.targets[0].id, ast.unparse(node.value), node.lineno
