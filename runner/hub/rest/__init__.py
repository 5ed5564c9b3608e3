"""GitHub's REST interface: one file per family of resources, all routes in one table (`table.py`)."""
