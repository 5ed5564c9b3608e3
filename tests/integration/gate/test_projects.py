"""The gate on projects of several kinds, set up by what their own files say."""

from __future__ import annotations

import json

import pytest

from runner.git.mirror import Mirror
from runner.model import Goal, Verdict
from runner.project import environment_recipe, restore, withdraw
from sandbox.api import SandboxError, Spec
from tests.integration.gate.conftest import LIMITS, Gate, check, no, shown

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

# ── a src layout whose version comes from git tags, by a file that the build writes ──────────────────────────────

PYPROJECT = """\
[build-system]
requires = ["setuptools>=64", "setuptools_scm>=8"]
build-backend = "setuptools.build_meta"

[project]
name = "greet"
dynamic = ["version"]
scripts = {greet = "greet:main"}

[dependency-groups]
test = ["pytest"]

[tool.setuptools_scm]
version_file = "src/greet/_version.py"

[tool.pytest.ini_options]
addopts = ["--cov=greet", "-n", "auto", "-x", "-W", "error"]

[tool.ruff.lint]
select = ["F", "I"]
"""
GREET = """\
from greet._version import version


def hello(name):
    return f"Hello {name}"


def main():
    print(hello("you"), version)
"""
SRC = {
    "pyproject.toml": PYPROJECT,
    ".gitignore": "_version.py\n*.egg-info/\n",
    "src/greet/__init__.py": GREET,
    "tests/test_greet.py": (
        "import subprocess\n\nfrom greet import hello\n\n\n"
        "def test_type():\n    assert isinstance(hello('x'), str)\n\n\n"
        "def test_command():\n    said = subprocess.run(['greet'], capture_output=True, text=True, check=True)\n"
        "    assert 'you' in said.stdout\n"
    ),
}
SRC_FIX = {
    "src/greet/__init__.py": GREET.replace("Hello {name}", "Hello, {name}!").replace(
        "    print", "    import os\n\n    print"
    ),
    "tests/test_new.py": "from greet import hello\n\n\ndef test_hello():\n    assert hello('you') == 'Hello, you!'\n",
}


def test_a_src_layout_with_a_version_from_git(gate: Gate) -> None:
    report = gate(SRC, SRC_FIX)
    assert report.verdict is Verdict.PASSED, (no(report), report.checks)
    assert report.evidence.tests is not None
    assert report.evidence.tests.red_to_green == ("tests/test_new.py::test_hello",)
    assert report.evidence.coverage is not None
    assert report.evidence.coverage.changed_covered == 2  # one of them by a command of its own, in another process
    assert [(f.rule, f.path, f.line) for f in report.findings if f.review] == [("lint.new", "src/greet/__init__.py", 9)]
    assert "F401" in next(f.message for f in report.findings if f.rule == "lint.new")
    _generated_files_come_and_go(gate)


def _generated_files_come_and_go(gate: Gate) -> None:
    assert gate.engine is not None
    assert gate.project is not None
    mirror = Mirror(gate.folder / "mirror.git")
    tree = gate.tree
    built = gate.engine.environment(environment_recipe(gate.project, mirror, tree), labels={}, progress=lambda _: None)
    with gate.engine.open(Spec(image=built.image, limits=LIMITS)) as box:
        box.exec(
            ["sh", "-c", "mkdir -p src/greet; echo mine > src/greet/own.py; touch src/greet/__init__.py"], timeout=120
        )
        restore(box)
        assert box.read("src/greet/_version.py", limit=10_000) is not None
        withdraw(box)
        assert box.read("src/greet/_version.py", limit=10_000) is None
        assert box.read("src/greet/own.py", limit=10_000) == b"mine\n"
        restore(box)
        box.exec(["sh", "-c", "echo changed >> src/greet/_version.py"], timeout=120)
        withdraw(box)
        assert box.read("src/greet/_version.py", limit=10_000) is not None  # what somebody changed stays


# ── a repository that says for itself how it is tested ───────────────────────────────────────────────────────────

