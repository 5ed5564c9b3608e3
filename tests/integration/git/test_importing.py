import io
import os
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from runner.git import trees
from runner.git.ignore import Ignored
from runner.git.mirror import Mirror
from runner.model import Verdict

Put = Callable[..., str]


@pytest.fixture
def base(put: Put) -> str:
    return put(
        {b"a.py": b"one\n", b"sub/b.py": b"b\n", b"run": ("100755", b"#!\n"), b".gitignore": b"*.pyc\n/build/\n",
         b"sub/.gitignore": b"local\n!b.pyc\n", b"kept.pyc": b"tracked\n", b"link": ("120000", b"a.py")}
    )  # fmt: skip


@pytest.fixture
def work(mirror: Mirror, base: str, new_tar: Any) -> Any:
    """The base as the sandbox would give it back, to be worked on: name → member, in order."""

    class Work:
        def __init__(self) -> None:
            self.files: dict[str, tuple[bytes, bytes, int]] = {
                "a.py": (tarfile.REGTYPE, b"one\n", 0o644), "sub/b.py": (tarfile.REGTYPE, b"b\n", 0o664),
                "run": (tarfile.REGTYPE, b"#!\n", 0o700), ".gitignore": (tarfile.REGTYPE, b"*.pyc\n/build/\n", 0o600),
                "sub/.gitignore": (tarfile.REGTYPE, b"local\n!b.pyc\n", 0o644),
                "kept.pyc": (tarfile.REGTYPE, b"tracked\n", 0o644), "link": (tarfile.SYMTYPE, b"a.py", 0o777),
            }  # fmt: skip
            self.more: list[tuple[Any, ...]] = []
            self.root = "workspace"

        def stream(self) -> bytes:
            tar = new_tar(self.root)
            for name, (kind, data, mode) in self.files.items():
                if kind == tarfile.SYMTYPE:
                    tar.add(f"{self.root}/{name}", kind, mode=mode, link=data.decode())
                else:
                    tar.add(f"{self.root}/{name}", kind, data, mode=mode)
            for args in self.more:
                name, kind, *rest = args
                prefix = f"{self.root}/".encode()
                tar.add(prefix + name if isinstance(name, bytes) else name, kind, *rest[:1], link="".join(rest[1:]))
            data: bytes = tar.bytes()
            return data

        def take(self, **options: Any) -> trees.Imported:
            return trees.import_tar(mirror, [self.stream()], base_tree=base, **options)

    return Work()


def rules(taken: trees.Imported) -> list[str]:
    assert taken.tree is None
    return [f.rule for f in taken.findings]


@pytest.mark.parametrize("root", ["workspace", "."])
def test_nothing_done_is_the_base_whatever_the_umask(work: Any, base: str, root: str) -> None:
    work.root = root
    assert work.take() == trees.Imported(base)


def test_edits_additions_and_removals(mirror: Mirror, work: Any, put: Put) -> None:
    work.files["a.py"] = (tarfile.REGTYPE, b"ONE\n", 0o644)
    work.files["sub/b.py"] = (tarfile.REGTYPE, b"b\n", 0o755)
    del work.files["kept.pyc"], work.files["link"]
    work.more = [(b"new/deep/file", tarfile.REGTYPE, b"n\n"), (b"link2", tarfile.SYMTYPE, b"", "/etc/passwd")]
    taken = work.take()
    assert taken.findings == ()
    assert taken.tree == put(
        {b"a.py": b"ONE\n", b"sub/b.py": ("100755", b"b\n"), b"run": ("100755", b"#!\n"),
         b".gitignore": b"*.pyc\n/build/\n", b"sub/.gitignore": b"local\n!b.pyc\n", b"new/deep/file": b"n\n",
         b"link2": ("120000", b"/etc/passwd")}
    )  # fmt: skip
    mirror.git("fsck", "--strict")


def test_what_is_unchanged_need_not_come_and_cannot_be_made_up(mirror: Mirror, work: Any, put: Put) -> None:
    whole = dict(work.files)
    work.files = {"a.py": (tarfile.REGTYPE, b"ONE\n", 0o644)}
    named = [b"run", b".gitignore", b"sub/.gitignore", b"sub/b.py", b"link", b"/etc/passwd", b"nobody's"]
    taken = work.take(unchanged=named)
    del whole["kept.pyc"]
    work.files = whole | work.files
    assert taken == work.take()
    assert taken.tree is not None


