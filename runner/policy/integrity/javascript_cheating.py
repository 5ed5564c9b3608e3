"""JavaScript product code that is made for the judge: it sees the test run, ends it, or patches what judges it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

from tree_sitter import Node

from runner.policy.integrity.javascript_detecting import GLOBALS, WORLD, detects, stands_for, traced_as
from runner.policy.integrity.product import Trace, is_script, javascript_tree, product_files, test_files, traced
from runner.policy.integrity.sides import Seen, Sides, touched
from runner.policy.integrity.syntax import FUNCTIONS, arguments, callee, line, literal, names, string, text, walk

_BUILTIN = frozenset({
    "Array", "Object", "String", "Number", "Function", "Promise", "RegExp", "Map", "Set", "Symbol",
    "JSON", "Math", "Date", "Boolean", "Error", "Reflect", "assert", "expect", "console",
})  # fmt: skip
_RESULT_FILE = re.compile(r"junit[^/]*\.xml|lcov\.info|coverage-final\.json|coverage/|test-?results?")
_WRITES = frozenset(
    {"writeFile", "writeFileSync", "appendFile", "appendFileSync", "createWriteStream", "rmSync", "unlinkSync"}
)
_SAME = frozenset({"equals", "asymmetricMatch", "Symbol.hasInstance", "isEqual", "valueOf", "toJSON"})
_REMEDY = "let the code do for everybody what it does for the tests; take this out"


def javascript_cheats(sides: Sides) -> Iterator[Seen]:
    """What the patch adds to JavaScript that only makes sense before a judge."""
    find = partial(_cheats, fixing=sides.fixes)
    yield from traced(product_files(sides, "javascript"), find, _REMEDY)
    yield from traced(test_files(sides, "javascript"), _tricks, "leave the run of the tests to its runner")


def _cheats(content: bytes, path: str, lines: frozenset[int] | None, *, fixing: bool) -> list[Trace]:
    root, _ = javascript_tree(content, PurePosixPath(path).suffix)
    names_of = stands_for(root)
    script = is_script(path) or content.startswith(b"#!")
    found: list[Trace] = []
    for node in walk(root):
        if not touched(lines, line(node), node.end_point[0] + 1):
            continue
        found += detects(node, names_of)
        found += _exits(node, script=script)
        found += _patches(node)
        found += _equality(node)
        found += _swallows(node, fixing=fixing)
    return found


def _tricks(content: bytes, path: str, lines: frozenset[int] | None) -> list[Trace]:
    root, _ = javascript_tree(content, PurePosixPath(path).suffix)
    here = [node for node in walk(root) if touched(lines, line(node), node.end_point[0] + 1)]
    return [t for node in here for t in (*_exits(node, script=False), *_patches(node)) if t.grave]


def _exits(node: Node, *, script: bool) -> Iterator[Trace]:
    if node.type == "assignment_expression" and text(node.child_by_field_name("left")) == "process.exitCode":
        right = text(node.child_by_field_name("right"))
        yield traced_as("exits", node, "it sets the exit code of the process", grave=right == "0" and not script)
    if node.type == "variable_declarator" and text(node.child_by_field_name("value")) == "process":
        taken = text(node.child_by_field_name("name"))
        if re.search(r"\b(?:exit|abort|kill|reallyExit)\b", taken):
            yield traced_as("exits", node, "it takes what ends the process under another name", grave=not script)
    if node.type != "call_expression":
        return
    chain = names(callee(node))
    if chain in (["process", "reallyExit"], ["process", "abort"]) or text(node).startswith("process.kill(process.pid"):
        yield traced_as("exits", node, "it ends the process without a word")
    elif chain == ["process", "exit"] and not script:
        code = arguments(node)
        success = not code or text(code[0]) == "0"
        yield traced_as("exits", node, "it ends the process", grave=success or _at_top(node))
    elif chain in (["process", "on"], ["process", "once"]) and string(next(iter(arguments(node)), None)) in (
        "exit",
        "beforeExit",
    ):
        grave = re.search(r"exitCode|process\.exit|reallyExit", text(node)) is not None
        yield traced_as("exits", node, "it acts when the process ends", grave=grave)
    elif chain in (["process", "on"], ["process", "once"]) and string(next(iter(arguments(node)), None)) in (
        "uncaughtException",
        "unhandledRejection",
    ):
        yield traced_as("swallowed", node, "it takes every failure that nobody caught", grave=not script)


def _at_top(node: Node) -> bool:
    above = node.parent
    while above is not None:
        if above.type in FUNCTIONS:
            return False
        above = above.parent
    return True


def _patches(node: Node) -> Iterator[Trace]:
    if node.type == "assignment_expression":
        chain = names(node.child_by_field_name("left"))
        if len(chain) > 1 and chain[0] in WORLD and chain[1] in GLOBALS | _BUILTIN:
            yield traced_as("patches", node, "it puts something in the place of the runner's or the language's own")
        elif len(chain) > 1 and chain[0] in _BUILTIN:
            yield traced_as("patches", node, f"it patches {chain[0]}", grave=chain[0] not in ("console", "Error"))
    elif node.type == "call_expression":
        chain, given = names(callee(node)), arguments(node)
        if chain[:1] == ["Object"] and chain[-1] in ("defineProperty", "assign", "defineProperties") and given:
            owner = names(given[0])
            if (
                owner[:1]
                and owner[0] in _BUILTIN
                and (len(owner) == 1 or "prototype" in owner)
                and literal(given[0]) is False
            ):
                yield traced_as("patches", node, f"it patches {owner[0]}")
        elif (
            chain[-1:]
            and chain[-1] in _WRITES
            and any(_RESULT_FILE.search(string(n) or "") for g in given for n in walk(g))
        ):
            yield traced_as("results", node, "it touches a file in which results of tests are kept")


def _equality(node: Node) -> Iterator[Trace]:
    if node.type == "string" and string(node) == "jest.asymmetricMatcher":
        yield traced_as("equality", node, "it passes for a matcher that equals anything")
    if node.type not in ("method_definition", "pair"):
        return
    name = text(node.child_by_field_name("name" if node.type == "method_definition" else "key")).strip("[]'\"")
    if name not in _SAME:
        return
    returned = [n for n in walk(node) if n.type == "return_statement"]
    body = node.child_by_field_name("value")
    short = body.child_by_field_name("body") if body is not None and body.type == "arrow_function" else None
    fixed = bool(returned) and all(r.named_children and text(r.named_children[0]) in ("true", "!0") for r in returned)
    if fixed or text(short) in ("true", "!0"):
        yield traced_as("equality", node, f"{name} answers the same whatever it is asked")


def _swallows(node: Node, *, fixing: bool) -> Iterator[Trace]:
    if node.type == "finally_clause":
        body = node.child_by_field_name("body")
        if any(n.type == "return_statement" for n in (body.named_children if body is not None else ())):
            yield traced_as("swallowed", node, "a return in `finally` swallows whatever went wrong", grave=fixing)
    elif node.type == "catch_clause":
        body, error = node.child_by_field_name("body"), text(node.child_by_field_name("parameter"))
        if body is not None and _silent(body, error):
            yield traced_as("swallowed", node, "whatever goes wrong is swallowed", grave=fixing)
    elif node.type == "call_expression" and names(callee(node))[-1:] == ["catch"]:
        given = arguments(node)
        if len(given) == 1 and given[0].type in FUNCTIONS and _silent(given[0].child_by_field_name("body"), ""):
            shown = Trace(
                "cheating.swallowed",
                f".catch({text(given[0])})",
                line(given[0]),
                "whatever goes wrong is swallowed",
                fixing,
            )
            yield shown


def _silent(body: Node | None, error: str) -> bool:
    for node in walk(body) if body is not None else ():
        if node.type in ("throw_statement", "call_expression", "await_expression", "new_expression"):
            return False
        if error and node.type == "identifier" and text(node) == error:
            return False
    return True
