"""Product code that answers the very inputs of the tests, one by one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from itertools import groupby
from pathlib import PurePosixPath

from tree_sitter import Node

from runner.policy.integrity.answering import Answer, python_answers
from runner.policy.integrity.examples import Examples
from runner.policy.integrity.product import Trace, javascript_tree, product_files, traced
from runner.policy.integrity.python import parsed
from runner.policy.integrity.sides import Seen, Sides, touched
from runner.policy.integrity.syntax import line, text, walk
from runner.policy.integrity.values import NoValueError, Value, also, javascript_pair, of_javascript

_REMEDY = "find the rule behind the examples, and write that"
_TRIVIAL = frozenset({0, 1, -1, "", None})
"""0 and 1 are False and True, too."""
_TELLING = 2
# What separates: a slash, a comma. Who reads text compares with these.
_SEPARATOR = re.compile(r"[^\w\s]| ")
_MOST_OF_A_TABLE = 0.6
_LONG = 3
_WORD = re.compile(r"[\w.+/:@%*-]{0,24}")
"""What code compares with for its own sake: a name, an operator, a kind of something."""


def special_cases(sides: Sides) -> Iterator[Seen]:
    """Branches and tables that know a literal of the tests, and answer it with a literal."""
    examples = Examples(sides)
    yield from traced(product_files(sides, "python"), partial(_in_python, examples=examples), _REMEDY)
    yield from traced(product_files(sides, "javascript"), partial(_in_javascript, examples=examples), _REMEDY)


def _in_python(content: bytes, path: str, lines: frozenset[int] | None, *, examples: Examples) -> list[Trace]:
    return _judged(answers(content, lines), examples)


@lru_cache(maxsize=4096)
def answers(content: bytes, lines: frozenset[int] | None) -> tuple[Answer, ...]:
    """The answers of a file of Python on some lines, or on all; whatever the tests are."""
    tree = parsed(content)[0]
    return tuple(python_answers(tree, lines)) if tree is not None else ()


def _judged(answers: Iterable[Answer], examples: Examples) -> list[Trace]:
    found: list[Trace] = []
    ordered = sorted(answers, key=lambda a: (a.table, a.line))
    for table, group in groupby(ordered, key=lambda a: a.table):
        given = list(group)
        told = [trace for one in given for trace in _one(one, examples)]
        if not table:
            found += told
        elif told and len(told) >= _MOST_OF_A_TABLE * sum(_tells(a) for a in given):
            # A table of which most is of other things is one that the code needs.
            most = 2 * sum(t.grave for t in told) >= len(told)
            whole = most and (len(told) >= sum(map(_tells, given)) or len(told) >= _TELLING)
            first = given[0]
            found.append(Trace(told[0].rule, first.shown, first.line, told[0].message, whole))
    return found


def _one(one: Answer, examples: Examples) -> Iterator[Trace]:
    if not _tells(one):
        return
    parts = [p for value in one.compared for p in (value.parts if value.kind == "many" else (value,))]
    telling = [p for p in parts if not _trivial(p)]
    # Words are names of things as often as they are inputs.
    firm = (
        not telling
        or len(one.compared) >= _TELLING <= len(telling)
        or any(value.kind == "many" for value in one.compared)
        or any(p.kind != "text" or not _WORD.fullmatch(str(p.plain)) for p in telling)
    )
    same_words = not firm and _alike(one.answer, one.compared[0])
    shown = ", ".join(str(v)[:40] for v in one.compared[:3])
    message = f"it answers an input of the tests ({shown}) with a fixed {str(one.answer)[:40]}"
    trace = partial(Trace, "cheating.special_case", one.shown, one.line, message)
    if examples.beside(one.compared, one.answer):
        tells = one.answer in examples.expected
        yield trace(tells and (firm or not _trivial(one.answer)) and not same_words)
    elif not same_words and examples.answers(one.compared, one.answer):
        # Names for numbers, and one known value to begin with, are in honest code as well.
        named = one.answer.kind == "text" and len(parts) < _TELLING and parts[0].kind == "number"
        begins = _trivial(one.answer) and len(telling) < _TELLING and all(p.kind == "number" for p in parts)
        yield trace(firm and not named and not begins)


def _tells(one: Answer) -> bool:
    """Whether to compare with this can say anything: one zero cannot, two numbers can."""
    parts = [p for value in one.compared for p in (value.parts if value.kind == "many" else (value,))]
    return any(not _trivial(p) for p in parts) or sum(p.kind == "number" for p in parts) >= _TELLING


def _trivial(value: Value) -> bool:
    if value.kind == "many":
        return not value.parts
    separates = value.kind == "text" and _SEPARATOR.fullmatch(str(value.plain)) is not None
    return separates or value.plain in _TRIVIAL


def _alike(one: Value, other: Value) -> bool:
    """Other names for the same, as tables of synonyms have them."""
    if one.kind != "text" or other.kind != "text":
        return False
    a, b = str(one.plain).casefold(), str(other.plain).casefold()
    return a[:_LONG] == b[:_LONG] or (min(len(a), len(b)) > _LONG and (a in b or b in a))


def _in_javascript(content: bytes, path: str, lines: frozenset[int] | None, *, examples: Examples) -> list[Trace]:
    root, _ = javascript_tree(content, PurePosixPath(path).suffix)
    here = (node for node in walk(root) if touched(lines, line(node), node.end_point[0] + 1))
    return _judged((answer for node in here for answer in _javascript_answers(node)), examples)


def _javascript_answers(node: Node) -> Iterator[Answer]:
    match node.type:
        case "if_statement" | "ternary_expression":
            condition = node.child_by_field_name("condition")
            yes, no = node.child_by_field_name("consequence"), node.child_by_field_name("alternative")
            if no is None and node.next_named_sibling is not None:
                no = node.next_named_sibling
            for compared, side in zip(_equalities(condition), (yes, no), strict=True):
                answer = side if node.type == "ternary_expression" else _returned(side)
                yield from _told(compared, answer, text(condition), line(node))
        case "switch_case":
            with suppress(NoValueError):
                value = of_javascript(node.child_by_field_name("value"))
                yield from _told((value,), _returned(node), f"case {value}", line(node))
        case "binary_expression" if text(node.child_by_field_name("operator")) == "&&":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            yield from _told(_equalities(left)[0], right, text(node), line(node))
        case "object":
            for pair in node.named_children:
                with suppress(NoValueError):
                    key, value = javascript_pair(pair)
                    yield Answer((also(key)[-1],), value, text(node), line(node), table=line(node))
        case "array":
            rows = [c for c in node.named_children if c.type == "array" and len(c.named_children) >= _TELLING]
            for row in rows if len(rows) == len(node.named_children) else ():
                with suppress(NoValueError):
                    *keys, value = map(of_javascript, row.named_children)
                    yield Answer(tuple(also(k)[-1] for k in keys), value, text(node), line(node), table=line(node))
        case _:
            pass


def _told(compared: tuple[Value, ...], answer: Node | None, shown: str, at: int) -> Iterator[Answer]:
    if compared and answer is not None:
        with suppress(NoValueError):
            yield Answer(compared, of_javascript(answer), f"{shown} → {text(answer)}", at)


def _returned(node: Node | None) -> Node | None:
    if node is not None and node.type == "else_clause":
        node = node.named_children[0] if node.named_children else None
    for inner in (node, *node.named_children) if node is not None else ():
        if inner.type == "return_statement" and inner.named_children:
            return inner.named_children[0]
    return None


def _equalities(condition: Node | None) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """The literals that a condition wants to be equal, and those that it wants to be unequal."""
    asked: list[Value] = []
    denied: list[Value] = []
    for node in walk(condition) if condition is not None else ():
        if node.type == "binary_expression":
            operator = text(node.child_by_field_name("operator"))
            into = asked if operator in ("==", "===") else denied if operator in ("!=", "!==") else None
            for side in (node.child_by_field_name("left"), node.child_by_field_name("right")):
                with suppress(NoValueError):
                    if into is not None:
                        into.append(also(of_javascript(side))[-1])
    return tuple(asked), tuple(denied)
