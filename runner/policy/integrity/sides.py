"""Both sides of a patch as parsed files: which are tests, in which language, and what was product code."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import PurePosixPath

from runner.model import FileChange, Goal
from runner.policy.case import Case
from runner.policy.globs import Globs
from runner.policy.integrity.javascript import read_javascript
from runner.policy.integrity.model import TestFile
from runner.policy.integrity.python import read_python

JAVASCRIPT = frozenset({".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"})
_TESTS = Globs((
    "test_*.py", "*_test.py", "conftest.py", "**/tests/**", "**/test/**", "**/__tests__/**", "**/__mocks__/**",
    "*.test.*", "*.spec.*", "**/spec/**",
))  # fmt: skip
TEST_DATA = Globs(("*.json", "*.jsonl", "*.ndjson", "*.csv", "*.tsv"))
"""Files that tests may read their cases from."""
SNAPSHOTS = Globs((
    "*.snap", "*.ambr", "**/__snapshots__/**", "**/__image_snapshots__/**", "*.approved.*", "*.golden", "*.snapshot",
))  # fmt: skip
"""Files in which a test keeps what it expects."""
_SOURCE = frozenset({".py", ".pyi", ".pyx", ".c", ".h", ".cc", ".cpp", ".rs", ".go", ".java", ".rb", *JAVASCRIPT})


@dataclass(frozen=True)
class Seen:
    """Something that a rule saw. Of what is not `grave` a person must judge whether it is right."""

    rule: str
    message: str
    remedy: str
    path: str
    line: int | None = None
    grave: bool = True


@dataclass(frozen=True)
class Change:
    """One changed file with both its sides; a moved one has its old path in `old_path`."""

    file: FileChange
    before: bytes | None
    after: bytes | None
    added: frozenset[int] = frozenset()
    old_path: str = ""

    @property
    def path(self) -> str:
        """Where the file is in the head (or was, where it is gone)."""
        return self.file.path


@dataclass(frozen=True)
class Sides:
    """What the rules of this package look at.

    Args:
        case: the patch; all reading is done from it, once.
    """

    case: Case

    @cached_property
    def changes(self) -> tuple[Change, ...]:
        """Every changed file that is text; a moved one once, by its new path."""
        return tuple(self._changes())

    def _changes(self) -> Iterator[Change]:
        case = self.case
        moved = case.moved
        gone = set(moved.values())
        for file in case.patch.files:
            if file.path in gone and file.status == "D":
                continue
            hunk = case.lines.get(file.path)
            added = frozenset(number for number, _ in hunk.added) if hunk is not None else frozenset()
            old = moved.get(file.path, file.path)
            yield Change(file, case.before(file), case.after(file), added, old)

    def is_test(self, path: str) -> bool:
        """Whether a path is on the test side of the repository."""
        return path in self.case.tests or path in _TESTS

    @cached_property
    def too_large(self) -> tuple[Change, ...]:
        """Changed files of languages that we know, of which one side is too large to be read."""
        blobs = self.case.blobs
        unread = blobs.sizes.keys() - blobs.contents.keys()
        return tuple(c for c in self.changes if language(c.path) and unread & {c.file.old_blob, c.file.new_blob})

    @cached_property
    def product_changed(self) -> bool:
        """Whether the patch changes any code that is not a test."""
        return any(not self.is_test(c.path) and PurePosixPath(c.path).suffix in _SOURCE for c in self.changes)

    @property
    def fixes(self) -> bool:
        """Whether the patch is asked to make something right."""
        return self.case.goal is Goal.FIX

    @cached_property
    def base_tests(self) -> Mapping[str, TestFile]:
        """Test files as they were, by the path that they have in the head."""
        found = ((c, read_tests(c.before, c.old_path)) for c in self.changes if self.is_test(c.old_path))
        return {c.path: file for c, file in found if file is not None}

    @cached_property
    def other_tests(self) -> tuple[TestFile, ...]:
        """Test files that the patch leaves alone."""
        found = (read_tests(content, path) for path, content in self.case.other_tests().items())
        return tuple(file for file in found if file is not None)

    def imported(self, module: str) -> bool:
        """Whether any test of the base, or changed one, imports a module under its own name."""
        wanted = re.compile(rb"^[ \t]*(?:import|from)[ \t]+" + re.escape(module.encode()) + rb"\b", re.MULTILINE)
        changed = (c.before for c in self.changes if c.before is not None and self.is_test(c.old_path))
        return any(wanted.search(content) for content in (*changed, *self.case.other_tests().values()))

    @cached_property
    def test_data(self) -> Mapping[str, bytes]:
        """Files of data that tests may read their cases from: of the base, and as the patch leaves them."""
        changed = {c.path: c.after for c in self.changes if c.path in TEST_DATA and c.after is not None}
        return {**self.case.test_data(), **changed}

    @cached_property
    def head_tests(self) -> Mapping[str, TestFile]:
        """Test files as the patch leaves them."""
        found = ((c, read_tests(c.after, c.path)) for c in self.changes if self.is_test(c.path))
        return {c.path: file for c, file in found if file is not None}


def touched(lines: frozenset[int] | None, first: int, end: int) -> bool:
    """Whether any of `lines` is between the two, both included; where there are none, everything is touched."""
    if lines is None or (first <= end and (first in lines or end in lines)):
        return True
    return (
        not lines.isdisjoint(range(first, end + 1))
        if end - first < len(lines)
        else any(first <= n <= end for n in lines)
    )


def is_example(path: str) -> bool:
    """Whether a file is there to be read or tried, and no test stands on it."""
    return bool({"examples", "example", "docs", "doc", "benchmarks", "bench"} & set(PurePosixPath(path).parts[:-1]))


def language(path: str) -> str:
    """`python`, `javascript` or nothing."""
    suffix = PurePosixPath(path).suffix.lower()
    return "python" if suffix == ".py" else "javascript" if suffix in JAVASCRIPT else ""


@lru_cache(maxsize=64)
def read_tests(content: bytes | None, path: str) -> TestFile | None:
    """A test file of a language that we read; None where there is none."""
    if content is None:
        return None
    match language(path):
        case "python":
            return read_python(content, path)
        case "javascript":
            return read_javascript(content, path)
        case _:
            return None
