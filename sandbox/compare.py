"""The workspace told by its difference from what the asker has: only what changed is copied out.

A script of ours is the only process of the job's user while it looks: it hashes every file as git does, names the
known files that are no longer as they were, and packs those and all new ones into a tar. It runs on the image's own
Python, in isolated mode, with nothing of the job's (home, environment, modules) in reach.

It need not be believed. A file that it wrongly calls unchanged becomes the asker's own old content, and what is judged
is the tree that comes of it: nothing can land that was not looked at. Where the script cannot read something (or there
is no Python) it says so, and the whole tree is taken instead.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from importlib.resources import files
from typing import IO

from docker import APIClient

from sandbox.api import WORKSPACE, Changes, OutputTooLargeError
from sandbox.exec import Ending, run_alone

COMPARE_SECONDS = 300.0
IN_MEMORY = 32 << 20
CHUNK = 1 << 18
LONGEST_LENGTH = 20

START = 'exec python3 -I -S -B -c "$1" "$2" "$3" "$4"'
TOO_LARGE = 65
"""How the script ends where the files are larger than the limit."""


def get_changes(
    api: APIClient, container: str, known: Mapping[bytes, tuple[str, str]], *, limit: int, user: str
) -> Changes | None:
    """What is not as `known`; None where it cannot be told.

    Raises:
        OutputTooLargeError: more than `limit` bytes.
        JobWonError: the job's processes could not be ended.
        SandboxError: the engine or the container failed.
    """
    asked = b"".join(b"%b %b %b\0" % (mode.encode(), oid.encode(), path) for path, (mode, oid) in known.items())
    script = files("sandbox").joinpath("compare_inside.py").read_text(encoding="utf-8")
    # A file without a name: gone with us, however we end.
    said: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 (read later, by the caller)
    try:
        ended = run_alone(
            api,
            container,
            START,
            [script, WORKSPACE, str(limit), str(len(asked))],
            user=user,
            timeout=COMPARE_SECONDS,
            cap=limit,
            stdin=asked,
            on_stdout=said.write,  # type: ignore[arg-type]  # how much was written is nothing to anybody
        )
        if ended.ending is Ending.FLOOD or ended.exit_code == TOO_LARGE:
            raise OutputTooLargeError(
                f"the tree at {WORKSPACE} is larger than {limit >> 20} MiB",
                remedy="the job left too much behind; raise the tree limit if that is right",
            )
        said.seek(0)
        changed = _changed(said) if ended.exit_code == 0 else None
    except BaseException:
        said.close()
        raise
    if changed is None:
        said.close()
        return None
    return Changes(unchanged=frozenset(known.keys() - changed), tar=_rest(said))


def _changed(said: IO[bytes]) -> set[bytes] | None:
    """The known paths that the script says are not as they were: a length in decimal, a line feed, names with NULs."""
    length = said.readline(LONGEST_LENGTH)
    if not length.endswith(b"\n") or not length.strip().isdigit():
        return None
    names = said.read(int(length))
    return set(names.split(b"\0")[:-1]) if len(names) == int(length) else None


def _rest(said: IO[bytes]) -> Generator[bytes, None, None]:
    with said:
        while chunk := said.read(CHUNK):
            yield chunk
