"""A hostile tar stream → a tree of the mirror, or the findings that say why not.

What the agent left is data: paths are checked before git sees them, contents are hashed here, new objects are made
in a quarantine and enter the mirror only through git's own strict check, as with a push.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from runner.git import names, plumbing, tarstream
from runner.git.ignore import Ignored
from runner.git.index import REGULAR, SUBMODULE, SYMLINK, Entry, folders_of, listing, written
from runner.git.mirror import Mirror
from runner.git.plumbing import GitFailed
from runner.git.tarstream import BadTarError, Member
from runner.model import Finding, Verdict

_MOST_FINDINGS = 50
_MOST_DROPPED = 1000
_LOOSE_UP_TO = 200  # as git does: few objects loose, many as a pack
_WORKSPACE = b"workspace"


@dataclass(frozen=True)
class Imported:
    """What became of a tar stream: a tree, or None and the findings that say why.

    `dropped` are ignored files that were left out; a folder that is ignored as a whole is named once, with a slash.
    """

    tree: str | None
    dropped: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def import_tar(
    mirror: Mirror,
    chunks: Iterable[bytes],
    *,
    base_tree: str,
    max_files: int = 100_000,
    max_file_bytes: int = 64 << 20,
    max_total_bytes: int = 1 << 30,
    also_ignored: Sequence[str] = (),
    unchanged: Collection[bytes] = (),
) -> Imported:
    """Take a workspace in, as a tree of the mirror. Files of the base that are `unchanged` need not be in the stream.

    The names in the stream are relative to its first member where that is a folder called `.` or `workspace` (as
    Docker sends it), else to the stream. The root's `.git` is left out, and so is what the base's .gitignore files
    and `also_ignored` (patterns of the host, overruled by the repository's) ignore, unless the base has it. A path
    that the base has may be as odd as it was. Submodules stay as the base has them.

    Raises:
        GitError: git or the disk failed. Whatever is wrong with the stream is a finding.
        Exception: what `chunks` itself raises.
    """
    base = listing(mirror, base_tree)
    rules = Ignored(_gitignores(mirror, base), also=also_ignored)
    with mirror.scratch() as folder, ExitStack() as stack:
        limits = (max_files, max_file_bytes, max_total_bytes)
        intake = _Intake(mirror, base, rules, _Quarantine(mirror, folder, stack), limits)
        intake.take_unchanged(unchanged)
        try:
            for member in tarstream.members(chunks):
                if not intake.take(member):
                    break
        except BadTarError as e:
            intake.find("tree.stream", f"the workspace could not be read: {e}", verdict=Verdict.ERROR)
        tree = intake.finish(base_tree)
    return Imported(tree, intake.dropped, tuple(intake.findings))


def examine(mirror: Mirror, base_tree: str, head_tree: str) -> tuple[Finding, ...]:
    """The rules on paths, for a tree that came in another way (a commit, a patch text): one finding per new odd path.

    Raises:
        GitError: a tree is not there.
    """
    base = listing(mirror, base_tree)
    found = []
    for path in listing(mirror, head_tree):
        objection = None if path in base else names.objection(path)
        if objection is not None:
            found.append(_finding(objection[0], f"the path {objection[1]}", path))
    return tuple(found)


class _Intake:
    """Takes members one by one; at the end there is a tree or a finding."""

    def __init__(
        self,
        mirror: Mirror,
        base: dict[bytes, Entry],
        rules: Ignored,
        objects: _Quarantine,
        limits: tuple[int, int, int],
    ) -> None:
        self._mirror, self._base, self._rules, self._objects = mirror, base, rules, objects
        self._max_files, self._max_file_bytes, self._max_total_bytes = limits
        self._base_folders = {folder for path in base for folder in folders_of(path)}
        self._submodules = {path for path, entry in base.items() if entry.mode == SUBMODULE}
        self._here = {entry.oid for entry in base.values()}
        self._entries: dict[bytes, Entry] = {}
        self._dropped: dict[bytes, None] = {}
        self._prefix: bytes | None = None
        self._total = 0
        self._unsaid = 0
        self.findings: list[Finding] = []

    @property
    def dropped(self) -> tuple[str, ...]:
        """What was left out, at most a thousand names."""
        shown = [names.text(path) for path in list(self._dropped)[:_MOST_DROPPED]]
        more = len(self._dropped) - len(shown)
        return (*shown, f"({more} more)") if more else tuple(shown)

    def find(self, rule: str, message: str, path: bytes | None = None, verdict: Verdict = Verdict.FAILED) -> None:
        """Record a finding; after many, only their number."""
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(_finding(rule, message, path, verdict))
        else:
            self._unsaid += 1

    def take_unchanged(self, paths: Collection[bytes]) -> None:
        """Files that are as the base has them."""
        self._entries.update((p, self._base[p]) for p in paths if p in self._base and p not in self._submodules)

    def take(self, member: Member) -> bool:
        """Take one member in; False to read no further."""
        if self._prefix is None:
            is_root = member.kind == "folder" and member.name in {b"", b".", _WORKSPACE}
            self._prefix = b"workspace/" if is_root and member.name == _WORKSPACE else b""
            if is_root:
                return True
        path = self._inside(member.name)
        if path is None:
            self.find("tree.path", "lies outside the workspace", member.name)
            return True
        if path in {b"", b"."} and member.kind == "folder":
            return True
        if path.split(b"/", 1)[0] == b".git":
            return True  # whatever the agent's own git did is nothing to us
        if path not in self._base and path not in self._base_folders and not self._welcome(path, member):
            return True
        return member.kind == "folder" or self._place(path, member)

    def _inside(self, name: bytes) -> bytes | None:
        """A member's name relative to the workspace, or None where it lies outside."""
        if self._prefix:
            if name == _WORKSPACE:
                return b""
            if not name.startswith(self._prefix):
                return None
            return name[len(self._prefix) :]
        return name.removeprefix(b"./")

    def _welcome(self, path: bytes, member: Member) -> bool:
        """Whether a path that the base does not have may come in."""
        objection = names.misplaced(path)
        if objection is None:
            ignored = self._rules.by(path + b"/" if member.kind == "folder" else path)
            if ignored is not None:
                self._dropped.setdefault(ignored)
                return False
            objection = names.objection(path)
        if objection is not None:
            self.find(objection[0], f"the path {objection[1]}", path)
            return False
        return True

    def _place(self, path: bytes, member: Member) -> bool:
        inside = next((folder for folder in folders_of(path) if folder in self._submodules), None)
        if inside is not None or path in self._submodules:
            self.find("tree.submodule", "is in a submodule, which a patch cannot change", path)
            return True
        if path in self._entries:
            self.find("tree.duplicate", "is there twice", path)
            return True
        if len(self._entries) >= self._max_files:
            self.find("tree.size", f"there are more than {self._max_files} files")
            return False
        entry = self._entry(path, member)
        if entry is not None:
            self._entries[path] = entry
        if self._total > self._max_total_bytes:
            self.find("tree.size", f"the files are larger than {self._max_total_bytes} bytes together")
            return False
        return True

    def _entry(self, path: bytes, member: Member) -> Entry | None:
        match member.kind:
            case "file":
                if member.size > self._max_file_bytes:
                    self.find("tree.size", f"has {member.size} bytes, more than {self._max_file_bytes}", path)
                    return None
                self._total += member.size
                return self._file(path, b"".join(member.read()), executable=member.executable)
            case "symlink":
                if not member.link or b"\0" in member.link or len(member.link) > names.LONGEST_PATH:
                    self.find("tree.path", "is a symbolic link to nothing that can be a path", path)
                    return None
                return Entry(SYMLINK, self._objects.blob(member.link, self._here))
            case "hardlink":
                target = self._inside(member.link)
                entry = None if target is None else self._entries.get(target)
                if entry is None:
                    self.find("tree.hardlink", "is a hard link to something that is not in the workspace", path)
                return entry
            case _:
                self.find("tree.special-file", "is a device, a pipe or a socket", path)
                return None

    def _file(self, path: bytes, content: bytes, *, executable: bool) -> Entry:
        entry = Entry("100755" if executable else "100644", self._objects.blob(content, self._here))
        old = self._base.get(path)
        if old is not None and old.mode in REGULAR and (old.mode == "100755") == executable and old.oid == entry.oid:
            return old  # a mode that git no longer writes is no change
        return entry

    def finish(self, base_tree: str) -> str | None:
        """The tree, in the mirror; None where there are findings."""
        if not self.findings and self._prefix is None:
            self.find("tree.stream", "the workspace came as an empty archive", verdict=Verdict.ERROR)
        for path in self._entries:
            if any(folder in self._entries for folder in folders_of(path)):
                self.find("tree.path", "lies below something that is no folder", path)
        if self._unsaid:
            self.findings.append(_finding("tree.path", f"{self._unsaid} more paths cannot be taken", None))
        self._objects.close()
        if self.findings:
            return None
        for path in self._submodules:
            self._entries[path] = self._base[path]
        changes: dict[bytes, Entry | None] = {path: None for path in self._base if path not in self._entries}
        changes.update({path: e for path, e in self._entries.items() if self._base.get(path) != e})
        if not changes:
            return base_tree
        try:
            tree = written(self._mirror, base_tree, changes, env=self._objects.env)
            self._objects.admit(tree, base_tree, many=len(changes) > _LOOSE_UP_TO)
        except GitFailed as e:
            refused = re.search(r"Invalid path '(.*)'|(object [0-9a-f]{40}: .*)", e.stderr)
            if refused is None:
                raise
            self.find("tree.fsck", f"git refuses what was left: {refused[0]}")
            return None
        return tree


class _Quarantine:
    """Objects on trial: new ones are written beside the mirror, which only lends its own."""

    def __init__(self, mirror: Mirror, folder: Path, stack: ExitStack) -> None:
        objects = folder / "objects"
        (objects / "pack").mkdir(parents=True)
        lent = str(mirror.path / "objects").replace("\\", "\\\\").replace('"', '\\"')
        self.env = {"GIT_OBJECT_DIRECTORY": str(objects), "GIT_ALTERNATE_OBJECT_DIRECTORIES": f'"{lent}"'}
        self._mirror, self._stack = mirror, stack
        self._write: Callable[[bytes], object] | None = None
        self._written: set[str] = set()

    def blob(self, content: bytes, here: Collection[str]) -> str:
        """The id of a blob, which is written unless it is `here` already."""
        oid = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
        oid.update(content)
        name = oid.hexdigest()
        if name not in here and name not in self._written:
            if self._write is None:
                feeding = self._mirror.feed("-c", "fastimport.unpackLimit=1", "fast-import", "--quiet", env=self.env)
                self._write = self._stack.enter_context(feeding)
            self._write(b"blob\ndata %d\n" % len(content))
            self._write(content)
            self._write(b"\n")
            self._written.add(name)
        return name

    def close(self) -> None:
        """No more blobs: see that they are all written.

        Raises:
            GitError: they are not.
        """
        self._stack.close()
        self._write = None

    def admit(self, tree: str, base_tree: str, *, many: bool) -> None:
        """Let what is new in `tree` into the mirror, through git's strict check.

        Raises:
            GitError: an object is not as it should be, or the disk failed.
        """
        if many:
            self._pass_on(tree, base_tree, "index-pack", "--strict", "--stdin")  # checks everything, then writes
            return
        # `unpack-objects --strict` writes some before it has seen all: so check in here, and then let in.
        self._pass_on(tree, base_tree, "index-pack", "--strict", "--stdin", env=self.env)
        self._pass_on(tree, base_tree, "unpack-objects", "-q")

    def _pass_on(self, tree: str, base_tree: str, *command: str, env: Mapping[str, str] | None = None) -> None:
        pack = plumbing.stream(
            ["pack-objects", "--revs", "--stdout", "-q", "--window=0"],
            git_dir=self._mirror.path,
            stdin=f"{tree}\n^{base_tree}\n".encode("ascii"),
            env=self.env,
        )
        with self._mirror.feed(*command, env=env) as write:
            for chunk in pack:
                write(chunk)


def _gitignores(mirror: Mirror, base: dict[bytes, Entry]) -> dict[bytes, bytes]:
    found = {}
    for path, entry in base.items():
        folder, _, name = path.rpartition(b"/")
        if name == b".gitignore" and entry.mode in REGULAR:
            found[folder] = mirror.git("cat-file", "blob", entry.oid)
    return found


def _finding(rule: str, message: str, path: bytes | None, verdict: Verdict = Verdict.FAILED) -> Finding:
    if path is None:
        return Finding(rule=rule, verdict=verdict, message=message, remedy=_REMEDIES.get(rule, ""))
    return Finding(
        rule=rule,
        verdict=verdict,
        message=f"{names.shown(path)}: {message}",
        path=names.text(path),
        remedy=_REMEDIES.get(rule, ""),
    )


_REMEDIES = {
    "tree.path": "rename it to plain, visible UTF-8 characters inside the repository, or take it away",
    "tree.git-alias": "take it away, or give it another name",
    "tree.special-file": "take it away: only files, folders and symbolic links can be part of a patch",
    "tree.hardlink": "make it a file of its own",
    "tree.duplicate": "leave each path once",
    "tree.submodule": "leave submodules as they are",
    "tree.size": "leave nothing but source files in the workspace",
    "tree.fsck": "undo what git objects to",
    "tree.stream": "run it again",
}
