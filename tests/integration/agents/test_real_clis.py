"""The real codex and claude in a sealed container, with a scripted model behind the gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.model import Outcome
from runner.ports import Agent, Budget

pytestmark = [pytest.mark.docker, pytest.mark.agents, pytest.mark.timeout(300)]

FIX = """
[[attempt]]
turns = [
  { shell = "sed -i 's/a - b/a + b/' calc.py", say = "I mend the sign." },
  { shell = "grep -n 'a + b' calc.py" },
  { say = "The sign was wrong." },
]
"""
FIXED = "def add(a, b):\n    return a + b\n"
BOTH = pytest.mark.parametrize("cli", ["codex", "claude"])


@BOTH
def test_fixes_a_file(agent: Callable[..., Agent], attempt: Callable[..., object], cli: str) -> None:
    done = attempt(agent(cli, FIX))
    tried = done.attempt
    assert (tried.outcome, tried.detail) == (Outcome.DONE, "")
    assert done.calc == FIXED
    assert tried.message == "The sign was wrong."
    assert tried.tool_calls == 2
    assert tried.exit_code == 0
    assert tried.usage.requests == 3
    assert tried.usage.input > 1000
    assert tried.usage.output > 10
    lines = Path(tried.transcript).read_text().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)
    exchanges = [json.loads(line) for line in done.record]
    assert [e["status"] for e in exchanges if e["path"].startswith("POST")] == [200, 200, 200]
    assert sum(e["usage"]["input"] for e in exchanges) == tried.usage.input
