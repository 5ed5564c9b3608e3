"""What one JavaScript assertion claims: expect (Jest, Vitest, Chai), node:assert and its likes, should, sinon."""

from __future__ import annotations

import re
from dataclasses import replace

from tree_sitter import Node

from runner.policy.integrity.model import Claim, Strength
from runner.policy.integrity.syntax import arguments, callee, line, literal, names, string, text, truth, walk

_EXACT, _CLOSE, _PARTIAL, _PRESENCE, _TRUTHY = (
    Strength.EXACT, Strength.CLOSE, Strength.PARTIAL, Strength.PRESENCE, Strength.TRUTHY,
)  # fmt: skip
_MATCHERS = {
    "toBe": _EXACT, "toEqual": _EXACT, "toStrictEqual": _EXACT, "equal": _EXACT, "equals": _EXACT, "eql": _EXACT,
    "eq": _EXACT, "toBeNull": _EXACT, "toBeUndefined": _EXACT, "toBeNaN": _EXACT, "true": _EXACT, "false": _EXACT,
    "null": _EXACT, "undefined": _EXACT, "toHaveBeenCalledWith": _EXACT, "toHaveBeenCalledTimes": _CLOSE,
    "toHaveBeenLastCalledWith": _EXACT, "toHaveBeenNthCalledWith": _EXACT, "toHaveBeenCalledOnce": _CLOSE,
    "toMatchSnapshot": _PARTIAL, "toMatchInlineSnapshot": _EXACT, "snapshot": _PARTIAL,
    "toMatchFileSnapshot": _PARTIAL, "toBeCloseTo": _CLOSE, "closeTo": _CLOSE,
    "approximately": _CLOSE, "toHaveReturnedWith": _EXACT, "deepEqual": _EXACT, "strictEqual": _EXACT,
    "deepStrictEqual": _EXACT, "same": _EXACT, "strictSame": _EXACT, "is": _EXACT, "like": _PARTIAL,
    "calledWith": _CLOSE, "calledWithExactly": _EXACT, "calledOnceWith": _EXACT, "calledOnceWithExactly": _EXACT,
    "calledOnce": _PARTIAL, "callCount": _CLOSE, "notCalled": _EXACT, "called": _PRESENCE, "isTrue": _EXACT,
    "isFalse": _EXACT, "isNull": _EXACT, "isUndefined": _EXACT, "lengthOf": _PARTIAL, "toHaveLength": _PARTIAL,
    "toContain": _PARTIAL, "toContainEqual": _PARTIAL, "toMatch": _PARTIAL, "toMatchObject": _PARTIAL,
    "toHaveProperty": _PARTIAL, "toBeInstanceOf": _PARTIAL, "toBeGreaterThan": _PARTIAL, "toBeLessThan": _PARTIAL,
    "toBeGreaterThanOrEqual": _PARTIAL, "typeof": _PARTIAL, "toBeLessThanOrEqual": _PARTIAL, "toBeTypeOf": _PARTIAL,
    "match": _PARTIAL,
    "include": _PARTIAL, "includes": _PARTIAL, "contain": _PARTIAL, "contains": _PARTIAL, "above": _PARTIAL,
    "below": _PARTIAL, "within": _PARTIAL, "least": _PARTIAL, "most": _PARTIAL, "a": _PARTIAL, "an": _PARTIAL,
    "instanceOf": _PARTIAL, "instanceof": _PARTIAL, "property": _PARTIAL, "keys": _PARTIAL, "members": _PARTIAL,
    "empty": _PARTIAL, "string": _PARTIAL, "oneOf": _PARTIAL, "satisfy": _PARTIAL, "partialDeepStrictEqual": _PARTIAL,
    "notEqual": _PRESENCE, "notStrictEqual": _PRESENCE, "notDeepEqual": _PRESENCE, "notDeepStrictEqual": _PRESENCE,
    "isNotNull": _PRESENCE, "toBeDefined": _PRESENCE, "exist": _PRESENCE, "exists": _PRESENCE, "isDefined": _PRESENCE,
    "toHaveBeenCalled": _PRESENCE, "toBeTruthy": _TRUTHY, "toBeFalsy": _TRUTHY, "ok": _TRUTHY, "isOk": _TRUTHY,
    "truthy": _TRUTHY, "falsy": _TRUTHY, "notOk": _TRUTHY, "doesNotThrow": _PRESENCE, "doesNotReject": _PRESENCE,
    "ifError": _EXACT, "fail": _EXACT, "equalTo": _EXACT, "doesNotMatch": _PRESENCE,
}  # fmt: skip
_THROWS = frozenset({
    "toThrow", "toThrowError", "throw", "throws", "rejects", "rejectedWith", "rejected", "toThrowErrorMatchingSnapshot",
})  # fmt: skip
_PROPERTIES = frozenset({"true", "false", "null", "undefined", "ok", "exist", "empty", "called", "calledOnce", "NaN"})
_EQUALS = frozenset({
    "toBe", "toEqual", "toStrictEqual", "equal", "equals", "eql", "eq", "deepEqual", "strictEqual", "deepStrictEqual",
    "same", "strictSame", "is",
})  # fmt: skip
_SPELLED = {"toBeNull": "null", "toBeUndefined": "undefined", "true": "true", "false": "false", "null": "null",
            "undefined": "undefined", "isTrue": "true", "isFalse": "false", "isNull": "null"}  # fmt: skip