OWN = """\
test = "sh ./check.sh"
junit = "out/junit-*.xml"
coverage = "out/lcov.info"
lint = "! grep -rn 'TODO' app.py"
tests = ["check.sh", "cases/**"]

[policy.size]
max_files = 2
"""
CHECK = """\
set -e
mkdir -p out
fails=0
cases=
for f in cases/*.txt; do
  name=$(basename "$f" .txt)
  if [ "$(python3 app.py < "$f")" = "$(cat "cases/$name.expected")" ]; then
    cases="$cases<testcase classname='cases' name='$name'/>"
  else
    cases="$cases<testcase classname='cases' name='$name'><failure message='differs'/></testcase>"
    fails=$((fails + 1))
  fi
done
echo "<testsuite>$cases</testsuite>" > out/junit-cases.xml
echo "<testsuite><testcase classname='shell' name='works'/></testsuite>" > out/junit-shell.xml
printf 'SF:app.py\nDA:1,1\nDA:2,1\nend_of_record\n' > out/lcov.info
[ "$fails" = 0 ]
"""
COMMAND = {
    ".automend.toml": OWN,
    "check.sh": CHECK,
    "app.py": "import sys\nprint(sys.stdin.read().strip().upper()[:3])\n",
    "cases/short.txt": "abc\n",
    "cases/short.expected": "ABC\n",
}
LONG = {"cases/long.txt": "abcdef\n", "cases/long.expected": "ABCDEF\n"}
APP_FIX = {"app.py": "import sys\nprint(sys.stdin.read().strip().upper())\n"}


def test_a_command_of_the_repositorys_own(gate: Gate) -> None:
    gate.host = {"tests": ["check.sh", "cases/**"]}
    report = gate({**COMMAND, **LONG}, APP_FIX)
    assert report.verdict is Verdict.PASSED, (no(report), report.checks)
    assert report.evidence.tests is not None
    assert report.evidence.tests.red_to_green == ("cases::long",)
    assert report.evidence.coverage is not None
    assert report.evidence.coverage.changed_lines == 1
    assert report.evidence.commands == ("sh ./check.sh", "! grep -rn 'TODO' app.py")
    assert check(report, "lint") is Verdict.PASSED


def test_its_policy_only_tightens(gate: Gate) -> None:
    report = gate(COMMAND, {**APP_FIX, **LONG})
    assert report.verdict is Verdict.FAILED
    assert no(report) == {"size.files": "the patch changes 3 files; the limit is 2"}


def test_its_lint_command_is_asked_of_both_sides(gate: Gate) -> None:
    worse = gate({**COMMAND, **LONG}, {"app.py": APP_FIX["app.py"] + "# TODO\n"})
    assert "lint.new" in shown(worse)
    bad_before = {**COMMAND, **LONG, "app.py": "# TODO\n" + COMMAND["app.py"]}
    same = gate(bad_before, {"app.py": "# TODO\n" + APP_FIX["app.py"]})
    assert "lint.unmeasured" in shown(same)
    assert same.verdict is Verdict.PASSED, no(same)


def test_a_report_that_the_patch_brings_along_is_nobodys(gate: Gate) -> None:
    forged = (
        "<testsuite><testcase classname='cases' name='long'/><testcase classname='cases' name='short'/></testsuite>\n"
    )
    silent = {"check.sh": "exit 0\n", "out/junit-1.xml": forged}
    gate.host = {"tests": ["cases/**"]}
    report = gate({**COMMAND, **LONG}, {"app.py": "print()\n", **silent})
    assert report.verdict is Verdict.FAILED
    # the policy of the repository allows two files; the proof is asked for all the same where the host lifts it
    gate.host = {"tests": ["cases/**"], "test": "sh ./check.sh", "junit": "out/junit-*.xml"}
    base = {name: text for name, text in {**COMMAND, **LONG}.items() if name != ".automend.toml"}
    report = gate(base, {"app.py": "print()\n", **silent})
    assert report.verdict is Verdict.FAILED
    assert "it left no results" in no(report)["tests.results"]


