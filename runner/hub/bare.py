"""One bare repository of the hub, read and written through git's plumbing with a clean environment.

Whoever pushes decides what the objects say, so: no configuration but ours, no hooks but ours, no attributes,
no replace refs, no external diff; names and revisions never stand where git would take them for an option.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

from runner.errors import GitError
from runner.git.plumbing import GitFailed, run
from runner.hub.diffs import FileDiff, compare

ZERO = "0" * 40
ATTRIBUTES = "* !diff !text !eol !crlf !filter !ident !merge !working-tree-encoding !export-ignore !export-subst\n"
"""Whatever a repository's own .gitattributes say: its bytes are shown, merged and exported as they are."""
SHA = re.compile(r"[0-9a-f]{40}\Z")


@dataclass(frozen=True)
class Person:
    """Who wrote or committed, and when (ISO 8601, UTC)."""

    name: str
    email: str
    date: str


@dataclass(frozen=True)
class Commit:
    """A commit object."""

    sha: str
    tree: str
    parents: tuple[str, ...]
    author: Person
    committer: Person
    message: str


@dataclass(frozen=True)
class Entry:
    """One entry of a tree."""

    mode: str
    type: str
    sha: str
    size: int | None
    path: str


@dataclass(frozen=True)
class Identity:
    """Author and committer of a commit that the hub makes."""

    name: str
    email: str
    date: str | None = None

    def env(self, *roles: str) -> dict[str, str]:
        """GIT_AUTHOR_* or GIT_COMMITTER_* variables."""
        out: dict[str, str] = {}
        for role in roles:
            out[f"GIT_{role}_NAME"], out[f"GIT_{role}_EMAIL"] = self.name, self.email
            if self.date is not None:
                out[f"GIT_{role}_DATE"] = self.date
        return out


@dataclass(frozen=True)
class Change:
    """A file to write (`content`) or to delete (None) in `commit_changes`."""

    path: str
    content: bytes | None = field(repr=False)


class ConflictError(Exception):
    """Two trees do not merge by themselves."""


