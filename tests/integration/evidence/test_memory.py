"""What became of a patch is known when the same one comes again."""

from types import SimpleNamespace
from typing import ClassVar

import pytest

from runner.errors import ForgeError
from runner.git.diff import read_patch
from runner.git.mirror import Mirror
from runner.model import Base, Finding, Job, PullRequest, Report, RunStatus, Verdict
from runner.policy.globs import Globs
from runner.policy.schema import load_policy
from runner.steps import memory
from runner.store import open_store

POLICY = load_policy("default")
NUMBERS = "".join(f"{n}\n" for n in range(1, 31))


class Others:
    """A forge with pull requests of others: number → what each touches; None where it does not answer."""

    others: ClassVar[dict | None] = {}

    def open_by_others(self, repo, *, base):
        assert (repo, base) == ("a/b", "main")
        if self.others is None:
            raise ForgeError("it is down")
        return [
            PullRequest(repo=repo, number=n, url=f"https://o/{n}", branch="b", base=base, head_sha="0")
            for n in self.others
        ]

    def touched(self, repo, number):
        return self.others[number]


@pytest.fixture
def world(tmp_path, make_repo):
    """A house with a mirror, and runs in it: `world.run(change)` has a report on that change of `main`."""
    repo = make_repo({"n.txt": NUMBERS, "b.txt": "b\n"})
    mirror = Mirror(tmp_path / "mirror.git")
    mirror.ensure()
    store = open_store(f"sqlite:///{tmp_path / 'a.sqlite'}")
    project = SimpleNamespace(tests=Globs(("tests/**",)))
    house = SimpleNamespace(store=store, mirror=lambda remote: mirror, project=lambda run: project, forge=Others())
    start = repo.head

    def tree(sha):
        return mirror.tree_of(mirror.fetch(str(repo.path), ref=sha, auth={}))

    def run(change, *, on=start, verdict=Verdict.PASSED, status=RunStatus.PROPOSED, context="E: boom", number=1):
        repo.git("checkout", "--quiet", "--detach", on)
        base, head = tree(on), tree(repo.commit(change))
        made = store.create(Job(repo="a/b", context=context))
        findings = () if verdict is Verdict.PASSED else (Finding(rule="x.y", verdict=verdict, message="not so"),)
        report = Report(verdict=verdict, findings=findings, patch=read_patch(mirror, base, head))
        pull = PullRequest(repo="a/b", number=number, url=f"https://x/{number}", branch="b", base="main", head_sha="0")
        return store.update(
            made.id,
            base=Base(repo="a/b", forge="a/b", remote="r", ref="main", sha=on, tree=base),
            report=report,
            proposed=report,
            pull=pull,
            status=status,
        )

    return SimpleNamespace(house=house, repo=repo, run=run, start=start, forge=house.forge)


def known(world, run, *, number=1, policy=POLICY):
    return memory.known(world.house, run, run.report.patch.head_tree, number, policy)


CHANGE = {"n.txt": NUMBERS.replace("15\n", "fifteen\n")}


@pytest.mark.parametrize("outcome", ["closed", "reverted"])
def test_what_a_person_closed_or_production_took_back_is_not_proposed_again(world, outcome):
    first = world.run(CHANGE)
    assert known(world, first) == ()
    memory.remember_end(world.house, first, outcome, "we do not want it")
    moved = world.repo.commit({"n.txt": "0\n" + NUMBERS})
    again = world.run({"n.txt": "0\n" + CHANGE["n.txt"]}, on=moved, context="another error")
    (finding,) = known(world, again)
    assert (finding.rule, finding.verdict) == ("memory.known", Verdict.FAILED)
    assert "https://x/1" in finding.message
    assert "we do not want it" in finding.message
    assert known(world, world.run({"n.txt": NUMBERS.replace("15\n", "XV\n")})) == ()


def test_a_refusal_is_known_for_the_same_question_only(world):
    first = world.run(CHANGE, verdict=Verdict.FAILED)
    memory.remember_refusal(world.house, first, 1, first.report, POLICY)
    (finding,) = known(world, world.run(CHANGE))
    assert "x.y: not so" in finding.message
    assert known(world, first, number=1) == ()
    assert "attempt 1 of this run" in known(world, first, number=2)[0].message
    assert known(world, world.run(CHANGE, context="E: another")) == ()
    assert known(world, world.run(CHANGE), policy=POLICY.model_copy(update={"attempts": 1})) == ()


@pytest.mark.parametrize("verdict", [Verdict.PASSED, Verdict.ERROR, Verdict.INCONCLUSIVE])
def test_only_a_no_is_remembered(world, verdict):
    first = world.run(CHANGE, verdict=verdict)
    memory.remember_refusal(world.house, first, 1, first.report, POLICY)
    assert known(world, world.run(CHANGE)) == ()


CODE = "def total(prices):\n    result = 0\n    for price in prices:\n        result += price\n    return result\n"
MENDED = """\
def total(prices):
    result = 0
    for price in prices:
        if price is None:  # left out
            continue
        result += round(price, 2)
    return result
"""
ALMOST = MENDED.replace("  # left out", "").replace("    result = 0", "    result =  0")


@pytest.mark.parametrize(("context", "verdict"), [("E: boom", Verdict.FAILED), ("E: another", Verdict.PASSED)])
def test_almost_the_same_as_what_was_closed(world, context, verdict):
    start = world.repo.commit({"m.py": CODE})
    first = world.run({"m.py": MENDED, "tests/t.py": "one\n"}, on=start)
    memory.remember_end(world.house, first, "closed", "prices are never None")
    again = world.run({"m.py": ALMOST, "tests/t.py": "quite another test\n"}, on=start, context=context)
    (finding,) = known(world, again)
    assert (finding.rule, finding.verdict, finding.review) == ("memory.alike", verdict, verdict is Verdict.PASSED)
    assert "% of the changed words) was proposed before, and a person closed it" in finding.message
    assert "prices are never None" in finding.message
    other = MENDED.replace("if price is None:  # left out", "if price < 0:").replace("continue", "raise ValueError")
    assert known(world, world.run({"m.py": other}, on=start, context=context)) == ()


def test_almost_the_same_as_what_the_gate_refused_is_another_try(world):
    start = world.repo.commit({"m.py": CODE})
    first = world.run({"m.py": MENDED}, on=start, verdict=Verdict.FAILED)
    memory.remember_refusal(world.house, first, 1, first.report, POLICY)
    assert known(world, world.run({"m.py": ALMOST}, on=start)) == ()


def test_open_pull_requests_that_touch_the_same_lines_are_named(world):
    first = world.run(CHANGE, number=1)
    world.run({"n.txt": NUMBERS.replace("3\n", "three\n", 1), "b.txt": "c\n"}, number=2)
    world.run(CHANGE, number=3, status=RunStatus.CLOSED)
    mine = world.run({"n.txt": NUMBERS.replace("15\n", "XV\n")}, number=4)
    assert memory.neighbours(world.house, mine, mine.report) == ("https://x/1 changes the same lines of `n.txt`",)
    world.forge.others = {7: {"n.txt": ((14, 16),)}, 8: {"n.txt": ((16, 20),)}}
    assert [line.partition(" ")[0] for line in memory.neighbours(world.house, mine, mine.report)] == [
        "https://x/1", "https://o/7",
    ]  # fmt: skip
    world.forge.others = None
    assert len(memory.neighbours(world.house, mine, mine.report)) == 1
    assert first.id != mine.id
