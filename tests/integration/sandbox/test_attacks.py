"""What a job tries against the one who looks after it: at the edges where the host's side acts inside the container."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from runner.git.importing import import_tar
from runner.git.mirror import Mirror
from sandbox.api import Limits, Sandbox, SandboxError, Spec
from sandbox.docker import DockerSandboxes
from sandbox.workspace import READ_SECONDS

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]
SMALL = Limits(memory_mb=256, workspace_mb=32, tmp_mb=16, pids=64, tree_mb=64)


@pytest.fixture(scope="module")
def shared(sandboxes: DockerSandboxes, base: str) -> Iterator[Sandbox]:
    with sandboxes.open(Spec(image=base, limits=SMALL)) as box:
        yield box


@pytest.fixture
def box(shared: Sandbox) -> Sandbox:
    """One container for all of them: nothing runs in it and its workspace is empty."""
    assert shared.read("none", limit=1) is None
    assert shared.exec(["find", ".", "-mindepth", "1", "-delete"], timeout=120).exit_code == 0
    return shared


def sh(box: Sandbox, script: str, *, seconds: float = 120) -> bytes:
    done = box.exec(["/bin/sh", "-c", script], timeout=seconds)
    assert done.exit_code == 0, done
    return done.stdout


def python(box: Sandbox, script: str) -> bytes:
    done = box.exec(["python3", "-c", script], timeout=120)
    assert done.exit_code == 0, done
    return done.stdout


def test_a_working_directory_that_is_a_link_to_the_engines_descriptors(box: Sandbox) -> None:
    for number in range(3, 16):
        sh(box, f"ln -sfn /proc/self/fd/{number} link")
        seen = box.exec(
            ["/bin/sh", "-c", "pwd -P; cat ../../../../../../../etc/hostname"], timeout=120, cwd="/workspace/link"
        )
        assert seen.exit_code != 0 or seen.stdout.endswith(b"job\n"), (number, seen)
        assert b"/sys/fs/cgroup" not in seen.stdout


def test_a_reader_is_alone_with_the_file(box: Sandbox) -> None:
    """A daemon stops whoever reads, and puts a link without an end where the file was."""
    script = """
import os, signal
if os.fork(): os._exit(0)
os.setsid()
for s in range(1, 32):
    try: signal.signal(s, signal.SIG_IGN)
    except OSError: pass
while True:
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if open(f"/proc/{pid}/comm").read() == "head\\n": os.kill(int(pid), signal.SIGSTOP)
        except OSError: pass
    os.path.lexists("link") or os.symlink("/dev/zero", "link")
    os.replace("link", "report")
    with open("new", "w") as f: f.write("x")
    os.replace("new", "report")
"""
    for _ in range(3):
        done = box.exec(["sh", "-c", 'python3 -c "$1" >/dev/null 2>&1 </dev/null', "sh", script], timeout=120)
        assert done.exit_code == 0
        start = time.monotonic()
        assert box.read("report", limit=100) in {b"x", None}
        assert time.monotonic() - start < READ_SECONDS  # a reader that was stopped is given up then


def test_nothing_is_written_after_the_tree_is_taken(box: Sandbox) -> None:
    """Writers that are hard to see and to end: detached twice, deaf to signals, not dumpable, and many."""
    script = """
import ctypes, os, signal
if os.fork(): os._exit(0)
os.setsid()
for n in range(8):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        while True:
            with open(f"late-{n}", "a") as f: f.write("x")
            try:
                if os.fork(): os._exit(0)
            except OSError: pass
"""
    # The shell that waits is there before they are: among them there may be no room for one more.
    waiting = 'python3 -c "$1" >/dev/null 2>&1 </dev/null; while [ ! -s late-7 ]; do :; done; echo seen'
    done = box.exec(["sh", "-c", waiting, "sh", script], timeout=120)
    assert (done.exit_code, done.stdout) == (0, b"seen\n")
    first = hashlib.sha256(b"".join(box.get_tree())).hexdigest()
    assert first == hashlib.sha256(b"".join(box.get_tree())).hexdigest()


def test_kernel_memory_is_the_jobs_own(sandboxes: DockerSandboxes, base: str) -> None:
    """Full socket buffers belong to no process: the container may die of it, and nobody else."""
    script = """
