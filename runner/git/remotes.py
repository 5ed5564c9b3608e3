"""Where a repository comes from, what it has to offer, and what git's complaints about it mean."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runner.errors import AutomendError, GitError, RepositoryError
from runner.git import names, plumbing
from runner.git.plumbing import GitFailed

_SHA1_LENGTH = 40
_NOWHERE = Path("/dev/null")  # `ls-remote` of an address needs no repository, and must find none by chance


@dataclass(frozen=True)
class Source:
    """A repository that somebody named: the address for git, and the git folder where it is on this machine."""

    address: str
    git_dir: Path | None = None

    @property
    def shown(self) -> str:
        """The address without credentials."""
        return plumbing.redact(self.address)

    @property
    def key(self) -> str:
        """A short stable name for refs."""
        return hashlib.sha256(self.address.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def locate(remote: str) -> Source:
    """What a person named: a folder, or a file, http or https address.

    Raises:
        RepositoryError: it is none of these, or the folder is no repository.
    """
    if "://" in remote:
        parts = urlsplit(remote)
        if parts.scheme in {"http", "https"} and parts.netloc:
            return Source(remote)
        if parts.scheme == "file":
            return _folder(Path(unquote(parts.path)))
        raise RepositoryError(
            f"`{plumbing.redact(remote)}` is not an address that automend uses",
            remedy="name a folder, or an https address",
        )
    path = Path(remote)
    if not path.exists() and re.match(r"[^/]+:", remote):
        raise RepositoryError(
            f"`{plumbing.redact(remote)}` looks like an ssh address, which automend does not use",
            remedy="name a folder, or the https address",
        )
    return _folder(path)


def git_dir_of(path: Path) -> Path | None:
    """The git folder of a work tree or bare repository at exactly `path`, or None where there is none."""
    for candidate in (path / ".git", path):
        if candidate.exists():
            try:
                plumbing.run(["rev-parse", "--git-dir"], git_dir=candidate)
            except GitFailed:
                continue
            return candidate
    return None


def dirty_paths(path: Path) -> list[str]:
    """Paths of a person's own work tree that differ from its HEAD, untracked ones included; none for a bare one.

    Nothing that the repository configures is run: no hook, file-system monitor or filter.

    Raises:
        RepositoryError: there is no repository.
        GitError: git failed.
    """
    git_dir = _folder(path).git_dir
    assert git_dir is not None  # noqa: S101 - a folder has one
    if git_dir == path.absolute():
        return []
    options = [word for name in _filters(git_dir) for word in ("-c", f"{name}=")]
    out = plumbing.run(
        [*options, f"--work-tree={path.absolute()}", "status", "--porcelain=v1", "-z", "--no-renames",
         "--untracked-files=all", "--ignore-submodules=dirty"],
        git_dir=git_dir,
    )  # fmt: skip
    return [names.text(record[3:]) for record in out.split(b"\0") if record]


def resolve(source: Source, ref: str | None, auth: Mapping[str, str]) -> str | None:
    """The commit (or whatever else has an id) that `ref` names at `source`; None where only its history can tell.

    Raises:
        RepositoryError: the repository is unknown, empty or shallow, or has no such ref.
        GitError: the network, the server or git failed.
    """
    if ref is not None and (not ref or ref.startswith("-") or any(c.isspace() or not c.isprintable() for c in ref)):
        raise unknown(source, ref, auth)
    here = source.git_dir
    found = _resolve_here(source, here, ref) if here is not None else _resolve_there(source, ref, auth)
    if found is not None and len(found) > _SHA1_LENGTH:
        raise RepositoryError(
            f"{source.shown} uses another object format than SHA-1, which automend cannot work on",
            remedy="convert the repository to SHA-1",
        )
    return found


def advertised(source: Source, auth: Mapping[str, str], *patterns: str) -> dict[str, str]:
    """Ref → id, as the repository offers them; tags that are objects also as `refs/tags/NAME^{}`.

    Raises:
        RepositoryError: there is no such repository.
        GitError: the network, the server or git failed.
    """
    try:
        out = plumbing.run(["ls-remote", "--quiet", "--", source.address, *patterns], git_dir=_NOWHERE, env=auth)
    except GitFailed as e:
        raise explain(e, source) from e
    rows = (line.split("\t", 1) for line in out.decode("utf-8", "surrogateescape").splitlines() if "\t" in line)
    return {name: sha for sha, name in rows}


def refuse_checked_out(source: Source, branch_ref: str) -> None:
    """Say no where `branch_ref` is checked out in a folder: moving it would make that work tree look edited.

    Raises:
        RepositoryError: it is.
    """
    if source.git_dir is None:
        return
    out = plumbing.run(["worktree", "list", "--porcelain", "-z"], git_dir=source.git_dir)
    for record in out.split(b"\0\0"):
        fields = record.split(b"\0")
        if f"branch {branch_ref}".encode() in fields and b"bare" not in fields:
            folder = fields[0].removeprefix(b"worktree ").decode("utf-8", "replace")
            raise RepositoryError(
                f"the branch {branch_ref.removeprefix('refs/heads/')} is checked out in {folder}",
                remedy="push to a branch that is not checked out, or check another one out there",
            )


def refused_sha(e: GitFailed) -> bool:
    """Whether the server said that it does not hand out this commit by its id, or has none."""
    return any(
        words in e.stderr
        for words in ("not our ref", "unadvertised object", "couldn't find remote ref", "does not allow request for")
    )


def ref_was_held(e: GitFailed) -> bool:
    """Whether the other side could not write a ref because somebody else wrote it at the same time."""
    return re.search(r"cannot lock ref|failed to update ref|reference already exists", e.stderr) is not None


def unknown(source: Source, ref: str, auth: Mapping[str, str]) -> RepositoryError:
    """There is no such ref; says which there are."""
    refs = advertised(source, auth)
    if not refs:
        return _empty(source)
    branches = [name.removeprefix("refs/heads/") for name in refs if name.startswith("refs/heads/")]
    near = difflib.get_close_matches(ref, branches, n=1)
    hint = f"did you mean `{near[0]}`? " if near else ""
    clean = names.shown(ref.encode("utf-8", "surrogateescape"))
    return RepositoryError(
        f"{source.shown} has no branch, tag or commit `{clean}`", remedy=f"{hint}its branches: {_some(refs)}"
    )


def shallow(source: Source) -> RepositoryError:
    """The repository is shallow: what it has cannot be compared or pushed."""
    return RepositoryError(
        f"{source.shown} is a shallow clone: part of its history is missing",
        remedy="run `git fetch --unshallow` there (in GitHub Actions: `fetch-depth: 0`), or name the full repository",
    )


def explain(e: GitFailed, source: Source) -> AutomendError:
    """What git's complaint about a remote means: a `RepositoryError` where a person can mend it, else `GitError`."""
    said = e.stderr
    for words, message, remedy in _COMPLAINTS:
        if re.search(words, said, re.IGNORECASE):
            answer = " / ".join(re.findall(r"^remote: *(.*\S)", said, re.MULTILINE))
            return RepositoryError(message.format(source.shown) + (f" ({answer})" if answer else ""), remedy=remedy)
    if "shallow" in said:
        return shallow(source)
    return GitError(f"git failed at {source.shown}: {said}" if said else e.message, remedy=e.remedy)