def test_what_is_unchanged_and_comes_nevertheless_is_there_twice(work: Any) -> None:
    assert rules(work.take(unchanged=[b"a.py"])) == ["tree.duplicate"]


def test_file_to_folder_and_link_and_back(work: Any, mirror: Mirror) -> None:
    del work.files["a.py"], work.files["sub/b.py"], work.files["sub/.gitignore"], work.files["link"]
    work.more = [
        (b"a.py/inner", tarfile.REGTYPE, b"i"), (b"sub", tarfile.SYMTYPE, b"", "run"), (b"link", tarfile.REGTYPE, b"f")
    ]  # fmt: skip
    taken = work.take()
    assert taken.findings == ()
    assert {p: m for p, (m, _) in trees.paths(mirror, taken.tree).items()} == {
        ".gitignore": "100644", "a.py/inner": "100644", "kept.pyc": "100644", "link": "100644", "run": "100755",
        "sub": "120000",
    }  # fmt: skip


def test_everything_removed_is_an_empty_tree(mirror: Mirror, work: Any) -> None:
    work.files = {}
    assert trees.paths(mirror, work.take().tree) == {}


def test_what_the_base_ignores_is_left_out_and_listed(mirror: Mirror, work: Any, base: str) -> None:
    work.files[".gitignore"] = (
        tarfile.REGTYPE,
        b"*.pyc\n/build/\nsecret*\n",
        0o644,
    )  # the agent's own word counts nothing
    work.more = [
        (name, tarfile.REGTYPE, b"x")
        for name in (b"x.pyc", b"build/a", b"build/b/c", b"sub/local", b"sub/b.pyc", b"secret.py", b"sub/build/x")
    ]
    taken = work.take()
    assert taken.dropped == ("x.pyc", "build/", "sub/local")
    assert set(trees.paths(mirror, taken.tree)) == {*work.files, "sub/b.pyc", "secret.py", "sub/build/x"}


def test_a_tracked_file_is_taken_though_it_is_ignored(mirror: Mirror, work: Any) -> None:
    work.files["kept.pyc"] = (tarfile.REGTYPE, b"edited\n", 0o644)
    taken = work.take()
    assert taken.dropped == ()
    assert trees.read(mirror, taken.tree, "kept.pyc") == b"edited\n"


def test_patterns_of_the_host_drop_what_the_repository_forgot(work: Any, base: str) -> None:
    work.more = [(b"sub/__pycache__/x.bin", tarfile.REGTYPE, b"x"), (b"a.py.orig", tarfile.REGTYPE, b"x")]
    assert work.take(also_ignored=["__pycache__/", "*.orig"]) == trees.Imported(base, ("sub/__pycache__/", "a.py.orig"))


def test_a_crowd_of_dropped_files_is_counted_not_listed(work: Any, base: str) -> None:
    work.more = [(b"%d.pyc" % i, tarfile.REGTYPE, b"") for i in range(1200)]
    taken = work.take()
    assert taken.tree == base
    assert len(taken.dropped) == 1001
    assert taken.dropped[-1] == "(200 more)"


def test_nothing_of_an_ignored_folder_matters(work: Any, base: str) -> None:
    work.more = [
        (b"build/.git/config", tarfile.REGTYPE, b"x"), (b"build/pipe", tarfile.FIFOTYPE),
        (b"build/\xff\x1b", tarfile.REGTYPE, b""), (b"build/l", tarfile.LNKTYPE, b"", "workspace/build/nowhere"),
    ]  # fmt: skip
    assert work.take() == trees.Imported(base, ("build/",))


@pytest.mark.parametrize(
    "member",
    [
        (b".git", tarfile.DIRTYPE), (b".git", tarfile.REGTYPE, b"gitdir: /elsewhere"),
        (b".git", tarfile.SYMTYPE, b"", "/x"),
        (b".git/config", tarfile.REGTYPE, b"[core]\n\tfsmonitor = evil"), (b".git/hooks/x", tarfile.FIFOTYPE),
    ],
)  # fmt: skip
def test_the_agents_own_git_is_nothing_to_us(work: Any, base: str, member: tuple[Any, ...]) -> None:
    work.more = [member]
    assert work.take() == trees.Imported(base)


