"""What the names and texts of a Python source stand for, whatever they were imported as or put together from."""

from __future__ import annotations

import ast
import sys

from runner.policy.integrity.python_claims import dotted
from runner.policy.python_nodes import nodes, statements
from runner.policy.python_texts import folded

BROAD_NAMES = ("Exception", "BaseException")
_TEXTS = (ast.Constant, ast.BinOp, ast.Call, ast.Subscript, ast.JoinedStr)


class Meaning:
    """The names of one module.

    Args:
        tree: the module.
    """

    def __init__(self, tree: ast.Module) -> None:
        self.imports: dict[str, str] = {}
        """Name → what it was imported as, dotted."""
        self.texts: dict[str, str] = {}
        """Name → the text that it is given, where it is given one."""
        for node in statements(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    self.imports[name] = alias.name if alias.asname else name
            elif isinstance(node, ast.ImportFrom) and not node.level:
                self.imports |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
            elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                self._assigned(node.targets[0].id, node.value)

    def _assigned(self, name: str, value: ast.expr) -> None:
        text = folded(value, names=self.texts)
        if text is not None:
            self.texts.setdefault(name, text)
            return
        # Another name for what was imported, or for an exception.
        whole = self.resolved(value)
        if whole.partition(".")[0] in (*sys.stdlib_module_names, *BROAD_NAMES):
            self.imports.setdefault(name, whole)

    def resolved(self, node: ast.AST) -> str:
        """The dotted name of an expression as it was imported; `getattr` and `vars` are seen through."""
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            if node.func.id == "getattr" and len(node.args) > 1:
                return f"{self.resolved(node.args[0])}.{folded(node.args[1], names=self.texts)}"
            if node.func.id == "vars":
                return f"{self.resolved(node.args[0])}.__dict__"
            if node.func.id in ("__import__", "import_module"):
                return folded(node.args[0], names=self.texts) or ""
        if isinstance(node, ast.Attribute) and isinstance(node.value, (ast.Call, ast.Subscript)):
            return f"{self.resolved(node.value)}.{node.attr}"
        if isinstance(node, ast.Subscript):
            owner = self.resolved(node.value)
            if owner.endswith(".__dict__"):
                return f"{owner.removesuffix('.__dict__')}.{folded(node.slice, names=self.texts)}"
            return ""
        name = dotted(node)
        first, dot, rest = name.partition(".")
        return f"{self.imports.get(first, first)}{dot}{rest}"

    def text(self, node: ast.expr) -> str | None:
        """The text that an expression comes to, or None."""
        return folded(node, names=self.texts)

    def strings(self, node: ast.AST) -> list[str]:
        """Every text in an expression, put together where it was taken apart."""
        found = []
        for inner in nodes(node):
            if isinstance(inner, ast.Name):
                if inner.id in self.texts:
                    found.append(self.texts[inner.id])
            elif isinstance(inner, _TEXTS):
                text = folded(inner, names=self.texts)
                if text is not None:
                    found.append(text)
        return found

    def said(self, node: ast.AST) -> str:
        """The text of an expression with whole names, whatever they were imported as."""
        parts = [ast.unparse(node)]
        for inner in nodes(node):
            if isinstance(inner, (ast.Name, ast.Call, ast.Subscript)):
                whole = self.resolved(inner)
                if "." in whole:
                    parts.append(whole)
        return " ".join(parts)
