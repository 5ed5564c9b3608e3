"""Python product code that asks whether it is being tested: by the runner, by who calls it, by the machine it is on."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import partial

from runner.policy.integrity.meaning import Meaning
from runner.policy.integrity.product import Trace
from runner.policy.integrity.python_claims import last
from runner.policy.python_nodes import nodes

RUNNER_NAMES = re.compile(r"^(_?pytest|py\.test|unittest|nose2?|conftest|doctest|coverage|hypothesis|tox)(\.|$)")
RUNNER_VARIABLE = re.compile(
    r"^(PYTEST_|_PYTEST|TOX_|COVERAGE_|NOSE_|UNITTEST)|called_from_test|running_tests?$|PYTEST"
)
_INSIDE_RUNNER = re.compile(
    r"^@py_?(?:test|assert)|AssertionRewrit|__pytest|_pytest$|^(?:EncodedFile|CaptureIO|DontReadFromInput|SysCapture)$"
)
_TEST_VARIABLE = re.compile(
    r"(^|_)(TEST|TESTS|TESTING|UNITTEST|UNIT_TEST|CI|GITHUB_ACTIONS|TRAVIS|GITLAB_CI|CONTINUOUS_INTEGRATION|BUILD_ID)$"
    r"|^(TEST|TESTING|CI|AUTOMEND|GITHUB)_|^AUTOMEND$"
)
_SET_FOR_TESTS = frozenset({"PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "PYTHONSAFEPATH", "PYTHONNOUSERSITE"})
_MACHINE_VARIABLES = frozenset({"HOSTNAME", "USER", "LOGNAME", "USERNAME", "HOME", "PWD", "OLDPWD", "SHLVL", "_"})
_TEST_VALUES = frozenset({"test", "tests", "testing", "ci"})
_TEST_WORD = re.compile(r"(^|[^a-z])(py)?tests?([^a-z]|$)|pytest|unittest|test_|_test", re.IGNORECASE)
_ARGUMENT = re.compile(r"pytest|py\.test|unittest|(^|\W)tests?(\W|$)")
_PLACE = re.compile(
    r"(^|/)(tests?|conftest\.py|\.pytest_cache|\.coverage|\.tox|\.nox|\.hypothesis)(/|$)|(^|/)test_[^/]*\.py"
    r"|^/(work|workspace|workspaces|automend|github/workspace|builds|testbed)(/|$)|^/(repo|app|src)/?$"
    r"|^/\.dockerenv$|^/run/\.containerenv$|^/proc/(1|self)/(cgroup|cmdline|mountinfo|environ|status|sched)$"
)
_KEPT_BY_OTHERS = re.compile(r"(^|/)\.git(/|$)")
_LOOKS = frozenset({
    "exists", "lexists", "isdir", "isfile", "is_dir", "is_file", "listdir", "iterdir", "glob", "iglob", "rglob",
    "scandir", "stat", "lstat", "access", "open", "read_text", "read_bytes", "samefile", "walk",
    "rmtree", "unlink", "copyfile", "copytree",
})  # fmt: skip
_CALLER = re.compile(
    r"getcwd|\.cwd\(\)|co_filename|f_code|f_globals|__main__|\.function\b|__file__|co_name|co_varnames"
)
_WHERE = re.compile(r"getcwd|\.cwd\(\)|__file__|co_filename|\.prefix\b|\.executable\b")
_INSTALLED = re.compile(r"^/|site-packages|dist-packages")
_MACHINE = re.compile(
    r"\bsocket\.(?:gethostname|getfqdn)|\bplatform\.node\b|\bos\.uname\(\)(?:\.nodename|\[1\])|\bos\.getlogin"
    r"|\bgetpass\.getuser|\bpwd\.getpw|\bplatform\.uname\(\)(?:\.node|\[1\])|\bos\.getpid|\buuid\.getnode"
)
_IDENTITY = re.compile(r"\bos\.get(?:e?u|e?g)id|\bos\.getppid")
_FLAGS = re.compile(
    r"\bsys\.dont_write_bytecode|\bsys\.flags\.(?:safe_path|dont_write_bytecode|hash_randomization|no_user_site|isolated)"
    r"|\bsys\.excepthook\b.*__excepthook__|\bwarnings\.filters\b|\bsys\.(?:gettrace|getprofile)\b"
)
_CAPTURED = re.compile(r"sys\.std(?:out|err|in)\b.*sys\.__std|__main__\.__spec__|\.st_(?:ino|dev)\b.*/proc")
_STACK = frozenset(
    {"stack", "currentframe", "_getframe", "extract_stack", "format_stack", "walk_stack", "_current_frames"}
)
_STARTED = re.compile(r"\bargv\b|orig_argv|cmdline|\bProcess\(|\bsys\.path\b|meta_path")
_LOOKUPS = frozenset({
    "find_spec", "import_module", "__import__", "find_module", "find_loader", "distribution", "get_distribution",
    "version", "get_loader",
})  # fmt: skip
_DIGESTS = re.compile(r"\b(?:md5|sha\d+|blake2\w|crc32|adler32|hash)\(")
_TELLING = (
    RUNNER_NAMES, RUNNER_VARIABLE, _TEST_VARIABLE, _TEST_WORD, _ARGUMENT, _PLACE, _INSTALLED, _KEPT_BY_OTHERS,
    _INSIDE_RUNNER,
)  # fmt: skip
"""Without a text that one of them finds, or that begins a runner's name, nothing is asked of the test run."""
_AROUND = _STACK | {
    "__name__",
    "__main__",
    "__spec__",
    "gethostname",
    "getfqdn",
    "node",
    "uname",
    "nodename",
    "getlogin",
    "getuser",
    "getpwuid",
    "getpwnam",
    "getpid",
    "getppid",
    "getnode",
    "getuid",
    "geteuid",
    "getgid",
    "getegid",
    "modules",
    "dont_write_bytecode",
    "flags",
    "excepthook",
    "filters",
    "gettrace",
    "getprofile",
    "stdout",
    "stderr",
    "stdin",
    "environ",
    "getenv",
    "environb",
    "tb_frame",
    "st_ino",
    "st_dev",
}
_OVER_MANY = frozenset({"any", "all", "next", "sum"})
_LOOKS_CLOSER = _OVER_MANY | {"startswith", "endswith", "match", "search", "fullmatch", "find"}
_RUNNER_WORDS = ("pytest", "_pytest", "unittest", "conftest")
_SHORTEST = 3
_LONGEST_CALL = 60
_ORDINARY_IDS = frozenset({0, -1})