@pytest.mark.parametrize(
    ("member", "rule"),
    [
        ((b"sub/.git/config", tarfile.REGTYPE, b"x"), "tree.git-alias"),
        ((b"sub/.git", tarfile.REGTYPE, b"gitdir: x"), "tree.git-alias"),
        ((b"new/.git", tarfile.DIRTYPE), "tree.git-alias"),
        ((b".GIT/config", tarfile.REGTYPE, b"x"), "tree.git-alias"),
        ((b"git~1", tarfile.REGTYPE, b"x"), "tree.git-alias"),
        (("\u200c.git".encode(), tarfile.REGTYPE, b"x"), "tree.git-alias"),
        ((b".git /config", tarfile.REGTYPE, b"x"), "tree.git-alias"),
        ((b"dev", tarfile.CHRTYPE), "tree.special-file"),
        ((b"dev", tarfile.BLKTYPE), "tree.special-file"),
        ((b"pipe", tarfile.FIFOTYPE), "tree.special-file"),
        ((b"odd", b"Z"), "tree.special-file"),
        ((b"../x", tarfile.REGTYPE, b"x"), "tree.path"),
        ((b"sub/../../x", tarfile.REGTYPE, b"x"), "tree.path"),
        ((b"/abs", tarfile.REGTYPE, b"x"), "tree.path"),
        (("/etc/passwd", tarfile.REGTYPE, b"x"), "tree.path"),
        (("workspace2/x", tarfile.REGTYPE, b"x"), "tree.path"),
        ((b"a//b", tarfile.REGTYPE, b"x"), "tree.path"),
        ((b"ctrl\x07", tarfile.REGTYPE, b"x"), "tree.path"),
        ((b"latin\xe9", tarfile.REGTYPE, b"x"), "tree.path"),
        (("turn\u202e".encode(), tarfile.REGTYPE, b"x"), "tree.path"),
        ((b"a.py/below", tarfile.REGTYPE, b"x"), "tree.path"),
        ((b"link/below", tarfile.REGTYPE, b"x"), "tree.path"),
        ((b"nolink", tarfile.SYMTYPE), "tree.path"),
        ((b"a.py", tarfile.REGTYPE, b"second"), "tree.duplicate"),
        ((b"hard", tarfile.LNKTYPE, b"", "workspace/nowhere"), "tree.hardlink"),
        ((b"hard", tarfile.LNKTYPE, b"", "/etc/passwd"), "tree.hardlink"),
        ((b"hard", tarfile.LNKTYPE, b"", "workspace/.git/config"), "tree.hardlink"),
        ((b".gitmodules", tarfile.SYMTYPE, b"", "a.py"), "tree.fsck"),
        ((b".gitmodules", tarfile.REGTYPE, b'[submodule "x"]\n\turl = --upload-pack=evil\n\tpath = x\n'), "tree.fsck"),
        ((b".gitmodules", tarfile.REGTYPE, b'[submodule "../x"]\n\turl = https://a\n\tpath = x\n'), "tree.fsck"),
    ],
)
def test_what_is_refused_and_by_which_rule(mirror: Mirror, work: Any, member: tuple[Any, ...], rule: str) -> None:
    before = mirror.git("count-objects", "-v")
    work.more = [member]
    taken = work.take()
    assert rules(taken) == [rule]
    finding = taken.findings[0]
    assert finding.verdict is Verdict.FAILED
    assert finding.remedy
    finding.model_dump_json()
    assert finding.message.isprintable()
    assert mirror.git("count-objects", "-v") == before  # nothing of it came in


def test_a_hard_link_becomes_a_copy(mirror: Mirror, work: Any) -> None:
    work.more = [(b"sub/copy", tarfile.LNKTYPE, b"", "workspace/run"), (b"l2", tarfile.LNKTYPE, b"", "workspace/link")]
    entries = trees.paths(mirror, work.take().tree)
    assert entries["sub/copy"] == entries["run"]
    assert entries["l2"] == entries["link"]