_ROOTS = frozenset({"assert", "t", "tap", "should", "chai", "sinon"})
_EXPECTS = (["expect"], ["expect", "soft"], ["expect", "poll"])
_NAMES = ("identifier", "shorthand_property_identifier_pattern")
_ANY_TEXT = frozenset({"/./", "/.*/", "/.+/", "/(?:)/", "''", '""'})
_CONTAINS = frozenset({"toContain", "toContainEqual", "include", "includes", "contain", "contains"})
_PARTS = frozenset({"toMatchObject", "partialDeepStrictEqual", "like", "toHaveProperty"})
_PROMISED = frozenset({"resolves", "rejects", "doesNotReject"})
_LOOSE = frozenset({"equal", "deepEqual"})
_FORGIVES = 0.1
# Chai's is as loose as Node's own.
_LOOSE_SOURCE = re.compile(r"""['"](?:node:)?assert['"]|['"]chai['"]""")
_HELPER = re.compile(r"^(assert|check|expect|verify|ensure|validate)([A-Z_]|$)")


def plan(node: Node) -> str:
    """The text of `expect.assertions(2)`, `expect.hasAssertions()` or `t.plan(2)`; empty for anything else."""
    chain = names(callee(node)) if node.type == "call_expression" else []
    said = chain in (["expect", "assertions"], ["expect", "hasAssertions"]) or (len(chain) > 1 and chain[-1] == "plan")
    return text(node) if said else ""


def loose_roots(root: Node) -> frozenset[str]:
    """The names under which a file has an `assert` whose `equal` is `==`."""
    found: set[str] = set()
    for node in root.named_children:
        said = text(node)
        if node.type == "import_statement":
            known = _LOOSE_SOURCE.search(said)
            if known is not None and not re.search(r"\bstrict\b", said):
                found.update(text(n) for n in walk(node) if n.type == "identifier")
        elif "require(" in said and _LOOSE_SOURCE.search(said) and not re.search(r"\.strict\b|\bstrict\b", said):
            found.update(text(n) for n in walk(node) if n.type in _NAMES)
    return frozenset(found - {"require"})


def claim(
    node: Node, helpers: frozenset[str], roots: frozenset[str] = frozenset(), loose: frozenset[str] = frozenset()
) -> Claim | None:
    """What an expression claims that stands alone, or None. `roots` are further names of assertion objects, `loose`
    those whose `equal` is `==`."""
    whole = node
    while node.type in ("await_expression", "parenthesized_expression", "unary_expression") and node.named_children:
        node = node.named_children[-1]
    chain = names(callee(node) if node.type == "call_expression" else node)
    if not chain:
        return None
    if chain[0] == "expect":
        return _heard(whole, chain, _expect(node, chain))
    if "should" in chain[1:]:
        return _should(node, chain)
    if node.type != "call_expression":
        return None
    if chain[0] in _ROOTS or chain[0] in roots:
        found = _assert(node, chain)
        if found is not None and chain[0] in loose and chain[-1] in _LOOSE:
            found = replace(found, tolerance=_FORGIVES)
        return _heard(whole, chain, found)
    if len(chain) == 1 and (chain[0] in helpers or _HELPER.match(chain[0])):
        return Claim(text(node), line(node), text(node), _CLOSE, "call")
    return None


def _heard(node: Node, chain: list[str], found: Claim | None) -> Claim | None:
    """A claim on a promise; lost, where nobody waits for it."""
    if found is None or not _PROMISED & set(chain) or (chain[0] != "expect" and chain[-1] not in _PROMISED):
        return found
    alone = node.parent is not None and node.parent.type == "expression_statement" and node.type == "call_expression"
    return replace(found, lost=f"nobody awaits the promise of line {line(node)}") if alone else found


def _root(node: Node) -> Node | None:
    """The call of `expect` at the bottom of a chain."""
    found: Node | None = node
    while found is not None:
        below = callee(found) if found.type == "call_expression" else found.child_by_field_name("object")
        if found.type == "call_expression" and below is not None and names(below) in _EXPECTS:
            return found
        found = below
    return None


def _expect(node: Node, chain: list[str]) -> Claim | None:
    root = _root(node)
    if root is None:
        return None  # expect.assertions(2), expect.extend(...)
    subject = next(iter(arguments(root)), None)
    matcher = chain[-1]
    called = node.type == "call_expression" and root.id != node.id
    if len(chain) == 1 or (not called and matcher not in _PROPERTIES):
        return Claim(text(node), line(node), text(subject), Strength.NOTHING, "never checked")
    return _made(node, matcher, subject, arguments(node) if called else [], negated="not" in chain)


