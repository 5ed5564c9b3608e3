"""What a repository's files say about how it is set up, tested and measured."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from runner.errors import ConfigError
from runner.project import Command, Lint, Project, Pytest, for_tree, recognise, with_first_tests
from runner.project.steady import MODULE
from runner.settings import RepoConfig


def project(files: dict[str, str], **host: Any) -> Project:
    def read(path: str) -> bytes | None:
        return files[path].encode() if path in files else None

    return recognise(read, files.keys(), RepoConfig.model_validate(host))


def installs(found: Project) -> list[str]:
    return [c for c in found.setup if c.startswith("/opt/automend/install") or "uv sync" in c]


PYTEST = {"pkg/__init__.py": "", "tests/test_a.py": "def test_a(): pass\n"}


def test_a_bare_python_project() -> None:
    found = project(PYTEST)
    assert found.language == "python"
    assert found.test == Pytest()
    assert found.test_shown == "python -m pytest"
    assert "python3 -m venv /opt/env" in found.setup
    assert not any("-e ." in c for c in found.setup)
    assert "tests/test_a.py" in found.tests
    assert "pkg/test_b.py" in found.tests
    assert "pkg/__init__.py" not in found.tests
    assert "pkg/conftest.py" in found.tests
    assert "tox.ini" in found.configuration


def test_pep_621_with_extras_and_groups() -> None:
    pyproject = """
    [build-system]
    requires = ["hatchling"]
    [project]
    name = "My.Pkg"
    dependencies = ["click>=8"]
    [project.optional-dependencies]
    docs = ["sphinx"]
    tests = ["pytest-mock", "my-pkg[extra]"]
    extra = ["rich"]
    [dependency-groups]
    test = ["hypothesis", {include-group = "more"}]
    more = ["freezegun", {include-group = "test"}]
    lint = ["mypy"]
    """
    found = project({**PYTEST, "pyproject.toml": pyproject})
    wanted = next(c for c in found.setup if "click" in c)
    for name in ("'click>=8'", "pytest-mock", "rich", "hypothesis", "freezegun"):
        assert name in wanted
    for name in ("sphinx", "mypy", "my-pkg"):
        assert name not in wanted
    install = next(c for c in found.setup if "-e ." in c)
    assert "--no-deps" in install
    assert "SETUPTOOLS_SCM_PRETEND_VERSION=" in install
    assert found.key_files["pyproject.toml"] == pyproject


def test_dynamic_requirements_are_the_build_backends_affair() -> None:
    pyproject = "[build-system]\nrequires=['x']\n[project]\nname='a'\ndynamic=['version','dependencies']\n"
    found = project({**PYTEST, "pyproject.toml": pyproject})
    assert any("-e '.[test,tests,testing]'" in c for c in found.setup)


def test_setup_cfg_and_setup_py_are_read_and_not_run() -> None:
    extras = "[options.extras_require]\ntesting =\n    pytest-mock\n"
    cfg = f"[metadata]\nname = pkg\n[options]\ninstall_requires =\n    attrs\n{extras}"
    found = project({**PYTEST, "setup.cfg": cfg, "setup.py": "from setuptools import setup\nsetup()\n"})
    assert any("attrs pytest-mock" in c for c in found.setup)
    assert any("--no-deps -e ." in c for c in found.setup)
    script = (
        "import setuptools\nsetuptools.setup(name='pkg', install_requires=['attrs'], extras_require={'test': ['x']})\n"
    )
    found = project({**PYTEST, "setup.cfg": "[metadata]\nname = pkg\n", "setup.py": script})
    assert any("attrs x" in c for c in found.setup)
    found = project({**PYTEST, "setup.py": "from setuptools import setup\nsetup(install_requires=open('x').read())\n"})
    assert any("-e '.[test,tests,testing]'" in c for c in found.setup)


def test_requirement_files() -> None:
    names = ("requirements.txt", "requirements/tests.txt", "requirements/dev.txt", "requirements/docs.txt")
    files = dict.fromkeys(names, "")
    found = project({**PYTEST, **files})
    assert [c.rpartition(" ")[2] for c in installs(found) if " -r " in c] == [
        "requirements.txt",
        "requirements/tests.txt",
    ]
    assert set(found.key_files) == set(files)
    only_dev = project({**PYTEST, "dev-requirements.txt": ""})
    assert any("-r dev-requirements.txt" in c for c in only_dev.setup)


def test_uv_lock() -> None:
    pyproject = "[project]\nname='a'\nversion='1'\n[dependency-groups]\ndev=['ruff']\ntests=['pytest']\n"
    found = project({**PYTEST, "pyproject.toml": pyproject, "uv.lock": "version = 1\n"})
    sync = next(c for c in found.setup if "uv sync" in c)
    assert "--frozen" in sync
    assert "--group tests" in sync
    assert "--group dev" not in sync
    assert found.key_files["uv.lock"] == "version = 1\n"


def test_tox_requirements_where_nothing_else_names_any() -> None:
    deps = ("mock", "py39: tomli", "-r{toxinidir}/x.txt", "main: git+https://example.org/x", "cov: pytest-cov")
    tox = "[testenv]\ndeps =\n    " + "\n    ".join(deps) + "\n"
    found = project({**PYTEST, "tox.ini": tox})
    assert any(c.endswith(" mock tomli") for c in installs(found))


@pytest.mark.parametrize(
    ("name", "text", "there"),
    [
        ("pyproject.toml", "[tool.pdm.dev-dependencies]\ntest=['mock>2', '-e x']\ndocs=['sphinx']\n", "'mock>2'"),
        ("pyproject.toml", "[tool.hatch.envs.default]\ndependencies=['mock', '{root:uri}/x']\n", "mock"),
        ("hatch.toml", "[envs.docs]\ndependencies=['mkdocs']\n[envs.hatch-test]\nextra-dependencies=['trio']\n",
         "trio pytest-mock"),
        ("hatch.toml", "[envs.test]\ndependencies=['mock']\n", "mock"),
        ("pyproject.toml", "[tool.tox.env_run_base]\ndeps=['mock']\n", "mock"),
        ("pyproject.toml", '[tool.tox]\nlegacy_tox_ini="""\n[testenv]\ndeps = mock\n"""\n', "mock"),
        ("tox.toml", "[env_run_base]\ndeps=['mock', '-r x.txt']\n", "mock"),
        ("setup.cfg", "[metadata]\nname=a\n[options]\ntests_require =\n  mock\n", "mock"),
        ("setup.py", "from setuptools import setup\nsetup(name='a', tests_require=['mock'])\n", "mock"),
        ("noxfile.py", "@nox.session\ndef tests(s):\n  s.install('-r', 'x', 'mock')\ndef docs(s):\n  s.install('y')\n",
         "mock"),
    ],
)  # fmt: skip
def test_requirements_of_tools_that_make_environments(name: str, text: str, there: str) -> None:
    found = project({**PYTEST, name: text})
    assert any(c.endswith(f" {there}") for c in installs(found)), installs(found)


def test_what_tox_and_nox_name_of_the_project_itself() -> None:
    pyproject = "[project]\nname='a'\nversion='1'\n[project.optional-dependencies]\nweb=['flask']\nx=['y']\n"
    files = {**PYTEST, "pyproject.toml": pyproject, "requirements/unit.txt": "mock\n"}
    tox = "[testenv]\nextras =\n    web\ndeps = -r{toxinidir}/requirements/unit.txt\n"
    nox = "@nox.session\ndef unit_tests(s):\n    s.install('-e', '.[web]', '-r', 'requirements/unit.txt', f'{x}')\n"
    for name, text in (("tox.ini", tox), ("noxfile.py", nox)):
        found = project({**files, name: text})
        assert any(c.endswith(" flask") for c in installs(found)), name
        assert not any(" y" in c for c in installs(found))
        assert any(c.endswith("-r requirements/unit.txt") for c in found.setup), name


def test_a_noxfile_that_cannot_be_read_says_nothing() -> None:
    assert project({**PYTEST, "noxfile.py": "def tests(:"}).setup == project(PYTEST).setup


def test_well_known_packages_that_only_the_tests_name() -> None:
    tests = {
        "tests/conftest.py": "import yaml\nimport secret_thing\n\ndef datadir():\n    return 1\n",
        "tests/test_a.py": "from hypothesis import given\nimport trio\nif x:\n    import numpy\n"
        "\n@pytest.mark.asyncio\nasync def test_a(mocker, datadir): pass\n",
        "src/trio/__init__.py": "",
        "requirements-test.txt": "Hypothesis[cli]>=6\n",
    }  # fmt: skip
    found = project({**PYTEST, **tests})
    assert any(c.endswith("/install pyyaml pytest-mock pytest-asyncio || true") for c in found.setup), found.setup
    assert not any("|| true" in c and "pyyaml" in c for c in project({**PYTEST, "tests/test_a.py": "import os"}).setup)


def test_poetry_groups() -> None:
    group = (
        "[tool.poetry.group.test.dependencies]\npytest-mock='^3.1'\n"
        "coverage = {version = '~7.2', extras = ['toml']}\nours = {git = 'https://example.org/ours'}\n"
    )
    pyproject = f"[tool.poetry]\nname='a'\n{group}[build-system]\nrequires=[]\n"
    asked = "'pytest-mock>=3.1,<4' 'coverage[toml]>=7.2,<7.3' ours"
    assert any(asked in c for c in project({**PYTEST, "pyproject.toml": pyproject}).setup)


@pytest.mark.parametrize(
    ("name", "text", "neutral", "plugin"),
    [
        ("pytest.ini", "[pytest]\naddopts = -n auto\n", ("-n0",), "pytest-xdist"),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = ['--cov=pkg', '-x']\n", ("--no-cov",), "pytest-cov"),
        ("tox.ini", "[pytest]\naddopts = --numprocesses=4 --cov\n", ("-n0", "--no-cov"), "pytest-cov pytest-xdist"),
        ("setup.cfg", "[tool:pytest]\naddopts = --timeout=30 -m 'not network'\n", (), "pytest-timeout"),
        ("pytest.toml", "[pytest]\naddopts = ['-n2']\n", ("-n0",), "pytest-xdist"),
        ("pytest.ini", "[pytest]\naddopts = -W=error --asyncio-mode=strict\n", (), "pytest-asyncio"),
        ("pytest.ini", "[pytest]\nDJANGO_SETTINGS_MODULE = site.settings\n", (), "pytest-django"),
        ("pytest.ini", "[pytest]\nrequired_plugins = pytest-mock>=3\n", (), "'pytest-mock>=3'"),
    ],
)
def test_options_that_keep_us_from_measuring_are_undone(
    name: str, text: str, neutral: tuple[str, ...], plugin: str
) -> None:
    found = project({**PYTEST, name: text})
    assert found.test == Pytest(neutral=neutral)
    assert any(c.endswith(f"pytest coverage {plugin}") for c in installs(found))


def test_the_plugin_of_coverage_locks_as_coverage_does() -> None:
    registry: dict[str, Any] = {}
    (install,) = (c for c in project(PYTEST).setup if MODULE in c)
    exec(install.partition("<<'END'\n")[2].partition("\nEND\n")[0], registry)

    class Locked:
        data_lock = threading.Lock()
        lock_data, unlock_data = registry["_method"]("acquire"), registry["_method"]("release")

    collector: Any = Locked()
    collector.lock_data()
    assert collector.data_lock.locked()
    collector.unlock_data()
    assert not collector.data_lock.locked()
    collector.data_lock = None  # what coverage has where there are no threads
    collector.lock_data()
    collector.unlock_data()


def test_extension_modules_of_setuptools_can_be_compiled_again() -> None:
    system = "[build-system]\nrequires=['setuptools>=77', 'cython']\nbuild-backend='{}'\n[project]\nname='a'\n"
    native = {**PYTEST, "pkg/_fast.c": "", "pyproject.toml": system.format("setuptools.build_meta")}
    found = project(native)
    assert found.build is not None
    assert any(c.endswith("--target /opt/automend/build 'setuptools>=77' cython") for c in found.setup)
    assert project({**PYTEST, "pyproject.toml": system.format("setuptools.build_meta")}).build is None
    assert project({**native, "pyproject.toml": system.format("mesonpy")}).build is None
    assert project({**native, "Cargo.toml": ""}).build is None
    assert project(native, setup=["make"]).build is None
    old = project({**PYTEST, "pkg/_fast.c": "", "setup.py": "from setuptools import setup\nsetup()\n"})
    assert any(c.endswith("--target /opt/automend/build setuptools wheel") for c in old.setup)


def test_shuffled_tests_are_put_in_order() -> None:
    pyproject = "[project]\nname='a'\n[dependency-groups]\ntests=['pytest-randomly>=3']\n"
    assert project({**PYTEST, "pyproject.toml": pyproject}).test == Pytest(neutral=("-p", "no:randomly"))
    by_file = {**PYTEST, "requirements/tests.txt": "pytest\npytest-randomly==3.15.0\n"}
    assert project(by_file).test == Pytest(neutral=("-p", "no:randomly"))
    # Without the plugin pytest would not know the option.
    seeded = {**PYTEST, "pyproject.toml": f"{pyproject}[tool.pytest.ini_options]\naddopts='--randomly-seed=1'\n"}
    assert project(seeded).test == Pytest()


def test_a_pytest_that_does_not_start_is_replaced() -> None:
    setup = project({**PYTEST, "requirements/tests.txt": "pytest==6.2.4\n"}).setup
    pinned, mended = (next(i for i, c in enumerate(setup) if words in c) for words in ("-r requirements", "pytest<8"))
    assert mended > pinned
    assert not any("pytest<8" in c for c in project(PYTEST, setup=["uv sync"]).setup)  # the host's word is the word


def test_where_the_repository_says_its_tests_are() -> None:
    ini = "[pytest]\ntestpaths = spec_tests\npython_files = check_*.py\n"
    found = project({"pkg.py": "", "spec_tests/check_a.py": "", "pytest.ini": ini})
    assert found.test is not None
    assert "spec_tests/data.txt" in found.tests
    assert "deep/check_b.py" in found.tests
    assert (
        "src/x.py" not in project({**PYTEST, "pytest.ini": "[pytest]\ntestpaths = src .\npython_files = *.py\n"}).tests
    )


def test_ruff_where_it_is_configured_in_the_version_that_is_pinned() -> None:
    hooks = "repos:\n  - repo: https://github.com/astral-sh/ruff-pre-commit\n    rev: {}\n"
    for rev, wanted in (
        ("v0.4.1", "ruff==0.4.1"),
        ("76e47323a83c  # frozen: v0.11.11", "ruff==0.11.11"),
        ("main", "ruff"),
    ):
        found = project({**PYTEST, "ruff.toml": "", ".pre-commit-config.yaml": hooks.format(rev)})
        assert found.lint == Lint("ruff", "ruff check")
        assert any(c.endswith(f" {wanted}") for c in installs(found))
    assert project(PYTEST).lint is None


def test_no_tests_are_a_true_reason() -> None:
    found = project({"pkg.py": ""})
    assert found.test is None
    assert "no tests were found" in found.why_no_test
    assert project({"README.md": ""}).test is None
    assert "no test command" in project({"main.go": ""}).why_no_test


def test_the_first_tests_come_with_the_patch() -> None:
    base = {"pkg.py": ""}

    def after(files: dict[str, str]) -> Project:
        def read(path: str) -> bytes | None:
            return files[path].encode() if path in files else None

        return with_first_tests(project(base), read, files.keys())

    brought = after({**base, "test_pkg.py": "def test_a(): pass\n"})
    assert brought.test == Pytest()
    assert brought.first_tests
    assert not brought.why_no_test
    assert after({"pkg.py": "x = 1\n"}).test is None
    # What decides how it is set up is the base's.
    assert after({**base, "test_pkg.py": "", "requirements.txt": "six\n"}).test is None
    for name in ("tox.toml", "noxfile.py", "hatch.toml"):
        assert after({**base, "test_pkg.py": "", name: ""}).test is None
    known = project(PYTEST)
    assert with_first_tests(known, lambda _: None, ()) is known


def test_doctests_are_tests() -> None:
    assert project({"pkg.py": "", "pytest.ini": "[pytest]\naddopts = --doctest-modules\n"}).test is not None


def test_the_repositorys_own_file() -> None:
    own = """
    setup = ["pip install -r needs.txt"]
    test = "pytest -q tests --strict-markers"
    lint = "ruff check ."
    tests = ["checks/**"]
    [policy.size]
    max_files = 2
    """
    found = project({**PYTEST, ".automend.toml": own})
    assert found.test == Pytest(arguments=("-q", "tests", "--strict-markers"))
    assert found.lint == Lint("command", "ruff check .")
    assert "checks/a.txt" in found.tests
    assert "tests/test_a.py" not in found.tests
    assert found.policy == {"size": {"max_files": 2}}
    assert any(c.endswith("\npip install -r needs.txt") for c in found.setup)


def test_the_hosts_word_wins() -> None:
    found = project(
        {**PYTEST, ".automend.toml": "test = 'make check'\nlint = 'none'\n"}, test="make test", junit="out.xml"
    )
    assert found.test == Command("make test", junit="out.xml")
    assert found.lint is None


@pytest.mark.parametrize("line", ["python -m pytest -x", "python3 -m pytest", "/opt/env/bin/pytest -x", "pytest"])
def test_a_plain_pytest_command_is_measured_as_pytest(line: str) -> None:
    assert isinstance(project(PYTEST, test=line).test, Pytest)


@pytest.mark.parametrize("line", ["pytest && mypy .", "pytest > out", "make", "pytest-3", "cd x; pytest"])
def test_any_other_command_is_run_as_it_is(line: str) -> None:
    assert project(PYTEST, test=line).test == Command(line)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tset = 'x'\n", "did you mean `test`"),
        ("setup = 'x'\n", "setup"),
        ("test = [\n", "not valid TOML"),
        ("policy = 3\n", "policy"),
        ("test = 'x'\ndeploy = 'rm'\n", "deploy"),
    ],
)
def test_a_wrong_file_stops_with_the_key(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        project({**PYTEST, ".automend.toml": text})
    assert ".automend.toml" in caught.value.message
    assert said in caught.value.message + caught.value.remedy


def test_modules_that_only_unittest_would_find() -> None:
    case = "import unittest\n\n\nclass T(unittest.TestCase):\n    def testIt(self):\n        pass\n"
    found = project({"a.py": "", "suite/testing_a.py": "x = 1\n", "suite/testa.py": case})
    assert found.test == Pytest(neutral=("-o", "python_files=test*.py *_test.py"))
    assert "suite/testa.py" in found.tests
    assert project({"a.py": "", "testbed.py": "x = 1\n"}).test is None
    configured = project({"a.py": "", "pytest.ini": "[pytest]\npython_files = check_*.py\n", "testa.py": case})
    assert configured.test is None


def test_python_with_a_package_json_beside_it_is_python() -> None:
    package = json.dumps({"scripts": {"test": "jest"}})
    assert project({**PYTEST, "pyproject.toml": "", "package.json": package}).language == "python"
    assert project({"tools/x.py": "", "package.json": package}).language == "node"


def test_another_trees_manifests_under_the_bases_own_word() -> None:
    base = project({**PYTEST, ".automend.toml": "test = 'pytest -q'\n", "requirements.txt": "a==1\n"})
    head = {**PYTEST, ".automend.toml": "test = 'true'\n", "requirements.txt": "a==2\n", "requirements-dev.txt": ""}
    found = for_tree(base, lambda path: head[path].encode() if path in head else None, head.keys())
    assert found.test == base.test
    assert found.key_files["requirements.txt"] == "a==2\n"
    assert any("-r requirements-dev.txt" in c for c in found.setup)


@pytest.mark.parametrize("name", ["pyproject.toml", "setup.cfg", "tox.ini", "setup.py", "package.json", "pytest.ini"])
@pytest.mark.parametrize("text", ["[", "\0", "]]]=", "[a\nb", "{'a': "])
def test_broken_manifests_are_somebody_elses_to_complain_of(name: str, text: str) -> None:
    assert project({**PYTEST, name: text}).test == Pytest()
