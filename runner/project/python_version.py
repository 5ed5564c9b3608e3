"""Which Python a project wants, and the setup command that makes the environment of it.

What is in the image decides: a version that is pinned is taken where it is there, else any that the project allows.
Only where none fits, uv is asked to bring one.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from runner.project.manifest import Read, ini
from runner.project.poetry_range import pep440

_PIN = re.compile(r"^(?:c?python-?)?(\d+\.\d+(?:\.\d+)?)$")
_RANGE = re.compile(r"^\s*(?:(?:[<>=!~]=?|===)\s*[\w.*+-]+\s*,?\s*)+$")

PLACE = "/opt/python"

_MAKE = """set -e; export UV_PYTHON_INSTALL_DIR={place} UV_PYTHON_DOWNLOADS=manual
find() {{ uv python find --no-project --system "$1" 2>/dev/null; }}
if command -v uv >/dev/null; then
  python={finds} || {{
    timeout 300 uv python install -q {first} >/dev/null 2>&1 || true
    python=$(find {first}) || {{
      echo "no Python fits: {source} asks for {shown}, and there are"
      uv python list --only-installed --no-config 2>/dev/null | cut -d' ' -f1 | sort -u
      echo "name an image that has it as AUTOMEND_BASE_IMAGE"
      exit 1
    }}
  }}
else python=$(command -v python3); fi
"$python" -m venv /opt/env"""


@dataclass(frozen=True)
class Wanted:
    """A pinned version (`3.12`), and the range that the project allows (`>=3.9`); `source` is the file."""

    pin: str = ""
    allowed: str = ""
    source: str = ""


def wanted_python(read: Read, paths: Collection[str], tables: Mapping[str, Any]) -> Wanted:
    """What a project's files say of the Python that it needs; nothing of it is read as anything but a version."""
    pin = ""
    for name, pattern in ((".python-version", r"^\s*([^\s#]+)"), (".tool-versions", r"^\s*python\s+(\S+)")):
        found = re.search(pattern, _text(read(name)), re.MULTILINE) if name in paths and not pin else None
        plain = _PIN.match(found[1].lower()) if found else None
        pin = plain[1] if plain else pin
    project = tables.get("project")
    allowed = project.get("requires-python") if isinstance(project, dict) else None
    source = "pyproject.toml"
    if not isinstance(allowed, str):
        allowed = _poetry(tables)
    if not allowed and "setup.cfg" in paths:
        source, allowed = "setup.cfg", ini(read, paths, "setup.cfg").get("options", "python_requires", fallback="")
    allowed = allowed if _RANGE.match(allowed) else ""
    return Wanted(pin=pin, allowed="".join(allowed.split()), source=source if allowed else ".python-version")


def make_environment(wanted: Wanted) -> str:
    """The setup command that makes /opt/env."""
    asked = [request for request in (wanted.pin, wanted.allowed) if request]
    if not asked:
        return "python3 -m venv /opt/env"
    finds = " || ".join(f"$(find {shlex.quote(request)})" for request in asked)
    # `python=$(a) || python=$(b)`: each is an assignment of its own.
    finds = finds.replace(" || ", " || python=")
    last = asked[-1]
    return _MAKE.format(place=PLACE, finds=finds, first=shlex.quote(last), source=wanted.source, shown=last)


def _poetry(tables: Mapping[str, Any]) -> str:
    """Poetry's `python`, in other words; its tilde as if it were a caret, as few images have many Pythons."""
    found: object = tables
    for key in ("tool", "poetry", "dependencies", "python"):
        found = found.get(key) if isinstance(found, dict) else None
    if not isinstance(found, str):
        return ""
    return pep440(re.sub(r"^\s*~(?!=)", "^", found))


def _text(content: bytes | None) -> str:
    return (content or b"").decode("utf-8", "replace")
