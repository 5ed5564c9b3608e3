import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.errors import GitError, UsageError
from runner.git import diff, trees
from runner.git.mirror import Mirror
from runner.model import FileHunks

Put = Callable[..., str]

ODD = [b"tab\there", b"new\nline", b'"quoted"', b"x b/y", b"a\\b", b"\xff\xfe", "ü/日本".encode(), b" lead", b"trail ",
       b"-dash", b":colon", b"a => b", b"{a => b}/c", b"diff --git a/x b/x", b"@@ -1 +1 @@"]  # fmt: skip


def changed(mirror: Mirror, base: str, head: str) -> dict[str, tuple[str, int, int]]:
    return {f.path: (f.status, f.added, f.removed) for f in diff.read_patch(mirror, base, head).files}


def test_what_changed(mirror: Mirror, put: Put) -> None:
    base = put(
        {b"edit": b"1\n2\n3\n", b"gone": b"g\n", b"mode": b"m\n", b"type": b"t\n", b"same": b"s\n", b"bin": b"\0"}
    )
    head = put(
        {b"edit": b"1\nTWO\n3\n4\n", b"mode": ("100755", b"m\n"), b"type": ("120000", b"same"), b"same": b"s\n",
         b"bin": b"\0\1", b"new": b"no line end", b"empty": b""}
    )  # fmt: skip
    patch = diff.read_patch(mirror, base, head, dropped=["x.pyc"])
    assert changed(mirror, base, head) == {
        "bin": ("M", 0, 0), "edit": ("M", 2, 1), "empty": ("A", 0, 0), "gone": ("D", 0, 1), "mode": ("M", 0, 0),
        "new": ("A", 1, 0), "type": ("T", 1, 1),
    }  # fmt: skip
    assert (patch.base_tree, patch.head_tree, patch.dropped) == (base, head, ("x.pyc",))
    files = {f.path: f for f in patch.files}
    assert files["bin"].binary
    assert (files["mode"].old_mode, files["mode"].new_mode) == ("100644", "100755")
    assert files["mode"].old_blob == files["mode"].new_blob
    assert (files["new"].old_mode, files["new"].old_blob) == (None, None)
    assert (files["gone"].new_mode, files["gone"].new_blob) == (None, None)
    assert files["type"].new_mode == "120000"


def test_no_change_is_an_empty_patch(mirror: Mirror, put: Put) -> None:
    tree = put({b"a": b"x"})
    assert diff.read_patch(mirror, tree, tree).files == ()
    assert diff.hunks(mirror, tree, tree) == ()
    assert diff.diff_text(mirror, tree, tree, limit_bytes=100) == ""


def test_odd_names_lose_nothing(mirror: Mirror, put: Put) -> None:
    base = put(dict.fromkeys(ODD[::2], b"old\n"))
    head = put(dict.fromkeys(ODD, b"new\nline\n"))
    patch = diff.read_patch(mirror, base, head)
    assert len(patch.files) == len(ODD)
    patch.model_dump_json()
    for change, lines in zip(patch.files, diff.hunks(mirror, base, head), strict=True):
        assert lines.path == change.path
        assert (len(lines.added), len(lines.removed)) == (change.added, change.removed)
        assert trees.read(mirror, head, change.path) == b"new\nline\n"


def test_a_rename_is_a_removal_and_an_addition(mirror: Mirror, put: Put) -> None:
    text = b"line\n" * 30
    assert changed(mirror, put({b"a": text}), put({b".github/CODEOWNERS": text})) == {
        "a": ("D", 0, 30), ".github/CODEOWNERS": ("A", 30, 0)
    }  # fmt: skip


def test_a_submodule_shows(mirror: Mirror, put: Put) -> None:
    base, head = put({b"m": ("160000", "1" * 40)}), put({b"m": ("160000", "2" * 40), b"n": ("160000", "3" * 40)})
    assert changed(mirror, base, head) == {"m": ("M", 1, 1), "n": ("A", 1, 0)}
    assert diff.hunks(mirror, base, head)[0].added == ((1, b"Subproject commit " + b"2" * 40),)


