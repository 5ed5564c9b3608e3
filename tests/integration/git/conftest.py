"""Real repositories, real tar archives, and a real git server over HTTP."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from runner.git.mirror import Mirror


class Repo:
    """A person's own repository with a work tree."""

    def __init__(self, path: Path, *options: str) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main", *options)

    def git(self, *args: str, stdin: bytes | None = None) -> str:
        env = {
            "PATH": os.environ["PATH"], "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.org", "GIT_AUTHOR_DATE": "@1000000000 +0000",
            "GIT_COMMITTER_NAME": "Ann", "GIT_COMMITTER_EMAIL": "ann@example.org",
            "GIT_COMMITTER_DATE": "@1000000000 +0000",
        }  # fmt: skip
        done = subprocess.run(["git", *args], cwd=self.path, input=stdin, env=env, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    def commit(self, files: dict[str, bytes | None] | None = None, message: str = "change") -> str:
        for name, content in (files or {}).items():
            path = self.path / os.fsdecode(name)
            if content is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def make_repo(tmp_path: Path) -> Callable[..., Repo]:
    return lambda name="source", *options: Repo(tmp_path / name, *options)


@pytest.fixture
def source(make_repo: Callable[..., Repo]) -> Repo:
    repo = make_repo()
    repo.commit({"a.py": b"one\ntwo\nthree\n", "sub/b.py": b"b\n", ".gitignore": b"*.pyc\nbuild/\n"}, "first")
    return repo


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    mirror = Mirror(tmp_path / "mirrors" / "m.git")
    mirror.ensure()
    return mirror


@pytest.fixture
def put(mirror: Mirror) -> Callable[..., str]:
    """Path → content, or (mode, content or id) → a tree of the mirror."""

    def put(files: dict[bytes, bytes | tuple[str, bytes | str]]) -> str:
        lines = []
        for path, what in files.items():
            mode, content = what if isinstance(what, tuple) else ("100644", what)
            oid = content
            if isinstance(content, bytes):
                oid = mirror.git("hash-object", "-w", "--stdin", "--literally", "-t", "blob", stdin=content).decode()
            lines.append(f"{mode} {str(oid).strip()}\t".encode() + path + b"\0")
        with mirror.scratch() as folder:
            env = {"GIT_INDEX_FILE": str(folder / "i")}
            mirror.git("update-index", "-z", "--index-info", stdin=b"".join(lines), env=env)
            return mirror.git("write-tree", env=env).decode().strip()

    return put


class Tar:
    """A tar archive as hostile as one likes."""

    def __init__(self, root: str | None = "./") -> None:
        self._out = io.BytesIO()
        self._tar = tarfile.open(  # noqa: SIM115
            fileobj=self._out, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape"
        )
        if root is not None:
            self.folder(root)

    def add(self, name: str | bytes, kind: bytes, content: bytes = b"", *, mode: int = 0o644, link: str = "") -> Tar:
        info = tarfile.TarInfo(os.fsdecode(name))
        info.type, info.mode, info.size, info.linkname = kind, mode, len(content), link
        self._tar.addfile(info, io.BytesIO(content))
        return self

    def folder(self, name: str | bytes) -> Tar:
        return self.add(name, tarfile.DIRTYPE, mode=0o755)

    def file(self, name: str | bytes, content: bytes = b"x\n", *, mode: int = 0o644) -> Tar:
        return self.add(name, tarfile.REGTYPE, content, mode=mode)

    def bytes(self) -> bytes:
        self._tar.close()
        return self._out.getvalue()


@pytest.fixture
def new_tar() -> type[Tar]:
    return Tar


class Server:
    """`git http-backend` over a folder of bare repositories; with `password`, nobody gets in without it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.authorization: str | None = None
        self.seen: list[str] = []
        self.protocol = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                self.answer(b"")

            def do_POST(self) -> None:
                if self.headers.get("Transfer-Encoding") == "chunked":
                    body = b""
                    while size := int(self.rfile.readline(), 16):
                        body += self.rfile.read(size)
                        self.rfile.readline()
                    self.rfile.readline()
                else:
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(body)

            def answer(self, body: bytes) -> None:
                outer.seen.append(f"{self.command} {self.path}")
                if outer.authorization is not None and self.headers.get("Authorization") != outer.authorization:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="x"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                path, _, query = self.path.partition("?")
                env = {
                    "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(outer.root), "GIT_HTTP_EXPORT_ALL": "1",
                    "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "ann",
                    "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_CONFIG_NOSYSTEM": "1", "HOME": "/nonexistent",
                }  # fmt: skip
                if outer.protocol:
                    env["GIT_PROTOCOL"] = self.headers.get("Git-Protocol", "")
                out = subprocess.run(
                    ["git", "http-backend"], input=body, env=env, capture_output=True, check=False
                ).stdout
                head, _, rest = out.partition(b"\r\n\r\n")
                fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
                self.send_response(int(fields.pop("Status", "200").split()[0]))
                for name, value in fields.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(rest)))
                self.end_headers()
                self.wfile.write(rest)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/{name}"

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "served").mkdir()
    server = Server(tmp_path / "served")
    yield server
    server.stop()


@pytest.fixture
def hosted(server: Server, source: Repo) -> str:
    """The address of a bare copy of `source` on the server, which takes pushes."""
    bare = server.root / "own.git"
    source.git("clone", "-q", "--bare", str(source.path), str(bare))
    subprocess.run(["git", "-C", str(bare), "config", "http.receivepack", "true"], check=True)
    return server.url("own.git")
