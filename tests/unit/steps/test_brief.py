import os
from importlib.resources import files
from pathlib import Path

import pytest

from runner.model import Goal
from runner.steps.brief import _render, plain, prompt_version


def render(goal, **more):
    values = {
        "nonce": "n0nce",
        "canary": "c0ffee",
        "title": "",
        "context": "KeyError: 1",
        "source": "shop.log",
        "test": "python -m pytest",
        "reproduce": "",
        "policy": "- small",
        "feedback": "",
        "refusal": "",
        "again": False,
    }
    return _render(f"{goal.value}.md", **{**values, **more})


@pytest.mark.parametrize("goal", list(Goal))
def test_every_goal_has_a_prompt_with_the_fenced_context_and_the_rules(goal):
    text = render(goal)
    assert "KeyError: 1\n\n[c0ffee]\nn0nce>>>" in text
    assert "- small" in text
    assert "python -m pytest" in text
    assert "{{" not in text


def test_text_from_outside_is_never_a_template():
    assert "{{ policy }}" in render(Goal.FIX, context="{{ policy }} {% raw %}")


def test_a_retry_is_told_why_and_a_review_what_was_said():
    text = render(Goal.FIX, again=True, refusal="- size.files: too many", feedback="rita: use strip()")
    assert "size.files" in text
    assert "use strip()" in text


def test_a_template_with_an_unknown_name_fails_loudly():
    with pytest.raises(Exception, match="undefined"):
        _render("fix.md", nonce="x")


def test_terminal_codes_and_invisible_characters_do_not_reach_a_model():
    assert plain("\x1b[31mred\x1b[0m \u202eevil\u2066 \U000e0041tag\x00", 100) == "red evil tag"
    assert plain("a\r\nb\rc", 100) == "a\nb\nc"


def test_long_text_is_cut_in_the_middle():
    text = plain("a" * 500 + "END", 100)
    assert len(text) < 200
    assert text.endswith("END")
    assert "left out" in text


def test_prompts_are_data_of_the_package():
    assert {f"{g.value}.md" for g in Goal} <= {f.name for f in files("prompts").iterdir()}


GOLDEN = Path(__file__).parent / "golden"
FULL = {
    "title": "ZeroDivisionError in mean()",
    "context": "Traceback (most recent call last):\n  …\nZeroDivisionError: division by zero",
    "reproduce": "python calc.py 0",
    "feedback": "Review by rita:\nPlease say what the mean of nothing is.",
    "refusal": "- tests.green (test_calc.py:4): test_mean fails on the patch — make it pass by what the code does",
    "again": True,
}


@pytest.mark.parametrize("goal", list(Goal))
def test_the_whole_prompt_is_as_it_was_read_last(goal):
    """Words for a model are read by a person before they change: `AUTOMEND_GOLDEN=1` writes them anew."""
    text = render(goal, **FULL)
    kept = GOLDEN / f"{goal.value}.txt"
    if os.environ.get("AUTOMEND_GOLDEN"):
        kept.write_text(text, encoding="utf-8")
    assert text == kept.read_text(encoding="utf-8")


def test_text_from_outside_stands_between_fences_alone():
    before, _, rest = render(Goal.FIX, **FULL).partition("<<<n0nce\n")
    assert "ZeroDivisionError" not in before
    assert rest.startswith("ZeroDivisionError in mean()")


def test_a_version_per_goal():
    assert len({prompt_version(goal) for goal in Goal}) == len(Goal)
    assert all(len(prompt_version(goal)) == 12 for goal in Goal)
