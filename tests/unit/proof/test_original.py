"""The command that showed the error: what is made of a traceback, and what its runs say."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from runner.model import FileChange, Patch, Reproduction, Verdict
from runner.steps.proof.original import NAME, replayed, reproduction
from runner.steps.proof.trial import Judged
from sandbox.api import ExecResult

PATHS = frozenset({"app.py", "shop/__main__.py", "shop/cart.py", "src/tool/cli.py", "odd name.py", "tests/test_a.py"})
ERROR = "KeyError: 'welcome10'"


def traceback(*frames: tuple[str, str], error: str = ERROR) -> str:
    lines = [f'  File "{file}", line 3, in {name}\n    call()' for file, name in frames]
    return "\n".join(["Traceback (most recent call last):", *lines, error])


@pytest.mark.parametrize(
    ("context", "command"),
    [
        (traceback(("/srv/shop/app.py", "<module>"), ("/srv/shop/shop/cart.py", "total")), "python app.py"),
        (traceback(("C:\\work\\shop\\app.py", "<module>")), "python app.py"),
        (traceback(("/srv/odd name.py", "<module>")), "python 'odd name.py'"),
        (
            traceback(("<frozen runpy>", "_run_module_as_main"), ("/srv/shop/__main__.py", "<module>")),
            "python -m shop",
        ),
        (
            traceback(("/usr/lib/python3.8/runpy.py", "_run_code"), ("/w/src/tool/cli.py", "<module>")),
            "PYTHONPATH=src python -m tool.cli",
        ),
        # the last of several is what the program ended with
        (traceback(("/x/other.py", "<module>")) + "\nDuring handling:\n" + traceback(("/a/app.py", "<module>")),
         "python app.py"),
        # a server's thread, an installed program, a file that is not the repository's, no traceback at all
        (traceback(("/usr/lib/python3.11/threading.py", "run"), ("/srv/shop/cart.py", "total")), None),
        (traceback(("/usr/bin/gunicorn", "<module>"), ("/srv/shop/cart.py", "total")), None),
        (traceback(("/srv/app.py", "<module>"), error=""), None),
        ("KeyError: 'welcome10'", None),
        ("", None),
    ],
)  # fmt: skip
def test_what_a_traceback_began_with(context: str, command: str | None) -> None:
    found = reproduction("", context, PATHS)
    assert (found.command if found else None) == command
    assert found is None or found.error == ERROR


def test_a_command_goes_before_a_traceback() -> None:
    assert reproduction(" make check ", traceback(("/a/app.py", "<module>")), PATHS) == Reproduction(
        command="make check"
    )


def test_only_names_of_the_repository_come_from_untrusted_text() -> None:
    hostile = traceback(("/x/$(touch pwned);app.py", "<module>"))
    assert reproduction("", hostile, PATHS) is None


def ended(code: int | None, err: str = "", *, late: bool = False) -> ExecResult:
    return ExecResult(exit_code=code, stdout=b"", stderr=err.encode(), seconds=0.5, timed_out=late)


GIVEN = Reproduction(command="python app.py")
GUESSED = Reproduction(command="python app.py", error=ERROR)
BAD, GOOD, OTHER, LATE = ended(1, f"  x\n{ERROR}"), ended(0), ended(2, "usage"), ended(None, late=True)
NONE, UNBUILT = ended(127, "sh: 1: pythn: not found"), ended(None, "cannot compile")


def judged(shown: Reproduction, before: Iterable[ExecResult], after: Iterable[ExecResult], *paths: str) -> Judged:
    base, head = list(before), list(after)
    files = tuple(FileChange(path=path, status="M") for path in paths)
    patch = Patch(base_tree="b" * 40, head_tree="a" * 40, files=files)
    return replayed(
        shown, base=lambda: base.pop(0), head=lambda: head.pop(0), times=2, patch=patch, progress=lambda _: None
    )


@pytest.mark.parametrize(
    ("shown", "before", "after", "verdict", "words"),
    [
        (GIVEN, [BAD] * 2, [GOOD] * 2, Verdict.PASSED, "ends with exit code 1 on the base, exit code 0 on the patch"),
        (GIVEN, [BAD], [BAD], Verdict.FAILED, "ends with exit code 1 on the patch, as on the base"),
        (GIVEN, [BAD], [OTHER], Verdict.FAILED, "ends with exit code 2 on the patch"),
        (GIVEN, [GOOD], [GOOD], Verdict.INCONCLUSIVE, "ends with exit code 0 on the base: it does not show the error"),
        (GIVEN, [NONE] * 2, [GOOD] * 2, Verdict.INCONCLUSIVE, "cannot be run on the base (sh: 1: pythn: not found)"),
        (GUESSED, [NONE], [NONE], Verdict.PASSED, "not shown again"),
        (GIVEN, [UNBUILT], [GOOD], Verdict.INCONCLUSIVE, "it does not show the error"),
        (GIVEN, [LATE], [GOOD], Verdict.INCONCLUSIVE, "was not done in time on the base"),
        (GIVEN, [BAD], [LATE], Verdict.INCONCLUSIVE, "was not done in time on the patch"),
        (GIVEN, [BAD, GOOD], [GOOD] * 2, Verdict.INCONCLUSIVE, "goes both ways on the base: failed 1 of 2 times"),
        (GIVEN, [BAD] * 2, [GOOD, BAD], Verdict.INCONCLUSIVE, "goes both ways on the patch: passed 1 of 2 times"),
        (GUESSED, [BAD] * 2, [GOOD] * 2, Verdict.PASSED, f"`{ERROR}` on the base, exit code 0 on the patch"),
        (GUESSED, [BAD], [BAD], Verdict.FAILED, "as on the base"),
        (GUESSED, [BAD], [OTHER], Verdict.INCONCLUSIVE, "shows the reported error no more, and ends with exit code 2"),
        (GUESSED, [OTHER], [OTHER], Verdict.PASSED, "not shown again"),
        (GUESSED, [LATE], [LATE], Verdict.PASSED, "not shown again"),
    ],
)
def test_what_its_runs_say(
    shown: Reproduction, before: list[ExecResult], after: list[ExecResult], verdict: Verdict, words: str
) -> None:
    found = judged(shown, before, after, "app.py")
    assert found.check.name == NAME
    assert (found.check.verdict, words in found.check.summary) == (verdict, True), found.check.summary
    refused = [f for f in found.findings if f.verdict is not Verdict.PASSED]
    assert [f.rule for f in refused] == (["fix.original-error"] if verdict is Verdict.FAILED else [])


def test_a_file_that_the_command_names_is_shown_to_the_reviewer_where_the_patch_changes_it() -> None:
    given = judged(Reproduction(command="sh ./repro.sh"), [BAD] * 2, [GOOD] * 2, "repro.sh", "app.py")
    assert [(f.path, f.review) for f in given.findings] == [("repro.sh", True)]
    assert judged(GUESSED, [BAD] * 2, [GOOD] * 2, "app.py").findings == ()