def test_only_an_exit_code(gate: Gate) -> None:
    gate.host = {"test": "python3 checks.py", "tests": ["checks.py"]}
    base = {"app.py": "def f():\n    return 1\n", "checks.py": "import app\nassert app.f() < 3\n"}
    report = gate(base, {"app.py": "def f():\n    return 2\n", "checks.py": "import app\nassert 1 < app.f() < 3\n"})
    assert report.verdict is Verdict.PASSED, (no(report), report.checks)
    assert shown(report) == {"coverage.unmeasured"}
    wrong = gate(base, {"app.py": "def f():\n    return 4\n"})
    assert no(wrong).keys() == {"tests.regression", "tests.red-green"}


# ── dependencies, compiled code, Node ────────────────────────────────────────────────────────────────────────────


def test_a_new_version_of_a_dependency_is_tested_with_it(gate: Gate) -> None:
    base = {
        "requirements.txt": "iniconfig==2.0.0\n",
        "app.py": "import iniconfig\n\n\ndef read(text):\n    return iniconfig.IniConfig('x', text)\n",
        "test_app.py": "from app import read\n\n\ndef test_read():\n    assert read('[a]\\nb=1')['a']['b'] == '1'\n",
    }
    report = gate(base, {"requirements.txt": "iniconfig==2.1.0\n"}, goal=Goal.DEPS)
    assert report.verdict is Verdict.PASSED, (no(report), report.checks)
    none = gate(base, {"requirements.txt": "iniconfig==0.0.0.1\n"}, goal=Goal.DEPS)
    assert none.verdict is Verdict.ERROR
    assert "iniconfig==0.0.0.1" in none.checks[0].summary
    assert no(gate(base, {"requirements.txt": "iniconfig==2.1.0\n"})).keys() == {"paths.dependencies"}


def test_sources_that_the_setup_compiles_are_compiled_again(gate: Gate) -> None:
    setup = "from setuptools import Extension, setup\nsetup(name='fast', ext_modules=[Extension('fast', ['fast.c'])])\n"
    source = (
        "#include <Python.h>\nstatic PyObject *f(PyObject *s, PyObject *a) { return PyLong_FromLong(1); }\n"
        'static PyMethodDef m[] = {{"f", f, METH_NOARGS, 0}, {0}};\n'
        'static struct PyModuleDef d = {PyModuleDef_HEAD_INIT, "fast", 0, -1, m};\n'
        "PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&d); }\n"
    )
    test = "import fast\n\nfrom slow import g\n\n\ndef test_both():\n    assert fast.f() == g()\n"
    base = {"setup.py": setup, "fast.c": source, "slow.py": "def g():\n    return 1\n", "tests/test_fast.py": test}
    two = {"fast.c": source.replace("FromLong(1)", "FromLong(2)")}
    lost = gate(base, two)
    assert "tests.regression" in no(lost), lost.checks
    fix = {**two, "tests/test_fast.py": test.replace("== g()", "== g() + 1")}
    fixed = gate(base, fix)
    assert fixed.verdict is Verdict.PASSED, (no(fixed), fixed.checks)
    assert fixed.evidence.tests is not None
    assert fixed.evidence.tests.red_to_green == ("tests/test_fast.py::test_both",)
    assert fixed.evidence.commands[0].endswith("build_ext --inplace --force")
    broken = gate(base, {**fix, "fast.c": source.replace("FromLong(1)", "FromLong(")})
    assert broken.verdict is Verdict.FAILED
    assert "do not compile" in no(broken)["tests.results"]
    python = gate(base, {"slow.py": "def g():\n    return 2 - 1\n"}, goal=Goal.IMPROVE)
    assert python.verdict is Verdict.PASSED, (no(python), python.checks)


NODE_TEST = """\
const test = require('node:test');
const assert = require('node:assert');
const { plus } = require('plus/plus.js');
test.describe('plus', () => { test('zero', () => assert.equal(plus(1, 0), 1)); });
"""
NODE = {
    "package.json": json.dumps(
        {"name": "all", "workspaces": ["packages/*"], "scripts": {"test": "node --test test/*.js"}}
    ),
    ".gitignore": "node_modules\n",
    "packages/plus/package.json": json.dumps({"name": "plus", "version": "1.0.0"}),
    "packages/plus/plus.js": "exports.plus = (a, b) => {\n  return a - b;\n};\n",
    "test/plus.js": NODE_TEST,
}