def test_many_findings_are_told_as_a_number(work: Any) -> None:
    work.more = [(b"p%d" % i, tarfile.FIFOTYPE) for i in range(80)]
    taken = work.take()
    assert len(taken.findings) == 51
    assert "30 more" in taken.findings[-1].message


def test_limits(work: Any, base: str) -> None:
    work.more = [(b"big", tarfile.REGTYPE, b"x" * 3000)]
    assert rules(work.take(max_file_bytes=2999)) == ["tree.size"]
    assert rules(work.take(max_total_bytes=2999)) == ["tree.size"]
    assert rules(work.take(max_files=7)) == ["tree.size"]
    assert work.take(max_files=8, max_file_bytes=3000, max_total_bytes=4000).tree not in {None, base}


def test_a_map_of_holes_which_no_engine_writes_is_refused(mirror: Mirror, base: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("holes")
        info.pax_headers = {
            "GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 50), "GNU.sparse.numblocks": "1",
            "GNU.sparse.name": "holes",
        }  # fmt: skip
        tar.addfile(info)
    assert rules(trees.import_tar(mirror, [out.getvalue()], base_tree=base)) == ["tree.stream"]


@pytest.mark.parametrize("keep", [0, 1, 600, 1500, -1024])
def test_a_stream_that_is_cut_is_an_error_and_removes_nothing(mirror: Mirror, base: str, work: Any, keep: int) -> None:
    data = work.stream().rstrip(b"\0")
    taken = trees.import_tar(mirror, [data[:keep]], base_tree=base)
    assert rules(taken) == ["tree.stream"]
    assert taken.findings[0].verdict is Verdict.ERROR


@pytest.mark.parametrize("data", [bytes(10240), b"garbage" * 1000, b"\x1f\x8b" + b"x" * 600])
def test_what_is_no_archive_or_an_empty_one(mirror: Mirror, base: str, data: bytes) -> None:
    taken = trees.import_tar(mirror, [data], base_tree=base)
    assert rules(taken) == ["tree.stream"]
    assert taken.findings[0].verdict is Verdict.ERROR


def test_a_machine_that_fails_is_not_the_agents_doing(mirror: Mirror, base: str, work: Any) -> None:
    class MachineError(Exception):
        pass

    def chunks() -> Iterator[bytes]:
        yield work.stream()[:2000]
        raise MachineError

    with pytest.raises(MachineError):
        trees.import_tar(mirror, chunks(), base_tree=base)
    assert list((mirror.path / "automend-scratch").iterdir()) == []


def test_odd_names_that_the_base_has_may_stay_and_no_new_ones_come(mirror: Mirror, put: Put, new_tar: Any) -> None:
    base = put({b"odd\tname": b"x\n", b"\xff/y": b"x\n"})
    assert trees.import_tar(mirror, [new_tar().file(b"odd\tname").file(b"\xff/y").bytes()], base_tree=base).tree == base
    taken = trees.import_tar(mirror, [new_tar().file(b"odd\tname").file(b"\xff/z").bytes()], base_tree=base)
    assert [f.path for f in taken.findings] == ["\\xff/z"]


def test_submodules_stay(mirror: Mirror, put: Put, new_tar: Any) -> None:
    base = put({b"mod": ("160000", "1" * 40), b"deep/mod": ("160000", "2" * 40), b"a": b"x\n"})
    for tar in (new_tar().file("a").folder("mod").folder("deep").folder("deep/mod"), new_tar().file("a")):
        assert trees.import_tar(mirror, [tar.bytes()], base_tree=base) == trees.Imported(base)
    edited = trees.import_tar(mirror, [new_tar().file("a", b"y").bytes()], base_tree=base).tree
    assert edited is not None
    assert trees.paths(mirror, edited)["deep/mod"] == ("160000", "2" * 40)
    for tar in (
        new_tar().file("a").file("mod/x"),
        new_tar().file("mod"),
        new_tar().add("deep/mod", tarfile.SYMTYPE, link="a"),
    ):
        assert rules(trees.import_tar(mirror, [tar.bytes()], base_tree=base)) == ["tree.submodule"]


def test_a_mode_that_git_no_longer_writes_is_no_change(mirror: Mirror, new_tar: Any) -> None:
    blob = mirror.git("hash-object", "-w", "--stdin", stdin=b"x\n").strip()
    raw = b"100664 old\0" + bytes.fromhex(blob.decode())
    base = mirror.git("hash-object", "-w", "-t", "tree", "--stdin", "--literally", stdin=raw).decode().strip()
    assert trees.import_tar(mirror, [new_tar().file("old").bytes()], base_tree=base).tree == base


def test_many_new_files_come_as_one_pack(mirror: Mirror, put: Put, new_tar: Any) -> None:
    base = put({b"a": b"x\n"})
    tar = new_tar().file("a")
    for i in range(1500):
        tar.file(f"d{i % 40}/f{i}.py", b"value = %d\n" % i * 40)
    data = tar.bytes()
    begin = time.perf_counter()
    taken = trees.import_tar(mirror, [data], base_tree=base)
    took = time.perf_counter() - begin
    assert taken.tree is not None
    assert len(trees.paths(mirror, taken.tree)) == 1501
    assert len(list((mirror.path / "objects/pack").glob("*.pack"))) == 1
    assert took < 60  # about 0.4 s on an idle machine
    mirror.git("fsck", "--strict")


def test_trees_that_came_another_way_are_looked_at_too(mirror: Mirror, put: Put) -> None:
    base = put({b"odd\t1": b"x", b"a": b"x"})
    head = put({b"odd\t1": b"y", b"a": b"x", b"odd\t2": b"x", "tur\u202en".encode(): b"x", b"fine": b"x"})
    assert {f.path: f.rule for f in trees.examine(mirror, base, head)} == {
        "odd\t2": "tree.path",
        "tur\u202en": "tree.path",
    }
    assert trees.examine(mirror, base, base) == ()


def test_ignoring_agrees_with_git(mirror: Mirror, source: Any) -> None:
    patterns = {
        ".gitignore": b"*.pyc\n!keep.pyc\nbuild/\n/root\ndoc/*.txt\n**/cache\nlogs/**\n\\#x\n!/logs/keep\na/**/z\n"
        b"trail \\ \n[ab].o\n*.tmp\n!important/*.tmp\nfoo/bar\n"
        b"q[!a-c]\nw[[:digit:]]\ne\\*\nr[\nt\\\ny[z-a]\nu[]-]\ni[\\]]\no[[:nope:]]\np[a-]\n??long\nx**/b\n",
        "sub/.gitignore": b"!x.pyc\nonly\n/here\n",
        "sub/deep/.gitignore": b"*\n!.gitignore\n!yes\n",
    }
    sha = source.commit(patterns)
    mirror.fetch(str(source.path), ref=None, auth={})
    folders = ["", "sub/", "sub/deep/", "build/", "x/build/", "doc/", "doc/in/", "cache/", "q/cache/", "logs/", "a/",
               "a/b/c/", "important/", "foo/", "x/foo/", "root/", "sub/root/"]  # fmt: skip
    leaves = ["qa", "qd", "w1", "wx", "e*", "ex", "r[", "t\\", "ya", "u]", "u-", "i]", "on", "p-", "xxlong", "b",
              "x.pyc", "keep.pyc", "root", "a.txt", "cache", "keep", "#x", "z", "a.o", "c.o", "t.tmp", "only", "here",
              "yes", "no", "bar", "build"]  # fmt: skip
    wanted = [f + leaf for f in folders for leaf in leaves]
    asked = "\0".join(wanted).encode() + b"\0"
    done = subprocess.run(
        ["git", "check-ignore", "-z", "--stdin", "--no-index"],
        input=asked,
        cwd=source.path,
        capture_output=True,
        check=True,
    )
    ignored = {os.fsdecode(path) for path in done.stdout.split(b"\0") if path}
    rules = Ignored({os.fsencode(name.rpartition("/")[0]): content for name, content in patterns.items()})
    assert {path for path in wanted if rules.by(path.encode()) is not None} == ignored
    assert sha
