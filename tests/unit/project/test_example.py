"""The sample Node project: it is recognised, and its patches fit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from runner.project import Command, recognise
from runner.settings import RepoConfig

POSTAGE = Path(__file__).parents[3] / "examples/postage"


def test_it_is_recognised_without_a_word_of_its_own() -> None:
    files = {str(p.relative_to(POSTAGE)): p.read_bytes() for p in POSTAGE.rglob("*") if p.is_file()}
    found = recognise(files.get, files.keys(), RepoConfig.model_validate({}))
    assert isinstance(found.test, Command)
    assert "--test-reporter=junit" in found.test.line
    assert found.test.line.endswith("--test test/*.test.js")
    assert "test/postage.test.js" in found.tests


def test_its_patches_fit(tmp_path: Path) -> None:
    for patch in sorted(POSTAGE.glob("patches/*.patch")):
        copy = shutil.copytree(POSTAGE, tmp_path / patch.stem)
        subprocess.run(["git", "init", "-q"], cwd=copy, check=True)
        subprocess.run(["git", "apply", "--check", f"patches/{patch.name}"], cwd=copy, check=True)
    assert len(list(tmp_path.iterdir())) == 2
