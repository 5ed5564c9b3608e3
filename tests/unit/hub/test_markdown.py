from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.hub.markdown import render


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** `b`", "<p><strong>a</strong> <code>b</code></p>\n"),
        ("<!-- marker -->\nText", "\n<p>Text</p>\n"),
        ("a <!-- x --> b", "<p>a  b</p>\n"),
        ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("<b onclick=x>t</b>", "<p>&lt;b onclick=x&gt;t</b></p>\n"),
        ("[x](javascript:alert)", "<p>[x](javascript:alert)</p>\n"),
        ("[x](data:text/html,y)", "<p>[x](data:text/html,y)</p>\n"),
        ("[x](//evil.example)", "<p>[x](//evil.example)</p>\n"),
        ("[x](/acme/shop)", '<p><a href="/acme/shop" rel="nofollow noopener noreferrer">x</a></p>\n'),
        (
            "![i](https://a.example/p.png)",
            '<p><a rel="nofollow noopener noreferrer" href="https://a.example/p.png">i</a></p>\n',
        ),
    ],
)
def test_what_becomes_of_a_text(text, html):
    assert str(render(text)) == html


def test_folded_parts_stay():
    text = str(render("<details>\n<summary>More</summary>\n\n*inside*\n\n</details>"))
    assert text.startswith("<details>\n<summary>More</summary>")
    assert "<em>inside</em>" in text


def test_tables_and_nothing():
    assert "<td>1</td>" in render("| a |\n|---|\n| 1 |")
    assert render(None) == ""


@given(st.text(alphabet="<>\"'&!-/ascriptjvdetlmgo:=()[]` \n", max_size=120))
def test_no_text_opens_a_tag_of_its_own(text):
    html = str(render(text)).lower()
    for bad in ("<script", "<img", "<svg", "<iframe", "<style", '<a href="java', "<!--"):
        assert bad not in html
