"""Well-known packages that test modules import or ask for by a fixture, for where no manifest names them.

What a CI file or a script installs is nowhere else to be seen. Only names of this table are ever installed so: the name
of a module says too little of whose package it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from itertools import islice

_PACKAGES = {
    "aiohttp": "aiohttp", "anyio": "anyio", "attr": "attrs", "attrs": "attrs", "babel": "babel",
    "bs4": "beautifulsoup4", "ddt": "ddt", "dateutil": "python-dateutil", "dirty_equals": "dirty-equals",
    "factory": "factory-boy", "faker": "faker", "flaky": "flaky", "freezegun": "freezegun", "hypothesis": "hypothesis",
    "inline_snapshot": "inline-snapshot", "jsonschema": "jsonschema", "lxml": "lxml", "mock": "mock",
    "numpy": "numpy", "parameterized": "parameterized", "pexpect": "pexpect", "pretend": "pretend",
    "psutil": "psutil", "pyfakefs": "pyfakefs", "pygments": "pygments", "pytest_httpserver": "pytest-httpserver",
    "pytz": "pytz", "requests": "requests", "requests_mock": "requests-mock", "respx": "respx",
    "responses": "responses", "simplejson": "simplejson", "six": "six", "syrupy": "syrupy",
    "testfixtures": "testfixtures",
    "time_machine": "time-machine", "tomli_w": "tomli-w", "trio": "trio", "trustme": "trustme",
    "typing_extensions": "typing-extensions", "yaml": "pyyaml",
}  # fmt: skip
_FIXTURES = {
    "benchmark": "pytest-benchmark", "file_regression": "pytest-regressions", "data_regression": "pytest-regressions",
    "datadir": "pytest-datadir", "freezer": "pytest-freezer", "httpserver": "pytest-httpserver",
    "httpx_mock": "pytest-httpx", "mocker": "pytest-mock", "requests_mock": "requests-mock", "respx_mock": "respx",
    "subtests": "pytest-subtests",
}  # fmt: skip
_MARKS = {"anyio": "anyio", "asyncio": "pytest-asyncio", "trio": "pytest-trio", "benchmark": "pytest-benchmark"}

_MOST_READ = 40
_IMPORT = re.compile(rb"^(?:import|from)[ \t]+(\w+)", re.MULTILINE)  # at the left edge: without it nothing loads
_FIXTURE = re.compile(rb"^[ \t]*(?:async[ \t]+)?def[ \t]+test\w*\(([^)]*)\)", re.MULTILINE)
_DEFINED = re.compile(rb"^[ \t]*(?:async[ \t]+)?def[ \t]+(\w+)", re.MULTILINE)
_MARK = re.compile(rb"pytest\.mark\.(\w+)")
_WORD = re.compile(rb"\w+")


def imported(read: Callable[[str], bytes | None], tests: Collection[str], known: str) -> tuple[str, ...]:
    """Packages that tests need, of those that `known` (all that the manifests say) does not name.

    Args:
        read: a file's content, or None.
        tests: paths of test files, of which the first are read.
        known: names of packages, in whatever text.
    """
    modules: set[str] = set()
    fixtures: set[str] = set()
    marks: set[str] = set()
    defined: set[str] = set()
    for source in islice(_sources(read, tests), _MOST_READ):
        modules |= _names(_IMPORT, source)
        marks |= _names(_MARK, source)
        defined |= _names(_DEFINED, source)
        for match in _FIXTURE.finditer(source):
            fixtures |= {word.decode() for word in _WORD.findall(match[1])}
    found = [
        *(_PACKAGES[name] for name in sorted(modules) if name in _PACKAGES),
        *(_FIXTURES[name] for name in sorted(fixtures - defined) if name in _FIXTURES),
        *(_MARKS[name] for name in sorted(marks) if name in _MARKS),
    ]
    said = re.sub(r"[-_.]+", "-", known).lower()
    return tuple(name for name in dict.fromkeys(found) if not re.search(rf"(?<![\w-]){name}(?![\w-])", said))


def _sources(read: Callable[[str], bytes | None], tests: Collection[str]) -> Iterator[bytes]:
    for path in sorted(tests, key=lambda path: (not path.endswith("conftest.py"), path.count("/"), path)):
        source = read(path)
        if source is not None:
            yield source


def _names(pattern: re.Pattern[bytes], source: bytes) -> set[str]:
    return {match[1].decode("utf-8", "replace") for match in pattern.finditer(source)}
