"""Product code that answers the very inputs of the tests, one by one."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import PurePosixPath

from tree_sitter import Node

from runner.policy.integrity.model import Test
from runner.policy.integrity.product import Trace, javascript_tree, product_files, traced
from runner.policy.integrity.python import parsed
from runner.policy.integrity.python_claims import constant
from runner.policy.integrity.sides import Seen, Sides, touched
from runner.policy.integrity.syntax import line, literal, text, walk

_REMEDY = "find the rule behind the examples, and write that"
_TRIVIAL = frozenset(
    {
        "None",
        "True",
        "False",
        "''",
        "0",
        "1",
        "-1",
        "[]",
        "{}",
        "()",
        "b''",
        "null",
        "undefined",
        "true",
        "false",
        '""',
        "0.0",
    }
)
_LONG = 3


def special_cases(sides: Sides) -> Iterator[Seen]:
    """Branches that compare with a literal of the changed tests, and answer with a literal."""
    tests = [t for file in sides.head_tests.values() for t in file.tests.values()]
    if not tests:
        return
    inputs = frozenset(n for t in tests for n in _literals(t.text))
    expected = frozenset(n for t in tests for n in _answers(t))
    python = partial(_in_python, inputs=inputs, expected=expected)
    yield from traced(product_files(sides, "python"), python, _REMEDY)
    javascript = partial(_in_javascript, inputs=inputs, expected=expected)
    yield from traced(product_files(sides, "javascript"), javascript, _REMEDY)


def _literals(source: str) -> Iterator[str]:
    """Literals of a test's text, in Python's or JavaScript's form."""
    try:
        yield from _python_literals(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        root, _ = javascript_tree(source.encode("utf-8", "replace"), ".ts")
        yield from (_form(text(n)) for n in walk(root) if n.type in ("string", "number", "template_string"))


def _python_literals(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Constant, ast.UnaryOp, ast.Tuple, ast.List)) and constant(node):
            yield ast.unparse(node)


def _form(said: str) -> str:
    return f"'{said[1:-1]}'" if said[:1] in "\"'`" and len(said) > 1 else said


def _answers(test: Test) -> Iterator[str]:
    for claim in test.claims:
        yield _form(claim.expected)
        yield from _literals(claim.expected)
    for case in test.inside.cases or ():
        yield from _literals(f"({case},)")


def _in_python(
    content: bytes, path: str, lines: frozenset[int] | None, *, inputs: frozenset[str], expected: frozenset[str]
) -> list[Trace]:
    tree = parsed(content)[0]
    found: list[Trace] = []
    for node in ast.walk(tree) if tree is not None else ():
        if not touched(lines, getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0):
            continue
        compared, answer, shown = _branch(node)
        if compared and answer is not None:
            found += _judged(
                compared, ast.unparse(answer), shown, getattr(node, "lineno", 1), inputs=inputs, expected=expected
            )
        if isinstance(node, (ast.Subscript, ast.Call)):
            found += _table(node, inputs, expected)
    return found


def _branch(node: ast.AST) -> tuple[list[str], ast.expr | None, str]:
    """The literals that a branch compares with, the literal that it answers with, and its text."""
    if isinstance(node, ast.If):
        answer = _answer(node.body)
        return _compared(node.test), answer, f"if {ast.unparse(node.test)}: … {ast.unparse(answer) if answer else ''}"
    if isinstance(node, ast.IfExp):
        answers = [a for a in (node.body, node.orelse) if constant(a)]
        return _compared(node.test), answers[0] if answers else None, ast.unparse(node)
    if isinstance(node, ast.Match):
        for case in node.cases:
            answer = _answer(case.body)
            values = [ast.unparse(n.value) for n in ast.walk(case.pattern) if isinstance(n, ast.MatchValue)]
            if values and answer is not None:
                return values, answer, f"case {ast.unparse(case.pattern)}: {ast.unparse(answer)}"
    return [], None, ""