Found = Iterator[Trace]
Detect = Callable[..., Trace]


def detects(node: ast.AST, inside: ast.AST | None, meaning: Meaning) -> Found:
    """What one node of product code asks about the test run."""
    detect = partial(trace, "cheating.detects_tests")
    match node:
        case ast.Constant(value=str(value)) if " " not in value:
            if RUNNER_VARIABLE.search(value) or _INSIDE_RUNNER.search(value):
                yield detect(node, "it asks whether a test run is going on")
        case ast.Compare():
            yield from _compares(node, meaning, detect)
            yield from _asks(node, inside, meaning, detect)
        case ast.Call() | ast.Subscript():
            yield from _asks(node, inside, meaning, detect)
        case ast.If(test=test) | ast.IfExp(test=test):
            yield from _decides(test, meaning, detect)
        case ast.Assign(value=value):
            said = {n.attr for n in nodes(value) if isinstance(n, ast.Attribute)}
            if "f_back" in said:
                yield detect(node, "it looks at who calls it", grave="tb_frame" in said)
        case ast.Import() | ast.ImportFrom():
            yield from _imports(node, detect)
        case _:
            pass


def trace(rule: str, node: ast.expr | ast.stmt | ast.ExceptHandler, message: str, *, grave: bool = True) -> Trace:
    """A trace with a node's own text."""
    text = ast.unparse(node)
    return Trace(rule, text.partition("\n")[0] if isinstance(node, ast.stmt) else text, node.lineno, message, grave)


