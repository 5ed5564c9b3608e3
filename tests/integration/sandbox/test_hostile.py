"""Jobs that mean harm, machines that fail, and what is left afterwards."""

from __future__ import annotations

import gc
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from sandbox.again import going_on
from sandbox.api import LABEL_RUN, TOOLS, Limits, SandboxError, SandboxLostError, Spec
from sandbox.docker import DockerSandboxes

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
SMALL = Limits(memory_mb=256, workspace_mb=32, tmp_mb=16, pids=64)


def test_a_gigabyte_of_output_takes_neither_memory_nor_time(sandboxes: DockerSandboxes, base: str) -> None:
    before = psutil.Process().memory_info().rss
    with sandboxes.open(Spec(image=base, limits=SMALL)) as box:
        start = time.monotonic()
        result = box.exec(["sh", "-c", "yes | head -c 1000000000"], timeout=120)
        assert result.truncated
        assert len(result.stdout) == SMALL.output_mb << 20
        assert time.monotonic() - start < 120
        assert box.exec(["echo", "on"], timeout=120).stdout == b"on\n"
    assert psutil.Process().memory_info().rss - before < 150 << 20


def test_flood_on_both_streams_with_a_slow_listener(sandboxes: DockerSandboxes, base: str) -> None:
    with sandboxes.open(Spec(image=base, limits=SMALL)) as box:
        result = box.exec(["sh", "-c", "yes err >&2 & yes out"], timeout=120, output_limit=2 << 20)
        assert result.truncated
        assert len(result.stdout) + len(result.stderr) == 2 << 20


def test_running_for_ever_ends_at_the_deadline(sandboxes: DockerSandboxes, base: str) -> None:
    with sandboxes.open(Spec(image=base, limits=SMALL)) as box:
        result = box.exec(["python3", "-c", "import signal\nsignal.signal(15, 1)\nwhile True: pass"], timeout=1)
        assert result.timed_out
        assert result.exit_code is None
        assert result.seconds < 120


def test_a_listener_that_raises_ends_the_job(sandboxes: DockerSandboxes, base: str) -> None:
    def enough(_: bytes) -> None:
        raise ValueError("enough")

    with sandboxes.open(Spec(image=base, limits=SMALL)) as box:
        with pytest.raises(ValueError, match="enough"):
            box.exec(["yes"], timeout=120, on_stdout=enough)
        left = box.exec(["sh", "-c", "cat /proc/[0-9]*/comm"], timeout=120)
        assert b"yes" not in left.stdout


def test_what_the_job_keeps_alive_ends_before_the_tree_is_taken(sandboxes: DockerSandboxes, base: str) -> None:
    with sandboxes.open(Spec(image=base, limits=SMALL)) as box:
        box.exec(["sh", "-c", "(setsid sh -c 'while :; do :; done' >/dev/null 2>&1 &)"], timeout=120)
        stream = box.get_tree()
        assert next(stream)
        sandboxes.client.containers.get(box.id).reload()
        assert sandboxes.client.containers.get(box.id).status == "paused"
        stream.close()  # type: ignore[attr-defined]  # it is a generator; whoever reads it may stop early
        assert box.exec(["echo", "on"], timeout=120).stdout == b"on\n"


def test_a_container_that_dies_is_a_failure_of_the_machine(sandboxes: DockerSandboxes, base: str) -> None:
    with sandboxes.open(Spec(image=base, limits=SMALL)) as box:
        started = threading.Event()

        def kill() -> None:
            started.wait(120)
            sandboxes.client.api.kill(box.id)

        killer = threading.Thread(target=kill)
        killer.start()
        with pytest.raises(SandboxLostError, match=r"died|not running"):
            box.exec(["sh", "-c", "echo on; sleep 3600"], timeout=120, on_stdout=lambda _: started.set())
        killer.join()
        with pytest.raises(SandboxError):
            box.exec(["true"], timeout=120)
        with pytest.raises(SandboxError):
            b"".join(box.get_tree())


class Proxy:
    """A unix socket in front of the engine's, that can be cut."""

    def __init__(self, path: Path, engine: str) -> None:
        self.engine = engine
        self.open: list[socket.socket] = []
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for connection in self.open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.server.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self.engine)
                self.open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)


