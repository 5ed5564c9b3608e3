"""What one Python assertion claims: `assert`, unittest's methods, `raises`, mocks, numpy's, and helpers by name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from runner.policy.integrity.model import Claim, Strength

_ENDLESS = 1e300
BROAD = frozenset({"Exception", "BaseException", "AssertionError", "object"})
_RAISES = frozenset({"raises", "assertRaises", "assertRaisesRegex", "assertRaisesRegexp", "warns", "assertWarns",
                     "assertWarnsRegex", "deprecated_call", "assertLogs"})  # fmt: skip
_MOCK = {
    "assert_called_once_with": Strength.EXACT, "assert_called_with": Strength.EXACT, "assert_has_calls": Strength.CLOSE,
    "assert_any_call": Strength.CLOSE, "assert_called_once": Strength.PARTIAL, "assert_not_called": Strength.EXACT,
    "assert_called": Strength.PRESENCE, "assert_awaited_once_with": Strength.EXACT,
    "assert_awaited_with": Strength.EXACT, "assert_awaited_once": Strength.PARTIAL, "assert_awaited": Strength.PRESENCE,
    "assert_not_awaited": Strength.EXACT, "assert_any_await": Strength.CLOSE, "assert_has_awaits": Strength.CLOSE,
}  # fmt: skip
_UNITTEST = {
    "assertEqual": ("==", False), "assertEquals": ("==", False), "assertNotEqual": ("==", True),
    "assertIs": ("is", False),
    "assertIsNot": ("is", True), "assertListEqual": ("==", False), "assertDictEqual": ("==", False),
    "assertTupleEqual": ("==", False), "assertSetEqual": ("==", False), "assertSequenceEqual": ("==", False),
    "assertMultiLineEqual": ("==", False), "assertCountEqual": ("count", False), "assertItemsEqual": ("count", False),
    "assertIn": ("in", False), "assertNotIn": ("in", True), "assertIsInstance": ("isinstance", False),
    "assertNotIsInstance": ("isinstance", True), "assertGreater": (">", False), "assertGreaterEqual": (">=", False),
    "assertLess": ("<", False), "assertLessEqual": ("<=", False), "assertRegex": ("match", False),
    "assertNotRegex": ("match", True), "assertRegexpMatches": ("match", False), "assertAlmostEqual": ("~=", False),
    "assertNotAlmostEqual": ("~=", True), "assertDictContainsSubset": ("in", False),
    "assertStartsWith": ("match", False),
    "assertEndsWith": ("match", False), "assertHTMLEqual": ("==", False), "assertQuerySetEqual": ("==", False),
    "assertQuerysetEqual": ("==", False), "assert_array_equal": ("==", False), "assert_equal": ("==", False),
    "assert_allclose": ("~=", False), "assert_almost_equal": ("~=", False), "assert_array_almost_equal": ("~=", False),
    "assert_approx_equal": ("~=", False), "assert_frame_equal": ("==", False), "assert_series_equal": ("==", False),
    "eq_": ("==", False),
}  # fmt: skip
_TRUTH = {"assertTrue": False, "failUnless": False, "assert_": False, "ok_": False, "assertFalse": True}
_HELPER = re.compile(
    r"(^|_)(assert|check|verify|expect|ensure|validate|compare)|^(assert|check|expect)[A-Z_]", re.IGNORECASE
)
_OPERATORS: dict[type[ast.cmpop], tuple[str, bool]] = {
    ast.Eq: ("==", False), ast.NotEq: ("==", True), ast.Is: ("is", False), ast.IsNot: ("is", True),
    ast.In: ("in", False), ast.NotIn: ("in", True), ast.Lt: ("<", False), ast.LtE: ("<=", False),
    ast.Gt: (">", False), ast.GtE: (">=", False),
}  # fmt: skip
_MIRROR = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_PREDICATES = frozenset({"isinstance", "issubclass", "hasattr", "callable", "startswith", "endswith", "match", "search",
                         "fullmatch", "any", "all", "issubset", "issuperset", "allclose", "isclose"})  # fmt: skip
_TOLERANCES = ("rel", "abs", "rtol", "atol", "delta", "rel_tol", "abs_tol")


def last(node: ast.AST) -> str:
    """The last name of `a.b.c`, `a.b.c(...)` or `a.b.c[...]`."""
    while isinstance(node, (ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def dotted(node: ast.AST) -> str:
    """`a.b.c` as text; empty where it is anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def constant(node: ast.AST | None) -> bool:
    """Whether a node is a literal through and through."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.UnaryOp):
        return constant(node.operand)
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return all(constant(e) for e in node.elts)
    if isinstance(node, ast.Dict):
        return all(k is not None and constant(k) for k in node.keys) and all(constant(v) for v in node.values)
    return False


def truth(node: ast.AST) -> bool | None:  # noqa: C901, PLR0912 - one form a branch
    """What an expression always is, as far as can be told from itself."""
    match node:
        case ast.Constant(value=value):
            return bool(value)
        case ast.Tuple(elts=elts) | ast.List(elts=elts) | ast.Set(elts=elts):
            return bool(elts) if not any(isinstance(e, ast.Starred) for e in elts) else None
        case ast.Dict(keys=keys):
            return bool(keys)
        case ast.Lambda() | ast.JoinedStr(values=[ast.Constant(), *_]):
            return True
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = truth(operand)
            return None if inner is None else not inner
        case ast.BoolOp(op=op, values=values):
            settles = isinstance(op, ast.Or)
            known = [truth(v) for v in values]
            if settles in known:
                return settles
            return None if None in known else not settles
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _compared(left, op, right)
        case ast.Call(func=ast.Name(id="isinstance"), args=[_, ast.Name(id="object")]):
            return True
        case ast.Call(func=ast.Name(id="bool" | "len"), args=[inner_node]):
            return truth(inner_node)
        case ast.Call(func=ast.Name(id="any" | "all" as name), args=[ast.List(elts=elts) | ast.Tuple(elts=elts)]):
            return truth(ast.BoolOp(ast.Or() if name == "any" else ast.And(), elts)) if elts else name == "all"
        case ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING"):
            return False
        case _:
            return None


def _compared(left: ast.expr, op: ast.cmpop, right: ast.expr) -> bool | None:
    if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
        if isinstance(op, (ast.Eq, ast.Is)):
            return bool(left.value == right.value)
        if isinstance(op, (ast.NotEq, ast.IsNot)):
            return bool(left.value != right.value)
    if isinstance(op, ast.GtE) and last(left) == "len" and isinstance(right, ast.Constant) and right.value == 0:
        return True
    same = not isinstance(left, ast.Constant) and ast.dump(left) == ast.dump(right)
    if (
        same
        and not any(isinstance(n, ast.Call) for n in ast.walk(left))
        and isinstance(op, (ast.Eq, ast.Is, ast.LtE, ast.GtE))
    ):
        return True
    return None


def of_assert(node: ast.Assert) -> Iterator[Claim]:
    """What an `assert` claims; one claim for each part of an `and`."""
    text = ast.unparse(node)
    for part in _conjuncts(node.test):
        yield of_test(part, text, node.lineno)


def _conjuncts(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.And):
        return [part for value in node.values for part in _conjuncts(value)]
    return [node]


def of_test(node: ast.expr, text: str, line: int, *, negated: bool = False) -> Claim:
    """What holds where `node` is true (or false: `negated`)."""
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        node, negated = node.operand, not negated
    fixed = truth(node)
    if fixed is not None and fixed is not negated:
        return Claim(text, line, ast.unparse(node), Strength.NOTHING, "always true")
    if isinstance(node, ast.NamedExpr):
        return of_test(node.value, text, line, negated=negated)
    if isinstance(node, ast.Compare):
        return _comparison(node, text, line, negated)
    if isinstance(node, ast.BoolOp):
        return Claim(text, line, ast.unparse(node), Strength.TRUTHY, "or", negated=negated)
    if isinstance(node, ast.Call) and last(node) in _PREDICATES:
        strength = Strength.CLOSE if last(node) in ("allclose", "isclose") else Strength.PARTIAL
        kind = "match" if last(node) in ("match", "search", "fullmatch", "startswith", "endswith") else last(node)
        subject, expected = _predicate(node)
        return Claim(text, line, subject, strength, kind, expected, negated, tolerance(node))
    return Claim(text, line, ast.unparse(node), Strength.TRUTHY, "truth", negated=negated)


def _predicate(node: ast.Call) -> tuple[str, str]:
    texts = [ast.unparse(a) for a in node.args]
    if isinstance(node.func, ast.Attribute) and last(node) in ("startswith", "endswith"):
        return ast.unparse(node.func.value), ", ".join(texts)
    if last(node) in ("match", "search", "fullmatch") and len(texts) > 1:
        return texts[1], texts[0]
    return (texts[0] if texts else ast.unparse(node)), ", ".join(texts[1:])


def _comparison(node: ast.Compare, text: str, line: int, negated: bool) -> Claim:
    kind, flip = _OPERATORS[type(node.ops[0])]
    if len(node.ops) > 1:
        return Claim(text, line, ast.unparse(node), Strength.PARTIAL, "chain", negated=negated)
    return held(kind, node.left, node.comparators[0], text, line, negated=negated is not flip)


def held(
    kind: str, left: ast.expr, right: ast.expr, text: str, line: int, *, negated: bool, loose: float = 0.0
) -> Claim:
    """The claim that `left` stands in relation `kind` to `right`."""
    kind, left, right = _turned(kind, left, right)
    left, kind = _typed(left, kind)
    subject, expected = ast.unparse(left), ast.unparse(right)
    if subject == expected and kind in ("==", "is", "<=", ">=", "~=", "count") and not negated:
        # Two calls may well differ: that equal things are equal is a claim, if a weak one.
        calls = any(isinstance(n, ast.Call) for n in ast.walk(left))
        return Claim(text, line, subject, Strength.TRUTHY if calls else Strength.NOTHING, "equal to itself")
    strength = Strength.PARTIAL
    apart = _distance(left) if kind in ("<", "<=") and not negated else None
    if apart is not None:
        # `abs(a - b) < 0.1` is `a == approx(b, abs=0.1)`
        return held("~=", *apart, text, line, negated=False, loose=_number(right) or float("inf"))
    if kind in ("==", "is"):
        strength = Strength.EXACT
        call = right if last(right) == "approx" else left if last(left) == "approx" else None
        if isinstance(call, ast.Call):
            strength, kind, loose = Strength.CLOSE, "~=", tolerance(call)
            expected = ast.unparse(call.args[0]) if call.args else expected
        elif last(right) == "ANY":
            return Claim(text, line, subject, Strength.NOTHING, "always true")
    elif kind in ("~=", "count"):
        strength = Strength.CLOSE
    if kind == "is" and expected in ("True", "False", "None"):
        kind = "=="
    if negated and strength >= Strength.CLOSE:
        strength = Strength.PRESENCE
    return Claim(text, line, subject, strength, kind, expected, negated, loose)


def _typed(left: ast.expr, kind: str) -> tuple[ast.expr, str]:
    """`type(x) is int` is no more than `isinstance(x, int)`, and `len(x) == 2` is a claim on x."""
    if kind in ("==", "is") and isinstance(left, ast.Call) and isinstance(left.func, ast.Name) and len(left.args) == 1:
        kind = {"type": "isinstance", "len": "len"}.get(left.func.id, kind)
        return (left.args[0] if kind in ("isinstance", "len") else left), kind
    return left, kind


def _turned(kind: str, left: ast.expr, right: ast.expr) -> tuple[str, ast.expr, ast.expr]:
    """The claim with what is looked at on the left."""
    if _fixed(left) and not _fixed(right):
        return ("contains" if kind == "in" else _MIRROR.get(kind, kind)), right, left
    return kind, left, right


def _distance(node: ast.expr) -> tuple[ast.expr, ast.expr] | None:
    """The two whose distance `abs(a - b)` is."""
    if isinstance(node, ast.Call) and last(node) in ("abs", "fabs") and len(node.args) == 1:
        inner = node.args[0]
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
            return inner.left, inner.right
    return None


def _fixed(node: ast.expr) -> bool:
    return (
        constant(node)
        or last(node) in ("approx", "ANY")
        or (isinstance(node, ast.Name) and "expect" in node.id.lower())
    )


def tolerance(call: ast.Call) -> float:
    """How much a comparison forgives: 0 where nothing is said."""
    found = 0.0
    for keyword in call.keywords:
        if keyword.arg in (*_TOLERANCES, "places", "decimal", "significant"):
            value = _number(keyword.value)
            found = max(found, 10.0**-value if keyword.arg in ("places", "decimal", "significant") else value)
    positional = call.args[2:3] if last(call) != "approx" else call.args[1:2]
    for node in positional:
        value = _number(node)
        if value and "lmost" in last(call):
            found = max(found, 10.0**-value)
        elif value and last(call) in ("approx", "assert_allclose"):
            found = max(found, value)
    return found


def _number(node: ast.AST) -> float:
    try:
        value = ast.literal_eval(node)
        return min(max(float(value), -300.0), _ENDLESS) if isinstance(value, (int, float)) else 0.0
    except (ValueError, TypeError, SyntaxError, OverflowError, RecursionError, MemoryError):
        if isinstance(node, ast.Call) and last(node) == "float" and "inf" in ast.unparse(node):
            return _ENDLESS
        if isinstance(node, ast.Call) and last(node) == "timedelta":
            return sum(_number(k.value) for k in node.keywords)
        return 0.0


def of_call(node: ast.Call, line: int, helpers: frozenset[str]) -> Claim | None:
    """What a call claims that stands alone as a statement, or None where it is no assertion.

    `helpers` are the names of functions that are known to make claims.
    """
    name = last(node)
    text = ast.unparse(node)
    if name in _UNITTEST and len(node.args) >= 2:  # noqa: PLR2004 - two sides
        kind, negated = _UNITTEST[name]
        found = held(kind, node.args[0], node.args[1], text, line, negated=negated)
        return _with_tolerance(found, tolerance(node))
    if name in _TRUTH and node.args:
        return of_test(node.args[0], text, line, negated=_TRUTH[name])
    if name in ("assertIsNone", "assertIsNotNone") and node.args:
        left = node.args[0]
        return held("is", left, ast.Constant(None), text, line, negated="Not" in name)
    if name in _MOCK and isinstance(node.func, ast.Attribute):
        expected = ", ".join(map(ast.unparse, [*node.args, *(k.value for k in node.keywords)]))
        return Claim(text, line, ast.unparse(node.func.value), _MOCK[name], name, expected, "not" in name)
    if name in _RAISES:
        return of_raises(node, line, "")
    if name == "fail":
        return Claim(text, line, text, Strength.EXACT, "fail")
    if name in helpers or _HELPER.search(name):
        return Claim(text, line, text, Strength.CLOSE, "call")
    return None


def _with_tolerance(claim: Claim, loose: float) -> Claim:
    if not loose:
        return claim
    return Claim(
        claim.text, claim.line, claim.subject, claim.strength, claim.kind, claim.expected, claim.negated, loose
    )


def is_raises(node: ast.AST) -> bool:
    """Whether a node is `pytest.raises(...)` or one of its like."""
    return isinstance(node, ast.Call) and last(node) in _RAISES


def raised(node: ast.Call) -> frozenset[str]:
    """The names of the exceptions that a `raises` waits for."""
    first = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "expected_exception"), None)
    parts = first.elts if isinstance(first, ast.Tuple) else [first] if first is not None else []
    return frozenset(last(p) or ast.unparse(p) for p in parts)


def of_raises(node: ast.Call, line: int, body: str) -> Claim:
    """The claim that `body` raises something."""
    name, wanted = last(node), raised(node)
    pattern = next((ast.unparse(k.value) for k in node.keywords if k.arg == "match"), "")
    rest = node.args[1:]
    if "Regex" in name and rest:
        pattern, rest = ast.unparse(rest[0]), rest[1:]
    if pattern.strip("rfbRFB'\"") in ("", ".*", ".+", ".", "^.*$", ".*?", "(?s).*"):
        pattern = ""
    subject = body or ", ".join(map(ast.unparse, rest))
    strength = Strength.EXACT if pattern else Strength.CLOSE
    if wanted & BROAD or (not wanted and name in ("raises", "assertRaises")):
        strength = Strength.PARTIAL if pattern else Strength.PRESENCE
    expected = f"{' | '.join(sorted(wanted))}{f' match {pattern}' if pattern else ''}"
    text = f"{ast.unparse(node)}: {body}" if body else ast.unparse(node)
    kind = "warns" if "arn" in name or name == "deprecated_call" else "raises"
    return Claim(text, line, subject, strength, kind, expected, tolerance=float(len(wanted)))