_COMPLAINTS = (
    (
        r"dubious ownership",
        "{} belongs to another user",
        "run automend as the owner of the repository, or give yourself the folder (chown)",
    ),
    (
        r"could not read (Username|Password)|Authentication failed|returned error: 40[13]|Permission to .* denied",
        "{} does not let automend in",
        "check the spelling; for a private repository, set GITHUB_TOKEN to a token that may read and write it",
    ),
    (
        r"repository '.*' not found|Repository not found|does not appear to be a git repository|returned error: 404",
        "there is no repository at {}",
        "check the spelling; a private repository needs a token that may see it",
    ),
    (
        r"not valid: is this a git repository",
        "there is no repository at {}",
        "name the address that `git clone` takes",
    ),
    (
        r"non-fast-forward|fetch first|stale info",
        "the branch at {} has moved: somebody else wrote to it",
        "look at what is there now, then start again",
    ),
    (
        r"refusing to update checked out branch",
        "the branch is checked out at {}",
        "push to a branch that is not checked out",
    ),
    (
        r"pre-receive hook declined|update hook declined|hook declined|protected branch",
        "{} refused the branch",
        "look at the branch's protection and the server's hooks",
    ),
)


def _folder(path: Path) -> Source:
    path = path.absolute()
    if not path.is_dir():
        raise RepositoryError(
            f"there is no folder {path}", remedy="name a git repository's folder or its https address"
        )
    git_dir = git_dir_of(path)
    if git_dir is None:
        above = next((p for p in path.parents if (p / ".git").exists()), None)
        raise RepositoryError(
            f"{path} is not a git repository",
            remedy=f"name its top folder, {above}" if above else "name the folder that holds `.git`, or run `git init`",
        )
    head = git_dir / "HEAD"
    if head.exists() and not head.is_file():  # git would wait for somebody to write into a pipe
        raise RepositoryError(f"{head} is not a file", remedy="this is no repository that git would make")
    return Source(str(path), git_dir)


