"""The parts of a patch: each run of changed lines in a file of product code, and the file without it. Pure."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from runner.policy.globs import Globs

CODE = Globs(
    ("*.py", "*.pyx", "*.js", "*.mjs", "*.cjs", "*.jsx", "*.ts", "*.mts", "*.cts", "*.tsx", "*.vue", "*.svelte", "*.go",
     "*.rs", "*.c", "*.h", "*.cc", "*.cpp", "*.hpp", "*.java", "*.kt", "*.scala", "*.rb", "*.php", "*.cs", "*.fs",
     "*.swift", "*.ex", "*.exs", "*.erl", "*.clj", "*.lua", "*.pl", "*.r", "*.jl", "*.dart", "*.zig", "*.hs", "*.ml")
)  # fmt: skip
"""Files that hold code."""

_LARGEST = 1 << 20


@dataclass(frozen=True)
class Part:
    """One run of changed lines: `line` is where it begins in the new file, `lines` how many it has there (0: lines
    were only taken out), `without` the whole file as it is without it."""

    path: str
    line: int
    lines: int
    without: bytes

    @property
    def where(self) -> str:
        """Its place, for a person."""
        last = self.line + self.lines - 1
        return f"{self.path}:{self.line}{f'-{last}' if last > self.line else ''}"


def parts(path: str, base: bytes, head: bytes) -> Iterator[Part]:
    """Each part of a change, taken back by itself. What is no code (comments, blank lines, docstrings) is left out."""
    if len(base) + len(head) > _LARGEST or path not in CODE:
        return
    old, new = _lines(base), _lines(head)
    same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    meaning = _meaning(path, head)
    compared = difflib.SequenceMatcher(None, old[same:], new[same:], autojunk=False)
    for tag, *places in compared.get_opcodes():
        a, b, c, d = (place + same for place in places)
        if tag == "equal":
            continue
        if not any(line.strip() for line in (*old[a:b], *new[c:d])):
            continue
        without = b"".join((*new[:c], *old[a:b], *new[d:]))
        if meaning is None or _meaning(path, without) != meaning:
            yield Part(path, min(c + 1, max(len(new), 1)), d - c, without)


def _lines(content: bytes) -> list[bytes]:
    """Lines as git counts them, with their ends."""
    rows = content.split(b"\n")
    return [row + b"\n" for row in rows[:-1]] + ([rows[-1]] if rows[-1] else [])


def _meaning(path: str, content: bytes) -> str | None:
    """What a Python source does, docstrings aside; None where that cannot be told."""
    if not path.endswith(".py"):
        return None
    try:
        module = ast.parse(content)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    for node in ast.walk(module):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
            node.body = kept  # type: ignore[attr-defined]
    return ast.dump(module)
