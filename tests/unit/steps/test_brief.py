from importlib.resources import files

import pytest

from runner.model import Goal
from runner.steps.brief import _render, plain


def render(goal, **more):
    values = {
        "nonce": "n0nce",
        "title": "",
        "context": "KeyError: 1",
        "source": "shop.log",
        "test": "python -m pytest",
        "policy": "- small",
        "feedback": "",
        "refusal": "",
        "again": False,
    }
    return _render(f"{goal.value}.md", **{**values, **more})


@pytest.mark.parametrize("goal", list(Goal))
def test_every_goal_has_a_prompt_with_the_fenced_context_and_the_rules(goal):
    text = render(goal)
    assert "<<<n0nce\nKeyError: 1\nn0nce>>>" in text
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
