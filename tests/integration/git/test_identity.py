import pytest

from runner.git.diff import apply_text
from runner.git.identity import diff_bytes, patch_id, touched
from runner.git.mirror import Mirror
from tests.conftest import Repo

BASE = {"a.py": "".join(f"line {n}\n" for n in range(1, 31)), "b.bin": b"\0\1", "c.txt": "c\n"}


@pytest.fixture
def trees(tmp_path):
    """Makes a repository's trees: `trees(files, change, …)`, each change on top of the one before."""
    mirror = Mirror(tmp_path / "mirror.git")
    mirror.ensure()

    def make(*changes, name="repo"):
        repo = Repo(tmp_path / name)
        repo.path.mkdir()
        repo.git("init", "--quiet", "--initial-branch=main")
        made = [repo.commit(change) for change in changes]
        return [mirror.tree_of(mirror.fetch(str(repo.path), ref=sha, auth={})) for sha in made]

    make.mirror = mirror
    return make


def edited(text, old, new):
    return text.replace(old, new)


def test_the_same_change_on_another_base_is_the_same_patch(trees):
    changed = edited(BASE["a.py"], "line 20\n", "line twenty\n")
    one, two = trees(BASE, {"a.py": changed}, name="one")
    three, four = trees({**BASE, "a.py": "new first\n" + BASE["a.py"]}, {"a.py": "new first\n" + changed}, name="two")
    assert patch_id(trees.mirror, one, two) == patch_id(trees.mirror, three, four)
    assert patch_id(trees.mirror, one, two) != patch_id(trees.mirror, two, one)
    assert patch_id(trees.mirror, one, one) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a.py": "if x:\n    y()\nz()\n"}, {"a.py": "if x:\n    y()\n    z()\n"}),
        ({"a.py": "a = 'b c'\n"}, {"a.py": "a = 'bc'\n"}),
        ({"b.bin": b"\0\2"}, {"b.bin": b"\0\3"}),
        ({"c.txt": "d\n"}, {"a.py": "d\n"}),
        ({"new.py": "-- x\n"}, {"new.py": "++ x\n"}),
    ],
)
def test_other_content_is_another_patch_be_it_whitespace(trees, one, other):
    base, head = trees(BASE, one, name="one")
    same, head_too = trees(BASE, other, name="two")
    assert base == same
    assert patch_id(trees.mirror, base, head) != patch_id(trees.mirror, base, head_too)


def test_the_diff_makes_the_tree_again(trees):
    base, head = trees(BASE, {"a.py": None, "b.bin": b"\0\xff\0", "ü \t.txt": "no end", "c.txt": "c\r\n"})
    text = diff_bytes(trees.mirror, base, head, limit=1 << 20)
    assert apply_text(trees.mirror, base, text) == head
    assert diff_bytes(trees.mirror, base, head, limit=10) is None


def test_touched_lines_are_the_bases(trees):
    text = BASE["a.py"]
    changed = edited(edited(text, "line 5\n", "five\n"), "line 20\n", "line 20\nmore\n")
    base, head = trees(BASE, {"a.py": changed, "b.bin": b"\0\2", "n.py": "n\n"})
    found = touched(trees.mirror, base, head)
    assert found["a.py"] == ((5, 5), (20, 21))
    assert found["b.bin"][0][1] > 10**9
    assert found.keys() == {"a.py", "b.bin", "n.py"}