def _resolve_here(source: Source, git_dir: Path, ref: str | None) -> str:
    if plumbing.run(["rev-parse", "--is-shallow-repository"], git_dir=git_dir).strip() == b"true":
        raise shallow(source)
    for name in [f"refs/heads/{ref}", ref] if ref is not None else ["HEAD"]:
        with_commit = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
        try:
            return plumbing.run(with_commit, git_dir=git_dir).decode().strip()
        except GitFailed:
            continue
    if not plumbing.run(["for-each-ref", "--count=1"], git_dir=git_dir):
        raise _empty(source)
    if ref is None:
        raise RepositoryError(
            f"the HEAD of {source.shown} names no commit",
            remedy=f"name a branch with --base: {_some(advertised(source, {}))}",
        )
    raise unknown(source, ref, {})


def _resolve_there(source: Source, ref: str | None, auth: Mapping[str, str]) -> str | None:
    refs = advertised(source, auth)
    if not refs:
        raise _empty(source)
    if ref is None:
        if "HEAD" in refs:
            return refs["HEAD"]
        raise RepositoryError(
            f"the HEAD of {source.shown} names no commit", remedy=f"name a branch with --base: {_some(refs)}"
        )
    for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/{ref}"):
        if name in refs and (name == "HEAD" or name.startswith("refs/")):
            return refs.get(f"{name}^{{}}", refs[name])
    if re.fullmatch(r"[0-9a-f]{40}", ref):
        return ref
    if re.fullmatch(r"[0-9a-f]{4,39}", ref):
        return None
    raise unknown(source, ref, auth)


def _empty(source: Source) -> RepositoryError:
    return RepositoryError(f"{source.shown} is empty: it has no commit yet", remedy="commit something to it first")


def _some(refs: Mapping[str, str], limit: int = 8) -> str:
    branches = sorted(name.removeprefix("refs/heads/") for name in refs if name.startswith("refs/heads/"))
    shown = ", ".join(names.shown(name.encode("utf-8", "surrogateescape"), 80) for name in branches[:limit])
    more = f" and {len(branches) - limit} more" if len(branches) > limit else ""
    return (shown + more) or "none"


def _filters(git_dir: Path) -> list[str]:
    try:
        out = plumbing.run(
            ["config", "--local", "--includes", "-z", "--name-only", "--get-regexp", r"^filter\..*"], git_dir=git_dir
        )
    except GitFailed as e:
        if e.returncode == 1:
            return []
        raise
    drivers = {name.rpartition(".")[0] for name in out.decode("utf-8", "surrogateescape").split("\0") if name}
    return [f"{driver}.{key}" for driver in sorted(drivers) for key in ("clean", "smudge", "process", "required")]
