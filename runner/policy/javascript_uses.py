"""What a JavaScript or TypeScript file uses of what can run code or reach out, by its tokens.

Not a parser: comments are taken out and strings are blanked by one pass, and what is left is searched. That is
enough to say that something new is there, never that nothing is.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.policy.python_uses import CREDENTIALS, Use

_STOP = re.compile(r"[\"'`/{}]")
_STRING_END = {quote: re.compile(rf"\\.|{quote}|\n", re.DOTALL) for quote in "\"'"}
_TEMPLATE_STOP = re.compile(r"\\.|`|\$\{", re.DOTALL)
_REGEX_END = re.compile(r"\\.|\[(?:\\.|[^\]\\\n])*\]|/|\n", re.DOTALL)
_BEFORE_REGEX = re.compile(
    r"(?:[(\[{},;=:!&|?+\-*%^~<>]|\b(?:return|typeof|case|in|of|do|else|void|delete|throw))\s*$|^\s*$"
)


@dataclass(frozen=True)
class Masked:
    """A source without comments and with blank strings, offset by offset the same length; and its strings."""

    code: str
    strings: Mapping[int, str]
    """Offset of the opening quote → what is between the quotes."""


def masked(text: str) -> Masked:
    """Blank what is not code. Never fails: what does not close ends with the line or the file."""
    scanner = _Scanner(text)
    scanner.run()
    return Masked("".join(scanner.out), scanner.strings)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.out: list[str] = []
        self.strings: dict[int, str] = {}
        self._braces: list[bool] = []  # whether each open brace belongs to a template

    def run(self) -> None:
        at = 0
        while (found := _STOP.search(self.text, at)) is not None:
            self.out.append(self.text[at : found.start()])
            mark, at = found[0], found.end()
            if mark == "/":
                at = self._slash(found.start())
                continue
            self.out.append(mark)
            if mark in "\"'":
                at = self._string(mark, at)
            elif mark == "`":
                at = self._template(at)
            elif mark == "{":
                self._braces.append(False)
            elif self._braces and self._braces.pop():
                at = self._template(at)
        self.out.append(self.text[at:])

    def _string(self, quote: str, start: int) -> int:
        at = start
        while (stop := _STRING_END[quote].search(self.text, at)) is not None and stop[0].startswith("\\"):
            at = stop.end()
        end = stop.start() if stop is not None else len(self.text)
        self.strings[start - 1] = self.text[start:end]
        self.out.append(_blank(self.text[start:end]))
        if stop is not None and stop[0] == quote:
            self.out.append(quote)
            return stop.end()
        return end

    def _template(self, start: int) -> int:
        at = start
        while (stop := _TEMPLATE_STOP.search(self.text, at)) is not None and stop[0].startswith("\\"):
            at = stop.end()
        end = stop.start() if stop is not None else len(self.text)
        self.strings.setdefault(start - 1, self.text[start:end])
        self.out.append(_blank(self.text[start:end]))
        if stop is None:
            return end
        if stop[0] == "${":
            self._braces.append(True)
        self.out.append(stop[0])
        return stop.end()

    def _slash(self, start: int) -> int:
        text, follows = self.text, self.text[start + 1 : start + 2]
        if follows == "/":
            end = text.find("\n", start)
        elif follows == "*":
            end = text.find("*/", start + 2)
            end = end + 2 if end >= 0 else -1
        else:
            before = text[max(0, start - 40) : start].rsplit("\n", 1)[-1]
            if not _BEFORE_REGEX.search(before):
                self.out.append("/")
                return start + 1
            end = start + 1
            while (stop := _REGEX_END.search(text, end)) is not None and stop[0] not in "/\n":
                end = stop.end()
            end = stop.end() if stop is not None and stop[0] == "/" else start + 1
        end = len(text) if end < 0 else end
        self.out.append(_blank(text[start:end]))
        return end


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)


_GLOBAL = r"(?:(?<![\w$.])|(?<=globalThis\.)|(?<=window\.)|(?<=global\.)|(?<=self\.))"
_TOKENS: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("dynamic", "eval", re.compile(_GLOBAL + r"eval\b(?!\s*[:=]|\w)")),
    ("dynamic", "new Function", re.compile(_GLOBAL + r"Function\s*\(")),
    ("dynamic", "constructor.constructor", re.compile(
        r"\.constructor\s*\.\s*constructor\b|\.constructor\s*\(\s*[\"'`]"
    )),
    ("dynamic", "a timer with text", re.compile(_GLOBAL + r"set(?:Timeout|Interval)\s*\(\s*[\"'`]")),
    ("native", "process.binding", re.compile(r"\bprocess\s*\.\s*(?:binding|_linkedBinding|dlopen)\b")),
    ("network", "fetch", re.compile(_GLOBAL + r"fetch\s*\(")),
    ("network", "fetch", re.compile(r"\b(?:globalThis|window|global|self)\s*\.\s*fetch\b(?!\s*\()")),
    ("dynamic", "the global object by a computed name", re.compile(
        r"\b(?:globalThis|window|global)\s*\[\s*(?:[\"'`] *[\"'`]\s*\+|\w+\s*\+)"
    )),
    ("dynamic", "the constructor of functions", re.compile(
        r"(?:=>\s*\{\s*\}\s*\)|\bfunction\s*\(\s*\)\s*\{\s*\}\s*\)?)\s*\.\s*constructor\b"
    )),
    ("dynamic", "a worker of text", re.compile(_GLOBAL + r"Worker\s*\([^;]{0,300}\beval\s*:\s*true")),
    ("network", "XMLHttpRequest", re.compile(_GLOBAL + r"(?:XMLHttpRequest|WebSocket|EventSource)\s*\(")),
    ("network", "sendBeacon", re.compile(r"\bnavigator\s*\.\s*sendBeacon\b")),
    ("credentials", "the whole environment as text", re.compile(
        r"\bJSON\s*\.\s*stringify\s*\(\s*process\s*\.\s*env\s*[,)]"
    )),
    ("tls", "rejectUnauthorized: false", re.compile(
        r"\brejectUnauthorized\s*:\s*false\b|NODE_TLS_REJECT_UNAUTHORIZED"
    )),
    ("computed_import", "require of a computed name", re.compile(
        _GLOBAL + r"require\s*\(\s*(?:(?![\"'`\s)])|([\"'`]) *(?:\1\s*\+|\$\{))"
    )),
    ("computed_import", "import of a computed name", re.compile(
        r"(?<![\w$.])import\s*\(\s*(?:(?![\"'`\s)])|([\"'`]) *(?:\1\s*\+|\$\{))"
    )),
    ("decoded", "code that was decoded", re.compile(
        _GLOBAL + r"(?:eval|Function)\s*\([^;\n]{0,300}\b(?:atob|Buffer\s*\.\s*from|fromCharCode|unescape)\s*\("
    )),
)  # fmt: skip
_LOADS = re.compile(
    r"(?<![\w$.])(?:require\s*\(\s*|createRequire\s*\([^;\n]{0,80}?\)\s*\(\s*|import\s*\(\s*|import\s+|from\s+|process\s*\.\s*getBuiltinModule\s*\(\s*)(?=[\"'`])"
)
_BY_NAME = re.compile(r"\b(?:globalThis|window|global|self)\s*\[\s*[\"'`]")
_WRITING = re.compile(
    r"\b(?:writeFile|appendFile|rm|rmdir|unlink|symlink|chmod|createWriteStream)(?:Sync)?\s*\(\s*[\"'`]"
)
_OUTSIDE = re.compile(r"^(?:~|/(?!dev/(?:null|stdout|stderr|tty)$)|[A-Za-z]:[\\/]|(?:\.\./){2,})")
_TYPE_ONLY = re.compile(r"^\s*(?:import|export)\s+type\b")
_MODULES: Mapping[str, str] = {
    "child_process": "process", "vm": "dynamic", "vm2": "dynamic", "repl": "dynamic", "inspector": "native",
    "ffi-napi": "native", "node-ffi": "native", "koffi": "native", "v8": "deserialize", "node-serialize": "deserialize",
    "serialize-javascript": "deserialize", "shelljs": "shell", "execa": "process", "cross-spawn": "process",
    "net": "network", "tls": "network", "dgram": "network", "http": "network", "https": "network", "http2": "network",
    "dns": "network", "dns/promises": "network", "axios": "network", "node-fetch": "network", "got": "network",
    "request": "network", "superagent": "network", "undici": "network", "ws": "network", "nodemailer": "network",
    "needle": "network", "ssh2": "network", "phin": "network", "cross-fetch": "network", "ky": "network",
}  # fmt: skip
_SERVERS = frozenset({"http", "https", "http2", "net", "tls", "ws"})
_REACHES_OUT = re.compile(r"\.\s*(?:request|get|connect|createConnection)\s*\(|\bnew\s+(?:WebSocket|Socket)\b")
_ADDRESS = re.compile(r"^(?:\w+:)?//|^[\w-]+(?:\.[\w-]+)+$")


def uses(source: bytes) -> list[Use]:
    """Every use in a source, in the order of its lines."""
    seen = masked(source.decode("utf-8", "replace"))
    return sorted(_uses(seen), key=lambda use: (use.first, use.kind, use.name))


def _uses(seen: Masked) -> Iterator[Use]:
    lines = _Lines(seen.code)
    for kind, name, pattern in _TOKENS:
        for found in pattern.finditer(seen.code):
            line = lines.at(found.start())
            yield Use(kind, name, line, line, _address(seen, found.end()) if kind == "network" else "")
    yield from _by_name(seen, lines)
    for found in _LOADS.finditer(seen.code):
        module = seen.strings.get(found.end(), "").removeprefix("node:")
        kind = _MODULES.get(module, "")
        line = lines.at(found.start())
        if not kind or _TYPE_ONLY.match(lines.text(line)):
            continue
        if module in _SERVERS and not _REACHES_OUT.search(seen.code):
            continue  # a server of one's own
        yield Use(kind, module, line, line)
    for at, text in seen.strings.items():
        if len(text) <= 300 and (secret := CREDENTIALS.search(text)):  # noqa: PLR2004
            yield Use("credentials", secret[0].strip("/~\\"), lines.at(at), lines.at(at))


def _by_name(seen: Masked, lines: _Lines) -> Iterator[Use]:
    """What is reached, or written to, by a text."""
    for found in _BY_NAME.finditer(seen.code):
        word = seen.strings.get(found.end() - 1, "")
        if word in {"eval", "Function", "fetch", "XMLHttpRequest", "WebSocket"}:
            kind = "dynamic" if word in {"eval", "Function"} else "network"
            yield Use(kind, word, lines.at(found.start()), lines.at(found.start()))
    for found in _WRITING.finditer(seen.code):
        place = seen.strings.get(found.end() - 1, "")
        if _OUTSIDE.match(place):
            yield Use("files", f"writing to {place[:60]!r}", lines.at(found.start()), lines.at(found.start()))


def _address(seen: Masked, at: int) -> str:
    rest = seen.code[at : at + 20]
    quote = at + len(rest) - len(rest.lstrip(" \n("))
    text = seen.strings.get(quote, "")
    return text[:200] if _ADDRESS.match(text) else ""


class _Lines:
    def __init__(self, code: str) -> None:
        self._code = code
        self._starts = [0, *(m.end() for m in re.finditer("\n", code))]

    def at(self, offset: int) -> int:
        """The line, from 1, that an offset lies in."""
        return bisect_right(self._starts, offset)

    def text(self, line: int) -> str:
        """The text of a line."""
        start = self._starts[line - 1]
        end = self._code.find("\n", start)
        return self._code[start : end if end >= 0 else len(self._code)]
