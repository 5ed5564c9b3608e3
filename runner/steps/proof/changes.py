"""What a patch does to tests: edited, deleted, moved, or left alone. By syntax where Python, by file otherwise."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import PurePosixPath

from runner.model import Patch
from runner.policy.globs import Globs
from runner.steps.proof.source import TestModule

Read = Callable[[str], bytes | None]

_SHOWN_LINES = 24
_SCRIPT_MODULE = re.compile(r"(^|\.)(test|spec)\.[cm]?[jt]sx?$")
_SHORTEST_STEM = 3


class TestChanges:
    """The test side of a patch.

    Args:
        patch: what changed.
        tests: globs of test files.
        read_base: a file's content at the base, or None.
        read_head: the same at the head.
    """

    __test__ = False  # not a test class, whatever pytest makes of its name

    def __init__(self, patch: Patch, tests: Globs, read_base: Read, read_head: Read) -> None:
        self._tests = tests
        self.files = {f.path: f for f in patch.files if f.path in tests}
        self._read = {"base": read_base, "head": read_head}
        self.module = cache(self._module)

    @property
    def only_modules(self) -> bool:
        """Whether nothing but test modules changed on the test side, so that each can be run alone."""
        return all(is_module(path) for path in self.files)

    @property
    def modules(self) -> tuple[str, ...]:
        """Test modules that the patch adds or changes."""
        return tuple(path for path, f in self.files.items() if f.status != "D" and is_module(path))

    def edited(self, test: str) -> bool:
        """Whether the patch changed what this test (an id) does."""
        return self._edited(test, set())

    def _edited(self, test: str, seen: set[str]) -> bool:
        path, function = split(test)
        if not self.files:
            return False
        if not path.endswith(".py"):
            return path in self.files or "::" not in test
        if any(stem in test.partition("[")[2] for stem in self._stems(path)):
            return True  # a parameter that names test data which the patch changed
        base = self.module("base", path)
        if base is None or not base.readable:
            return path in self.files
        before = base.fingerprint(function)
        head = self.module("head", path)
        after = head.fingerprint(function) if head is not None else None
        if before != after or (before is None and path in self.files):
            return True
        seen.add(f"{path}::{function}")
        elsewhere = [f"{other}::{name}" for other, name in self._inherited(base, path, function)]
        return any(self._edited(other, seen) for other in elsewhere if other not in seen)

    def deleted(self) -> list[str]:
        """Tests of the base (ids without parameters) that are gone, with no other in their place."""
        gone: list[str] = []
        for path, file in self.files.items():
            base = self.module("base", path) if path.endswith(".py") else None
            if base is not None and base.readable:
                gone += [f"{path}::{name}" for name in base.tests if self.successor(f"{path}::{name}") is None]
            elif file.status == "D" and not self._copied(path):
                gone.append(path)
        return gone

    def successor(self, test: str) -> str | None:
        """The test of the head (id without parameters) in the place of this one: itself, moved, or rewritten."""
        path, name = split(test)
        base, head = self.module("base", path), self.module("head", path)
        if head is not None and head.fingerprint(name) is not None:
            return f"{path}::{name}"
        last = name.rpartition("::")[2]
        for other in self.modules:
            there = self.module("head", other)
            for candidate in there.tests if there is not None else ():
                if candidate.rpartition("::")[2] == last and (other, candidate) != (path, name):
                    return f"{other}::{candidate}"
        if base is None or head is None:
            return None
        fresh = [n for n in head.tests if n not in base.tests]
        like = base.most_like(name, head, fresh)
        return f"{path}::{like}" if like is not None else None

    def line(self, test: str) -> int | None:
        """Where a test stands in the head."""
        path, name = split(test)
        head = self.module("head", path)
        return head.line(name) if head is not None else None

    def both_sides(self, test: str) -> str:
        """How the patch changed a test, as the lines taken out (-) and put in (+)."""
        path, name = split(test)
        heir = split(self.successor(test) or test)
        base, head = self.module("base", path), self.module("head", heir[0])
        before = base.text(name).splitlines() if base is not None else []
        after = head.text(heir[1]).splitlines() if head is not None else []
        rows = [r for r in difflib.ndiff(before, after) if r.startswith(("- ", "+ ")) and r[2:].strip()]
        if not rows:
            return "what it uses in its module, or its data, changed"
        more = [f"… {len(rows) - _SHOWN_LINES} lines more"] if len(rows) > _SHOWN_LINES else []
        return "\n".join(rows[:_SHOWN_LINES] + more)

    def _inherited(self, module: TestModule, path: str, function: str) -> Iterator[tuple[str, str]]:
        """Where else a test may be written, that a module imports or that a class of it inherits: (file, function)."""
        for origin, name in module.origins(function):
            if origin is None:
                yield path, name
                continue
            level, dotted = origin
            parents = PurePosixPath(path).parents
            inner = dotted.replace(".", "/")
            for folder in parents[level - 1 : level] if level else parents:
                files = [str(folder / f"{inner}.py"), str(folder / inner / "__init__.py")]
                found = [f for f in files if f in self._tests and self.module("base", f) is not None]
                if found:
                    yield found[0], name
                    break

    def _stems(self, path: str) -> frozenset[str]:
        stems = (PurePosixPath(other).stem for other in self.files if other != path)
        return frozenset(stem for stem in stems if len(stem) >= _SHORTEST_STEM and stem != "__init__")

    def _copied(self, path: str) -> bool:
        blob = self.files[path].old_blob
        return any(f.new_blob == blob for f in self.files.values() if f.path != path)

    def _module(self, side: str, path: str) -> TestModule | None:
        content = self._read[side](path)
        return TestModule(content, altered=self._stems(path), side=side) if content is not None else None


def split(test: str) -> tuple[str, str]:
    """An id's file and function: (`tests/test_x.py`, `TestX::test_y`)."""
    path, _, function = test.partition("[")[0].partition("::")
    return path, function


def is_module(path: str) -> bool:
    """Whether pytest, or a runner of JavaScript, would take a file of this name for tests by itself."""
    name = PurePosixPath(path).name
    if name.endswith(".py"):
        return name.startswith("test_") or name.endswith("_test.py")
    return _SCRIPT_MODULE.search(name) is not None
