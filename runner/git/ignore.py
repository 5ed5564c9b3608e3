"""Which new files a repository's own .gitignore files leave out, read from the base tree and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pathspec import GitIgnoreSpec


class Ignored:
    """The rules of a tree.

    Args:
        files: folder (b"" for the root) → the content of its .gitignore.
        also: patterns that come before all of them, as in a .gitignore at the root.
    """

    def __init__(self, files: Mapping[bytes, bytes], *, also: Iterable[str] = ()) -> None:
        self._specs = {_folder(folder): _spec(_lines(content)) for folder, content in files.items()}
        self._also = _spec(list(also))
        self._folders: dict[str, str | None] = {"": None}

    def by(self, path: bytes) -> bytes | None:
        """What leaves `path` out: its topmost ignored folder (with a slash at the end), or itself; None for nothing."""
        name = path.decode("utf-8", "surrogateescape")
        folder, slash, _ = name.rpartition("/")
        found = self._folder(folder + slash)
        if found is None and self._matches(name):
            found = name
        return None if found is None else found.encode("utf-8", "surrogateescape")

    def _folder(self, folder: str) -> str | None:
        """As `by`, for a folder with a slash at its end; once ignored, nothing below can come back (as in git)."""
        if folder not in self._folders:
            above = self._folder(folder[: folder[:-1].rfind("/") + 1])
            self._folders[folder] = above or (folder if self._matches(folder) else None)
        return self._folders[folder]

    def _matches(self, name: str) -> bool:
        """The last word on one path: the .gitignore nearest to it that speaks of it."""
        end = name[:-1].rfind("/") + 1
        while True:
            folder, rest = name[:end], name[end:]
            spec = self._specs.get(folder)
            if spec is not None:
                said = spec.check_file(rest).include
                if said is not None:
                    return said
            if not end:
                break
            end = name[: end - 1].rfind("/") + 1
        return bool(self._also.check_file(name).include)


def _folder(folder: bytes) -> str:
    return folder.decode("utf-8", "surrogateescape") + "/" if folder else ""


def _lines(content: bytes) -> list[str]:
    return content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")


def _spec(lines: list[str]) -> GitIgnoreSpec:
    """The patterns that can be read; one that cannot is passed over, as git does."""
    good = []
    for line in lines:
        pattern = line.removesuffix("\r")
        try:
            GitIgnoreSpec.from_lines([pattern])
        except ValueError:
            continue
        good.append(pattern)
    return GitIgnoreSpec.from_lines(good)
