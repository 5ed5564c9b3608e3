"""Project → environment image: what the sandbox needs to know to build it once."""

from __future__ import annotations

from runner.git.mirror import Mirror
from runner.git.trees import export
from runner.project.model import Project
from sandbox.api import EnvironmentRecipe


def environment_recipe(project: Project, mirror: Mirror, tree: str) -> EnvironmentRecipe:
    """How to build the image in which the project's commands run; `tree` is the checkout that it is set up in."""
    return EnvironmentRecipe(setup=project.setup, key_files=dict(project.key_files), tree=lambda: export(mirror, tree))
