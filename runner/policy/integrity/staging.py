"""What tests stand on: are they still there, of their own file, against the real code, and run as before?"""

from __future__ import annotations

import re
import unittest
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping

from runner.policy.integrity.matching import At, Matched, Pair
from runner.policy.integrity.model import Definition, Mark, Strength, Test, TestFile, shown
from runner.policy.integrity.python import always_skips
from runner.policy.integrity.python_stand_ins import replaced_by
from runner.policy.integrity.sides import SNAPSHOTS, TEST_DATA, Change, Seen, Sides
from runner.policy.integrity.weakened import ORDINARY, counts

_RECORDED = re.compile(r"^(?:exports\[`(.*)`\] = |# name: (?=.))([\s\S]*?)(?=^exports\[|^# name: |\Z)", re.MULTILINE)
_MOST_TOLD = 8
_ALIKE = 0.75
_FEW = 3
_SHORT = 2
_SHARED = 0.25
_MANY_MORE = 2
_RAISES = frozenset({"raises", "throws"})
_NAME_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NO_SUBJECT = frozenset({"test", "tests", "case", "it", "should"})  # in any name of a test
_GRAVE_SWITCHES = (
    "pytest_runtest", "pytest_collection", "pytest_ignore_collect", "pytest_sessionfinish", "pytest_report",
    "pytest_pyfunc_call", "pytest_itemcollected", "pytest_exception", "pytest_assertrepr", "pytest_fixture_setup",
    "pytest_terminal", "pytest_deselected", "pytest_pycollect", "pytest_collect", "pytest_cmdline", "pytest_load",
    "load_tests", "collect_ignore", "globals()",
)  # fmt: skip
_PREPARING = frozenset({
    "setUp", "setUpClass", "setUpModule", "asyncSetUp", "setup_method", "setup_class", "setup_module", "setup_function",
    "setup", "tearDown", "teardown_method",
})  # fmt: skip
_ASSERTIONS = frozenset(name for name in dir(unittest.TestCase) if name.startswith("assert")) | {"fail", "run"}


def unreadable(sides: Sides) -> Iterator[Seen]:
    """Test files of a language that we know, and that cannot be read."""
    for path, file in sides.head_tests.items():
        before = sides.base_tests.get(path)
        if not file.problem:
            continue
        grave = before is not None and not before.problem and bool(before.tests)
        yield Seen(
            "tests.unreadable",
            f"{path} cannot be read, so nobody can say what it tests ({shown(file.problem)})",
            "write it in a syntax that the judge's parser knows, or have a person look at it",
            path,
            grave=grave,
        )


def deleted(sides: Sides, matched: Matched, removed_names: frozenset[str]) -> Iterator[Seen]:
    """Tests with none in their place. `removed_names` are what the patch takes out of the product."""
    told: Counter[str] = Counter()
    heirs = _Heirs(matched.fresh)
    for path, test in matched.gone:
        file = sides.head_tests.get(path)
        if not counts(test) or (file is not None and file.problem):
            continue
        if test.made and all(matched.moved_claims[c.key] > 0 for c in test.made):
            continue  # its claims are made elsewhere now
        told[path] += 1
        if told[path] > _MOST_TOLD:
            continue
        of_removed = bool({*test.inside.calls, *_words(test.text)} & removed_names)
        why = ", with what it tested" if of_removed else ""
        if file is not None and test.name in file.fixtures:
            message = f"{test.name} is a fixture now, which no runner runs by itself"
            yield Seen("tests.disabled", message, "let it be a test", path, file.fixtures[test.name].line)
            continue
        heir = heirs.of(At(path, test)) if sides.product_changed and not of_removed else None
        if heir is not None:
            how = "calls the same" if _calls_alike(test, heir.test) else "is called much the same"
            why = f"; {heir.test.name}, which is new, {how}"
        yield Seen(
            "tests.deleted",
            f"{path}::{test.name} is gone{why}",
            "put the test back; if what it tested is meant to go, a person must say so",
            path,
            grave=not of_removed and heir is None,
        )
    for path, count in told.items():
        if count > _MOST_TOLD:
            yield Seen("tests.deleted", f"{count - _MOST_TOLD} more tests of {path} are gone", "put them back", path)


