"""How quick the gate is, as ratios against a floor that is measured beside it, in one run.

    python benchmarks/gate.py [--rounds 5] [--only refused|rules|fix] [--json]

Machines differ and drift; a ratio of two things that took turns does not. Every line is a median.

    refused    the rules on a patch of 10 MB, under the default policy      against  git diff --numstat + unidiff
    rules      the same with sizes lifted, so that every rule reads it all  against  the same + ast.parse
    fix        a fix with its test, proved in containers, baseline known    against  docker run of the same suite

unidiff parses what `git diff` prints; ast.parse both sides of every file: all of them are Python, which is the dearest.
The suite takes about 5 s, half of it work and half of it waiting.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import random
import secrets
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

# As in `sandbox.py`: beside this script lies a file of the name of our package.
if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
    del sys.path[0]

from unidiff.patch import PatchSet

from runner.git.mirror import Mirror
from runner.git.trees import contents, paths, read
from runner.model import Goal, Report, Verdict
from runner.policy.schema import Policy, load_policy
from runner.project import Project, environment_recipe, recognise
from runner.settings import RepoConfig
from runner.steps.gate import judge
from sandbox.api import LABEL_RUN, Limits
from sandbox.docker import DockerSandboxes

GOALS = {"refused": 2.0, "rules": 2.0, "fix": 3.0}
LIMITS = Limits(memory_mb=1024, workspace_mb=128, tmp_mb=128, wall_seconds=120.0)
DIFF_BYTES = 10 << 20
FILE_BYTES = 40 << 10

Files = Mapping[str, str]
Times = tuple[list[float], list[float]]

TOTAL = """def total(numbers):
    result = 0
    for number in numbers:
        result {sign}= number
    return result


def table(rows):
    return [[row * column % 97 for column in range(40)] for row in range(rows)]
"""
TESTS = """import time

import pytest

from shop import table


@pytest.mark.parametrize("number", range(20))
def test_table(number):
    for _ in range(500):
        assert len(table(30)) == 30
    time.sleep(0.1)
"""
FIX = """from shop import total


def test_total():
    assert total([1, 2]) == 3
"""


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


class Trees:
    """A mirror with two trees in it, and how the base's project is tested."""

    def __init__(self, folder: Path, before: Files, after: Files) -> None:
        self.mirror = Mirror(folder / "mirror.git")
        self.mirror.ensure()
        self.base, self.head = self._tree(before), self._tree(after)
        known = paths(self.mirror, self.base)
        host = RepoConfig.model_validate({})
        self.project: Project = recognise(lambda path: read(self.mirror, self.base, path), known, host)

    def _tree(self, files: Files) -> str:
        """The tree, through git's own importer: one process for any number of files."""
        said = [b"commit refs/heads/made\ncommitter a <a@localhost> 0 +0000\ndata 0\n"]
        for path, text in files.items():
            content = text.encode()
            said.append(b"M 100644 inline %b\ndata %d\n%b\n" % (path.encode(), len(content), content))
        self.mirror.git("fast-import", "--quiet", "--force", stdin=b"".join(said))
        return self.mirror.git("rev-parse", "refs/heads/made^{tree}").decode().strip()

    def judged(self, policy: Policy, *, engine: DockerSandboxes | None = None, cache: Path | None = None) -> Report:
        return judge(
            self.mirror, base_tree=self.base, head_tree=self.head, base_sha=None, goal=Goal.FIX, policy=policy,
            project=self.project, sandboxes=engine, limits=LIMITS, labels={LABEL_RUN: "bench-gate"},
            progress=lambda text: None, cache=cache,
        )  # fmt: skip

    def parsed(self, *, sources: bool) -> None:
        """The floor of the rules: what git counts, every line through a parser, and the sources through theirs."""
        self.mirror.git("diff", "--numstat", "-z", self.base, self.head)
        PatchSet(self.mirror.git("diff", self.base, self.head).decode("utf-8", "surrogateescape"))
        for tree in (self.base, self.head) if sources else ():
            oids = [oid for _, oid in paths(self.mirror, tree).values()]
            for source in contents(self.mirror, oids, limit=1 << 20, total=1 << 30)[1].values():
                ast.parse(source)


