"""docs/policy.md tells every static rule with the default that it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from runner.policy.schema import Action, load_policy

PAGE = (Path(__file__).parents[4] / "docs/policy.md").read_text(encoding="utf-8")
DEFAULT = load_policy("default")
TABLES = ("shape", "content", "secrets", "text", "code", "dependencies")
CAPS = {"code.in_tests", "code.in_improvements"}  # no rules: the most that follows from others
ACTIONS = [
    (f"{table}.{key}", value)
    for table in TABLES
    for key, value in getattr(DEFAULT, table)
    if isinstance(value, Action) and f"{table}.{key}" not in CAPS
] + [(f"paths.{key}", value) for key, value in DEFAULT.paths if isinstance(value, Action)]


@pytest.mark.parametrize(("rule", "action"), ACTIONS)
def test_a_rule_is_told_with_its_default(rule: str, action: Action) -> None:
    rows = [line for line in PAGE.splitlines() if re.match(rf"\| .*`{re.escape(rule)}`.* \|", line)]
    assert len(rows) == 1, rule
    assert rows[0].split(" | ")[1] == action.value
