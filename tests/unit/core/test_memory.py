from datetime import UTC, datetime

import pytest

from runner.memory import KnownPatch
from runner.store import open_store


@pytest.fixture
def memory(tmp_path):
    return open_store(f"sqlite:///{tmp_path / 'a.sqlite'}").memory


def known(outcome="refused", *, run="r1", attempt=1, terms="t", repo="a/b", patch="p", reason="why"):
    return KnownPatch(
        repo=repo, patch=patch, run=run, attempt=attempt, outcome=outcome, terms=terms, reason=reason,
        at=datetime.now(UTC),
    )  # fmt: skip


def recall(memory, *, repo="a/b", patch="p", terms="t", run="r2", attempt=1):
    return memory.recall(repo, patch, terms=terms, run=run, attempt=attempt)


def test_an_unknown_patch_is_unknown(memory):
    memory.remember(known())
    assert recall(memory, patch="q") is None
    assert recall(memory, repo="a/c") is None


def test_a_refusal_counts_under_its_own_terms_alone(memory):
    memory.remember(known())
    found = recall(memory)
    assert (found.outcome, found.run, found.reason) == ("refused", "r1", "why")
    assert found.at.tzinfo is not None
    assert recall(memory, terms="another base or policy") is None


def test_what_people_and_production_said_counts_always(memory):
    memory.remember(known("closed", run="r0", attempt=0, terms=""))
    memory.remember(known())
    assert recall(memory).outcome == "closed"
    assert recall(memory, terms="other").outcome == "closed"


def test_an_attempt_that_is_judged_again_does_not_meet_itself(memory):
    memory.remember(known(attempt=2))
    assert recall(memory, run="r1", attempt=2) is None
    assert recall(memory, run="r1", attempt=3).attempt == 2
    memory.remember(known(attempt=2, reason="anew"))
    assert recall(memory).reason == "anew"
