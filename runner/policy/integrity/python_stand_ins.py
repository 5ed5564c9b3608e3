"""What Python tests put in the place of other code: stand-ins in a function, and changes to other modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from runner.policy.integrity.model import Mark
from runner.policy.integrity.python_claims import dotted, last
from runner.policy.integrity.python_own import FUNCTIONS


def planted(tree: ast.Module) -> Iterator[Mark]:
    """What a module puts into others as soon as it is imported."""
    known: dict[str, str] = {}
    for node in tree.body:
        match node:
            case ast.Import(names=names):
                known |= {
                    a.asname or a.name.partition(".")[0]: a.name if a.asname else a.name.partition(".")[0]
                    for a in names
                }
            case ast.ImportFrom(module=str(module), names=names, level=0):
                known |= {a.asname or a.name: f"{module}.{a.name}" for a in names}
            case ast.Assign(targets=[ast.Attribute() | ast.Subscript() as target]):
                yield from _into(target, known)
            case ast.Expr(value=ast.Call(func=func, args=[owner, ast.Constant(value=str(name)), *_])) if (
                last(func) == "setattr"
            ):
                yield from _into(ast.copy_location(ast.Attribute(owner, name, ast.Store()), owner), known)
            case _:
                pass


def _into(target: ast.Attribute | ast.Subscript, known: Mapping[str, str]) -> Iterator[Mark]:
    name = dotted(target.value)
    first, _, rest = name.partition(".")
    if first not in known:
        return
    whole = f"{known[first]}.{rest}" if rest else known[first]
    if isinstance(target, ast.Attribute):
        yield Mark(f"{whole}.{target.attr}", target.lineno)
    elif whole == "sys.modules" and isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
        yield Mark(target.slice.value, target.lineno)


def replaced_by(text: str) -> tuple[Mark, ...]:
    """What the function with this text puts a stand-in in the place of."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return ()
    return tuple(mark for node in body if isinstance(node, FUNCTIONS) for mark in replaced(node))


def replaced(node: ast.AST) -> Iterator[Mark]:
    """What stands in a function and puts a stand-in in the place of something, by its last name."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            name = _stand_in(inner)
            if name:
                yield Mark(name, inner.lineno)
        elif isinstance(inner, ast.Assign):
            for target in inner.targets:
                if isinstance(target, ast.Attribute) and dotted(target).partition(".")[0] not in ("", "self", "cls"):
                    yield Mark(target.attr, inner.lineno)


def _stand_in(call: ast.Call) -> str:
    word, owner = last(call), dotted(call.func)
    strings = [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if word == "setattr" or owner.endswith("patch.object"):
        return strings[0].rpartition(".")[2] if strings else ""
    if word == "patch":
        return strings[0].rpartition(".")[2] if strings else ""
    return ""