import os, socket
while os.fork() or True:
    kept = []
    try:
        while True:
            a, b = socket.socketpair()
            a.setblocking(False)
            kept.append((a, b))
            while a.send(bytes(65536)): pass
    except BlockingIOError: continue
    except OSError: pass
"""
    start = time.monotonic()
    try:
        with sandboxes.open(Spec(image=base, limits=SMALL)) as box:
            done = box.exec(["python3", "-c", script], timeout=8)
            assert done.timed_out or done.exit_code not in {0, None}
    except SandboxError as e:
        assert "died" in e.message or "killed" in e.message  # noqa: PT017 (either end is right)
    assert time.monotonic() - start < 120
    assert sandboxes.client.ping()


def test_a_fifo_can_be_made_and_nothing_else_by_mknod(box: Sandbox) -> None:
    """Honest tests make FIFOs. A character device of 0, 0 needs no capability, so only the profile refuses that one."""
    script = """
import errno, os, stat
os.mkfifo("pipe", 0o600)
os.mknod("other", stat.S_IFIFO | 0o644)
folder = os.open(".", os.O_RDONLY)
os.mkfifo("third", dir_fd=folder)
kinds = {"blank": stat.S_IFCHR, "null": stat.S_IFCHR, "disk": stat.S_IFBLK, "file": stat.S_IFREG, "end": stat.S_IFSOCK}
devices = {"null": os.makedev(1, 3), "disk": os.makedev(8, 0)}
for name, kind in kinds.items():
    for where in (None, folder):
        try:
            os.mknod(name, kind | 0o666, devices.get(name, 0), dir_fd=where)
        except OSError as e:
            print(name, errno.errorcode[e.errno])
