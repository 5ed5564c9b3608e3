import pytest

from runner.git.ignore import Ignored


@pytest.mark.parametrize(
    ("path", "by"),
    [
        (b"a.pyc", b"a.pyc"),
        (b"deep/down/a.pyc", b"deep/down/a.pyc"),
        (b"keep.pyc", None),
        (b"build/x/y", b"build/"),
        (b"sub/build", None),  # `build/` is about folders
        (b"sub/build/x", b"sub/build/"),
        (b"only-root", b"only-root"),
        (b"sub/only-root", None),
        (b"sub/local.txt", b"sub/local.txt"),
        (b"local.txt", None),
        (b"sub/special.pyc", None),  # the nearer file has the last word
        (b"build/keep.pyc", b"build/"),  # nothing below an ignored folder comes back
        (b"a.py", None),
        (b"build/", b"build/"),
    ],
)
def test_what_is_left_out_and_by_which_name(path: bytes, by: bytes | None) -> None:
    rules = Ignored(
        {b"": b"*.pyc\n!keep.pyc\nbuild/\n/only-root\n# comment\n\n", b"sub": b"local.txt\r\n!special.pyc\n"}
    )
    assert rules.by(path) == by


def test_patterns_of_the_host_come_first_and_the_repository_may_overrule_them() -> None:
    rules = Ignored({b"": b"!wanted.log\n"}, also=["*.log"])
    assert rules.by(b"a.log") == b"a.log"
    assert rules.by(b"wanted.log") is None


def test_a_pattern_that_cannot_be_read_takes_no_other_with_it() -> None:
    rules = Ignored({b"": b"!\n\xff\xfe\n*.tmp\n[\n"})
    assert rules.by(b"a.tmp") == b"a.tmp"
    assert rules.by(b"a.txt") is None


def test_without_rules_nothing_is_ignored() -> None:
    assert Ignored({}).by(b"a/b/c") is None
