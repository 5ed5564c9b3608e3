"""The way in for the job at the gateway's socket, and for nobody else on the host; whether there is one to mount."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from docker import APIClient
from docker.types import Mount

from sandbox import cleanup
from sandbox.errors import SandboxError, engine_failures

NOT_SEEN = "bind source path does not exist"
"""What the engine answers where a file of ours is none of its own."""


def sees(api: APIClient, place: Path, *, image: str, owner: str) -> bool:
    """Whether the engine sees this host's files in the folder `place`, tried with a file that nobody else has.

    An address tells nothing about it: a socket may lead to another machine, and a port to this one.

    Raises:
        SandboxError: the engine failed, or nothing can be written in the folder.
    """
    name = cleanup.name_for("automend-look", {})
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix="look-") as file, engine_failures("asking what it sees"):
            host = api.create_host_config(
                network_mode="none", mounts=[Mount("/look", file.name, type="bind", read_only=True)]
            )
            labels = cleanup.labels_for(owner, cleanup.SANDBOX, {})
            api.create_container(image, command=["true"], name=name, labels=labels, host_config=host)
    except SandboxError as e:
        if NOT_SEEN not in e.message:
            raise
        return False
    except OSError as e:
        raise SandboxError(f"no file can be made in {place}: {e}") from e
    finally:
        cleanup.forget_container(api, name)
    return True


def there(door: Path) -> None:
    """Look whether a door can be opened at all, before anything is made for it.

    Raises:
        SandboxError: there is no such socket.
    """
    try:
        mode = door.lstat().st_mode
    except OSError as e:
        raise SandboxError(f"the gateway's socket is not there: {e}", remedy="start the gateway first") from e
    if not stat.S_ISSOCK(mode):
        raise SandboxError(f"the gateway's door {door} is not a unix socket")


def let_in(api: APIClient, door: Path, uid: int) -> None:
    """Make the unix socket `door` connectable for the job's uid.

    As root it is given to the uid, 0600. Otherwise, or where the engine maps uids, it is opened to all, which is
    safe only in a directory that nobody else may enter.

    Raises:
        SandboxError: there is no such socket, or it cannot be opened safely.
    """
    there(door)
    private = not door.parent.stat().st_mode & 0o077
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
