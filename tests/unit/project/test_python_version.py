"""Which Python a project asks for, and that nothing else of what it says reaches a shell."""

from __future__ import annotations

import subprocess
import tomllib

import pytest

from runner.project import recognise
from runner.project.python_version import Wanted, make_environment, wanted_python
from runner.settings import RepoConfig


@pytest.mark.parametrize(
    ("files", "pin", "allowed"),
    [
        ({}, "", ""),
        ({".python-version": "3.12\n"}, "3.12", ""),
        ({".python-version": "# ours\ncpython-3.12.4\n3.11\n"}, "3.12.4", ""),
        ({".python-version": "3.12.4 # ours\n3.11\n"}, "3.12.4", ""),
        ({".python-version": "pypy3.9"}, "", ""),
        ({".python-version": "$(id)"}, "", ""),
        ({".tool-versions": "nodejs 20\npython 3.10.2\n"}, "3.10.2", ""),
        ({"pyproject.toml": "[project]\nrequires-python = '>= 3.9, <3.13'\n"}, "", ">=3.9,<3.13"),
        ({"pyproject.toml": "[project]\nrequires-python = '>=3; rm -rf /'\n"}, "", ""),
        ({"pyproject.toml": "[project]\nrequires-python = 3\n"}, "", ""),
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '^3.9'\n"}, "", ">=3.9,<4"),
        ({"pyproject.toml": "[tool.poetry.dependencies]\npython = '>=3.9,<3.12'\n"}, "", ">=3.9,<3.12"),
        ({"setup.cfg": "[options]\npython_requires = >=3.7\n"}, "", ">=3.7"),
    ],
)
def test_what_is_asked_for(files: dict[str, str], pin: str, allowed: str) -> None:
    tables = tomllib.loads(files.get("pyproject.toml", ""))
    found = wanted_python(lambda path: files[path].encode(), files.keys(), tables)
    assert (found.pin, found.allowed) == (pin, allowed)
    subprocess.run(["/bin/sh", "-n"], input=make_environment(found), text=True, check=True)


def run(wanted: Wanted, tmp_path, *, there: str) -> subprocess.CompletedProcess[str]:
    """The command, with a uv that finds one version and can bring none."""
    tools = tmp_path / "bin"
    tools.mkdir()
    python, uv = tools / f"python{there}", tools / "uv"
    python.write_text(f'#!/bin/sh\necho "made by {there}: $*"\n')
    uv.write_text(
        "#!/bin/sh\n"
        f'case "$*" in "python find --no"*" {there}"|"python find --no"*" >=3"*) echo {python};;\n'
        f'"python list"*) echo "cpython-{there}.2  {python}";; *) exit 2;; esac\n'
    )
    python.chmod(0o755)
    uv.chmod(0o755)
    return subprocess.run(
        ["/bin/sh", "-c", make_environment(wanted)],
        env={"PATH": f"{tools}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("wanted", [Wanted(pin="3.12"), Wanted(allowed=">=3.9"), Wanted(pin="3.8", allowed=">=3.8")])
def test_what_fits_is_taken(wanted: Wanted, tmp_path) -> None:
    made = run(wanted, tmp_path, there="3.12")
    assert made.returncode == 0, made
    assert made.stdout == "made by 3.12: -m venv /opt/env\n"


def test_where_none_fits_it_says_what_there_is(tmp_path) -> None:
    made = run(Wanted(pin="3.13", source=".python-version"), tmp_path, there="3.11")
    assert made.returncode == 1
    assert "no Python fits: .python-version asks for 3.13, and there are" in made.stdout
    assert "cpython-3.11.2" in made.stdout
    assert "AUTOMEND_BASE_IMAGE" in made.stdout


def test_the_environment_is_made_of_it() -> None:
    files = {"a.py": "", "test_a.py": "", ".python-version": "3.12", "pyproject.toml": "[project]\nname = 'a'\n"}
    found = recognise(lambda path: files[path].encode(), files.keys(), RepoConfig.model_validate({}))
    assert any("find 3.12" in step for step in found.setup)
    assert found.key_files[".python-version"] == "3.12"
