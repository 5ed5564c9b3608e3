"""Texts that a Python expression comes to, however it is taken apart: sums, joins, formats, slices, encodings."""

from __future__ import annotations

import ast
import base64
import binascii
import codecs
from collections.abc import Callable, Mapping

_DEEPEST = 50
_LONGEST = 10_000
_NO_NAMES: Mapping[str, str] = {}
_DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "b64decode": base64.b64decode, "urlsafe_b64decode": base64.urlsafe_b64decode, "b32decode": base64.b32decode,
    "b16decode": base64.b16decode, "b85decode": base64.b85decode, "a85decode": base64.a85decode,
    "unhexlify": binascii.unhexlify, "a2b_hex": binascii.unhexlify, "a2b_base64": binascii.a2b_base64,
    "fromhex": lambda text: bytes.fromhex(text.decode("ascii")),
}  # fmt: skip
_CODECS = frozenset({"rot13", "rot_13", "hex", "base64", "hex_codec", "base64_codec"})


def folded(node: ast.expr, *, prefix: bool = False, depth: int = 0, names: Mapping[str, str] = _NO_NAMES) -> str | None:  # noqa: C901 - one form a branch
    """The text that an expression of constants comes to, or None. With `prefix`, as much as is known of its start.

    `names` are texts that the module has under a name.
    """
    if depth > _DEEPEST:
        return None
    match node:
        case ast.Constant(value=bytes() as value):
            return value.decode("latin-1")
        case ast.Constant(value=value):
            return value if isinstance(value, str) else None
        case ast.Name(id=name):
            return names.get(name)
        case ast.BinOp(op=ast.Add()):
            left = folded(node.left, prefix=prefix, depth=depth + 1, names=names)
            right = folded(node.right, prefix=prefix, depth=depth + 1, names=names)
            if left is not None and right is not None:
                return (left + right)[:_LONGEST]
            return left if prefix else None
        case ast.BinOp(op=ast.Mod()):
            return _formatted(node, depth, names)
        case ast.JoinedStr():
            return _parts(node, prefix=prefix, depth=depth, names=names)
        case ast.Call():
            return _called(node, prefix=prefix, depth=depth, names=names)
        case ast.Subscript(slice=ast.Slice() as cut):
            return _cut(folded(node.value, depth=depth + 1, names=names), cut)
        case _:
            return None


def _formatted(node: ast.BinOp, depth: int, names: Mapping[str, str]) -> str | None:
    """`"%stest" % "py"`"""
    pattern = folded(node.left, depth=depth + 1, names=names)
    given = node.right.elts if isinstance(node.right, ast.Tuple) else [node.right]
    values = [folded(value, depth=depth + 1, names=names) for value in given]
    if pattern is None or None in values or not pattern.count("%") == pattern.count("%s") == len(values):
        return None
    return (pattern % tuple(values))[:_LONGEST]


def _parts(node: ast.JoinedStr, *, prefix: bool, depth: int, names: Mapping[str, str]) -> str | None:
    parts: list[str] = []
    for value in node.values:
        inner = value.value if isinstance(value, ast.FormattedValue) else value
        text = folded(inner, depth=depth + 1, names=names)
        if text is None:
            return "".join(parts) if prefix else None
        parts.append(text)
    return "".join(parts)


def _called(node: ast.Call, *, prefix: bool, depth: int, names: Mapping[str, str]) -> str | None:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in _DECODERS or (name == "decode" and len(node.args) == 2):  # noqa: PLR2004 - codecs.decode(text, codec)
        return _decoded(name, node, depth, names)
    if isinstance(node.func, ast.Attribute):
        return _method(node, node.func, prefix=prefix, depth=depth, names=names)
    return _of_numbers(node, name)


def _decoded(name: str, node: ast.Call, depth: int, names: Mapping[str, str]) -> str | None:
    text = folded(node.args[0], depth=depth + 1, names=names) if node.args else None
    if text is None or len(text) > _LONGEST:
        return None
    try:
        if name in _DECODERS:
            return _DECODERS[name](text.encode("latin-1")).decode("latin-1")
        codec = folded(node.args[1], depth=depth + 1, names=names) or ""
        if codec.replace("-", "_").lower() not in _CODECS:
            return None
        if codec.startswith("rot"):
            return codecs.encode(text, "rot13")
        raw: bytes = codecs.decode(text.encode("latin-1"), codec)  # type: ignore[assignment]
        return raw.decode("latin-1")
    except (ValueError, LookupError, TypeError):
        return None


def _method(node: ast.Call, method: ast.Attribute, *, prefix: bool, depth: int, names: Mapping[str, str]) -> str | None:
    owner = folded(method.value, depth=depth + 1, names=names)
    if owner is None:
        return None
    joined = _mapped(node.args[0]) if method.attr == "join" and len(node.args) == 1 else None
    if isinstance(joined, ast.List | ast.Tuple):
        parts = [folded(e, depth=depth + 1, names=names) for e in joined.elts]
        return None if None in parts else owner.join(p for p in parts if p is not None)
    if method.attr in {"lower", "upper", "strip", "encode", "decode"} and not node.args:
        return {"lower": owner.lower(), "upper": owner.upper(), "strip": owner.strip()}.get(method.attr, owner)
    given = [folded(value, depth=depth + 1, names=names) for value in node.args]
    if method.attr == "format":
        return _filled(owner, given) or (owner.partition("{")[0] if prefix else None)
    if method.attr == "replace" and len(given) == 2:  # noqa: PLR2004
        old, new = given
        return owner.replace(old, new)[:1000] if old and new is not None else None
    return None


def _filled(pattern: str, given: list[str | None]) -> str | None:
    """`"{}test".format("py")`; only where the pattern is nothing but gaps and text."""
    if None in given or pattern.count("{}") != len(given) or pattern.count("{") != len(given):
        return None
    return pattern.format(*given)[:_LONGEST] if given else None


def _of_numbers(node: ast.Call, name: str) -> str | None:
    """`chr(112)`, `bytes([112, 121])`."""
    given = node.args[0] if len(node.args) == 1 and not node.keywords else None
    if name == "chr":
        given = ast.List([given], ast.Load()) if given is not None else None
    elif name not in {"bytes", "bytearray"}:
        return None
    if not isinstance(given, ast.List | ast.Tuple):
        return None
    codes = [e.value if isinstance(e, ast.Constant) else None for e in given.elts]
    if not all(isinstance(c, int) and 0 <= c < 0x110000 for c in codes):  # noqa: PLR2004 - the last character
        return None
    return "".join(chr(c) for c in codes if isinstance(c, int))


def _mapped(node: ast.expr) -> ast.expr:
    """The list that `map(chr, [112, 121])` comes to, else the expression."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "map"):
        return node
    if len(node.args) != 2 or not isinstance(node.args[1], ast.List | ast.Tuple):  # noqa: PLR2004 - function, list
        return node
    return ast.List([ast.Call(node.args[0], [e], []) for e in node.args[1].elts], ast.Load())


def _cut(text: str | None, cut: ast.Slice) -> str | None:
    """`"tsetyp"[::-1]`, `"xpytest"[1:]`"""
    if text is None:
        return None
    try:
        bounds = [None if part is None else ast.literal_eval(part) for part in (cut.lower, cut.upper, cut.step)]
        return text[slice(*bounds)]
    except (ValueError, TypeError, SyntaxError):
        return None
