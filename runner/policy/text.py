"""text: is what a reader sees what is there? On added lines."""

from __future__ import annotations

import io
import re
import tokenize
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator

from runner.model import FileChange, FileHunks, Finding
from runner.policy.case import Case, Family, Rule, consequence
from runner.policy.languages import CODE, EXAMPLES, JAVASCRIPT, LOCKS, PROSE, PYTHON
from runner.policy.schema import Action, Policy
from runner.policy.scripts import lookalike

_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u2065\u206a-\u206f\u2800\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,6}\U000e007f")
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\u2028\u2029]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_WORD = re.compile(r"\w*[^\W\x00-\x7f]\w*")
_JOINERS = "\u200c\u200d"
_PRESENTATION = "\ufe0e\ufe0f"
_GAP = re.compile(rb"[ \t]{40,}(?=\S)")
_SIGHT = 110
"""Columns that a reader of a diff sees without scrolling, at most."""
_TAB = 8
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_PLAIN_CODINGS = {"utf-8", "utf8", "u8", "utf-8-sig", "ascii", "us-ascii"}
_BOM = b"\xef\xbb\xbf"
_BLOB = re.compile(
    r"(?<![A-Za-z0-9+/=])(?:[A-Za-z0-9+/]{200,}={0,2}|(?:\\x[0-9a-fA-F]{2}){50,}|(?:0x[0-9a-fA-F]{2},\s*){50,})"
)
_MOST_PER_FILE = 5
_CURSOR = {"\x1b": "an escape of the terminal", "\r": "a lone carriage return", "\x0b": "a vertical tab"}

Seen = tuple[int, str]
"""(line, what is there)."""


def _on_lines(look: Callable[[str], str | None]) -> Callable[[FileHunks], Iterator[Seen]]:
    """What a look at each added line says; lines of plain ASCII without control characters are not looked at."""

    def all_lines(hunk: FileHunks) -> Iterator[Seen]:
        for number, raw in hunk.added:
            if raw.isascii() and not _NOT_PLAIN.search(raw):
                continue
            if (said := look(raw.decode("utf-8", "replace"))) is not None:
                yield number, said

    return all_lines


_NOT_PLAIN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")


def _texts(case: Case) -> Iterator[tuple[FileChange, FileHunks]]:
    for file in case.patch.files:
        hunk = case.lines.get(file.path)
        if hunk is not None and hunk.added and file.new_mode in {"100644", "100755"}:
            yield file, hunk


def _said(
    action: Action, rule: str, path: str, seen: Iterable[Seen], remedy: str, *, note: str = ""
) -> Iterator[Finding]:
    found = list(seen)
    for number, what in found[:_MOST_PER_FILE]:
        yield from consequence(action, rule, f"{path}:{number} {what}{note}", path=path, line=number, remedy=remedy)
    if len(found) > _MOST_PER_FILE:
        more = f"{path} has {len(found) - _MOST_PER_FILE} more lines of the kind"
        yield from consequence(action, rule, more, path=path, line=found[_MOST_PER_FILE][0], remedy=remedy)


def _code_point(letter: str) -> str:
    return f"U+{ord(letter):04X} {unicodedata.name(letter, '').lower()}".rstrip()


def _bidi(policy: Policy, case: Case) -> Iterator[Finding]:
    def look(line: str) -> str | None:
        found = _BIDI.search(line)
        return None if found is None else f"turns the direction of the text around ({_code_point(found[0])})"

    for file, hunk in _texts(case):
        seen = _on_lines(look)(hunk)
        yield from _said(
            policy.text.bidi, "text.bidi", file.path, seen, "write the character as an escape, or leave it out"
        )


