"""What keeps a JavaScript assertion from being made, or its failure from showing."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tree_sitter import Node

from runner.policy.integrity.model import Skip
from runner.policy.integrity.syntax import FUNCTIONS, callee, line, names, text, truth, walk

_LATER = frozenset({"setTimeout", "setImmediate", "setInterval", "queueMicrotask", "nextTick", "requestAnimationFrame"})
_CHAINED = frozenset({"then", "catch", "finally"})
_TELLS_END = re.compile(r"(?<![.\w])(done|resolve|reject|end|next|callback|cb|finish)\b")
_WORD = re.compile(r"\w+")
_ITERATES = frozenset({"forEach", "map", "filter", "every", "some", "flatMap", "reduce"})


@dataclass(frozen=True)
class Scope:
    """Where a piece of a test file stands: see `Claim` for `lost`, `conditional` and `rarely`.

    `asked` are the conditions on the way to it.
    """

    prefix: str = ""
    skips: tuple[Skip, ...] = ()
    lost: str = ""
    conditional: bool = False
    rarely: str = ""
    asked: tuple[str, ...] = ()

    def losing(self, why: str) -> Scope:
        """The scope, where no failure shows."""
        return replace(self, lost=self.lost or why) if why else self

    def seldom(self, why: str) -> Scope:
        """The scope, where a run in which all is well does not come."""
        return replace(self, conditional=True, rarely=self.rarely or why) if why else self

    def under(self, condition: Node | None) -> Scope:
        """The scope, where it is only come to sometimes."""
        return replace(self, conditional=True, asked=(*self.asked, text(condition)))

    def says(self, subject: str) -> str:
        """Why a claim on `subject` is rarely made here; empty where it is made."""
        words = " ".join(_WORD.findall(subject))
        said = any(words and f" {words} " in f" {' '.join(_WORD.findall(c))} " for c in self.asked)
        return self.rarely or ("where a condition has said so already" if said else "")


def ends(node: Node) -> bool:
    """Whether nothing after a statement is run."""
    if node.type in ("return_statement", "throw_statement", "break_statement", "continue_statement"):
        return True
    if node.type == "if_statement" and truth(node.child_by_field_name("condition")) is True:
        part = node.child_by_field_name("consequence")
        return part is not None and (ends(part) or any(map(ends, part.named_children)))
    return False


def leaves(node: Node) -> bool:
    """Whether an `if` may leave the function."""
    part = node.child_by_field_name("consequence")
    if part is None:
        return False
    return any(n.type == "return_statement" for n in (part, *part.named_children))


def complains(handler: Node) -> bool:
    """Whether something that handles a failure may tell of it."""
    for node in walk(handler):
        if node.type == "throw_statement":
            return True
        if node.type == "call_expression":
            chain = names(callee(node))
            if chain[:1] in (["expect"], ["assert"], ["done"], ["reject"]) or "fail" in chain or chain[:1] == ["t"]:
                return True
    return False


def silent(function: Node) -> bool:
    """Whether a function takes a failure and tells nobody."""
    return function.type in FUNCTIONS and not complains(function)


def idle(node: Node, times_named: int) -> bool:
    """Whether a declared name holds a function that nobody calls."""
    value = node.child_by_field_name("value")
    return node.type == "variable_declarator" and value is not None and value.type in FUNCTIONS and times_named <= 1


def late(node: Node, chain: list[str]) -> str:
    """Why what a call is given runs when the test is over, or "" where it does not."""
    if chain[-1:] and chain[-1] in _LATER and not _TELLS_END.search(text(node)) and not _promised(node):
        return f"after the test, by the `{chain[-1]}` of line {line(node)}"
    if chain[-1:] and chain[-1] in _CHAINED and unawaited(node) and not _TELLS_END.search(text(node)):
        return f"in a promise that nobody awaits (line {line(node)})"
    function = callee(node)
    inner = function.named_children[0] if function is not None and function.type == "parenthesized_expression" else None
    if inner is not None and inner.type in FUNCTIONS and text(inner).startswith("async") and unawaited(node):
        return f"in a promise that nobody awaits (line {line(node)})"
    if any(child.type == "optional_chain" for child in node.children):
        return f"in a call of line {line(node)} that may not be made"
    return ""


def _promised(node: Node) -> bool:
    above = node.parent
    while above is not None:
        if above.type == "new_expression":
            return True
        above = above.parent
    return False


def unawaited(node: Node) -> bool:
    """Whether a call stands alone as a statement, so that nobody waits for what it promises."""
    return node.parent is not None and node.parent.type == "expression_statement"


def never_loops(node: Node) -> str:
    """Why the body of a loop, or the callback of one, never runs; "" where it may."""
    if node.type == "call_expression":
        function = callee(node)
        owner = function.child_by_field_name("object") if function is not None else None
        if owner is not None and text(owner) == "[]" and names(function)[-1:] and names(function)[-1] in _ITERATES:
            return f"the loop of line {line(node)} never runs"
        return ""
    over = node.child_by_field_name("right") or node.child_by_field_name("condition")
    condition = over.named_children[0] if over is not None and over.type == "expression_statement" else over
    empty = text(condition) == "[]" or (node.type != "for_in_statement" and truth(condition) is False)
    if node.type == "for_statement" and condition is not None and condition.type == "binary_expression":
        start = re.search(r"=\s*(\d+)\s*;?$", text(node.child_by_field_name("initializer")))
        end = text(condition.child_by_field_name("right"))
        below = text(condition.child_by_field_name("operator")) == "<"
        empty = empty or (start is not None and below and end.isdigit() and int(end) <= int(start[1]))
    return f"the loop of line {line(node)} never runs" if empty else ""


def sides(node: Node) -> tuple[Node | None, tuple[tuple[Node, bool | None], ...]]:
    """What `a && b`, `a || b` and `a ? b : c` ask, and what follows with whether it does: True, False, or sometimes."""
    if node.type == "ternary_expression":
        condition = node.child_by_field_name("condition")
        fixed = truth(condition)
        yes, no = node.child_by_field_name("consequence"), node.child_by_field_name("alternative")
        given = ((yes, fixed), (no, None if fixed is None else not fixed))
        return condition, tuple((part, follows) for part, follows in given if part is not None)
    operator = text(node.child_by_field_name("operator"))
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if operator not in ("&&", "||", "??") or right is None:
        return None, ()
    fixed = truth(left)
    follows = fixed if operator == "&&" else None if fixed is None or operator == "??" else not fixed
    return left, ((right, follows),)