@pytest.fixture
def proxy(sandboxes: DockerSandboxes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    if not sandboxes.client.api.base_url.startswith("http+docker://localhost"):
        pytest.skip("the engine is not on a unix socket")
    monkeypatch.chdir(tmp_path)
    made = Proxy(Path("p.sock"), "/var/run/docker.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/p.sock")
    yield made
    made.cut()


# docker-py forgets to close the socket with which it tries to reach an engine that is gone.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_engine_that_goes_away_is_a_sandbox_error(sandboxes: DockerSandboxes, base: str, proxy: Proxy) -> None:
    far = DockerSandboxes(owner=sandboxes._owner)
    heard = threading.Event()

    def cut() -> None:
        heard.wait(120)
        proxy.cut()

    cutter = threading.Thread(target=cut)
    cutter.start()
    with pytest.raises(SandboxError), far.open(Spec(image=base, labels={LABEL_RUN: "cut"}, limits=SMALL)) as box:
        box.exec(["sh", "-c", "echo on; sleep 3600"], timeout=120, on_stdout=lambda _: heard.set())
    cutter.join()
    far.disconnect()
    gc.collect()
    left = sandboxes.reap(run="cut")
    assert [name.split()[0] for name in left] == ["container", "volume"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_work_goes_on_when_the_engine_comes_back(
    sandboxes: DockerSandboxes, base: str, proxy: Proxy, tmp_path: Path
) -> None:
    """As after a restart: what was open is gone, and what could not be removed then is removed now."""
    far = DockerSandboxes(owner=sandboxes._owner)
    made: list[str] = []
    back: list[Proxy] = []

    def work() -> bytes:
        with far.open(Spec(image=base, labels={LABEL_RUN: "back"}, limits=SMALL)) as box:
            made.append(box.id)
            if len(made) == 1:
                proxy.cut()
            return box.exec(["echo", "on"], timeout=120).stdout

    def wait(_: float) -> None:
        (tmp_path / "p.sock").unlink()
        back.append(Proxy(Path("p.sock"), proxy.engine))

    try:
        assert going_on(work, tell=lambda _: None, wait=wait) == b"on\n"
    finally:
        far.disconnect()
        for one in back:
            one.cut()
        gc.collect()
    assert len(set(made)) == 2
    assert sandboxes.reap(run="back") == []


def test_after_close_nothing_is_left(sandboxes: DockerSandboxes, base: str) -> None:
    with sandboxes.open(Spec(image=base, limits=SMALL, labels={LABEL_RUN: "r1"})) as box:
        name = sandboxes.client.api.inspect_container(box.id)["Name"].removeprefix("/")
        assert name.startswith("automend-r1-")
        assert sandboxes.client.volumes.get(name).attrs["Labels"][LABEL_RUN] == "r1"
    assert name not in [v.name for v in sandboxes.client.volumes.list()]
    assert sandboxes.client.containers.list(all=True, filters={"name": name}) == []


def test_after_a_failed_start_nothing_is_left(sandboxes: DockerSandboxes, base: str) -> None:
    unknown = DockerSandboxes(owner=sandboxes._owner, runtime="no-such-runtime")
    with pytest.raises(SandboxError, match="no-such-runtime"), unknown.open(Spec(image=base, limits=SMALL)):
        pass
    with pytest.raises(SandboxError, match="not there"), unknown.open(Spec(image=base, door=Path("/none"))):
        pass
    unknown.disconnect()
    assert sandboxes.reap() == []


def test_an_image_with_a_volume_is_refused(sandboxes: DockerSandboxes, base: str) -> None:
    api = sandboxes.client.api
    made = api.create_container(base, ["true"], labels={"automend.owner": sandboxes._owner})
    image = api.commit(made["Id"], changes=["VOLUME /data"])["Id"]
    api.remove_container(made["Id"])
    try:
        with pytest.raises(SandboxError, match="volume at /data"), sandboxes.open(Spec(image=image, limits=SMALL)):
            pass
    finally:
        api.remove_image(image)
    assert sandboxes.reap() == []


def test_tools_volume_is_read_only(sandboxes: DockerSandboxes, base: str) -> None:
    volume = sandboxes.client.volumes.create(labels={"automend.owner": sandboxes._owner})
    try:
        with sandboxes.open(Spec(image=base, limits=SMALL, tools=volume.name)) as box:
            assert box.exec(["sh", "-c", f"touch {TOOLS}/x"], timeout=120).exit_code != 0
    finally:
        volume.remove()


def test_work_goes_on_in_a_new_container_when_one_is_killed_from_outside(sandboxes: DockerSandboxes, base: str) -> None:
    made: list[str] = []
    told: list[str] = []

    def work() -> bytes:
        with sandboxes.open(Spec(image=base, limits=SMALL)) as box:
            made.append(box.id)
            if len(made) == 1:
                sandboxes.client.api.kill(box.id)
            elif len(made) == 2:
                sandboxes.client.api.remove_container(box.id, force=True)
            return box.exec(["echo", "on"], timeout=120).stdout

    assert going_on(work, tell=told.append) == b"on\n"
    assert len(set(made)) == 3
    assert len(told) == 2
