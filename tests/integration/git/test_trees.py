import io
import os
import tarfile
from collections.abc import Callable
from typing import Any

import pytest

from runner.errors import GitError
from runner.git import trees
from runner.git.mirror import Mirror

Put = Callable[..., str]


def unpacked(mirror: Mirror, tree: str, **options: int) -> list[tarfile.TarInfo]:
    data = b"".join(trees.export(mirror, tree, **options))
    assert len(data) % 512 == 0
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8", errors="surrogateescape") as tar:
        return tar.getmembers()


def content(mirror: Mirror, tree: str) -> dict[str, bytes]:
    data = io.BytesIO(b"".join(trees.export(mirror, tree)))
    with tarfile.open(fileobj=data, encoding="utf-8", errors="surrogateescape") as tar:
        return {m.name: f.read() for m in tar.getmembers() if (f := tar.extractfile(m) if m.isreg() else None)}


def test_a_tree_goes_out_as_it_is(mirror: Mirror, put: Put) -> None:
    tree = put(
        {
            b"a.py": b"x\r\n", b"run.sh": ("100755", b"#!\n"), b"link": ("120000", b"../elsewhere"),
            b"sub/deep/b": b"\0" * 1024, b"sub/module": ("160000", "1" * 40), b"empty": b"",
        }
    )  # fmt: skip
    members = unpacked(mirror, tree)
    assert [(m.name, m.type, m.mode, m.linkname) for m in members] == [
        (".", tarfile.DIRTYPE, 0o755, ""),
        ("a.py", tarfile.REGTYPE, 0o644, ""),
        ("empty", tarfile.REGTYPE, 0o644, ""),
        ("link", tarfile.SYMTYPE, 0o777, "../elsewhere"),
        ("run.sh", tarfile.REGTYPE, 0o755, ""),
        ("sub", tarfile.DIRTYPE, 0o755, ""),
        ("sub/deep", tarfile.DIRTYPE, 0o755, ""),
        ("sub/deep/b", tarfile.REGTYPE, 0o644, ""),
        ("sub/module", tarfile.DIRTYPE, 0o755, ""),
    ]
    assert content(mirror, tree) == {"a.py": b"x\r\n", "empty": b"", "run.sh": b"#!\n", "sub/deep/b": b"\0" * 1024}


def test_no_attribute_changes_a_byte(mirror: Mirror, source: Any) -> None:
    files: dict[str, bytes | None] = {
        ".gitattributes": b"* text eol=crlf ident filter=x export-subst\nhidden export-ignore\n*.py -diff\n",
        "a.py": b"$Id$ $Format:%H$\nx\n",
        "hidden": b"h\n",
    }
    sha = source.commit(files)
    mirror.fetch(str(source.path), ref=None, auth={})
    got = content(mirror, mirror.tree_of(sha))
    assert {name: got[name] for name in files} == files


def test_times_are_of_the_tree_so_that_no_stale_bytecode_is_believed(mirror: Mirror, put: Put) -> None:
    one, two = put({b"a.py": b"x = 1\n"}), put({b"a.py": b"x = 2\n"})
    times = [{m.mtime for m in unpacked(mirror, tree)} for tree in (one, one, two)]
    assert all(len(t) == 1 for t in times)
    assert times[0] == times[1] != times[2]
    assert min(times[0]) > 315_532_800  # zip knows no time before 1980
    assert {m.mtime for m in unpacked(mirror, one, mtime=7)} == {7}


def test_the_same_tree_is_the_same_bytes(mirror: Mirror, put: Put) -> None:
    tree = put({b"a": b"1", b"b/c": b"2"})
    assert b"".join(trees.export(mirror, tree)) == b"".join(trees.export(mirror, tree))


def test_odd_and_long_names_go_out_and_come_back(mirror: Mirror, put: Put) -> None:
    odd = [b"tab\there", b"new\nline", b'"quoted"', b"x b/y", b"a\\b", b"\xff\xfe", "ü/日本".encode(), b"n" * 250,
           b"/".join([b"d" * 100] * 5), b" lead", b"-dash", b"workspace/x"]  # fmt: skip
    tree = put(dict.fromkeys(odd, b"x\n"))
    taken = trees.import_tar(mirror, trees.export(mirror, tree), base_tree=tree)
    assert taken == trees.Imported(tree)


def test_a_tree_that_is_named_workspace_inside_is_not_mistaken(mirror: Mirror, put: Put) -> None:
    tree = put({b"workspace/a": b"1", b"workspace/b": b"1"})
    assert trees.import_tar(mirror, trees.export(mirror, tree), base_tree=put({})).tree == tree


def test_large_files_stream(mirror: Mirror, put: Put) -> None:
    big = os.urandom(3_000_001)
    tree = put({b"big": big, b"small": b"s"})
    assert content(mirror, tree) == {"big": big, "small": b"s"}


