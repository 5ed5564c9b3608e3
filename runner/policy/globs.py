"""Path globs as policies and test settings write them: gitignore's language, blind to case and to Unicode forms."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from pathspec import GitIgnoreSpec


def canonical(path: str) -> str:
    """The form in which two spellings that a file system may take for the same file are equal."""
    return unicodedata.normalize("NFC", path.casefold())


class Globs:
    """A set of globs. `conftest.py` matches in any folder, `/setup.py` at the root only, `docs/**` all below.

    Args:
        patterns: gitignore patterns without negation (a `!` would make the order matter, and a union loosen).
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self.patterns = tuple(patterns)
        self._spec = _compile(self.patterns)

    def __contains__(self, path: str) -> bool:
        return bool(self._spec.match_file(canonical(path)))

    def which(self, path: str) -> str | None:
        """The first pattern that matches `path`, as it was written."""
        if path not in self:
            return None
        return next((p for p in self.patterns if _compile((p,)).match_file(canonical(path))), None)

    def among(self, paths: Iterable[str]) -> list[str]:
        """The paths that match, sorted."""
        return sorted(p for p in paths if p in self)


@lru_cache(maxsize=512)
def _compile(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    return GitIgnoreSpec.from_lines(canonical(p) for p in patterns)
