"""The error tree. Everything that automend raises on purpose is below `AutomendError`.

    AutomendError
    ├── UsageError             exit 2   the person asked for something that cannot be
    │   └── ConfigError        exit 2   a configuration file or variable is wrong
    ├── RepositoryError        exit 2   the repository cannot be worked on (unknown, empty, shallow, ...)
    ├── Refused                exit 1   a judge said no; carries the findings in words
    ├── Inconclusive           exit 4   there was nothing to judge by; never counts as green
    ├── Stopped                exit 1   AUTOMEND_DISABLED or an `automend:stop` issue
    └── OutsideError           exit 3   something that is not ours failed
        ├── DockerError                 the container engine
        ├── ForgeError                  GitHub or its like
        ├── GitError                    the git program or a git server
        ├── ProviderError               the model provider (may be tried with the next agent)
        ├── AgentError                  the agent's CLI (crashed, said nothing, ...)
        └── DeployError                 a deploy or rollback command

A verdict is not an error: a patch that is refused is a result. Errors cross the durable engine as plain
JSON (`to_json` and `from_json`), because exceptions come back from a replay as other types.
"""

from __future__ import annotations

from typing import Any, ClassVar


class AutomendError(Exception):
    """Something automend says on purpose.

    Args:
        message: what is wrong and where, for a person.
        remedy: what the person can do about it.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def to_json(self) -> dict[str, Any]:
        """This error as plain JSON values; `from_json` is the way back."""
        return {"type": type(self).__name__, "message": self.message, "remedy": self.remedy}

    @staticmethod
    def from_json(value: dict[str, Any]) -> AutomendError:
        """The error that `to_json` described; an unknown type comes back as `OutsideError`."""
        kind = TYPES.get(str(value.get("type")), OutsideError)
        return kind(str(value.get("message")), remedy=str(value.get("remedy", "")))


class UsageError(AutomendError):
    """The person asked for something that cannot be."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file or variable is wrong."""


class RepositoryError(AutomendError):
    """The repository cannot be worked on."""

    exit_code = 2


class Refused(AutomendError):
    """A judge said no."""

    exit_code = 1


class Inconclusive(AutomendError):
    """There was nothing to judge by."""

    exit_code = 4


class Stopped(AutomendError):
    """New work is switched off."""

    exit_code = 1


class OutsideError(AutomendError):
    """Something that is not ours failed."""


class DockerError(OutsideError):
    """The container engine failed or is not there."""


class ForgeError(OutsideError):
    """GitHub, or what stands in for it, failed."""


class GitError(OutsideError):
    """The git program or a git server failed."""


class ProviderError(OutsideError):
    """The model provider failed; the next agent may be tried."""


class AgentError(OutsideError):
    """The agent's CLI failed."""


class DeployError(OutsideError):
    """A deploy or rollback command failed."""


TYPES: dict[str, type[AutomendError]] = {
    kind.__name__: kind
    for kind in (
        AutomendError, UsageError, ConfigError, RepositoryError, Refused, Inconclusive, Stopped, OutsideError,
        DockerError, ForgeError, GitError, ProviderError, AgentError, DeployError,
    )
}  # fmt: skip