def test_a_node_project_whose_packages_use_each_other(gate: Gate) -> None:
    more = {"test/more.js": NODE_TEST.replace("'zero'", "'one'").replace("plus(1, 0), 1", "plus(1, 1), 2")}
    fixed = {"packages/plus/plus.js": "exports.plus = (a, b) => {\n  return a + b;\n};\n"}
    report = gate(NODE, {**fixed, **more})
    assert report.verdict is Verdict.PASSED, (no(report), report.checks)
    assert report.evidence.tests is not None
    assert report.evidence.tests.red_to_green == ("test/more.js::plus::one",)
    assert report.evidence.coverage is not None
    assert report.evidence.coverage.changed_covered == 1
    wrong = {"packages/plus/plus.js": "exports.plus = (a, b) => {\n  return b - a;\n};\n"}
    assert no(gate(NODE, {**wrong, **more})).keys() >= {"tests.regression"}


# ── the machine ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_environment_that_cannot_be_built_is_an_error(gate: Gate) -> None:
    gate.host = {"setup": ["echo preparing; false"]}
    report = gate({"app.py": "x = 1\n", "test_app.py": "def test_a(): pass\n"}, {"app.py": "x = 2\n"})
    assert report.verdict is Verdict.ERROR
    assert "preparing" in report.checks[0].summary
    assert report.checks[0].details["remedy"]


def test_an_engine_that_dies_on_the_way_is_an_error(gate: Gate) -> None:
    gate.engine = _Dying(gate.engine)  # type: ignore[assignment]
    report = gate({"app.py": "x = 1\n", "test_app.py": "def test_a(): pass\n"}, {"app.py": "x = 2\n"})
    assert report.verdict is Verdict.ERROR
    assert report.checks[0].summary == "the engine is gone"
    assert report.findings[0].verdict is Verdict.PASSED


class _Dying:
    def __init__(self, engine: object) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> object:
        if name == "open":
            raise SandboxError("the engine is gone")
        return getattr(self._engine, name)


# ── without an engine ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rules_alone(static_gate: Gate) -> None:
    base = {"src/a.py": "x = 1\n", "AGENTS.md": "be good\n"}
    fine = static_gate(base, {"src/a.py": "x = 2\n"})
    assert (fine.verdict, fine.checks) == (Verdict.PASSED, ())
    assert no(static_gate(base, {"AGENTS.md": "be bad\n"})).keys() == {"paths.protected"}
    assert no(static_gate(base, {})).keys() == {"shape.empty"}
    assert no(static_gate(base, {"src/a.bin": b"\0\1\2"})).keys() == {"content.binary"}
    assert no(static_gate(base, {"src/a.py": "x = 1\n" * 600})).keys() == {"size.lines"}
    static_gate.policy = static_gate.policy.tighten({"size": {"max_files": 0}})
    assert no(static_gate(base, {"src/a.py": "x = 2\n"})).keys() == {"size.files"}


# ── requirements of another time ─────────────────────────────────────────────────────────────────────────────────

# `werkzeug.__version__` went in 3.1; the fixture's commits are older than that.
OLD = {
    "requirements.txt": "werkzeug\npytest\n",
    "app.py": "from werkzeug import __version__\n\n\ndef major(text=__version__):\n    return int(text[0])\n",
    "test_app.py": "from app import major\n\n\ndef test_major():\n    assert major() == 3\n",
}
OLD_FIX = {
    "app.py": OLD["app.py"].replace("text[0]", 'text.split(".")[0]'),
    "test_new.py": "from app import major\n\n\ndef test_ten():\n    assert major('10.0') == 10\n",
}


def test_what_does_not_start_with_todays_packages_is_proved_with_those_of_its_day(gate: Gate) -> None:
    report = gate(OLD, OLD_FIX)
    assert report.verdict is Verdict.PASSED, (no(report), report.checks)
    assert "packages of 2023-11-14" in next(c.summary for c in report.checks if c.name == "baseline")
    assert report.evidence.packages_of == "2023-11-14"
