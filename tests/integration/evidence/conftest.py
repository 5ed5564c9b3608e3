"""`automend` in this process's place: the installed script, with a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(sys.executable).with_name("automend")
Automend = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def automend(home: Path) -> Automend:
    """Runs a command and returns how it ended."""

    def run(*args: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "AUTOMEND_HOME": str(home), "COLUMNS": "300"}
        done = subprocess.run([SCRIPT, *args], env=env, capture_output=True, text=True, timeout=600, check=False)
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run
