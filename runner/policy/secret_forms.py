"""The forms in which a secret stands in a source and no pattern sees it: taken apart, joined, reversed, encoded.

Nothing is judged here. What is put together again is a text like any other, and the line on which it begins.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence

Lines = Sequence[tuple[int, bytes]]
"""Added lines with their numbers, in order."""

_MOST_PIECES = 12
_LONGEST = 4000
_LONGEST_RUN = 100_000
_SHORTEST = 12
_TELLING = 4
"""Bytes of a prefix that are looked for first."""
# What stands between the parts of a text that is taken apart.
_GLUE = b"\"'`+,()[]{} \t\n\\"
_PREFIXES = tuple(
    prefix.encode()
    for prefix in (
        "AKIA", "ASIA", "ABIA", "ACCA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-",
        "sk_live_", "rk_live_",
        "xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "sk-ant-", "sk-proj-", "AIza", "GOCSPX-", "hf_", "npm_",
        "dckr_", "glsa_",
        "lin_api_", "figd_", "sntrys_", "NRAK-", "PMAK-", "dop_v1_", "shpat_", "SG.", "pypi-AgE", "AGE-SECRET-KEY-",
        "BEGINRSAPRIVATEKEY", "BEGINPRIVATEKEY", "BEGINOPENSSHPRIVATEKEY", "BEGINECPRIVATEKEY",
    )
)  # fmt: skip
"""How tokens of known providers begin, with the glue taken out."""
_JOINT = re.compile(r"""(?<!["'`])(["'`])\s*(?:\+\s*)?(?:\\\s*)?[rbfuRBFU]{0,2}\1(?!["'`])""")
_LITERAL = re.compile(r"""\"((?:\\.|[^"\\\n])*)\"|'((?:\\.|[^'\\\n])*)'|`((?:\\.|[^`\\])*)`""")
_OPENS = re.compile(r"([:=])\s*\(\s*")
_JOIN = re.compile(r"""(["'])\1\.join\(\s*[\[(]([^\])]{0,2000})[\])]\s*\)""")
_GAP = re.compile(r"\$?\{[^{}\n]{0,40}\}|%s")
_QUOTED = re.compile(r"""["'`]([A-Za-z0-9+/_\-.]{20,2000}={0,2})["'`]""")
_ESCAPED = re.compile(r"(?:\\x[0-9a-fA-F]{2}|\\u00[0-9a-fA-F]{2}){12,}")
_NUMBERS = re.compile(r"[\[({]\s*((?:(?:\d{2,3}|0x[0-9a-fA-F]{2})\s*,\s*){15,}(?:\d{2,3}|0x[0-9a-fA-F]{2}))")
_HEX = re.compile(r"[0-9a-fA-F]{24,}")
_REVERSES = re.compile(r"\[::-1\]|\.reverse\(|reversed\(")
_PRINTABLE = re.compile(rb"[\x20-\x7e\r\n]*")


def may_be_apart(content: bytes) -> bool:
    """Whether any text of a content is a sum of literals, so that `taken_apart` may find something in it."""
    return b".join(" in content or _JOINT.search(content.decode("utf-8", "replace")) is not None


def may_be_token(content: bytes) -> bool:
    """Whether a known token may begin somewhere in a content, however it is split, so that `joined` may find one."""
    bare = content.translate(None, _GLUE)
    return any(prefix[:_TELLING] in bare for prefix in _PREFIXES)


def runs(lines: Lines) -> Iterator[Lines]:
    """Added lines that follow each other, in pieces of which each is read as one text."""
    first, size = 0, 0
    for at, (number, text) in enumerate(lines):
        if at and (number != lines[at - 1][0] + 1 or size > _LONGEST_RUN):
            yield lines[first:at]
            first, size = at, 0
        size += len(text)
    if lines:
        yield lines[first:]


def taken_apart(lines: Lines) -> Iterator[tuple[int, str]]:
    """(line, text) of every line of a run whose text is a sum of literals, with the literals as one."""
    whole = b"\n".join(text for _, text in lines)
    text = whole.decode("utf-8", "replace")
    if b".join(" in whole:
        yield from _of_joins(text, lines[0][0])
    if _JOINT.search(text) is None:
        return
    # The place of a joint holds no text any more; what follows moves up to the line on which the literal begins.
    at, line = 0, lines[0][0]
    parts: list[str] = []
    for found in _JOINT.finditer(text):
        before = text[at : found.start()]
        parts.append(before)
        if "\n" in before:
            parts = [before.rpartition("\n")[2]]
            line = lines[0][0] + text.count("\n", 0, found.start())
        at = found.end()
        rest = text[at : text.find("\n", at) if "\n" in text[at:] else len(text)]
        if _JOINT.search(rest) is None and not rest.rstrip().endswith(("+", "\\")):
            glued = _OPENS.sub(r"\1 ", "".join(parts) + rest)
            if len(glued) <= _LONGEST:
                yield line, glued


def _of_joins(text: str, first: int) -> Iterator[tuple[int, str]]:
    """`"".join(["a", "b"])` as `"ab"`, with what stands before it on its line."""
    for found in _JOIN.finditer(text):
        before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
        parts = "".join(m[1] or m[2] or m[3] or "" for m in _LITERAL.finditer(found[2]))
        yield first + text.count("\n", 0, found.start()), f'{before}"{parts[:_LONGEST]}"'


def joined(lines: Lines) -> Iterator[tuple[int, str]]:
    """(line, text) of literals of a run that begin like a known token, if they are put one after the other."""
    whole = b"\n".join(text for _, text in lines)
    bare = whole.translate(None, _GLUE)
    prefixes = [p.decode() for p in _PREFIXES if p[:_TELLING] in bare]
    if not prefixes:
        return
    text = whole.decode("utf-8", "replace")
    literals = [(m.start(), _GAP.sub("", m[1] or m[2] or m[3] or "")) for m in _LITERAL.finditer(text)]
    for first, (at, _) in enumerate(literals):
        pieces = [piece for _, piece in literals[first : first + _MOST_PIECES]]
        put = "".join(pieces)[:_LONGEST]
        if len(pieces) > 1 and any(p in put.replace(" ", "")[: len(p) + len(pieces[0])] for p in prefixes):
            yield lines[0][0] + text.count("\n", 0, at), put


def decoded(text: str) -> Iterator[str]:
    """What the long literals of a line come to: from base64, from hexadecimal, from escapes and lists of numbers."""
    for found in _QUOTED.finditer(text):
        word = found[1]
        if _REVERSES.search(text):
            yield word[::-1]
        yield from _plain(_bytes_of(word))
    for found in _ESCAPED.finditer(text):
        yield from _plain([bytes(int(code[-2:], 16) for code in re.findall(r"\\x..|\\u00..", found[0]))])
    for found in _NUMBERS.finditer(text):
        numbers = [int(n, 0) for n in re.split(r"\s*,\s*", found[1]) if not re.fullmatch(r"0\d+", n)]
        if all(n < 0x80 for n in numbers):  # noqa: PLR2004 - the last ASCII character
            yield from _plain([bytes(numbers)])


def _bytes_of(word: str) -> Iterator[bytes]:
    if _HEX.fullmatch(word) and len(word) % 2 == 0:
        yield bytes.fromhex(word)
    if re.search(r"[._]", word):
        return
    bare = word.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        yield base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return


def _plain(found: Iterable[bytes]) -> Iterator[str]:
    for content in found:
        if len(content) >= _SHORTEST and _PRINTABLE.fullmatch(content):
            yield content.decode("ascii")
