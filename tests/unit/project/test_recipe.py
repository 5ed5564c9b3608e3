"""Project → recipe: which secrets a build gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.git.mirror import Mirror
from runner.project import environment_recipe, for_tree, recognise
from runner.settings import RepoConfig
from sandbox.api import SandboxError
from sandbox.image import environment_key

FILES = {"a.py": b"", "test_a.py": b""}


def test_secrets_are_for_builds_of_the_base_alone(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    file.write_bytes(b"words")
    host = RepoConfig.model_validate({"build_secrets": {".netrc": str(file)}})
    base = recognise(FILES.get, FILES.keys(), host)
    recipe = environment_recipe(base, Mirror(tmp_path), "0" * 40)
    assert recipe.secrets == {".netrc": b"words"}
    assert "words" not in repr(recipe)
    other = environment_recipe(for_tree(base, FILES.get, FILES.keys()), Mirror(tmp_path), "0" * 40)
    assert other.secrets == {}
    assert environment_key(recipe, "x") == environment_key(other, "x")


@pytest.mark.parametrize("place", ["/etc/passwd", "../x", "a/../../x", "", "."])
def test_places_outside_of_home(place: str, tmp_path: Path) -> None:
    (tmp_path / "f").touch()
    host = RepoConfig.model_validate({"build_secrets": {place: str(tmp_path / "f")}})
    with pytest.raises(SandboxError, match="not in the HOME"):
        environment_recipe(recognise(FILES.get, FILES.keys(), host), Mirror(tmp_path), "0" * 40)


def test_a_secret_that_is_not_there(tmp_path: Path) -> None:
    host = RepoConfig.model_validate({"build_secrets": {".npmrc": str(tmp_path / "none")}})
    with pytest.raises(SandboxError, match=r"build secret \.npmrc cannot be read"):
        environment_recipe(recognise(FILES.get, FILES.keys(), host), Mirror(tmp_path), "0" * 40)