def _answer(body: Sequence[ast.stmt]) -> ast.expr | None:
    last = body[-1] if body else None
    if isinstance(last, (ast.Return, ast.Assign)) and last.value is not None and constant(last.value):
        return last.value
    return None


def _compared(test: ast.expr) -> list[str]:
    found: list[str] = []
    for node in ast.walk(test):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], (ast.Eq, ast.Is, ast.In)):
            continue
        for side in (node.left, *node.comparators):
            if constant(side):
                within = isinstance(node.ops[0], ast.In) and isinstance(side, (ast.Tuple, ast.List, ast.Set))
                found += [ast.unparse(e) for e in side.elts] if within else [ast.unparse(side)]  # type: ignore[attr-defined]
    return found


def _table(node: ast.Subscript | ast.Call, inputs: frozenset[str], expected: frozenset[str]) -> Iterator[Trace]:
    """`{7: 49}.get(n)` and `{7: 49}[n]`."""
    table = node.value if isinstance(node, ast.Subscript) else getattr(node.func, "value", None)
    if isinstance(table, ast.Dict) and table.keys and constant(table):
        keys = [ast.unparse(k) for k in table.keys if k is not None]
        values = {ast.unparse(v) for v in table.values}
        if values <= expected:
            yield from _judged(
                keys, ast.unparse(table.values[0]), ast.unparse(node), node.lineno, inputs=inputs, expected=expected
            )


def _judged(
    compared: list[str], answer: str, shown: str, at: int, *, inputs: frozenset[str], expected: frozenset[str]
) -> Iterator[Trace]:
    known = [c for c in compared if c in inputs]
    if not known or len(known) < len(compared):
        return
    telling = [c for c in known if c not in _TRIVIAL]
    if not telling and sum(c.lstrip("-").isdigit() for c in known) < 2:  # noqa: PLR2004 - one zero tells nothing
        return
    number = any(c.lstrip("-")[:1].isdigit() or c[:1] in "([" for c in telling) or not telling
    tells = answer in expected or _form(answer) in expected
    same_words = not number and answer.strip("'\"").casefold()[:_LONG] == known[0].strip("'\"").casefold()[:_LONG]
    grave = tells and (number or answer not in _TRIVIAL) and not same_words
    message = f"it answers an input of the tests ({', '.join(known[:3])}) with a fixed {answer[:40]}"
    yield Trace("cheating.special_case", shown, at, message, grave)


def _in_javascript(
    content: bytes, path: str, lines: frozenset[int] | None, *, inputs: frozenset[str], expected: frozenset[str]
) -> list[Trace]:
    root, _ = javascript_tree(content, PurePosixPath(path).suffix)
    found: list[Trace] = []
    for node in walk(root):
        if not touched(lines, line(node), node.end_point[0] + 1):
            continue
        if node.type == "if_statement":
            condition, answer = (
                node.child_by_field_name("condition"),
                _returned(node.child_by_field_name("consequence")),
            )
        elif node.type == "ternary_expression":
            condition, answer = node.child_by_field_name("condition"), node.child_by_field_name("consequence")
        elif node.type == "switch_case":
            condition, answer = node.child_by_field_name("value"), _returned(node)
        else:
            continue
        if condition is None or answer is None or not literal(answer):
            continue
        compared = [_form(text(condition))] if literal(condition) else _equalities(condition)
        shown = f"{text(condition)} → {text(answer)}"
        found += _judged(compared, _form(text(answer)), shown, line(node), inputs=inputs, expected=expected)
    return found


def _returned(node: Node | None) -> Node | None:
    for inner in (node, *node.named_children) if node is not None else ():
        if inner.type == "return_statement" and inner.named_children:
            return inner.named_children[0]
    return None


def _equalities(condition: Node) -> list[str]:
    found = []
    for node in walk(condition):
        if node.type == "binary_expression" and text(node.child_by_field_name("operator")) in ("==", "==="):
            sides = (node.child_by_field_name("left"), node.child_by_field_name("right"))
            found += [_form(text(side)) for side in sides if literal(side)]
    return found
