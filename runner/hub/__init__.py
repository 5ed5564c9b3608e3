"""A GitHub-shaped server over bare git repositories: the demo's forge and the tests' GitHub."""
