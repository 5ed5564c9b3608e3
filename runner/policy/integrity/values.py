"""Literals of Python and JavaScript as values that can be compared, whatever they were written as."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tree_sitter import Node

from runner.policy.integrity.syntax import text

_DEEP = 12
_LARGEST = 1 << 64
_LONGEST = 20_000
_MAKERS: Mapping[str, Callable[[Any], Any]] = {"int": int, "float": float, "str": str, "bool": bool, "len": len}
_SEQUENCES = frozenset({"list", "tuple", "set", "frozenset", "sorted", "repr"})
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
}  # fmt: skip


@dataclass(frozen=True)
class Value:
    """One literal. Lists and tuples are the same, and so are 1 and 1.0; `parts` are the elements of a collection."""

    kind: str
    """`number`, `text`, `truth` (true, false, none), `many` (a collection)."""
    plain: Hashable
    parts: tuple[Value, ...] = ()

    def __str__(self) -> str:
        if self.kind == "many":
            return f"[{', '.join(map(str, self.parts))}]"
        return repr(self.plain) if self.kind == "text" else str(self.plain)


class NoValueError(Exception):
    """An expression is no literal."""


def number(value: float) -> Value:
    """A number."""
    return Value("number", value)


def many(parts: tuple[Value, ...]) -> Value:
    """A collection; the order counts."""
    return Value("many", None, parts)


def plain(value: Any) -> Value:
    """A value as JSON has it."""
    if value is None or isinstance(value, bool):
        return Value("truth", value)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, (str, bytes)):
        return Value("text", value if isinstance(value, str) else value.decode("latin-1"))
    if isinstance(value, Mapping):
        return many(tuple(plain(x) for pair in value.items() for x in pair))
    if isinstance(value, (list, tuple, set, frozenset)):
        return many(tuple(map(plain, value)))
    raise NoValueError


def of_python(node: ast.AST | None, depth: int = 0) -> Value:  # noqa: C901 - one form a branch
    """What an expression of literals comes to.

    Raises:
        NoValueError: it is none.
    """
    if depth > _DEEP:
        raise NoValueError
    match node:
        case ast.Constant(value=value) if value is not ...:
            return plain(value)
        case ast.Tuple(elts=elts) | ast.List(elts=elts) | ast.Set(elts=elts):
            return many(tuple(of_python(e, depth + 1) for e in elts))
        case ast.Dict(keys=keys, values=values):
            return many(tuple(of_python(x, depth + 1) for pair in zip(keys, values, strict=True) for x in pair))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            found = of_python(inner, depth + 1)
            if isinstance(found.plain, (int, float)) and found.kind == "number":
                return number(-found.plain)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Constant(value=value)):
            return plain(not value)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _combined(of_python(left, depth + 1), of_python(right, depth + 1), _OPERATORS[type(op)])
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in _MAKERS:
            return _made(_MAKERS[name], of_python(inner, depth + 1))
        case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in _SEQUENCES:
            return of_python(inner, depth + 1)
    raise NoValueError


def _made(maker: Callable[[Any], Any], value: Value) -> Value:
    try:
        return plain(maker(value.parts if value.kind == "many" else value.plain))
    except (TypeError, ValueError, OverflowError):
        raise NoValueError from None


def _combined(left: Value, right: Value, combine: Callable[[Any, Any], Any]) -> Value:
    if {left.kind, right.kind} == {"number"}:
        sides = (left.plain, right.plain)
        if all(isinstance(s, (int, float)) and abs(s) < _LARGEST for s in sides):
            try:
                return plain(combine(*sides))
            except (ArithmeticError, TypeError):
                raise NoValueError from None
    elif combine is operator.add and left.kind == right.kind == "text":
        return plain(str(left.plain) + str(right.plain))
    elif combine is operator.add and left.kind == right.kind == "many":
        return many((*left.parts, *right.parts))
    raise NoValueError


def of_javascript(node: Node | None, depth: int = 0) -> Value:
    """What a literal of JavaScript comes to.

    Raises:
        NoValueError: it is none.
    """
    if node is None or depth > _DEEP:
        raise NoValueError
    said = text(node)
    match node.type:
        case "number":
            return _number(said.rstrip("n").replace("_", ""))
        case "string" | "template_string" if "${" not in said:
            return Value("text", said[1:-1])
        case "true" | "false" | "null" | "undefined":
            return Value("truth", {"true": True, "false": False}.get(said))
        case "parenthesized_expression" if len(node.named_children) == 1:
            return of_javascript(node.named_children[0], depth + 1)
        case "unary_expression" if said.startswith("-"):
            found = of_javascript(node.child_by_field_name("argument"), depth + 1)
            if isinstance(found.plain, (int, float)) and found.kind == "number":
                return number(-found.plain)
        case "array":
            return many(tuple(of_javascript(c, depth + 1) for c in node.named_children if c.type != "comment"))
        case "object":
            return many(tuple(_of_pairs(node, depth)))
        case _:
            pass
    raise NoValueError


def _of_pairs(node: Node, depth: int) -> Iterator[Value]:
    for pair in node.named_children:
        if pair.type == "comment":
            continue
        yield from javascript_pair(pair, depth)


def javascript_pair(pair: Node, depth: int = 0) -> tuple[Value, Value]:
    """Key and value of `key: value`; a key that looks like a number is one.

    Raises:
        NoValueError: one is no literal.
    """
    key = pair.child_by_field_name("key")
    if pair.type != "pair" or key is None:
        raise NoValueError
    named = Value("text", text(key)) if key.type == "property_identifier" else of_javascript(key, depth + 1)
    return named, of_javascript(pair.child_by_field_name("value"), depth + 1)


def _number(said: str) -> Value:
    try:
        return number(int(said, 0) if said[:2].lower() in ("0x", "0o", "0b") else float(said))
    except ValueError:
        raise NoValueError from None


def also(value: Value) -> tuple[Value, ...]:
    """A value, and what it says where it is the text of another (`"(17, 0)"`, `"3"`)."""
    if value.kind != "text" or not isinstance(value.plain, str) or not 0 < len(value.plain) <= _LONGEST:
        return (value,)
    if value.plain[0] not in "([{-0123456789'\"":
        return (value,)
    try:
        return (value, plain(ast.literal_eval(value.plain)))
    except (NoValueError, ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return (value,)


def within(value: Value) -> Iterator[Value]:
    """A value and everything that it holds."""
    yield value
    for part in value.parts:
        yield from within(part)
