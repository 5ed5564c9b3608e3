"""Policies: read, refused where wrong, tightened and never loosened."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import ConfigError
from runner.model import Goal
from runner.policy.globs import Globs
from runner.policy.schema import Action, Direction, Policy, Table, known, load_policy

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


def _fields(table: type[Table]) -> list[tuple[tuple[str, ...], Direction, Any]]:
    """(keys, direction, type) of every value of a policy."""
    found: list[tuple[tuple[str, ...], Direction, Any]] = []
    for name, field in table.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, Table):
            found += [((name, *path), way, kind) for path, way, kind in _fields(inner)]
        else:
            way = next(m for m in field.metadata if isinstance(m, Direction))
            found.append(((name,), way, inner))
    return found


FIELDS = _fields(Policy)
STRICTNESS = [Action.ALLOW, Action.REVIEW, Action.BLOCK]


def _value_of(policy: Policy, path: tuple[str, ...]) -> Any:
    value: Any = policy
    for key in path:
        value = getattr(value, key)
    return value


def _wish(kind: Any) -> st.SearchStrategy[Any]:
    if kind is Action:
        return st.sampled_from([a.value for a in Action])
    if kind in (bool, int, float, str):
        return {bool: st.booleans(), int: st.integers(-1, 10**7), float: st.floats(-1, 101), str: st.text()}[kind]
    return st.lists(st.sampled_from(["src/**", "docs/**", "*", "!src/**", "", "CODEOWNERS"]))


def _looser(way: Direction, host: Any, now: Any) -> bool:
    return {
        Direction.LOWER: lambda: now > host,
        Direction.HIGHER: lambda: now < host,
        Direction.GROWS: lambda: not set(now) >= set(host),
        Direction.NARROWS: lambda: bool(host) and (not now or not set(now) <= set(host)),
        Direction.STRICTER: lambda: STRICTNESS.index(now) < STRICTNESS.index(host),
        Direction.ON: lambda: host and not now,
        Direction.FIXED: lambda: host != now,
    }[way]()


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_whatever_a_repository_says_the_host_is_the_floor(data: st.DataObject) -> None:
    host = load_policy(data.draw(st.sampled_from(known())))
    table: dict[str, Any] = {}
    for path, _, kind in data.draw(st.lists(st.sampled_from(FIELDS), max_size=4)):
        at = table
        for key in path[:-1]:
            at = at.setdefault(key, {})
        at[path[-1]] = data.draw(_wish(kind))
    try:
        tight = host.tighten(table)
    except ConfigError:
        return  # refused, with the key's name
    for path, way, _ in FIELDS:
        assert not _looser(way, _value_of(host, path), _value_of(tight, path)), path


@given(st.data())
def test_what_is_stricter_is_taken(data: st.DataObject) -> None:
    path, _, _ = data.draw(st.sampled_from([f for f in FIELDS if f[1] is Direction.STRICTER]))
    tight = DEFAULT.tighten({path[0]: {path[1]: "block"}})
    assert _value_of(tight, path) is Action.BLOCK


def test_a_repository_cannot_extend() -> None:
    with pytest.raises(ConfigError, match="extends"):
        DEFAULT.tighten({"extends": "docs-only"})


def test_a_policy_extends_another(tmp_path: Path) -> None:
    house = tmp_path / "house.toml"
    house.write_text("extends = 'strict'\n[size]\nmax_files = 7\n")
    team = tmp_path / "teams" / "team.toml"
    team.parent.mkdir()
    team.write_text("extends = '../house.toml'\n[land]\napprovals = 3\n")
    policy = load_policy(str(team))
    assert (policy.name, policy.size.max_files, policy.land.approvals) == ("team", 7, 3)
    assert policy.code.shell is Action.BLOCK
    assert policy.size.max_changed_lines == load_policy("strict").size.max_changed_lines


@pytest.mark.parametrize("under", ["'b.toml'", "'nobody'", "3", "'a.toml'"])
def test_a_chain_without_an_end_is_refused(tmp_path: Path, under: str) -> None:
    (tmp_path / "a.toml").write_text(f"extends = {under}\n")
    (tmp_path / "b.toml").write_text("extends = 'a.toml'\n")
    with pytest.raises(ConfigError) as caught:
        load_policy(str(tmp_path / "a.toml"))
    assert caught.value.remedy


@pytest.mark.parametrize("path", [f[0] for f in FIELDS if f[1] is not Direction.FIXED], ids=".".join)
def test_strict_is_nowhere_looser_than_default(path: tuple[str, ...]) -> None:
    way = next(w for p, w, _ in FIELDS if p == path)
    assert not _looser(way, _value_of(DEFAULT, path), _value_of(load_policy("strict"), path))


def test_the_built_in_policies() -> None:
    assert known() == ["default", "dependencies", "docs-only", "strict"]
    assert all(load_policy(name).name == name for name in known())
    assert "docs/conf.py" not in Globs(load_policy("docs-only").paths.allowed)
    assert all(path in Globs(load_policy("docs-only").paths.allowed) for path in ("README.md", "docs/a/b.rst"))


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


def test_words_for_an_agent_follow_what_the_policy_blocks() -> None:
    assert "no test needs" not in DEFAULT.in_words(Goal.FIX)
    asking = DEFAULT.tighten({"necessity": {"unneeded": "block"}, "mutants": {"survived": "block"}})
    assert "no test needs" in asking.in_words(Goal.FIX)
    assert "notice a mistake" in asking.in_words(Goal.FIX)
