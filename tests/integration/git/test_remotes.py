import base64
import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from runner.errors import GitError, RepositoryError, UsageError
from runner.git.mirror import Mirror, dirty_paths

NOBODY = ("automend", "automend@example.org")


@pytest.fixture
def history(source: Any) -> dict[str, str]:
    """A few commits on main, one on a side branch, tags of both kinds."""
    first = source.git("rev-parse", "HEAD")
    source.git("tag", "light")
    source.git("tag", "-a", "-m", "x", "heavy")
    second = source.commit({"a.py": b"new\n"}, "second")
    source.git("checkout", "-q", "-b", "feature/side", first)
    side = source.commit({"side": b"s\n"}, "side")
    source.git("checkout", "-q", "main")
    return {"first": first, "second": second, "side": side}


# ── what is fetched ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["path", "file", "http", "old-http"])
def test_branches_and_tags(
    mirror: Mirror, source: Any, history: dict[str, str], request: pytest.FixtureRequest, how: str
) -> None:
    remote = address(request, source, how)
    wanted = {
        None: "second", "HEAD": "second", "main": "second", "refs/heads/main": "second", "feature/side": "side",
        "light": "first", "heavy": "first", "refs/tags/heavy": "first",
    }  # fmt: skip
    assert {ref: mirror.fetch(remote, ref=ref, auth={}) for ref in wanted} == {r: history[n] for r, n in wanted.items()}


@pytest.mark.parametrize("how", ["path", "http", "old-http"])
def test_a_commit_by_its_id_or_its_beginning(
    mirror: Mirror, source: Any, history: dict[str, str], request: pytest.FixtureRequest, how: str
) -> None:
    remote = address(request, source, how)
    assert mirror.fetch(remote, ref=history["first"], auth={}) == history["first"]
    assert mirror.fetch(remote, ref=history["side"][:9], auth={}) == history["side"]
    assert mirror.fetch(remote, ref=history["first"], auth={}) == history["first"]


def address(request: pytest.FixtureRequest, source: Any, how: str) -> str:
    if how == "path":
        return str(source.path)
    if how == "file":
        return f"file://{source.path}"
    hosted: str = request.getfixturevalue("hosted")
    request.getfixturevalue("server").protocol = how == "http"
    return hosted


def test_in_a_folder_whatever_git_understands(mirror: Mirror, source: Any, history: dict[str, str]) -> None:
    assert mirror.fetch(str(source.path), ref="main~1", auth={}) == history["first"]
    assert mirror.fetch(str(source.path), ref="HEAD^", auth={}) == history["first"]


def test_a_branch_that_moved_is_seen(mirror: Mirror, source: Any) -> None:
    before = mirror.fetch(str(source.path), ref="main", auth={})
    after = source.commit({"n": b"1"})
    assert mirror.fetch(str(source.path), ref="main", auth={}) == after != before


def test_a_branch_goes_before_a_tag_of_the_same_name(mirror: Mirror, source: Any, hosted: str) -> None:
    source.git("tag", "main")
    after = source.commit({"n": b"1"})
    assert mirror.fetch(str(source.path), ref="main", auth={}) == after


def test_a_linked_work_tree_and_a_bare_repository(mirror: Mirror, source: Any, tmp_path: Path) -> None:
    head = source.git("rev-parse", "HEAD")
    source.git("worktree", "add", "-q", "-b", "linked", str(tmp_path / "linked"))
    assert mirror.fetch(str(tmp_path / "linked"), ref=None, auth={}) == head
    source.git("clone", "-q", "--bare", str(source.path), str(tmp_path / "bare"))
    assert mirror.fetch(str(tmp_path / "bare"), ref=None, auth={}) == head


def test_twins_fetch_at_once(mirror: Mirror, source: Any, hosted: str) -> None:
    head = source.git("rev-parse", "HEAD")
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda _: mirror.fetch(hosted, ref="main", auth={}), range(12)))
    assert found == [head] * 12


def test_a_twin_that_is_slow_to_let_a_ref_go_is_waited_for(mirror: Mirror, source: Any) -> None:
    head = source.git("rev-parse", "HEAD")
    lock = mirror.path / f"refs/automend/base/{head}.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    slow = threading.Timer(1, lock.unlink)
    slow.start()
    assert mirror.fetch(str(source.path), ref="main", auth={}) == head
    slow.join()


