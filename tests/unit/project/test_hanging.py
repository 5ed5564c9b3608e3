"""The plugin of pytest that does not wait for the same hanging test again and again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

from runner.project.hanging import INSTALL, MODULE

_TESTS = """
import time
import unittest

import pytest


@pytest.mark.parametrize("n", [1, 2, 3])
def test_ends(n):
    time.sleep(30)


def test_of_the_same_module():
    time.sleep(30)


class TestQuick(unittest.TestCase):
    def test_passes(self):
        pass
"""


def test_only_the_first_of_its_kind_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / f"{MODULE}.py").write_text(INSTALL.partition("<<'END'\n")[2].partition("\nEND\n")[0])
    (tmp_path / "test_hangs.py").write_text(_TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    options = ["-q", "--timeout=2.4", "-p", MODULE, "-p", "no:cacheprovider", "-p", "no:xdist", "--junitxml=out.xml"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options], cwd=tmp_path, capture_output=True, timeout=240, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTEST_ADDOPTS": ""},
    )  # fmt: skip
    assert ran.returncode == 1, ran.stdout.decode()
    cases = ET.parse(tmp_path / "out.xml").iter("testcase")
    took = {c.get("name"): float(c.get("time") or 0) for c in cases}
    assert took["test_ends[1]"] > 2.2  # the clock of the results is not the one of the time limit
    assert took["test_ends[2]"] < 2.4
    assert took["test_ends[3]"] < 2.4
    assert took["test_of_the_same_module"] < 2.4
    assert b"4 failed, 1 passed" in ran.stdout
