"""code: what a changed source newly uses. What it used before is nobody's affair here."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from runner.model import FileChange, Finding, Goal
from runner.policy import javascript_uses, python_uses
from runner.policy.case import Case, Family, Rule, consequence
from runner.policy.languages import BUILD, JAVASCRIPT, PYTHON
from runner.policy.python_uses import UnreadableError, Use
from runner.policy.schema import Action, Policy

_SAYS = {
    "decoded": ("runs what it decodes first", "write the code itself, as text"),
    "credentials": ("touches a place where secrets are kept, or sends them away", "leave it out"),
    "network": ("newly speaks to the network", "leave it out; where the goal is to add it, the goal is improve"),
    "network_in_tests": (
        "newly speaks to the network in a test or build file",
        "use what the test starts itself on 127.0.0.1, or a double",
    ),
    "dynamic": ("newly runs code that it makes up", "call a function, or look up a table"),
    "computed_import": ("newly imports what it computes the name of", "import by a name that a reader sees"),
    "shell": ("newly runs a command through a shell", "give a list of arguments, without a shell"),
    "process": ("newly starts another process", "leave it out unless the goal cannot be reached without"),
    "deserialize": ("newly reads a format that can run code", "use json, or yaml.safe_load"),
    "native": ("newly calls native code", "leave it out unless the goal cannot be reached without"),
    "files": ("newly writes to a fixed place outside the project", "write to a place that the caller gives"),
    "temporary": ("newly takes a temporary name that anybody can take", "use tempfile.mkstemp or NamedTemporaryFile"),
    "tls": ("newly does not check certificates", "let certificates be checked"),
}
# Neither tests nor improvements have a reason for these.
_ALWAYS = frozenset({"decoded", "credentials", "network_in_tests"})
_MOST_PER_FILE = 5
_HOST = re.compile(r"^(?:[a-z][a-z0-9+.-]*:)?(?://)?(?:[^/@]*@)?(\[[^\]]+\]|[^/:?#]+)", re.IGNORECASE)


def _judge(policy: Policy, case: Case) -> Iterator[Finding]:
    for file, new, before in _new_uses(case):
        network = [use for use in before if use.kind == "network"]
        used_network, known_hosts = bool(network), {_host(use.where) for use in network if use.where}
        in_tests = file.path in case.tests or file.path in BUILD
        shown: Counter[str] = Counter()
        for use in new:
            kind = _kind(use, in_tests=in_tests)
            nobody_new = used_network and (not use.where or _host(use.where) in known_hosts)
            if kind == "network_in_tests" and (_local(use.where) or nobody_new):
                continue  # to this machine; or it used the network before, and names nobody new
            shown[kind] += 1
            if shown[kind] > _MOST_PER_FILE:
                continue
            says, remedy = _SAYS[kind]
            known = kind == "network" and used_network and not use.where
            yield from consequence(
                _action(policy, kind, case.goal, in_tests=in_tests, known=known),
                f"code.{kind}",
                f"{file.path}:{use.first} {says}: {use.name}{f' to {use.where}' if use.where else ''}",
                path=file.path,
                line=use.first,
                remedy=remedy,
            )


def _action(policy: Policy, kind: str, goal: Goal, *, in_tests: bool, known: bool) -> Action:
    """What follows from a use. `known`: the file used the network before, and this names nobody new."""
    action: Action = getattr(policy.code, kind)
    if kind in _ALWAYS:
        return action
    if in_tests:
        return action.at_most(policy.code.in_tests)
    if goal is Goal.IMPROVE or known:
        return action.at_most(policy.code.in_improvements)
    return action


def _kind(use: Use, *, in_tests: bool) -> str:
    return "network_in_tests" if use.kind == "network" and in_tests else use.kind


def _new_uses(case: Case) -> Iterator[tuple[FileChange, list[Use], list[Use]]]:
    """Per file what it uses more often than before, and whether it used the network before."""
    own = own_modules(case)
    for file in case.patch.files:
        after = case.after(file) if file.path in case.lines else None
        if after is None or (file.path not in PYTHON and file.path not in JAVASCRIPT):
            continue
        try:
            now = uses_of(file.path, after, own)
        except UnreadableError:
            continue  # a rule of its own
        added = case.lines[file.path].added
        lines = {n for n, _ in added}
        if not any(_on(use, lines) for use in now) and not any(b"import" in line for _, line in added):
            continue  # nothing here is new, and no old name means another thing
        before = _before(case, file, own)
        new = _added(now, Counter((use.kind, use.name) for use in before), lines)
        yield file, new, before


def _added(now: list[Use], had: Counter[tuple[str, str]], lines: set[int]) -> list[Use]:
    groups: dict[tuple[str, str], list[Use]] = {}
    for use in now:
        groups.setdefault((use.kind, use.name), []).append(use)
    new = []
    for key, group in groups.items():
        more = len(group) - had[key]
        if more > 0:
            # The new ones stand on added lines; where a change made an old line mean more, on any.
            group.sort(key=lambda use: (_on(use, lines), use.first), reverse=True)
            new += group[:more]
    return sorted(new, key=lambda use: use.first)


def _on(use: Use, lines: set[int]) -> bool:
    return not lines.isdisjoint(range(use.first, use.last + 1))


@lru_cache(maxsize=4096)
def uses_of(path: str, source: bytes, own: frozenset[str]) -> list[Use]:
    """What a source uses; nobody may change the list.

    Raises:
        UnreadableError: it cannot be parsed.
    """
    return python_uses.uses(source, own=own) if path in PYTHON else javascript_uses.uses(source)


def own_modules(case: Case) -> frozenset[str]:
    """Top-level packages of the repository itself."""
    return frozenset(_tops(case))


def _before(case: Case, file: FileChange, own: frozenset[str]) -> list[Use]:
    before = case.before(file)
    if before is None:
        return []
    try:
        return uses_of(file.path, before, own)
    except UnreadableError:
        return []


def _tops(case: Case) -> Iterator[str]:
    for path in case.base_paths:
        parts = path.split("/")
        if len(parts) > 1 and parts[-1] == "__init__.py":
            if len(parts) == 2:  # noqa: PLR2004 - package/__init__.py
                yield parts[0]
            elif len(parts) == 3 and parts[0] in {"src", "lib"}:  # noqa: PLR2004
                yield parts[1]


def _host(where: str) -> str:
    found = _HOST.match(where)
    return found[1].strip("[]").lower() if found is not None else where.lower()


def _local(where: str) -> bool:
    for host in (where.lower(), _host(where)):
        if host == "localhost" or host.endswith(".localhost"):
            return True
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            continue
        return address.is_loopback or address.is_unspecified
    return False


def _unreadable(policy: Policy, case: Case) -> Iterator[Finding]:
    for file in case.patch.files:
        if file.path not in PYTHON or file.status == "D" or file.path not in case.lines:
            continue
        after, before = case.after(file), case.before(file)
        why = None if after is None else _why_unreadable(after)
        if why is None or (before is not None and _why_unreadable(before) is not None):
            continue
        if before is None and file.path in case.tests and "test_" not in file.path.rsplit("/", 1)[-1]:
            continue  # a broken source as test data
        yield from consequence(
            policy.code.unreadable,
            "code.unreadable",
            f"{file.path} cannot be parsed as Python ({why}), so that no rule can read it",
            path=file.path,
            remedy="write what the oldest supported Python can parse",
        )


def _why_unreadable(source: bytes) -> str | None:
    try:
        python_uses.check(source)
    except UnreadableError as e:
        return str(e)
    return None


def _numbers(policy: Policy, case: Case) -> str:
    read = sum(f.path in PYTHON or f.path in JAVASCRIPT for f in case.patch.files)
    return f"{read} sources read, nothing newly used that is forbidden"


CODE_RULES = Family(
    "code",
    (Rule("code.uses", _judge), Rule("code.unreadable", _unreadable)),
    _numbers,
)