def test_attributes_of_the_repository_hide_nothing(mirror: Mirror, put: Put) -> None:
    attributes = b"*.py -diff -text binary merge=ours diff=evil\n"
    base = put({b".gitattributes": attributes, b"a.py": b"1\n"})
    head = put({b".gitattributes": attributes, b"a.py": b"2\n"})
    assert changed(mirror, base, head) == {"a.py": ("M", 1, 1)}
    assert "+2" in diff.diff_text(mirror, base, head, limit_bytes=10_000)


def test_lines_with_their_numbers(mirror: Mirror, put: Put) -> None:
    base = put({b"a": b"1\n2\n3\n4\n5\n"})
    head = put({b"a": b"0\n1\n2\n3\nfour\nfour and a half\n5"})
    assert diff.hunks(mirror, base, head) == (
        FileHunks(
            "a",
            added=((1, b"0"), (5, b"four"), (6, b"four and a half"), (7, b"5")),
            removed=((4, b"4"), (5, b"5")),
        ),
    )


def test_lines_that_look_like_a_patch_are_only_lines(mirror: Mirror, put: Put) -> None:
    evil = (
        b"diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n-old\n+new\n"
        b"\\ No newline at end of file\nBinary files a and b differ\n-- \n++ \n"
    )
    base, head = put({b"a": b"keep\n", b"b": evil}), put({b"a": evil, b"b": b"keep\n"})
    one, two = diff.hunks(mirror, base, head)
    assert b"\n".join(line for _, line in one.added) + b"\n" == evil
    assert b"\n".join(line for _, line in two.removed) + b"\n" == evil


def test_only_line_feeds_end_a_line(mirror: Mirror, put: Put) -> None:
    text = b"a\x0bb\x0cc\x1cd\x85e\xe2\x80\xa8f\rg\r\nh\n"
    lines = diff.hunks(mirror, put({b"x": b""}), put({b"x": text}))[0]
    assert lines.added == ((1, text.split(b"\n")[0]), (2, b"h"))


def test_a_type_change_has_the_lines_of_both(mirror: Mirror, put: Put) -> None:
    base, head = put({b"x": b"1\n2\n", b"y": b"y\n"}), put({b"x": ("120000", b"y"), b"y": b"Y\n"})
    first, second = diff.hunks(mirror, base, head)
    assert (first.removed, first.added) == (((1, b"1"), (2, b"2")), ((1, b"y"),))
    assert second.added == ((1, b"Y"),)


def test_text_is_cut_at_the_end_of_a_line(mirror: Mirror, put: Put) -> None:
    base, head = put({b"a": b""}), put({b"a": b"".join(b"line %d\n" % i for i in range(50_000))})
    text = diff.diff_text(mirror, base, head, limit_bytes=1000)
    lines = text.splitlines()
    assert len(text) < 1100
    assert lines[-1] == "[the diff is longer than 1000 bytes; the rest is left out]"
    assert lines[-2].startswith("+line ")
    assert diff.diff_text(mirror, base, put({b"a": b"\xff\xfe\n"}), limit_bytes=1000).endswith("+\ufffd\ufffd\n")


def test_a_tree_that_is_not_there(mirror: Mirror, put: Put) -> None:
    tree = put({b"a": b"x"})
    for call in (diff.read_patch, diff.hunks):
        with pytest.raises(GitError):
            call(mirror, tree, "0" * 40)
    with pytest.raises(GitError):
        diff.diff_text(mirror, tree, "0" * 40, limit_bytes=10)


def test_commits_will_do_for_trees(mirror: Mirror, source: Any) -> None:
    sha = mirror.fetch(str(source.path), ref=None, auth={})
    assert changed(mirror, mirror.git("mktree", stdin=b"").decode().strip(), sha)["a.py"] == ("A", 3, 0)


