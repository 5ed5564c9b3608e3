"""What manifests and lock files may change where the goal is `deps`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.model import Goal, Verdict
from runner.policy.dependencies import DEPENDENCIES
from runner.policy.evaluate import evaluate
from runner.policy.schema import load_policy
from tests.unit.policy.static.conftest import make_case

Said = Callable[..., dict[str, str]]
NPM: dict[str, Any] = {"name": "a", "scripts": {"test": "jest"}, "dependencies": {"b": "^1.0.0"}}
PYTHON = """
[build-system]
requires = ["hatchling>=1"]
build-backend = "hatchling.build"
[project]
name = "a"
dependencies = ["b>=1"]
[tool.pytest.ini_options]
addopts = "-ra"
"""


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"dependencies": {"b": "^1.1.0"}}, {}),
        ({"devDependencies": {"c": "~2"}}, {}),
        ({"scripts": {"test": "jest", "postinstall": "node x.js"}}, {"dependencies.scripts": "block"}),
        ({"scripts": {"test": "true"}}, {"dependencies.scripts": "block"}),
        ({"jest": {"testMatch": []}}, {"dependencies.settings": "block"}),
        ({"dependencies": {"b": "git+https://host.example/b.git"}}, {"dependencies.source": "block"}),
        ({"dependencies": {"b": "https://host.example/b.tgz"}}, {"dependencies.source": "block"}),
        ({"dependencies": {"b": "someone/b"}}, {"dependencies.source": "block"}),
        ({"dependencies": {"b": "file:../b"}}, {"dependencies.source": "block"}),
        ({"dependencies": {"b": "npm:other@1.1.0"}}, {"dependencies.source": "block"}),
        ({"dependencies": {"b": "npm:b@1.1.0"}}, {}),
    ],
)
def test_package_json(said: Said, change: dict[str, Any], rules: dict[str, str]) -> None:
    base, head = (json.dumps(value, indent=2) + "\n" for value in (NPM, {**NPM, **change}))
    assert said({"package.json": base}, {"package.json": head}, Goal.DEPS) == rules


@pytest.mark.parametrize(
    ("old", "new", "rules"),
    [
        ("b>=1", "b>=2", {}),
        ("hatchling>=1", "hatchling>=2", {}),
        ('"hatchling.build"', '"backend"', {"dependencies.settings": "block"}),
        ('"-ra"', '"-p no:terminal"', {"dependencies.settings": "block"}),
        ("b>=1", "b @ https://host.example/b.whl", {"dependencies.source": "block"}),
        ("b>=1", "b @ git+https://host.example/b", {"dependencies.source": "block"}),
        ("[project]", "[project", {"dependencies.settings": "block"}),
    ],
)
def test_pyproject(said: Said, old: str, new: str, rules: dict[str, str]) -> None:
    assert said({"pyproject.toml": PYTHON}, {"pyproject.toml": PYTHON.replace(old, new)}, Goal.DEPS) == rules


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("b==2", {}),
        ("# see https://host.example/", {}),
        ("--index-url https://host.example/simple", {"dependencies.source": "block"}),
        ("--extra-index-url=https://host.example/simple", {"dependencies.source": "block"}),
        ("-e git+https://host.example/b#egg=b", {"dependencies.source": "block"}),
        ("b @ https://host.example/b.whl", {"dependencies.source": "block"}),
        ("https://host.example/b.whl", {"dependencies.source": "block"}),
    ],
)
def test_requirements(said: Said, line: str, rules: dict[str, str]) -> None:
    assert said({"requirements.txt": "b==1\n"}, {"requirements.txt": f"{line}\n"}, Goal.DEPS) == rules


def test_lock_files_and_their_hosts(said: Said) -> None:
    base = '{\n "resolved": "https://registry.example/b-1.tgz"\n}\n'
    good, bad = base.replace("b-1", "b-2"), base.replace("registry", "elsewhere")
    assert said({"package-lock.json": base}, {"package-lock.json": good}, Goal.DEPS) == {}
    assert said({"package-lock.json": base}, {"package-lock.json": bad}, Goal.DEPS) == {"dependencies.source": "block"}


def test_a_program_among_manifests_is_shown(said: Said) -> None:
    setup = "from setuptools import setup\nsetup(install_requires=['b>=1'])\n"
    assert said({"setup.py": setup}, {"setup.py": setup.replace("1", "2")}, Goal.DEPS) == {
        "dependencies.programs": "review"
    }
    evil = f"import urllib.request\nurllib.request.urlopen('https://host.example/')\n{setup}"
    assert said({"setup.py": setup}, {"setup.py": evil}, Goal.DEPS)["code.network_in_tests"] == "block"


_JSON = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda x: (
        st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(["dependencies", "scripts", "a"]), x, max_size=3)
    ),
    max_leaves=8,
)
_PATHS = st.sampled_from(["package.json", "pyproject.toml", "requirements.txt", "yarn.lock"])


@settings(deadline=None)  # it is about what is answered, on however busy a machine
@given(_JSON, _JSON, st.binary(max_size=40), _PATHS)
def test_odd_manifests_break_nothing(one: object, other: object, raw: bytes, path: str) -> None:
    for head in (json.dumps(other).encode(), raw):
        case = make_case({path: json.dumps(one)}, {path: head}, Goal.DEPS)
        found = evaluate(load_policy("default"), case, (DEPENDENCIES,))
        assert all(f.verdict is not Verdict.ERROR for f in found), found
