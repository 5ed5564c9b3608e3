"""What a person typed for a repository → where it is. Looks at the file system, speaks to nobody.

OWNER/NAME              a repository on the forge
https://… ssh://… git@  the same where the host is the forge's, else a plain git address
./path ~/path /path     a repository on this machine; so is OWNER/NAME where that directory is one
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from runner.errors import RepositoryError, UsageError
from runner.settings import RepoConfig

_OWNER_NAME = re.compile(r"([A-Za-z0-9_][A-Za-z0-9_-]{0,99})/([A-Za-z0-9._-]{1,100})")
_SCP_LIKE = re.compile(r"(?:[A-Za-z0-9._-]+@)?([A-Za-z0-9][A-Za-z0-9.-]*):(?!//)([^\s:-]\S*)")
_SCHEMES = ("https", "http", "ssh", "git")
_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}
_HOW = "write OWNER/NAME, an address (https://…, git@HOST:…) or a path (./…)"


@dataclass(frozen=True)
class Location:
    """Where a repository is.

    Args:
        kind: what was typed: a repository on the forge, one at another address, or one on this machine.
        forge: OWNER/NAME, where it lives on the forge.
        remote: its address for git, without credentials: on the forge always https, for a path without a forge the
            path.
        path: its top directory on this machine, for the kind "path".
        note: what was taken, in words, where it could have been meant otherwise.
    """

    kind: Literal["forge", "url", "path"]
    forge: str | None
    remote: str
    path: Path | None = None
    note: str = ""


def locate(text: str, *, server_url: str, known: Mapping[str, RepoConfig]) -> Location:
    """Where the repository is that a person named.

    Args:
        text: as typed.
        server_url: the forge, as in GITHUB_SERVER_URL.
        known: the host's `[repo."…"]` tables; `forge` there says where a path or an address lives.

    Raises:
        UsageError: it is no name of a repository, or holds a password.
        RepositoryError: the path is there, but no git repository.
    """
    text = text.strip()
    if not text or text.startswith("-") or any(ord(c) < ord(" ") or c == "\x7f" for c in text):
        raise UsageError(f"{text!r} does not name a repository", remedy=_HOW)
    told = known[text].forge if text in known else None
    if text.startswith(("./", "../", "/", "~")) or text in {".", ".."}:
        return _path(text, text, server_url, known)
    if text.startswith("file://"):
        return _path(unquote(urlsplit(text).path), text, server_url, known)
    if "://" in text or _SCP_LIKE.fullmatch(text):
        return _address(text, server_url, told)
    return _word(text, server_url, known)


def on_forge(address: str, server_url: str) -> str | None:
    """OWNER/NAME of a git address on the forge (https or ssh), None where it leads elsewhere."""
    forge = urlsplit(server_url)
    if "://" not in address:
        scp = _SCP_LIKE.fullmatch(address)
        if scp is None or scp[1].casefold() != forge.hostname:
            return None
        return _owner_name(scp[2].lstrip("/"))
    try:
        parts = urlsplit(address)
        same = parts.hostname == forge.hostname and (parts.scheme == "ssh" or _port(parts) == _port(forge))
    except ValueError:
        return None
    prefix = forge.path.rstrip("/") + "/"
    path = parts.path
    if parts.scheme != "ssh":
        if not path.startswith(prefix):
            return None
        path = path[len(prefix) :]
    return _owner_name(path.lstrip("/")) if same and parts.scheme in _SCHEMES else None


def _word(text: str, server_url: str, known: Mapping[str, RepoConfig]) -> Location:
    path = Path(text)
    match = _OWNER_NAME.fullmatch(text)
    if path.is_dir() and (match is None or _git_dir(path) is not None):
        found = _path(text, text, server_url, known)
        if match is None:
            return found
        note = f"took the directory ./{text}, not {text} on {server_url}; name that by its address"
        return Location(found.kind, found.forge, found.remote, found.path, note)
    name = _owner_name(text)
    if name is None:
        there = " (and no such directory is here)" if "/" in text or not match else ""
        raise UsageError(f"{text!r} does not name a repository{there}", remedy=_HOW)
    note = f"took {name} on {server_url}, not the directory ./{text}: it is no git repository" if path.exists() else ""
    return Location("forge", name, f"{server_url.rstrip('/')}/{name}.git", note=note)


def _address(text: str, server_url: str, told: str | None) -> Location:
    try:
        parts = urlsplit(text) if "://" in text else None
        if parts is not None:
            parts.port  # noqa: B018  # raises where it is no number
    except ValueError as e:
        raise UsageError(f"that is not a valid address: {e}", remedy=_HOW) from None
    if parts is not None:
        if parts.password is not None or (parts.username is not None and parts.scheme != "ssh"):
            raise UsageError(
                f"the address of {parts.hostname}{parts.path} holds a name or password",
                remedy="leave it out; the token is taken from GITHUB_TOKEN, ssh keys and git's own helpers do the rest",
            )
        if parts.scheme not in _SCHEMES or not parts.hostname or not parts.path.strip("/"):
            raise UsageError(f"{text!r} is no address of a git repository", remedy=_HOW)
        if parts.query or parts.fragment:
            raise UsageError(f"{text!r} names more than a repository", remedy="leave out what follows ? or #")
    name = told or on_forge(text, server_url)
    if name is not None:
        return Location("forge", name, f"{server_url.rstrip('/')}/{name}.git")
    if parts is not None and _beyond(parts, server_url):
        raise UsageError(
            f"{text!r} names a page, not a repository", remedy=f"write {server_url}/OWNER/NAME, or OWNER/NAME"
        )
    return Location("url", None, text.rstrip("/"))


def _beyond(parts: SplitResult, server_url: str) -> bool:
    """Whether an http address lies on the forge, but is none of a repository."""
    forge = urlsplit(server_url)
    return parts.scheme.startswith("http") and parts.hostname == forge.hostname and _port(parts) == _port(forge)


def _path(shown: str, text: str, server_url: str, known: Mapping[str, RepoConfig]) -> Location:
    try:
        path = Path(shown).expanduser().resolve()
    except RuntimeError as e:
        raise UsageError(f"{shown}: {e}", remedy=_HOW) from None
    if not path.exists():
        raise UsageError(f"there is no {shown}", remedy=_HOW)
    top = next((p for p in (path, *path.parents) if _git_dir(p) is not None), None)
    if top is None:
        raise RepositoryError(f"{path} is no git repository", remedy="`git init` it and commit, or name another path")
    told = next((known[key].forge for key in (text, str(path), str(top)) if key in known and known[key].forge), None)
    origin = _origin(top)
    name = told or (on_forge(origin, server_url) if origin else None)
    note = "" if top == path else f"took the repository at {top}"
    return Location("path", name, f"{server_url.rstrip('/')}/{name}.git" if name else str(top), top, note)


def _git_dir(top: Path) -> Path | None:
    """Where the repository at `top` keeps its config: its own, its main work tree's, or itself where it is bare."""
    dot = top / ".git"
    if dot.is_file():  # a linked work tree, or a submodule
        target = dot.read_text(encoding="utf-8", errors="replace").removeprefix("gitdir:").strip()
        dot = (top / target).resolve()
    common = dot / "commondir"
    if common.is_file():
        dot = (dot / common.read_text(encoding="utf-8", errors="replace").strip()).resolve()
    for candidate in (dot, top):
        if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir() and (candidate / "refs").is_dir():
            return candidate
    return None


def _origin(top: Path) -> str | None:
    """The address of `origin`. Reads the config file as a file: nothing that stands in it is obeyed."""
    folder = _git_dir(top)
    if folder is None or not (folder / "config").is_file():
        return None
    done = subprocess.run(
        ["git", "config", "--file", str(folder / "config"), "--no-includes", "--get", "remote.origin.url"],
        capture_output=True,
        text=True,
        errors="replace",
        cwd="/",
        check=False,
    )
    return done.stdout.strip() or None


def _owner_name(text: str) -> str | None:
    match = _OWNER_NAME.fullmatch(text.rstrip("/").removesuffix(".git"))
    if match is None or match[2] in {".", ".."}:
        return None
    return f"{match[1]}/{match[2]}"


def _port(parts: SplitResult) -> int | None:
    return parts.port or _DEFAULT_PORTS.get(parts.scheme)
