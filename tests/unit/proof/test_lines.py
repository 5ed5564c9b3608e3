"""Coverage: the patch's own lines, and the whole."""

from __future__ import annotations

import json
import time

import pytest

from runner.model import FileHunks
from runner.policy.globs import Globs
from runner.steps.proof.lines import changed, read_coverage_json, read_report, together, total
from runner.steps.proof.results import FileLines

TESTS = Globs(("tests/**", "test_*.py"))
SOURCE = b'''"""Words."""
import os


def f(
    x,
):
    """More words."""
    value = (
        x
        + 1
    )
    if value:
        return value
    return None
'''


def hunk(path: str, *lines: int, text: bytes = b"x") -> FileHunks:
    return FileHunks(path=path, added=tuple((n, text) for n in lines))


def ask(
    lines: dict[str, FileLines], *hunks: FileHunks, source: bytes = SOURCE
) -> tuple[int, tuple[tuple[str, int], ...]]:
    found = changed(lines, hunks, TESTS, lambda path: source)
    return found.lines, found.missed


MEASURED = {"src/a.py": FileLines(run=(2, 5, 9, 13, 14), missed=(15,), excluded=())}


def test_only_executable_lines_count() -> None:
    assert ask(MEASURED, hunk("src/a.py", 1, 3, 8)) == (0, ())
    assert ask(MEASURED, hunk("src/a.py", 14, 15)) == (2, (("src/a.py", 15),))


def test_a_line_within_a_statement_is_the_statement() -> None:
    assert ask(MEASURED, hunk("src/a.py", 10, 11)) == (1, ())
    assert ask(MEASURED, hunk("src/a.py", 6)) == (1, ())
    missed = {"src/a.py": FileLines(run=(2, 5), missed=(9, 13, 14, 15))}
    assert ask(missed, hunk("src/a.py", 11)) == (1, (("src/a.py", 9),))


def test_tests_are_no_product() -> None:
    lines = {**MEASURED, "tests/test_a.py": FileLines(missed=(1, 2))}
    assert ask(lines, hunk("tests/test_a.py", 1, 2)) == (0, ())
    assert total(lines, TESTS).percent == pytest.approx(100 * 5 / 6)


def test_a_file_that_no_test_loads_is_all_missed() -> None:
    assert ask(MEASURED, hunk("src/new.py", 2, 9)) == (2, (("src/new.py", 2), ("src/new.py", 9)))
    assert ask(MEASURED, hunk("src/sub/new.py", 2))[0] == 1
    assert ask(MEASURED, hunk("docs/conf.py", 2)) == (0, ())
    assert ask(MEASURED, hunk("setup.py", 2)) == (0, ())


def test_a_pragma_of_the_patch_hides_nothing_and_the_bases_own_does() -> None:
    lines = {"src/a.py": FileLines(run=(2, 5), missed=(), excluded=(13, 14))}
    assert ask(lines, hunk("src/a.py", 14)) == (0, ())
    pragma = FileHunks(path="src/a.py", added=((13, b"    if value:  # pragma: no cover"), (14, b"x")))
    assert ask(lines, pragma) == (2, (("src/a.py", 13), ("src/a.py", 14)))


def test_python_that_cannot_be_parsed_is_counted_line_by_line() -> None:
    assert ask(MEASURED, hunk("src/a.py", 14, 15), source=b"def f(:\n") == (2, (("src/a.py", 15),))


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"files": 3}', b'{"files": {"a": {}}}', b"[" * 100_000])
def test_no_coverage_json(content: bytes) -> None:
    assert read_coverage_json(content) is None


def test_coverage_json() -> None:
    entry = {"executed_lines": [1, 2], "missing_lines": [3], "excluded_lines": [4]}
    found = read_coverage_json(json.dumps({"files": {"a.py": entry}}).encode())
    assert found == {"a.py": FileLines(run=(1, 2), missed=(3,), excluded=(4,))}