# ── what cannot be fetched ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "ref", ["mian", "", "-x", "--upload-pack=touch x", "a b", "main:x", "deadbeef", "0" * 40, "x\ny"]
)
@pytest.mark.parametrize("how", ["path", "http", "old-http"])
def test_an_unknown_ref_is_told_with_the_branches(
    mirror: Mirror, source: Any, request: pytest.FixtureRequest, how: str, ref: str
) -> None:
    source.git("branch", "other")
    remote = address(request, source, how)
    with pytest.raises(RepositoryError, match="has no branch, tag or commit") as caught:
        mirror.fetch(remote, ref=ref, auth={})
    assert "main, other" in caught.value.remedy
    if ref == "mian":
        assert "did you mean `main`?" in caught.value.remedy


def test_a_tree_or_a_blob_is_no_commit(mirror: Mirror, source: Any, hosted: str) -> None:
    tree = source.git("rev-parse", "HEAD^{tree}")
    for remote in (str(source.path), hosted):
        with pytest.raises(RepositoryError):
            mirror.fetch(remote, ref=tree, auth={})


def test_an_empty_repository(mirror: Mirror, make_repo: Callable[..., Any], server: Any, tmp_path: Path) -> None:
    empty = make_repo("empty")
    subprocess.run(["git", "init", "-q", "--bare", str(server.root / "empty.git")], check=True)
    for remote in (str(empty.path), f"file://{empty.path}", server.url("empty.git")):
        for ref in (None, "main"):
            with pytest.raises(RepositoryError, match="is empty"):
                mirror.fetch(remote, ref=ref, auth={})


def test_a_head_that_names_nothing(mirror: Mirror, source: Any, hosted: str, server: Any) -> None:
    source.git("symbolic-ref", "HEAD", "refs/heads/gone")
    subprocess.run(["git", "-C", str(server.root / "own.git"), "symbolic-ref", "HEAD", "refs/heads/gone"], check=True)
    for remote in (str(source.path), hosted):
        with pytest.raises(RepositoryError, match="names no commit") as caught:
            mirror.fetch(remote, ref=None, auth={})
        assert "main" in caught.value.remedy


def test_a_shallow_clone_is_refused_with_the_mend(mirror: Mirror, source: Any, server: Any, tmp_path: Path) -> None:
    source.commit({"n": b"1"})
    bare = server.root / "shallow.git"
    source.git("clone", "-q", "--depth=1", f"file://{source.path}", str(tmp_path / "shallow"))
    source.git("clone", "-q", "--bare", "--depth=1", f"file://{source.path}", str(bare))
    for remote in (str(tmp_path / "shallow"), server.url("shallow.git")):
        with pytest.raises(RepositoryError, match="shallow") as caught:
            mirror.fetch(remote, ref="main", auth={})
        assert "--unshallow" in caught.value.remedy
    assert not (mirror.path / "shallow").exists()


