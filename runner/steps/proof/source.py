"""Python test modules by their syntax: has a test been edited, deleted, or moved?

A test counts as edited when its own source changed, or anything in its module that it uses: a decorator, a fixture,
a helper, a constant, its class, or what it imports from a test file that the patch changed.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import PurePosixPath

_ALIKE = 0.6
_SHARED = 0.5

_Function = (ast.FunctionDef, ast.AsyncFunctionDef)
_Scope = ast.Module | ast.ClassDef


class TestModule:
    """A Python test module.

    Args:
        source: its content.
        altered: stems of other test-side files that the patch changes; whatever is imported from them is changed.
        side: "base" or "head"; altered imports differ between the two.
    """

    __test__ = False

    def __init__(self, source: bytes, *, altered: Iterable[str], side: str) -> None:
        self._text = source.decode("utf-8", "replace").split("\n")
        self._altered = frozenset(altered)
        self._side = side
        try:
            self._module: ast.Module | None = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self._module = None

    @property
    def readable(self) -> bool:
        """Whether it is Python at all."""
        return self._module is not None

    @cached_property
    def tests(self) -> dict[str, ast.AST]:
        """Test functions by their name in pytest's ids (`TestX::test_y`)."""
        return dict(_tests(self._module, "")) if self._module is not None else {}

    def text(self, name: str) -> str:
        """The source of a test, decorators included; empty where there is none of that name."""
        node = self._find(name)
        if node is None:
            return ""
        start = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        return "\n".join(self._text[start - 1 : node.end_lineno])

    def line(self, name: str) -> int | None:
        """Where a test begins."""
        node = self._find(name)
        return node.lineno if node is not None else None

    def fingerprint(self, name: str) -> str | None:
        """All that decides what a test does, of what is in this module; None where there is no such test or class.

        A test that its class inherits is known by the class.
        """
        node = self._find(name) or self._find(name.rpartition("::")[0])
        if node is None:
            return None
        parts = [self._dump(node), *(self._context(outer) for outer in self._outer(name))]
        seen: set[str] = set()
        waiting = [*_names(node), *(n for outer in self._outer(name) for n in _context_names(outer)), *self._always]
        while waiting:
            used = waiting.pop()
            for definition in self._definitions.get(used, []) if used not in seen else []:
                parts.append(f"{used}={self._dump(definition)}")
                waiting += _names(definition)
            seen.add(used)
        return "\n".join([*parts[:1], *sorted(parts[1:])])

    def origins(self, name: str) -> list[tuple[tuple[int, str] | None, str]]:
        """Where else a test may be written: (dots and module of an import, or None for here; its name there).

        That is where a name is imported from that the module does not define, and, for a test that its class does
        not define itself, the classes that it inherits.
        """
        outer, _, rest = name.partition("::")
        node = self._find(outer)
        if node is None:
            return self._imported(outer, rest)
        if not isinstance(node, ast.ClassDef) or not rest or self._find(name) is not None:
            return []
        bases = [base.id for base in node.bases if isinstance(base, ast.Name) and base.id != outer]
        here: list[tuple[tuple[int, str] | None, str]] = [(None, f"{b}::{rest}") for b in bases if self._find(b)]
        return here + [found for b in bases if not self._find(b) for found in self._imported(b, rest)]

    def _imported(self, name: str, rest: str) -> list[tuple[tuple[int, str] | None, str]]:
        return [
            ((node.level, node.module or ""), "::".join(part for part in (alias.name, rest) if part))
            for node in self._definitions.get(name, [])
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if (alias.asname or alias.name) == name
        ]

    def uses(self, name: str) -> frozenset[str]:
        """Names of functions and values that a test uses."""
        node = self._find(name)
        inner = [n for n in ast.walk(node) if isinstance(n, (ast.Name, ast.Attribute))] if node is not None else []
        return frozenset(n.id if isinstance(n, ast.Name) else n.attr for n in inner)

    def most_like(self, name: str, other: TestModule, among: Iterable[str]) -> str | None:
        """The one of `among` in `other` that took the place of test `name`: alike in text, and of the same things."""
        scored = []
        for candidate in among:
            mine, theirs = self.uses(name), other.uses(candidate)
            if len(mine & theirs) >= _SHARED * len(mine | theirs):
                scored.append(
                    (difflib.SequenceMatcher(None, self.text(name), other.text(candidate)).ratio(), candidate)
                )
        best = max(scored, default=(0.0, ""))
        return best[1] if best[0] >= _ALIKE else None

    def _find(self, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None:
        scope: _Scope | None = self._module
        found: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | None = None
        for part in name.split("::") if name else []:
            if scope is None:
                return None
            found = next(
                (n for n in _inside(scope) if isinstance(n, (*_Function, ast.ClassDef)) and n.name == part), None
            )
            scope = found if isinstance(found, ast.ClassDef) else None
            if found is None:
                return None
        return found

    def _outer(self, name: str) -> list[ast.ClassDef]:
        parts = name.split("::")[:-1]
        found = [self._find("::".join(parts[: i + 1])) for i in range(len(parts))]
        return [node for node in found if isinstance(node, ast.ClassDef)]

    def _context(self, outer: ast.ClassDef) -> str:
        rest = [self._dump(n) for n in outer.body if not (isinstance(n, _Function) and n.name.startswith("test"))]
        return "\n".join([outer.name, *map(ast.dump, (*outer.bases, *outer.decorator_list)), *rest])

    @cached_property
    def _definitions(self) -> dict[str, list[ast.AST]]:
        """Module-level names, and what gives them their value."""
        found: dict[str, list[ast.AST]] = {}
        for node in _inside(self._module) if self._module is not None else ():
            for name in _defined(node):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def _always(self) -> list[str]:
        """Names that every test of the module uses without naming them."""
        fixtures = [
            node.name
            for nodes in self._definitions.values()
            for node in nodes
            if isinstance(node, _Function) and any("autouse" in ast.dump(d) for d in node.decorator_list)
        ]
        special = ("pytestmark", "setup_module", "teardown_module", "setup_function", "setUpModule", "tearDownModule")
        return [*fixtures, *special]

    def _dump(self, node: ast.AST) -> str:
        mark = f"#{self._side}" if self._uses_altered(node) else ""
        return ast.dump(node) + mark

    def _uses_altered(self, node: ast.AST) -> bool:
        if not self._altered:
            return False
        if isinstance(node, ast.ImportFrom):
            named = {(node.module or "").rpartition(".")[2], *(alias.name for alias in node.names)}
            return bool(named & self._altered)
        if isinstance(node, ast.Import):
            return bool({alias.name.rpartition(".")[2] for alias in node.names} & self._altered)
        texts = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))
        return any(PurePosixPath(text).stem in self._altered for text in texts if len(text) < 1000)  # noqa: PLR2004


