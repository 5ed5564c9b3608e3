"""Putting a release live, and reading how it does."""
