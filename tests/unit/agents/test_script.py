from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runner.agents import script as script_module
from runner.agents.script import Turn, load_script
from runner.errors import ConfigError


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "script.toml"
    path.write_text(text)
    return path


def test_the_last_entry_serves_all_later_attempts(tmp_path: Path) -> None:
    script = load_script(write(tmp_path, '[[attempt]]\nturns=[{say="a"}]\n[[attempt]]\nturns=[{say="b"}]\n'))
    assert [script.turns(n)[0].say for n in (1, 2, 3, 9)] == ["a", "b", "b", "b"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "attempt"),
        ("[[attempt]]\nturns=[]", "attempt.0.turns"),
        ("[[attempt]]\nturns=[{}]", "a turn is one of"),
        ('[[attempt]]\nturns=[{shell="a", fail=500}]', "a turn is one of"),
        ('[[attempt]]\nturns=[{say="a", cut=true}]', "a fault says nothing"),
        ("[[attempt]]\nturns=[{fail=200}]", "fail"),
        ('[[attempt]]\nturns=[{shel="a"}]', "shel"),
        ("[[attempt]", "not valid TOML"),
        ('[[attempt]]\nturns=[{apply="gone.patch"}]', "gone.patch"),
    ],
)
def test_a_wrong_script_is_explained(tmp_path: Path, text: str, words: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_script(path)
    assert words in caught.value.message
    assert str(path) in caught.value.message


def test_no_script(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_script(tmp_path / "none.toml")


@pytest.mark.parametrize("piece", [90_000, 50])
def test_a_patch_is_applied_by_shell_commands(tmp_path: Path, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script_module, "_PIECE", piece)
    monkeypatch.setattr(script_module, "_LANDING", str(tmp_path / "landing"))
    patch = '--- a/f.txt\n+++ b/f.txt\n@@ -1 +1 @@\n-one\n+it\'s "two" $HOME ü\n'
    (tmp_path / "p.patch").write_text(patch)
    turns = load_script(write(tmp_path, '[[attempt]]\nturns=[{apply="p.patch", say="I patch."}]')).turns(1)
    assert turns[0].say == "I patch."
    assert all(turn.shell and len(turn.shell) < 128 * 1024 for turn in turns)
    work = tmp_path / "work"
    work.mkdir()
    (work / "f.txt").write_text("one\n")
    for turn in turns:
        assert turn.shell is not None
        subprocess.run(["sh", "-c", turn.shell], cwd=work, check=True)
    assert (work / "f.txt").read_text() == 'it\'s "two" $HOME ü\n'


def test_faults_are_known() -> None:
    assert Turn(fail=500).fault
    assert Turn(stall=1).fault
    assert Turn(cut=True).fault
    assert not Turn(shell="x", say="y").fault
