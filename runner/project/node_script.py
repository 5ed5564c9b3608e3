"""The `test` script of package.json, read: the commands that it comes to, with those of the scripts that it runs.

What wraps a command without doing anything for its tests (nyc, c8, npx, cross-env) is taken off, and what only looks
at style is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

_DEEPEST = 8
_TOKEN = re.compile(r"""&&|\|\||[;|&]|\d?>+&?|<|(?:[^\s"'\\;|&<>]|\\.|"(?:[^"\\]|\\.)*"|'[^']*')+""")
ASSIGNMENT = re.compile(r"^[A-Za-z_]\w*=")
"""How a word begins that sets a variable."""
_STYLE = frozenset({
    "eslint", "standard", "xo", "semistandard", "prettier", "biome", "oxlint", "tsd", "attw", "publint", "knip",
    "depcheck", "dprint", "markdownlint", "commitlint", "stylelint", "tslint", "echo", "eclint", "ls-engines",
    "installed-check", "size-limit", "lockfile-lint", "remark", "cspell", "jshint", "jscs", "gts",
})  # fmt: skip
_MANAGERS = frozenset({"npm", "pnpm", "yarn"})
_RUNS_ALL = frozenset({"run-s", "run-p", "npm-run-all", "npm-run-all2", "run-z"})
_COVERS = frozenset({"nyc", "c8"})
# Options of nyc and c8 that a value follows as a word of its own.
_VALUED = frozenset({
    "--reporter", "-r", "--include", "-n", "--exclude", "-x", "--require", "-i", "--extension", "-e", "--report-dir",
    "--reports-dir", "-o", "--temp-dir", "--temp-directory", "-t", "--cwd", "--cache-dir", "--nycrc-path", "--config",
    "-c", "--src", "--lines", "--functions", "--branches", "--statements",
})  # fmt: skip
# Words by which they run the scripts of other packages than this one.
_ELSEWHERE = frozenset({
    "-r", "--recursive", "--filter", "-F", "-w", "--workspace", "--workspaces", "-ws", "-C", "--prefix", "workspaces",
    "workspace",
})  # fmt: skip
# What npm, pnpm and Yarn do themselves, where it is not the name of a script or of a program.
_OWN = frozenset({
    "run", "run-script", "exec", "install", "i", "ci", "audit", "pack", "publish", "version", "workspaces", "workspace",
    "dlx", "recursive", "prune", "link", "add", "dedupe", "rebuild", "explore", "config", "ls", "why",
})  # fmt: skip


def commands(scripts: Mapping[str, object]) -> Iterator[list[str]]:
    """The commands of `scripts.test` in their order, as words with their quotes; style checks are among them."""
    return _segments("test", scripts, (), 0)


def does(words: list[str]) -> bool:
    """Whether a command of the script does more than to look at style."""
    names = {PurePosixPath(word).name for word in words[:3]}
    reports = bool(names & _COVERS) and not _under(words[1:])
    return not (names & _STYLE or ("tsc" in names and "--noEmit" in words) or _lints(words) or reports)


def _segments(name: str, scripts: Mapping[str, object], more: tuple[str, ...], depth: int) -> Iterator[list[str]]:
    """The commands of a script and of what npm runs before it; words that follow a script's name are its last ones."""
    for part in (f"pre{name}", name):
        script = scripts.get(part)
        if not isinstance(script, str) or depth > _DEEPEST:
            continue
        found = list(_commands(script))
        for at, raw in enumerate(found):
            last = part == name and at == len(found) - 1
            variables, words = _bare([*raw, *(more if last else ())], scripts)
            inner = _scripts_run(words, scripts)
            if inner is None:
                yield [*variables, *words]
                continue
            for script_name, given in inner:
                for segment in _segments(script_name, scripts, given, depth + 1):
                    yield [*variables, *segment]


def _commands(script: str) -> Iterator[list[str]]:
    """A script's commands as words, with their quotes; what is piped or redirected is cut off."""
    words: list[str] = []
    cut = False
    for token in _TOKEN.findall(script):
        if token in {"&&", ";"}:
            if words:
                yield words
            words, cut = [], False
        elif token[0] in "|&<>" or re.match(r"\d>", token):
            cut = True
        elif not cut:
            words.append(token)
    if words:
        yield words


def _bare(words: list[str], scripts: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """(variables, the command under its wrappers)."""
    variables: list[str] = []
    while words:
        head = PurePosixPath(words[0]).name
        if ASSIGNMENT.match(words[0]):
            variables.append(words[0])
            words = words[1:]
        elif head in {"cross-env", "cross-env-shell", "env"} and words[1:] and not words[1].startswith("-"):
            words = words[1:]
        elif head in _COVERS and _under(words[1:]):
            words = _under(words[1:])
        elif head == "npx" or words[:2] in (["pnpm", "exec"], ["yarn", "exec"], ["npm", "exec"]):
            inner = words[1:] if head == "npx" else words[2:]
            inner = inner[next((at for at, word in enumerate(inner) if not word.startswith("-")), len(inner)) :]
            if not inner or "@" in inner[0].lstrip("'\"")[1:]:  # of a version of its own, which has to be fetched
                break
            words = inner
        elif head in {"yarn", "pnpm"} and _is_program(words, scripts):
            words = words[1:]
        else:
            break
    return variables, words


def _under(words: list[str]) -> list[str]:
    """What nyc or c8 runs; nothing where it runs no tests (`nyc report`)."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _VALUED else 1
    return [] if words[at : at + 1] in (["report"], ["check-coverage"], ["merge"], ["instrument"]) else words[at:]


def _is_program(words: list[str], scripts: Mapping[str, object]) -> bool:
    """Whether `yarn x` and `pnpm x` stand for a package's program, and not for a script or something of their own."""
    return len(words) > 1 and words[1] not in scripts and words[1] not in _OWN and not words[1].startswith("-")


def _scripts_run(words: list[str], scripts: Mapping[str, object]) -> list[tuple[str, tuple[str, ...]]] | None:
    """Which scripts of the same file a command runs (`npm run unit`, `run-s a b:*`), each with the words given to it;
    None where it is no such command."""
    if words and PurePosixPath(words[0]).name in _RUNS_ALL:
        return _all_run(words[1:], scripts)
    if len(words) < 2 or words[0] not in _MANAGERS or _ELSEWHERE & set(words):  # noqa: PLR2004 - program, script
        return None
    rest = [at for at, word in enumerate(words) if at and not word.startswith("-")]
    if rest and words[rest[0]] in {"run", "run-script"}:
        rest = rest[1:]
    if not rest:
        return None
    name = {"t": "test", "tst": "test"}.get(words[rest[0]], words[rest[0]])
    given = words[rest[0] + 1 :]
    if name not in scripts:
        return None
    if words[0] == "npm":  # its own options end where `--` stands
        if "--" not in given:
            return [(name, ())] if all(word.startswith("-") for word in given) else None
        given = given[given.index("--") + 1 :]
    return [(name, tuple(given[1:] if given[:1] == ["--"] else given))]


def _all_run(words: list[str], scripts: Mapping[str, object]) -> list[tuple[str, tuple[str, ...]]] | None:
    """What npm-run-all runs, one after the other; None where a word of it says more than a script's name."""
    names: list[str] = []
    for word in words:
        pattern = word.strip("'\"")
        if pattern.startswith("-"):
            continue
        found = [name for name in scripts if name == pattern]
        found = found or [n for n in scripts if n.count(":") == pattern.count(":") and fnmatchcase(n, pattern)]
        if not found:
            return None
        names += found
    return [(name, ()) for name in names] or None


def _lints(words: list[str]) -> bool:
    return words[:1] in (["npm"], ["yarn"], ["pnpm"]) and any("lint" in w or "format" in w for w in words[1:3])
