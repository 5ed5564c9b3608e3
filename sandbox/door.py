"""The way in for the job at the gateway's socket, and for nobody else on the host."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from docker import APIClient

from sandbox.errors import SandboxError, engine_failures


def let_in(api: APIClient, door: Path, uid: int) -> None:
    """Make the unix socket `door` connectable for the job's uid.

    As root it is given to the uid, 0600. Otherwise, or where the engine maps uids, it is opened to all, which is
    safe only in a directory that nobody else may enter.

    Raises:
        SandboxError: there is no such socket, or it cannot be opened safely.
    """
    try:
        mode = door.lstat().st_mode
        private = not door.parent.stat().st_mode & 0o077
    except OSError as e:
        raise SandboxError(f"the gateway's socket is not there: {e}", remedy="start the gateway first") from e
    if not stat.S_ISSOCK(mode):
        raise SandboxError(f"the gateway's door {door} is not a unix socket")
    with engine_failures("asking the engine about user namespaces"):
        mapped = any("name=userns" in option for option in api.info().get("SecurityOptions") or [])
    try:
        if os.geteuid() == 0 and not mapped:
            os.chown(door, uid, uid)
            door.chmod(0o600)
        elif private:
            door.chmod(0o666)
        else:
            raise SandboxError(
                f"the gateway's socket {door} cannot be opened to the job alone", remedy=f"chmod 700 {door.parent}"
            )
    except OSError as e:
        raise SandboxError(f"the gateway's socket {door} cannot be opened to the job: {e}") from e
