"""Would a condition hold where tests usually run: CPython 3.11 to 3.13 on Linux?"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from runner.policy.integrity.python_claims import dotted, truth

_VERSIONS = ((3, 11, 9), (3, 12, 8), (3, 13, 3))
_FACTS: Mapping[str, Any] = {
    "sys.platform": "linux", "os.name": "posix", "sys.implementation.name": "cpython", "sys.byteorder": "little",
    "platform.system()": "Linux", "platform.python_implementation()": "CPython", "six.PY2": False, "six.PY3": True,
    "TYPE_CHECKING": False, "typing.TYPE_CHECKING": False, "sys.maxsize": 2**63 - 1, "system()": "Linux",
    "python_implementation()": "CPython", "platform.machine()": "x86_64", "__debug__": True,
}  # fmt: skip
_ENVIRONMENT = ("environ", "getenv", "PYTEST_", "sys.modules", "sys.argv")
_DEPTH = 20


class _Unknown(Exception):
    pass


def usually(condition: ast.expr, names: Mapping[str, ast.expr]) -> bool | None:
    """Whether `condition` holds on every usual machine; False where on none, None where nobody can tell.

    Args:
        condition: as a skip or an `if` has it; the text of one counts, too.
        names: what the module's names stand for.
    """
    answers: set[bool | None] = set()
    for version in _VERSIONS:
        facts = {**_FACTS, "sys.version_info": version, "sys.hexversion": version[1] << 16 | 3 << 24}
        try:
            answers.add(bool(_value(condition, facts, names, _DEPTH)))
        except (_Unknown, TypeError, ValueError, AttributeError, IndexError, KeyError, RecursionError):
            answers.add(None)
    return answers.pop() if len(answers) == 1 else None


def looks_around(condition: ast.expr, names: Mapping[str, ast.expr]) -> bool:
    """Whether a condition asks for the environment that the process runs in."""
    text = ast.unparse(condition)
    for node in ast.walk(condition):
        if isinstance(node, ast.Name) and node.id in names:
            text += ast.unparse(names[node.id])
    return any(word in text for word in _ENVIRONMENT)


def _value(node: ast.expr, facts: Mapping[str, Any], names: Mapping[str, ast.expr], depth: int) -> Any:  # noqa: C901, PLR0912
    if depth <= 0:
        raise _Unknown

    def value(inner: ast.expr) -> Any:
        return _value(inner, facts, names, depth - 1)

    key = dotted(node.func) + "()" if isinstance(node, ast.Call) and not node.args else dotted(node)
    if key in facts:
        return facts[key]
    if isinstance(node, ast.Name) and node.id in names:
        return value(names[node.id])
    if isinstance(node, ast.BoolOp):
        return _either(node, value)
    match node:
        case ast.Constant(value=str() as text) if depth == _DEPTH:
            return value(_parsed(text))
        case ast.Constant(value=fixed):
            return fixed
        case ast.Tuple(elts=elts) | ast.List(elts=elts) | ast.Set(elts=elts):
            return tuple(value(e) for e in elts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not value(operand)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            return _compare([value(left), *map(value, comparators)], ops)
        case ast.Subscript(
            value=inner, slice=ast.Slice(lower=None, upper=ast.Constant(value=int() as upper), step=None)
        ):
            return value(inner)[:upper]
        case ast.Subscript(value=inner, slice=ast.Constant(value=index)):
            return value(inner)[index]
        case ast.Attribute(value=inner, attr="major" | "minor" as part):
            return value(inner)[part == "minor"]
        case ast.Call(func=ast.Attribute(value=inner, attr="startswith"), args=[prefix]):
            return value(inner).startswith(value(prefix))
        case ast.Call(func=ast.Attribute(value=inner, attr="lower"), args=[]):
            return value(inner).lower()
        case ast.Call(func=ast.Name(id="bool"), args=[inner]):
            return bool(value(inner))
    always = truth(node)
    if always is None:
        raise _Unknown
    return always


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, MemoryError):
        raise _Unknown from None


def _either(node: ast.BoolOp, value: Callable[[ast.expr], Any]) -> bool:
    settles = isinstance(node.op, ast.Or)
    unknown = False
    for part in node.values:
        try:
            if bool(value(part)) is settles:
                return settles
        except _Unknown:
            unknown = True
    if unknown:
        raise _Unknown
    return not settles


def _compare(values: list[Any], ops: list[ast.cmpop]) -> bool:
    return all(_holds(left, op, right) for left, op, right in zip(values, ops, values[1:], strict=False))


def _holds(left: Any, op: ast.cmpop, right: Any) -> bool:
    match op:
        case ast.Eq() | ast.Is():
            return bool(left == right)
        case ast.NotEq() | ast.IsNot():
            return bool(left != right)
        case ast.Lt():
            return bool(left < right)
        case ast.LtE():
            return bool(left <= right)
        case ast.Gt():
            return bool(left > right)
        case ast.GtE():
            return bool(left >= right)
        case ast.In():
            return left in right
        case _:
            return left not in right
