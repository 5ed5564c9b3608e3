"""shadows: a new file that is imported in place of another, without anybody having changed an import."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from functools import lru_cache

from runner.model import FileChange, Finding
from runner.policy.case import Case, consequence
from runner.policy.languages import JAVASCRIPT, PYTHON
from runner.policy.schema import Policy

_TEST_TOOLS = frozenset({
    "pytest", "_pytest", "pluggy", "coverage", "hypothesis", "nose", "nose2", "mock", "tox", "nox", "xdist",
    "pytest_cov", "pytest_mock", "pytest_asyncio", "pytest_timeout", "pytest_xdist", "pytest_randomly", "anyio",
    "iniconfig", "exceptiongroup", "tomli", "packaging", "setuptools", "pip", "pkg_resources", "wheel",
    "_distutils_hack", "ruff", "mypy", "attr", "attrs", "freezegun", "responses", "respx", "parameterized",
})  # fmt: skip
_WIDELY_USED = frozenset({
    "numpy", "pandas", "scipy", "requests", "urllib3", "certifi", "idna", "chardet", "charset_normalizer", "httpx",
    "aiohttp", "yaml", "six", "dateutil", "pytz", "jinja2", "markupsafe", "click", "flask", "werkzeug", "django",
    "sqlalchemy", "pydantic", "fastapi", "starlette", "typing_extensions", "importlib_metadata", "importlib_resources",
    "cryptography", "boto3", "botocore", "redis", "psycopg2", "lxml", "bs4", "PIL", "matplotlib", "torch", "rich",
    "tqdm", "docker", "git", "toml", "simplejson", "ujson", "orjson", "msgpack", "protobuf", "google", "grpc",
})  # fmt: skip
_JAVASCRIPT_TOOLS = frozenset({
    "jest", "vitest", "mocha", "chai", "sinon", "ava", "tap", "jasmine", "expect", "c8", "nyc", "supertest", "nock",
})  # fmt: skip
_HARMLESS = frozenset({"test", "tests", "this", "antigravity", "__main__", "site", "lib2to3", "idlelib", "turtledemo"})
_SOURCES = (".py", ".pyc", ".pyd", ".so")
_SCRIPTS = (".js", ".mjs", ".cjs", ".jsx")
_TYPED = (".ts", ".tsx", ".mts", ".cts")
_ROOTS = ("", "src", "lib", "python")
_IMPORTS = re.compile(rb"^[ \t]*(?:import|from)[ \t]+([A-Za-z_]\w*)", re.MULTILINE)
_REQUIRES = re.compile(
    rb"""(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\(\s*)['"]((?:@[\w.\-]+/)?[A-Za-z][\w.\-]*)(?:/[^'"]*)?['"]"""
)
_COLLECTED = re.compile(r"test_[^/]*\.py|[^/]*_test\.py")
_REMEDY = "choose another name"


def shadow(policy: Policy, case: Case) -> Iterator[Finding]:
    """A new module that is imported in place of one of the language, of the test tools, or of what the code uses."""
    used: frozenset[str] | None = None
    for file in case.patch.files:
        if file.status not in {"A", "T"}:
            continue
        why = _beside(file.path, case)
        if not why and (file.path.endswith(_SOURCES) or file.path in JAVASCRIPT):
            used = _used(case) if used is None else used
            why = _in_place_of(file.path, case, used)
        if why:
            yield from consequence(
                policy.paths.shadow, "paths.shadow", f"{file.path} {why}", path=file.path, remedy=_REMEDY
            )


def _in_place_of(path: str, case: Case, used: frozenset[str]) -> str:
    if path.endswith(_SOURCES):
        for module in sorted(_modules(path, case)):
            known = _known(module, used)
            if known and not _own(module, case):
                return f"is imported in place of the {known} module `{module}`"
        return ""
    parts = path.split("/")
    if "__mocks__" in parts[:-1]:
        at = parts.index("__mocks__")
        name = "/".join(parts[at + 1 :]).rpartition(".")[0]
        folder = "/".join(parts[:at])
        package = f"{folder}/package.json" if folder else "package.json"
        # Jest takes what lies beside a package's modules without being asked.
        return (
            f"stands in for the package `{name}` in every test" if name in used and package in case.base_paths else ""
        )
    name = parts[0] if len(parts) > 1 else parts[0].rpartition(".")[0]
    new = not any(p == path or p.startswith(f"{name}/") for p in case.base_paths)
    return f"has the name of the package `{name}`" if new and name in used | _JAVASCRIPT_TOOLS else ""


def _known(module: str, used: frozenset[str]) -> str:
    if module in _HARMLESS:
        return ""
    if module in _TEST_TOOLS:
        return "test tool's"
    if module in sys.stdlib_module_names:
        return "standard"
    return "installed" if module in used or module in _WIDELY_USED else ""


def _beside(path: str, case: Case) -> str:
    """Why a new file is taken for one that stands beside it, or ""."""
    stem, _, suffix = path.rpartition(".")
    if path.endswith("/__init__.py"):
        module = f"{path.removesuffix('/__init__.py')}.py"
        if _stays(module, case):
            return f"makes a package that is imported in place of {module}"
        name = path.split("/")[-2]
        own = next((at for root in _ROOTS if _stays(at := f"{root}/{name}/__init__.py".lstrip("/"), case)), None)
        return f"makes another package `{name}`, beside {own.rpartition('/')[0]}" if own and path not in own else ""
    if suffix == "py" and _stays(f"{stem}/__init__.py", case):
        return f"has the name of the package {stem}"
    if f".{suffix}" in _SCRIPTS:
        typed = next((stem + end for end in _TYPED if _stays(stem + end, case)), "")
        return f"is imported in place of {typed}" if typed else ""
    return ""


def _stays(path: str, case: Case) -> bool:
    return path in case.base_paths and path in case.head_paths


def _modules(path: str, case: Case) -> Iterator[str]:
    """The names under which a new file may be imported without its package."""
    folder, _, name = path.rpartition("/")
    for root in _ROOTS:
        if root and not path.startswith(f"{root}/"):
            continue
        rest = path.removeprefix(f"{root}/") if root else path
        first, inside, _ = rest.partition("/")
        if not inside:
            yield first.split(".")[0]
        elif (f"{root}/{first}" if root else first) + "/__init__.py" in case.head_paths:
            yield first
    if name.split(".")[0] == "__init__":
        folder, _, name = folder.rpartition("/")
    if folder and _collected(folder, case):
        yield name.split(".")[0]


def _collected(folder: str, case: Case) -> bool:
    """Whether tests are collected from a folder that is no package, so that it is searched for imports."""
    if f"{folder}/__init__.py" in case.head_paths:
        return False
    return any(
        path.startswith(f"{folder}/") and _COLLECTED.fullmatch(path[len(folder) + 1 :]) for path in case.head_paths
    )


def _own(module: str, case: Case) -> bool:
    """Whether the repository has a module of this name already."""
    places = [f"{root}/{module}" if root else module for root in _ROOTS]
    return any(f"{place}.py" in case.base_paths or f"{place}/__init__.py" in case.base_paths for place in places)


def _used(case: Case) -> frozenset[str]:
    """The packages that the changed files and the tests imported on the base."""
    found: set[str] = set()
    for path, content in _contents(case):
        found |= _imported(path, content)
    return frozenset(found)


def _contents(case: Case) -> Iterable[tuple[str, bytes]]:
    files: Iterator[FileChange] = (f for f in case.patch.files if f.old_blob is not None)
    changed = ((f.path, case.before(f)) for f in files)
    yield from ((path, content) for path, content in changed if content is not None)
    yield from case.other_tests().items()


@lru_cache(maxsize=256)
def _imported(path: str, content: bytes) -> frozenset[str]:
    pattern = _IMPORTS if path in PYTHON else _REQUIRES if path in JAVASCRIPT else None
    return frozenset(name.decode() for name in pattern.findall(content)) if pattern is not None else frozenset()
