"""Sealed containers. Imports nothing of the runner."""
