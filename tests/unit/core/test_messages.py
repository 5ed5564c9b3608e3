import re
from datetime import UTC, datetime

import pytest

from runner import messages
from runner.model import Check, Evidence, Goal, Job, Patch, Report, Run, RunStatus, TestEvidence, Usage, Verdict

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def run(**job):
    return Run(id="r1", job=Job(repo="a/b", **job), status=RunStatus.QUEUED, created=NOW, updated=NOW)


@pytest.mark.parametrize(
    "hostile",
    [
        "ping @octocat please",
        "closes #12",
        "Fixes acme/shop#3",
        "see GH-7",
        "![x](http://evil.example/p.png)",
        "[click](https://evil.example)",
        "<img src=x onerror=alert(1)>",
        "<!-- automend:run:other -->",
        "visit www.evil.example now",
        "https://evil.example/?q=secret",
        "[a]: https://evil.example",
        "[a][b]",
    ],
)
def test_untrusted_prose_keeps_no_mention_reference_link_image_or_html(hostile):
    cleaned = messages.clean(hostile)
    assert not re.search(r"(?<![;\w])@\w", cleaned)
    assert not re.search(r"#\d(?!\d*;)", cleaned)
    assert not re.search(r"\bGH-\d", cleaned)
    assert "](" not in cleaned
    assert "![" not in cleaned
    assert "<" not in cleaned
    assert "://" not in cleaned
    assert "www." not in cleaned


def test_plain_prose_is_left_alone():
    text = "The code was looked up as typed, so `welcome10` failed; it is now lower-cased first."
    assert messages.clean(text) == text


def test_invisible_characters_are_taken_out():
    assert messages.clean("a\u202eb\u200bc\x1b[31md\U000e0041") == "abc[31md"


def test_a_fence_cannot_be_closed_from_inside():
    fenced = messages.fenced("a\n````\n@all\n```` ")
    lines = fenced.splitlines()
    assert lines[0] == "`````text"
    assert lines[-1] == "`````"


def test_the_title_is_the_jobs_and_says_what_failed():
    log = "Traceback (most recent call last):\n  File \"x.py\", line 1, in f\nKeyError: 'welcome10'\n"
    assert messages.title(run(context=log)) == "Fix KeyError: 'welcome10'"
    assert messages.title(run(title="Speed up @all closes #3", goal=Goal.IMPROVE)) == "Speed up all closes 3"
    assert messages.title(run()) == "Fix: a change by automend"


def test_the_cost_is_told_in_money_where_prices_are_known():
    free, paid = Usage(requests=2, input=1000, cached=400, output=50), Usage(requests=1, cost_usd=0.5)
    assert messages.cost([free], 1) == "1 attempt, 2 requests, 1,000 tokens in (400 cached), 50 out"
    assert messages.cost([paid, paid], 2).endswith("0 out, $1.00")
    assert messages.cost([paid, free], 2).endswith(", $0.5000 and what has no price")


def test_the_symptom_is_the_last_exception_of_a_log():
    log = "ValueError: first\nsomething\nshop.errors.StockError: second\nINFO done\n"
    assert messages.symptom(log) == "shop.errors.StockError: second"
    assert messages.symptom("just words\nmore") == "just words"


def test_each_proof_is_told_with_its_reason_and_notes_are_no_findings():
    tests = TestEvidence(
        red_to_green=("t.py::a[x|y]", "t.py::b"), reasons={"t.py::a[x|y]": "KeyError at f.py:3: 'x' @octocat"}
    )
    checks = (
        Check(name="mutants", verdict=Verdict.PASSED, summary="s", details={"notes": ["no test notices `a` (f.py:1)"]}),
        Check(name="necessity", verdict=Verdict.PASSED, summary="s", details={"notes": [f"n{n}" for n in range(30)]}),
    )
    report = Report(
        verdict=Verdict.PASSED, checks=checks, patch=Patch(base_tree="1", head_tree="2"),
        evidence=Evidence(tests=tests),
    )  # fmt: skip
    body = messages.body(run(), report)
    assert "| `t.py::a[x\\|y]` | KeyError at f.py:3: 'x' &#64;octocat | passed |" in body
    assert "| `t.py::b` |  | passed |" in body
    assert "### Worth knowing\n\n- no test notices `a` (f.py:1)\n- n0\n" in body
    assert "- and 11 more, in the evidence file" in body
    assert "### Please look at" not in body