class _Heirs:
    """New tests that may stand in the place of deleted ones: each for no more than it has claims and cases."""

    def __init__(self, new: tuple[At, ...]) -> None:
        self._new = new
        self._left = {id(at.test): len(at.test.made) * max(1, len(at.test.inside.cases or ())) for at in new}

    def of(self, gone: At) -> At | None:
        """A new test that asserts as firmly, waits for an exception where this did, and calls most of what it called;
        or is called like it, and speaks of the same."""
        for at in self._new:
            if not self._left[id(at.test)] or not counts(at.test) or not _as_firm(gone.test, at.test):
                continue
            alike = at.path == gone.path and _named_alike(gone.test.name, at.test.name)
            if _calls_alike(gone.test, at.test) or (alike and _speaks_of_the_same(gone.test, at.test)):
                self._left[id(at.test)] -= 1
                return at
        return None


def _as_firm(gone: Test, new: Test) -> bool:
    """Whether a test says as much as another did: in one claim, or in many more."""
    firmest = max((c.strength for c in gone.made), default=Strength.TRUTHY)
    made = [c for c in new.made if not c.rarely]
    many = len(made) > _FEW and len(made) >= _MANY_MORE * len(gone.made)
    if not many and max((c.strength for c in made), default=Strength.NOTHING) < firmest:
        return False
    raising = [c for c in gone.made if c.kind in _RAISES]
    return len(raising) < len(gone.made) or any(c.kind in _RAISES for c in new.made) or not raising


def _speaks_of_the_same(gone: Test, new: Test) -> bool:
    """Whether two tests share what they call, or a good part of their words, their names left aside."""
    if gone.inside.calls & new.inside.calls - ORDINARY:
        return True
    said, says = ({w for w in _words(t.text) - _words(t.name) if len(w) > _SHORT} for t in (gone, new))
    return len(said & says) >= _SHARED * len(said)


def _calls_alike(gone: Test, new: Test) -> bool:
    called = gone.inside.calls - ORDINARY
    return bool(called) and 2 * len(called & new.inside.calls) >= len(called)


def _named_alike(gone: str, new: str) -> bool:
    """Whether a test's name says what another's said, and perhaps more: `test_options`, `test_options_disabled`."""
    said, says = _name_words(gone), _name_words(new)
    return len(said & says) > 1 and len(said & says) >= _ALIKE * len(said)


def _name_words(name: str) -> frozenset[str]:
    return frozenset(word.lower() for word in _NAME_WORD.findall(name)) - _NO_SUBJECT


def hollowed(sides: Sides, matched: Matched) -> Iterator[Seen]:
    """Functions that made claims for tests, are still called, and claim nothing any more."""
    for path, test in matched.gone:
        file = sides.head_tests.get(path)
        if file is None or not test.helper or test.name not in file.functions:
            continue
        if test.made and not all(matched.moved_claims[c.key] > 0 for c in test.made):
            message = f"{test.name}, which made assertions for tests, makes none any more"
            remedy = "leave it as it was; tests that call it would show nothing"
            yield Seen("tests.emptied", message, remedy, path, file.functions[test.name].line)


def _words(text: str) -> frozenset[str]:
    return frozenset("".join(c if c.isalnum() or c == "_" else " " for c in text).split())


def fresh(matched: Matched) -> Iterator[Seen]:
    """New tests that show nothing."""
    for path, test in matched.fresh:
        if test.helper:
            continue
        if test.off:
            yield _new("tests.disabled", f"the new {test.name} is never run: {test.off}", path, test.line, grave=False)
        always = next((s for s in test.skips if s.always), None)
        if always is not None:
            message = f"the new {test.name} does not count: `{shown(always.text)}`"
            yield _new("tests.skipped", message, path, always.line, grave=False)
        hollow = [c for c in test.claims if c.strength is Strength.NOTHING or c.lost]
        for claim in hollow:
            why = claim.lost or "it holds whatever the code does"
            message = f"`{shown(claim.text)}` of the new {test.name} shows nothing: {why}"
            yield _new("tests.hollow", message, path, claim.line, grave=not test.made)


