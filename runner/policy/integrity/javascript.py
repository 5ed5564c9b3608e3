"""JavaScript and TypeScript test files, read by their syntax: Jest, Vitest, Mocha, node:test, AVA, tap."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from runner.policy.integrity.javascript_claims import claim, loose_roots, plan
from runner.policy.integrity.javascript_reach import (
    Scope,
    complains,
    ends,
    idle,
    late,
    leaves,
    never_loops,
    sides,
    silent,
)
from runner.policy.integrity.model import Claim, Definition, Inside, Mark, Skip, Strength, Test, TestFile
from runner.policy.integrity.syntax import (
    FUNCTIONS,
    arguments,
    callee,
    line,
    literal,
    names,
    parse,
    string,
    text,
    truth,
    walk,
)

_SUITES = frozenset({"describe", "context", "suite", "fdescribe", "xdescribe", "xcontext", "ddescribe"})
_TESTS = frozenset({"it", "test", "specify", "fit", "xit", "xtest", "xspecify", "ftest", "iit"})
_OFF = frozenset({"skip", "todo", "failing", "fails"})
_ALONE = frozenset({"only", "fit", "fdescribe", "ftest", "iit", "ddescribe"})
_HOOKS = frozenset({"beforeEach", "beforeAll", "before", "afterEach", "afterAll", "after", "setup", "teardown"})
_MOCKS = frozenset(
    {"mock", "doMock", "spyOn", "stub", "method", "replace", "unstable_mockModule", "setMock", "stubGlobal"}
)
_MOCKERS = frozenset({"jest", "vi", "sinon", "mock", "sandbox", "td", "vitest", "t"})


@dataclass
class _Body:
    """What has been seen of the test that is being read."""

    claims: list[Claim] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    roots: frozenset[str] = frozenset()
    plans: list[Mark] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)


def read_javascript(source: bytes, path: str) -> TestFile:
    """The tests of a file. Never raises: what cannot be read is a `problem`, beside what could be."""
    root, problem = parse(source, path)
    reader = _Reader(root)
    try:
        reader.read()
    except RecursionError:
        problem = problem or "it is nested too deeply"
    return TestFile(
        tests=reader.tests,
        functions=reader.functions,
        fixtures=reader.fixtures,
        always_on=frozenset(reader.fixtures),
        switches=tuple(reader.switches),
        imports=frozenset(_imported(root)),
        defines=dict(_defined(root)),
        problem=problem,
    )


class _Reader:
    def __init__(self, root: Node) -> None:
        self._root = root
        self.tests: dict[str, Test] = {}
        self.functions: dict[str, Definition] = {}
        self.fixtures: dict[str, Definition] = {}
        self.switches: list[Mark] = []
        self._helpers = frozenset(_claiming(root))
        self._loose = loose_roots(root)
        self._named = Counter(text(n) for n in walk(root) if n.type in ("identifier", "shorthand_property_identifier"))
        self._file_mocks = tuple(m for node in root.named_children for m in _mocks(node) if not _has_tests(node))

    def read(self) -> None:
        """Read the whole file."""
        self._children(self._root, Scope(), None)

    def _children(self, node: Node, scope: Scope, body: _Body | None) -> None:
        for child in node.named_children:
            self._visit(child, scope, body)
            if body is not None and not scope.lost and ends(child):
                word = "throw" if child.type == "throw_statement" else "return"
                scope = scope.losing(f"it stands after the `{word}` of line {line(child)}")
            elif body is not None and child.type == "if_statement" and leaves(child):
                scope = scope.under(child.child_by_field_name("condition"))

    def _visit(self, node: Node, scope: Scope, body: _Body | None) -> None:  # noqa: C901 - a table
        match node.type:
            case "call_expression":
                self._call(node, scope, body)
            case "if_statement":
                self._if(node, scope, body)
            case "while_statement" | "for_in_statement" | "for_statement":
                self._loop(node, scope, body)
            case "try_statement":
                self._try(node, scope, body)
            case "function_declaration":
                self._function(node, scope, body)
            case "binary_expression" | "ternary_expression" if body is not None:
                self._chosen(node, scope, body)
            case "switch_statement":
                self._switch(node, scope, body)
            case "variable_declarator" if body is not None:
                self._declared(node, scope, body)
            case "member_expression":
                if not self._claim(node, scope, body):
                    self._children(node, scope, body)
            case _:
                self._children(node, scope, body)

    def _call(self, node: Node, scope: Scope, body: _Body | None) -> None:
        chain = names(callee(node))
        head = chain[0] if chain else ""
        given = arguments(node)
        function = next((g for g in reversed(given) if g.type in FUNCTIONS), None)
        titled = bool(given) and (string(given[0]) is not None or given[0].type in ("identifier", "binary_expression"))
        if head in _SUITES and function is not None and titled:
            self._suite(node, chain, given, function, scope)
        elif titled and (head in _TESTS or (len(chain) > 1 and chain[-1] == "test")) and not _rows(node, chain):
            self._test(node, chain, given, function, scope)
        elif head in _HOOKS and function is not None and body is None:
            self.fixtures[f"{scope.prefix}{head}:{len(self.fixtures)}"] = Definition(line(node), text(node))
            self._children(function, scope, _Body())
        else:
            self._plain(node, chain, scope, body)

    def _plain(self, node: Node, chain: list[str], scope: Scope, body: _Body | None) -> None:
        if body is not None and len(chain) == 2 and chain[1] in _OFF and chain[0] in ("this", "t", "ctx", "context"):  # noqa: PLR2004
            if not scope.lost:
                body.skips.append(Skip(text(node), line(node), not scope.conditional))
            return
        if chain[-1:] in (["catch"], ["then"]):
            given = arguments(node) if chain[-1] == "catch" else arguments(node)[1:]
            if given and all(map(silent, given)):
                scope = scope.losing(f"the `{chain[-1]}` of line {line(node)} swallows its failure")
        elif self._claim(node, scope, body):
            return
        if body is not None:
            scope = scope.losing(never_loops(node)).seldom(late(node, chain))
        self._children(node, scope, body)

    def _claim(self, node: Node, scope: Scope, body: _Body | None) -> bool:
        planned = plan(node)
        if planned and body is not None:
            body.plans.append(Mark(planned, line(node)))
            return True
        found = claim(node, self._helpers, body.roots if body is not None else frozenset(), self._loose)
        if found is None or body is None:
            return False
        if found.kind == "==" and body.values.get(found.expected) == found.subject:
            found = replace(found, strength=min(found.strength, Strength.TRUTHY), kind="equal to itself")
        rarely = scope.says(found.subject)
        body.claims.append(replace(found, lost=found.lost or scope.lost, conditional=scope.conditional, rarely=rarely))
        if found.kind == "throws":
            for given in arguments(node)[1:]:
                self._visit(given, scope, body)  # what looks at the error may assert, too
        return True

    def _declared(self, node: Node, scope: Scope, body: _Body) -> None:
        name = text(node.child_by_field_name("name"))
        body.values[name] = text(node.child_by_field_name("value"))
        self._children(
            node, scope.losing("its function is never called" if idle(node, self._named[name]) else ""), body
        )

    def _chosen(self, node: Node, scope: Scope, body: _Body) -> None:
        """`a && b()`, `a || b()` and `a ? b() : c()`"""
        condition, parts = sides(node)
        if not parts:
            self._children(node, scope, body)
            return
        if condition is not None:
            self._visit(condition, scope, body)
        for part, follows in parts:
            inner = scope if follows else scope.under(condition)
            why = f"the condition of line {line(node)} never lets it run" if follows is False else ""
            self._visit(part, inner.losing(why), body)

    def _switch(self, node: Node, scope: Scope, body: _Body | None) -> None:
        value, cases = node.child_by_field_name("value"), node.child_by_field_name("body")
        asked = value.named_children[0] if value is not None and value.named_children else None
        for case in cases.named_children if cases is not None else ():
            wanted = case.child_by_field_name("value")
            never = literal(asked) and wanted is not None and literal(wanted) and text(asked) != text(wanted)
            why = f"the case of line {line(case)} never holds" if never else ""
            self._children(case, scope.under(value).losing(why), body)

    def _suite(self, node: Node, chain: list[str], given: list[Node], function: Node, scope: Scope) -> None:
        title = string(given[0]) or text(given[0])
        inner = Scope(f"{scope.prefix}{title}::", (*scope.skips, *self._skips(node, chain, given)), scope.lost)
        self._children(function, inner, None)

    def _test(self, node: Node, chain: list[str], given: list[Node], function: Node | None, scope: Scope) -> None:
        title = string(given[0]) or text(given[0])
        name = scope.prefix + title
        number = 2
        while name in self.tests:
            name, number = f"{scope.prefix}{title} ({number})", number + 1
        body = _Body(roots=frozenset(_parameters(function)))
        if function is not None:
            content = function.child_by_field_name("body")
            if content is not None and content.type == "statement_block":
                self._children(content, Scope(f"{name}::", (), ""), body)
            elif content is not None:
                self._visit(content, Scope(f"{name}::"), body)
        skips = (*scope.skips, *self._skips(node, chain, given), *body.skips)
        mocks = (*self._file_mocks, *(_mocks(function) if function is not None else ()))
        called = walk(function) if function is not None else iter(())
        inside = Inside(
            claims=tuple(body.claims),
            plans=tuple(body.plans),
            cases=_cases(node),
            replaces=tuple(mocks),
            calls=frozenset(names(callee(n))[-1] for n in called if n.type == "call_expression"),
        )
        self.tests[name] = Test(
            name=name,
            line=line(node),
            text="\n".join([*_lines(node), *sorted(self._loose)]),
            read=lambda: inside,
            around=skips,
            off=scope.lost or ("" if function is not None or "todo" in chain or len(given) > 1 else "it has no body"),
        )

    def _skips(self, node: Node, chain: list[str], given: list[Node]) -> tuple[Skip, ...]:
        shown, at = text(callee(node)) + f"({text(given[0])}, …)", line(node)
        found = []
        if set(chain) & _OFF or chain[0].startswith("x"):
            found.append(Skip(shown, at, always=True))
        if set(chain) & {"skipIf", "runIf"}:
            found.append(Skip(shown, at, always=_condition(node) is ("skipIf" in chain)))
        if set(chain) & _ALONE:
            self.switches.append(Mark(f"{text(callee(node))}(…): no other test of the file runs", at))
        for option in given[1:]:
            for pair in option.named_children if option.type == "object" else ():
                key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
                if text(key) in ("skip", "todo", "only") and truth(value) is not False:
                    if text(key) == "only":
                        self.switches.append(Mark(f"{text(pair)}: no other test runs", line(pair)))
                    else:
                        found.append(Skip(text(pair), line(pair), truth(value) is True))
        return tuple(found)

    def _if(self, node: Node, scope: Scope, body: _Body | None) -> None:
        condition = node.child_by_field_name("condition")
        fixed = truth(condition)
        around = "process.env" in text(condition)
        for side, dead in (("consequence", fixed is False), ("alternative", fixed is True)):
            part = node.child_by_field_name(side)
            if part is None:
                continue
            why = f"the condition of line {line(node)} never lets it run" if dead else ""
            conditional = scope.conditional or (fixed is None and part.type != "throw_statement")
            skips = scope.skips
            if body is None and around:
                skips = (*skips, Skip(f"if {text(condition)}", line(node), always=True))
            inner = replace(scope.losing(why), conditional=conditional, skips=skips)
            if fixed is None and conditional:
                inner = inner.under(condition).seldom(
                    f"where the environment says so (line {line(node)})" if around else ""
                )
            self._children(part, inner, body) if part.type == "statement_block" else self._visit(part, inner, body)

    def _loop(self, node: Node, scope: Scope, body: _Body | None) -> None:
        part = node.child_by_field_name("body")
        if part is not None:
            self._visit(part, scope.losing(never_loops(node)), body)

    def _try(self, node: Node, scope: Scope, body: _Body | None) -> None:
        handler = node.child_by_field_name("handler")
        quiet = handler is not None and not complains(handler)
        final = node.child_by_field_name("finalizer")
        if final is not None and "return" in text(final):
            quiet = True
        why = f"the `try` of line {line(node)} swallows its failure" if quiet else ""
        for name in ("body", "handler", "finalizer"):
            part = node.child_by_field_name(name)
            if part is None:
                continue
            inner = scope
            if name == "body":
                inner = scope.losing(why)
            elif name == "handler":
                inner = scope.seldom(f"in the handler of line {line(part)}")
            self._children(part, inner, body)

    def _function(self, node: Node, scope: Scope, body: _Body | None) -> None:
        name = text(node.child_by_field_name("name"))
        inside = _Body()
        exported = node.parent is not None and node.parent.type == "export_statement"
        if not exported and self._named[name] <= 1:
            scope = scope.losing("its function is never called")
        self._children(node, scope, body if body is not None else inside)
        if body is None:
            self.functions[name] = Definition(line(node), text(node))
            if inside.claims:
                shown = (node.text or b"").decode("utf-8", "replace")
                found = Inside(tuple(inside.claims))
                self.tests[name] = Test(name, line(node), shown, lambda: found, helper=True)


def _lines(node: Node) -> list[str]:
    return [t for t in (node.text or b"").decode("utf-8", "replace").split("\n") if t.strip()]


def _rows(node: Node, chain: list[str]) -> bool:
    """Whether this is the inner call of `test.each(rows)("title", …)`."""
    inner = callee(node)
    return inner is not None and inner.type == "member_expression" and chain[-1] == "each"


def _parameters(function: Node | None) -> Iterator[str]:
    if function is None:
        return
    given = function.child_by_field_name("parameters") or function.child_by_field_name("parameter")
    for node in walk(given) if given is not None else ():
        if node.type == "identifier" and text(node) in ("t", "assert", "tap", "test", "ctx"):
            yield text(node)


def _condition(node: Node) -> bool | None:
    inner = callee(node)
    given = arguments(inner) if inner is not None else []
    if given and "process.env" in text(given[0]):
        return True
    return truth(given[0]) if given else None


def _cases(node: Node) -> tuple[str, ...] | None:
    inner = callee(node)
    if inner is None or names(inner)[-1:] != ["each"]:
        return None
    given = inner.child_by_field_name("arguments")
    if given is not None and given.type == "template_string":
        rows = (given.text or b"").decode("utf-8", "replace").strip("`").split("\n")
        return tuple(" ".join(r.split()) for r in rows if r.strip())[1:]
    rows_of = next((g for g in arguments(inner) if g.type == "array"), None)
    return tuple(text(r) for r in rows_of.named_children if r.type != "comment") if rows_of is not None else None


def _mocks(node: Node) -> Iterator[Mark]:
    for inner in walk(node):
        if inner.type == "call_expression":
            chain = names(callee(inner))
            if len(chain) > 1 and chain[-1] in _MOCKS and chain[0] in _MOCKERS:
                strings = [s for s in map(string, arguments(inner)) if s]
                if strings:
                    yield Mark(strings[0], line(inner))


def _has_tests(node: Node) -> bool:
    return any(n.type == "call_expression" and set(names(callee(n))[:1]) & (_TESTS | _SUITES) for n in walk(node))


def _claiming(root: Node) -> Iterator[str]:
    for node in walk(root):
        name = node.child_by_field_name("name")
        value = node.child_by_field_name("value") if node.type == "variable_declarator" else node
        if name is not None and value is not None and value.type in FUNCTIONS and node.type != "method_definition":
            body = text(value)
            if ("expect(" in body or "assert" in body) and not _has_tests(value):
                yield text(name)


def _imported(root: Node) -> Iterator[str]:
    for node in root.named_children:
        if node.type == "import_statement":
            yield from (text(n) for n in walk(node) if n.type == "identifier")
        elif node.type in ("lexical_declaration", "variable_declaration") and "require(" in text(node):
            for part in node.named_children:
                name = part.child_by_field_name("name")
                kinds = ("identifier", "shorthand_property_identifier_pattern")
                yield from (text(n) for n in walk(name) if n.type in kinds) if name is not None else ()


def _defined(root: Node) -> Iterator[tuple[str, int]]:
    for node in root.named_children:
        if node.type in ("function_declaration", "class_declaration"):
            yield text(node.child_by_field_name("name")), line(node)
        elif node.type in ("lexical_declaration", "variable_declaration") and "require(" not in text(node):
            for part in node.named_children:
                name = part.child_by_field_name("name")
                if name is not None and name.type == "identifier":
                    yield text(name), line(node)
