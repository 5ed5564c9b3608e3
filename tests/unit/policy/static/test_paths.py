"""Where a patch goes: every kind of protected path, the names that deceive, and those that do not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model import Goal, Verdict
from runner.policy.evaluate import evaluate
from runner.policy.paths import PATHS
from runner.policy.schema import load_policy
from tests.unit.policy.static.conftest import make_case

Said = Callable[..., dict[str, str]]

PROTECTED = [
    ".github/workflows/ci.yml", ".github/actions/a/action.yml", ".GitHub/Workflows/CI.yml", ".gitlab-ci.yml",
    ".gitlab/ci/a.yml", ".circleci/config.yml", ".travis.yml", "appveyor.yml", "azure-pipelines.yml",
    "azure-pipelines-release.yaml", "Jenkinsfile", "sub/Jenkinsfile.release", ".drone.yml", ".woodpecker/a.yml",
    ".buildkite/pipeline.yml", "bitbucket-pipelines.yml", ".cirrus.yml", ".teamcity/settings.kts", "cloudbuild.yaml",
    ".semaphore/a.yml", ".forgejo/workflows/a.yml", ".gitea/workflows/a.yml", "buildspec.yml", ".tekton/a.yaml",
    ".builds/a.yml", ".readthedocs.yaml", "codecov.yml", ".mergify.yml", "netlify.toml", "vercel.json", "CODEOWNERS",
    "docs/CODEOWNERS", ".github/CODEOWNERS", "codeowners", ".github/dependabot.yml", "dependabot.yml", "renovate.json",
    ".renovaterc.json5", ".pre-commit-config.yaml", ".husky/pre-commit", ".githooks/pre-push", "lefthook.yml",
    ".lintstagedrc.json", ".devcontainer/devcontainer.json", ".devcontainer.json", ".vscode/tasks.json",
    ".vscode/settings.json", ".idea/workspace.xml", "a.code-workspace", ".envrc", ".env", ".env.local", ".npmrc",
    "sub/.npmrc", ".yarnrc.yml", ".pnpmfile.cjs", "pip.conf", "pip.ini", ".pypirc", ".netrc", ".tool-versions",
    "mise.toml", "AGENTS.md", "sub/agents.md", "CLAUDE.md", "CLAUDE.local.md", "GEMINI.md", ".mcp.json",
    ".claude/settings.json", ".claude/skills/a/SKILL.md", ".codex/config.toml", ".cursor/rules/a.mdc", ".cursorrules",
    ".windsurfrules", ".clinerules", ".aider.conf.yml", ".github/copilot-instructions.md", "a.instructions.md",
    ".roo/rules.md", ".goosehints", ".gemini/settings.json", ".automend.toml", "automend.toml", ".automend/policy.toml",
    "Dockerfile", "sub/Dockerfile.dev", "web.Dockerfile", "Containerfile", "docker-compose.yml",
    "compose.override.yaml", ".dockerignore", "LICENSE", "LICENSE.txt", "sub/LICENSE", "COPYING", "NOTICE",
    "license.md",
]  # fmt: skip
DEPENDENCIES = [
    "pyproject.toml", "setup.py", "setup.cfg", "sub/setup.py", "MANIFEST.in", "requirements.txt",
    "requirements-dev.txt", "requirements/ci.txt", "constraints.txt", "Pipfile", "Pipfile.lock", "poetry.lock",
    "pdm.lock", "uv.lock", "pylock.toml", "environment.yml", "pixi.toml", "package.json", "sub/package.json",
    "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lockb", "binding.gyp", "lerna.json",
    "deno.json", "go.mod", "go.sum", "Cargo.toml", "Cargo.lock", "build.rs", "Gemfile", "a.gemspec", "composer.json",
    "pom.xml", "build.gradle", "gradlew", "flake.nix", "hatch_build.py", "meson.build",
]  # fmt: skip
STARTUP = [
    "a.pth", "sub/evil.pth", "sitecustomize.py", "src/usercustomize.py", "sitecustomize/__init__.py",
    "a.egg-info/entry_points.txt", "x-1.dist-info/entry_points.txt", "__pycache__/a.cpython-311.pyc", "a.pyc",
    ".venv/bin/python", "venv/pyvenv.cfg", "node_modules/.bin/jest", "node_modules/a/index.js", ".pdbrc",
    "babel.config.js",
]  # fmt: skip
REVIEWED = [
    ".gitignore", "sub/.gitignore", "Makefile", "CMakeLists.txt", "tasks.py", "scripts/a.sh", ".eslintrc.json",
    "docs/conf.py",
]  # fmt: skip
FREE = [
    "src/app.py", "src/github/workflows.py", "docs/agents-guide.md", "src/dockerfile_parser.py", "src/license.py",
    "lib/compose.py", "src/setup_tools.py", "docs/requirements-of-users.md", "src/package.py", "tests/test_env.py",
    "src/venvs/a.py", "README.md", "src/build.py", "src/licenses/mit.py", "src/packages.json",
]  # fmt: skip


@pytest.mark.parametrize(
    ("paths", "rule", "verdict"),
    [
        (PROTECTED, "paths.protected", "block"),
        (DEPENDENCIES, "paths.dependencies", "block"),
        (STARTUP, "paths.startup", "block"),
        (REVIEWED, "paths.reviewed", "review"),
    ],
)
def test_every_kind(said: Said, paths: list[str], rule: str, verdict: str) -> None:
    for path in paths:
        assert said({path: "a\n"}, {path: "b\n"}).get(rule) == verdict, path
        assert said({path: "a\n"}, {}).get(rule) == verdict, path
        assert said({}, {path: "b\n"}).get(rule) == verdict, path


def test_ordinary_paths_are_free(said: Said) -> None:
    for path in FREE:
        assert said({path: "a = 1\n"}, {path: "a = 2\n"}) == {}, path


@given(st.sampled_from(PROTECTED + DEPENDENCIES), st.data())
def test_no_spelling_gets_round_a_glob(path: str, data: st.DataObject) -> None:
    spelled = "".join(c.upper() if data.draw(st.booleans()) else c.lower() for c in path)
    found = evaluate(load_policy("default"), make_case({}, {spelled: "x\n"}), (PATHS,))
    assert any(f.verdict is Verdict.FAILED for f in found)


@pytest.mark.parametrize(
    ("base", "new", "rule"),
    [
        ("src/app.py", "src/App.py", "paths.collision"),
        ("src/app.py", "Src/other.py", "paths.collision"),
        ("caf\u00e9.txt", "cafe\u0301.txt", "paths.collision"),
        ("src/stra\u00dfe.py", "src/STRASSE.py", "paths.collision"),
        ("a.py", "con.py", "paths.reserved"),
        ("a.py", "docs/AUX", "paths.reserved"),
        ("a.py", "docs/com1.txt", "paths.reserved"),
        ("a.py", ".github./workflows/ci.yml", "paths.reserved"),
        ("a.py", "a.py ", "paths.reserved"),
        ("a.py", "AGENTS.md::$DATA", "paths.reserved"),
        ("a.py", "a\\\\b.py", "paths.reserved"),
        ("a.py", "s\u0441r/b.py", "paths.lookalike"),
        ("a.py", "\uff32EADME.md", "paths.lookalike"),
        ("a.py", "json.py", "paths.shadow"),
        ("a.py", "src/logging.py", "paths.shadow"),
        ("a.py", "random/__init__.py", "paths.shadow"),
        ("a.py", "pytest.py", "paths.shadow"),
        ("a.py", "pytest/__init__.py", "paths.shadow"),
        ("tests/test_a.py", "tests/socket.py", "paths.shadow"),
        ("tests/test_a.py", "tests/pluggy/__init__.py", "paths.shadow"),
    ],
)
def test_names_that_deceive(said: Said, base: str, new: str, rule: str) -> None:
    assert said({base: "x = 1\n"}, {base: "x = 1\n", new: "y = 1\n"}).get(rule) == "block"


@pytest.mark.parametrize(
    ("base", "new"),
    [
        ({"src/app.py": "x\n"}, "src/app_more.py"),
        ({"src/app/__init__.py": ""}, "src/app/json.py"),
        ({"src/app/__init__.py": ""}, "src/app/logging/__init__.py"),
        ({"tests/__init__.py": "", "tests/test_a.py": ""}, "tests/socket.py"),
        ({"a.py": ""}, "tests/__init__.py"),
        ({"a.py": ""}, "test/test_a.py"),
        ({"a.py": ""}, "docs/console.md"),
        ({"a.py": ""}, "docs/\u043f\u0440\u0438\u0432\u0435\u0442.md"),
        ({"a.py": ""}, "docs/json.md"),
    ],
)
def test_names_that_do_not(said: Said, base: dict[str, str], new: str) -> None:
    assert said(base, {**base, new: "y = 1\n"}) == {}


def test_a_rename_of_case_only_is_no_collision(said: Said) -> None:
    assert said({"src/App.py": "x = 1\n"}, {"src/app.py": "x = 1\n"}) == {}


def test_a_pointer_to_lfs(said: Said) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    assert said({}, {"data.txt": pointer}) == {"content.lfs": "block"}
    assert said({"data.txt": pointer}, {"data.txt": "plain\n"}) == {"content.lfs": "block"}
    assert said({}, {"docs/lfs.md": f"# What a pointer is\n\n    {pointer}"}) == {}


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_odd_names_break_nothing(one: str, other: str) -> None:
    found = evaluate(load_policy("default"), make_case({one: "a\n"}, {one: "a\n", other: "b\n"}, Goal.TEST), (PATHS,))
    assert all(f.verdict is not Verdict.ERROR for f in found)
