"""Project → environment image: what the sandbox needs to know to build it once."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from runner.git.mirror import Mirror
from runner.git.trees import export
from runner.project.model import Project
from sandbox.api import EnvironmentRecipe, SandboxError

# What uv, npm and pip (from 26) call "nothing that was published later". Others take what is newest.
_NOTHING_LATER = "export UV_EXCLUDE_NEWER={day}T23:59:59Z npm_config_before={day}T23:59:59Z PIP_UPLOADED_PRIOR_TO={day}"


def environment_recipe(project: Project, mirror: Mirror, tree: str, *, day: str | None = None) -> EnvironmentRecipe:
    """How to build the image in which the project's commands run.

    Args:
        project: what is set up.
        mirror: where the tree is.
        tree: the checkout that it is set up in.
        day: take packages as they were at the end of that day (YYYY-MM-DD); None for today's.

    Raises:
        SandboxError: a file with credentials for the build is missing, or its place is outside of HOME.
    """
    setup = project.setup
    if day is not None:
        setup = tuple(f"{_NOTHING_LATER.format(day=day)}\n{command}" for command in setup)
    return EnvironmentRecipe(
        setup=setup,
        key_files=dict(project.key_files),
        tree=lambda: export(mirror, tree),
        secrets={place: _secret(place, file) for place, file in project.build_secrets.items()},
    )


def _secret(place: str, file: Path) -> bytes:
    path = PurePosixPath(place)
    if path.is_absolute() or not path.name or ".." in path.parts:
        raise SandboxError(
            f"build_secrets names the place {place!r}, which is not in the HOME of the build",
            remedy='write it as seen from HOME, for instance ".netrc"',
        )
    try:
        return file.read_bytes()
    except OSError as e:
        raise SandboxError(
            f"the build secret {place} cannot be read from {file}: {e.strerror}",
            remedy="correct the path under build_secrets, or let automend read the file",
        ) from e
