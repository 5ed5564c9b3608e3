"""Measuring a tree in a fresh container, and reading what came of it from outside."""
