import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.git import names

GIT_ALIASES = [
    b".git", b".GIT", b".Git", b"sub/.git", b".git/config", b"sub/.gIt/hooks/x",
    b".git.", b".git ", b".git . .", b"git~1", b"GIT~1", b"git~2", b".git::$INDEX_ALLOCATION", b".git:x",
    ".g\u200cit".encode(), "\ufeff.git".encode(), ".gi\u200dt".encode(), b"a\\.git", b"a\\.git\\config",
]  # fmt: skip


@pytest.mark.parametrize("path", GIT_ALIASES)
def test_every_spelling_of_git_is_refused_and_called_so(path: bytes) -> None:
    objection = names.objection(path)
    assert objection is not None
    assert objection[0] == "tree.git-alias"


@pytest.mark.parametrize(
    "path", [b".gitignore", b".github/x", b"a.git", b".gitmodules", b"git", b"x/.gitattributes", b"git~a", b".git-x"]
)
def test_names_that_only_look_like_git_come_in(path: bytes) -> None:
    assert names.objection(path) is None


@pytest.mark.parametrize(
    "path",
    [
        b"", b"/etc/passwd", b"../x", b"a/../b", b"a/./b", b"a//b", b"a/", b".", b"..", b"a/" + b"x" * 256,
        b"x/" * 3000 + b"y", b"x/" * 300 + b"y", b"a\nb", b"a\tb", b"a\x7fb", b"a\x00b", b"\x1b[31m", b"caf\xe9",
        "a\u202eb".encode(), "a\u2066b".encode(),
        "a\u200bb".encode(), "a\u2028b".encode(), "a\u0085b".encode(),
    ],
)  # fmt: skip
def test_paths_that_mislead_or_lead_elsewhere_are_refused(path: bytes) -> None:
    objection = names.objection(path)
    assert objection is not None
    assert objection[0] == "tree.path"


@pytest.mark.parametrize("path", ["a b/c", "x b/y", "ü/ñ", "日本", "a\u0308", "'\"$`", "-x", "~", "a\\b", "😀"])
def test_unusual_but_honest_names_come_in(path: str) -> None:
    assert names.objection(path.encode()) is None


@given(st.binary(max_size=40))
def test_every_path_can_be_written_as_text_and_back(path: bytes) -> None:
    written = names.text(path)
    assert names.raw(written) == path
    assert json.loads(json.dumps(written)) == written
    written.encode("utf-8")  # no surrogate is left in it


@given(st.lists(st.binary(max_size=6), max_size=6))
def test_two_paths_never_look_alike(paths: list[bytes]) -> None:
    assert len({names.text(p) for p in paths}) == len(set(paths))


def test_the_folder_of_an_odd_name_stays_readable_for_globs() -> None:
    assert names.text(b".github/workflows/\xff.yml") == ".github/workflows/\\xff.yml"


def test_what_a_person_is_shown_is_one_short_printable_line() -> None:
    assert names.shown(b"a\nb\x1b[0m\xff") == "a\\nb\\x1b[0m\\xff"
    assert len(names.shown(b"x" * 5000)) == 200
