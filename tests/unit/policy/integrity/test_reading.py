"""Sources are read once for all rules; reading ahead changes nothing that is said, and makes no failure a pass."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import runner
from runner.model import Goal, Verdict
from runner.policy import evaluate as evaluation
from runner.policy import python_nodes, reading
from runner.policy.case import Case
from runner.policy.evaluate import FAMILIES, evaluate
from runner.policy.integrity.python_walk import walked
from runner.policy.schema import load_policy

MakeCase = Callable[..., Case]
TEST = "from shop import total\n\n\ndef test_total():\n    assert total([7, 2]) == 9\n"
BAD_TEST = f"{TEST}\n\ndef test_end():\n    import os\n    os._exit(0)\n"
PLAIN = "def total_{0}(numbers):\n    return sum(numbers) - {0}\n"
HOSTILE = """import os
import sys


def total_{0}(numbers):
    if numbers == [7, 2]:
        return 9
    if "PYTEST_CURRENT_TEST" in os.environ:
        sys.exit(0)
    try:
        return {{1: 5, 2: 8}}[os.system(numbers)]
    except Exception:
        pass
"""


def many(text: str, *, tests: str = TEST, number: int = 20) -> dict[str, str]:
    return {f"shop/part_{n}.py": text.format(n) for n in range(number)} | {"tests/test_shop.py": tests}


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> Counter[bytes]:
    seen: Counter[bytes] = Counter()
    real = ast.parse

    def counting(source: bytes | str, *args: str, **more: str) -> ast.AST:
        if isinstance(source, bytes):
            seen[source] += 1
        return real(source, *args, **more)

    monkeypatch.setattr(python_nodes.ast, "parse", counting)
    return seen


def test_a_source_is_parsed_once_for_all_rules(make_case: MakeCase, parses: Counter[bytes]) -> None:
    case = make_case(many(PLAIN), many(PLAIN.replace("-", "+"), tests=TEST.replace("7", "8")))
    evaluate(load_policy("default"), case)
    both = [content for content in case.blobs.contents.values() if content.startswith(b"def")]
    assert len(both) == 40
    assert {parses[content] for content in both} == {1}


def test_what_is_read_ahead_changes_no_finding(make_case: MakeCase, monkeypatch: pytest.MonkeyPatch) -> None:
    case = make_case(many(PLAIN), many(HOSTILE, tests=BAD_TEST))
    policy = load_policy("default")
    found = evaluate(policy, case)
    assert {"cheating.special_case", "cheating.detects_tests", "cheating.exits", "code.shell"} <= {
        f.rule for f in found
    }
    monkeypatch.setattr(evaluation, "read_ahead", lambda case: None)
    assert evaluate(policy, case) == found


def test_nothing_is_kept_for_the_next_patch(make_case: MakeCase, parses: Counter[bytes]) -> None:
    case = make_case(many(PLAIN, number=1), many(HOSTILE, number=1))
    evaluate(load_policy("default"), case)
    before = Counter(parses)
    evaluate(load_policy("default"), case)
    assert parses == before + before


def test_a_question_that_breaks_is_an_error_of_its_rule(make_case: MakeCase, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("runner.policy.integrity.cheating._exits", breaks)
    case = make_case(many(PLAIN, number=1), {**many(PLAIN, number=1), "shop/part_0.py": "print(1)\n"})
    reading.read_ahead(case)
    found = {f.rule: f.verdict for f in evaluate(load_policy("default"), case)}
    assert found["cheating"] is Verdict.ERROR
    assert {family.name for family in FAMILIES} - found.keys() == {"integrity"}


def test_a_file_that_is_no_python_stops_no_other(make_case: MakeCase, parses: Counter[bytes]) -> None:
    head = {**many(PLAIN.replace("-", "+"), number=3), "shop/part_0.py": "def broken(\n"}
    case = make_case(many(PLAIN, number=3), head, Goal.IMPROVE)
    found = {f.rule for f in evaluate(load_policy("default"), case)}
    assert {"code.unreadable", "cheating.unreadable"} <= found
    assert parses[head["shop/part_2.py"].encode()] == 1


@pytest.mark.parametrize("path", sorted(Path(runner.__file__).parent.rglob("*.py"))[::30], ids=lambda path: path.name)
def test_one_walk_finds_whatever_anybody_asks_about(path: Path) -> None:
    source = path.read_bytes()
    walk = walked(source)
    assert walk is not None
    whole = list(ast.walk(walk.tree))
    acts = {id(node): inside for node, inside in walk.acts}
    asked = (
        ast.Compare, ast.Call, ast.Subscript, ast.Import, ast.ImportFrom, ast.Raise, ast.Assign, ast.AugAssign,
        ast.AnnAssign, ast.Delete, ast.ClassDef, ast.Dict, ast.ExceptHandler, ast.Try, ast.If, ast.IfExp,
        ast.FunctionDef, ast.AsyncFunctionDef,
    )  # fmt: skip
    texts = [n for n in whole if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    assert acts.keys() == {id(n) for n in [*texts, *(n for n in whole if isinstance(n, asked))]}
    functions = [n for n in whole if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for function in functions:  # the outer ones first, so that the innermost has the last word
        for node in ast.walk(function):
            if node is not function and id(node) in acts:
                acts[id(node)] = function
    assert [inside for _, inside in walk.acts] == [acts[id(node)] for node, _ in walk.acts]
