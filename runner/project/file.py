"""`.automend.toml`: what a repository says about itself. Read from the base branch only; the host's word wins."""

from __future__ import annotations

import tomllib
from typing import Any

from pydantic import Field, ValidationError

from runner.config import explain
from runner.errors import ConfigError
from runner.settings import RepoConfig, Section

NAME = ".automend.toml"


class RepoFile(Section):
    """The file. Unknown keys are refused."""

    setup: tuple[str, ...] | None = Field(None, description="Shell commands that set the environment up, with network.")
    test: str | None = Field(None, description="The test command, offline.")
    junit: str | None = Field(
        None, description="Where the test command leaves its JUnit XML, in the workspace; a pattern for several files."
    )
    coverage: str | None = Field(
        None,
        description="Where it leaves Cobertura XML or LCOV, in the workspace (a pattern for several files); "
        "`auto` for pytest and Node, `none` for no coverage.",
    )
    lint: str | None = Field(None, description="A lint command, offline; `none` for no linter.")
    tests: tuple[str, ...] | None = Field(None, description="Globs of test files and test configuration.")
    policy: dict[str, Any] = Field(default_factory=dict, description="Tightening of the host's policy.")


def read_file(content: bytes | None, host: RepoConfig) -> RepoFile:
    """The repository's word under the host's.

    Raises:
        ConfigError: the file is not TOML, or has a key or value that is none of ours.
    """
    given = _parse(content) if content is not None else RepoFile.model_validate({})
    shared = RepoFile.model_fields.keys() - {"policy"}
    words = {key: value for key in shared if (value := getattr(host, key)) is not None}
    return given.model_copy(update=words)


def _parse(content: bytes) -> RepoFile:
    try:
        return RepoFile.model_validate(tomllib.loads(content.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
        raise ConfigError(f"{NAME} is not valid TOML: {e}", remedy="mend it on the base branch") from e
    except ValidationError as e:
        raise explain(e, RepoFile, NAME) from e
