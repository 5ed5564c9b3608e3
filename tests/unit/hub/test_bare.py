from __future__ import annotations

import pytest

from runner.errors import GitError
from runner.hub.bare import Bare, Change, ConflictError, Identity
from runner.hub.rest.call import find_commit

WHO = Identity("Ada", "ada@localhost", "2026-01-02T03:04:05Z")


@pytest.fixture
def bare(tmp_path):
    made = Bare(tmp_path / "r.git")
    made.init("main")
    return made


def commit(bare, parent, branch="main", **files):
    changes = [Change(name.replace("__", "."), text) for name, text in files.items()]
    sha = bare.commit_changes(parent, changes, "Words\n\nand more\n", WHO)
    bare.move(f"refs/heads/{branch}", sha)
    return sha


def test_commits_are_read_as_written(bare):
    first = commit(bare, None, a__txt=b"1\n")
    found = bare.commit(first)
    assert (found.parents, found.message) == ((), "Words\n\nand more")
    assert (found.author.name, found.author.email, found.author.date) == (
        "Ada",
        "ada@localhost",
        "2026-01-02T03:04:05Z",
    )
    second = commit(bare, first, a__txt=b"2\n")
    assert bare.log(second) == [second, first]
    assert bare.contains(second, first)
    assert not bare.contains(first, second)


def test_a_diff_of_every_kind(bare):
    body = b"".join(b"line %d\n" % n for n in range(20))
    first = commit(bare, None, keep__txt=body, gone__txt=b"x\n", bin__dat=b"\0\1", turn=b"target")
    tree = bare.run("ls-tree", bare.commit(first).tree).decode().splitlines()
    lines = [line.replace("keep.txt", 'mo"ved ü.txt') for line in tree if "gone.txt" not in line]
    lines = [line.replace("100644 blob", "120000 blob") if line.endswith("\tturn") else line for line in lines]
    made = bare.line("mktree", "-z", stdin="\0".join([*lines, ""]).encode())
    second = bare.commit_tree(made, [first], "Two\n", WHO)
    third = bare.commit_changes(
        second, [Change("bin.dat", b"\0\2"), Change("new.txt", b"diff --git a/x b/x\n")], "3", WHO
    )
    found = {f.path: f for f in bare.diff(first, third)}
    assert {path: f.status for path, f in found.items()} == {
        "bin.dat": "modified", "gone.txt": "removed", 'mo"ved ü.txt': "renamed", "new.txt": "added", "turn": "changed",
    }  # fmt: skip
    assert found["bin.dat"].binary
    assert found["bin.dat"].patch is None
    assert found['mo"ved ü.txt'].old_path == "keep.txt"
    assert found["new.txt"].patch == "@@ -0,0 +1 @@\n+diff --git a/x b/x"
    assert found["turn"].patch is not None
    assert found["turn"].patch.startswith("@@ -1 +0,0 @@\n-target")


def test_merging_and_conflicts(bare):
    base = commit(bare, None, a=b"1\n", b=b"1\n")
    ours = commit(bare, base, "ours", a=b"2\n")
    theirs = commit(bare, base, "theirs", b=b"2\n")
    tree = bare.merge_tree(ours, theirs)
    assert {e.path: bare.blob(e.sha) for e in bare.tree(tree)} == {"a": b"2\n", "b": b"2\n"}
    clash = commit(bare, base, "clash", a=b"3\n")
    with pytest.raises(ConflictError):
        bare.merge_tree(ours, clash)
    # a revert is the way back, replayed: base → theirs undone on top of later work
    later = commit(bare, theirs, "later", a=b"9\n")
    undone = bare.replay(base=theirs, onto=later, wanted=base, who=WHO)
    assert {e.path: bare.blob(e.sha) for e in bare.tree(undone)} == {"a": b"9\n", "b": b"1\n"}


@pytest.mark.parametrize("path", [".git/config", "../x", "/etc/passwd", "a//b", ""])
def test_paths_that_git_refuses(bare, path):
    first = commit(bare, None, a=b"1\n")
    with pytest.raises(GitError):
        bare.commit_changes(first, [Change(path, b"x")], "No", WHO)


def test_changing_and_deleting(bare):
    first = commit(bare, None, a=b"1\n", b=b"1\n")
    second = bare.commit_changes(first, [Change("a", None)], "Less", WHO)
    assert [e.path for e in bare.tree(second)] == ["b"]
    with pytest.raises(GitError, match="no such file"):
        bare.commit_changes(second, [Change("a", None)], "Again", WHO)
    with pytest.raises(GitError):
        bare.move("refs/heads/main", second, "1" * 40)  # it is elsewhere


@pytest.mark.parametrize("name", ["--all", "-x", "main~0", "main^{tree}", "main:a", "HEAD..main", "@{0}", "", "\0"])
def test_revisions_that_are_no_names_name_nothing(bare, name):
    commit(bare, None, a=b"1\n")
    assert find_commit(bare, name) is None


def test_what_names_a_commit(bare):
    sha = commit(bare, None, a=b"1\n")
    for name in ("main", "heads/main", "refs/heads/main", sha, sha[:8], "HEAD"):
        assert find_commit(bare, name) == sha
    assert find_commit(bare, "gone") is None