def _inside(scope: _Scope) -> Iterator[ast.stmt]:
    """Statements of a module or class, those below `if` and `try` included."""
    waiting = list(scope.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if isinstance(node, ast.If):
            waiting = [*node.body, *node.orelse, *waiting]
        elif isinstance(node, ast.Try):
            waiting = [*node.body, *(n for h in node.handlers for n in h.body), *node.orelse, *node.finalbody, *waiting]


def _tests(scope: _Scope, prefix: str) -> Iterator[tuple[str, ast.AST]]:
    for node in _inside(scope):
        if isinstance(node, _Function) and node.name.startswith("test"):
            yield prefix + node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from _tests(node, f"{prefix}{node.name}::")


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, (*_Function, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return []


def _names(node: ast.AST) -> list[str]:
    """Every name that a node could mean: variables, fixtures (arguments), and words in strings (`usefixtures`)."""
    found: list[str] = []
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            found.append(inner.id)
        elif isinstance(inner, ast.arg):
            found.append(inner.arg)
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and inner.value.isidentifier():
            found.append(inner.value)
    return found


def _context_names(outer: ast.ClassDef) -> list[str]:
    parts = [n for n in outer.body if not (isinstance(n, _Function) and n.name.startswith("test"))]
    return [name for part in (*parts, *outer.bases, *outer.decorator_list) for name in _names(part)]
