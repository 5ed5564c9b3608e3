"""Product code that answers the very inputs of the tests, one by one."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import PurePosixPath

from tree_sitter import Node

from runner.policy.integrity.model import Test
from runner.policy.integrity.product import Trace, javascript_tree, product_files, traced
from runner.policy.integrity.python_claims import constant
from runner.policy.integrity.python_walk import walked
from runner.policy.integrity.sides import Seen, Sides, touched
from runner.policy.integrity.syntax import line, literal, text, walk

_REMEDY = "find the rule behind the examples, and write that"
_TRIVIAL = frozenset({
    "None", "True", "False", "''", "0", "1", "-1", "[]", "{}", "()", "b''", "null", "undefined", "true", "false", '""',
    "0.0", "1.0", "-1.0",
})  # fmt: skip
# What separates: a slash, a comma. Who reads text compares with these.
_SEPARATOR = re.compile(r"b?'[^\w\s]'|b?' '")
_LONG = 3
_SHORT_TEST = 12
_TELLING = 2


@dataclass(frozen=True)
class Examples:
    """What the tests give in and expect.

    Of changed tests any literal counts, as they were written beside the code. Of those that the patch leaves alone
    there are many, and chance would meet some: there, question and answer must come from one and the same claim.
    """

    sides: Sides

    @cached_property
    def inputs(self) -> frozenset[str]:
        """Literals of the changed tests."""
        return frozenset(n for t in self._changed for n in _literals(t.text))

    @cached_property
    def expected(self) -> frozenset[str]:
        """Literals that the changed tests expect."""
        return frozenset(n for t in self._changed for n in _answers(t))

    @cached_property
    def claims(self) -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
        """Of each claim of the other tests: all its literals, and those that it expects."""
        tests = [t for file in self.sides.other_tests for t in file.tests.values()]
        return tuple(pair for test in tests for pair in _claimed(test) if pair[0] and pair[1])

    def answers(self, compared: list[str], answer: str) -> bool:
        """Whether a claim of the other tests gives in what is compared, and expects the answer."""
        parts = [part for one in compared for part in _parts(one)]
        return any(
            (set(compared) <= inputs or set(parts) <= inputs) and _form(answer) in expected
            for inputs, expected in self.claims
        )

    @cached_property
    def _changed(self) -> list[Test]:
        return [t for file in self.sides.head_tests.values() for t in file.tests.values()]


def special_cases(sides: Sides) -> Iterator[Seen]:
    """Branches that compare with a literal of the tests, and answer with a literal."""
    examples = Examples(sides)
    yield from traced(product_files(sides, "python"), partial(_in_python, examples=examples), _REMEDY)
    yield from traced(product_files(sides, "javascript"), partial(_in_javascript, examples=examples), _REMEDY)


def _claimed(test: Test) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    for case in test.inside.cases or ():
        row = frozenset(_literals(f"({case},)"))
        yield row, row
    for claim in test.claims:
        yield frozenset(_literals(claim.text)), frozenset([_form(claim.expected), *_literals(claim.expected)])
    if test.inside.cases is None and test.text.count("\n") <= _SHORT_TEST:
        # The answer was perhaps put into a variable first.
        yield frozenset(_literals(test.text)), frozenset(_answers(test))


def _alike(one: str, other: str) -> bool:
    # Other names for the same, as tables of synonyms have them.
    return one[:_LONG] == other[:_LONG] or (min(len(one), len(other)) > _LONG and (one in other or other in one))


def _trivial(said: str) -> bool:
    return said in _TRIVIAL or _SEPARATOR.fullmatch(said) is not None


def _parts(said: str) -> list[str]:
    """The elements of a tuple or list of literals, else what was given."""
    try:
        node = ast.parse(said, mode="eval").body
    except (SyntaxError, ValueError):
        return [said]
    return [ast.unparse(e) for e in node.elts] if isinstance(node, (ast.Tuple, ast.List)) else [said]


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


def _in_python(content: bytes, path: str, lines: frozenset[int] | None, *, examples: Examples) -> list[Trace]:
    found: list[Trace] = []
    for branch in branches(content, lines):
        if branch.table:
            found += _table(branch, examples)
        else:
            found += _judged([*branch.compared], branch.answer, branch.shown, branch.line, examples)
    return found


@dataclass(frozen=True)
class Branch:
    """A place that compares with literals and answers with a literal; or a table of literals, by its pairs."""

    line: int
    shown: str
    compared: tuple[str, ...] = ()
    answer: str = ""
    table: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=4096)
def branches(content: bytes, lines: frozenset[int] | None) -> tuple[Branch, ...]:
    """The branches and tables of a file of Python on some lines, or on all; whatever the tests are."""
    walk = walked(content)
    found = (
        _branch(node)
        for node in (walk.branches if walk is not None else ())
        if touched(lines, getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0)
    )
    return tuple(branch for branch in found if branch is not None)


def _branch(node: ast.AST) -> Branch | None:
    if isinstance(node, ast.Dict):
        if not node.keys or not constant(node):
            return None
        rows = zip(node.keys, node.values, strict=True)
        pairs = tuple((ast.unparse(k), ast.unparse(v)) for k, v in rows if k is not None)
        return Branch(node.lineno, ast.unparse(node), table=pairs) if pairs else None
    if isinstance(node, ast.If):
        compared, answer = _compared(node.test), _answer(node.body)
        if compared and answer is not None:
            shown = f"if {ast.unparse(node.test)}: … {ast.unparse(answer)}"
            return Branch(node.lineno, shown, tuple(compared), ast.unparse(answer))
    elif isinstance(node, ast.IfExp):
        compared, answers = _compared(node.test), [a for a in (node.body, node.orelse) if constant(a)]
        if compared and answers:
            return Branch(node.lineno, ast.unparse(node), tuple(compared), ast.unparse(answers[0]))
    elif isinstance(node, ast.Match):
        for case in node.cases:
            answer = _answer(case.body)
            values = [ast.unparse(n.value) for n in ast.walk(case.pattern) if isinstance(n, ast.MatchValue)]
            if values and answer is not None:
                shown = f"case {ast.unparse(case.pattern)}: {ast.unparse(answer)}"
                return Branch(node.lineno, shown, tuple(values), ast.unparse(answer))
    return None


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


def _table(found: Branch, examples: Examples) -> Iterator[Trace]:
    """`{7: 49}.get(n)`, `{7: 49}[n]`, or the same table under a name."""
    pairs, at = found.table, found.line
    told = [seen for key, value in pairs for seen in _judged([key], value, f"{key}: {value}", at, examples)]
    if told and len(told) == len(pairs):
        yield Trace(told[0].rule, found.shown, at, told[0].message, all(t.grave for t in told))


def _judged(compared: list[str], answer: str, shown: str, at: int, examples: Examples) -> Iterator[Trace]:
    telling = [c for c in compared if not all(_trivial(part) for part in _parts(c))]
    if not telling and sum(c.lstrip("-").isdigit() for c in compared) < _TELLING:  # one zero tells nothing
        return
    number = any(c.lstrip("-")[:1].isdigit() or c[:1] in "([" for c in telling) or not telling
    same_words = not number and _alike(answer.strip("'\"").casefold(), compared[0].strip("'\"").casefold())
    message = f"it answers an input of the tests ({', '.join(compared[:3])}) with a fixed {answer[:40]}"
    if examples.inputs.issuperset(compared):
        tells = answer in examples.expected or _form(answer) in examples.expected
        grave = tells and (number or answer not in _TRIVIAL) and not same_words
        yield Trace("cheating.special_case", shown, at, message, grave)
    elif not same_words and examples.answers(compared, answer):
        # Names for numbers, and one known value to begin with, are in honest code as well.
        parts = [part for one in telling for part in _parts(one) if not _trivial(part)]
        grave = number and answer.lstrip("-")[:1].isdigit() and (answer not in _TRIVIAL or len(parts) >= _TELLING)
        yield Trace("cheating.special_case", shown, at, message, grave)


def _in_javascript(content: bytes, path: str, lines: frozenset[int] | None, *, examples: Examples) -> list[Trace]:
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
        found += _judged(compared, _form(text(answer)), shown, line(node), examples)
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
