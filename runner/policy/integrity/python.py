"""Python test modules, read by their syntax."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import PurePosixPath

from runner.policy.integrity.conditions import looks_around, usually
from runner.policy.integrity.model import Definition, Inside, Mark, Skip, Test, TestFile
from runner.policy.integrity.python_claims import dotted, last, truth
from runner.policy.integrity.python_flow import Flow, Known
from runner.policy.integrity.python_own import FUNCTIONS, of_function
from runner.policy.integrity.python_stand_ins import planted, replaced
from runner.policy.integrity.python_swallow import aliases_of, swallowers_of
from runner.policy.python_nodes import outline, tree_of

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_HOOK = "pytest_"
_MARKS = ("skip", "skipif", "skipIf", "skipUnless", "xfail", "expectedFailure")
_AWAITED = ("asyncio", "anyio", "trio", "gen_test", "inlineCallbacks", "coroutine_test")
_LONGEST_CASE = 400
# How a module can take its own names away, other than by naming them.
_OWN_NAMES = re.compile(r"\bglobals\(\)|\bsys\.modules\[__name__\]|\b(?:vars|locals)\(\)")


def parsed(source: bytes) -> tuple[ast.Module | None, str]:
    """A module's tree, or why there is none. The tree is shared: nobody may change it."""
    tree = tree_of(source)
    return (None, _why(tree)) if isinstance(tree, Exception) else (tree, "")


def unparsed(source: bytes) -> str:
    """Why a module has no tree, or ""."""
    failure = outline(source).failure
    return "" if failure is None else _why(failure)


def _why(failure: Exception) -> str:
    if isinstance(failure, SyntaxError):
        return f"line {failure.lineno}: {failure.msg}"
    return f"{type(failure).__name__}: {failure}"


def read_python(source: bytes, path: str) -> TestFile:
    """The tests of a module. Never raises: what cannot be read is a `problem`."""
    tree, problem = parsed(source)
    if tree is None:
        return TestFile(problem=problem)
    try:
        return _Reader(tree, source, path).file()
    except RecursionError:
        return TestFile(problem="it is nested too deeply")


@dataclass(frozen=True)
class _Scope:
    """Where a function stands: what it inherits from its class and module."""

    prefix: str = ""
    skips: tuple[Skip, ...] = ()
    off: str = ""
    unittest: bool = False
    asynchronous: bool = False


