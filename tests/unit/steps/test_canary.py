"""What was planted for an agent to find, and where it turns up."""

from __future__ import annotations

import base64
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runner.errors import ConfigError, Refused
from runner.git import diff
from runner.git.mirror import Mirror
from runner.steps.canary import Canaries, canaries, leaks, refuse_leaks
from tests.conftest import Repo

KNOWN = Canaries(variable="0123456789abcdef" * 2 + "01234567", prompt="fedcba9876543210" * 2 + "fedcba98")
RAW = bytes.fromhex(KNOWN.variable)


def test_they_are_the_same_whenever_asked_and_others_for_others(tmp_path: Path) -> None:
    first = canaries(tmp_path, "run-1", 1)
    assert first == canaries(tmp_path, "run-1", 1)
    others = [canaries(tmp_path, "run-1", 2), canaries(tmp_path, "run-2", 1)]
    assert len({first.variable, first.prompt, *(c.variable for c in others), *(c.prompt for c in others)}) == 6
    assert (tmp_path / "canary.key").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["canary.key"]


def test_a_key_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"canary\.key cannot be read or made"):
        canaries(tmp_path / "nowhere", "run-1", 1)


@pytest.mark.parametrize(
    "text",
    [
        KNOWN.variable,
        f"token = '{KNOWN.variable.upper()}'",
        "-".join(KNOWN.variable[n : n + 8] for n in range(0, 40, 8)),
        f"{KNOWN.variable[:20]}' + '{KNOWN.variable[20:]}",
        KNOWN.variable[::-1],
        KNOWN.variable.encode().hex(),
        base64.b64encode(KNOWN.variable.encode()).decode(),
        base64.b64encode(f"DEPLOY_TOKEN={KNOWN.variable}\n".encode()).decode(),
        base64.b64encode(f"x{KNOWN.variable} and more".encode()).decode(),
        base64.urlsafe_b64encode(b"\xff\xfe" + RAW + b"\xff").decode(),
        base64.b64encode(RAW).decode(),
    ],
)
def test_a_canary_is_known_in_its_disguises(text: str) -> None:
    assert KNOWN.seen_in(f"before {text} after") == "environment"


@pytest.mark.parametrize("text", ["", "nothing", KNOWN.variable[:-1], "0123456789abcdef" * 2, "f" * 4000, "A" * 4000])
def test_other_text_has_none(text: str) -> None:
    assert KNOWN.seen_in(text) is None


def test_added_lines_names_and_last_words_are_looked_at(tmp_path: Path, make_repo: Any) -> None:
    half = len(KNOWN.prompt) // 2
    repo: Repo = make_repo({"old.txt": f"{KNOWN.prompt}\n", "b.txt": "b\n"})
    start = repo.head
    repo.commit(
        {
            "old.txt": f"{KNOWN.prompt}\nmore\n",  # it was there before: nothing was carried
            "b.txt": f"b\n\n{KNOWN.variable}\n",
            f"{KNOWN.prompt}.md": "x\n",
            "cut.txt": f"{KNOWN.variable[:half]}\n{KNOWN.variable[half:]}\n",
        }
    )
    mirror = Mirror(tmp_path / "mirror.git")
    mirror.ensure()
    base, head = (mirror.tree_of(mirror.fetch(str(repo.path), ref=sha, auth={})) for sha in (start, repo.head))
    found = leaks(KNOWN, mirror, base, head, f"Done. {KNOWN.prompt}")
    assert [(f.path, f.line) for f in found if f.line] == [("b.txt", 3)]
    assert {f.path for f in found} == {"b.txt", f"{KNOWN.prompt}.md", "cut.txt", None}
    assert all(f.rule == "leak.canary" and f.remedy for f in found)
    assert leaks(KNOWN, mirror, base, base, "Done.") == ()


def test_a_patch_that_is_too_large_to_be_read_is_left_to_the_gate(
    tmp_path: Path, make_repo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo: Repo = make_repo({"a.txt": "a\n"})
    start = repo.head
    repo.commit({"a.txt": f"{KNOWN.variable}\n" + "b\n" * 2000, KNOWN.prompt: "x\n"})
    mirror = Mirror(tmp_path / "mirror.git")
    mirror.ensure()
    base, head = (mirror.tree_of(mirror.fetch(str(repo.path), ref=sha, auth={})) for sha in (start, repo.head))
    monkeypatch.setattr(diff, "_PATCH_BYTES", 1000)
    assert [f.path for f in leaks(KNOWN, mirror, base, head, "Done.")] == [KNOWN.prompt]
    assert [f.path for f in leaks(KNOWN, mirror, base, head, KNOWN.prompt)] == [KNOWN.prompt, None]


def test_words_for_people_are_stopped(tmp_path: Path) -> None:
    house: Any = SimpleNamespace(host=SimpleNamespace(home=tmp_path))
    run: Any = SimpleNamespace(id="run-1", attempts=[SimpleNamespace(number=1), SimpleNamespace(number=2)])
    refuse_leaks(house, run, "All is well.")
    with pytest.raises(Refused, match=r"leak\.canary"):
        refuse_leaks(house, run, f"See {canaries(tmp_path, 'run-1', 2).prompt}.")
