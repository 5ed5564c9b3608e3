"""Node projects: packages at /node_modules, where Node looks for them from every folder of the workspace."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from runner.project.generated import BEGIN, KEEP
from runner.project.manifest import Read

MARKERS = ("package.json",)

TESTS = (
    "**/test/**", "**/tests/**", "**/__tests__/**", "**/__mocks__/**", "**/__snapshots__/**", "**/spec/**",
    "*.test.*", "*.spec.*", "test.js", "test.mjs", "test.cjs", "test.ts",
)  # fmt: skip

CONFIGURATION = (
    "jest.config.*", "vitest.config.*", "vitest.workspace.*", ".mocharc*", "karma.conf.*", ".nycrc*", ".c8rc*",
    "/package.json",
)  # fmt: skip

NATIVE = ("binding.gyp", "*.cc", "*.cpp", "*.c", "*.h")

_LOCKS = ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml")
_JUNIT = "/tmp/automend-junit.xml"  # noqa: S108 - in the container, on a disk of its own
_NO_TEST = "no test specified"  # what `npm init` writes


class NodeFacts:
    """What a Node repository's files say.

    Args:
        read: a file's content at the base, or None.
        paths: every path of the base.
    """

    def __init__(self, read: Read, paths: Collection[str]) -> None:
        self._read = read
        self._paths = paths
        try:
            package = json.loads(read("package.json") or b"{}")
        except (ValueError, RecursionError):
            package = {}
        scripts = package.get("scripts") if isinstance(package, dict) else None
        script = scripts.get("test") if isinstance(scripts, dict) else None
        self._script: Any = script

    @property
    def script(self) -> str | None:
        """`scripts.test` of package.json, where it tests anything."""
        return self._script if isinstance(self._script, str) and _NO_TEST not in self._script else None

    def test(self) -> tuple[str, str | None]:
        """The test command, and where its JUnit XML will be, if it can be made to write one."""
        script = self.script or ""
        words = script.split()
        if words[:1] == ["node"] and "--test" in words and not set("|&;<>$`") & set(script):
            report = f"--test-reporter=junit --test-reporter-destination={_JUNIT}"
            tail = " ".join(word for word in words[1:] if word != "--test")
            return f"node --test {report} {tail}".strip(), _JUNIT
        return "npm test", None

    def setup(self, own: tuple[str, ...] | None) -> tuple[str, ...]:
        """Shell commands for the environment; `own` are the repository's, in place of what we would have found."""
        node = (
            "command -v npm >/dev/null || { apt-get update -qq && "
            "apt-get install -y -qq --no-install-recommends nodejs npm; }"
        )
        locked = any(name in self._paths for name in _LOCKS[:2])
        install = "npm ci" if locked else "npm install"
        packages = own if own is not None else (f"{install} --no-audit --no-fund --loglevel=error",)
        move = "if [ -d node_modules ]; then mv node_modules /node_modules; fi"
        return (BEGIN, node, *packages, move, KEEP)

    def key_files(self) -> dict[str, str]:
        """Files on which the environment depends."""
        names = ("package.json", *_LOCKS)
        return {name: (self._read(name) or b"").decode("utf-8", "replace") for name in names if name in self._paths}