def _invisible(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, hunk in _texts(case):
        seen = list(_on_lines(_unseen)(hunk))
        if hunk.added[0][0] == 1 and hunk.added[0][1].startswith(_BOM):
            first = _unseen(hunk.added[0][1][len(_BOM) :].decode("utf-8", "replace"))
            seen = [s for s in seen if s[0] != 1] + ([(1, first)] if first else [])
        remedy = "write the character as an escape, or leave it out"
        yield from _said(policy.text.invisible, "text.invisible", file.path, seen, remedy)


def _unseen(line: str) -> str | None:
    line = _FLAG.sub("", line)
    for found in _INVISIBLE.finditer(line):
        letter, at = found[0], found.start()
        before = line[at - 1] if at else " "
        after = line[at + 1] if at + 1 < len(line) else " "
        if letter in _PRESENTATION and (
            unicodedata.category(before) in {"So", "Sm", "Sk", "Po"} or before in "#*0123456789"
        ):
            continue  # how an emoji is drawn
        if letter in _JOINERS and _joins(letter, before, after):
            continue
        if letter in "\u200e\u200f\u061c" and (_right_to_left(before) or _right_to_left(after)):
            continue  # marks that Arabic and Hebrew text needs
        return f"has a character that nobody can see ({_code_point(letter)})"
    return None


def _joins(letter: str, before: str, after: str) -> bool:
    pictures = unicodedata.category(before) in {"So", "Sk", "Mn"} and unicodedata.category(after) == "So"
    letters = all(
        c.isalpha() and unicodedata.name(c, "").split(" ")[0] not in {"LATIN", "CYRILLIC", "GREEK", ""}
        for c in (before, after)
    )
    return letters or (pictures and letter == "\u200d")


def _right_to_left(letter: str) -> bool:
    return unicodedata.bidirectional(letter) in {"R", "AL", "AN"}


def _control(policy: Policy, case: Case) -> Iterator[Finding]:
    def look(line: str) -> str | None:
        body = line.removesuffix("\r")
        found = _CONTROL.search(body) or re.search("\r", body)
        if found is not None:
            what = _CURSOR.get(found[0], "a control character")
            return f"has {what} (U+{ord(found[0]):04X}), which shows other text than is there"
        return "has a form feed inside the line" if "\f" in body and body.strip() else None

    for file, hunk in _texts(case):
        if _utf8(case.after(file)):
            remedy = "write the character as an escape, or leave it out"
            yield from _said(policy.text.control, "text.control", file.path, _on_lines(look)(hunk), remedy)


def _form_feed(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, hunk in _texts(case):
        seen = [(n, "is a form feed") for n, line in hunk.added if b"\f" in line and not line.strip()]
        yield from _said(policy.text.form_feed, "text.form_feed", file.path, seen, "leave it out")


def _line_ends(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, hunk in _texts(case):
        after, before = case.after(file), case.before(file)
        returns = [n for n, line in hunk.added if line.endswith(b"\r")]
        if not returns or after is None or file.path.endswith((".bat", ".cmd", ".ps1", ".csv", ".eml")):
            continue
        mixed = after.count(b"\r\n") != after.count(b"\n")
        if before is None and not mixed:
            continue
        if before is None or b"\r\n" not in before or (mixed and before.count(b"\r\n") == before.count(b"\n")):
            seen = [(returns[0], f"ends in CR LF, as do {len(returns)} added lines; others of the file do not")]
            yield from _said(policy.text.line_ends, "text.line_ends", file.path, seen, "keep the file's ends of lines")


def _identifier(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, hunk in _texts(case):
        added = {n for n, line in hunk.added if not line.isascii()}
        after = case.after(file)
        if not added or after is None or (file.path not in PYTHON and file.path not in JAVASCRIPT):
            continue
        names = _python_names(after) if file.path in PYTHON else _words(hunk, outside_strings=True)
        compiled = file.path in PYTHON
        seen = [
            (number, f"has the name `{name}`: {why}")
            for number, name in names
            if number in added and (why := _deceives(name, compiled=compiled))
        ]
        yield from _said(policy.text.identifier, "text.identifier", file.path, seen, "write names in plain ASCII")


def _deceives(name: str, *, compiled: bool) -> str:
    if name.isascii():
        return ""
    plain = unicodedata.normalize("NFKC", name)
    if compiled and plain.isascii():
        return f"to the compiler it is `{plain}`"
    odd = lookalike(name)
    return f"it has {odd}, which only looks Latin" if odd else ""


def _python_names(source: bytes) -> list[Seen]:
    found: list[Seen] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found += [
                (token.start[0], token.string)
                for token in tokenize.tokenize(io.BytesIO(source).readline)
                if token.type == tokenize.NAME and not token.string.isascii()
            ]
    except (tokenize.TokenError, SyntaxError, ValueError, LookupError, RecursionError):
        text = source.decode("utf-8", "replace")
        found = [
            (n, w[0]) for n, line in enumerate(text.split("\n"), 1) for w in _WORD.finditer(line.partition("#")[0])
        ]
    return found


_LITERAL = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|//.*|/\*.*?(?:\*/|$)|^\s*\*.*|#.*")


def _words(hunk: FileHunks, *, outside_strings: bool = False) -> Iterator[Seen]:
    for number, raw in hunk.added:
        if raw.isascii():
            continue
        line = raw.decode("utf-8", "replace")
        for word in _WORD.finditer(_LITERAL.sub(" ", line) if outside_strings else line):
            yield number, word[0]


def _lookalike(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, hunk in _texts(case):
        if file.path not in CODE:
            continue
        seen: dict[int, str] = {}
        for number, word in _words(hunk):
            if any(c.isascii() and c.isalpha() for c in word) and (odd := lookalike(word)):
                seen.setdefault(number, f"has the word `{word[:60]}` with {odd}, which only looks Latin")
        remedy = "write each word in one script"
        yield from _said(policy.text.lookalike, "text.lookalike", file.path, seen.items(), remedy)


def _space(policy: Policy, case: Case) -> Iterator[Finding]:
    def look(line: str) -> str | None:
        found = _SPACES.search(line)
        return None if found is None else f"has a space that is not the usual one ({_code_point(found[0])})"

    for file, hunk in _texts(case):
        if file.path in CODE:
            seen = _on_lines(look)(hunk)
            yield from _said(policy.text.space, "text.space", file.path, seen, "use plain spaces, or write an escape")


def _far_right(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, hunk in _texts(case):
        if file.path not in CODE:
            continue
        seen = []
        for number, line in hunk.added:
            for gap in _GAP.finditer(line):
                column = len(line[: gap.end()].expandtabs(_TAB))
                if column >= _SIGHT:
                    seen.append(
                        (number, f"has text after a gap of {gap.end() - gap.start()} blanks, in column {column}")
                    )
                    break
        remedy = "write it where a reader sees it"
        yield from _said(policy.text.far_right, "text.far_right", file.path, seen, remedy)


def _encoding(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, hunk in _texts(case):
        after, before = case.after(file), case.before(file)
        if after is None:
            continue
        seen: list[Seen] = []
        if not _utf8(after) and (before is None or _utf8(before)):
            line = next((n for n, text in hunk.added if not _utf8(text)), hunk.added[0][0])
            seen.append((line, "is not UTF-8"))
        coding = _coding(after) if file.path in PYTHON else ""
        if coding and coding != _coding(before or b""):
            seen.append((1, f"declares the encoding `{coding}`: Python reads it otherwise than a reader does"))
        yield from _said(policy.text.encoding, "text.encoding", file.path, seen, "write the file in UTF-8")


def _bom(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, hunk in _texts(case):
        after, before = case.after(file), case.before(file)
        if (after or b"").startswith(_BOM) and not (before or b"").startswith(_BOM) and hunk.added:
            seen = [(1, "begins with a byte order mark")]
            yield from _said(policy.text.bom, "text.bom", file.path, seen, "leave the mark out")


def _utf8(text: bytes | None) -> bool:
    try:
        (text or b"").decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _coding(source: bytes) -> str:
    """What a Python source declares in its first two lines, where it is neither UTF-8 nor ASCII."""
    for line in source.removeprefix(_BOM).split(b"\n", 2)[:2]:
        if (found := _COOKIE.match(line)) is not None:
            coding = found[1].decode("ascii", "replace").lower().replace("_", "-")
            return "" if coding in _PLAIN_CODINGS else coding
    return ""


def _blob(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, hunk in _texts(case):
        if file.path not in CODE or file.path in LOCKS or file.path in EXAMPLES or file.path in PROSE:
            continue
        seen = [
            (number, f"has {len(found[0])} characters of encoded data")
            for number, raw in hunk.added
            if len(raw) >= 200 and (found := _BLOB.search(raw.decode("utf-8", "replace")))  # noqa: PLR2004
        ]
        remedy = "write what it stands for, as text"
        yield from _said(policy.text.blob, "text.blob", file.path, seen, remedy)


def _numbers(policy: Policy, case: Case) -> str:
    lines = sum(len(hunk.added) for hunk in case.lines.values())
    return f"{lines} added lines, all as they seem"


TEXT = Family(
    "text",
    (
        Rule("text.bidi", _bidi),
        Rule("text.invisible", _invisible),
        Rule("text.control", _control),
        Rule("text.form_feed", _form_feed),
        Rule("text.line_ends", _line_ends),
        Rule("text.identifier", _identifier),
        Rule("text.lookalike", _lookalike),
        Rule("text.space", _space),
        Rule("text.far_right", _far_right),
        Rule("text.encoding", _encoding),
        Rule("text.bom", _bom),
        Rule("text.blob", _blob),
    ),
    _numbers,
)