def test_accounts_that_differ_are_an_error(mirror: Mirror, put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    base, head = put({b"a": b"1\n"}), put({b"a": b"2\n", b"b": b"1\n"})
    whole = mirror.git

    def lying(*args: str, **options: Any) -> bytes:
        out = whole(*args, **options)
        return out.replace(b"1\t1\ta\0", b"0\t0\ta\0") if "--numstat" in args else out

    monkeypatch.setattr(mirror, "git", lying)
    with pytest.raises(GitError, match="do not add up"):
        diff.hunks(mirror, base, head)
    monkeypatch.setattr(mirror, "git", lambda *a, **o: whole(*a, **o).replace(b"1\t0\tb\0", b""))
    with pytest.raises(GitError, match="differ: b"):
        diff.read_patch(mirror, base, head)


# ── somebody's patch text ────────────────────────────────────────────────────────────────────────────────────────


def test_a_patch_makes_the_tree_that_it_describes(mirror: Mirror, put: Put) -> None:
    base = put(
        {
            b"edit": b"1\n2\n3\n",
            b"gone": b"g\n",
            b"mode": b"m\n",
            b"type": b"t\n",
            b"bin": b"\0" * 50,
            b"crlf": b"a\r\nb\r\n",
        }
    )
    head = put(
        {b"edit": b"1\nTWO\n3\n4", b"mode": ("100755", b"m\n"), b"type": ("120000", b"edit"), b"bin": b"\0\1" * 50,
         b"new dir/ne\tw": b"n  \n", b"crlf": b"a\r\nB\r\n", b"empty": b""}
    )  # fmt: skip
    text = mirror.git("diff", "--binary", "--full-index", base, head)
    assert diff.apply_text(mirror, base, text) == head
    assert diff.apply_text(mirror, base, b"From: someone\nSubject: mail\n\nwords\n---\n" + text) == head
    assert diff.apply_text(mirror, base, b"") == base
    assert diff.apply_text(mirror, base, b" \n") == base


def test_what_a_crafted_patch_really_writes_is_what_is_seen(mirror: Mirror, put: Put) -> None:
    base = put({b"x": b"one\n"})
    crafted = (
        b"diff --git a/x b/x\nsimilarity index 100%\nrename from x\nrename to .github/CODEOWNERS\n"
        b"diff --git a/innocent b/innocent\nnew file mode 100755\n--- /dev/null\n"
        b"+++ b/.github/evil.yml\n@@ -0,0 +1 @@\n+on: push\n"
    )
    try:
        head = diff.apply_text(mirror, base, crafted)
    except UsageError:
        head = diff.apply_text(mirror, base, crafted.split(b"diff --git a/innocent")[0])
    assert ".github/CODEOWNERS" in changed(mirror, base, head)


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        (b"not a patch at all\n", "no patch"),
        (b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-two\n+three\n", "x:1"),
        (b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1,5 @@\n-one\n", "line 6"),
        (b"--- a/nope\n+++ b/nope\n@@ -1 +1 @@\n-one\n+two\n", "nope"),
        (b"--- /dev/null\n+++ b/../out\n@@ -0,0 +1 @@\n+x\n", "out"),
        (b"--- /dev/null\n+++ b/.git/config\n@@ -0,0 +1 @@\n+x\n", ".git/config"),
        (b"--- /dev/null\n+++ b/sub/.GIT/hooks/x\n@@ -0,0 +1 @@\n+x\n", ".GIT"),
        (b"--- /dev/null\n+++ /etc/cron.d/x\n@@ -0,0 +1 @@\n+x\n", ""),
    ],
)
def test_a_patch_that_does_not_apply_says_why_and_where(mirror: Mirror, put: Put, patch: bytes, says: str) -> None:
    base = put({b"x": b"one\n"})
    try:
        head = diff.apply_text(mirror, base, patch)
    except UsageError as refused:
        error = refused
    else:
        assert says == ""
        assert set(changed(mirror, base, head)) == {"etc/cron.d/x"}  # inside the tree, and seen
        return
    assert says in error.message
    assert error.remedy


def test_nothing_is_written_outside(mirror: Mirror, put: Put, tmp_path: Path) -> None:
    base = put({b"x": b"one\n", b"l": ("120000", str(tmp_path).encode())})
    patch = b"diff --git a/l/evil b/l/evil\nnew file mode 100644\n--- /dev/null\n+++ b/l/evil\n@@ -0,0 +1 @@\n+x\n"
    with pytest.raises(UsageError):
        diff.apply_text(mirror, base, patch)
    assert not (tmp_path / "evil").exists()


# ── any trees at all ─────────────────────────────────────────────────────────────────────────────────────────────

NAMES = st.one_of(
    st.sampled_from([b"a", b"b", b"s/a", b"s/b", b"s/t/c", *ODD[:8]]),
    st.binary(min_size=1, max_size=5).filter(
        lambda n: not {b"", b".", b".."} & set(n.split(b"/")) and b"\0" not in n and b"git" not in n.lower()
    ),
)
LINES = st.lists(
    st.sampled_from([b"x", b"y", b"", b"-- a", b"++ b", b"@@ -1 +1 @@", b"diff --git a/a b/a", b"\xff\r", b"\\ z"])
)
CONTENT = st.one_of(
    LINES.map(b"\n".join), LINES.map(lambda lines: b"".join(line + b"\n" for line in lines)), st.binary(max_size=30)
)
FILES = st.dictionaries(
    NAMES, st.tuples(st.sampled_from(["100644", "100644", "100755", "120000"]), CONTENT), max_size=6
)


def prefix_free(files: dict[bytes, Any]) -> dict[bytes, Any]:
    return {n: v for n, v in files.items() if not any(o != n and o.startswith(n + b"/") for o in files)}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES.map(prefix_free), FILES.map(prefix_free))
