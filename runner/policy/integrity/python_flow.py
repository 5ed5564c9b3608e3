"""A Python function's claims in the order of its statements, and which of them a failure would never show of."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from runner.policy.integrity.conditions import looks_around, usually
from runner.policy.integrity.model import Claim, Skip, Strength
from runner.policy.integrity.python_claims import (
    BROAD,
    constant,
    is_raises,
    last,
    of_assert,
    of_call,
    of_raises,
    raised,
)
from runner.policy.integrity.python_claims import truth as fixed

_LEAVES = frozenset({"skip", "exit", "_exit", "abort", "xfail", "skipTest", "fail", "quit"})
_SKIPS = frozenset({"skip", "skipTest", "xfail", "importorskip"})
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Flow:
    """What the body of a function (or of a module) does, told by walking it once.

    Args:
        helpers: names of functions that make claims.
        names: what the module's names stand for.
    """

    def __init__(self, helpers: frozenset[str], names: Mapping[str, ast.expr]) -> None:
        self.claims: list[Claim] = []
        self.skips: list[Skip] = []
        self._helpers = helpers
        self._names = names
        self._conditions: list[bool | None] = []
        self._used: frozenset[str] = frozenset()

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Walk one function."""
        self._used = frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
        self.block(node.body, "", conditional=False)

    def block(self, body: Sequence[ast.stmt], lost: str, *, conditional: bool) -> None:
        """Walk statements. `lost` says why none of them can fail the test; `conditional`, that they may not run."""
        for statement in body:
            self._statement(statement, lost, conditional)
            if not lost and self._ends(statement):
                lost = f"it stands after the `{_word(statement)}` of line {statement.lineno}"
            elif isinstance(statement, ast.If) and self._leaves_sometimes(statement):
                conditional = True

    def _statement(self, node: ast.stmt, lost: str, conditional: bool) -> None:  # noqa: C901 - a table
        match node:
            case ast.Assert():
                self._claim(of_assert(node), lost, conditional)
            case ast.Expr(value=value) | ast.Return(value=ast.expr() as value):
                self._expression(value, lost, conditional)
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                self._assigned(value, lost, conditional)
            case ast.Raise(exc=ast.expr() as error):
                self._raise(error, node.lineno, lost, conditional)
            case ast.If():
                self._if(node, lost, conditional)
            case ast.For() | ast.AsyncFor() | ast.While():
                self._loop(node, lost, conditional)
            case ast.With() | ast.AsyncWith():
                self._with(node, lost, conditional)
            case ast.Try() | ast.TryStar():
                self._try(node, lost, conditional)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                idle = node.name not in self._used and not node.decorator_list and isinstance(node, FUNCTIONS)
                self.block(node.body, lost or ("its function is never called" if idle else ""), conditional=conditional)
            case ast.Match(cases=cases):
                for case in cases:
                    self.block(case.body, lost, conditional=True)
            case _:
                pass

    def _claim(self, found: Iterator[Claim] | list[Claim], lost: str, conditional: bool) -> None:
        self.claims += [replace(c, lost=lost, conditional=conditional) for c in found]

    def _expression(self, value: ast.expr, lost: str, conditional: bool) -> None:
        if isinstance(value, (ast.Await, ast.YieldFrom)):
            value = value.value
        if isinstance(value, ast.Attribute) and value.attr.startswith("assert_"):
            idle = Claim(ast.unparse(value), value.lineno, ast.unparse(value.value), Strength.NOTHING, "never called")
            self._claim([idle], lost, conditional)
        if not isinstance(value, ast.Call):
            return
        if last(value) in _SKIPS and not lost:
            self._skip(ast.unparse(value), value.lineno)
            return
        claim = of_call(value, value.lineno, self._helpers)
        if claim is not None:
            self._claim([claim], lost, conditional)

    def _assigned(self, value: ast.expr, lost: str, conditional: bool) -> None:
        inner = value.value if isinstance(value, ast.Await) else value
        if isinstance(inner, ast.Call) and (is_raises(inner) or last(inner) == "importorskip"):
            self._expression(inner, lost, conditional)

    def _raise(self, error: ast.expr, line: int, lost: str, conditional: bool) -> None:
        if last(error) in ("SkipTest", "Skipped") and not lost:
            self._skip(f"raise {ast.unparse(error)}", line)
        elif last(error) in ("AssertionError", "Failed"):
            text = f"raise {ast.unparse(error)}"
            self._claim([Claim(text, line, text, Strength.EXACT, "raise")], lost, conditional)

    def _skip(self, text: str, line: int) -> None:
        always = all(answer is True for answer in self._conditions)
        self.skips.append(Skip(text, line, always))

    def _if(self, node: ast.If, lost: str, conditional: bool) -> None:
        never = fixed(node.test)
        holds = usually(node.test, self._names)
        if looks_around(node.test, self._names):
            holds = True  # a look at the environment decides: not something that differs between usual machines
        for body, dead, answer in ((node.body, never is False, holds), (node.orelse, never is True, _not(holds))):
            self._conditions.append(answer)
            why = f"the condition of line {node.lineno} never lets it run" if dead else ""
            self.block(body, lost or why, conditional=conditional or (never is None and not _raises_only(body)))
            self._conditions.pop()

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, lost: str, conditional: bool) -> None:
        if isinstance(node, ast.While):
            empty = fixed(node.test) is False
        else:
            none_at_all = constant(node.iter) and fixed(node.iter) is False
            empty = none_at_all or ast.unparse(node.iter) in ("range(0)", "[]", "()", "list()", "iter([])")
        why = f"the loop of line {node.lineno} never runs" if empty else ""
        self.block(node.body, lost or why, conditional=conditional)
        self.block(node.orelse, lost, conditional=conditional)

    def _with(self, node: ast.With | ast.AsyncWith, lost: str, conditional: bool) -> None:
        inside = lost
        for item in node.items:
            call = item.context_expr
            if not isinstance(call, ast.Call):
                continue
            if is_raises(call):
                body = "; ".join(ast.unparse(s) for s in node.body)
                self._claim([of_raises(call, node.lineno, body)], lost, conditional)
                if "AssertionError" in raised(call) and any(isinstance(s, ast.Assert) for s in node.body):
                    inside = inside or f"the block of line {node.lineno} waits for it to fail"
            elif last(call) == "suppress" and {last(a) for a in call.args} & BROAD:
                inside = inside or f"the `suppress` of line {node.lineno} swallows its failure"
        self.block(node.body, inside, conditional=conditional)

    def _try(self, node: ast.Try | ast.TryStar, lost: str, conditional: bool) -> None:
        inside = lost
        if any(_catches_all(h) and not _complains(h.body) for h in node.handlers):
            inside = inside or f"the `try` of line {node.lineno} swallows its failure"
        if any(isinstance(s, ast.Return) for s in node.finalbody):
            inside = inside or f"the `finally` of line {node.lineno} returns, whatever failed"
        self.block(node.body, inside, conditional=conditional)
        for handler in node.handlers:
            self.block(handler.body, lost, conditional=True)
        self.block(node.orelse, lost, conditional=conditional)
        self.block(node.finalbody, lost, conditional=conditional)

    def _ends(self, node: ast.stmt) -> bool:
        match node:
            case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
                return True
            case ast.Expr(value=ast.Call() as call):
                return last(call) in _LEAVES
            case ast.If(test=test, body=body, orelse=orelse):
                taken = fixed(test)
                if taken is not None:
                    return any(map(self._ends, body if taken else orelse))
                return any(map(self._ends, body)) and any(map(self._ends, orelse))
            case ast.With(body=body) | ast.AsyncWith(body=body):
                # Any context may swallow an exception, as `pytest.raises` does; what leaves otherwise, leaves.
                return any(self._ends(s) for s in body if not isinstance(s, (ast.Raise, ast.Expr)))
            case ast.While(test=test, body=body):
                return fixed(test) is True and not any(isinstance(n, ast.Break) for s in body for n in ast.walk(s))
            case _:
                return False

    def _leaves_sometimes(self, node: ast.If) -> bool:
        quiet = (ast.Return, ast.Expr)
        return any(isinstance(s, quiet) and self._ends(s) and "fail" not in ast.dump(s) for s in node.body)


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _word(node: ast.stmt) -> str:
    return next((k for k in ("return", "raise", "continue", "break") if isinstance(node, _KINDS[k])), "end")


_KINDS: dict[str, type[ast.stmt]] = {
    "return": ast.Return, "raise": ast.Raise, "continue": ast.Continue, "break": ast.Break,
}  # fmt: skip


def _raises_only(body: Sequence[ast.stmt]) -> bool:
    return len(body) == 1 and isinstance(body[0], ast.Raise)


def _catches_all(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    parts = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return bool({last(p) for p in parts} & {*BROAD, "failureException"})


def _complains(body: Sequence[ast.stmt]) -> bool:
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Raise, ast.Assert)):
                return True
            if isinstance(node, ast.Call) and (last(node) == "fail" or last(node).startswith("assert")):
                return True
    return False
