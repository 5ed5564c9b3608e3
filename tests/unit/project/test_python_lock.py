"""Lock files of Poetry and Pipenv decide the versions; nothing but names and versions is taken from them."""

from __future__ import annotations

import json
import subprocess

import pytest

from runner.project import Project, recognise
from runner.project.python_lock import constraints, pipfile
from runner.settings import RepoConfig

POETRY = """
[[package]]
name = "Zope.Interface"
version = "5.0"
[[package]]
name = "numpy"
version = "1.26"
[[package]]
name = "numpy"
version = "2.0"
[[package]]
name = "ours"
version = "1.0"
source = {type = "git", url = "https://example.org/x"}
[[package]]
name = "bad; id"
version = "1"
[[package]]
name = "worse"
version = "1'; id"
"""
PIPENV = {
    "default": {"flask": {"version": "==3.0.1"}, "loose": {"version": "*"}, "here": {"path": "."}},
    "develop": {"pytest": {"version": "==8.0.0", "markers": "x"}},
    "_meta": {},
}
PIPFILE = """
[packages]
flask = "*"
click = {version = ">=8", extras = ["a"]}
here = {path = "."}
bad = "; id"
[dev-packages]
pytest = "~=8.0"
"""


def project(files: dict[str, str]) -> Project:
    every = {"a.py": "", "test_a.py": "", **files}
    return recognise(
        lambda path: every[path].encode() if path in every else None, every.keys(), RepoConfig.model_validate({})
    )


def test_poetry() -> None:
    assert constraints(lambda _: POETRY.encode(), {"poetry.lock"}) == ("zope-interface==5.0",)
    assert constraints(lambda _: b"[", {"poetry.lock"}) == ()
    assert constraints(lambda _: b"package = 1", {"poetry.lock"}) == ()


def test_pipenv() -> None:
    locked = json.dumps(PIPENV).encode()
    assert constraints(lambda _: locked, {"Pipfile.lock"}) == ("flask==3.0.1", "pytest==8.0.0")
    for odd in (b"[", b"[]", b'{"default": []}', b'{"default": {"a": 1}}'):
        assert constraints(lambda _, odd=odd: odd, {"Pipfile.lock"}) == ()
    assert pipfile(lambda _: PIPFILE.encode(), {"Pipfile"}) == ("flask", "click[a]>=8", "pytest~=8.0")
    assert pipfile(lambda _: b"packages = 1", {"Pipfile"}) == ()


def test_the_environment_is_installed_as_locked() -> None:
    found = project({"Pipfile": PIPFILE, "Pipfile.lock": json.dumps(PIPENV)})
    setup = "\n".join(found.setup)
    assert "flask==3.0.1\npytest==8.0.0" in setup
    assert "click[a]>=8" in setup
    assert {"Pipfile", "Pipfile.lock"} <= found.key_files.keys()
    for step in found.setup:
        subprocess.run(["/bin/sh", "-n"], input=step, text=True, check=True)
    assert "automend/locked" not in "\n".join(project({}).setup)
    assert "automend/locked" not in "\n".join(project({"uv.lock": "", "poetry.lock": POETRY}).setup)


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"uv.lock": '[[package]]\nname = "coverage"\nversion = "7.10.1"\n'}, "coverage!=7.10.0,!=7.10.1,!=7.10.2"),
        ({"uv.lock": '[[package]]\nname = "coverage"\nversion = "7.10.3"\n'}, "pytest coverage"),
        ({"Pipfile.lock": '{"develop": {"coverage": {"hashes": [], "version": "==7.10.0"}}}'}, "coverage!=7.10.0"),
        (
            {"Pipfile.lock": '{"develop": {"coverage": {"version": "==7.9"}, "b": {"version": "==7.10.0"}}}'},
            "pytest coverage",
        ),
    ],
)
def test_a_coverage_that_cannot_run_in_our_environment_is_not_kept(files: dict[str, str], wanted: str) -> None:
    assert wanted in "\n".join(project(files).setup)
