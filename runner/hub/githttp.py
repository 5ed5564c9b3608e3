"""Cloning, fetching and pushing over HTTP: `git http-backend` behind the hub's own door."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from runner.git.plumbing import clean_environment
from runner.hub.pulls import synchronize
from runner.hub.rest.call import ApiError
from runner.hub.rest.dispatch import identify
from runner.hub.site import Site
from runner.hub.store import Repo, User, now

CHUNK = 1 << 16
SERVICES = ("git-upload-pack", "git-receive-pack")


class GitHttp:
    """Git's smart HTTP for the repositories of a site. A token is the password; the user's name does not matter."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def routes(self) -> list[Route]:
        """The three addresses that git uses, with `.git` and, as on GitHub, without."""
        routes = []
        for where in ("/{owner}/{repo}.git", "/{owner}/{repo}"):
            routes.append(Route(f"{where}/info/refs", self.serve, methods=["GET"]))
            routes += [Route(f"{where}/{service}", self.serve, methods=["POST"]) for service in SERVICES]
        return routes

    async def serve(self, request: Request) -> Response:
        """One request of a git client."""
        posted = request.url.path.rpartition("/")[2]
        asked = posted if request.method == "POST" else request.query_params.get("service", "")
        if asked not in SERVICES:
            return PlainTextResponse("only git's smart protocol is spoken here\n", 403 if not asked else 404)
        writing = asked == "git-receive-pack"
        found = await run_in_threadpool(self._admit, request, writing)
        if isinstance(found, Response):
            return found
        repo, user = found
        return await self._backend(request, repo, user, asked)

    def _admit(self, request: Request, writing: bool) -> Response | tuple[Repo, User | None]:
        repo = self.site.repo(request.path_params["owner"], request.path_params["repo"])
        challenge = {"WWW-Authenticate": 'Basic realm="hub"'}
        try:
            user = identify(self.site, request.headers.get("authorization", ""))
        except ApiError:
            return PlainTextResponse("Invalid username or token.\n", 401, challenge)
        if repo is None or not self.site.may(repo, user, "read"):
            if user is None:
                return PlainTextResponse("Authentication required.\n", 401, challenge)
            return PlainTextResponse("Repository not found.\n", 404)
        if writing and user is None:
            return PlainTextResponse("Authentication required.\n", 401, challenge)
        if writing and user is not None and not self.site.may(repo, user, "write"):
            return PlainTextResponse(f"Permission to {repo.full_name}.git denied to {user.login}.\n", 403)
        return repo, user

    async def _backend(self, request: Request, repo: Repo, user: User | None, service: str) -> Response:
        process = await asyncio.create_subprocess_exec(
            "git",
            "http-backend",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment(request, repo, user, service),
            cwd="/",
            start_new_session=True,
        )
        feeding = asyncio.create_task(_feed(process, request))
        try:
            status, headers = await _head(process)
            if service == "git-receive-pack" and request.method == "POST":
                # The answer waits until pull requests know of the push: who pushed may ask for them at once.
                body = b"".join([chunk async for chunk in _rest(process, feeding)])
                await run_in_threadpool(self._pushed, repo)
                return Response(body, status, headers)
        except BaseException:
            _let_go(process, feeding)
            raise
        return _Streamed(process, feeding, status, headers)

    def _pushed(self, repo: Repo) -> None:
        fresh = self.site.repo_by_id(repo.id)
        fresh.pushed = now()
        self.site.store.save(fresh)
        synchronize(self.site, fresh)

    def _environment(self, request: Request, repo: Repo, user: User | None, service: str) -> dict[str, str]:
        git_dir = self.site.git(repo).path
        tail = "/info/refs" if request.method == "GET" else f"/{service}"
        variables = {
            **clean_environment(),
            **self.site.hook_env(repo),
            "GIT_PROJECT_ROOT": str(git_dir.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": f"/{git_dir.name}{tail}",
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": f"service={service}" if request.method == "GET" else "",
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "REMOTE_ADDR": request.client.host if request.client else "",
            "HOME": os.devnull,
        }
        if user is not None:
            variables["REMOTE_USER"] = user.login
        named = {"content-length": "CONTENT_LENGTH", "content-encoding": "HTTP_CONTENT_ENCODING",
                 "git-protocol": "GIT_PROTOCOL"}  # fmt: skip
        for header, variable in named.items():
            if header in request.headers:
                variables[variable] = request.headers[header]
        return variables


async def _feed(process: asyncio.subprocess.Process, request: Request) -> None:
    assert process.stdin is not None  # noqa: S101 - PIPE was asked for
    with suppress(ConnectionError, ClientDisconnect):
        async for chunk in request.stream():
            process.stdin.write(chunk)
            await process.stdin.drain()
    with suppress(ConnectionError):
        process.stdin.close()


async def _head(process: asyncio.subprocess.Process) -> tuple[int, dict[str, str]]:
    """Status and headers of a CGI answer."""
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    status, headers = 200, {}
    while line := (await process.stdout.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
    return (status if headers else 500), headers


async def _rest(process: asyncio.subprocess.Process, feeding: asyncio.Task[None]) -> AsyncIterator[bytes]:
    """What the backend says after the headers."""
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    while chunk := await process.stdout.read(CHUNK):
        yield chunk
    await feeding
    await process.wait()


class _Streamed(StreamingResponse):
    """A backend's answer as it comes. Whoever asked may go away before its first piece, and then nobody reads any."""

    def __init__(
        self, process: asyncio.subprocess.Process, feeding: asyncio.Task[None], status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(_rest(process, feeding), status, headers)
        self._backend = (process, feeding)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            _let_go(*self._backend)


_ending: set[asyncio.Task[None]] = set()


def _let_go(process: asyncio.subprocess.Process, feeding: asyncio.Task[None]) -> None:
    """End a backend that has not come to its end, in a task of its own: whoever waited for it may be cancelled."""
    feeding.cancel()
    if process.returncode is None:
        task = asyncio.create_task(_end(process))
        _ending.add(task)
        task.add_done_callback(_ending.discard)


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # what it started besides
    while await process.stdout.read(CHUNK):
        pass  # an unread pipe would stay open
    await process.wait()