def _should(node: Node, chain: list[str]) -> Claim | None:
    called = node.type == "call_expression"
    if not called and chain[-1] not in _PROPERTIES:
        return None
    subject = text(node).partition(".should")[0]
    found = _made(node, chain[-1], None, arguments(node) if called else [], negated="not" in chain)
    return Claim(found.text, found.line, subject, found.strength, found.kind, found.expected, found.negated)


def _assert(node: Node, chain: list[str]) -> Claim | None:
    matcher = chain[-1] if len(chain) > 1 else "ok"
    given = arguments(node)
    if matcher not in _MATCHERS and matcher not in _THROWS:
        return None
    return _made(node, matcher, given[0] if given else None, given[1:], negated=matcher.startswith(("not", "doesNot")))


def _made(node: Node, matcher: str, subject: Node | None, given: list[Node], *, negated: bool) -> Claim:  # noqa: C901, PLR0912
    said, at = text(node), line(node)
    if matcher.startswith("doesNot"):
        subject = _result(subject)
    subject, matcher, given = _of_its_kind(subject, matcher, given)
    expected = _SPELLED.get(matcher, text(given[0]) if given else "")
    if matcher in _THROWS:
        return _throws(said, at, subject, given, negated=negated)
    if _says_nothing(matcher, subject, given):
        return Claim(said, at, text(subject), Strength.NOTHING, "always true")
    strength = _MATCHERS.get(matcher, _PARTIAL)
    kind = "==" if matcher in _EQUALS or matcher in _SPELLED else matcher
    if strength is _TRUTHY or matcher in ("true", "isTrue", "isOk"):
        fixed = truth(subject)
        if fixed is not None and fixed is not (negated or matcher in ("toBeFalsy", "falsy", "notOk")):
            return Claim(said, at, text(subject), Strength.NOTHING, "always true")
    elif kind == "==" and not negated and given and subject is not None:
        if text(subject) == text(given[0]) or (literal(subject) and literal(given[0])):
            return Claim(said, at, text(subject), Strength.NOTHING, "always true")
        if expected.startswith("expect.anything"):
            strength = _PRESENCE
        elif expected.startswith(("expect.any", "expect.objectContaining", "expect.stringContaining")):
            strength = _PARTIAL
    if subject is not None and literal(subject) and not literal(given[0] if given else None) and given and kind == "==":
        return Claim(said, at, text(given[0]), strength, kind, text(subject), negated)
    if matcher == "toMatchInlineSnapshot" and not given:
        strength = _PARTIAL  # whatever comes is written down
    if negated and strength >= _CLOSE and kind != "==":
        strength = _PARTIAL
    elif negated and kind == "==":
        strength = _PRESENCE
    loose = _tolerance(matcher, given)
    return Claim(said, at, text(subject), strength, kind, expected, negated, loose)


def _of_its_kind(subject: Node | None, matcher: str, given: list[Node]) -> tuple[Node | None, str, list[Node]]:
    """`typeof x` and `x.length` compared are claims on x, and so is `[1, x]` that contains it."""
    if subject is None or not given:
        return subject, matcher, given
    if matcher in _EQUALS and subject.type == "unary_expression" and text(subject).startswith("typeof "):
        return subject.child_by_field_name("argument"), "typeof", given
    if matcher in _EQUALS and subject.type == "member_expression" and names(subject)[-1:] == ["length"]:
        return subject.child_by_field_name("object"), "lengthOf", given
    if matcher in _CONTAINS and literal(subject) and not literal(given[0]):
        return given[0], "oneOf", [subject]
    return subject, matcher, given


def _says_nothing(matcher: str, subject: Node | None, given: list[Node]) -> bool:
    wanted = text(given[0]) if given else ""
    if matcher == "ifError":
        return literal(subject)
    if matcher in ("toMatch", "match"):
        return wanted in _ANY_TEXT
    return matcher in _PARTS and wanted == "{}"


def _throws(said: str, at: int, subject: Node | None, given: list[Node], *, negated: bool) -> Claim:
    wanted = [g for g in given if string(g) is None or g is given[0]]
    pattern = any(g.type in ("string", "regex", "object", "template_string", "new_expression") for g in wanted)
    broad = bool(wanted) and text(wanted[0]) in ("Error", "/.*/", "/./", "''", '""')
    strength = _EXACT if pattern and not broad else _CLOSE if wanted and not broad else _PARTIAL
    if negated:
        return Claim(said, at, text(_result(subject)), _PRESENCE, "throws", "", negated)
    return Claim(said, at, text(subject), strength, "throws", ", ".join(map(text, wanted)), negated)


def _result(function: Node | None) -> Node | None:
    """What `() => value` gives; the node itself where it is none."""
    short = function is not None and function.type == "arrow_function"
    body = function.child_by_field_name("body") if short and function is not None else None
    return body if body is not None and body.type != "statement_block" else function


def _tolerance(matcher: str, given: list[Node]) -> float:
    numbers = []
    for node in given[1:2]:
        try:
            numbers.append(float(text(node)))
        except ValueError:
            continue
    if matcher == "toBeCloseTo":
        return float(10.0 ** -min(max(numbers[0] if numbers else 2.0, -300.0), 300.0))
    return numbers[0] if numbers and matcher in ("closeTo", "approximately") else 0.0
