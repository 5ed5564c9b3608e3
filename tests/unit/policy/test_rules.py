"""The static rules, each on a small patch of its own."""

from __future__ import annotations

import pytest

from runner.model import FileChange, Finding, Goal, Patch, Verdict
from runner.policy.case import Case, Family, Rule
from runner.policy.evaluate import FAMILIES, evaluate
from runner.policy.globs import Globs
from runner.policy.schema import Action, load_policy

DEFAULT = load_policy("default")


def changed(path: str, **fields: object) -> FileChange:
    given = {"status": "M", "old_mode": "100644", "new_mode": "100644", "added": 1, "removed": 1, **fields}
    return FileChange.model_validate({"path": path, **given})


def judged(*files: FileChange, goal: Goal = Goal.FIX, tests: tuple[str, ...] = ("tests/**",)) -> tuple[Finding, ...]:
    patch = Patch(base_tree="a" * 40, head_tree="b" * 40, files=files)
    return evaluate(DEFAULT, Case(patch=patch, goal=goal, tests=Globs(tests)))


def refusals(*files: FileChange, goal: Goal = Goal.FIX) -> list[tuple[str, str | None]]:
    return [(f.rule, f.path) for f in judged(*files, goal=goal) if f.verdict is not Verdict.PASSED]


def test_a_small_patch_passes_with_its_numbers() -> None:
    findings = judged(changed("src/a.py", added=2, removed=1), changed("tests/test_a.py", status="A", old_mode=None))

    assert {f.verdict for f in findings} == {Verdict.PASSED}
    said = {f.rule: f.message for f in findings}
    assert said["size"] == "2 of 10 files, 5 of 500 changed lines"
    assert said["shape"] == "files 1 added, 1 modified"
    assert said.keys() == {family.name for family in FAMILIES}


def test_an_empty_patch_is_refused() -> None:
    assert ("shape.empty", None) in refusals()


def test_no_family_no_pass() -> None:
    patch = Patch(base_tree="a" * 40, head_tree="b" * 40, files=(changed("a.py"),))
    (finding,) = evaluate(DEFAULT, Case(patch=patch, goal=Goal.FIX), families=())
    assert (finding.rule, finding.verdict) == ("shape.unjudged", Verdict.FAILED)


@pytest.mark.parametrize("where", ["rule", "numbers"])
def test_a_rule_that_breaks_is_an_error_and_never_a_pass(where: str) -> None:
    def broken(*_: object) -> list[Finding]:
        raise KeyError("gone")

    family = Family(
        "odd",
        (Rule("odd.broken", broken if where == "rule" else lambda p, c: []),),
        broken if where == "numbers" else lambda p, c: "fine",  # type: ignore[arg-type]
    )
    patch = Patch(base_tree="a" * 40, head_tree="b" * 40, files=(changed("a.py"),))
    (finding,) = evaluate(DEFAULT, Case(patch=patch, goal=Goal.FIX), families=(family,))
    assert finding.verdict is Verdict.ERROR
    assert "KeyError" in finding.message
    assert finding.rule.startswith("odd")


def test_size_at_and_above_the_limits() -> None:
    assert refusals(*(changed(f"src/{n}.py") for n in range(10))) == []
    assert refusals(*(changed(f"src/{n}.py") for n in range(11))) == [("size.files", None)]
    assert refusals(changed("src/a.py", added=300, removed=200)) == []
    assert refusals(changed("src/a.py", added=300, removed=201)) == [("size.lines", "src/a.py")]


@pytest.mark.parametrize(
    "path",
    [
        ".github/workflows/ci.yml",
        ".GitHub/workflows/ci.yml",
        "docs/CODEOWNERS",
        "codeowners",
        ".gitlab-ci.yml",
        "Jenkinsfile",
        ".pre-commit-config.yaml",
        "AGENTS.md",
        "sub/claude.md",
        ".claude/settings.json",
        ".mcp.json",
        ".automend.toml",
        ".envrc",
        ".npmrc",
    ],
)
def test_protected_paths_under_any_spelling(path: str) -> None:
    assert refusals(changed(path)) == [("paths.protected", path)]
    assert refusals(changed(path, status="D", new_mode=None)) == [("paths.protected", path)]


