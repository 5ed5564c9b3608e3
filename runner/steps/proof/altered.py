"""The patch altered, in a container: what its tests would notice, and which parts of it they need."""

from __future__ import annotations

from collections.abc import Sequence

from runner.git.trees import paths, read
from runner.project import Pytest
from runner.steps.proof.bench import Bench
from runner.steps.proof.depth import likeliest, measure, mutation, necessity
from runner.steps.proof.lab import Lab
from runner.steps.proof.trial import Judged, Trial

_LARGEST_SOURCE = 4 << 20


def altered(trial: Trial, bench: Bench, *, base: str, head: str, names: Sequence[str]) -> tuple[Judged, ...]:
    """What altering the patch shows of it: nothing where there is nothing to alter, or sources have to be compiled.

    Args:
        trial: what was measured.
        bench: where the patch is measured.
        base: the base's tree.
        head: the patch's tree.
        names: the tests that prove the patch.

    Raises:
        SandboxError: the machine failed.
        GitError: a tree cannot be read.
    """
    if bench.build is not None:
        return ()
    both = (mutation(trial), necessity(trial, lambda path: read(bench.mirror, base, path, limit=_LARGEST_SOURCE)))
    tried = [series for series in both if series.variants]
    if not tried:
        return ()
    first = likeliest(trial, names) if isinstance(bench.project.test, Pytest) else ()
    with bench.box(head) as box:
        lab = Lab(bench, box, paths(bench.mirror, head), first, trial.head.seconds)
        return tuple(measure(series, lab) for series in tried)
