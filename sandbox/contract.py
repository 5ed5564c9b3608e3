"""What every sandbox must hold, as checks that run against any `Sandboxes` on a real engine.

The tests run them, and so does `automend doctor --sandbox` on the host that matters: the kernel, engine and runtime
there decide whether a seal holds, not this source. An image with sh, tar and python3 is enough.

    for answer in examine(sandboxes, image="…"):
        print(answer.name, answer.broken or "kept")
"""

from __future__ import annotations

import hashlib
import io
import secrets
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.api import (
    DOOR,
    WORKSPACE,
    ExecResult,
    Limits,
    OutputTooLargeError,
    Sandbox,
    SandboxError,
    Sandboxes,
    Spec,
)
from sandbox.lock import one_at_a_time, scratch

SMALL = Limits(
    memory_mb=256, cpus=1.0, pids=64, workspace_mb=32, workspace_inodes=2000, tmp_mb=16, output_mb=1, tree_mb=16
)
SECONDS = 120.0


class BrokenPromiseError(Exception):
    """A sandbox does not hold what it promises; says what was seen."""


@dataclass(frozen=True)
class Setting:
    """What a check works with."""

    sandboxes: Sandboxes
    image: str

    @contextmanager
    def box(self, limits: Limits = SMALL, door: Path | None = None) -> Iterator[Sandbox]:
        """A small sandbox."""
        with self.sandboxes.open(Spec(image=self.image, limits=limits, door=door)) as box:
            yield box


@dataclass(frozen=True)
class Promise:
    """One thing that a sandbox promises, and the check that it does."""

    name: str
    promise: str
    check: Callable[[Setting], None]


@dataclass(frozen=True)
class Answer:
    """How a check went: `broken` says what was seen instead, None where the promise is kept."""

    name: str
    promise: str
    broken: str | None
    seconds: float


def examine(sandboxes: Sandboxes, *, image: str, progress: Callable[[str], None] = lambda _: None) -> Iterator[Answer]:
    """Check every promise, one after the other.

    Raises:
        SandboxError: no engine answers; other failures of the machine are answers.
    """
    for promise in PROMISES:
        progress(promise.promise)
        yield check(promise, sandboxes, image=image)


def check(promise: Promise, sandboxes: Sandboxes, *, image: str) -> Answer:
    """Check one promise."""
    start = time.monotonic()
    broken: str | None = None
    try:
        promise.check(Setting(sandboxes=sandboxes, image=image))
    except BrokenPromiseError as e:
        broken = str(e)
    except SandboxError as e:
        broken = f"the machine failed: {e.message}"
    return Answer(name=promise.name, promise=promise.promise, broken=broken, seconds=time.monotonic() - start)


def _need(condition: bool, seen: object) -> None:
    if not condition:
        raise BrokenPromiseError(f"seen: {seen!r}"[:2000])


def _sh(box: Sandbox, script: str, *, timeout: float = SECONDS) -> ExecResult:
    return box.exec(["/bin/sh", "-c", script], timeout=timeout)


def _python(box: Sandbox, script: str, *args: str, timeout: float = SECONDS) -> ExecResult:
    return box.exec(["python3", "-c", script, *args], timeout=timeout)


