"""Coverage: which executable lines of product code the tests ran. Both formats are read as untrusted data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from runner.model import FileHunks
from runner.policy.globs import Globs
from runner.steps.proof.results import FileLines
from runner.steps.proof.statements import Statements, readable, statements

NOT_PRODUCT = Globs(
    ("setup.py", "noxfile.py", "tasks.py", "fabfile.py", "conftest.py", "/docs/**", "/doc/**", "/examples/**",
     "/example/**", "/benchmarks/**", "/bench/**", "/scripts/**", "/tools/**", "*.config.*", "gulpfile.*",
     "Gruntfile.*", ".eslintrc.*", "*.stories.*", "__mocks__/**")
)  # fmt: skip
"""Files that no test is expected to run. One that tests do run counts all the same."""

_PRAGMA = re.compile(rb"#\s*pragma[:\s]?\s*no\s*(cover|branch)", re.IGNORECASE)
_MOST_FILES = 50_000


@dataclass(frozen=True)
class Changed:
    """Changed executable lines of product code: how many, and which of them no test ran (path, line)."""

    lines: int
    missed: tuple[tuple[str, int], ...]

    @property
    def percent(self) -> float:
        """Share of the changed lines that tests ran; 100 where no executable line changed."""
        return 100.0 if self.lines == 0 else 100.0 * (self.lines - len(self.missed)) / self.lines


@dataclass(frozen=True)
class Total:
    """All executable lines of product code."""

    run: int
    missed: int

    @property
    def percent(self) -> float | None:
        """Share that tests ran, 0-100; None where there is no line."""
        return 100.0 * self.run / (self.run + self.missed) if self.run + self.missed else None


def read_coverage_json(content: bytes) -> dict[str, FileLines] | None:
    """What `coverage json` wrote; None where it is not that."""
    try:
        files = json.loads(content)["files"]
        return {
            str(path): FileLines(
                run=tuple(entry["executed_lines"]),
                missed=tuple(entry["missing_lines"]),
                excluded=tuple(entry["excluded_lines"]),
            )
            for path, entry in files.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def read_report(content: bytes, paths: Iterable[str]) -> dict[str, FileLines] | None:
    """What other tools write: Cobertura XML or LCOV. File names are matched to the tree's by their end.

    None where it is neither.
    """
    hits = _cobertura(content) if content.lstrip()[:1] == b"<" else _lcov(content)
    if hits is None or len(hits) > _MOST_FILES:
        return None
    known: dict[str, list[str]] = {}
    for one in paths:
        known.setdefault(one.rpartition("/")[2], []).append(one)
    found: dict[str, FileLines] = {}
    for name, lines in hits.items():
        path = _in_tree(name, known)
        if path is not None:
            run = tuple(sorted(n for n, hit in lines.items() if hit))
            found[path] = FileLines(run=run, missed=tuple(sorted(lines.keys() - set(run))))
    return found


def together(reports: Iterable[dict[str, FileLines]]) -> dict[str, FileLines]:
    """Several reports as one: a line that ran in any of them ran."""
    found: dict[str, FileLines] = {}
    for report in reports:
        for path, lines in report.items():
            before = found.get(path, FileLines())
            run = {*before.run, *lines.run}
            missed = {*before.missed, *lines.missed} - run
            found[path] = FileLines(run=tuple(sorted(run)), missed=tuple(sorted(missed)))
    return found


def _cobertura(content: bytes) -> dict[str, dict[int, bool]] | None:
    try:
        root = fromstring(content, forbid_dtd=False, forbid_entities=True)
        hits: dict[str, dict[int, bool]] = {}
        for entry in root.iter("class"):
            lines = hits.setdefault(str(entry.get("filename", "")), {})
            for line in entry.iter("line"):
                number = int(line.get("number", "0"))
                lines[number] = lines.get(number, False) or int(line.get("hits", "0")) > 0
    except (DefusedXmlException, SyntaxError, ValueError, RecursionError):
        return None
    return hits


def _lcov(content: bytes) -> dict[str, dict[int, bool]] | None:
    hits: dict[str, dict[int, bool]] = {}
    lines: dict[int, bool] | None = None
    for record in content.decode("utf-8", "replace").split("\n"):
        word, _, rest = record.strip().partition(":")
        if word == "SF":
            lines = hits.setdefault(rest, {})
        elif word == "DA" and lines is not None:
            try:
                number, count = (int(part) for part in rest.split(",")[:2])
            except ValueError:
                return None
            lines[number] = lines.get(number, False) or count > 0
        elif word == "end_of_record":
            lines = None
    return hits or None


def total(lines: Mapping[str, FileLines], tests: Globs) -> Total:
    """Executable lines of all product code that was measured."""
    product = [f for path, f in lines.items() if _is_product(path, f, tests)]
    return Total(run=sum(len(f.run) for f in product), missed=sum(len(f.missed) for f in product))


def changed(
    lines: Mapping[str, FileLines], hunks: Iterable[FileHunks], tests: Globs, read: Callable[[str], bytes | None]
) -> Changed:
    """The patch's own lines. A pragma that the patch brings hides nothing; a file that no test loaded is all missed.

    Args:
        lines: what was measured on the head.
        hunks: what the patch adds.
        tests: globs of test files, which do not count.
        read: a file's content at the head.
    """
    count = 0
    missed: list[tuple[str, int]] = []
    for file in hunks:
        added = {number for number, _ in file.added}
        if not added:
            continue
        source = read(file.path) if readable(file.path) else None
        measured = lines.get(file.path)
        if measured is None and (
            source is None or file.path in tests or file.path in NOT_PRODUCT or not _beside(file.path, lines)
        ):
            continue
        known = statements(source, file.path) if source is not None else Statements()
        measured = measured or FileLines(missed=known.doing)
        if not _is_product(file.path, measured, tests):
            continue
        counted = {*measured.run, *measured.missed, *measured.excluded}
        touched = {n if n in counted else known.first.get(n, n) for n in added - known.blank}
        not_run = set(measured.missed)
        if any(_PRAGMA.search(text) for _, text in file.added):
            not_run |= set(measured.excluded)
        count += len(touched & (set(measured.run) | not_run))
        missed += [(file.path, number) for number in sorted(touched & not_run)]
    return Changed(lines=count, missed=tuple(missed))


def _is_product(path: str, lines: FileLines, tests: Globs) -> bool:
    return path not in tests and (bool(lines.run) or path not in NOT_PRODUCT)


def _beside(path: str, lines: Mapping[str, FileLines]) -> bool:
    """Whether measured product code lies in the same folder, or in one above that is not the root."""
    folder = path.rpartition("/")[0]
    while True:
        if any(other.rpartition("/")[0] == folder and found.run for other, found in lines.items()):
            return True
        if "/" not in folder:
            return False
        folder = folder.rpartition("/")[0]


def _in_tree(name: str, known: Mapping[str, list[str]]) -> str | None:
    """The path of the tree that a report calls `name`; `known` are the paths by their last part."""
    name = name.replace("\\", "/")
    same = known.get(name.rpartition("/")[2], [])
    matching = [p for p in same if p == name or name.endswith("/" + p) or p.endswith("/" + name)]
    return max(matching, key=lambda p: (p == name, len(p)), default=None)
