"""Which tests a patch edits, deletes or moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.model import FileChange, Patch
from runner.policy.globs import Globs
from runner.steps.proof.changes import TestChanges

BASE = """\
import pytest

from pkg import f

LIMIT = 3


@pytest.fixture
def thing():
    return LIMIT


@pytest.fixture(autouse=True)
def clean():
    yield


def helper(x):
    return f(x)


def test_plain():
    assert f(1) == 1


def test_uses_fixture(thing):
    assert f(thing) == 3


def test_uses_helper():
    assert helper(1) == 1


@pytest.mark.parametrize("x", [1, 2])
def test_cases(x):
    assert f(x) == x


class TestBase:
    size = 1

    def setup_method(self):
        self.value = f(self.size)

    def test_size(self):
        assert self.value == 1


class TestMore(TestBase):
    size = 2
"""


def changes(head: str | None, *, base: str = BASE, **others: tuple[str | None, str | None]) -> TestChanges:
    sides = {"tests/test_a.py": (base, head)}
    sides |= {f"tests/{name.replace('__', '/').replace('_py', '.py')}": pair for name, pair in others.items()}
    files = tuple(
        FileChange(
            path=path,
            status="A" if before is None else "D" if after is None else "M",
            old_blob=str(hash(before)),
            new_blob=str(hash(after)),
        )
        for path, (before, after) in sides.items()
        if before != after
    )

    def reader(side: int) -> object:
        return lambda path: text.encode() if (text := sides.get(path, (None, None))[side]) is not None else None

    return TestChanges(
        Patch(base_tree="a", head_tree="b", files=files),
        Globs(("tests/**",)),
        reader(0),  # type: ignore[arg-type]
        reader(1),  # type: ignore[arg-type]
    )


def edited(head: str, **others: tuple[str | None, str | None]) -> set[str]:
    names = (
        "test_plain",
        "test_uses_fixture",
        "test_uses_helper",
        "test_cases[1]",
        "TestBase::test_size",
        "TestMore::test_size",
    )
    found = changes(head, **others)
    return {name for name in names if found.edited(f"tests/test_a.py::{name}")}


@pytest.mark.parametrize(
    ("old", "new", "touched"),
    [
        ("", "\n# a remark\n", set()),
        ("assert f(1) == 1", "assert f(1) == 2", {"test_plain"}),
        ("[1, 2]", "[1, 2, 3]", {"test_cases[1]"}),
        ("    return LIMIT", "    return LIMIT + 1", {"test_uses_fixture"}),
        ("LIMIT = 3", "LIMIT = 4", {"test_uses_fixture"}),
        ("    return f(x)\n", "    return 1\n", {"test_uses_helper"}),
        ("    size = 1", "    size = 3", {"TestBase::test_size", "TestMore::test_size"}),
        ("    size = 2", "    size = 3", {"TestMore::test_size"}),
        ("        self.value = f(self.size)", "        self.value = 1", {"TestBase::test_size", "TestMore::test_size"}),
        ("def test_plain", "def test_new():\n    pass\n\n\ndef test_plain", set()),
        ("import pytest\n", "import json\nimport pytest\n", set()),
    ],
)
def test_edited_is_what_the_test_itself_uses(old: str, new: str, touched: set[str]) -> None:
    head = BASE.replace(old, new, 1) if old else BASE + new
    assert edited(head) == touched


def test_an_autouse_fixture_is_used_by_all() -> None:
    assert len(edited(BASE.replace("    yield\n", "    yield 1\n"))) == 6


def test_a_changed_helper_module_counts_for_what_is_imported_from_it() -> None:
    base = BASE.replace("from pkg import f", "from pkg import f\nfrom .tools import helper as other")
    base = base.replace("return f(x)", "return other(x)")
    found = changes(base, base=base, tools_py=("def helper(x): return x", "def helper(x): return 1"))
    assert found.edited("tests/test_a.py::test_uses_helper")
    assert not found.edited("tests/test_a.py::test_plain")


@pytest.mark.parametrize("imported", ["from .base import TestBase", "from tests.base import TestBase"])
def test_a_test_that_is_imported_or_inherited_is_edited_where_it_is_written(imported: str) -> None:
    written = (
        "class TestBase:\n    def test_size(self):\n        assert f() == {}\n    def test_name(self):\n        g()\n"
    )
    found = changes(
        BASE,
        base_py=(written.format(1), written.format(2)),
        test_b_py=(both := f"{imported}\n\n\nclass TestMore(TestBase):\n    def test_own(self):\n        f()\n", both),
        test_c_py=(both := "from .test_b import TestMore as Again, TestBase\n", both),
    )
    for test in ("test_b.py::TestMore::test_size[1]", "test_b.py::TestBase::test_size", "test_c.py::Again::test_size"):
        assert found.edited(f"tests/{test}"), test
    for test in ("test_a.py::TestBase::test_size", "test_c.py::TestBase::test_name"):
        assert not found.edited(f"tests/{test}"), test


def test_a_test_that_product_code_defines_is_not_of_the_test_side() -> None:
    written = "class TestBase:\n    def test_size(self):\n        assert f() == {}\n"
    sides = {
        "tests/test_b.py": ["from pkg.base import TestBase"] * 2,
        "pkg/base.py": [written, written + "    x = 1\n"],
    }

    def reader(side: int) -> Callable[[str], bytes | None]:
        return lambda path: sides[path][side].encode() if path in sides else None

    patch = Patch(base_tree="a", head_tree="b", files=(FileChange(path="pkg/base.py", status="M"),))
    found = TestChanges(patch, Globs(("tests/**",)), reader(0), reader(1))
    assert not found.edited("tests/test_b.py::TestBase::test_size")


def test_classes_and_imports_that_go_round_in_circles_end() -> None:
    here = "from .test_b import TestX\n\n\nclass TestY(TestZ):\n    x = 1\n\n\nclass TestZ(TestY):\n    x = 1\n"
    found = changes(here, base=here, test_b_py=("from .test_a import TestX", "from .test_a import TestX"))
    assert not found.edited("tests/test_a.py::TestX::test_x")
    assert not found.edited("tests/test_a.py::TestY::test_x")


def test_changed_data_counts_where_it_is_named() -> None:
    base = BASE + '\n\ndef test_golden():\n    assert open("tests/golden.txt").read() == f(1)\n'
    found = changes(base, base=base, **{"golden.txt": ("1", "2"), "cases__long_lines.txt": ("1", "2")})
    assert found.edited("tests/test_a.py::test_golden")
    assert found.edited("tests/test_a.py::test_cases[long_lines]")
    assert not found.edited("tests/test_a.py::test_plain")


def test_deleted_moved_and_rewritten() -> None:
    plain = "def test_plain():\n    assert f(1) == 1\n"
    assert changes(BASE.replace(plain, "")).deleted() == ["tests/test_a.py::test_plain"]
    moved = changes(BASE.replace(plain, ""), test_b_py=(None, f"from pkg import f\n\n\n{plain}"))
    assert moved.deleted() == []
    assert moved.successor("tests/test_a.py::test_plain") == "tests/test_b.py::test_plain"
    renamed = changes(BASE.replace(plain, "def test_plain_is_two():\n    assert f(1) == 2\n"))
    assert renamed.deleted() == []
    assert renamed.both_sides("tests/test_a.py::test_plain").splitlines()[0] == "- def test_plain():"
    other = changes(BASE.replace(plain, "def test_other():\n    assert g(1) == 1\n"))
    assert other.deleted() == ["tests/test_a.py::test_plain"]
    assert len(changes(None).deleted()) == 5


def test_other_languages_are_judged_by_file() -> None:
    found = changes(BASE, **{"plus.test.js": ("a", "b"), "minus.test.js": ("a", "a")})
    assert found.edited("tests/plus.test.js::works")
    assert not found.edited("tests/minus.test.js::works")
    assert changes(BASE, **{"plus.test.js": ("a", None)}).deleted() == ["tests/plus.test.js"]
    assert changes(BASE, **{"plus.test.js": ("a", None), "sum.test.js": (None, "a")}).deleted() == []


@pytest.mark.parametrize("source", ["def test_plain(:", "\0", "(" * 5000])
def test_what_is_not_python_is_judged_by_file(source: str) -> None:
    found = changes(source, base=source + " ")
    assert found.edited("tests/test_a.py::test_plain")
    assert found.deleted() == []
