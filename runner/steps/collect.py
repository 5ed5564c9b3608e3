"""Attempt → tree: bytes leave the sandbox, and become a tree of the runner's own repository."""

from __future__ import annotations

from contextlib import closing

from runner.git.importing import Imported, import_tar
from runner.git.index import SUBMODULE
from runner.git.mirror import Mirror
from runner.git.names import raw
from runner.git.trees import paths
from runner.model import Base, Finding, Verdict
from sandbox.api import OutputTooLargeError, Sandbox

# What running tests and tools leaves behind, and no repository wants: dropped (and listed) even where the base's own
# .gitignore does not name it. The repository overrules it by having such a file in the base.
LITTER = (
    "__pycache__/", "*.py[co]", ".pytest_cache/", ".mypy_cache/", ".ruff_cache/", ".hypothesis/", ".coverage",
    ".coverage.*", "htmlcov/", "*.egg-info/", "node_modules/", ".nyc_output/", ".DS_Store",
)  # fmt: skip


def collect(mirror: Mirror, box: Sandbox, base: Base) -> Imported:
    """Take the workspace out. What cannot be taken is a finding, so that the agent hears of it.

    Raises:
        DockerError: the engine failed.
    """
    known = {raw(path): entry for path, entry in paths(mirror, base.tree).items() if entry[0] != SUBMODULE}
    try:
        left = box.get_changes(known)
        with closing(left.tar) as tar:
            return import_tar(mirror, tar, base_tree=base.tree, also_ignored=LITTER, unchanged=left.unchanged)
    except OutputTooLargeError as e:
        finding = Finding(
            rule="tree.size",
            verdict=Verdict.FAILED,
            message=e.message,
            remedy="leave nothing but source files in the workspace",
        )
        return Imported(tree=None, dropped=(), findings=(finding,))