def _new(rule: str, message: str, path: str, line: int, *, grave: bool) -> Seen:
    return Seen(rule, message, "write a test that fails where the code is wrong", path, line, grave)


def stand_ins(pairs: tuple[Pair, ...], fresh_tests: tuple[At, ...], product: Mapping[str, int]) -> Iterator[Seen]:
    """Tests that put something in the place of the code that the patch is about. `product`: names that it defines."""
    before = {(p.head.path, p.head.test.name): p.base.test.inside.replaces for p in pairs}
    for path, test in (*(p.head for p in pairs), *fresh_tests):
        for mark in _added(test.inside.replaces, before.get((path, test.name), ())):
            name = mark.text.rpartition("/")[2].partition(".")[0] if "/" in mark.text else mark.text
            if name in product:
                others = test.inside.calls & product.keys() - {name}  # still tested for real
                grave = (name in test.inside.calls and not others) or "/" in mark.text
                message = f"{test.name} puts a stand-in for `{shown(mark.text, 60)}`, which this patch changes"
                remedy = "test the real code; put stand-ins only for what it needs from outside"
                yield Seen("tests.mocked", message, remedy, path, mark.line, grave and (path, test.name) in before)


def _added(marks: Iterable[Mark], before: Iterable[Mark]) -> Iterator[Mark]:
    """The marks that there are more of than before."""
    known = Counter(mark.text for mark in before)
    for mark in marks:
        if known[mark.text] > 0:
            known[mark.text] -= 1
        else:
            yield mark


def planted(
    base: Mapping[str, TestFile], head: Mapping[str, TestFile], own: frozenset[str], imported: Callable[[str], bool]
) -> Iterator[Seen]:
    """What a test file puts into other modules when it is imported: then all tests see it. `own`: the product's."""
    for path, file in head.items():
        before = base.get(path)
        for mark in _added(file.plants, before.plants if before is not None else ()):
            top = mark.text.partition(".")[0]
            if top in own or imported(top):
                message = f"importing {path} puts something in the place of `{shown(mark.text, 60)}`, for all tests"
                remedy = "test the real code; put stand-ins into single tests, by a fixture"
                yield Seen("tests.mocked", message, remedy, path, mark.line, grave=top in own or "." not in mark.text)


def shadowed(
    base: Mapping[str, TestFile], head: Mapping[str, TestFile], removed_names: frozenset[str]
) -> Iterator[Seen]:
    """Names that a test file imported, and now defines itself, though the product still has them."""
    for path, file in head.items():
        before = base.get(path)
        if before is None or file.problem:
            continue
        for name in sorted(before.imports & file.defines.keys() - before.defines.keys() - removed_names):
            yield Seen(
                "tests.mocked",
                f"{path} imported `{name}`, and now makes one of its own to test",
                "test the real code",
                path,
                file.defines[name],
            )


def fixtures(base: Mapping[str, TestFile], head: Mapping[str, TestFile], product: Mapping[str, int]) -> Iterator[Seen]:
    """Fixtures that changed under tests, and new ones that act on tests which do not ask for them."""
    for path, file in head.items():
        before = base.get(path)
        if before is None or before.problem or file.problem:
            continue
        prepared = {n: d for n, d in file.functions.items() if n.rpartition("::")[2] in _PREPARING}
        old_prepared = {n: d for n, d in before.functions.items() if n.rpartition("::")[2] in _PREPARING}
        old = {**before.fixtures, **old_prepared}
        old_texts = {d.text for d in old.values()}
        for name, definition in {**file.fixtures, **prepared}.items():
            if definition.text in old_texts:
                continue
            always = name in file.always_on or name in prepared or name in old
            asked = any(n in before.tests and _asks_for(name, t) for n, t in file.tests.items())
            yield from _of_fixture(path, name, definition, product, grave=always or asked)
            if name in old:
                message = f"the fixture {name}, which tests that stay as they are stand on, changed"
                yield _fixture(message, path, definition.line)
            elif name in file.always_on:
                message = f"the new fixture {name} acts on every test of {path}"
                yield _fixture(message, path, definition.line)