def test_no_repository(mirror: Mirror, tmp_path: Path, source: Any, server: Any) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for remote in (tmp_path / "folder", tmp_path / "nowhere", tmp_path / "file", f"file://{tmp_path}/folder"):
        with pytest.raises(RepositoryError):
            mirror.fetch(str(remote), ref=None, auth={})
    with pytest.raises(RepositoryError) as caught:
        mirror.fetch(str(source.path / "sub"), ref=None, auth={})
    assert str(source.path) in caught.value.remedy
    with pytest.raises(RepositoryError, match="no repository"):
        mirror.fetch(server.url("nothing.git"), ref=None, auth={})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user_is_refused_with_the_mend(mirror: Mirror, source: Any) -> None:
    for path in (source.path, *source.path.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    with pytest.raises(RepositoryError, match="belongs to another user") as caught:
        mirror.fetch(str(source.path), ref=None, auth={})
    assert "chown" in caught.value.remedy


@pytest.mark.parametrize(
    "remote", ["git@example.org:a/b", "ssh://example.org/a", "ext::sh -c id", "git://example.org/a", "http://", "-x"]
)
def test_addresses_that_are_not_used(mirror: Mirror, remote: str) -> None:
    with pytest.raises(RepositoryError):
        mirror.fetch(remote, ref=None, auth={})


def test_a_server_that_is_not_there(mirror: Mirror, server: Any) -> None:
    address = server.url("x.git")
    server.stop()
    with pytest.raises(GitError) as caught:
        mirror.fetch(address, ref=None, auth={})
    assert "Failed to connect" in caught.value.message or "refused" in caught.value.message
    server.stop = lambda: None


def test_another_object_format(mirror: Mirror, make_repo: Callable[..., Any]) -> None:
    other = make_repo("sha256", "--object-format=sha256")
    other.commit({"a": b"1"})
    with pytest.raises(RepositoryError, match="SHA-1"):
        mirror.fetch(str(other.path), ref="main", auth={})


def test_history_with_objects_that_could_harm_is_not_taken(
    mirror: Mirror, source: Any, hosted: str, server: Any
) -> None:
    blob = source.git("hash-object", "-w", "--stdin", stdin=b"x")
    tree = source.git("mktree", stdin=f"100644 blob {blob}\t.GIT\n".encode())
    bad = source.git("commit-tree", "-m", "bad", tree)
    source.git("update-ref", "refs/heads/bad", bad)
    with pytest.raises(GitError, match="hasDotgit"):
        mirror.fetch(str(source.path), ref="bad", auth={})


# ── getting in ───────────────────────────────────────────────────────────────────────────────────────────────────


def auth(word: str) -> dict[str, str]:
    basic = base64.b64encode(f"x-access-token:{word}".encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {basic}",
    }


def test_credentials_reach_the_server_and_nobody_else(mirror: Mirror, source: Any, hosted: str, server: Any) -> None:
    right = auth("open-sesame")
    server.authorization = right["GIT_CONFIG_VALUE_0"].removeprefix("Authorization: ")
    head = source.git("rev-parse", "HEAD")
    assert mirror.fetch(hosted, ref="main", auth=right) == head
    assert mirror.remote_sha(hosted, "main", right) == head
    for wrong in ({}, auth("wrong")):
        with pytest.raises(RepositoryError, match="does not let automend in") as caught:
            mirror.fetch(hosted, ref="main", auth=wrong)
        assert "GITHUB_TOKEN" in caught.value.remedy
        assert not any(value in str(caught.value) for value in wrong.values() if len(value) > 5)
    config = (mirror.path / "config").read_text()
    assert "Authorization" not in config


# ── the remote's branches ────────────────────────────────────────────────────────────────────────────────────────


def test_where_a_branch_is(mirror: Mirror, source: Any, hosted: str) -> None:
    source.git("update-ref", "refs/odd/refs/heads/main2", "HEAD")
    head = source.git("rev-parse", "HEAD")
    for remote in (str(source.path), hosted):
        assert mirror.remote_sha(remote, "main", {}) == head
        assert mirror.remote_sha(remote, "refs/heads/main", {}) == head
        assert mirror.remote_sha(remote, "main2", {}) is None
        assert mirror.remote_sha(remote, "", {}) is None
    with pytest.raises(RepositoryError):
        mirror.remote_sha(hosted + "x", "main", {})


@pytest.fixture
def work(mirror: Mirror, hosted: str) -> list[str]:
    """A base, two commits upon it, and one beside them."""
    base = mirror.fetch(hosted, ref="main", auth={})
    tree = mirror.tree_of(base)
    one = mirror.commit(tree, parents=[base], message="one", author=NOBODY, when=1)
    two = mirror.commit(tree, parents=[one], message="two", author=NOBODY, when=2)
    beside = mirror.commit(tree, parents=[base], message="beside", author=NOBODY, when=3)
    return [base, one, two, beside]


@pytest.fixture(params=["http", "path"])
def target(request: pytest.FixtureRequest, hosted: str, source: Any) -> str:
    return hosted if request.param == "http" else str(source.path)


def test_a_push_makes_the_branch_and_moves_it_on_and_can_be_said_twice(
    mirror: Mirror, target: str, work: list[str]
) -> None:
    base, one, two, _ = work
    for commit in (one, one, two, two):
        mirror.push(target, commit=commit, branch="automend/x", auth={})
        assert mirror.remote_sha(target, "automend/x", {}) == commit
    assert mirror.remote_sha(target, "main", {}) == base


def test_a_push_never_takes_anything_away(mirror: Mirror, target: str, work: list[str]) -> None:
    _, one, two, beside = work
    mirror.push(target, commit=two, branch="b", auth={})
    for commit in (beside, one):
        with pytest.raises(RepositoryError, match="has moved"):
            mirror.push(target, commit=commit, branch="b", auth={})
    assert mirror.remote_sha(target, "b", {}) == two


def test_a_push_with_an_expectation(mirror: Mirror, target: str, work: list[str]) -> None:
    _, one, two, beside = work
    mirror.push(target, commit=one, branch="b", auth={}, expected="")
    with pytest.raises(RepositoryError, match="has moved"):
        mirror.push(target, commit=two, branch="b", auth={}, expected="")
    with pytest.raises(RepositoryError, match="has moved"):
        mirror.push(target, commit=two, branch="b", auth={}, expected=beside)
    mirror.push(target, commit=beside, branch="b", auth={}, expected=one)
    assert mirror.remote_sha(target, "b", {}) == beside
    mirror.push(target, commit=beside, branch="b", auth={}, expected=one)  # said again: it is there already


def test_twins_push_at_once(mirror: Mirror, hosted: str, work: list[str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: mirror.push(hosted, commit=work[1], branch="b", auth={}), range(8)))
    assert mirror.remote_sha(hosted, "b", {}) == work[1]


def test_a_ref_that_the_other_side_holds_is_asked_for_again(
    mirror: Mirror, source: Any, hosted: str, server: Any, work: list[str]
) -> None:
    lock = server.root / "own.git/refs/heads/b.lock"
    lock.touch()
    slow = threading.Timer(1, lock.unlink)
    slow.start()
    mirror.push(hosted, commit=work[1], branch="b", auth={})
    assert mirror.remote_sha(hosted, "b", {}) == work[1]
    slow.join()


def test_a_branch_that_somebody_works_on_is_left_alone(
    mirror: Mirror, source: Any, work: list[str], tmp_path: Path
) -> None:
    source.git("worktree", "add", "-q", "-b", "linked", str(tmp_path / "linked"))
    source.git("config", "receive.denyCurrentBranch", "ignore")  # even where their git would not mind
    for branch in ("main", "linked"):
        with pytest.raises(RepositoryError, match="checked out"):
            mirror.push(str(source.path), commit=work[1], branch=branch, auth={})
    assert source.git("rev-parse", "main") == work[0]


@pytest.mark.parametrize("branch", ["a..b", "-x", "a b", "x.lock", "a:b", ""])
def test_a_name_that_no_branch_can_have(mirror: Mirror, hosted: str, work: list[str], branch: str) -> None:
    with pytest.raises(UsageError):
        mirror.push(hosted, commit=work[1], branch=branch, auth={})


def test_a_server_that_says_no(mirror: Mirror, hosted: str, server: Any, work: list[str]) -> None:
    hook = server.root / "own.git/hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RepositoryError, match=r"refused the branch \(not today\)"):
        mirror.push(hosted, commit=work[1], branch="b", auth={})


# ── a person's own work tree ─────────────────────────────────────────────────────────────────────────────────────


def test_what_is_not_committed(source: Any, tmp_path: Path) -> None:
    assert dirty_paths(source.path) == []
    (source.path / "a.py").write_bytes(b"edited\n")
    (source.path / "sub/b.py").unlink()
    (source.path / "new dir").mkdir()
    (source.path / "new dir/ü\n.txt").write_bytes(b"")
    (source.path / "x.pyc").write_bytes(b"")
    assert sorted(dirty_paths(source.path)) == ["a.py", "new dir/ü\n.txt", "sub/b.py"]
    source.git("mv", ".gitignore", "renamed")
    assert {".gitignore", "renamed"} <= set(dirty_paths(source.path))


def test_looking_at_a_work_tree_runs_nothing_of_it(source: Any, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    source.git("config", "core.fsmonitor", f"touch {trace}")
    source.git("config", "core.hooksPath", str(tmp_path))
    for key in ("clean", "process", "smudge"):
        source.git("config", f"filter.evil.{key}", f"touch {trace}; cat")
    (tmp_path / "more").write_text(f'[filter "other"]\n\tclean = "touch {trace}; cat"\n\trequired = true\n')
    source.git("config", "include.path", str(tmp_path / "more"))
    (source.path / ".gitattributes").write_text("*.py filter=evil\nb.py filter=other\n")
    (source.path / "a.py").write_bytes(b"edited\n")
    (source.path / "sub/b.py").write_bytes(b"edited\n")
    assert set(dirty_paths(source.path)) == {"a.py", "sub/b.py", ".gitattributes"}
    assert not trace.exists()


def test_a_bare_repository_has_no_work_tree(source: Any, tmp_path: Path) -> None:
    source.git("clone", "-q", "--bare", str(source.path), str(tmp_path / "bare"))
    assert dirty_paths(tmp_path / "bare") == []
    with pytest.raises(RepositoryError):
        dirty_paths(tmp_path)
