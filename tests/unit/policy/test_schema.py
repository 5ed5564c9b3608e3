"""Policies: read, refused where wrong, tightened and never loosened."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import ConfigError
from runner.model import Goal
from runner.policy.schema import Action, Policy, Table, known, load_policy

DEFAULT = load_policy("default")


def test_the_defaults_are_the_designs() -> None:
    assert (DEFAULT.size.max_files, DEFAULT.size.max_changed_lines, DEFAULT.attempts) == (10, 500, 3)
    assert (DEFAULT.pulls.per_day, DEFAULT.pulls.open, DEFAULT.land.approvals) == (5, 3, 1)
    assert (DEFAULT.land.method, DEFAULT.land.revert, DEFAULT.tests.red_green) == ("squash", True, True)
    assert (DEFAULT.coverage.max_drop, DEFAULT.coverage.min_changed) == (0.0, 80.0)


@pytest.mark.parametrize("name", known())
def test_every_key_of_a_built_in_policy_has_a_comment(name: str) -> None:
    lines = files("policies").joinpath(f"{name}.toml").read_text(encoding="utf-8").splitlines()
    for before, line in pairwise(lines):
        if "=" in line and not line.startswith((" ", "#")):
            assert before.startswith("#"), line


def test_an_unknown_policy_names_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_policy("defualt")
    assert "defualt" in caught.value.message
    assert "default" in caught.value.remedy


def test_a_file_of_ones_own_needs_only_what_differs(tmp_path: Path) -> None:
    file = tmp_path / "house.toml"
    file.write_text("[size]\nmax_files = 40\n")
    policy = load_policy(str(file))
    assert (policy.name, policy.size.max_files, policy.size.max_changed_lines) == ("house", 40, 500)
    assert policy.digest != DEFAULT.digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[size]\nmax_file = 3\n", "max_files"),
        ("[content]\nbinary = 'perhaps'\n", "content.binary"),
        ("[size]\nmax_files = -1\n", "size.max_files"),
        ("[paths]\nprotected = ['!src/**']\n", "!"),
        ("[land]\nmethod = 'octopus'\n", "land.method"),
        ("size = 3\n", "size"),
        ("[size\n", "house.toml"),
    ],
)
def test_a_wrong_file_is_refused_with_the_key(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "house.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_policy(str(file))
    assert said in caught.value.message + caught.value.remedy


def test_tightening() -> None:
    tight = DEFAULT.tighten(
        tomllib.loads(
            """
            attempts = 1
            [size]
            max_files = 3
            [paths]
            protected = ["migrations/**", "CODEOWNERS"]
            allowed = ["src/**", "tests/**"]
            [coverage]
            min_changed = 100
            [tests]
            changed = "block"
            [land]
            approvals = 2
            """
        )
    )
    assert (tight.attempts, tight.size.max_files, tight.land.approvals) == (1, 3, 2)
    assert tight.paths.protected == (*DEFAULT.paths.protected, "migrations/**")
    assert tight.paths.allowed == ("src/**", "tests/**")
    assert tight.tests.changed is Action.BLOCK
    assert tight.digest != DEFAULT.digest
    assert DEFAULT.tighten({}) is DEFAULT


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"size": {"max_files": 11}}, "size.max_files"),
        ({"attempts": 4}, "attempts"),
        ({"coverage": {"min_changed": 79.9}}, "coverage.min_changed"),
        ({"coverage": {"max_drop": 0.1}}, "coverage.max_drop"),
        ({"content": {"binary": "review"}}, "content.binary"),
        ({"tests": {"red_green": False}}, "tests.red_green"),
        ({"tests": {"changed": "allow"}}, "tests.changed"),
        ({"land": {"approvals": 0}}, "land.approvals"),
        ({"land": {"method": "squash"}}, "land.method"),
        ({"land": {"revert": False}}, "land.revert"),
        ({"name": "mine"}, "name"),
        ({"sizes": {"max_files": 1}}, "sizes"),
    ],
)
def test_loosening_is_refused_with_the_key(table: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DEFAULT.tighten(table)
    assert key in caught.value.message
    assert caught.value.remedy


def test_a_list_of_allowed_paths_can_only_be_narrowed() -> None:
    host = DEFAULT.tighten({"paths": {"allowed": ["src/**", "docs/**"]}})
    assert host.tighten({"paths": {"allowed": ["docs/**"]}}).paths.allowed == ("docs/**",)
    for looser in ([], ["**"], ["docs/**", "tests/**"]):
        with pytest.raises(ConfigError, match=r"paths\.allowed"):
            host.tighten({"paths": {"allowed": looser}})


@given(st.integers(0, 30), st.integers(0, 1000), st.floats(0, 100), st.lists(st.sampled_from("abc")), st.booleans())
def test_whatever_a_repository_says_the_host_is_the_floor(
    max_files: int, lines: int, changed: float, globs: list[str], red: bool
) -> None:
    table = {
        "size": {"max_files": max_files, "max_changed_lines": lines},
        "coverage": {"min_changed": changed},
        "paths": {"protected": globs},
        "tests": {"red_green": red},
    }
    try:
        tight = DEFAULT.tighten(table)
    except ConfigError:
        return
    assert tight.size.max_files <= DEFAULT.size.max_files
    assert tight.size.max_changed_lines <= DEFAULT.size.max_changed_lines
    assert tight.coverage.min_changed >= DEFAULT.coverage.min_changed
    assert set(tight.paths.protected) >= set(DEFAULT.paths.protected)
    assert tight.tests.red_green


def test_every_value_has_a_direction_and_a_description() -> None:
    def walk(table: type[Table]) -> int:
        count = 0
        for name, field in table.model_fields.items():
            inner = field.annotation
            if isinstance(inner, type) and issubclass(inner, Table):
                count += walk(inner)
                continue
            assert any(type(m).__name__ == "Direction" for m in field.metadata), name
            assert field.description, name
            count += 1
        return count

    assert walk(Policy) >= 20


def test_words_for_an_agent_follow_the_goal() -> None:
    assert "must fail on the code as it was" in DEFAULT.in_words(Goal.FIX)
    assert "nothing but tests" in DEFAULT.in_words(Goal.TEST)
    assert "manifests" not in DEFAULT.in_words(Goal.DEPS)
