"""names: what a path is called, to every file system and every import."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from runner.model import Finding
from runner.policy.case import Case, Rule, consequence
from runner.policy.globs import canonical
from runner.policy.schema import Policy
from runner.policy.scripts import lookalike
from runner.policy.shadows import shadow

_DEVICES = re.compile(r"^(?:con|prn|aux|nul|conin\$|conout\$|clock\$|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?$", re.IGNORECASE)
_FORBIDDEN = frozenset('<>:"|?*')
_LONGEST_FOR_WINDOWS = 240


def collision(policy: Policy, case: Case) -> Iterator[Finding]:
    """A new path that some file system takes for another, or a folder that is spelled in two ways."""
    new = [f.path for f in case.patch.files if f.status == "A" and f.path not in case.base_paths]
    if not new:
        return
    spelled: dict[str, str] = {}
    for path in sorted(case.head_paths - set(new)) + sorted(new):
        for part in _with_folders(path):
            first = spelled.setdefault(canonical(part), part)
            if first != part and path in new:
                yield from consequence(
                    policy.paths.collision,
                    "paths.collision",
                    f"{path}: `{part}` and `{first}` are one path on file systems blind to case or Unicode form",
                    path=path,
                    remedy="choose a name that differs in more than case",
                )
                break


def _with_folders(path: str) -> Iterable[str]:
    at = path.find("/")
    while at >= 0:
        yield path[:at]
        at = path.find("/", at + 1)
    yield path


def reserved(policy: Policy, case: Case) -> Iterator[Finding]:
    """A new name that Windows, or another system, cannot hold or takes for something else."""
    for file in case.patch.files:
        if file.status == "A" and (why := _unholdable(file.path)):
            yield from consequence(
                policy.paths.reserved,
                "paths.reserved",
                f"{file.path} {why}",
                path=file.path,
                remedy="choose a plain name",
            )


def _unholdable(path: str) -> str:
    for part in path.split("/"):
        if _DEVICES.match(part.rstrip(" .")) or _DEVICES.match(part):
            return f"has a part (`{part}`) that is a device on Windows"
        if part != part.rstrip(". "):
            return f"has a part (`{part}`) that ends in a dot or a space, which Windows drops"
        if part != part.lstrip(" "):
            return f"has a part (`{part}`) that begins with a space"
        if odd := _FORBIDDEN & set(part):
            return f"has a character ({' '.join(sorted(odd))}) that Windows does not allow"
    if "\\" in path:
        return "has a backslash, which divides folders on Windows"
    return f"is longer than {_LONGEST_FOR_WINDOWS} characters" if len(path) > _LONGEST_FOR_WINDOWS else ""


def _wide(word: str) -> str:
    """What a word has that is another form of plain letters, as fullwidth ones are."""
    return "letters in another form" if unicodedata.normalize("NFKC", word).isascii() else ""


def lookalikes(policy: Policy, case: Case) -> Iterator[Finding]:
    """A new name with letters that pass for Latin ones."""
    for file in case.patch.files:
        if file.status != "A":
            continue
        for word in re.findall(r"\w+", file.path):
            odd = "" if word.isascii() else lookalike(word) or _wide(word)
            if odd:
                yield from consequence(
                    policy.paths.lookalike,
                    "paths.lookalike",
                    f"{file.path}: `{word}` has {odd}, which only looks Latin",
                    path=file.path,
                    remedy="write the name in one script",
                )
                break


NAMES = (
    Rule("paths.collision", collision),
    Rule("paths.reserved", reserved),
    Rule("paths.lookalike", lookalikes),
    Rule("paths.shadow", shadow),
)
"""Rules on names, part of the family `paths`."""