def _tar(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> Iterator[bytes]:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry, data in entries:
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    yield made.getvalue()


def _entry(name: str, *, mode: int = 0o644, link: str | None = None) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if link is not None:
        entry.type, entry.linkname = tarfile.SYMTYPE, link
    return entry


# ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────


def _answers(setting: Setting) -> None:
    with setting.box() as box:
        result = _sh(box, "echo out; echo err >&2; exit 7")
        _need((result.exit_code, result.stdout, result.stderr) == (7, b"out\n", b"err\n"), result)
        _need(not (result.timed_out or result.truncated or result.oom), result)


def _no_such_command(setting: Setting) -> None:
    with setting.box() as box:
        result = box.exec(["no-such-command"], timeout=SECONDS)
        _need(result.exit_code in {126, 127}, result)
        gone = box.exec(["true"], timeout=SECONDS, cwd="/nowhere")
        _need(gone.exit_code not in {0, None}, gone)


def _surroundings(setting: Setting) -> None:
    with setting.box() as box:
        seen = box.exec(
            ["/bin/sh", "-c", 'printf "%s|%s|%s|" "$ODD" "$HOME" "$LANG"; pwd'],
            timeout=SECONDS,
            env={"ODD": "a b\n$c"},
            cwd="/tmp",  # noqa: S108 (the container's)
        ).stdout
        _need(seen == b"a b\n$c|/home/job|C.UTF-8|/tmp\n", seen)
        _need(_sh(box, "pwd").stdout == f"{WORKSPACE}\n".encode(), "another directory than the workspace")


def _stdin(setting: Setting) -> None:
    with setting.box() as box:
        sent = bytes(range(256)) * 2000
        result = box.exec(["cat"], timeout=SECONDS, stdin=sent)
        _need(result.stdout == sent and result.exit_code == 0, (len(result.stdout), result.exit_code))


def _streams(setting: Setting) -> None:
    with setting.box() as box:
        heard: list[bytes] = []
        result = box.exec(["/bin/sh", "-c", "echo one; echo two"], timeout=SECONDS, on_stdout=heard.append)
        _need(b"".join(heard) == result.stdout == b"one\ntwo\n", (heard, result.stdout))


def _deadline(setting: Setting) -> None:
    with setting.box() as box:
        script = "setsid sleep 3600 >/dev/null 2>&1 </dev/null & (setsid sleep 3600 &) ; sleep 3600"
        result = _sh(box, script, timeout=1.0)
        _need(result.timed_out and result.exit_code is None, result)
        _nobody_is_left(box)


def _flood(setting: Setting) -> None:
    with setting.box() as box:
        result = box.exec(["yes"], timeout=SECONDS, output_limit=100_000)
        _need(result.truncated and result.exit_code is None and not result.timed_out, result.exit_code)
        _need(len(result.stdout) == 100_000, len(result.stdout))  # noqa: PLR2004 (the limit above)
        _nobody_is_left(box)


def _nobody_is_left(box: Sandbox) -> None:
    seen = _job_processes(box)
    _need(seen.exit_code == 0 and seen.stdout == b"", seen)


def _job_processes(box: Sandbox) -> ExecResult:
    return _sh(box, "for p in /proc/[0-9]*; do [ -O $p ] && [ $p != /proc/$$ ] && cat $p/cmdline; done; true")


# ── the seal ─────────────────────────────────────────────────────────────────────────────────────────────────


def _powerless(setting: Setting) -> None:
    with setting.box() as one, setting.box() as two:
        ids = [_sh(box, "id -u; id -g; id -G").stdout.split() for box in (one, two)]
        _need(all(len(set(seen)) == 1 and seen[0] != b"0" for seen in ids), ids)
        _need(ids[0] != ids[1], "the same uid twice")
        status = dict(
            line.split(":", 1) for line in _sh(one, "cat /proc/self/status").stdout.decode().splitlines() if ":" in line
        )
        _need(all(int(status[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")), status)
        _need(status["NoNewPrivs"].strip() == "1", status["NoNewPrivs"])


def _no_network(setting: Setting) -> None:
    with setting.box() as box:
        found = _sh(box, "tail -n +3 /proc/net/dev | cut -d: -f1").stdout.split()
        _need(found in ([b"lo"], []), found)
        # 192.0.2.0/24 belongs to nobody; without a route the answer comes at once.
        script = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
        result = _python(box, script)
        _need(b"Network is unreachable" in result.stderr, result.stderr)
        _need(not _sh(box, f"ls {DOOR} /var/run/docker.sock").stdout, "a socket of the host")


def _loopback(setting: Setting) -> None:
    with setting.box() as box:
        script = (
            "import socket; s = socket.create_server(('127.0.0.1', 0)); c = socket.create_connection(s.getsockname());"
            "s.accept()[0].sendall(b'hi'); print(c.recv(2))"
        )
        result = _python(box, script)
        _need(result.stdout == b"b'hi'\n", result)


CALL_32 = """
import ctypes, mmap, platform
if platform.machine() == "x86_64":
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(bytes.fromhex("b814000000cd80c3"))  # getpid, by int 0x80
    ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    print("answered")
"""
"""The kernel's other way in, where calls have other numbers."""


def _system_calls(setting: Setting) -> None:
    script = """
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    return getattr(libc, name)(*args) == -1 and errno.errorcode[ctypes.get_errno()]
def made(family):
    try:
        socket.socket(family, socket.SOCK_STREAM).close()
    except OSError as e:
        return errno.errorcode[e.errno]
    return "made"
print(call("unshare", 0x10000000), call("ptrace", 0, 0, 0, 0), call("mount", b"none", b"/tmp", b"tmpfs", 0, 0),
      call("syscall", 425, 1, 0), made(40))
"""
    with setting.box() as box:
        result = _python(box, script)
        _need(result.stdout.split() == [b"EPERM"] * 5, result)
        other = _python(box, CALL_32)
        _need(other.stdout == b"", "a 64-bit program can make 32-bit system calls")


def _read_only(setting: Setting) -> None:
    with setting.box() as box:
        for place in ("/", "/etc", "/usr/bin", "/opt", "/run", "/var/tmp", "/dev"):  # noqa: S108 (the container's)
            result = _sh(box, f"touch {place}/x")
            _need(result.exit_code != 0, f"{place} is writable")
        for place in (WORKSPACE, "/home/job", "/tmp"):  # noqa: S108 (the container's)
            result = _sh(box, f"cd {place} && printf '#!/bin/sh\\necho ran' > x && chmod +x x && ./x")
            _need(result.stdout == b"ran\n", (place, result))


def _door(setting: Setting) -> None:
    name = f"door-{secrets.token_hex(4)}"
    with (
        one_at_a_time(name, progress=lambda _: None),
        scratch(name) as directory,
        socket.socket(socket.AF_UNIX) as server,
    ):
        path = directory / "gateway.sock"
        server.bind(str(path))
        server.listen()
        server.settimeout(SECONDS)

        def answer() -> None:
            accepted, _ = server.accept()
            with accepted:
                accepted.sendall(b"hi")

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        with setting.box(door=path) as box:
            script = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({DOOR!r}); print(s.recv(2))"
            result = _python(box, script)
            _need(result.stdout == b"b'hi'\n", result)
            swapped = _sh(box, f"rm -f {DOOR} || mv {DOOR} /tmp/door || touch $(dirname {DOOR})/x")
            _need(swapped.exit_code != 0, "the job can replace the gateway's socket")
        answering.join(SECONDS)


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────


def _memory(setting: Setting) -> None:
    with setting.box() as box:
        result = _python(box, "x = bytearray(2 << 30)")
        _need(result.exit_code == 137 and result.oom, result)  # noqa: PLR2004 (128 + SIGKILL)
        after = _sh(box, "kill -9 $$")
        _need(after.exit_code == 137 and not after.oom, after)  # noqa: PLR2004 (128 + SIGKILL)


def _processes(setting: Setting) -> None:
    # Nobody waits for those that are made: they hold no stream.
    script = """
import os, sys, time
made, most = 0, int(sys.argv[1])
try:
    while made < most:
        if os.fork() == 0:
            for stream in range(3):
                os.close(stream)
            time.sleep(3600)
        made += 1
except OSError:
    pass
print(made)
"""
    with setting.box() as box:
        result = _python(box, script, str(4 * SMALL.pids))
        _need(result.exit_code == 0 and 0 < int(result.stdout) <= SMALL.pids, result)
        _need(box.read("none", limit=1) is None, "a file that is not there")  # which ends every process of the job
        _nobody_is_left(box)


def _fork_bomb(setting: Setting) -> None:
    script = """
import os
while True:
    try:
        os.setsid() if os.fork() == 0 else None
    except OSError:
        pass
"""
    with setting.box() as box:
        result = _python(box, script, timeout=2)
        _need(result.timed_out, result)
        _nobody_is_left(box)


def _disk(setting: Setting) -> None:
    with setting.box() as box:
        for place, megabytes in ((WORKSPACE, SMALL.workspace_mb), ("/tmp", SMALL.tmp_mb), ("/home/job", SMALL.tmp_mb)):  # noqa: S108
            full = _sh(box, f"head -c {(megabytes + 8) << 20} /dev/zero > {place}/big; stat -c %s {place}/big")
            _need(0 < int(full.stdout or b"0") <= megabytes << 20, (place, full))
        files = _python(box, "import os\nfor i in range(9000): open(f'f{i}', 'w').close()")
        _need(b"No space left" in files.stderr, files)


# ── trees and files ──────────────────────────────────────────────────────────────────────────────────────────

_ODD_NAMES = ("-rf", "a b", "tab\there", "new\nline", "quote'\"", "ünï", "sub/deep/file", "x" * 200, "back\\slash")


def _tree(setting: Setting) -> None:
    with setting.box() as box:
        sent = [(_entry(name), name.encode()) for name in _ODD_NAMES]
        sent += [(_entry("run.sh", mode=0o755), b"#!/bin/sh\necho ran\n"), (_entry("to", link="a b"), b"")]
        sent += [(_entry("out", link="/etc/passwd"), b"")]
        box.put_tree(_tar(sent))
        ran = _sh(box, "./run.sh && stat -c %u:%g sub/deep run.sh . && id -u && id -g")
        owners = set(ran.stdout.replace(b":", b"\n").split()[1:])
        _need(ran.exit_code == 0 and len(owners) == 1 and b"0" not in owners, ran)
        got: dict[str, tuple[int, str, bytes]] = {}
        with tarfile.open(fileobj=io.BytesIO(b"".join(box.get_tree())), mode="r:") as tar:
            for entry in tar:
                if not entry.isdir():
                    content = tar.extractfile(entry) if entry.isreg() else None
                    data = content.read() if content is not None else b""
                    got[entry.name] = (entry.mode & 0o111, entry.linkname, data)
        wanted = {f"./{e.name}": (0o111 if e.issym() else e.mode & 0o111, e.linkname, data) for e, data in sent}
        _need(got == wanted, {n: (got.get(n), wanted.get(n)) for n in got | wanted if got.get(n) != wanted.get(n)})


def _tree_does_not_fit(setting: Setting) -> None:
    with setting.box() as box:
        try:
            box.put_tree(_tar([(_entry("big"), bytes((SMALL.workspace_mb + 1) << 20))]))
        except SandboxError:
            pass
        else:
            raise BrokenPromiseError("a tree larger than the workspace was taken without a word")


def _tree_too_large(setting: Setting) -> None:
    with setting.box() as box:
        _sh(box, f"head -c {(SMALL.tree_mb + 4) << 20} /dev/zero > big")
        taken = 0
        try:
            for chunk in box.get_tree():
                taken += len(chunk)
        except OutputTooLargeError:
            _need(taken <= SMALL.tree_mb << 20, taken)
        else:
            raise BrokenPromiseError(f"{taken} bytes came out")
        _need(_sh(box, "echo still here").stdout == b"still here\n", "the sandbox is unusable afterwards")


def _tree_stops_the_job(setting: Setting) -> None:
    with setting.box() as box:
        _sh(box, "setsid sh -c 'while :; do date > tick; done' >/dev/null 2>&1 </dev/null &")
        stream = box.get_tree()
        next(stream)
        for _ in stream:
            pass
        _nobody_is_left(box)


def _changes(setting: Setting) -> None:
    with setting.box() as box:
        kept, old = (
            hashlib.sha1(b"blob 4\0" + text, usedforsecurity=False).hexdigest() for text in (b"one\n", b"old\n")
        )
        _sh(
            box, "mkdir .git d; echo one > kept; echo one > d/kept; echo two > changed; echo x > .git/x; ln -s kept new"
        )
        _sh(box, "setsid sh -c 'while :; do date > changed; done' >/dev/null 2>&1 </dev/null &")
        known = dict.fromkeys((b"kept", b"d/kept"), ("100644", kept)) | dict.fromkeys(
            (b"changed", b"gone"), ("100644", old)
        )
        found = box.get_changes(known)
        _need(found.unchanged == {b"kept", b"d/kept"}, found.unchanged)
        with tarfile.open(fileobj=io.BytesIO(b"".join(found.tar)), mode="r:") as tar:
            names = {entry.name for entry in tar if entry.name != "."}
        _need(names == {"./changed", "./new"}, names)
        _nobody_is_left(box)


def _read(setting: Setting) -> None:
    with setting.box() as box:
        _sh(box, "printf 'a\\0b' > f; ln -s f l; mkdir d; echo t > /tmp/t; echo h > ~/h; head -c 5000 /dev/zero > big")
        seen = [box.read(path, limit=100) for path in ("f", f"{WORKSPACE}/f", "/tmp/t", "/home/job/h")]  # noqa: S108
        _need(seen == [b"a\0b", b"a\0b", b"t\n", b"h\n"], seen)
        none = [box.read(path, limit=100) for path in ("missing", "l", "d", "-n", "/dev/zero")]
        _need(none == [None] * 5, none)
        try:
            box.read("big", limit=100)
        except OutputTooLargeError:
            return
        raise BrokenPromiseError("5000 bytes went through a limit of 100")


# ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _apart(setting: Setting) -> None:
    with setting.box() as one, setting.box() as two:
        _sh(one, "echo mine > f; echo mine > /tmp/f; setsid sleep 3600 >/dev/null 2>&1 </dev/null &")
        seen = _sh(two, "cat f /tmp/f /home/job/f")
        _need(seen.stdout == b"", seen)
        _nobody_is_left(two)
        _sh(two, "kill -9 -1")
        left = _job_processes(one)
        _need(b"sleep" in left.stdout, left)


def _at_once(setting: Setting) -> None:
    seen: dict[int, bytes] = {}

    def work(number: int) -> None:
        with setting.box() as box:
            seen[number] = box.exec(["echo", str(number)], timeout=SECONDS).stdout

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    _need(seen == {n: f"{n}\n".encode() for n in range(4)}, seen)


def _closed(setting: Setting) -> None:
    with setting.box() as box:
        box.close()
        box.close()
        try:
            box.exec(["true"], timeout=SECONDS)
        except SandboxError:
            return
        raise BrokenPromiseError("a closed sandbox ran a command")


def _no_image(setting: Setting) -> None:
    try:
        with setting.sandboxes.open(Spec(image="automend-no-such-image:none", limits=SMALL)):
            pass
    except SandboxError:
        return
    raise BrokenPromiseError("a sandbox was made of an image that is not there")


PROMISES: tuple[Promise, ...] = (
    Promise("answers", "a command's exit code, stdout and stderr come back as they were", _answers),
    Promise(
        "no_such_command", "a command that cannot start is a result, not a failure of the machine", _no_such_command
    ),
    Promise("surroundings", "environment and working directory are the caller's", _surroundings),
    Promise("stdin", "binary stdin arrives whole and ends, binary output comes back whole", _stdin),
    Promise("streams", "stdout is told while the command runs", _streams),
    Promise("deadline", "a deadline ends every process of the job, detached ones too", _deadline),
    Promise("flood", "output ends at its cap, and so does the job", _flood),
    Promise("powerless", "the job is a user of its own without any capability or way to gain one", _powerless),
    Promise("no_network", "there is no network and no socket of the host", _no_network),
    Promise("loopback", "the job can talk to itself on 127.0.0.1", _loopback),
    Promise(
        "system_calls", "namespaces, tracing, mounts, io_uring, AF_VSOCK and 32-bit calls are refused", _system_calls
    ),
    Promise("read_only", "only workspace, home and /tmp can be written to, and run from", _read_only),
    Promise("door", "the gateway's socket can be used, and not replaced", _door),
    Promise("memory", "too much memory ends the command, is told as such, and the sandbox lives on", _memory),
    Promise("processes", "there are only so many processes", _processes),
    Promise("fork_bomb", "a fork bomb ends at its deadline", _fork_bomb),
    Promise("disk", "workspace, home and /tmp hold so many bytes and files and no more", _disk),
    Promise("tree", "a tree goes in as the job's and comes out as it was, odd names, links and modes too", _tree),
    Promise("tree_does_not_fit", "a tree that does not fit is an error", _tree_does_not_fit),
    Promise("tree_too_large", "a tree over the cap is cut off, and the sandbox can be used on", _tree_too_large),
    Promise("tree_stops_the_job", "nothing of the job runs once its tree is taken", _tree_stops_the_job),
    Promise("changes", "only what is not as the asker knows it comes out, and nothing of the job runs then", _changes),
    Promise("read", "a regular file can be read up to a limit, and nothing else", _read),
    Promise("apart", "two sandboxes neither see nor reach each other", _apart),
    Promise("at_once", "sandboxes can be used from several threads at once", _at_once),
    Promise("closed", "closing twice is fine, and a closed sandbox does nothing", _closed),
    Promise("no_image", "an image that is not there is a failure of the machine", _no_image),
)
"""All promises, in the order in which a person would ask."""
