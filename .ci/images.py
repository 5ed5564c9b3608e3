#!/usr/bin/env python3
"""Makes what the tests with containers need, once per engine: the base image, and the volume of the agents' programs.

Prints the name of the base image; how it gets on goes to stderr. Run it by .venv/bin/python, after .ci/setup. Ends
with 3 when the engine or a download failed.
"""

from __future__ import annotations

import os
import sys

from runner.agents.tools import agent_tools
from sandbox.api import SandboxError
from sandbox.docker import DockerSandboxes


def tell(words: str) -> None:
    """Progress, one line each."""
    sys.stderr.write(f"{words}\n")


def main() -> int:
    """Make both, and say where the first is."""
    sandboxes = DockerSandboxes(owner="images", base_image=os.environ.get("AUTOMEND_BASE_IMAGE"))
    try:
        base = sandboxes.base(progress=tell)
        sandboxes.tools(agent_tools(), progress=tell)
    except SandboxError as e:
        tell(f"{e.message}\n→ {e.remedy}")
        return 3
    finally:
        sandboxes.disconnect()
    sys.stdout.write(f"{base}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