print(sorted(n for n in os.listdir() if stat.S_ISFIFO(os.lstat(n).st_mode)), len(os.listdir()))
"""
    said = python(box, script).decode().splitlines()
    assert said[:-1] == [f"{name} EPERM" for name in ("blank", "null", "disk", "file", "end") for _ in range(2)]
    assert said[-1] == "['other', 'pipe', 'third'] 3"


def test_a_fifo_is_refused_with_the_tree_and_keeps_nobody_waiting(box: Sandbox, mirror: Mirror) -> None:
    base = mirror.git("mktree", stdin=b"").decode().strip()
    kept = hashlib.sha1(b"blob 3\0one", usedforsecurity=False).hexdigest()
    sh(box, "mkdir sub && mkfifo pipe sub/known")
    start = time.monotonic()
    assert box.read("pipe", limit=100) is None
    changes = box.get_changes({b"sub/known": ("100644", kept)})
    assert not changes.unchanged
    for tar in (changes.tar, box.get_tree()):
        taken = import_tar(mirror, tar, base_tree=base)
        assert taken.tree is None
        assert {(f.rule, f.path) for f in taken.findings} == {
            ("tree.special-file", "pipe"), ("tree.special-file", "sub/known"),
        }  # fmt: skip
    assert time.monotonic() - start < 120


def test_the_items_on_containers_of_docker_bench_security(sandboxes: DockerSandboxes, shared: Sandbox) -> None:
    """Section 5, as `docker inspect` shows it; docs/security.md has the table with what they mean here."""
    seen = sandboxes.client.api.inspect_container(shared.id)
    host = seen["HostConfig"]
    assert {option.partition("=")[0].partition(":")[0] for option in host["SecurityOpt"]} == {
        "no-new-privileges",
        "seccomp",
    }  # 5.2, 5.21, 5.25
    assert (host["CapAdd"], host["CapDrop"], host["Privileged"]) == (None, ["ALL"], False)  # 5.3, 5.4
    assert [(m["Type"], m["Destination"]) for m in seen["Mounts"]] == [("volume", "/workspace")]  # 5.5, 5.19, 5.31
    assert (host["NetworkMode"], host["PortBindings"] or {}) == ("none", {})  # 5.7 to 5.9, 5.13, 5.29
    assert min(host["Memory"], host["NanoCpus"], host["PidsLimit"]) > 0  # 5.10, 5.11, 5.28
    assert host["MemorySwap"] == host["Memory"]
    assert host["ReadonlyRootfs"]  # 5.12
    assert host["RestartPolicy"]["MaximumRetryCount"] == 0  # 5.14
    shares = [host[f"{name}Mode"] for name in ("Pid", "Ipc", "UTS", "Userns")]
    assert shares == ["", "private", "", ""]  # 5.15, 5.16, 5.20, 5.30
    assert not host["Devices"]  # 5.17
    assert {limit["Name"] for limit in host["Ulimits"]} >= {"nofile", "fsize", "core"}  # 5.18
    assert host["CgroupParent"] == ""  # 5.24


# What a workspace may hold when the agent is done: a script, and the rules that refuse it; none where what is left is
# harmless, because it is no part of a patch or becomes plain files.
LEFT: dict[str, tuple[str, set[str] | None]] = {
    "hooks and settings in the agent's own repository": (
        "git init -q . && git config core.fsmonitor 'touch /tmp/owned' && echo 'touch /tmp/owned' > .git/hooks/x",
        set(),
    ),
    ".git that is a file": ("echo 'gitdir: /etc' > .git", set()),
    ".git that is a link": ("ln -s / .git", set()),
    "a repository further down": ("mkdir -p a/.git/hooks && echo x > a/.git/hooks/pre-commit", {"tree.git-alias"}),
    ".git by another name": ("mkdir -p '.GIT' 'git~1' && touch .GIT/config 'git~1/config'", {"tree.git-alias"}),
    "a socket": ("python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('s')\"", set()),
    "a chain of links out of the workspace": (
        "mkdir a && ln -s a b && ln -s b/.. c && ln -s c/../../etc d && ln -s d/passwd e && ln -s / root",
        set(),
    ),
    "hard links": ("echo x > a; for i in 1 2 3; do ln a b$i; done", set()),
    "names that are no UTF-8": ("touch \"$(printf 'a\\377b')\"", {"tree.path"}),
    "names that turn the text around": ("touch \"$(printf 'a\\342\\200\\256b')\"", {"tree.path"}),
    "nobody may read it": ("echo x > a; mkdir d; echo y > d/b; chmod 000 a d", set()),
    "a path that is too long for the kernel": (
        "python3 -c \"import os\nfor i in range(30):\n os.mkdir('d' * 200); os.chdir('d' * 200)\nopen('f', 'w')\"",
        None,
    ),
    "sparse files that would fill a disk": (
        "python3 -c \"import os\nfor i in range(300): os.truncate(open(str(i), 'w').name, 1 << 27)\"",
        {"too large"},
    ),
    "more files than anybody has": ("python3 -c \"for i in range(4000): open(str(i), 'w')\"", set()),
}


@pytest.mark.parametrize("left", LEFT)
def test_what_is_left_cannot_harm_who_takes_it(left: str, box: Sandbox, mirror: Mirror) -> None:
    script, rules = LEFT[left]
    sh(box, script)
    start = time.monotonic()
    base = mirror.git("mktree", stdin=b"").decode().strip()
    try:
        changes = box.get_changes({})
        assert changes.unchanged == frozenset()
        with closing(changes.tar) as tar:
            taken = import_tar(mirror, tar, base_tree=base)
        whole = import_tar(mirror, box.get_tree(), base_tree=base)
        assert (taken.tree, set(taken.findings)) == (whole.tree, set(whole.findings))
    except SandboxError as e:
        assert rules == {"too large"}
        assert "larger than" in e.message  # noqa: PT017
    else:
        assert rules is None or {finding.rule for finding in taken.findings} == rules
        assert (taken.tree is None) == bool(taken.findings)
    assert time.monotonic() - start < 120
    sh(box, "chmod -R u+rwx . && ls /tmp/owned 2>/dev/null || true")
    assert not Path("/tmp/owned").exists()
