"""Fixtures of the tests that speak to a hub."""

from tests.contract.plugin import forge_hub

__all__ = ["forge_hub"]
