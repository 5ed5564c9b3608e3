"""Trees in and out of a container, and single files out.

In: our own tar, unpacked by the container's `tar` as the job's user, so files belong to the job and nothing runs
with more rights than it has. Out: the engine's archive of a paused container, as raw bytes under a cap. What comes
out is hostile: it is never unpacked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import docker.errors
from docker import APIClient

from sandbox.api import OutputTooLargeError, SandboxError
from sandbox.errors import engine_failures
from sandbox.exec import Ending, Output, run, run_alone

PUT_SECONDS = 300.0
READ_SECONDS = 60.0
SAID = 1 << 16
CHUNK = 1 << 18
NO_FILE = 66

UNPACK = 'mkdir -p -- "$1" && exec tar -x -m --no-same-owner -C "$1" -f -'
READ = 'cd /workspace && [ -f "$1" ] && [ ! -L "$1" ] || exit 66; exec head -c "$2" -- "$1"'


def put_tree(api: APIClient, container: str, tar: Iterable[bytes], *, to: str, user: str) -> None:
    """Unpack a tar stream of ours as `user` (uid:gid). Modification times become now.

    Raises:
        SandboxError: the engine failed, or the tree does not fit.
    """
    ended = run(
        api,
        container,
        ["/bin/sh", "-c", UNPACK, "sh", to],
        user=user,
        env={"LANG": "C.UTF-8"},
        cwd="/",
        timeout=PUT_SECONDS,
        output=Output(cap=SAID),
        stdin=tar,
    )
    if ended.exit_code == 0:
        return
    said = ended.output.stderr.decode("utf-8", "replace").strip().splitlines()
    why = said[0] if said else f"tar ended with {ended.exit_code}"
    if ended.ending is Ending.DEADLINE:
        why = f"not done after {PUT_SECONDS:.0f} s"
    remedy = "raise sandbox.workspace_mb" if "No space left" in " ".join(said) else ""
    raise SandboxError(f"the tree could not be unpacked at {to} in the container: {why}", remedy=remedy)


def read_file(api: APIClient, container: str, path: str, *, limit: int, user: str) -> bytes | None:
    """A regular file's bytes as `user` sees it; None where there is none (a symlink is none).

    The job's processes are ended first: one that is left could put a pipe in the file's place, or stop the reader.

    Raises:
        OutputTooLargeError: larger than `limit` bytes.
        JobWonError: its processes could not be ended.
        SandboxError: the engine or the container failed, or the file cannot be read.
    """
    ended = run_alone(
        api, container, READ, [path, str(limit + 1)], user=user, timeout=READ_SECONDS, cap=limit + 1 + SAID
    )
    if ended.exit_code == NO_FILE:
        return None
    if len(ended.output.stdout) > limit:
        raise OutputTooLargeError(f"{path} in the container is larger than {limit} bytes")
    if ended.exit_code != 0:
        said = ended.output.stderr.decode("utf-8", "replace").strip() or f"exit {ended.exit_code}"
        raise SandboxError(f"{path} in the container could not be read: {said}")
    return bytes(ended.output.stdout)


def stream_tree(api: APIClient, container: str, path: str, *, limit: int) -> Iterator[bytes]:
    """The engine's tar of what is below `path` (names begin with `./`), the container paused meanwhile.

    Raises:
        OutputTooLargeError: more than `limit` bytes.
        SandboxError: the engine or the container failed.
    """
    what = f"taking {path} out of container {container[:12]}"
    with engine_failures(what):
        api.pause(container)
    try:
        yield from _archive(api, container, path, limit=limit, what=what)
    finally:
        with engine_failures(what):
            try:
                api.unpause(container)
            except docker.errors.NotFound:
                pass  # it was removed while the stream was read; whoever did that knows
            except docker.errors.APIError as e:
                if "is not paused" not in str(e.explanation) and "is not running" not in str(e.explanation):
                    raise


def _archive(api: APIClient, container: str, path: str, *, limit: int, what: str) -> Iterator[bytes]:
    # Not docker-py's `get_archive`: it offers no way to hang up, and an archive that nobody reads on keeps the
    # container locked in the engine.
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/archive"
    with engine_failures(what):
        response = api.get(url, params={"path": f"{path}/."}, stream=True, timeout=PUT_SECONDS)
    try:
        if response.status_code != 200:  # noqa: PLR2004 (HTTP's "OK")
            raise SandboxError(f"{what}: {response.text[:SAID].strip()}")
        total = 0
        chunks = response.iter_content(CHUNK)
        while True:
            with engine_failures(what):
                chunk = next(chunks, None)
            if chunk is None:
                return
            total += len(chunk)
            if total > limit:
                raise OutputTooLargeError(
                    f"the tree at {path} is larger than {limit >> 20} MiB",
                    remedy="the job left too much behind; raise the tree limit if that is right",
                )
            yield chunk
    finally:
        response.close()
