import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.errors import GitError, RepositoryError, UsageError
from runner.git import plumbing
from runner.git.mirror import Mirror

NOBODY = ("automend", "automend@example.org")


def sound(mirror: Mirror) -> bool:
    return (
        mirror.git("config", "gc.auto").strip() == b"0" and mirror.git("rev-parse", "--is-bare-repository") == b"true\n"
    )


def test_it_is_made_once_and_kept(mirror: Mirror) -> None:
    tree = mirror.git("mktree", stdin=b"").decode().strip()
    mirror.keep("x/tree", tree)
    mirror.ensure()
    assert sound(mirror)
    assert mirror.git("rev-parse", "refs/automend/keep/x/tree").decode().strip() == tree
    assert "!filter" in (mirror.path / "info/attributes").read_text()
    assert not (mirror.path / "hooks").exists()


def make_one(path: str) -> bool:
    mirror = Mirror(Path(path))
    mirror.ensure()
    return sound(mirror)


def test_many_processes_at_once_make_one(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert list(pool.map(make_one, [str(tmp_path / "m.git")] * 12)) == [True] * 12
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.git", "m.git.lock"]


def test_killed_at_any_moment_it_can_be_made_again(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runner.git.mirror import Mirror\n"
        "print('ready', flush=True); Mirror(Path(sys.argv[1])).ensure()\n"
    )
    mirror = Mirror(tmp_path / "m.git")
    for seconds in (0.0, 0.002, 0.004, 0.006, 0.008, 0.012):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(mirror.path)], stdout=subprocess.PIPE, cwd=Path.cwd()
        ) as maker:
            assert maker.stdout is not None
            assert maker.stdout.readline() == b"ready\n"
            with contextlib.suppress(subprocess.TimeoutExpired):
                maker.wait(timeout=seconds)
            maker.kill()
    mirror.ensure()
    assert sound(mirror)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.git", "m.git.lock"]


@pytest.mark.parametrize("lost", ["HEAD", "config", "info/attributes"])
def test_one_that_lost_a_part_is_mended_and_keeps_its_objects(mirror: Mirror, lost: str) -> None:
    tree = mirror.git("mktree", stdin=b"").decode().strip()
    (mirror.path / lost).unlink()
    mirror.ensure()
    assert sound(mirror)
    assert mirror.tree_of(tree) == tree
    assert "!filter" in (mirror.path / "info/attributes").read_text()


@pytest.mark.parametrize("content", [b"", b"[core", b"\0" * 50])
def test_a_configuration_that_was_cut_is_written_again(mirror: Mirror, content: bytes) -> None:
    (mirror.path / "config").write_bytes(content)
    mirror.ensure()
    assert sound(mirror)


def test_an_empty_folder_becomes_one(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "m.git")
    mirror.path.mkdir()
    mirror.ensure()
    assert sound(mirror)


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path / "m.git")
    mirror.path.mkdir()
    (mirror.path / "thesis.txt").write_text("years of work")
    with pytest.raises(RepositoryError, match="in the way"):
        mirror.ensure()
    assert (mirror.path / "thesis.txt").read_text() == "years of work"


def test_what_the_dead_left_is_swept(mirror: Mirror) -> None:
    (mirror.path / "refs/heads").mkdir(parents=True, exist_ok=True)
    (mirror.path / "objects/pack").mkdir(parents=True, exist_ok=True)
    left = [
        mirror.path / "config.lock", mirror.path / "packed-refs.lock", mirror.path / "refs/heads/x.lock",
        mirror.path / "objects/pack/tmp_pack_abc", mirror.path.with_name("m.git.new-abc"),
    ]  # fmt: skip
    for path in left:
        path.touch()
    mirror.ensure()
    assert [p for p in left if p.exists()] == []


def test_nothing_is_swept_under_the_hands_of_a_living_one(mirror: Mirror) -> None:
    lock = mirror.path / "packed-refs.lock"
    with mirror.scratch() as folder:
        lock.touch()
        (folder / "index").touch()
        mirror.ensure()
        assert lock.exists()
        assert (folder / "index").exists()
        os.utime(lock, (1, 1))  # but nobody holds a lock for decades
        mirror.ensure()
        assert not lock.exists()


def test_a_git_that_outlives_its_killed_runner_still_holds_the_lock(mirror: Mirror) -> None:
    code = (
        "import sys; from pathlib import Path; from runner.git.mirror import Mirror\n"
        "m = Mirror(Path(sys.argv[1]))\n"
        "with m.feed('hash-object', '--stdin') as write:\n"
        "    print('ready', flush=True); sys.stdin.read()\n"
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", code, str(mirror.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path.cwd()
    )
    assert runner.stdout is not None
    assert runner.stdin is not None
    assert runner.stdout.readline() == b"ready\n"
    lock = mirror.path / "packed-refs.lock"
    lock.touch()
    mirror.ensure()
    assert lock.exists()
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    runner.stdin.close()
    runner.stdout.close()
    # git reads the end of its input when the last writer is gone; then nobody holds the mirror any more.
    mirror.keep("after", mirror.git("mktree", stdin=b"").decode().strip())
    with mirror._lock(2):  # LOCK_EX: waits for git's end
        pass
    mirror.ensure()
    assert not lock.exists()