def test_unicode_forms_of_a_protected_path() -> None:
    policy = DEFAULT.tighten({"paths": {"protected": ["caf\u00e9.txt"]}})
    patch = Patch(base_tree="a" * 40, head_tree="b" * 40, files=(changed("CAFE\u0301.txt"),))
    rules = [f.rule for f in evaluate(policy, Case(patch=patch, goal=Goal.FIX)) if f.verdict is Verdict.FAILED]
    assert rules == ["paths.protected"]


@pytest.mark.parametrize("path", ["pyproject.toml", "requirements-dev.txt", "requirements/tests.txt", "uv.lock"])
def test_dependency_files_need_the_dependency_goal(path: str) -> None:
    assert refusals(changed(path)) == [("paths.dependencies", path)]
    assert refusals(changed(path), goal=Goal.DEPS) == []


@pytest.mark.parametrize("path", ["pytest.ini", "tests/conftest.py", "tox.ini", ".coveragerc", "jest.config.js"])
def test_test_configuration_is_nobodys_to_change(path: str) -> None:
    for goal in Goal:
        assert ("paths.test_configuration", path) in refusals(changed(path), goal=goal)


def test_only_allowed_paths_where_a_policy_names_them() -> None:
    policy = DEFAULT.tighten({"paths": {"allowed": ["docs/**"]}})
    patch = Patch(base_tree="a" * 40, head_tree="b" * 40, files=(changed("docs/a.md"), changed("src/a.py")))
    found = [f for f in evaluate(policy, Case(patch=patch, goal=Goal.FIX)) if f.verdict is Verdict.FAILED]
    assert [(f.rule, f.path) for f in found] == [("paths.allowed", "src/a.py")]
    assert "docs/**" in found[0].remedy


def test_the_test_goal_changes_tests_only() -> None:
    files = (changed("tests/test_a.py"), changed("src/a.py"))
    assert refusals(*files, goal=Goal.TEST) == [("paths.goal", "src/a.py")]
    assert refusals(*files, goal=Goal.FIX) == []


@pytest.mark.parametrize(
    ("file", "rule"),
    [
        (changed("a.bin", binary=True, added=0, removed=0), "content.binary"),
        (changed("link", status="A", old_mode=None, new_mode="120000"), "content.symlink"),
        (changed("link", status="M", old_mode="120000", new_mode="120000"), "content.symlink"),
        (changed("was-a-file", status="T", new_mode="120000"), "content.symlink"),
        (changed("was-a-link", status="T", old_mode="120000"), "content.mode"),
        (changed("lib", status="A", old_mode=None, new_mode="160000"), "content.submodule"),
        (changed("lib", status="D", old_mode="160000", new_mode=None), "content.submodule"),
        (changed("run.sh", new_mode="100755"), "content.mode"),
        (changed("run.sh", status="A", old_mode=None, new_mode="100755"), "content.mode"),
        (changed("sub/.GITattributes"), "content.git_files"),
        (changed(".gitmodules"), "content.git_files"),
    ],
)
def test_content(file: FileChange, rule: str) -> None:
    assert refusals(file) == [(rule, file.path)]


def test_review_passes_and_is_shown_and_allow_is_silent() -> None:
    file = changed("a.png", binary=True, added=0, removed=0)
    patch = Patch(base_tree="a" * 40, head_tree="b" * 40, files=(file,))
    for action, shown in ((Action.REVIEW, [True]), (Action.ALLOW, [])):
        loose = DEFAULT.model_copy(update={"content": DEFAULT.content.model_copy(update={"binary": action})})
        found = evaluate(loose, Case(patch=patch, goal=Goal.FIX))
        assert {f.verdict for f in found} == {Verdict.PASSED}
        assert [f.review for f in found if f.rule == "content.binary"] == shown


def test_every_refusal_says_what_would_satisfy_it() -> None:
    files = [changed(f"src/{n}.py", added=100) for n in range(9)]
    files += [changed("setup.py"), changed("AGENTS.md"), changed("x", binary=True), changed("tests/conftest.py")]
    refused = [f for f in judged(*files) if f.verdict is Verdict.FAILED]
    assert len({f.rule for f in refused}) >= 6
    assert all(f.remedy and f.message for f in refused)
