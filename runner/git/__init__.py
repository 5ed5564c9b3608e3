"""The runner's own git: bare mirrors, trees in and out, patches read from the plumbing."""
