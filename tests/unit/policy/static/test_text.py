"""Text that is not what it seems: each deceit, and a twin of it that is honest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.model import Verdict
from runner.policy.evaluate import evaluate
from runner.policy.schema import load_policy
from runner.policy.scripts import lookalike
from runner.policy.text import TEXT
from tests.unit.policy.static.conftest import make_case

Said = Callable[..., dict[str, str]]
PY = "a.py"


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("x = 'a\u202eb'", {"text.bidi": "block"}),
        ("# \u2066if admin\u2069", {"text.bidi": "block"}),
        ("x = 'a\u200bb'", {"text.invisible": "block"}),
        ("x = 'a\u2060b'", {"text.invisible": "block"}),
        ("x = 'a\u00adb'", {"text.invisible": "block"}),
        ("x = 'a\ufeffb'", {"text.invisible": "block"}),
        ("x = 'a\u3164b'", {"text.invisible": "block"}),
        ("x = 'a\U000e0041\U000e0042'", {"text.invisible": "block"}),
        ("x = 'a\U000e0100b'", {"text.invisible": "block"}),
        ("x = 'a\ufe0fb'", {"text.invisible": "block"}),
        ("x = 'a\u200db'", {"text.invisible": "block"}),
        ("x = '\x1b[2K'", {"text.control": "block"}),
        ("# a\x08b", {"text.control": "block"}),
        ("x = 1\ry = 2", {"text.control": "block"}),
        ("# a\x0bb", {"text.control": "block"}),
        ("# a\x85b = 1", {"text.control": "block"}),
        ("# a\u2028b = 1", {"text.control": "block"}),
        ("x = 1\fy = 2", {"text.control": "block", "code.unreadable": "block"}),
        ("\f", {"text.form_feed": "review"}),
        ("p\u0430ss_word = 1", {"text.identifier": "block", "text.lookalike": "review"}),
        ("\u0455\u0441\u043e\u0440\u0435 = 1", {"text.identifier": "block"}),
        ("\uff45val = 1", {"text.identifier": "block", "code.dynamic": "block"}),
        ("\U0001d5b2\U0001d5be\U0001d5c5\U0001d5bf = 1", {"text.identifier": "block"}),
        ("x = 'p\u0430ypal.com'", {"text.lookalike": "review"}),
        ("x\u00a0= 1", {"text.space": "review", "code.unreadable": "block"}),
        ("x = 'a\u3000b'", {"text.space": "review"}),
        (f"x = 1;{' ' * 120}y = 2", {"text.far_right": "block"}),
        (f"if x:\n{chr(9) * 40}y = 2", {"text.far_right": "block"}),
        (f"x = '{'QUJD' * 60}'", {"text.blob": "review"}),
        ("x = b'" + "\\x41" * 60 + "'", {"text.blob": "review"}),
        # twins that are honest
        ("x = 'a\\u202eb'", {}),
        ("x = 'na\u00efve caf\u00e9'", {}),
        ("x = '\u043f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440'", {}),
        ("x = '\u4f60\u597d'", {}),
        ("x = '\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f 1\ufe0f\u20e3'", {}),
        ("x = '\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f'", {}),
        ("x = '\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645'", {}),
        ("x = '\u05d0\u200f, \u05d1'", {}),
        ("\u03bb_max = 1; \u0394x = 2; \u03b1 = 3", {}),
        ("\u00fcber = 1", {}),
        (f"x = 1{' ' * 20}# said", {}),
        (f"x = '{'word and ' * 30}'", {}),
    ],
)
def test_lines(said: Said, line: str, rules: dict[str, str]) -> None:
    base = "first = 1\n"
    assert said({PY: base}, {PY: f"{base}{line}\nlast = 2\n"}) == rules


def test_only_added_lines_count(said: Said) -> None:
    base = "x = 'a\u200bb'\ny = 1\n"
    assert said({PY: base}, {PY: base.replace("y = 1", "y = 2")}) == {}
    assert said({PY: base}, {"moved/a.py": base}) == {}


def test_prose_may_have_odd_spaces_and_wide_tables(said: Said) -> None:
    line = f"a\u00a0b |{' ' * 150}| c\n"
    assert said({"docs/a.md": "x\n"}, {"docs/a.md": f"x\n{line}"}) == {}
    assert said({"docs/a.md": "x\n"}, {"docs/a.md": "x\n\u202e\n"}) == {"text.bidi": "block"}


def test_ends_of_lines(said: Said) -> None:
    unix, dos = "a = 1\nb = 2\n", "a = 1\r\nb = 2\r\n"
    assert said({PY: unix}, {PY: f"{unix}c = 3\r\n"}) == {"text.line_ends": "review"}
    assert said({PY: dos}, {PY: f"{dos}c = 3\r\n"}) == {}
    assert said({}, {PY: dos}) == {}
    assert said({}, {PY: unix + dos}) == {"text.line_ends": "review"}
    assert said({PY: unix}, {PY: f"{unix}c = 3\n"}) == {}


def test_encodings(said: Said) -> None:
    base = b"x = 1\n"
    refused = {"text.encoding": "block"}
    assert said({"a.md": base}, {"a.md": base + b"caf\xe9\n"}) == refused
    assert said({PY: base}, {PY: base + b"# caf\xe9\n"})["text.encoding"] == "block"
    assert said({PY: base}, {PY: b"# -*- coding: latin-1 -*-\n" + base}) == refused
    assert said({PY: base}, {PY: b"#!/bin/python\n# vim: set fileencoding=utf-7 :\n" + base}) == refused
    assert said({PY: base}, {PY: b"# -*- coding: UTF_8 -*-\n" + base}) == {}
    assert said({PY: base}, {PY: base + base + b"# coding: latin-1\n"}) == {}
    old = b"# coding: latin-1\n# caf\xe9\n"
    assert said({PY: old}, {PY: old + b"y = 1\n"}) == {}
    assert said({PY: base}, {PY: b"\xef\xbb\xbf" + base}) == {"text.bom": "review"}
    assert said({"a.txt": b"\xef\xbb\xbfa\n"}, {"a.txt": b"\xef\xbb\xbfb\n"}) == {}


def test_javascript_names(said: Said) -> None:
    base = "const a = 1;\n"
    assert said({"a.ts": base}, {"a.ts": f"{base}const \u0430dmin = 1;\n"}) == {
        "text.identifier": "block",
        "text.lookalike": "review",
    }
    assert said({"a.ts": base}, {"a.ts": f"{base}const s = '\u043f\u0440\u0438';\n"}) == {}


def test_many_lines_of_a_kind_are_summed_up(said: Said) -> None:
    case = make_case({}, {PY: "# a\u200bb\n" * 40})
    found = [f for f in evaluate(load_policy("default"), case, (TEXT,)) if f.rule == "text.invisible"]
    assert len(found) == 6
    assert "35 more" in found[-1].message


def test_nothing_odd_stands_in_the_finding_itself() -> None:
    case = make_case({}, {PY: "x = 'a\u202e\u200b\x1b'\n"})
    for finding in evaluate(load_policy("default"), case, (TEXT,)):
        assert not set(finding.message) & set("\u202e\u200b\x1b")


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"))
def test_plain_words_look_like_nothing_else(word: str) -> None:
    assert lookalike(word) == ""


@settings(max_examples=200)
@given(st.binary(max_size=120), st.binary(max_size=120), st.sampled_from(["a.py", "a.js", "a.md", "a.yml"]))
def test_the_rules_never_break(before: bytes, after: bytes, path: str) -> None:
    found = evaluate(load_policy("default"), make_case({path: before}, {path: after}), (TEXT,))
    assert all(f.verdict is not Verdict.ERROR for f in found), found
