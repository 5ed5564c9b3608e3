"""Where the statements of a source file are: Python by its own parser, JavaScript and TypeScript by their grammars.

Coverage tools count statements by their first lines (or, for JavaScript, every line): what a patch changes in the
middle of a statement must find the line that was counted.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from tree_sitter import Node

from runner.policy.integrity.syntax import parse
from runner.policy.languages import JAVASCRIPT

_PUNCTUATION = frozenset("{}()[];,")
_OF_TYPES = frozenset(
    {"interface_declaration", "type_alias_declaration", "ambient_declaration", "import_statement", "empty_statement"}
)
_DECLARATIONS = frozenset(
    {"lexical_declaration", "variable_declaration", "public_field_definition", "field_definition"}
)


@dataclass(frozen=True)
class Statements:
    """A file's statements. `first` maps a line to the first line of the innermost statement that it is part of;
    `doing` are first lines of statements that do something; `blank` are lines without any code on them.
    """

    first: dict[int, int] = field(default_factory=dict)
    doing: tuple[int, ...] = ()
    blank: frozenset[int] = frozenset()


def readable(path: str) -> bool:
    """Whether we know the language of a file of this name."""
    return path.endswith(".py") or (path in JAVASCRIPT and not path.endswith((".vue", ".svelte", ".d.ts")))


def statements(source: bytes, path: str) -> Statements:
    """The statements of a file; none where it cannot be read as what its name says."""
    return _python(source) if path.endswith(".py") else _javascript(source, path)


def _python(source: bytes) -> Statements:
    try:
        module = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Statements()
    first: dict[int, int] = {}
    doing: set[int] = set()
    for node in ast.walk(module):
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = body[0].lineno - 1 if isinstance(body, list) and body else (node.end_lineno or node.lineno)
            _mark(first, node.lineno, end)
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                doing.add(node.lineno)
    return Statements(first, tuple(sorted(doing)))


def _javascript(source: bytes, path: str) -> Statements:
    root, _ = parse(source, path)
    first: dict[int, int] = {}
    doing: set[int] = set()
    code: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        begin, end = node.start_point[0] + 1, node.end_point[0] + 1
        if node.type == "comment":
            continue
        if not node.children and (node.text or b"").decode("utf-8", "replace") not in _PUNCTUATION:
            code.update(range(begin, end + 1))
        if _is_statement(node):
            _mark(first, begin, end)
            exported = node.child_by_field_name("declaration")
            if not {node.type, exported.type if exported is not None else ""} & _OF_TYPES:
                doing.add(begin)
        waiting += node.children
    lines = source.count(b"\n") + 1
    return Statements(first, tuple(sorted(doing)), frozenset(set(range(1, lines + 1)) - code))


def _is_statement(node: Node) -> bool:
    return node.type in _DECLARATIONS or node.type in _OF_TYPES or node.type.endswith("_statement")


def _mark(first: dict[int, int], begin: int, end: int) -> None:
    for number in range(begin, end + 1):
        first[number] = max(first.get(number, 0), begin)