def _of_fixture(
    path: str, name: str, definition: Definition, product: Mapping[str, int], *, grave: bool
) -> Iterator[Seen]:
    if always_skips(definition.text):
        message = f"{name} skips every test that it is for"
        yield Seen("tests.skipped", message, "let the tests run", path, definition.line, grave)
    for mark in replaced_by(definition.text):
        if mark.text in product:
            message = f"{name} puts a stand-in for `{shown(mark.text, 60)}`, which this patch changes"
            remedy = "test the real code; put stand-ins only for what it needs from outside"
            yield Seen("tests.mocked", message, remedy, path, definition.line, grave)


def _asks_for(fixture: str, test: Test) -> bool:
    return re.search(rf"\b{re.escape(fixture)}\b", test.text) is not None


def overridden(base: Mapping[str, TestFile], head: Mapping[str, TestFile]) -> Iterator[Seen]:
    """Assertions of unittest that a class of tests puts something of its own in the place of, which asserts nothing."""
    for path, file in head.items():
        before = base.get(path)
        for name, definition in file.functions.items():
            word = name.rpartition("::")[2]
            known = before is not None and name in before.functions
            if "::" in name and word in _ASSERTIONS and name not in file.tests and not known:
                message = f"{name} stands in the place of unittest's own assertion, and asserts nothing"
                yield Seen("tests.emptied", message, "leave the assertion as unittest has it", path, definition.line)


def _fixture(message: str, path: str, line: int) -> Seen:
    return Seen("tests.fixtures", message, "give a new test a fixture of its own", path, line, grave=False)


def data(sides: Sides) -> Iterator[Seen]:
    """Files of data beside the tests that changed or are gone: what tests read of them is another claim now."""
    unfounded = sides.fixes and not sides.product_changed
    for change in sides.changes:
        known = change.before is not None and change.old_path == change.path
        if known and change.path in SNAPSHOTS:
            yield from _recorded(change, unfounded=unfounded)
        elif known and change.path in TEST_DATA and sides.is_test(change.path) and change.before != change.after:
            what = "is gone" if change.after is None else "changed"
            message = f"{change.path}, from which tests may read what they give in and expect, {what}"
            remedy = "add cases, and leave those that there are"
            yield Seen("tests.expectations", message, remedy, change.path, grave=unfounded)


def _recorded(change: Change, *, unfounded: bool) -> Iterator[Seen]:
    """What a file of snapshots says otherwise now, or no more."""
    before, after = (_entries(content or b"") for content in (change.before, change.after))
    other = [name for name, value in before.items() if after.get(name) != value]
    if change.after is None or other:
        gone = [name for name in other if name not in after]
        names = ", ".join(f"`{shown(name, 60)}`" for name in other[:3]) or "all"
        what = f"{names} recorded anew" if not gone else f"{names} gone, so that whatever comes is recorded next time"
        message = f"{change.path} keeps what tests expect: {what}"
        remedy = "leave what was recorded, and mend the code"
        yield Seen("tests.expectations", message, remedy, change.path, grave=unfounded or bool(gone))


def _entries(content: bytes) -> Mapping[str, str]:
    """The entries of a file of snapshots by their names; one without a name where it has none."""
    text = content.decode("utf-8", "replace")
    found = {m[1]: m[2].strip() for m in _RECORDED.finditer(text)}
    return found or ({"": text} if text.strip() else {})


def switches(base: Mapping[str, TestFile], head: Mapping[str, TestFile]) -> Iterator[Seen]:
    """What acts on the whole run: hooks, plugins, ignored files, `.only`."""
    for path, file in head.items():
        before = base.get(path)
        for mark in _added(file.switches, before.switches if before is not None else ()):
            alone = "no other test" in mark.text
            grave = alone or mark.text.removeprefix("def ").startswith(_GRAVE_SWITCHES)
            rule = "tests.skipped" if alone else "tests.configuration"
            message = f"`{shown(mark.text)}` changes which tests run, or what becomes of their results"
            yield Seen(rule, message, "leave the run of the tests as it is", path, mark.line, grave)
