"""What a patch does to product code: the names that it changes, and the traces of a kind that it adds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from tree_sitter import Node

from runner.policy.integrity.model import shown
from runner.policy.integrity.python import unparsed
from runner.policy.integrity.sides import Change, Seen, Sides, is_example, language, touched
from runner.policy.integrity.syntax import parse, text, walk
from runner.policy.python_nodes import outline

_SCRIPTS = frozenset(
    {"__main__.py", "cli.py", "main.py", "setup.py", "noxfile.py", "tasks.py", "manage.py", "conftest.py"}
)
_NAMED = frozenset({"function_declaration", "class_declaration", "method_definition", "variable_declarator"})


@dataclass(frozen=True)
class Trace:
    """Something that a file does, at a line. Two traces with the same `rule` and `text` are the same."""

    rule: str
    text: str
    line: int
    message: str
    grave: bool = True


@lru_cache(maxsize=64)
def javascript_tree(content: bytes, suffix: str) -> tuple[Node, str]:
    """The syntax tree of a JavaScript or TypeScript file, and what is wrong with it."""
    return parse(content, "x" + suffix)


def product_files(sides: Sides, which: str) -> Iterator[Change]:
    """Changed files of one language that are not tests."""
    for change in sides.changes:
        if language(change.path) == which and not sides.is_test(change.path):
            yield change


def test_files(sides: Sides, which: str) -> Iterator[Change]:
    """Changed test files of one language."""
    for change in sides.changes:
        if language(change.path) == which and sides.is_test(change.path):
            yield change


def is_script(path: str) -> bool:
    """Whether a file is made to be run, by its name or folder."""
    parts = PurePosixPath(path).parts
    folders = {"scripts", "bin", "tools", "examples", "benchmarks", "docs", "cli", "commands"}
    return parts[-1] in _SCRIPTS or bool(set(parts[:-1]) & folders) or "cli" in parts[-1] or "main" in parts[-1]


Find = Callable[[bytes, str, frozenset[int] | None], Sequence[Trace]]
"""(content, path, lines) → the traces that have some of these lines, or all of them."""


def traced(changes: Iterable[Change], find: Find, remedy: str) -> Iterator[Seen]:
    """What the heads of some files do that their bases did not, on lines that the patch adds."""
    given = list(changes)
    try:
        yield from _traced(given, find, remedy)
    except RecursionError:
        for change in given:
            message = f"{change.path} or a file changed with it is nested too deeply to be read"
            yield Seen("cheating.unreadable", message, "write it with less nesting", change.path)


def _traced(changes: Iterable[Change], find: Find, remedy: str) -> Iterator[Seen]:
    given = list(changes)
    found = [(c, t) for c in given if c.added and c.after is not None for t in find(c.after, c.path, c.added)]
    if not found:
        return
    known = Counter((t.rule, t.text) for c in given if c.before is not None for t in find(c.before, c.old_path, None))
    known.subtract((t.rule, t.text) for c in given if c.after is not None for t in find(c.after, c.path, None))
    known.update((t.rule, t.text) for _, t in found)
    for change, trace in found:
        if known[trace.rule, trace.text] > 0:
            known[trace.rule, trace.text] -= 1  # it stood elsewhere before, and stands there no more
            continue
        message = f"{trace.message}: `{shown(trace.text)}`"
        yield Seen(trace.rule, message, remedy, change.path, trace.line, trace.grave and not is_example(change.path))


def unreadable(sides: Sides) -> Iterator[Seen]:
    """Product files that cannot be read, so that nothing is known of them."""
    for change in sides.changes:
        if sides.is_test(change.path) or change.after is None:
            continue
        problem, before = _problem(change.after, change.path), ""
        if problem:
            before = _problem(change.before, change.path) if change.before is not None else ""
            yield Seen(
                "cheating.unreadable",
                f"{change.path} cannot be read, so nobody can say what it does ({shown(problem)})",
                "write it in a syntax that the judge's parser knows, or have a person look at it",
                change.path,
                grave=not before and language(change.path) == "python",
            )


def _problem(content: bytes, path: str) -> str:
    match language(path):
        case "python":
            return unparsed(content)
        case "javascript":
            return javascript_tree(content, PurePosixPath(path).suffix)[1]
        case _:
            return ""


def defined_in_product(sides: Sides) -> Mapping[str, int]:
    """Functions and classes of the product that the patch changes; of JavaScript, the modules, too."""
    found: dict[str, int] = {}
    for change in product_files(sides, "python"):
        names = outline(change.after).definitions if change.after is not None else ()
        found |= {name: first for name, first, end in names if touched(change.added, first, end)}
    for change in product_files(sides, "javascript"):
        found[PurePosixPath(change.path).name.partition(".")[0]] = 1
        parts = _javascript_names(change.after, change.path)
        found |= {name: first for name, first, end in parts if touched(change.added, first, end)}
    return {name: at for name, at in found.items() if not name.startswith("__") and name not in ("index", "main")}


def removed_from_product(sides: Sides) -> frozenset[str]:
    """Functions and classes that the product had, and has no more."""
    before: set[str] = set()
    after: set[str] = set()
    for change in product_files(sides, "python"):
        for content, names in ((change.before, before), (change.after, after)):
            names.update(name for name, _, _ in (outline(content).definitions if content is not None else ()))
    for change in product_files(sides, "javascript"):
        before.update(name for name, _, _ in _javascript_names(change.before, change.path))
        after.update(name for name, _, _ in _javascript_names(change.after, change.path))
    return frozenset(before - after)


def _javascript_names(content: bytes | None, path: str) -> Iterator[tuple[str, int, int]]:
    if content is None:
        return
    root, _ = javascript_tree(content, PurePosixPath(path).suffix)
    for node in walk(root):
        name = node.child_by_field_name("name") if node.type in _NAMED else None
        if name is not None and name.type in ("identifier", "property_identifier", "type_identifier"):
            yield text(name), node.start_point[0] + 1, node.end_point[0] + 1
