"""A coverage that an exception cannot lock for ever.

pytest-timeout ends a test that hangs by raising from a signal handler, wherever Python is just then. Where the test
calls functions, that is often in the Python code by which coverage's tracer locks its data: then the lock is never
released, every later test hangs as well, and so does the end of the process. The lock's own methods are not Python
code, and no signal handler runs between them and the tracer.
"""

from __future__ import annotations

MODULE = "automend_coverage"
"""A coverage plugin, which the setup leaves in the environment; to be named in the configuration of coverage."""

_SOURCE = """\
from contextlib import suppress


def _nothing():
    pass


def _method(name):
    return property(lambda collector: getattr(getattr(collector, "data_lock", None), name, _nothing))


def coverage_init(registry, options):
    with suppress(ImportError):
        from coverage.collector import Collector

        Collector.lock_data, Collector.unlock_data = _method("acquire"), _method("release")
"""

INSTALL = f"for d in /opt/env/lib/python3*/site-packages; do cat > \"$d\"/{MODULE}.py <<'END'\n{_SOURCE}END\ndone"
"""The setup command."""
