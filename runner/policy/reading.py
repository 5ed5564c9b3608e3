"""Sources are read before the rules are asked: every question about a file while its syntax tree is at hand.

Rules go through all files, one rule after another; trees are sixty times as large as their sources, so not all of them
can be kept from one rule to the next. The answers can, they are small. Nothing is judged here: a rule that asks finds
the answer there already, or works it out itself.
"""

from __future__ import annotations

from contextlib import suppress

from runner.policy.case import Case
from runner.policy.code import own_modules, uses_of
from runner.policy.integrity.cheating import cheats, tricks
from runner.policy.integrity.literals import answers
from runner.policy.integrity.product import javascript_tree
from runner.policy.integrity.python_walk import walked
from runner.policy.integrity.sides import Change, Sides, language, read_tests
from runner.policy.python_nodes import outline, tree_of


def read_ahead(case: Case) -> None:
    """Ask of every changed file of Python what the rules will ask."""
    sides, own = Sides(case), own_modules(case)
    for change in sides.changes:
        if language(change.path) == "python" and change.after is not None:
            # Whatever breaks here breaks again in the rule that asks, and is its ERROR.
            with suppress(Exception):
                _read(sides, change, change.after, own)


def _read(sides: Sides, change: Change, source: bytes, own: frozenset[str]) -> None:
    if outline(source).failure is not None:
        return
    if change.path in sides.case.lines:
        uses_of(change.path, source, own)
    if sides.is_test(change.path):
        read_tests(source, change.path)
    if change.added and sides.is_test(change.path):
        tricks(source, change.path, change.added)
    elif change.added:
        cheats(source, change.path, change.added, fixing=sides.fixes)
        answers(source, change.added)


def forget() -> None:
    """Drop what was read: trees are large, and the next patch has others."""
    for cache in (tree_of, outline, walked, javascript_tree, read_tests, uses_of, cheats, tricks, answers):
        cache.cache_clear()