def module(seed: int, *, mended: bool) -> str:
    """A plausible module of `FILE_BYTES`; mended, three of four of its functions are otherwise."""
    made = random.Random(seed)
    lines: list[str] = ['"""Orders and their prices."""', ""]
    size = 0
    while size < FILE_BYTES:
        number, price = len(lines), made.randrange(1000)
        other = mended and made.random() < 0.75
        text = (
            f"def price_{number}(order, rate={price}):\n"
            f'    """The price of an order of kind {number}{", with its rate" if other else ""}."""\n'
            f"    lines = [line.amount * {'rate' if other else price} for line in order.lines]\n"
            f"    if not {'order.lines' if other else 'lines'}:\n"
            f"        raise ValueError(f'no lines in {{order{'.name' if other else ''}}}')\n"
            f"    return sum(lines){' + order.shipping' if other else ''}\n\n"
        )
        lines.append(text)
        size += len(text)
    return "\n".join(lines)


def large(folder: Path) -> Trees:
    """Two trees whose diff is about `DIFF_BYTES`, in many modules."""
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    size = 0
    while size < DIFF_BYTES:
        seed = len(before)
        path = f"shop/part_{seed % 16}/prices_{seed}.py"
        before[path], after[path] = module(seed, mended=False), module(seed, mended=True)
        size += int(1.4 * FILE_BYTES)
    trees = Trees(folder, before, after)
    size = len(trees.mirror.git("diff", trees.base, trees.head))
    print(f"a diff of {size / 2**20:.1f} MiB in {len(after)} files", file=sys.stderr)
    return trees


def rules(trees: Trees, policy: Policy, rounds: int, *, sources: bool) -> Times:
    ours, floor = [], []
    for _ in range(rounds):
        floor.append(timed(lambda: trees.parsed(sources=sources)))
        ours.append(timed(lambda: trees.judged(policy)))
    return ours, floor


def lifted(policy: Policy) -> Policy:
    """The policy without limits of size."""
    most = {name: 10**9 for name, value in policy.size if isinstance(value, int)}
    return policy.model_copy(update={"size": policy.size.model_copy(update=most)})


def fix(folder: Path, engine: DockerSandboxes, rounds: int) -> Times:
    before = {"shop.py": TOTAL.format(sign="-"), "tests/test_table.py": TESTS, "requirements.txt": "pytest\n"}
    after = {**before, "shop.py": TOTAL.format(sign="+"), "tests/test_total.py": FIX}
    trees = Trees(folder, before, after)
    policy, cache = load_policy("default"), folder / "baselines"
    image = engine.environment(
        environment_recipe(trees.project, trees.mirror, trees.base), labels={}, progress=print
    ).digest

    def proved() -> None:
        report = trees.judged(policy, engine=engine, cache=cache)
        assert report.verdict is Verdict.PASSED, report

    proved()  # from here on the baseline is known
    ours, floor = [], []
    for _ in range(rounds):
        floor.append(timed(lambda: plain(image, after)))
        ours.append(timed(proved))
    return ours, floor


def plain(image: str, files: Files) -> None:
    """The suite in a container with nothing around it."""
    script = "mkdir /tmp/w && cd /tmp/w && tar -x && exec /opt/env/bin/python -m pytest -q"
    argv = ["docker", "run", "--rm", "-i", "--init", "--network=none", "--entrypoint=sh", image, "-c", script]
    subprocess.run(argv, input=packed(files), check=True, capture_output=True)


def packed(files: Files) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def main() -> None:
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--only", choices=sorted(GOALS), help="One line of them.")
    words.add_argument("--json", action="store_true")
    given = words.parse_args()
    asked = [given.only] if given.only else list(GOALS)
    answers = {}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        trees = large(folder / "large") if {"refused", "rules"} & set(asked) else None
        for name in asked:
            policy = load_policy("default")
            if name == "fix":
                engine = DockerSandboxes(owner=f"bench-{secrets.token_hex(4)}")
                try:
                    found = fix(folder / "fix", engine, given.rounds)
                finally:
                    engine.reap()
                    engine.disconnect()
            else:
                assert trees is not None
                whole = name == "rules"
                found = rules(trees, lifted(policy) if whole else policy, given.rounds, sources=whole)
            ours, floor = (statistics.median(times) for times in found)
            answers[name] = {"seconds": ours, "floor": floor, "ratio": ours / floor, "goal": GOALS[name]}
            if not given.json:
                goal = GOALS[name]
                held = "ok" if ours / floor <= goal else "over"
                print(f"{name:8} {ours:.3f} s / {floor:.3f} s = {ours / floor:.2f} (≤ {goal}) {held}", flush=True)
    if given.json:
        print(json.dumps(answers, indent=2))


if __name__ == "__main__":
    main()
