import pytest

from runner.errors import ConfigError
from runner.policy.explain import explained
from runner.policy.schema import Direction, load_policy


def by_key(name, tightening=None):
    return {s.key: s for s in explained(name, tightening or {})[1]}


def test_every_key_is_explained():
    policy, settings = explained("default", {})
    assert policy.digest == load_policy("default").digest
    assert all(s.description for s in settings)
    assert {s.direction for s in settings} <= {d.value for d in Direction}
    assert {s.source for s in settings} == {"built-in default"}
    known = {f"{t}.{k}" for t, v in policy.model_dump().items() if isinstance(v, dict) for k in v}
    assert known <= {s.key for s in settings}


def test_a_file_has_the_word_on_its_own_keys(tmp_path):
    below = tmp_path / "house.toml"
    below.write_text("[size]\nmax_files = 9\nmax_changed_lines = 99\n")
    above = tmp_path / "team.toml"
    above.write_text('extends = "house.toml"\n[size]\nmax_files = 8\n')
    found = by_key(str(above))
    assert (found["size.max_files"].value, found["size.max_files"].source) == (8, str(above))
    assert (found["size.max_changed_lines"].value, found["size.max_changed_lines"].source) == (99, str(below))
    assert found["attempts"].source == "built-in default"


def test_what_the_repository_tightened_is_told():
    found = by_key(
        "default", {"size": {"max_files": 1}, "paths": {"protected": ["ours/"]}, "content": {"binary": "block"}}
    )
    assert (found["size.max_files"].value, found["size.max_files"].source) == (
        1,
        "tightened by .automend.toml on the base",
    )
    assert found["paths.protected"].value[-1] == "ours/"
    assert found["paths.protected"].source == "built-in default, and .automend.toml on the base"
    assert found["content.binary"].source == "built-in default"  # it says what the host says anyway


def test_a_repository_that_would_loosen_is_told_as_by_the_gate():
    with pytest.raises(ConfigError, match=r"size\.max_files"):
        explained("default", {"size": {"max_files": 100_000}})
    with pytest.raises(ConfigError, match="no policy"):
        explained("nothing", {})
