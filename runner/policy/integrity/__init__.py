"""Test integrity: what a patch does to the tests, and what it does to be taken for right by them."""
