"""Fixtures of the adapter's unit tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.github.moody import Moody, serving


@pytest.fixture
def moody() -> Iterator[Moody]:
    """A server that answers whatever the test tells it to."""
    with serving() as mood:
        yield mood
