"""JavaScript and TypeScript by their grammars, and what is asked of a node more than once."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import PurePosixPath

import tree_sitter_javascript
import tree_sitter_typescript
from tree_sitter import Language, Node, Parser

FUNCTIONS = frozenset({
    "arrow_function", "function_expression", "function_declaration", "generator_function", "method_definition",
    "generator_function_declaration", "function",
})  # fmt: skip
_LITERALS = frozenset({"string", "number", "true", "false", "null", "undefined", "regex"})
_LONGEST = 4000
_LONGEST_CHAIN = 40
_FALSE = frozenset({"false", "null", "undefined", "0", "''", '""', "NaN", "!1", "!true", "void 0"})
_TRUE = frozenset({"true", "!0", "1", "!false"})


@cache
def _parser(name: str) -> Parser:
    languages = {
        "javascript": tree_sitter_javascript.language,
        "typescript": tree_sitter_typescript.language_typescript,
        "tsx": tree_sitter_typescript.language_tsx,
    }
    return Parser(Language(languages[name]()))


def parse(source: bytes, path: str) -> tuple[Node, str]:
    """The tree of a file, and what is wrong with it (empty where nothing is). Never raises."""
    suffix = PurePosixPath(path).suffix.lower()
    grammars = ("typescript", "tsx") if suffix in (".ts", ".mts", ".cts") else ("tsx",)
    grammars = grammars if "ts" in suffix else ("javascript", "tsx")
    first: Node | None = None
    for grammar in grammars:
        root = _parser(grammar).parse(source).root_node
        if not root.has_error:
            return root, ""
        first = first or root
    assert first is not None  # noqa: S101 - there is at least one grammar
    return first, f"line {_broken(first)}: it is no valid JavaScript or TypeScript"


def _broken(root: Node) -> int:
    node = root
    while True:
        inner = next((c for c in node.children if c.has_error or c.is_missing), None)
        if inner is None or node.type == "ERROR":
            return line(node)
        node = inner


def text(node: Node | None) -> str:
    """A node's source on one line; of a very long one, its beginning and its length."""
    if node is None:
        return ""
    source = node.text or b""
    whole = source[:_LONGEST].decode("utf-8", "replace")
    more = f"… {len(source)}" if len(source) > _LONGEST else ""
    return " ".join(whole.split()) + more


def line(node: Node) -> int:
    """The line on which a node begins, from 1."""
    return node.start_point[0] + 1


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, in the order of the text."""
    waiting = [node]
    while waiting:
        inner = waiting.pop()
        yield inner
        waiting += reversed(inner.named_children)


def callee(node: Node) -> Node | None:
    """What a call calls."""
    return node.child_by_field_name("function") if node.type == "call_expression" else None


def arguments(node: Node) -> list[Node]:
    """A call's arguments."""
    found = node.child_by_field_name("arguments")
    if found is None or found.type != "arguments":
        return []
    return [n for n in found.named_children if n.type != "comment"]


def names(node: Node | None) -> list[str]:
    """`a.b.c`, `a.b(...).c` and `a['b'].c` as [a, b, c]; of a very long chain, its end."""
    found: list[str] = []
    while node is not None and len(found) < _LONGEST_CHAIN:
        if node.type == "member_expression":
            found.append(text(node.child_by_field_name("property")))
            node = node.child_by_field_name("object")
        elif node.type == "subscript_expression":
            found.append(text(node.child_by_field_name("index")).strip("'\"`"))
            node = node.child_by_field_name("object")
        elif node.type in ("call_expression", "non_null_expression", "parenthesized_expression", "await_expression"):
            node = node.child_by_field_name("function") or (node.named_children[0] if node.named_children else None)
        else:
            found.append(text(node) if node.type in ("identifier", "this", "import", "super") else "")
            break
    return found[::-1]


def literal(node: Node | None) -> bool:
    """Whether a node is a plain literal, or a list or object of nothing else."""
    if node is None:
        return False
    if node.type in _LITERALS:
        return True
    if node.type == "template_string":
        return not node.named_children or all(c.type == "string_fragment" for c in node.named_children)
    if node.type == "unary_expression":
        return literal(node.child_by_field_name("argument"))
    if node.type in ("array", "object"):
        return all(literal(c) for c in node.named_children)
    if node.type == "pair":
        return literal(node.child_by_field_name("value"))
    return node.type == "comment"


def truth(node: Node | None) -> bool | None:
    """What a condition always is, as far as can be told from itself."""
    if node is None:
        return None
    if node.type == "parenthesized_expression" and node.named_children:
        return truth(node.named_children[0])
    said = text(node)
    if said in _FALSE:
        return False
    if said in _TRUE or (literal(node) and node.type in ("string", "number", "array", "object", "regex")):
        return True
    if node.type == "binary_expression":
        left, right = (truth(node.child_by_field_name(side)) for side in ("left", "right"))
        operator = text(node.child_by_field_name("operator"))
        if operator == "||":
            return True if True in (left, right) else None
        if operator == "&&":
            return False if False in (left, right) else None
    return None


def string(node: Node | None) -> str | None:
    """The value of a plain string, escapes left as they are; None for anything else."""
    if node is None or node.type not in ("string", "template_string"):
        return None
    return (node.text or b"").decode("utf-8", "replace")[1:-1]
