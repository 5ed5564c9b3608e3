"""Letters that look like others: which scripts a word is written in, and whether that can deceive."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

_TWINS = frozenset(
    # Cyrillic
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u051b\u051d\u04cf\u0410"
    "\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0406\u0408\u0405\u051a\u051c"
    "\u04ae\u04c0"
    # Latin
    "\u0261\u0131\u0269\u01c0\u01bd\u0251\u1d0f\u1d04\u1d20\u1d21\u1d22\ua731"
    # Greek
    "\u03bf\u03bd\u03b9\u03ba\u03c1\u03c5\u03c7\u03b3\u03f2\u03f3\u03b1\u0391\u0392\u0395\u0396\u0397"
    "\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7\u03f9\u037f"
    # Armenian
    "\u0585\u0578\u057d\u0570\u0581\u0566\u0575\u0584"
    # Cherokee
    "\u13a0\u13a1\u13a2\u13aa\u13ab\u13ac\u13b3\u13b7\u13bb\u13c0\u13c3\u13c6\u13d2\u13d4\u13da\u13de"
    "\u13df\u13e2\u13e6\u13f4"
    # Lisu
    "\ua4d0\ua4da\ua4d3\ua4f0\ua4d6\ua4ee"
    # Small
    "\u217c"
)
"""Letters that are drawn like one of a-z or A-Z, written as escapes so that nobody needs to trust their eyes."""
_ALIEN = frozenset({"CYRILLIC", "ARMENIAN", "CHEROKEE", "LISU", "COPTIC", "DESERET"})
_AS_GREEK_IS_WRITTEN = frozenset("\u03b1\u03b3\u03ba\u03bd\u03c1\u03c5\u03c7\u03b9")
"""Greek letters that stand alone in formulas (`alpha`, `nu`, `rho`), where they deceive nobody."""


@lru_cache(maxsize=4096)
def script(letter: str) -> str:
    """The script of a letter (`LATIN`, `CYRILLIC`), "" for what belongs to none."""
    if letter.isascii():
        return "LATIN" if letter.isalpha() else ""
    if not letter.isalpha():
        return ""
    return unicodedata.name(letter, "").split(" ")[0]


def lookalike(word: str) -> str:
    """What in a word passes for a Latin letter, in words; "" where nothing can deceive."""
    letters = [c for c in word if c.isalpha()]
    latin = any(c.isascii() for c in letters)
    odd = [c for c in letters if c in _TWINS or (latin and script(c) in _ALIEN)]
    if not odd or (not latin and any(c not in _TWINS for c in letters)):
        return ""  # nothing odd, or a word of another language
    if not latin and len(letters) == 1 and letters[0] in _AS_GREEK_IS_WRITTEN:
        return ""
    if latin and _formula(word):
        return ""
    return f"{unicodedata.name(odd[0], 'an odd letter').lower()} (U+{ord(odd[0]):04X})"


def _formula(word: str) -> bool:
    """Single Greek letters, set apart by underscores: rho_max, with the letter for its name."""
    parts = [part.strip("0123456789") for part in word.split("_")]
    return all(part.isascii() or (len(part) == 1 and part in _AS_GREEK_IS_WRITTEN) for part in parts)
