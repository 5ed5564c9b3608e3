"""New files that are imported in place of others, and new files that are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Said = Callable[..., dict[str, str]]
BASE = {
    "calc/__init__.py": "",
    "calc/core.py": "x = 1\n",
    "tests/__init__.py": "",
    "tests/test_core.py": "import numpy as np\nfrom odd_package import parser\n",
    "package.json": "{}\n",
    "web/app.ts": "export const a = 1;\n",
    "web/app.test.js": "import _ from 'lodash';\nimport x from '@scope/name/sub';\n",
}


@pytest.mark.parametrize(
    "path",
    [
        "numpy.py",
        "numpy/__init__.py",
        "src/requests/__init__.py",
        "lib/yaml.py",
        "odd_package.py",
        "odd_package/__init__.py",
        "pytest_mock.py",
        "_distutils_hack/__init__.py",
        "calc.py",
        "calc/core/__init__.py",
        "tests/fake/calc/__init__.py",
        "lodash/index.js",
        "lodash.js",
        "vitest/index.js",
        "__mocks__/lodash.js",
        "web/app.js",
    ],
)
def test_a_file_that_is_imported_in_place_of_another(said: Said, path: str) -> None:
    changed = {**BASE, "tests/test_core.py": BASE["tests/test_core.py"] + "y = 1\n"}
    changed["web/app.test.js"] = BASE["web/app.test.js"] + "x();\n"
    assert said(BASE, {**changed, path: "z = 1\n"}).get("paths.shadow") == "block"


@pytest.mark.parametrize(
    "path",
    [
        "calc/numpy.py",
        "calc/requests/__init__.py",
        "calc/types.py",
        "tools.py",
        "tests/data/numpy.py",
        "tests/numpy.py",
        "requests/adapters.py",
        "docs/requests.md",
        "web/lodash.js",
        "web/__mocks__/app.js",
        "jest.setup.js",
        "src/other/__init__.py",
    ],
)
def test_a_file_that_is_not(said: Said, path: str) -> None:
    changed = {**BASE, "tests/test_core.py": BASE["tests/test_core.py"] + "y = 1\n"}
    changed["web/app.test.js"] = BASE["web/app.test.js"] + "x();\n"
    assert "paths.shadow" not in said(BASE, {**changed, path: "z = 1\n"})


def test_a_module_that_becomes_a_package(said: Said) -> None:
    head = {path: text for path, text in BASE.items() if path != "calc/core.py"}
    assert "paths.shadow" not in said(BASE, {**head, "calc/core/__init__.py": "x = 2\n"})


@pytest.mark.parametrize(
    "path", ["web/node_modules/lodash/index.js", "lib/python3.11/site-packages/x.py", "calc/__pycache__/core.pyc"]
)
def test_places_that_are_trusted_at_any_depth(said: Said, path: str) -> None:
    assert said(BASE, {**BASE, path: "x = 1\n"}).get("paths.startup") == "block"


@pytest.mark.parametrize("path", ["sub/.claude/settings.json", "sub/.vscode/tasks.json", "sub/.cursor/rules/a.mdc"])
def test_what_instructs_others_at_any_depth(said: Said, path: str) -> None:
    assert said(BASE, {**BASE, path: "x\n"}).get("paths.protected") == "block"