def test_the_same_commit_comes_of_the_same_words(mirror: Mirror, put: Callable[..., str]) -> None:
    tree = put({b"a": b"x"})
    one, two = (mirror.commit(tree, parents=[], message="hello\n\nü", author=NOBODY, when=5) for _ in range(2))
    assert one == two
    assert mirror.commit(tree, parents=[one], message="m", author=NOBODY, when=5) != one
    assert mirror.tree_of(one) == tree
    assert mirror.commit_of(one[:10]) == one
    mirror.keep("named", one)
    assert mirror.commit_of("named") == one
    assert b"hello\n\n\xc3\xbc" in mirror.git("cat-file", "commit", one)


def test_ancestors(mirror: Mirror, put: Callable[..., str]) -> None:
    tree = put({b"a": b"x"})
    root = mirror.commit(tree, parents=[], message="root", author=NOBODY, when=1)
    left = mirror.commit(tree, parents=[root], message="left", author=NOBODY, when=2)
    right = mirror.commit(tree, parents=[root], message="right", author=NOBODY, when=3)
    other = mirror.commit(tree, parents=[], message="other", author=NOBODY, when=4)
    assert mirror.merge_base(left, right) == root
    assert mirror.merge_base(left, other) is None
    assert mirror.is_ancestor(root, left)
    assert not mirror.is_ancestor(left, root)
    with pytest.raises(GitError):
        mirror.is_ancestor("0" * 40, left)


@pytest.mark.parametrize("name", ["nothing", "0" * 40, "", "--all", "HEAD"])
def test_a_commit_that_is_not_there(mirror: Mirror, name: str) -> None:
    with pytest.raises(RepositoryError):
        mirror.commit_of(name)
    with pytest.raises(RepositoryError):
        mirror.tree_of(name)


def test_keeping(mirror: Mirror, put: Callable[..., str]) -> None:
    one, two = put({b"a": b"1"}), put({b"a": b"2"})
    mirror.keep("run/x", one)
    mirror.keep("run/x", two)
    assert mirror.git("rev-parse", "refs/automend/keep/run/x").decode().strip() == two
    with pytest.raises(RepositoryError):
        mirror.keep("run/y", "0" * 40)
    with pytest.raises(UsageError):
        mirror.keep("a..b", one)


def test_a_failure_names_the_command_the_code_and_the_last_lines(mirror: Mirror) -> None:
    with pytest.raises(plumbing.GitFailed) as caught:
        mirror.git("cat-file", "blob", "0" * 40)
    assert caught.value.returncode == 128
    assert "git cat-file blob" in caught.value.message
    assert "fatal:" in caught.value.stderr


def test_git_that_takes_too_long_is_killed(mirror: Mirror) -> None:
    # A pipe that nobody writes to: git waits for its input for ever.
    reader, writer = os.pipe()
    try:
        with pytest.raises(GitError, match="did not end in time"):
            plumbing.run(["hash-object", f"/proc/{os.getpid()}/fd/{reader}"], git_dir=mirror.path, timeout=0.2)
        with pytest.raises(GitError, match="did not end in time"):
            list(plumbing.stream(["hash-object", f"/proc/{os.getpid()}/fd/{reader}"], git_dir=mirror.path, timeout=0.2))
    finally:
        os.close(reader)
        os.close(writer)


def test_what_is_fed_to_a_git_that_stopped_listening(mirror: Mirror) -> None:
    def feed() -> None:
        with mirror.feed("rev-parse", "--verify", "nonsense") as write:
            for _ in range(100):
                write(bytes(1 << 16))

    with pytest.raises(GitError, match="exit code 128"):
        feed()


def test_no_git_on_path(mirror: Mirror, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitError, match="not on PATH") as caught:
        plumbing.run(["version"], git_dir=mirror.path)
    assert "install git" in caught.value.remedy


def test_the_mirrors_own_settings_are_not_the_hosts(
    mirror: Mirror, source: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "ran"
    for name in ("GIT_EXTERNAL_DIFF", "GIT_ASKPASS", "GIT_SSH_COMMAND", "GIT_EDITOR"):
        monkeypatch.setenv(name, f"touch {trace}")
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    (tmp_path / ".gitconfig").write_text(
        f'[core]\n\tfsmonitor = "touch {trace}"\n[url "/nonexistent"]\n\tinsteadOf = /\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    sha = mirror.fetch(str(source.path), ref="main", auth={})
    assert sha == source.git("rev-parse", "HEAD")
    assert not trace.exists()
