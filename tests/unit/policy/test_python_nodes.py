"""Our walks of a syntax tree leave nothing out that a rule could ask for, and keep `ast.walk`'s order."""

from __future__ import annotations

import ast
import gc
from pathlib import Path

import pytest

import runner
from runner.model import Finding, Goal, Patch
from runner.policy.case import Case, Family, Rule
from runner.policy.evaluate import evaluate
from runner.policy.python_nodes import children, nodes, outline, statements, tree_of
from runner.policy.schema import Policy, load_policy

SOURCES = sorted(Path(runner.__file__).parent.rglob("*.py"))[::12]
BARE = (ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop)
ODD = """
@decorated(lambda: 1)
class A(B, metaclass=C):
    x: int = 1
    async def m(self, a, /, *b, c=1, **d) -> 'A':
        async with a as b, c: pass
        async for i in x: yield i
        else: import q
        try: from . import y
        except* E as e: del e
        else: pass
        finally: return {**a, 'b': [*c]}
match x:
    case {'a': [1, *_], **rest} if (y := 3): def_ = 1
    case A(b=1) | None:
        def inner(): global z; z += 1
while not a < b <= -c or f'{d!r:{e}}': x[1:2, ...] = (i for i in j if k)
"""


@pytest.mark.parametrize("source", [ODD, *(path.read_text(encoding="utf-8") for path in SOURCES)])
def test_walks_are_those_of_ast(source: str) -> None:
    tree = ast.parse(source.replace("except*", "except"))
    whole = list(ast.walk(tree))
    assert list(nodes(tree)) == [node for node in whole if not isinstance(node, BARE)]
    assert list(statements(tree)) == [node for node in whole if isinstance(node, ast.stmt)]
    for node in whole:
        assert children(node) == [child for child in ast.iter_child_nodes(node) if not isinstance(child, BARE)]


def test_groups_of_exceptions_are_walked_too() -> None:
    tree = ast.parse("try: pass\nexcept* E: import hidden\n")
    assert [type(s) for s in statements(tree)] == [ast.Try if not hasattr(ast, "TryStar") else ast.TryStar, ast.Pass,
                                                   ast.Import]  # fmt: skip


def test_an_outline_has_every_definition_however_deep() -> None:
    found = outline(b"class A:\n  def f(self):\n    if x:\n      async def g():\n        pass\n")
    assert found.failure is None
    assert found.definitions == (("A", 1, 5), ("f", 2, 5), ("g", 4, 5))


@pytest.mark.parametrize(
    ("source", "kind"),
    [(b"def", SyntaxError), (b"a\0b", (SyntaxError, ValueError)), (b"# coding: nope\n", SyntaxError)],
)
def test_what_is_no_python_keeps_its_reason(source: bytes, kind: type[Exception]) -> None:
    assert isinstance(outline(source).failure, kind)
    assert tree_of(source) is outline(source).failure or isinstance(tree_of(source), kind)


def test_the_collector_is_on_again_after_the_rules() -> None:
    seen: list[bool] = []

    def breaks(policy: Policy, case: Case) -> list[Finding]:
        seen.append(gc.isenabled())
        raise ValueError("broken")

    case = Case(patch=Patch(base_tree="0" * 40, head_tree="1" * 40), goal=Goal.FIX)
    evaluate(load_policy("default"), case, (Family("one", (Rule("one", breaks),), lambda policy, case: ""),))
    assert seen == [False]
    assert gc.isenabled()
