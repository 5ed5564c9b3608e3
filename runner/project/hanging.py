"""Where one test hangs, the next ones of its kind are not waited for as long.

A bug that never ends makes every case of a test hang. To wait the full time for each would take longer than the whole
judgement may; so after the first, other cases of the same test get a twelfth of the time, and after two, other tests of
the same module a sixth.
"""

from __future__ import annotations

MODULE = "automend_hanging"
"""A plugin of pytest, which the setup leaves in the environment beside pytest-timeout."""

_SOURCE = """\
import collections

import pytest

_hung = collections.Counter()


def _names(nodeid):
    return nodeid.partition("[")[0], nodeid.partition("::")[0]


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    test, module = _names(item.nodeid)
    whole = float(item.config.getoption("timeout") or 0)
    if whole and _hung[test]:
        item.add_marker(pytest.mark.timeout(whole / 12))
    elif whole and _hung[module] > 1:
        item.add_marker(pytest.mark.timeout(whole / 6))
    yield


def pytest_runtest_logreport(report):
    if report.when == "call" and report.failed and "Timeout" in str(report.longrepr):
        _hung.update(_names(report.nodeid))
"""

INSTALL = f"for d in /opt/env/lib/python3*/site-packages; do cat > \"$d\"/{MODULE}.py <<'END'\n{_SOURCE}END\ndone"
"""The setup command."""