class Bare:
    """A bare repository.

    Args:
        path: its directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    # ── running git ──────────────────────────────────────────────────────────────────────────────────────────

    def run(self, *args: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> bytes:
        """Run git and return what it printed.

        Raises:
            GitError: it failed.
        """
        return run(args, git_dir=self.path, stdin=stdin, env=env)

    def ask(self, *args: str) -> bytes | None:
        """What git prints where its answer is yes, None where it says no (exit code 1, or 128 for what is not there).

        Raises:
            GitError: it was killed.
        """
        try:
            return self.run(*args)
        except GitFailed as e:
            if e.returncode in (1, 128):
                return None
            raise

    def line(self, *args: str, stdin: bytes | None = None, env: dict[str, str] | None = None) -> str:
        """The one line that git printed."""
        return self.run(*args, stdin=stdin, env=env).decode().strip()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────

    def resolve(self, revision: str, kind: str = "commit") -> str | None:
        """The object that a revision names, or None."""
        if not revision or revision.startswith("-") or "\0" in revision:
            return None
        out = self.ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{{kind}}}")
        return out.decode().strip() if out is not None else None

    def head(self, branch: str) -> str | None:
        """The commit that a branch points to, or None."""
        return self.resolve(f"refs/heads/{branch}")

    def refs(self, prefix: str) -> dict[str, str]:
        """Full ref names below a prefix (or equal to it) and the objects they name."""
        out = self.run("for-each-ref", "--format=%(objectname) %(refname)", prefix).decode()
        return {name: sha for sha, name in (line.split(" ", 1) for line in out.splitlines())}

    def valid_ref(self, name: str) -> bool:
        """Whether git would take this as a full ref name."""
        return name.startswith("refs/") and self.ask("check-ref-format", name) is not None

    def type_of(self, sha: str) -> str | None:
        """commit, tree, blob, tag, or None where there is no such object."""
        out = self.ask("cat-file", "-t", sha) if SHA.match(sha) else None
        return out.decode().strip() if out is not None else None

    def merge_base(self, a: str, b: str) -> str | None:
        """The best common ancestor, or None."""
        out = self.ask("merge-base", a, b)
        return out.decode().split()[0] if out is not None else None

    def contains(self, tip: str, sha: str) -> bool:
        """Whether `sha` is `tip` or one of its ancestors."""
        return self.ask("merge-base", "--is-ancestor", sha, tip) is not None

    def count(self, *revisions: str) -> int:
        """How many commits a range has."""
        return int(self.line("rev-list", "--count", "--end-of-options", *revisions))

    def log(
        self, *revisions: str, path: str | None = None, reverse: bool = False, limit: int = 10_000,
        flags: Sequence[str] = (),
    ) -> list[str]:  # fmt: skip
        """Shas of a range, newest first unless `reverse`. `flags` are rev-list's own, as `--since=…`."""
        order = ["--reverse", *flags] if reverse else list(flags)
        paths = ["--", path] if path else ["--"]
        args = ["rev-list", "--topo-order", f"--max-count={limit}", *order, "--end-of-options", *revisions, *paths]
        return self.run(*args).decode().split()

    def commit(self, sha: str) -> Commit:
        """A commit by its full sha."""
        return _commit(self.path, sha)

    def tree(self, treeish: str, *, recursive: bool = False) -> list[Entry]:
        """The entries of a tree."""
        flags = ["-r", "-t"] if recursive else []
        entries = []
        for row in self.run("ls-tree", "-z", "-l", "--full-tree", *flags, treeish).split(b"\0")[:-1]:
            meta, _, path = row.partition(b"\t")
            mode, kind, sha, size = meta.decode().split()
            number = None if size == "-" else int(size)
            entries.append(Entry(mode, kind, sha, number, path.decode(errors="replace")))
        return entries

    def entry(self, treeish: str, path: str) -> Entry | None:
        """One path of a tree, or None."""
        parent, _, name = path.rpartition("/")
        where = self.resolve(f"{treeish}:{parent}", "tree") if parent else self.resolve(treeish, "tree")
        if where is None:
            return None
        for entry in self.tree(where):
            if entry.path == name:
                return Entry(entry.mode, entry.type, entry.sha, entry.size, path)
        return None

    def blob(self, sha: str) -> bytes:
        """A blob's bytes."""
        return self.run("cat-file", "blob", sha)

    def diff(self, old: str, new: str) -> tuple[FileDiff, ...]:
        """What changed between two commits or trees (full shas)."""
        return compare(self.path, old, new)

    def diff_text(self, old: str, new: str) -> bytes:
        """The same as text, as `git diff` writes it."""
        return self.run("diff-tree", "-p", "-r", "-M", "--full-index", "--no-color", "--no-ext-diff", "--no-textconv",
                        old, new)  # fmt: skip

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────

    def init(self, default_branch: str) -> None:
        """Make the repository."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.run("init", "--quiet", "--bare", f"--initial-branch={default_branch}", "--template=", str(self.path))
        (self.path / "info").mkdir(exist_ok=True)
        (self.path / "info" / "attributes").write_text(ATTRIBUTES)

    def move(self, ref: str, new: str, old: str | None = None) -> None:
        """Set a ref; with `old`, only if it is still there (`ZERO`: only if there is none).

        Raises:
            GitError: it was moved meanwhile.
        """
        self.run("update-ref", ref, new, *([old] if old is not None else []))

    def remove(self, ref: str) -> None:
        """Delete a ref."""
        self.run("update-ref", "-d", ref)

    def commit_tree(
        self, tree: str, parents: list[str], message: str, author: Identity, committer: Identity | None = None
    ) -> str:
        """Make a commit object."""
        env = {**author.env("AUTHOR"), **(committer or author).env("COMMITTER")}
        flags = [flag for parent in parents for flag in ("-p", parent)]
        return self.line("commit-tree", *flags, "-F", "-", tree, stdin=message.encode(), env=env)

    def merge_tree(self, ours: str, theirs: str) -> str:
        """The tree of two commits merged.

        Raises:
            ConflictError: they do not merge by themselves.
        """
        try:
            out = self.run("merge-tree", "--write-tree", "--no-messages", "--allow-unrelated-histories", ours, theirs)
        except GitFailed as e:
            if e.returncode == 1:
                raise ConflictError from e
            raise
        return out.decode().split("\n", 1)[0].strip()

    def replay(self, *, base: str, onto: str, wanted: str, who: Identity) -> str:
        """The tree of `onto` with the step base → wanted done on it.

        git 2.39 cannot be told a merge base, so both sides become synthetic children of `base`.

        Raises:
            ConflictError: it does not apply.
        """
        ours = self.commit_tree(self.line("rev-parse", f"{onto}^{{tree}}"), [base], "ours", who)
        theirs = self.commit_tree(self.line("rev-parse", f"{wanted}^{{tree}}"), [base], "theirs", who)
        return self.merge_tree(ours, theirs)

    def commit_changes(self, parent: str | None, changes: list[Change], message: str, who: Identity) -> str:
        """A commit that writes and deletes files; no ref moves.

        Raises:
            GitError: a path that git refuses, or a deletion of what is not there.
        """
        with tempfile.TemporaryDirectory(dir=self.path, prefix="index-") as scratch:
            env = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
            if parent is not None:
                self.run("read-tree", parent, env=env)
            lines, wanted = [], {}
            for change in changes:
                if change.content is None:
                    if parent is None or self.entry(parent, change.path) is None:
                        raise GitError(f"{change.path}: no such file to delete")
                    lines.append(f"0 {ZERO}\t{change.path}\0")
                    continue
                old = self.entry(parent, change.path) if parent is not None else None
                mode = old.mode if old is not None and old.type == "blob" else "100644"
                sha = self.line("hash-object", "-w", "--stdin", stdin=change.content)
                lines.append(f"{mode} {sha}\t{change.path}\0")
                wanted[change.path] = sha
            self.run("update-index", "-z", "--index-info", stdin="".join(lines).encode(), env=env)
            tree = self.line("write-tree", env=env)
        # git passes over paths that it does not take (`.git/x`, `../x`) without failing.
        there = {entry.path: entry.sha for entry in self.tree(tree, recursive=True)} if wanted else {}
        for path, sha in wanted.items():
            if there.get(path) != sha:
                raise GitError(f"`{path}` is not a path that git takes")
        return self.commit_tree(tree, [parent] if parent is not None else [], message, who)


@lru_cache(maxsize=4096)
def _commit(path: Path, sha: str) -> Commit:
    raw = Bare(path).run("cat-file", "commit", sha).decode(errors="replace")
    head, _, message = raw.partition("\n\n")
    tree, parents, people = "", [], {}
    for line in head.split("\n"):
        word, _, rest = line.partition(" ")
        if word == "tree":
            tree = rest
        elif word == "parent":
            parents.append(rest)
        elif word in ("author", "committer"):
            people[word] = _person(rest)
    return Commit(sha, tree, tuple(parents), people["author"], people["committer"], message.rstrip("\n"))


def _person(text: str) -> Person:
    found = re.fullmatch(r"(.*?) ?<([^>]*)> (-?\d+) [+-]\d{4}", text)
    if found is None:
        return Person(text, "", "1970-01-01T00:00:00Z")
    moment = datetime.fromtimestamp(int(found[3]), UTC)
    return Person(found[1], found[2], moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