class _Reader:
    def __init__(self, tree: ast.Module, source: bytes, path: str) -> None:
        self._tree = tree
        self._lines = source.decode("utf-8", "replace").split("\n")
        name = PurePosixPath(path).name
        self._collected_file = name.startswith("test") or name.removesuffix(".py").endswith(("_test", "tests"))
        self._names = dict(_assigned(tree.body))
        self._decorators = {n.name: n for n in tree.body if isinstance(n, ast.FunctionDef)}
        self._tests: dict[str, Test] = {}
        self._functions: dict[str, Definition] = {}
        self._fixtures: dict[str, Definition] = {}
        self._always_on: set[str] = set()
        self._switches: list[Mark] = []
        self._helpers = frozenset(_claiming(tree))
        self._known = Known(self._helpers, self._names, aliases_of(tree, source), swallowers_of(tree, source))

    def file(self) -> TestFile:
        whole = Flow(Known(names=self._names))
        whole.module([s for s in self._tree.body if not isinstance(s, (*FUNCTIONS, ast.ClassDef))])
        skips = (*whole.skips, *self._module_marks(self._tree.body))
        off = "the module's `__test__` is false" if _says_no(self._tree.body) else ""
        marks = set(_words(self._names.get("pytestmark")))
        scope = _Scope("", skips, off, asynchronous=bool(marks & set(_AWAITED)))
        self._scope(self._tree.body, scope)
        self._module_switches()
        return TestFile(
            tests=self._tests,
            functions=self._functions,
            fixtures=self._fixtures,
            always_on=frozenset(self._always_on),
            switches=tuple(self._switches),
            plants=tuple(planted(self._tree)),
            imports=frozenset(_imported(self._tree)),
            defines=dict(_defined(self._tree.body)),
        )

    def _scope(self, body: Sequence[ast.stmt], scope: _Scope) -> None:
        for node in body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    self._function(node, scope)
                case ast.ClassDef():
                    self._class(node, scope)
                case ast.If(test=test, body=inner, orelse=other):
                    for part, dead in ((inner, truth(test) is False), (other, truth(test) is True)):
                        off = f"the condition of line {node.lineno} never lets it be defined" if dead else ""
                        answer = usually(test, self._names)
                        left_out = answer is False if part is inner else answer is True
                        hidden = not off and (left_out or looks_around(test, self._names))
                        skip = (Skip(f"if {ast.unparse(test)}", node.lineno, always=True),) if hidden else ()
                        self._scope(part, _within(scope, skips=skip, off=off))
                case ast.Try(body=inner, handlers=handlers, orelse=other, finalbody=final):
                    self._scope([*inner, *(s for h in handlers for s in h.body), *other, *final], scope)
                case ast.With(body=inner):
                    self._scope(inner, scope)
                case ast.Assign(targets=targets, value=value):
                    self._reassigned(targets, value, scope)
                case ast.Delete(targets=targets):
                    self._reassigned(targets, None, scope)
                case _:
                    pass

    def _class(self, node: ast.ClassDef, scope: _Scope) -> None:
        bases = [last(b) for b in node.bases]
        derived = any(b not in ("object", "") for b in bases)
        unittest = any("TestCase" in b for b in bases)
        names = dict(_assigned(node.body))
        skips = (*self._module_marks(node.body), *self._marks(node.decorator_list))
        off = ""
        if _says_no(node.body):
            off = f"`__test__` of {node.name} is false"
        elif not derived and not node.name.startswith("Test") and not _says_yes(node.body):
            off = f"the class {node.name} is neither called Test… nor derived from a test case"
        elif not unittest and not derived and any(isinstance(n, FUNCTIONS) and n.name == "__init__" for n in node.body):
            off = f"the class {node.name} has an `__init__`, so pytest leaves it out"
        marks = {w for d in node.decorator_list for w in _words(d)} | set(_words(names.get("pytestmark")))
        inner = _within(scope, skips=skips, off=off)
        asynchronous = scope.asynchronous or "Async" in "".join(bases) or bool(marks & set(_AWAITED)) or derived
        self._scope(node.body, _Scope(f"{scope.prefix}{node.name}::", inner.skips, inner.off, unittest, asynchronous))
        self._functions[f"{scope.prefix}{node.name}"] = Definition(node.lineno, "")

    def _function(self, node: _Function, scope: _Scope) -> None:
        name = scope.prefix + node.name
        decorators = {w for d in node.decorator_list for w in _words(d)}
        if "fixture" in decorators:
            self._fixtures[name] = Definition(node.lineno, self._source(node))
            if any("autouse=True" in ast.unparse(d) for d in node.decorator_list):
                self._always_on.add(name)
            return
        if not scope.prefix and (node.name.startswith(_HOOK) or node.name == "load_tests"):
            self._switches.append(Mark(f"def {node.name}", node.lineno))
        is_test = node.name.startswith("test") and "staticmethod" not in decorators
        if not is_test:
            self._functions[name] = Definition(node.lineno, self._source(node))
            self._tests.pop(name, None)
            if node.name not in self._helpers:
                return
        self._tests[name] = Test(
            name=name,
            line=node.lineno,
            text=self._source(node),
            read=partial(self._inside, node),
            around=scope.skips,
            off=self._off(node, scope, decorators) if is_test else "",
            helper=not is_test,
        )

    def _source(self, node: _Function) -> str:
        """A function as it is written, with what the names in its decorators stand for."""
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        lines = self._lines[first - 1 : node.end_lineno]
        names = {n.id for d in node.decorator_list for n in ast.walk(d) if isinstance(n, ast.Name)}
        around = [f"{n} = {ast.unparse(self._names[n])}" for n in sorted(names) if n in self._names]
        return "\n".join([textwrap.dedent("\n".join(lines)), *around])

    def _inside(self, node: _Function) -> Inside:
        flow = Flow(self._known)
        flow.function(node)
        cases, case_skips = self._cases(node.decorator_list)
        return Inside(
            claims=tuple(flow.claims),
            skips=(*self._marks(node.decorator_list), *case_skips, *flow.skips),
            cases=cases,
            replaces=tuple(replaced(node)),
            calls=frozenset(last(n) for n in ast.walk(node) if isinstance(n, ast.Call)),
        )

    def _off(self, node: _Function, scope: _Scope, decorators: set[str]) -> str:
        if scope.off:
            return scope.off
        if not self._collected_file:
            return "the file's name is none that pytest collects"
        if _yields(node) and not decorators & {"inlineCallbacks", "gen_test", "contextmanager"}:
            return "it is a generator, which pytest does not run"
        bare = isinstance(node, ast.AsyncFunctionDef) and not scope.asynchronous
        if bare and not decorators:
            return "it is async, and nothing says who awaits it"
        if decorators & {"fixture", "property"}:
            return "it is a fixture"
        for decorator in node.decorator_list:
            made = self._decorators.get(decorator.id) if isinstance(decorator, ast.Name) else None
            if made is not None and not _calls_what_it_gets(made):
                return f"its decorator {made.name} never calls it"
        return ""

    def _reassigned(self, targets: Sequence[ast.expr], value: ast.expr | None, scope: _Scope) -> None:
        for target in targets:
            name, test = (last(target), None) if isinstance(target, ast.Name) else ("", None)
            if isinstance(target, ast.Attribute) and target.attr == "__test__" and value is not None:
                name = dotted(target.value)
                if truth(value) is not False:
                    continue
            test = self._tests.get(scope.prefix + name.replace(".", "::"))
            if test is not None and not test.off and not test.helper:
                why = f"line {target.lineno} puts something else in its place"
                self._tests[test.name] = replace(test, off=why)

    def _module_marks(self, body: Sequence[ast.stmt]) -> tuple[Skip, ...]:
        value = dict(_assigned(body)).get("pytestmark")
        if value is None:
            return ()
        return self._marks(value.elts if isinstance(value, (ast.List, ast.Tuple)) else [value])

    def _marks(self, decorators: Sequence[ast.expr]) -> tuple[Skip, ...]:
        found: list[Skip] = []
        for written in decorators:
            node: ast.expr = written
            for _ in range(5):
                if isinstance(node, ast.Name) and node.id in self._names:
                    node = self._names[node.id]
            word = last(node)
            if word in _MARKS:
                found.append(Skip(f"@{ast.unparse(written)}", written.lineno, self._always(node, word)))
            elif "skip" in word.lower() or word.lower().startswith(("xfail", "flaky", "retry", "rerun")):
                found.append(Skip(f"@{ast.unparse(written)}", written.lineno, always=False))
        return tuple(found)

    def _always(self, node: ast.expr, word: str) -> bool:
        if not isinstance(node, ast.Call):
            return True
        condition = next((k.value for k in node.keywords if k.arg == "condition"), node.args[0] if node.args else None)
        if word in ("skip", "expectedFailure") or condition is None:
            return True
        if looks_around(condition, self._names):
            return True
        answer = usually(condition, self._names)
        return answer is (word != "skipUnless")

    def _cases(self, decorators: Sequence[ast.expr]) -> tuple[tuple[str, ...] | None, list[Skip]]:
        rows: list[str] = []
        skips: list[Skip] = []
        known = False
        for node in decorators:
            if not isinstance(node, ast.Call) or last(node) not in (
                "parametrize",
                "expand",
                "data",
                "parameters",
                "idata",
            ):
                continue
            index = 1 if last(node) == "parametrize" else 0
            values = next((k.value for k in node.keywords if k.arg == "argvalues"), None)
            if values is None and last(node) == "data":
                values = ast.Tuple(list(node.args), ast.Load())
            values = values if values is not None else (node.args[index] if len(node.args) > index else None)
            if isinstance(values, ast.Name) and values.id in self._names:
                values = self._names[values.id]
            if isinstance(values, (ast.List, ast.Tuple, ast.Set)):
                known = True
                for row in values.elts:
                    text, marked = self._case(row)
                    rows.append(text)
                    skips += marked
        return (tuple(rows) if known else None), skips

    def _case(self, row: ast.expr) -> tuple[str, tuple[Skip, ...]]:
        if not isinstance(row, ast.Call) or last(row) != "param":
            inner = row.elts if isinstance(row, (ast.Tuple, ast.List)) else [row]
            return ", ".join(map(ast.unparse, inner))[:_LONGEST_CASE], ()
        marks = next((k.value for k in row.keywords if k.arg == "marks"), None)
        found = marks.elts if isinstance(marks, (ast.List, ast.Tuple)) else [marks] if marks is not None else []
        return ", ".join(map(ast.unparse, row.args))[:_LONGEST_CASE], self._marks(found)

    def _module_switches(self) -> None:
        for statement in self._tree.body:
            if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
                continue
            said = ast.unparse(statement)
            if _OWN_NAMES.search(said) and "test" in said.lower():
                self._switches.append(Mark(f"globals(): {said}", statement.lineno))
        for name in ("collect_ignore", "collect_ignore_glob", "pytest_plugins"):
            node = self._names.get(name)
            if node is not None and truth(node) is not False:
                self._switches.append(Mark(f"{name} = {ast.unparse(node)}", node.lineno))


