from __future__ import annotations

import pytest

from runner.hub.lines import locate, numbered

PATCH = """@@ -1,3 +1,4 @@ def f():
 one
-two
+zwei
+drei
 three
\\ No newline at end of file
@@ -10 +11 @@
-ten
+zehn"""


def test_lines_are_numbered_on_both_sides():
    rows = [(r.kind, r.old, r.new) for r in numbered(PATCH)]
    assert rows[:7] == [
        ("@", None, None), (" ", 1, 1), ("-", 2, None), ("+", None, 2), ("+", None, 3), (" ", 3, 4), ("\\", None, None),
    ]  # fmt: skip
    assert rows[7:] == [("@", None, None), ("-", 10, None), ("+", None, 11)]
    assert list(numbered("")) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"line": 3, "side": "RIGHT"}, (3, "RIGHT", 4)),
        ({"line": 2, "side": "LEFT"}, (2, "LEFT", 2)),
        ({"line": 3, "side": "LEFT"}, (3, "LEFT", 5)),
        ({"line": 11, "side": "RIGHT"}, (11, "RIGHT", 9)),
        ({"line": None, "side": "RIGHT", "position": 2}, (2, "LEFT", 2)),
    ],
)
def test_a_place_is_found(wanted, found):
    place = locate(PATCH, **{"position": None, **wanted})
    assert place is not None
    assert (place.line, place.side, place.position) == found


def test_the_hunk_ends_at_the_line():
    place = locate(PATCH, line=11, side="RIGHT", position=None)
    assert place is not None
    assert place.hunk == "@@ -10 +11 @@\n-ten\n+zehn"


@pytest.mark.parametrize("wanted", [{"line": 7}, {"line": None, "position": 0}, {"line": None, "position": 6}])
def test_what_the_diff_does_not_show_has_no_place(wanted):
    assert locate(PATCH, side="RIGHT", **{"position": None, **wanted}) is None