def test_cobertura_names_are_found_in_the_tree() -> None:
    content = b"""<?xml version="1.0"?><!DOCTYPE coverage SYSTEM "http://example.org/coverage-04.dtd">
    <coverage><packages><package><classes>
      <class filename="/workspace/pkg/a.go"><lines>
        <line number="1" hits="2"/><line number="2" hits="0"/></lines></class>
      <class filename="elsewhere.go"><lines><line number="1" hits="0"/></lines></class>
    </classes></package></packages></coverage>"""
    assert read_report(content, ["pkg/a.go", "b.go"]) == {"pkg/a.go": FileLines(run=(1,), missed=(2,))}
    assert read_report(b"<coverage", []) is None
    assert read_report(b'<!DOCTYPE x [<!ENTITY a "b">]><coverage>&a;</coverage>', []) is None


def test_a_report_of_files_without_end_is_no_report() -> None:
    paths = [f"a{number}/x{number}.js" for number in range(3000)]
    some = b"".join(b"SF:x%d.js\nDA:1,1\nend_of_record\n" % number for number in range(40_000))
    start = time.monotonic()
    assert len(read_report(some, paths) or {}) == 3000
    assert time.monotonic() - start < 5
    many = b"".join(b"SF:y%d\nDA:1,1\n" % number for number in range(60_000))
    assert read_report(many, paths) is None


LCOV = b"""TN:
SF:src/a.js
FN:2,(anonymous_0)
DA:1,1
DA:2,0
BRDA:6,0,0,0
end_of_record
SF:/workspace/b.js
DA:7,3
end_of_record
SF:/elsewhere/c.js
DA:1,1
end_of_record
"""


def test_lcov() -> None:
    assert read_report(LCOV, ["src/a.js", "b.js"]) == {
        "src/a.js": FileLines(run=(1,), missed=(2,)),
        "b.js": FileLines(run=(7,)),
    }
    assert read_report(b"nothing of the kind", ["a.js"]) is None
    assert read_report(b"SF:a.js\nDA:x,1\n", ["a.js"]) is None


def test_several_reports_are_one() -> None:
    first, second = {"a": FileLines(run=(1,), missed=(2, 3))}, {"a": FileLines(run=(2,)), "b": FileLines(run=(1,))}
    assert together([first, second]) == {"a": FileLines(run=(1, 2), missed=(3,)), "b": FileLines(run=(1,))}


# ── JavaScript and TypeScript ────────────────────────────────────────────────────────────────────────────────────

SCRIPT = b"""// what it is for
import { b } from './b.js';
export function plus(
  x: number,
  y: number,
): number {
  if (x > 1) {
    return b(
      x,
      y,
    );
  }

  /* a remark */
  return x + y;
}
"""


def patch_of(path: str, *numbers: int) -> FileHunks:
    return FileHunks(path=path, added=tuple((n, b"x") for n in numbers))


def test_lines_of_javascript_without_code_do_not_count() -> None:
    measured = {"src/a.ts": FileLines(run=(3, 7, 15), missed=(*range(8, 15), 16))}
    mine = changed(measured, [patch_of("src/a.ts", 1, 11, 12, 13, 14, 15, 16)], TESTS, lambda _: SCRIPT)
    assert (mine.lines, mine.missed) == (1, ())


def test_the_middle_of_a_statement_counts_as_its_beginning() -> None:
    measured = {"src/a.ts": FileLines(run=(7, 15), missed=(8,))}  # as istanbul counts
    mine = changed(measured, [patch_of("src/a.ts", 9, 10, 15)], TESTS, lambda _: SCRIPT)
    assert (mine.lines, mine.missed) == (2, (("src/a.ts", 8),))


def test_a_script_that_no_test_loads_is_all_missed() -> None:
    measured = {"src/b.js": FileLines(run=(1,))}
    mine = changed(measured, [patch_of("src/a.ts", *range(1, 17))], TESTS, lambda _: SCRIPT)
    assert mine.missed == tuple(("src/a.ts", number) for number in (3, 7, 8, 15))
    types = b"export interface A {\n  a: number;\n}\nexport type B = A;\n"
    assert changed(measured, [patch_of("src/a.ts", 1, 2, 3, 4)], TESTS, lambda _: types).lines == 0
    none = [patch_of(path, 1) for path in ("vite.config.ts", "src/a.d.ts", "other/a.ts", "docs/a.js", "a.svg")]
    assert changed(measured, none, TESTS, lambda _: SCRIPT).lines == 0