def _within(scope: _Scope, *, skips: tuple[Skip, ...] = (), off: str = "") -> _Scope:
    return _Scope(scope.prefix, (*scope.skips, *skips), scope.off or off, scope.unittest, scope.asynchronous)


def _assigned(body: Sequence[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _says_no(body: Sequence[ast.stmt]) -> bool:
    value = dict(_assigned(body)).get("__test__")
    return value is not None and truth(value) is False


def _says_yes(body: Sequence[ast.stmt]) -> bool:
    value = dict(_assigned(body)).get("__test__")
    return value is not None and truth(value) is True


def _words(node: ast.AST | None) -> Iterator[str]:
    for inner in ast.walk(node) if node is not None else ():
        if isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, ast.Name):
            yield inner.id


def _calls_what_it_gets(decorator: ast.FunctionDef) -> bool:
    """Whether a decorator calls the function that it is given, returns it, or hands it on."""
    given = {a.arg for a in (*decorator.args.posonlyargs, *decorator.args.args)}
    for node in ast.walk(decorator):
        if isinstance(node, ast.Call):
            handed = [node.func, *node.args, *(k.value for k in node.keywords)]
            known = last(node) in ("wraps", "update_wrapper")
            if not known and any(isinstance(n, ast.Name) and n.id in given for n in handed):
                return True
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Name) and node.value.id in given:
            return True
    return False


def always_skips(text: str) -> bool:
    """Whether the function with this text skips whatever it is part of."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError):
        return False
    flow = Flow(Known())
    for node in body:
        if isinstance(node, FUNCTIONS):
            flow.function(node)
    return any(skip.always for skip in flow.skips)


def _yields(node: _Function) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(n, (ast.Yield, ast.YieldFrom)) for n in of_function(node)
    )


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                yield (alias.asname or alias.name).partition(".")[0]


def _defined(body: Sequence[ast.stmt]) -> Iterator[tuple[str, int]]:
    for node in body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            yield node.name, node.lineno
    for name, value in _assigned(body):
        if last(value) != "importorskip":
            yield name, value.lineno


def _claiming(tree: ast.Module) -> Iterator[str]:
    """Names of the module's own functions that assert something: calling one is a claim."""
    for node in ast.walk(tree):
        if isinstance(node, FUNCTIONS) and not node.name.startswith("test"):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Assert) or (isinstance(inner, ast.Call) and last(inner).startswith("assert")):
                    yield node.name
                    break
