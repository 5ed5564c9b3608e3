"""A Python function's claims in the order of its statements, and which of them a failure would never show of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from runner.policy.integrity.conditions import looks_around, usually
from runner.policy.integrity.model import Claim, Skip, Strength
from runner.policy.integrity.python_claims import (
    BROAD,
    is_raises,
    last,
    of_assert,
    of_call,
    of_raises,
    raised,
)
from runner.policy.integrity.python_claims import truth as fixed
from runner.policy.integrity.python_own import Own
from runner.policy.integrity.python_swallow import answers, catches_failures, complains, swallows

_LEAVES = frozenset({"skip", "exit", "_exit", "abort", "xfail", "skipTest", "fail", "quit"})
_SKIPS = frozenset({"skip", "skipTest", "xfail", "importorskip"})
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Known:
    """What a module says of its names.

    `helpers` are functions that make claims, `names` what is assigned once, `aliases` what was imported under another
    name, `swallowers` contexts that let no failure out.
    """

    helpers: frozenset[str] = frozenset()
    names: Mapping[str, ast.expr] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    swallowers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Way:
    """How a statement is reached: see `Claim` for the first three. `asked` are the conditions on the way."""

    lost: str = ""
    conditional: bool = False
    rarely: str = ""
    asked: tuple[str, ...] = ()

    def losing(self, why: str) -> _Way:
        return replace(self, lost=self.lost or why) if why else self

    def seldom(self, why: str) -> _Way:
        return replace(self, conditional=True, rarely=self.rarely or why)


class Flow:
    """What the body of a function (or of a module) does, told by walking it once.

    Args:
        known: what the module says of its names.
    """

    def __init__(self, known: Known) -> None:
        self.claims: list[Claim] = []
        self.skips: list[Skip] = []
        self._known = known
        self._names: Mapping[str, ast.expr] = known.names
        self._own = Own(None)
        self._conditions: list[bool | None] = []
        self._skip_asked: list[tuple[str, ...]] = []
        self._answered: list[tuple[str, str, int]] = []

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Walk one function."""
        self._own = Own(node)
        self._names = {**self._known.names, **self._own.values}
        self._block(node.body, _Way())
        subjects = {_words(c.subject) for c in self.claims if c.subject}
        for number, asked in enumerate(self._skip_asked):
            if any(_within(subject, condition) for subject in subjects for condition in asked):
                # What skips where the outcome is not the wanted one, skips where it should fail.
                self.skips[number] = replace(self.skips[number], always=True)

    def module(self, body: Sequence[ast.stmt]) -> None:
        """Walk the statements of a module, which has neither functions nor classes here."""
        self._block(body, _Way())

    def _block(self, body: Sequence[ast.stmt], way: _Way) -> None:
        for statement in body:
            self._statement(statement, way)
            if not way.lost and self._ends(statement):
                way = way.losing(f"it stands after the `{_word(statement)}` of line {statement.lineno}")
            elif isinstance(statement, ast.If) and self._leaves_sometimes(statement):
                way = replace(way, conditional=True, asked=(*way.asked, ast.unparse(statement.test)))
            elif isinstance(statement, ast.Expr) and self._enters_silence(statement.value):
                way = way.losing(f"the context of line {statement.lineno} swallows its failure")

    def _statement(self, node: ast.stmt, way: _Way) -> None:  # noqa: C901, PLR0912 - a table
        match node:
            case ast.Assert():
                self._claim(of_assert(node), way)
            case ast.Expr(value=value) | ast.Return(value=ast.expr() as value):
                self._expression(value, way)
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                self._assigned(value, way)
            case ast.Raise(exc=ast.expr() as error):
                self._raise(error, node.lineno, way)
            case ast.If():
                self._if(node, way)
            case ast.For() | ast.AsyncFor() | ast.While():
                self._loop(node, way)
            case ast.With() | ast.AsyncWith():
                self._with(node, way)
            case ast.Try() | ast.TryStar():
                self._try(node, way)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                way = way.losing(self._own.why_idle(node))
                if self._own.in_thread(node):
                    way = way.seldom("in a thread, whose failure nobody sees")
                self._block(node.body, way)
            case ast.ClassDef(body=body):
                self._block(body, way)
            case ast.Match():
                self._match(node, way)
            case _:
                pass

    def _claim(self, found: Iterable[Claim], way: _Way) -> None:
        for claim in found:
            rarely = "" if claim.kind in ("fail", "raise") else way.rarely
            if not rarely and claim.subject and any(_within(_words(claim.subject), c) for c in way.asked):
                rarely = "where a condition has said so already"
            self.claims.append(replace(self._hollow(claim), lost=way.lost, conditional=way.conditional, rarely=rarely))

    def _hollow(self, claim: Claim) -> Claim:
        """The claim; nothing where what is expected is what was just computed, or what a handler put there."""
        value = self._own.values.get(claim.expected)
        if claim.kind in ("==", "is") and value is not None and ast.unparse(value) == claim.subject:
            return replace(claim, strength=min(claim.strength, Strength.TRUTHY), kind="equal to itself")
        if any((name, value) == (claim.subject, claim.expected) for name, value, _ in self._answered):
            return replace(claim, strength=Strength.NOTHING, kind="answered by a handler")
        return claim

    def _expression(self, value: ast.expr, way: _Way) -> None:
        if isinstance(value, (ast.Await, ast.YieldFrom)):
            value = value.value
        if isinstance(value, ast.Attribute) and value.attr.startswith("assert_"):
            idle = Claim(ast.unparse(value), value.lineno, ast.unparse(value.value), Strength.NOTHING, "never called")
            self._claim([idle], way)
        if not isinstance(value, ast.Call):
            return
        if last(value) in _SKIPS and not way.lost:
            self._skip(ast.unparse(value), value.lineno, way)
            return
        claim = of_call(value, value.lineno, self._known.helpers)
        if claim is not None:
            self._claim([claim], way)

    def _assigned(self, value: ast.expr, way: _Way) -> None:
        inner = value.value if isinstance(value, ast.Await) else value
        if isinstance(inner, ast.Call) and (is_raises(inner) or last(inner) == "importorskip"):
            self._expression(inner, way)

    def _raise(self, error: ast.expr, line: int, way: _Way) -> None:
        if last(error) in ("SkipTest", "Skipped") and not way.lost:
            self._skip(f"raise {ast.unparse(error)}", line, way)
        elif last(error) in ("AssertionError", "Failed"):
            text = f"raise {ast.unparse(error)}"
            self._claim([Claim(text, line, text, Strength.EXACT, "raise")], replace(way, asked=()))

    def _skip(self, text: str, line: int, way: _Way) -> None:
        always = all(answer is True for answer in self._conditions)
        self.skips.append(Skip(text, line, always))
        self._skip_asked.append(way.asked)

    def _if(self, node: ast.If, way: _Way) -> None:
        never = fixed(node.test)
        holds = usually(node.test, self._names)
        around = looks_around(node.test, self._names)
        if around:
            holds = True  # a look at the environment decides: not something that differs between usual machines
        asked = (*way.asked, ast.unparse(node.test))
        for body, dead, answer in ((node.body, never is False, holds), (node.orelse, never is True, _not(holds))):
            self._conditions.append(answer)
            inner = way.losing(f"the condition of line {node.lineno} never lets it run" if dead else "")
            if never is None and not _raises_only(body):
                inner = replace(inner, conditional=True, asked=asked)
                if around:
                    inner = inner.seldom(f"where the environment says so (line {node.lineno})")
                elif answer is False:
                    inner = inner.seldom(f"under the condition of line {node.lineno}, which holds on no usual machine")
            self._block(body, inner)
            self._conditions.pop()

    def _loop(self, node: ast.For | ast.AsyncFor | ast.While, way: _Way) -> None:
        empty = fixed(node.test) is False if isinstance(node, ast.While) else self._own.empty(node.iter)
        self._block(node.body, way.losing(f"the loop of line {node.lineno} never runs" if empty else ""))
        self._block(node.orelse, way)

    def _match(self, node: ast.Match, way: _Way) -> None:
        inner = replace(way, conditional=True, asked=(*way.asked, ast.unparse(node.subject)))
        for case in node.cases:
            never = (
                isinstance(node.subject, ast.Constant)
                and isinstance(case.pattern, ast.MatchValue)
                and isinstance(case.pattern.value, ast.Constant)
                and case.pattern.value.value != node.subject.value
            )
            self._block(case.body, inner.losing(f"the case of line {case.pattern.lineno} never holds" if never else ""))

    def _with(self, node: ast.With | ast.AsyncWith, way: _Way) -> None:
        inside = way
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Name):
                call = self._names.get(call.id, call)
            if self._silent(call):
                inside = inside.losing(f"the context of line {node.lineno} swallows its failure")
            if not isinstance(call, ast.Call):
                continue
            if is_raises(call) or self._word(call) in ("raises", "assertRaises"):
                body = "; ".join(ast.unparse(s) for s in node.body)
                self._claim([of_raises(call, node.lineno, body)], way)
                self._waiting(node, call, way)
                return
        self._block(node.body, inside)

    def _waiting(self, node: ast.With | ast.AsyncWith, call: ast.Call, way: _Way) -> None:
        """The block of a `raises`: what stands in it and asserts has failed, or was not come to, where all is well."""
        first = len(self.claims)
        self._block(node.body, way)
        broad = bool(raised(call) & (BROAD if "Warn" not in last(call) else frozenset()))
        for number in range(first, len(self.claims)):
            claim = self.claims[number]
            if claim.kind in ("call", "raises", "warns", "raise", "fail") or last(call) in _WARNS:
                continue
            if broad:
                why = f"the block of line {node.lineno} waits for it to fail"
                self.claims[number] = replace(claim, lost=claim.lost or why)
            else:
                why = f"in a block that waits for an exception (line {node.lineno})"
                self.claims[number] = replace(claim, conditional=True, rarely=claim.rarely or why)

    def _word(self, node: ast.expr) -> str:
        return self._known.aliases.get(last(node), last(node))

    def _silent(self, context: ast.expr) -> bool:
        return swallows(context, self._word(context), self._names, self._known.swallowers)

    def _enters_silence(self, value: ast.expr) -> bool:
        """`stack.enter_context(suppress(AssertionError))`"""
        entering = isinstance(value, ast.Call) and last(value) in ("enter_context", "enterContext")
        return entering and isinstance(value, ast.Call) and any(map(self._silent, value.args))

    def _try(self, node: ast.Try | ast.TryStar, way: _Way) -> None:
        inside = way
        if any(catches_failures(h.type, self._names) and not complains(h) for h in node.handlers):
            inside = inside.losing(f"the `try` of line {node.lineno} swallows its failure")
        if any(isinstance(s, (ast.Return, ast.Break, ast.Continue)) for s in node.finalbody):
            inside = inside.losing(f"the `finally` of line {node.lineno} leaves, whatever failed")
        self._block(node.body, inside)
        for handler in node.handlers:
            self._block(handler.body, way.seldom(f"in the handler of line {handler.lineno}"))
        self._answered += answers(node.handlers)
        left = any(isinstance(s, ast.Raise) for s in node.body)
        self._block(node.orelse, way.losing(f"the `else` of line {node.lineno} is never come to") if left else way)
        self._block(node.finalbody, way)

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


_WARNS = frozenset({"warns", "assertWarns", "assertWarnsRegex", "deprecated_call", "assertLogs"})


def _not(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _words(text: str) -> str:
    return " ".join(_WORD.findall(text))


def _within(subject: str, condition: str) -> bool:
    """Whether a condition asks for what a claim is about."""
    return bool(subject) and f" {subject} " in f" {_words(condition)} "


def _word(node: ast.stmt) -> str:
    return next((k for k in ("return", "raise", "continue", "break") if isinstance(node, _KINDS[k])), "end")


_KINDS: dict[str, type[ast.stmt]] = {
    "return": ast.Return, "raise": ast.Raise, "continue": ast.Continue, "break": ast.Break,
}  # fmt: skip


def _raises_only(body: Sequence[ast.stmt]) -> bool:
    return len(body) == 1 and isinstance(body[0], ast.Raise)
