"""What the engine's failures are called: every one becomes a `SandboxError` that says what, why and how to mend.

    SandboxError                what failed on the machine (sandbox/api.py)
    ├── SetupError              a command that makes an image failed
    ├── SandboxLostError        the container is gone under the job: worth another one
    │   └── EngineGoneError     the engine is gone: worth waiting for
    └── OutputTooLargeError     bytes that leave the sandbox went over their cap

docker-py lets errors of four libraries through (its own, requests, urllib3, the operating system's); nothing
above this package should know them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import docker.errors
import requests.exceptions
import urllib3.exceptions

from sandbox.api import EngineGoneError, OutputTooLargeError, SandboxError, SandboxLostError

__all__ = [
    "START_ENGINE", "EngineGoneError", "OutputTooLargeError", "SandboxError", "SandboxLostError", "engine_failures"
]  # fmt: skip

LOST = ("no such container", "no such exec", "is not running", "is not started")
"""What the engine answers about a container that died or was removed, in small letters."""

START_ENGINE = "start the Docker engine (`systemctl start docker`), or point DOCKER_HOST at one; `docker info` shows it"


@contextmanager
def engine_failures(what: str) -> Iterator[None]:
    """Turn whatever the engine or the way to it throws into a `SandboxError` that begins with `what`.

    Keep the body to calls of the engine: an `OSError` in it counts as the engine's.

    Raises:
        SandboxLostError: the container is gone, or not running any more.
        EngineGoneError: nobody answers, or the connection broke.
        SandboxError: the engine refused, or did not answer in time.
    """
    try:
        yield
    except SandboxError:
        raise
    except docker.errors.ImageNotFound as e:
        raise SandboxError(
            f"{what}: {_reason(e)}", remedy="the image is not on this engine; let automend build it again"
        ) from e
    except docker.errors.APIError as e:
        reason = _reason(e)
        kind = SandboxLostError if any(words in reason.lower() for words in LOST) else SandboxError
        raise kind(f"{what}: {reason}") from e
    except (requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError) as e:
        raise SandboxError(f"{what}: the Docker engine did not answer in time", remedy=START_ENGINE) from e
    except (
        docker.errors.DockerException,
        requests.exceptions.RequestException,
        urllib3.exceptions.HTTPError,
        OSError,
    ) as e:
        raise EngineGoneError(f"{what}: the Docker engine cannot be reached ({e})", remedy=START_ENGINE) from e


def _reason(error: docker.errors.APIError) -> str:
    return str(error.explanation or error).strip()