def test_stopping_early_leaves_no_git_behind(mirror: Mirror, put: Put) -> None:
    tree = put({b"big": os.urandom(5_000_000)})
    chunks = trees.export(mirror, tree)
    for _ in range(4):
        next(chunks)
    chunks.close()  # type: ignore[attr-defined]


def test_a_missing_blob_is_an_error_and_no_shorter_tree(mirror: Mirror, put: Put) -> None:
    tree = put({b"a": b"here", b"b": b"gone"})
    oid = trees.paths(mirror, tree)["b"][1]
    (mirror.path / "objects" / oid[:2] / oid[2:]).unlink()
    with pytest.raises(GitError):
        list(trees.export(mirror, tree))
    with pytest.raises(GitError):
        list(trees.export(mirror, "0" * 40))


def test_reading(mirror: Mirror, put: Put) -> None:
    tree = put({b"a": b"1\r\n", b"sub/b": b"2", b"l": ("120000", b"a"), b"new\nline": b"n", b"\xff": b"f", b"*": b"s"})
    assert trees.read(mirror, tree, "a") == b"1\r\n"
    assert trees.read(mirror, tree, "sub/b") == b"2"
    assert trees.read(mirror, tree, "new\nline") == b"n"
    assert trees.read(mirror, tree, "\\xff") == b"f"
    assert trees.read(mirror, tree, "*") == b"s"
    for nothing in ("sub", "sub/", "nope", "", "l", "../a", "/a", "s*/b"):
        assert trees.read(mirror, tree, nothing) is None
    assert trees.read(mirror, tree, "a", limit=2) is None
    with pytest.raises(GitError):
        trees.read(mirror, "0" * 40, "a")


def test_listing(mirror: Mirror, put: Put) -> None:
    tree = put({b"a": b"", b"s/\xff": ("100755", b""), b"m": ("160000", "1" * 40)})
    empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert trees.paths(mirror, tree) == {
        "a": ("100644", empty),
        "m": ("160000", "1" * 40),
        "s/\\xff": ("100755", empty),
    }
    assert trees.paths(mirror, put({})) == {}


def test_laying_paths_of_one_tree_over_another(mirror: Mirror, put: Put) -> None:
    base = put({b"t/a": b"base", b"t/gone": b"base", b"t/mode": b"m", b"src": b"base", b"f": b"file", b"\xff": b"b"})
    head = put({b"t/a": b"head", b"t/new": b"head", b"t/mode": ("100755", b"m"), b"src": b"head", b"f/g": b"folder"})
    got = trees.overlay(
        mirror, head, from_tree=base, paths=["t/a", "t/gone", "t/new", "t/mode", "f", "nowhere", "\\xff"]
    )
    assert got == put(
        {b"t/a": b"base", b"t/gone": b"base", b"t/mode": b"m", b"src": b"head", b"f": b"file", b"\xff": b"b"}
    )
    back = trees.overlay(mirror, got, from_tree=head, paths=["f", "t", "\\xff"])
    assert back == put(
        {**dict.fromkeys([b"t/a", b"t/new", b"src"], b"head"), b"t/mode": ("100755", b"m"), b"f/g": b"folder"}
    )
    assert trees.overlay(mirror, head, from_tree=base, paths=[]) == head
    assert trees.overlay(mirror, head, from_tree=base, paths=["t", "src", "f", "\\xff"]) == base


def test_merging(mirror: Mirror, put: Put) -> None:
    lines = b"".join(b"%d\n" % i for i in range(20))
    base = put({b"a": lines, b"b": b"b\n"})
    ours = put({b"a": b"top\n" + lines, b"b": b"b\n"})
    theirs = put({b"a": lines + b"end\n", b"b": b"b\n", b"new": b"n\n"})
    merged, conflicts = trees.merge_trees(mirror, base, ours, theirs)
    assert (merged, conflicts) == (put({b"a": b"top\n" + lines + b"end\n", b"b": b"b\n", b"new": b"n\n"}), [])
    clash = put({b"a": b"other\n" + lines, b"b": b"b\n", b"\xff\n": b"x"})
    clash2 = put({b"a": b"third\n" + lines, b"b": b"b\n", b"\xff\n": b"y"})
    assert trees.merge_trees(mirror, base, clash, clash2) == (None, ["\\xff\n", "a"])
    assert trees.merge_trees(mirror, base, base, theirs) == (theirs, [])
    assert trees.merge_trees(mirror, base, ours, base) == (ours, [])
    assert trees.merge_trees(mirror, base, ours, ours) == (ours, [])
    assert trees.merge_trees(mirror, base, put({b"a": lines}), put({b"a": lines, b"b": b"B\n"})) == (None, ["b"])
    with pytest.raises(GitError):
        trees.merge_trees(mirror, base, ours, "0" * 40)