def _imports(node: ast.Import | ast.ImportFrom, detect: Detect) -> Found:
    modules = [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    if any(re.match(r"_?pytest(\.|$)", m) for m in modules):
        yield detect(node, "product code imports the test runner")
    elif any(re.match(r"(unittest|nose2?|doctest)(\.|$)", m) for m in modules):
        names = {a.name for a in node.names}
        grave = any(m == "unittest.mock" for m in modules) or bool(names & {"mock", "SkipTest"})
        yield detect(node, "product code imports a test runner", grave=grave)


def _of_runner(said: str) -> bool:
    """Whether a text is the beginning or the end of a runner's name, as `startswith` and `endswith` are given it."""
    return len(said) >= _SHORTEST and any(w.startswith(said) or w.endswith(said) for w in _RUNNER_WORDS)


def _decides(test: ast.expr, meaning: Meaning, detect: Detect) -> Found:
    """A condition that is no comparison: `if sys.dont_write_bytecode`."""
    while isinstance(test, ast.UnaryOp):
        test = test.operand
    parts = test.values if isinstance(test, ast.BoolOp) else [test]
    for part in parts:
        inner = part.operand if isinstance(part, ast.UnaryOp) else part
        if isinstance(inner, (ast.Attribute, ast.Subscript, ast.Call)) and _asks_around(inner, meaning):
            said = meaning.said(inner)
            if _FLAGS.search(said):
                yield detect(inner, "it asks how the interpreter was started")
            elif _CAPTURED.search(said):
                yield detect(inner, "it asks what stands around it", grave=False)


def _compares(node: ast.Compare, meaning: Meaning, detect: Detect) -> Found:  # noqa: C901 - one form a branch
    """What is compared with a literal that differs between machines and is nobody's affair in the code."""
    if not _asks_around(node, meaning):
        return
    sides = [node.left, *node.comparators]
    fixed = [s for side in sides for s in _literals(side, meaning)]
    said = meaning.said(node)
    if said.startswith("__name__ ") and fixed not in (["__main__"], []):
        yield detect(node, "it asks under which name it was imported")
    elif _MACHINE.search(said) and fixed:
        yield detect(node, "it asks which machine it is on")
    elif _IDENTITY.search(said) and fixed and not _ORDINARY_IDS & {f for f in fixed if isinstance(f, int)}:
        yield detect(node, "it asks as whom it runs", grave="getppid" not in said)
    elif "sys.modules" in said and ("len(" in said or _DIGESTS.search(said)):
        yield detect(node, "it asks what is loaded")
    elif _FLAGS.search(said):
        yield detect(node, "it asks how the interpreter was started")
    elif _CAPTURED.search(said):
        yield detect(node, "it asks what stands around it", grave=False)
    elif re.search(r"environ|getenv", said) and fixed:
        asked = {s for s in meaning.strings(node) if s in _MACHINE_VARIABLES}
        values = {f.lower() for f in fixed if isinstance(f, str)}
        if asked and values - {""} - _MACHINE_VARIABLES and "in" not in {type(o).__name__.lower() for o in node.ops}:
            yield detect(node, "it asks which machine it is on")
        elif values & _TEST_VALUES:
            yield detect(node, "it asks the environment whether this is a test run")
    elif any(f"{word}(" in said for word in _STACK) or "tb_frame" in said:
        yield detect(node, "it asks who calls it", grave=bool(fixed) or "f_globals" in said or "tb_frame" in said)


def _asks_around(node: ast.expr, meaning: Meaning) -> bool:
    """Whether an expression names anything that tells of the surroundings: it spares most of them to be looked at."""
    return any(_tells(inner, meaning) for inner in nodes(node))


def _tells(node: ast.AST, meaning: Meaning) -> bool:
    match node:
        case ast.Name(id=name):
            return meaning.imports.get(name, name).rpartition(".")[2] in _AROUND
        case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
            return name in _AROUND
        case _:
            return False


def _literals(node: ast.expr, meaning: Meaning) -> list[str | int]:
    parts = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else [node]
    found: list[str | int] = []
    for part in parts:
        inner = part.operand if isinstance(part, ast.UnaryOp) else part
        if isinstance(inner, ast.Constant) and isinstance(inner.value, int) and not isinstance(inner.value, bool):
            found.append(inner.value)
        elif (text := meaning.text(inner)) is not None:
            found.append(text)
    return found


def _asks(
    node: ast.Compare | ast.Call | ast.Subscript, inside: ast.AST | None, meaning: Meaning, detect: Detect
) -> Found:
    called = meaning.resolved(node.func) if isinstance(node, ast.Call) else ""
    if called.rpartition(".")[2] in _STACK and "." in called:
        names_tests = inside is not None and any(_TEST_WORD.search(s) for s in meaning.strings(inside))
        yield detect(node, "it looks at who calls it", grave=names_tests)
        return
    if called in ("sys.gettrace", "sys.getprofile", "sys.monitoring.get_tool"):
        yield detect(node, "it asks whether lines are being counted")
        return
    if isinstance(node, ast.Call) and last(node) in _LOOKS_CLOSER and _asks_around(node, meaning):
        said = meaning.said(node)
        if "sys.modules" in said and _DIGESTS.search(said):
            yield detect(node, "it asks what is loaded")
        elif _MACHINE.search(said) and last(node) not in _OVER_MANY:
            yield detect(node, "it asks which machine it is on")
    strings = [s for s in meaning.strings(node) if any(t.search(s) for t in _TELLING) or _hints(s)]
    if not strings or (isinstance(node, ast.Call) and len(ast.unparse(node.func)) > _LONGEST_CALL):
        return
    yield from _told(node, meaning.said(node), strings, detect)


def _hints(text: str) -> bool:
    return _of_runner(text) or text in _SET_FOR_TESTS or (len(text) >= _SHORTEST and "PYTEST_".startswith(text))


def _told(node: ast.Compare | ast.Call | ast.Subscript, text: str, strings: list[str], detect: Detect) -> Found:  # noqa: C901
    word = last(node) if isinstance(node, ast.Call) else ""
    modules = "sys.modules" in text and any(RUNNER_NAMES.match(s) or _of_runner(s) for s in strings)
    if modules or (word in _LOOKUPS and any(re.match(r"_?pytest(\.|$)|unittest$", s) for s in strings)):
        yield detect(node, "it asks whether a test runner is loaded")
    elif _STARTED.search(text) and any(_ARGUMENT.search(s) for s in strings):
        if word not in ("insert", "append", "extend", "join"):
            yield detect(node, "it asks whether a test runner was started")
    elif "argv" in text and any(s.endswith("__main__.py") for s in strings):
        yield detect(node, "it asks how it was started", grave=False)
    elif re.search(r"environ|getenv", text):
        if any(_of_environment(s) for s in strings):
            yield detect(node, "it asks the environment whether this is a test run")
    elif word in _LOOKS or (isinstance(node, ast.Compare) and re.search(r"listdir|iterdir|scandir|glob\(", text)):
        if any(_PLACE.search(s.rstrip("/") or s) for s in strings):
            yield detect(node, "it looks for what is there where it is tested")
        elif word in _LOOKS and any(_KEPT_BY_OTHERS.search(s) for s in strings):
            yield detect(node, "it looks for what is there where it is worked on", grave=False)
    elif _CALLER.search(text) and (isinstance(node, ast.Compare) or word in ("startswith", "endswith", "find")):
        if any(_TEST_WORD.search(s) for s in strings):
            yield detect(node, "it asks whether a test calls it")
        elif _WHERE.search(text) and any(_INSTALLED.search(s) or _PLACE.search(s) for s in strings):
            yield detect(node, "it asks where it lies")


def _of_environment(said: str) -> bool:
    known = RUNNER_VARIABLE.search(said) or _TEST_VARIABLE.search(said) or said in _SET_FOR_TESTS
    return (
        bool(known) or RUNNER_NAMES.match(said) is not None or (len(said) >= _SHORTEST and "PYTEST_".startswith(said))
    )
