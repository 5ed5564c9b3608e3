"""What a repository needs to be set up, tested and measured; read from files of the base, never by running any."""

from runner.project.generated import restore, withdraw
from runner.project.model import Command, Lint, Project, Pytest
from runner.project.recipe import environment_recipe
from runner.project.recognise import for_tree, recognise, with_first_tests

__all__ = [
    "Command",
    "Lint",
    "Project",
    "Pytest",
    "environment_recipe",
    "for_tree",
    "recognise",
    "restore",
    "with_first_tests",
    "withdraw",
]
