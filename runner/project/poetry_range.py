"""What Poetry writes for ranges of versions, in the words of PEP 440.

After https://python-poetry.org/docs/dependency-specification/.
"""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet

_CARET_OR_TILDE = re.compile(r"([~^])\s*(\d+(?:\.\d+)*)((?:a|b|rc|\.?dev|\.?post)\d+)?")
_PLAIN = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*(\d[\w.!+*-]*)")
_EXACT = re.compile(r"=?\s*(\d[\w.!+-]*)")
_WILDCARD = re.compile(r"(?:==?\s*)?(\d+(?:\.\d+)*\.\*)")


def pep440(text: str) -> str:
    """The same range for pip and uv; "" is any version, which is also what is made of one that PEP 440 cannot say."""
    parts = [_one(part) for part in re.split(r"\s*,\s*|\s+(?=[<>=!~^])", text.strip()) if part]
    known = [part for part in parts if part is not None]
    said = ",".join(part for part in known if part)
    try:
        SpecifierSet(said)
    except InvalidSpecifier:
        return ""
    return said if len(known) == len(parts) else ""


def _one(part: str) -> str | None:
    """One condition; None where its meaning is not known (`||` among them)."""
    if part == "*":
        return ""
    if found := _CARET_OR_TILDE.fullmatch(part):
        return f">={found[2]}{found[3] or ''},<{_end(found[1], found[2])}"
    if found := _PLAIN.fullmatch(part):
        return f"{found[1]}{found[2]}"
    if found := _WILDCARD.fullmatch(part) or _EXACT.fullmatch(part):
        return f"=={found[1]}"
    return None


def _end(sign: str, version: str) -> str:
    """The first version that is too new: the caret keeps the leftmost number that is not 0, the tilde the minor one."""
    numbers = [int(number) for number in version.split(".")]
    if sign == "~":
        kept = min(len(numbers), 2)
    else:
        kept = next((place for place, number in enumerate(numbers, 1) if number), len(numbers))
    return ".".join(str(number) for number in (*numbers[: kept - 1], numbers[kept - 1] + 1))
