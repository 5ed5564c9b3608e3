"""Files of the base → project: the host's word, then the repository's own file, then what its manifests say."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection
from dataclasses import replace
from typing import Literal

from runner.policy.globs import Globs
from runner.project import node, python
from runner.project.file import NAME, RepoFile, read_file
from runner.project.manifest import Read
from runner.project.model import Command, Lint, Project, Pytest
from runner.settings import RepoConfig

_SHELL = set("|&;<>$`(){}*?\n\\")
_PYTEST = re.compile(r"^(?:(?:\S*/)?python3?\s+-m\s+pytest|(?:\S*/)?(?:pytest|py\.test))(?:\s|$)")
_NONE = "none"
_AUTO = "auto"


def recognise(read: Read, paths: Collection[str], host: RepoConfig) -> Project:
    """How the repository is set up, tested and measured.

    Args:
        read: a file's content at the base, or None where there is none.
        paths: every path of the base.
        host: the host's word on this repository, which wins.

    Raises:
        ConfigError: the repository's `.automend.toml` is wrong.
    """
    paths = frozenset(paths)
    own = read_file(read(NAME) if NAME in paths else None, host)
    found = _recognised(own, read, paths, scripts=bool(host.install_scripts))
    return replace(found, build_secrets=host.build_secrets or {})


def for_tree(project: Project, read: Read, paths: Collection[str]) -> Project:
    """The same project with the manifests of another tree, under what its *base* says of itself; without secrets."""
    return _recognised(project.own, read, frozenset(paths), scripts=project.install_scripts)


def with_first_tests(project: Project, read: Read, paths: Collection[str]) -> Project:
    """The project of a base without tests, tested as the tree of a patch can be; the same where that says nothing.

    Only where the patch leaves alone what decides how the project is set up.
    """
    if project.test is not None or project.language != "python":
        return project
    found = for_tree(project, read, paths)
    if not isinstance(found.test, Pytest) or found.key_files != project.key_files:
        return project
    return replace(project, setup=found.setup, test=found.test, tests=found.tests, why_no_test="", first_tests=True)


def _recognised(own: RepoFile, read: Read, paths: frozenset[str], *, scripts: bool) -> Project:
    language = _language(read, paths)
    if language == "python":
        return _python(own, python.PythonFacts(read, paths))
    if language == "node":
        return _node(own, node.NodeFacts(read, paths), scripts=scripts)
    return _other(own)


def _language(read: Read, paths: frozenset[str]) -> Literal["python", "node", "other"]:
    script = node.NodeFacts(read, paths).script if "package.json" in paths else None
    modules = any(path.endswith(".py") for path in paths)
    marked = bool(paths & set(python.MARKERS)) or any("requirements" in p and p.endswith(".txt") for p in paths)
    if script is not None and not (marked and modules and python.PythonFacts(read, paths).has_tests):
        return "node"
    if modules or marked:
        return "python"
    return "node" if "package.json" in paths else "other"


def _python(own: RepoFile, facts: python.PythonFacts) -> Project:
    lint = _lint(own, facts.lint())
    test: Pytest | Command | None = _command(own)
    why = ""
    if isinstance(test, Command) and own.junit is None and _is_plain_pytest(test.line):
        words = shlex.split(test.line)
        arguments = words[words.index("pytest") + 1 :] if "-m" in words[:2] else words[1:]
        coverage = own.coverage in (None, _AUTO)
        test = Pytest(arguments=tuple(arguments), neutral=facts.neutral, coverage=coverage)
    elif test is None and facts.has_tests:
        test = Pytest(neutral=facts.neutral, coverage=own.coverage != _NONE)
    elif test is None:
        why = (
            "no tests were found: no file is called test_*.py or *_test.py, and no test command is configured "
            f"(`test` in {NAME} or in the host's settings)"
        )
    return Project(
        language="python",
        setup=facts.setup(own.setup, lint),
        key_files=facts.key_files(),
        test=test,
        why_no_test=why,
        lint=lint,
        tests=Globs(own.tests) if own.tests is not None else facts.tests,
        configuration=Globs(python.CONFIGURATION),
        native=Globs(python.NATIVE),
        build=facts.build if own.setup is None else None,
        policy=own.policy,
        own=own,
    )


def _node(own: RepoFile, facts: node.NodeFacts, *, scripts: bool) -> Project:
    test = _command(own)
    why = ""
    if test is None and facts.problem:
        why = facts.problem
    elif test is None and facts.script is not None:
        test = facts.test()
    elif test is None:
        why = f"no tests were found: package.json has no test script, and no test command is configured in {NAME}"
    return Project(
        language="node",
        setup=facts.setup(own.setup, scripts=scripts),
        key_files=facts.key_files(),
        test=test,
        why_no_test=why,
        lint=_lint(own, None),
        tests=Globs(own.tests if own.tests is not None else node.TESTS),
        configuration=Globs(node.CONFIGURATION),
        native=Globs(node.NATIVE),
        policy=own.policy,
        install_scripts=scripts,
        own=own,
    )


def _other(own: RepoFile) -> Project:
    test = _command(own)
    why = f"automend does not know this kind of project, and no test command is configured in {NAME}"
    return Project(
        language="other",
        setup=own.setup or (),
        key_files={},
        test=test,
        why_no_test="" if test is not None else why,
        lint=_lint(own, None),
        tests=Globs(own.tests if own.tests is not None else ("**/test/**", "**/tests/**", "*_test.*", "test_*.*")),
        configuration=Globs(()),
        policy=own.policy,
        own=own,
    )


def _command(own: RepoFile) -> Command | None:
    if own.test is None:
        return None
    return Command(own.test, junit=own.junit, coverage=own.coverage if own.coverage not in (_AUTO, _NONE) else None)


def _lint(own: RepoFile, found: Lint | None) -> Lint | None:
    if own.lint is None:
        return found
    return None if own.lint == _NONE else Lint("command", own.lint)


def _is_plain_pytest(line: str) -> bool:
    return bool(_PYTEST.match(line)) and not set(line) & _SHELL