def test_our_counts_are_gits(mirror: Mirror, put: Put, old: dict[bytes, Any], new: dict[bytes, Any]) -> None:
    base, head = put(old), put(new)
    patch = diff.read_patch(mirror, base, head)
    assert {f.path for f in patch.files} == {
        diff.names.text(n) for n in old.keys() | new.keys() if old.get(n) != new.get(n)
    }
    text = subprocess.run(
        ["git", "-C", mirror.path, "diff", "--shortstat", "--no-renames", "--no-ext-diff", base, head],
        capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    numbers = {word.split()[1].rstrip("s(+-),"): int(word.split()[0]) for word in text.strip().split(", ") if word}
    assert numbers.get("file", 0) == len(patch.files)
    assert numbers.get("insertion", 0) == patch.added
    assert numbers.get("deletion", 0) == patch.removed
    lines = diff.hunks(mirror, base, head)
    for change, hunk in zip(patch.files, lines, strict=True):
        after = (trees.read(mirror, head, change.path) or b"").split(b"\n")
        before = (trees.read(mirror, base, change.path) or b"").split(b"\n")
        if change.status != "T" and "120000" not in {change.old_mode, change.new_mode}:
            assert all(after[number - 1] == line for number, line in hunk.added)
            assert all(before[number - 1] == line for number, line in hunk.removed)
    again = mirror.git("diff", "--binary", "--full-index", base, head)
    assert diff.apply_text(mirror, base, again) == head


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(FILES.map(prefix_free))
def test_any_tree_goes_out_and_comes_back(mirror: Mirror, put: Put, files: dict[bytes, Any]) -> None:
    files = {n: v for n, v in files.items() if v[0] != "120000" or (v[1] and b"\0" not in v[1])}
    tree = put(files)
    assert trees.import_tar(mirror, trees.export(mirror, tree), base_tree=tree) == trees.Imported(tree)
