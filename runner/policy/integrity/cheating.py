"""Python product code that is made for the judge: it sees the test run, ends it, or patches what judges it."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, partial

from runner.policy.integrity.detecting import RUNNER_NAMES, RUNNER_VARIABLE, detects, trace
from runner.policy.integrity.meaning import BROAD_NAMES, Meaning
from runner.policy.integrity.product import Trace, is_script, product_files, test_files, traced, unreadable
from runner.policy.integrity.python_claims import BROAD, constant, dotted, last, truth
from runner.policy.integrity.python_own import FUNCTIONS
from runner.policy.integrity.python_walk import Function, walked
from runner.policy.integrity.sides import Seen, Sides, touched
from runner.policy.python_texts import folded

_RESULT_FILE = re.compile(
    r"junit[^/]*\.xml|(^|/)\.coverage(\.|$)|coverage\.(xml|json)|lcov\.info|test-?results?[^/]*\.(xml|json)|report\.xml"
)
_WRITES = frozenset(
    {"open", "write_text", "write_bytes", "write", "writelines", "Path", "remove", "unlink", "rename", "replace"}
)
_TRACERS = frozenset({
    "sys.settrace", "sys.setprofile", "threading.settrace", "threading.setprofile", "threading.settrace_all_threads",
    "sys.addaudithook", "sys.monitoring.register_callback", "sys.monitoring.use_tool_id",
})  # fmt: skip
_SYS_MINE = frozenset(
    {"exit", "modules", "settrace", "gettrace", "meta_path", "path_hooks", "excepthook", "unraisablehook", "flags"}
)
_WHEN = frozenset({"atexit.register", "signal.signal", "signal.alarm", "signal.setitimer"})
_ENDS = frozenset({"os._exit", "os.abort", "os.killpg", "signal.raise_signal", "faulthandler._sigsegv"})
_CONSTANT_METHODS = frozenset({"__eq__", "__ne__", "__hash__", "__bool__", "__contains__", "__instancecheck__",
                               "__subclasscheck__", "__lt__", "__le__", "__gt__", "__ge__"})  # fmt: skip
_VALUES = frozenset({"int", "str", "float", "list", "dict", "tuple", "bytes", "set", "bool", "complex"})
_TELLS = re.compile(r"^print$|\.(?:debug|info|warning|error|exception|critical|log|write|print_exc)$")
_REMEDY = "let the code do for everybody what it does for the tests; take this out"

Found = Iterator[Trace]


def product_cheats(sides: Sides) -> Iterator[Seen]:
    """What the patch adds to Python product code that only makes sense before a judge."""
    yield from unreadable(sides)
    find = partial(cheats, fixing=sides.fixes)
    yield from traced(product_files(sides, "python"), find, _REMEDY)


def runner_tricks(sides: Sides) -> Iterator[Seen]:
    """What the patch adds to test files that would end or patch the run."""
    yield from traced(test_files(sides, "python"), tricks, "leave the run of the tests to its runner")


@lru_cache(maxsize=4096)
def cheats(content: bytes, path: str, lines: frozenset[int] | None, *, fixing: bool) -> tuple[Trace, ...]:
    """What a file of Python does that only makes sense before a judge: see `product.Find`."""
    walk = walked(content)
    if walk is None:
        return ()
    meaning = Meaning(walk.tree)
    about_tests = any(RUNNER_NAMES.match(module) for module in meaning.imports.values()) and b"pytest" in content
    found: list[Trace] = []
    for node, inside in _on(lines, walk.acts):
        match node:
            case (
                ast.Constant()
                | ast.Compare()
                | ast.Subscript()
                | ast.Import()
                | ast.ImportFrom()
                | ast.If()
                | ast.IfExp()
            ):
                found += detects(node, inside, meaning)
            case ast.Call():
                found += detects(node, inside, meaning)
                found += _exits(node, inside, path, meaning)
                found += _patches(node, meaning)
                found += _results(node, meaning)
                found += _swallows(node, meaning, inside, fixing=fixing)
            case ast.Assign() | ast.AugAssign() | ast.AnnAssign() | ast.Delete():
                found += detects(node, inside, meaning) if b"f_back" in content else ()
                found += _patches(node, meaning)
            case ast.ExceptHandler() | ast.Try():
                found += _swallows(node, meaning, inside, fixing=fixing)
            case ast.Raise():
                found += _exits(node, inside, path, meaning)
            case ast.ClassDef() | ast.Dict():
                found += _equality(node)
            case _:
                found += _hooks(node, inside, about_tests=about_tests)
                found += _swallows(node, meaning, inside, fixing=fixing)
    return tuple(found)


@lru_cache(maxsize=4096)
def tricks(content: bytes, path: str, lines: frozenset[int] | None) -> tuple[Trace, ...]:
    """What a test file of Python does that would end or patch the run: see `product.Find`."""
    walk = walked(content)
    if walk is None:
        return ()
    meaning = Meaning(walk.tree)
    found: list[Trace] = []
    for node, inside in _on(lines, walk.acts):
        if isinstance(node, ast.Call) and meaning.resolved(node.func) in _ENDS and not _of_child(inside):
            found.append(Trace("cheating.exits", ast.unparse(node), node.lineno, "it ends the test run"))
        found += (t for t in _patches(node, meaning) if t.grave and "trace" not in t.text)
        found += (t for t in _equality(node) if t.grave)
        found += _results(node, meaning)
    return tuple(found)


def _of_child(inside: Function | None) -> bool:
    return inside is not None and re.search(r"fork|Process|Thread|subprocess", ast.unparse(inside)) is not None


def _on(
    lines: frozenset[int] | None, acts: Iterable[tuple[ast.AST, Function | None]]
) -> Iterator[tuple[ast.AST, Function | None]]:
    """Those that have some of these lines; all, where there are none."""
    for node, inside in acts:
        if touched(lines, getattr(node, "lineno", 0), getattr(node, "end_lineno", 0) or 0):
            yield node, inside


def _exits(node: ast.AST, inside: Function | None, path: str, meaning: Meaning) -> Found:
    exits = partial(trace, "cheating.exits")
    if isinstance(node, ast.Raise) and node.exc is not None:
        yield from _raised(node, inside, path, exits)
    if not isinstance(node, ast.Call):
        return
    name = meaning.resolved(node.func)
    handed = [meaning.resolved(a) for a in (*node.args, *(k.value for k in node.keywords))]
    if (
        name in _ENDS
        or (_ENDS & set(handed) and name != "atexit.register")
        or (name == "os.kill" and re.search(r"getp?pid", ast.unparse(node)))
    ):
        yield exits(node, "it ends the process without a word")
    elif name in ("sys.exit", "exit", "quit") and not is_script(path):
        if inside is None:
            yield exits(node, "importing the module ends the process", grave=False)
        elif inside.name not in ("main", "run", "cli", "_main"):
            success = not node.args or ast.unparse(node.args[0]) in ("0", "None", "False")
            yield exits(
                node, "it ends the process", grave=success and not inside.name.startswith(("exit", "cmd", "do_"))
            )
    elif name in _WHEN:
        ends = re.search(r"_exit|os\.kill|abort", ast.unparse(node)) is not None
        yield exits(node, "it acts when the process ends or is signalled", grave=ends)


def _is_end(node: ast.expr, meaning: Meaning) -> bool:
    return isinstance(node, (ast.Attribute, ast.Name)) and meaning.resolved(node) in _ENDS


def _raised(node: ast.Raise, inside: ast.AST | None, path: str, exits: Callable[..., Trace]) -> Found:
    raised = last(node.exc) if node.exc is not None else ""
    if raised in ("SkipTest", "Skipped", "XFailed"):
        yield exits(node, "it has the test that calls it skipped")
    elif raised == "KeyboardInterrupt" and not is_script(path):
        yield exits(node, "it stops the run like a person would", grave=False)
    elif raised == "SystemExit" and not is_script(path):
        given = node.exc.args if isinstance(node.exc, ast.Call) else []
        success = not given or ast.unparse(given[0]) in ("0", "None", "False")
        if inside is None:
            yield exits(node, "importing the module ends the process")
        elif isinstance(inside, FUNCTIONS) and inside.name not in ("main", "run", "cli", "_main"):
            yield exits(
                node, "it ends the process", grave=success and not inside.name.startswith(("exit", "cmd", "do_"))
            )


def _patches(node: ast.AST, meaning: Meaning) -> Found:  # noqa: C901 - one form a branch
    patch = partial(trace, "cheating.patches")
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, (ast.AugAssign, ast.AnnAssign)):
        targets = [node.target]
    elif isinstance(node, ast.Delete):
        targets = node.targets
    for target in targets:
        yield from _assigned(node, target, meaning, patch)
    if not isinstance(node, ast.Call):
        return
    name = meaning.resolved(node.func)
    if name in _TRACERS:
        yield patch(node, "it hooks into how Python runs", grave=name != "sys.addaudithook")
    elif name in ("setattr", "builtins.setattr") and _sets_equality(node):
        yield Trace("cheating.equality", ast.unparse(node), node.lineno, "it replaces what equal means")
    elif name in ("setattr", "delattr", "builtins.setattr") and node.args:
        owner = meaning.resolved(node.args[0])
        if owner.split(".")[0] in ("builtins", "__builtins__", "unittest", "pytest", "_pytest"):
            yield patch(node, f"it patches {owner}")
    elif name.startswith(("sys.meta_path.", "sys.path_hooks.")):
        yield patch(node, "it changes how modules are imported", grave=False)
    elif name in ("gc.get_objects", "gc.get_referrers"):
        yield patch(node, "it looks for other code's objects")
    elif re.match(r"(builtins|__builtins__)\.__dict__\.(update|setdefault|pop|__setitem__)$", name):
        yield patch(node, "it patches Python's built-in names")


def _sets_equality(node: ast.Call) -> bool:
    if len(node.args) < 3 or not isinstance(node.args[2], ast.Lambda):  # noqa: PLR2004 - owner, name, value
        return False
    return (folded(node.args[1]), truth(node.args[2].body)) in (("__eq__", True), ("__ne__", False))


def _assigned(node: ast.AST, target: ast.expr, meaning: Meaning, patch: Callable[..., Trace]) -> Found:
    if isinstance(target, ast.Subscript):
        yield from _assigned_item(node, target, meaning, patch)
    if not isinstance(target, ast.Attribute):
        return
    name = meaning.resolved(target)
    root = name.split(".")[0]
    if root in ("builtins", "__builtins__"):
        yield patch(node, "it patches Python's built-in names")
    elif root in ("unittest", "pytest", "_pytest", "nose", "doctest", "coverage"):
        yield patch(node, "it patches the test runner")
    elif target.attr in ("__eq__", "__ne__", "__hash__", "__bool__"):
        fixed = isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda) and constant(node.value.body)
        yield Trace("cheating.equality", ast.unparse(node), target.lineno, "it replaces what equal means", fixed)
    elif isinstance(target.value, ast.Name) and target.value.id in meaning.imports and root in sys.stdlib_module_names:
        mine = root != "sys" or target.attr in _SYS_MINE
        if mine:
            yield patch(node, f"it patches the standard library's {root}", grave=root == "sys")


def _assigned_item(node: ast.AST, target: ast.Subscript, meaning: Meaning, patch: Callable[..., Trace]) -> Found:
    owner = meaning.resolved(target.value)
    key = folded(target.slice)
    if owner == "sys.modules":
        grave = key is not None and RUNNER_NAMES.match(key) is not None
        yield patch(node, "it puts something in the place of a module", grave=grave)
    elif owner.startswith(("__builtins__", "builtins.__dict__")):
        yield patch(node, "it patches Python's built-in names")
    elif owner.endswith((".f_globals", ".f_locals", ".f_builtins")):
        yield patch(node, "it changes the names of the code that calls it")
    elif owner == "os.environ" and key is not None and RUNNER_VARIABLE.search(key):
        yield patch(node, "it gives the test runner other options")


def _results(node: ast.AST, meaning: Meaning) -> Found:
    if (
        isinstance(node, ast.Call)
        and last(node) in _WRITES
        and any(_RESULT_FILE.search(s) for s in meaning.strings(node))
    ):
        yield trace("cheating.results", node, "it touches a file in which results of tests are kept")


def _equality(node: ast.AST) -> Found:
    if isinstance(node, ast.Dict):
        yield from _made_class(node)
    if not isinstance(node, ast.ClassDef):
        return
    values = {last(b) for b in node.bases} & _VALUES
    for item in node.body:
        name, fixed = "", None
        if isinstance(item, FUNCTIONS) and item.name in _CONSTANT_METHODS:
            name, fixed = item.name, _always(item)
        elif (
            isinstance(item, ast.Assign)
            and isinstance(item.targets[0], ast.Name)
            and isinstance(item.value, ast.Lambda)
        ):
            name, fixed = item.targets[0].id, truth(item.value.body)
        if name not in _CONSTANT_METHODS:
            continue
        text = f"class {node.name}: {ast.unparse(item)}"
        if fixed is not None:
            grave = (name, fixed) in (("__eq__", True), ("__ne__", False))
            if grave or fixed or name == "__hash__":
                message = f"{name} of {node.name} answers the same whatever it is asked"
                yield Trace("cheating.equality", text, item.lineno, message, grave)
        elif name in ("__eq__", "__ne__") and values:
            message = f"{node.name} is a value with an equality of its own"
            yield Trace("cheating.equality", text, item.lineno, message, not _looks_at_itself(item))


def _looks_at_itself(item: ast.stmt) -> bool:
    """Whether an equality has to do with the object that it is asked of."""
    if not isinstance(item, FUNCTIONS) or not item.args.args:
        return True
    mine = item.args.args[0].arg
    names = {n.id for s in item.body for n in ast.walk(s) if isinstance(n, ast.Name)}
    return bool(names & {mine, "super"})


def _made_class(node: ast.Dict) -> Found:
    """`type("N", (int,), {"__eq__": lambda self, other: True})`"""
    for key, value in zip(node.keys, node.values, strict=True):
        name = folded(key) if key is not None else None
        if name in ("__eq__", "__ne__") and isinstance(value, ast.Lambda) and truth(value.body) is (name == "__eq__"):
            message = f"{name} answers the same whatever it is asked"
            yield Trace("cheating.equality", ast.unparse(node), node.lineno, message)


def _always(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool | None:
    returned = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
    plain = [v for v in returned if not (isinstance(v, ast.Name) and v.id == "NotImplemented")]
    answers = {truth(v) for v in plain}
    return answers.pop() if len(answers) == 1 else None


def _swallows(node: ast.AST, meaning: Meaning, inside: Function | None, *, fixing: bool) -> Found:
    swallow = partial(Trace, "cheating.swallowed")
    dying = inside is not None and inside.name in ("__del__", "__exit__", "close", "_repr_html_")
    if isinstance(node, ast.ExceptHandler) and _broad(node.type, meaning) and _silent(node):
        text = ast.unparse(node)
        yield swallow(text, node.lineno, "whatever goes wrong is swallowed", fixing and not dying)
    elif isinstance(node, ast.ExceptHandler) and fixing and _broad(node.type, meaning) and _only_tells(node):
        yield swallow(ast.unparse(node), node.lineno, "whatever goes wrong is only told", grave=False)
    elif (
        isinstance(node, ast.Call)
        and meaning.resolved(node.func).rpartition(".")[2] == "suppress"
        and {meaning.resolved(a) for a in node.args} & set(BROAD_NAMES)
    ):
        yield swallow(ast.unparse(node), node.lineno, "whatever goes wrong is swallowed", fixing and not dying)
    elif isinstance(node, FUNCTIONS) and node.name == "__exit__" and _always(node) is True:
        yield swallow(
            f"def __exit__: {ast.unparse(node.body[-1])}", node.lineno, "whatever goes wrong is swallowed", fixing
        )
    elif isinstance(node, ast.Try) and any(isinstance(s, ast.Return) for s in node.finalbody):
        text = "finally: " + "; ".join(map(ast.unparse, node.finalbody))
        yield swallow(text, node.finalbody[0].lineno, "a return in `finally` swallows whatever went wrong", fixing)


def _broad(caught: ast.expr | None, meaning: Meaning) -> bool:
    if caught is None:
        return True
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return bool({meaning.resolved(p).rpartition(".")[2] for p in parts} & BROAD - {"AssertionError"})


def _silent(handler: ast.ExceptHandler) -> bool:
    for statement in handler.body:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Raise, ast.Call, ast.Yield, ast.Await)):
                return False
            if isinstance(node, ast.Name) and node.id == handler.name and isinstance(node.ctx, ast.Load):
                return False
    return True


def _only_tells(handler: ast.ExceptHandler) -> bool:
    """Whether a handler does nothing but print or log, and perhaps answer with a literal."""
    for statement in handler.body:
        match statement:
            case ast.Pass() | ast.Continue() | ast.Break() | ast.Return(value=None):
                continue
            case ast.Return(value=ast.expr() as value) if constant(value):
                continue
            case ast.Expr(value=ast.Call(func=func)) if _TELLS.search(dotted(func)):
                continue
        return False
    return True


def _hooks(node: ast.AST, inside: ast.AST | None, *, about_tests: bool) -> Found:
    if isinstance(node, FUNCTIONS) and inside is None and re.match(r"pytest_[a-z]+_[a-z_]+$", node.name):
        yield Trace(
            "cheating.patches", f"def {node.name}", node.lineno, "product code hooks into pytest", not about_tests
        )
