"""Node projects: which runner, which package manager, which Node; and what the environment is made of."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from runner.project import Command, Project, for_tree, recognise
from runner.project.node_runner import node_tests
from runner.project.node_version import NoNodeError, node_version, satisfies
from runner.settings import RepoConfig


def project(package: object, files: dict[str, str] | None = None, **host: Any) -> Project:
    text = package if isinstance(package, str) else json.dumps(package)
    every = {"package.json": text, "lib/a.js": "", **(files or {})}
    return recognise(
        lambda path: every[path].encode() if path in every else None, every.keys(), RepoConfig.model_validate(host)
    )


def command(script: str, **more: str) -> str:
    found = node_tests({"test": script, **more})
    assert found is not None, script
    return found.line


def test_a_project_with_mocha() -> None:
    found = project({"scripts": {"test": "mocha"}}, {"package-lock.json": "{}", "test/a.js": ""})
    assert found.language == "node"
    assert isinstance(found.test, Command)
    assert found.test.junit == "/tmp/automend-junit-*.xml"
    assert found.test.coverage == "/tmp/automend-coverage*/lcov.info"
    assert found.test_shown == "npm test"
    assert "test/a.js" in found.tests
    assert "lib/a.js" not in found.tests
    assert "package.json" in found.configuration
    for step in found.setup:  # each is a script that a shell can read
        subprocess.run(["/bin/sh", "-n"], input=step, text=True, check=True)


@pytest.mark.parametrize(
    "package", [{"scripts": {"test": 'echo "Error: no test specified" && exit 1'}}, {}, {"scripts": []}, "[", "[1]", ""]
)
def test_no_tests(package: object) -> None:
    found = project(package)
    assert (found.language, found.test) == ("node", None)
    assert "no tests were found" in found.why_no_test


def test_an_unknown_runner_counts_by_its_exit_code_and_with_coverage() -> None:
    found = project({"scripts": {"test": "tape test/*.js"}})
    assert isinstance(found.test, Command)
    assert found.test.line.startswith("/opt/automend/node-tools/cover /tmp/automend-coverage sh -c ")
    assert found.test.quick.endswith("&& tape test/*.js")
    assert found.test.junit is None


@pytest.mark.parametrize(
    ("scripts", "line"),
    [
        (  # neither the style checks before nor the audit after say anything of the code
            {"pretest": "npm run -s readme && npm run --silent lint", "readme": "evalmd README.md", "lint": "eslint .",
             "test": "npm run tests-only", "tests-only": "nyc tape 'test/**/*.js'", "posttest": "npx aud --production"},
            "evalmd README.md && tape 'test/**/*.js'",
        ),
        ({"test": "npm run lint && npm run unit && npm run type", "lint": "xo", "unit": "c8 --merge-async ava",
          "type": "tsd && tsc"}, "ava && tsc"),
        ({"test": "xo && tsc --noEmit && NODE_OPTIONS='--import=tsx/esm' ava"}, "NODE_OPTIONS='--import=tsx/esm' ava"),
        ({"test": "nyc -r lcov --all tape t && nyc report"}, "tape t"),
        ({"test": "run-s lint 'test:*'", "lint": "eslint .", "test:a": "ava a", "test:b": "ava b"}, "ava a && ava b"),
        ({"test": "npm run unit -- --serial", "unit": "yarn build && npx ava", "build": "yarn tsc -p ."},
         "tsc -p . && ava --serial"),
        ({"test": "npx npm@10 audit && pnpm -r test"}, "npx npm@10 audit && pnpm -r test"),
    ],
)  # fmt: skip
def test_a_script_without_a_known_runner_is_run_without_what_does_not_test(scripts: dict[str, str], line: str) -> None:
    found = project({"scripts": scripts})
    assert isinstance(found.test, Command)
    assert found.test.quick == f'export PATH="$PWD/node_modules/.bin:$PATH" && {line}'
    subprocess.run(["/bin/sh", "-n"], input=found.test.line, text=True, check=True)


def test_a_script_of_which_nothing_is_left_is_run_as_it_is() -> None:
    found = project({"scripts": {"test": "eslint ."}})
    assert isinstance(found.test, Command)
    assert (found.test.line, found.test.quick) == (
        "/opt/automend/node-tools/cover /tmp/automend-coverage npm test",
        "npm test",
    )


@pytest.mark.parametrize(
    ("version", "line"),
    [("^16.0.0", "tap t --no-coverage"), ("~18.1", "tap t --disable-coverage --allow-incomplete-coverage"),
     ("latest", "tap t --disable-coverage --allow-incomplete-coverage")],
)  # fmt: skip
def test_tap_does_not_fail_for_lines_that_the_tests_of_the_base_cannot_reach(version: str, line: str) -> None:
    found = project({"scripts": {"test": "tap t --cov"}, "devDependencies": {"tap": version}})
    assert isinstance(found.test, Command)
    assert found.test.quick.endswith(f" && {line}")


# ── runners ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("script", "there", "gone"),
    [
        ("mocha --reporter spec -b test/", ["mocha test/ --reporter /opt", "output=", "--exit"], ["spec", "-b "]),
        ("mocha 'test/**/*.js' | tap-out > x", ["mocha 'test/**/*.js' --reporter"], ["tap-out", "> x"]),
        ("NODE_ENV=test mocha", ["NODE_ENV=test /opt/automend/node-tools/cover"], []),
        ("cross-env A=b nyc --reporter=html mocha -R dot t", ["A=b ", "mocha t --reporter /opt"], ["nyc", "dot"]),
        ("node --import tsx node_modules/mocha/bin/_mocha", ['NODE_OPTIONS="--import tsx"', " mocha --rep"], []),
        (
            "A=b node bin/run.js mocha t",
            ["A=b node bin/run.js /opt/automend/node-tools/cover", " mocha t --rep"],
            ["NODE_O"],
        ),
        ("node --test test/", ["--test-reporter=junit", " --test test/"], []),
        ("c8 node --import tsx --test --watch", ["node --test-reporter", " --import tsx --test"], ["--watch", " c8 "]),
        ("vitest", ["vitest run --reporter=default", "--coverage.provider=v8"], ["watch"]),
        ("vitest run --coverage --reporter dot src", ["vitest run src --reporter=default"], ["dot", "--coverage "]),
        ("jest --watchAll --coverage --bail unit", ["jest unit --reporters=default", "jest-junit"], ["watchAll"]),
        ("vitest --coverage.provider v8 a --coverage.all --ui b", ["vitest run a b --rep"], ["v8 a", "--coverage.all"]),
        ("npx jest --reporters a --config x.js", ["jest --config x.js --reporters=default"], ["npx", " a "]),
        ("eslint . && mocha", ["mocha"], ["eslint"]),
        ("tsc -p . && mocha dist", ["tsc -p . && ", "mocha dist"], []),
        ("tsc --noEmit && mocha dist", ["mocha dist"], ["tsc"]),
        ("npm run lint; mocha", ["mocha"], ["lint"]),
    ],
)
def test_runners_are_made_to_tell_what_they_did(script: str, there: list[str], gone: list[str]) -> None:
    line = command(script)
    assert [words for words in there if words not in line] == [], line
    assert [words for words in gone if words in line] == [], line
    subprocess.run(["/bin/sh", "-n"], input=line, text=True, check=True)


@pytest.mark.parametrize(
    ("script", "selects"),
    [("vitest", True), ("vitest run --root=x", True), ("jest --ci=true", True), ("vitest run src", False),
     ("jest --config x", False), ("mocha", False), ("node --test", False), ("mocha && vitest", False)],
)  # fmt: skip
def test_which_runners_can_be_given_files(script: str, selects: bool) -> None:
    found = node_tests({"test": script})
    assert found is not None
    assert found.selects is selects


@pytest.mark.parametrize("script", ["mocha t", "vitest", "jest", "node --test"])
def test_runs_that_measure_no_coverage_are_the_same_else(script: str) -> None:
    found = node_tests({"test": script})
    assert found is not None
    assert "automend-coverage-1" in found.line
    assert "automend-coverage" not in found.quick
    assert "automend-junit-1.xml" in found.quick


def test_scripts_that_run_scripts() -> None:
    line = command(
        "npm run lint && npm run -s unit", lint="eslint .", unit="mocha u", pretest="npm run build", build="b"
    )
    assert "b && " in line
    assert "mocha u" in line
    assert "eslint" not in line
    two = command("npm run a && yarn b", a="mocha a", b="jest b")
    assert "junit-1.xml" in two
    assert "junit-2.xml" in two
    assert two.count("|| failed=1") == 2  # the second runs also where the first fails
    assert node_tests({"test": "npm run test"}) is None  # for ever


def test_scripts_that_give_words_to_scripts() -> None:
    line = command(
        "nyc yarn _test", _test="yarn build && cross-env A=b yarn run-mocha --bail x",
        build="yarn tsc && yarn eslint .",
        **{"run-mocha": "mocha --require ./y"},
    )  # fmt: skip
    assert "tsc && A=b /opt/automend/node-tools/cover" in line
    assert "mocha --require ./y x --reporter" in line
    assert command("run-p lint unit", lint="xo", unit="vitest run") == command("vitest run")


@pytest.mark.parametrize("script", ["echo jest", "run-s a b", "tape mocha.js", "node test.js", "ava", "", "'"])
def test_what_is_no_runner_that_we_know(script: str) -> None:
    assert node_tests({"test": script}) is None


# ── package managers ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("package", "files", "there"),
    [
        ({}, {"package-lock.json": "{}"}, ["npm ci", "--ignore-scripts"]),
        ({}, {}, ["npm install --no-package-lock", "--legacy-peer-deps"]),
        ({}, {"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, ["pnpm@10", "--frozen-lockfile", "--ignore-scripts"]),
        ({}, {"pnpm-lock.yaml": "lockfileVersion: 5.4\n"}, ["pnpm@7"]),
        ({"packageManager": "pnpm@10.15.1+sha512.ab"}, {"pnpm-lock.yaml": ""}, ["pnpm@10.15.1"]),
        ({"packageManager": "pnpm@$(rm -rf /)"}, {"pnpm-lock.yaml": ""}, ["pnpm@10"]),
        ({}, {"yarn.lock": "# yarn lockfile v1\n"}, ["yarn@1", "--frozen-lockfile", "--ignore-scripts"]),
        (
            {},
            {"yarn.lock": "__metadata:\n  version: 6\n"},
            ["@yarnpkg/cli-dist@3", "--immutable", "YARN_ENABLE_SCRIPTS=false"],
        ),
        ({"packageManager": "yarn@4.5.0"}, {"yarn.lock": "__metadata:\n  version: 8\n"}, ["@yarnpkg/cli-dist@4.5.0"]),
    ],
)
def test_package_managers_by_their_lock_files(package: dict[str, str], files: dict[str, str], there: list[str]) -> None:
    found = project({**package, "scripts": {"test": "jest"}}, files)
    setup = "\n".join(found.setup)
    assert [words for words in there if words not in setup] == []
    assert "rm -rf /)" not in setup
    assert "jest-junit@" in setup
    for step in found.setup:
        subprocess.run(["/bin/sh", "-n"], input=step, text=True, check=True)


def test_scripts_of_packages_run_only_where_the_host_says_so() -> None:
    package = {"scripts": {"test": "jest"}}
    shut, open_ = project(package), project(package, install_scripts=True)
    install = next(step for step in shut.setup if "npm install --no-package-lock" in step)
    assert install.count("--ignore-scripts") == 2
    install = next(step for step in open_.setup if "npm install --no-package-lock" in step)
    assert "--ignore-scripts" not in install
    again = for_tree(open_, lambda path: json.dumps(package).encode(), {"package.json"})
    assert again.setup == open_.setup


def test_what_the_environment_depends_on() -> None:
    files = {
        "pnpm-lock.yaml": "l",
        ".npmrc": "n",
        "pnpm-workspace.yaml": "w",
        "packages/b/package.json": "{}",
        "x.js": "",
    }
    found = project({"scripts": {"test": "jest"}}, files)
    assert found.key_files.keys() == {
        ".npmrc", "package.json", "packages/b/package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"
    }  # fmt: skip


# ── which Node ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("files", "package", "major"),
    [
        ({}, {}, 24),
        ({".nvmrc": "v22.19.0\n"}, {}, 22),
        ({".nvmrc": "lts/iron\n"}, {"engines": {"node": ">=22"}}, 20),
        ({".nvmrc": "lts/*"}, {}, 24),
        ({".node-version": "18"}, {}, 18),
        ({".tool-versions": "python 3.12\nnodejs 20.11.1\n"}, {}, 20),
        ({"mise.toml": "[tools]\nnode = '22'\n"}, {}, 22),
        ({"mise.toml": "[tools]\npnpm = '10'\n"}, {}, 24),
        ({}, {"volta": {"node": "20.1.0"}, "engines": {"node": ">=22"}}, 20),
        ({}, {"engines": {"node": ">= 18"}}, 24),
        ({}, {"engines": {"node": "^18.12 || ^20.9"}}, 20),
        ({}, {"engines": {"node": ">=18 <23"}}, 22),
        ({}, {"engines": "node"}, 24),
    ],
)
def test_the_node_that_a_project_asks_for(files: dict[str, str], package: dict[str, Any], major: int) -> None:
    assert node_version(lambda path: files[path].encode(), files.keys(), package) == major
    every = {**files, "package.json": json.dumps({**package, "scripts": {"test": "jest"}})}
    found = recognise(
        lambda path: every[path].encode() if path in every else None, every.keys(), RepoConfig.model_validate({})
    )
    assert any(f"wanted={major};" in step for step in found.setup)


def test_no_node_fits() -> None:
    with pytest.raises(NoNodeError, match=r"\.nvmrc asks for Node v14\.2, and there are 18, 20, 22, 24"):
        node_version(lambda path: b"v14.2", {".nvmrc"}, {})
    found = project({"engines": {"node": "<=16"}, "scripts": {"test": "jest"}})
    assert found.test is None
    assert "engines.node of package.json asks for Node <=16" in found.why_no_test
    assert project({"engines": {"node": "<=16"}}, test="make test").test == Command("make test")


@pytest.mark.parametrize(
    ("wanted", "majors"),
    [
        ("*", [18, 20, 22]),
        ("", [18, 20, 22]),
        ("20", [20]),
        ("20.x", [20]),
        ("v20.1.0", [20]),
        ("=20.1.0", [20]),
        ("~20.1", [20]),
        ("^20.1", [20]),
        (">20", [22]),
        (">20.0.0", [20, 22]),
        (">=20.5", [20, 22]),
        ("<20", [18]),
        ("<20.0.0", [18]),
        ("<20.1", [18, 20]),
        ("<=20", [18, 20]),
        ("18 - 20", [18, 20]),
        ("18 || 22", [18, 22]),
        (">= 18.0.0 < 22", [18, 20]),
        ("nonsense", []),
    ],
)
def test_ranges(wanted: str, majors: list[int]) -> None:
    assert [major for major in (18, 20, 22) if satisfies(major, wanted)] == majors
