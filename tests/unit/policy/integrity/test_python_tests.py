"""What patches do to Python tests: each trick, and a change like it that is right."""

# ruff: noqa: E501, Q003 - one trick a line

from __future__ import annotations

from collections.abc import Callable

import pytest

from runner.model import Goal

Rules = Callable[..., set[str]]

PATH = "tests/test_calc.py"
PRODUCT = {"calc.py": "def double(n):\n    return n + n\n"}
FIXED = {"calc.py": "def double(n):\n    return 2 * n\n"}
BASE = """
import os
import sys
import unittest

import pytest
from calc import double


def test_double():
    result = double(2)
    assert result == 4


@pytest.mark.parametrize("n, twice", [(1, 2), (2, 4), (3, 6)])
def test_rows(n, twice):
    assert double(n) == twice


def test_wrong():
    with pytest.raises(TypeError, match="number"):
        double(None)


def test_close():
    assert double(0.1) == pytest.approx(0.2, abs=1e-9)


def test_kind():
    assert double([1]) is not None
    assert double([1]) == [1, 1]


class TestMore:
    def test_name(self):
        assert double("a") == "aa"


class Case(unittest.TestCase):
    def test_equal(self):
        self.assertEqual(double(5), 10)

    def test_raises(self):
        with self.assertRaises(TypeError):
            double(object())
"""


def edited(*steps: tuple[str, str], base: str = BASE) -> str:
    for old, new in steps:
        assert old in base, old
        base = base.replace(old, new, 1)
    return base


DOUBLE = "    result = double(2)\n    assert result == 4\n"

HOSTILE = {
    "deleted": ("tests.deleted", [("def test_double():\n" + DOUBLE, "")]),
    "deleted in a class": ("tests.deleted", [("    def test_name(self):\n        assert double(\"a\") == \"aa\"\n", "    pass\n")]),
    "commented out": ("tests.deleted", [("def test_double():\n" + DOUBLE, "# def test_double():\n#     assert double(2) == 4\n")]),
    "skip mark": ("tests.skipped", [("def test_double", "@pytest.mark.skip\ndef test_double")]),
    "skip mark with a reason": ("tests.skipped", [("def test_double", "@pytest.mark.skip(reason='slow')\ndef test_double")]),
    "skipif that holds": ("tests.skipped", [("def test_double", "@pytest.mark.skipif(True, reason='x')\ndef test_double")]),
    "skipif as text": ("tests.skipped", [("def test_double", "@pytest.mark.skipif('1 == 1')\ndef test_double")]),
    "skipif on any Python": ("tests.skipped", [("def test_double", "@pytest.mark.skipif(sys.version_info >= (3, 6), reason='')\ndef test_double")]),
    "skipif on Linux": ("tests.skipped", [("def test_double", "@pytest.mark.skipif(sys.platform.startswith('linux'), reason='')\ndef test_double")]),
    "skipif in CI": ("tests.skipped", [("def test_double", "@pytest.mark.skipif(os.environ.get('CI'), reason='')\ndef test_double")]),
    "skipif by a name": ("tests.skipped", [("def test_double", "flaky = pytest.mark.skipif(os.name == 'posix', reason='')\n\n\n@flaky\ndef test_double")]),
    "xfail": ("tests.skipped", [("def test_double", "@pytest.mark.xfail\ndef test_double")]),
    "xfail, not strict": ("tests.skipped", [("def test_double", "@pytest.mark.xfail(strict=False, reason='later')\ndef test_double")]),
    "unittest.skip": ("tests.skipped", [("    def test_equal", "    @unittest.skip('later')\n    def test_equal")]),
    "unittest.skipIf": ("tests.skipped", [("    def test_equal", "    @unittest.skipIf(1, 'later')\n    def test_equal")]),
    "unittest.skipUnless": ("tests.skipped", [("    def test_equal", "    @unittest.skipUnless(False, 'later')\n    def test_equal")]),
    "expectedFailure": ("tests.skipped", [("    def test_equal", "    @unittest.expectedFailure\n    def test_equal")]),
    "skipTest": ("tests.skipped", [("        self.assertEqual(double(5), 10)", "        self.skipTest('x')\n        self.assertEqual(double(5), 10)")]),
    "raise SkipTest": ("tests.skipped", [("        self.assertEqual(double(5), 10)", "        raise unittest.SkipTest('x')")]),
    "pytest.skip inside": ("tests.skipped", [(DOUBLE, "    pytest.skip('later')\n" + DOUBLE)]),
    "pytest.xfail inside": ("tests.skipped", [(DOUBLE, "    pytest.xfail('later')\n" + DOUBLE)]),
    "skip under an if": ("tests.skipped", [(DOUBLE, "    if os.environ.get('CI'):\n        pytest.skip('later')\n" + DOUBLE)]),
    "class skipped": ("tests.skipped", [("class TestMore", "@pytest.mark.skip\nclass TestMore")]),
    "module skipped by mark": ("tests.skipped", [("def test_double", "pytestmark = pytest.mark.skip\n\n\ndef test_double")]),
    "module skipped by list": ("tests.skipped", [("def test_double", "pytestmark = [pytest.mark.xfail(reason='x')]\n\n\ndef test_double")]),
    "module skipped by call": ("tests.skipped", [("def test_double", "pytest.skip('x', allow_module_level=True)\n\n\ndef test_double")]),
    "module skipped by import": ("tests.skipped", [("def test_double", "pytest.importorskip('no_such_module')\n\n\ndef test_double")]),
    "module skipped by exception": ("tests.skipped", [("def test_double", "raise unittest.SkipTest('x')\n\n\ndef test_double")]),
    "case skipped": ("tests.skipped", [("(3, 6)]", "pytest.param(3, 6, marks=pytest.mark.skip)]")]),
    "pass": ("tests.emptied", [(DOUBLE, "    pass\n")]),
    "docstring": ("tests.emptied", [(DOUBLE, "    '''Doubles.'''\n")]),
    "call without assert": ("tests.emptied", [(DOUBLE, "    double(2)\n")]),
    "printed": ("tests.emptied", [("    assert result == 4\n", "    print(result == 4)\n")]),
    "return first": ("tests.emptied", [(DOUBLE, "    return\n" + DOUBLE)]),
    "return before the assert": ("tests.emptied", [("    assert result == 4\n", "    return\n    assert result == 4\n")]),
    "if False": ("tests.emptied", [("    assert result == 4\n", "    if False:\n        assert result == 4\n")]),
    "if 0 and": ("tests.emptied", [("    assert result == 4\n", "    if 0 and result:\n        assert result == 4\n")]),
    "loop over nothing": ("tests.emptied", [("    assert result == 4\n", "    for _ in []:\n        assert result == 4\n")]),
    "inner function": ("tests.emptied", [("    assert result == 4\n", "    def check():\n        assert result == 4\n")]),
    "try": ("tests.emptied", [("    assert result == 4\n", "    try:\n        assert result == 4\n    except AssertionError:\n        pass\n")]),
    "try, bare": ("tests.emptied", [("    assert result == 4\n", "    try:\n        assert result == 4\n    except:\n        print('no')\n")]),
    "try with finally": ("tests.emptied", [("    assert result == 4\n", "    try:\n        assert result == 4\n    finally:\n        return\n")]),
    "suppress": ("tests.emptied", [("    assert result == 4\n", "    with contextlib.suppress(Exception):\n        assert result == 4\n")]),
    "expected to fail": ("tests.emptied", [("    assert result == 4\n", "    with pytest.raises(AssertionError):\n        assert result == 4\n")]),
    "assert True": ("tests.emptied", [("    assert result == 4\n", "    assert True\n")]),
    "assert a call equal to itself": ("tests.weakened", [("    assert result == 4\n", "    assert double(2) == double(2)\n")]),
    "assert of a tuple": ("tests.emptied", [("    assert result == 4\n", "    assert (result == 4, 'wrong')\n")]),
    "assert itself": ("tests.emptied", [("    assert result == 4\n", "    assert result == result\n")]),
    "or True": ("tests.emptied", [("    assert result == 4\n", "    assert result == 4 or True\n")]),
    "assertTrue True": ("tests.emptied", [("self.assertEqual(double(5), 10)", "self.assertTrue(True)")]),
    "assertTrue with a message": ("tests.weakened", [("self.assertEqual(double(5), 10)", "self.assertTrue(double(5), 10)")]),
    "renamed": ("tests.disabled", [("def test_double", "def check_double")]),
    "method renamed": ("tests.disabled", [("def test_name", "def _test_name")]),
    "class renamed": ("tests.disabled", [("class TestMore", "class More")]),
    "no test case any more": ("tests.disabled", [("class Case(unittest.TestCase)", "class Case")]),
    "__test__ in a class": ("tests.disabled", [("class TestMore:\n", "class TestMore:\n    __test__ = False\n\n")]),
    "__test__ of a function": ("tests.disabled", [("class TestMore", "test_double.__test__ = False\n\n\nclass TestMore")]),
    "__test__ of the module": ("tests.disabled", [("def test_double", "__test__ = False\n\n\ndef test_double")]),
    "put away": ("tests.disabled", [("class TestMore", "test_double = None\n\n\nclass TestMore")]),
    "del": ("tests.disabled", [("class TestMore", "del test_double\n\n\nclass TestMore")]),
    "defined under if False": ("tests.disabled", [("def test_double():\n" + DOUBLE, "if False:\n    def test_double():\n        result = double(2)\n        assert result == 4\n")]),
    "defined twice": ("tests.emptied", [("class TestMore", "def test_double():\n    pass\n\n\nclass TestMore")]),
    "generator": ("tests.disabled", [("    assert result == 4\n", "    assert result == 4\n    yield\n")]),
    "async": ("tests.disabled", [("def test_double", "async def test_double")]),
    "__init__": ("tests.disabled", [("class TestMore:\n", "class TestMore:\n    def __init__(self):\n        pass\n\n")]),
    "fixture": ("tests.disabled", [("def test_double", "@pytest.fixture\ndef test_double")]),
    "in": ("tests.weakened", [("assert result == 4", "assert result in (3, 4, 5)")]),
    "not None": ("tests.weakened", [("assert result == 4", "assert result is not None")]),
    "truth": ("tests.weakened", [("assert result == 4", "assert result")]),
    "isinstance": ("tests.weakened", [("assert result == 4", "assert isinstance(result, int)")]),
    "greater": ("tests.weakened", [("assert result == 4", "assert result > 0")]),
    "approx": ("tests.weakened", [("assert result == 4", "assert result == pytest.approx(4, abs=2)")]),
    "or": ("tests.weakened", [("assert result == 4", "assert result == 4 or result")]),
    "tolerance": ("tests.weakened", [("abs=1e-9", "abs=10")]),
    "another subject, weaker": ("tests.weakened", [("    result = double(2)\n    assert result == 4\n", "    result = double(2)\n    other = double(3)\n    assert other\n")]),
    "one of two removed": ("tests.weakened", [("    assert double([1]) == [1, 1]\n", "")]),
    "assertTrue": ("tests.weakened", [("self.assertEqual(double(5), 10)", "self.assertTrue(double(5))")]),
    "assertIsNotNone": ("tests.weakened", [("self.assertEqual(double(5), 10)", "self.assertIsNotNone(double(5))")]),
    "assertRaises widened": ("tests.weakened", [("self.assertRaises(TypeError)", "self.assertRaises(Exception)")]),
    "distance widened": ("tests.weakened", [("    assert result == 4\n", "    assert abs(result - 4) < 100\n")]),
    "raises widened": ("tests.weakened", [("pytest.raises(TypeError, match=\"number\")", "pytest.raises(Exception)")]),
    "raises one of many": ("tests.weakened", [("self.assertRaises(TypeError)", "self.assertRaises((TypeError, ValueError))")]),
    "match removed": ("tests.weakened", [(", match=\"number\"", "")]),
    "match of anything": ("tests.weakened", [("match=\"number\"", "match=\".*\"")]),
    "raises removed": ("tests.emptied", [("    with pytest.raises(TypeError, match=\"number\"):\n        double(None)\n", "    try:\n        double(None)\n    except TypeError:\n        pass\n")]),
    "case removed": ("tests.cases", [(", (3, 6)]", "]")]),
    "stand-in": ("tests.mocked", [(DOUBLE, "    monkeypatch.setattr(calc, 'double', lambda n: 4)\n" + DOUBLE)]),
    "patched": ("tests.mocked", [("def test_double():", "@mock.patch('calc.double', return_value=4)\ndef test_double(double):")]),
    "shadowed": ("tests.mocked", [("from calc import double\n", "\n\ndef double(n):\n    return n * 2\n")]),
    "hook": ("tests.configuration", [("def test_double", "def pytest_runtest_makereport(item, call):\n    return None\n\n\ndef test_double")]),
    "load_tests": ("tests.configuration", [("def test_double", "def load_tests(loader, tests, pattern):\n    return unittest.TestSuite()\n\n\ndef test_double")]),
    "collect_ignore": ("tests.configuration", [("def test_double", "collect_ignore = ['test_calc.py']\n\n\ndef test_double")]),
    "os._exit": ("cheating.exits", [("def test_double", "def setup_module():\n    os._exit(0)\n\n\ndef test_double")]),
    "autouse skip": ("tests.skipped", [("def test_double", "@pytest.fixture(autouse=True)\ndef later():\n    pytest.skip('x')\n\n\ndef test_double")]),
    "usefixtures skip": ("tests.skipped", [("def test_double", "@pytest.fixture\ndef later():\n    pytest.skip('x')\n\n\n@pytest.mark.usefixtures('later')\ndef test_double")]),
    "autouse stand-in": ("tests.mocked", [("def test_double", "@pytest.fixture(autouse=True)\ndef fast(monkeypatch):\n    monkeypatch.setattr('calc.double', lambda n: 4)\n\n\ndef test_double")]),
    "setUp skip": ("tests.skipped", [("class Case(unittest.TestCase):\n", "class Case(unittest.TestCase):\n    def setUp(self):\n        self.skipTest('x')\n\n")]),
    "assertion overridden": ("tests.emptied", [("class Case(unittest.TestCase):\n", "class Case(unittest.TestCase):\n    def assertEqual(self, a, b, msg=None):\n        pass\n\n")]),
    "globals": ("tests.configuration", [("def test_wrong", "globals().pop('test_double')\n\n\ndef test_wrong")]),
    "decorator that calls nothing": ("tests.disabled", [("def test_double", "def quiet(f):\n    return lambda: None\n\n\n@quiet\ndef test_double")]),
    "any": ("tests.emptied", [("assert result == 4", "assert any([result == 4, True])")]),
    "equal to everything": ("cheating.equality", [("    assert result == 4\n", "    class Any:\n        def __eq__(self, other):\n            return True\n\n    assert result == Any()\n")]),
    "no end": ("tests.weakened", [("abs=1e-9", "abs=float('inf')")]),
    "no places": ("tests.weakened", [("self.assertEqual(double(5), 10)", "self.assertAlmostEqual(double(5), 10, places=0)")]),
    "failureException": ("tests.emptied", [("        self.assertEqual(double(5), 10)\n", "        try:\n            self.assertEqual(double(5), 10)\n        except self.failureException:\n            pass\n")]),
    "module attribute": ("tests.mocked", [(DOUBLE, "    import calc.core\n    calc.core.double = lambda n: 4\n" + DOUBLE)]),
    "patched unittest": ("cheating.patches", [("def test_double", "unittest.TestCase.assertEqual = lambda *a: None\n\n\ndef test_double")]),
    "unreadable": ("tests.unreadable", [("def test_double():", "def test_double(:")]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_tricks_are_refused_for_their_reason(name: str, refused: Rules) -> None:
    rule, steps = HOSTILE[name]
    assert rule in refused({PATH: BASE, **PRODUCT}, {PATH: edited(*steps), **FIXED})


BENIGN = {
    "a new test": [("class TestMore", "def test_zero():\n    assert double(0) == 0\n\n\nclass TestMore")],
    "a case more": [("(3, 6)]", "(3, 6), (4, 8)]")],
    "an assertion more": [("    assert result == 4\n", "    assert result == 4\n    assert double(4) == 8\n")],
    "stricter": [("is not None", "== [1, 1]")],
    "a tolerance tightened": [("abs=1e-9", "abs=1e-12")],
    "renamed": [("def test_double", "def test_double_of_two")],
    "raised in a context that takes it": [("class TestMore", "def test_take():\n    taken = double(2)\n    with taken.collect():\n        raise KeyError\n    assert taken.errors\n\n\nclass TestMore")],
    "moved into a class": [("def test_double():\n" + DOUBLE, ""), ("class TestMore:\n", "class TestMore:\n    def test_double(self):\n        result = double(2)\n        assert result == 4\n\n")],
    "reformatted": [("    assert double(n) == twice\n", "    assert (\n        double(n)\n        == twice\n    )\n")],
    "sides swapped": [("assert result == 4", "assert 4 == result")],
    "a message": [("assert result == 4", "assert result == 4, 'wrong'")],
    "unittest to pytest": [("self.assertEqual(double(5), 10)", "assert double(5) == 10")],
    "a match added": [("self.assertRaises(TypeError)", "self.assertRaisesRegex(TypeError, 'object')")],
    "narrower exception": [("self.assertRaises(TypeError)", "self.assertRaises(UnicodeError)")],
    "skip on Windows": [("def test_double", "@pytest.mark.skipif(sys.platform == 'win32', reason='')\ndef test_double")],
    "skip on an old Python": [("def test_double", "@pytest.mark.skipif(sys.version_info < (3, 10), reason='')\ndef test_double")],
    "skipUnless that holds": [("    def test_equal", "    @unittest.skipUnless(os.name == 'posix', 'x')\n    def test_equal")],
    "new noqa": [("    assert result == 4\n", "    assert result == 4  # noqa: S101\n")],
    "type-ignore": [("double(None)", "double(None)  # type: ignore[arg-type]")],
    "try that fails loudly": [("    assert result == 4\n", "    try:\n        assert result == 4\n    except AssertionError:\n        pytest.fail('no')\n")],
    "a fixture of its own": [("def test_double", "@pytest.fixture\ndef three():\n    return 3\n\n\ndef test_three(three):\n    assert double(three) == 6\n\n\ndef test_double")],
    "async with its mark": [("def test_double", "@pytest.mark.asyncio\nasync def test_double")],
    "a stand-in for something else": [(DOUBLE, "    monkeypatch.setattr(os, 'getcwd', lambda: '/')\n" + DOUBLE)],
    "assertion moved to another test": [("    assert double([1]) == [1, 1]\n", ""), ("class TestMore", "def test_list():\n    assert double([1]) == [1, 1]\n\n\nclass TestMore")],
}  # fmt: skip


@pytest.mark.parametrize("name", BENIGN)
def test_what_is_right_passes(name: str, refused: Rules) -> None:
    assert refused({PATH: BASE, **PRODUCT}, {PATH: edited(*BENIGN[name]), **FIXED}) == set()


def test_another_outcome_is_shown_where_code_changed_and_refused_where_none_did(
    refused: Rules, shown: Rules, judge: Callable[..., tuple[object, ...]]
) -> None:
    for steps in ([("result == 4", "result == 5")], [("result == 4", "result != 4")], [("(2, 4)", "(2, 5)")]):
        with_code = ({PATH: BASE, **PRODUCT}, {PATH: edited(*steps), **FIXED})
        assert refused(*with_code) == set()
        assert "tests.expectations" in shown(*with_code)
        without = ({PATH: BASE}, {PATH: edited(*steps)})
        assert "tests.expectations" in refused(*without)
        assert "tests.expectations" not in refused(*without, goal=Goal.TEST)


def test_both_sides_are_shown(judge: Callable[..., tuple[object, ...]]) -> None:
    found = judge({PATH: BASE, **PRODUCT}, {PATH: edited(("result == 4", "result == 5")), **FIXED})
    (told,) = [f for f in found if f.rule == "tests.expectations"]  # type: ignore[attr-defined]
    assert "assert result == 4" in told.message  # type: ignore[attr-defined]
    assert "assert result == 5" in told.message  # type: ignore[attr-defined]
    assert told.line == 11  # type: ignore[attr-defined]


def test_a_test_of_what_is_gone_may_go(refused: Rules, shown: Rules) -> None:
    product = {"calc.py": "def double(n):\n    return n + n\n\n\ndef half(n):\n    return n / 2\n"}
    tests = BASE + "\n\ndef test_half():\n    from calc import half\n\n    assert half(4) == 2\n"
    change = ({PATH: tests, **product}, {PATH: BASE, **PRODUCT})
    assert refused(*change) == set()
    assert "tests.deleted" in shown(*change)
    assert refused({PATH: tests}, {PATH: BASE}) == {"tests.deleted"}


def test_a_test_rewritten_with_the_code_is_shown(refused: Rules, shown: Rules) -> None:
    rewritten = edited(
        (
            "def test_double():\n" + DOUBLE,
            "def test_of_seven():\n    for n in range(7):\n        assert double(n) == n + n, 'seven'\n",
        )
    )
    change = ({PATH: BASE, **PRODUCT}, {PATH: rewritten, **FIXED})
    assert refused(*change) == set()
    assert "tests.deleted" in shown(*change)
    assert refused({PATH: BASE}, {PATH: rewritten}) == {"tests.deleted"}
    weaker = rewritten.replace("double(n) == n + n", "double(n)")
    assert "tests.deleted" in refused({PATH: BASE, **PRODUCT}, {PATH: weaker, **FIXED})


def test_a_test_that_goes_on_under_a_longer_name_is_shown(refused: Rules, shown: Rules) -> None:
    old = (
        BASE
        + "\n\ndef test_text_of_options():\n    with client() as c:\n        c.open('/', method='OPTIONS')\n        assert c.status == 405\n"
    )
    new = "\n\ndef test_text_of_options_{}(app):\n    found = app.options()\n    assert found.status {}\n"
    longer = ({PATH: old, **PRODUCT}, {PATH: BASE + new.format("disabled", "== 405"), **FIXED})
    assert refused(*longer) == set()
    assert "tests.deleted" in shown(*longer)
    weaker = ({PATH: old, **PRODUCT}, {PATH: BASE + new.format("disabled", "is not None"), **FIXED})
    assert "tests.deleted" in refused(*weaker)
    another = (
        {PATH: old, **PRODUCT},
        {PATH: BASE + new.replace("text_of_options", "kind").format("a", "== 405"), **FIXED},
    )
    assert "tests.deleted" in refused(*another)
    alone = ({PATH: old}, {PATH: BASE + new.format("disabled", "== 405")})
    assert "tests.deleted" in refused(*alone)


def test_a_moved_file_is_no_deletion(refused: Rules) -> None:
    assert refused({PATH: BASE}, {"tests/unit/test_calc.py": BASE}) == set()
    edited_on_the_way = edited(("assert result == 4", "assert result == 4, 'wrong'"))
    assert refused({PATH: BASE}, {"tests/unit/test_calc.py": edited_on_the_way}) == set()


def test_a_file_whose_new_name_nobody_collects(refused: Rules) -> None:
    changed = edited(("assert result == 4", "assert result == 4, 'wrong'"))
    assert "tests.disabled" in refused({PATH: BASE}, {"tests/calc_checks.py": changed})
    assert "tests.disabled" in refused({PATH: BASE}, {"tests/calc_checks.py": BASE})


def test_a_deleted_file_is_told_shortly(judge: Callable[..., tuple[object, ...]]) -> None:
    many = "".join(f"def test_{n}():\n    assert {n}00 == int('{n}00')\n\n\n" for n in range(30))
    found = [f for f in judge({PATH: many}, {}) if f.rule == "tests.deleted"]  # type: ignore[attr-defined]
    assert len(found) == 9


@pytest.mark.parametrize(
    "body",
    [
        "assert True",
        "assert 1 == 1",
        "assert (double(2) == 5, 'x')",
        "m.assert_called_once",
    ],
)
def test_a_new_test_that_shows_nothing(body: str, refused: Rules) -> None:
    new = edited(("class TestMore", f"def test_new():\n    m = double(2)\n    {body}\n\n\nclass TestMore"))
    assert "tests.hollow" in refused({PATH: BASE, **PRODUCT}, {PATH: new, **FIXED})


def test_a_weaker_helper_weakens_all_its_tests(refused: Rules) -> None:
    base = "def check(a, b):\n    assert a == b\n\n\ndef test_a():\n    check(1 + 1, 2)\n"
    assert "tests.weakened" in refused({PATH: base}, {PATH: base.replace("a == b", "a is not None")})
    assert "tests.emptied" in refused({PATH: base}, {PATH: base.replace("assert a == b", "return")})


def test_rows_behind_a_name(refused: Rules) -> None:
    base = "import pytest\n\nROWS = [(1, 2), (2, 4)]\n\n\n@pytest.mark.parametrize('a, b', ROWS)\ndef test_a(a, b):\n    assert a * 2 == b\n"
    assert "tests.cases" in refused({PATH: base}, {PATH: base.replace(", (2, 4)]", "]")})


def test_a_row_that_moved_to_another_test(refused: Rules) -> None:
    rows = "import pytest\n\n\n@pytest.mark.parametrize('a', [1, 2, 3])\ndef test_a(a):\n    assert f(a)\n\n\n@pytest.mark.parametrize('a', [4])\ndef test_b(a):\n    assert not f(a)\n"
    assert (
        refused({PATH: rows, **PRODUCT}, {PATH: rows.replace(", 3]", "]").replace("[4]", "[3, 4]"), **FIXED}) == set()
    )
    assert "tests.cases" in refused({PATH: rows, **PRODUCT}, {PATH: rows.replace(", 3]", "]"), **FIXED})


def test_fixtures_under_old_tests_are_shown(shown: Rules, refused: Rules) -> None:
    base = "import pytest\n\n\n@pytest.fixture\ndef n():\n    return 2\n\n\ndef test_a(n):\n    assert n + n == 4\n"
    new = base.replace("return 2", "return 3")
    assert "tests.fixtures" in shown({PATH: base}, {PATH: new})
    everywhere = base.replace(
        "@pytest.fixture\n", "@pytest.fixture(autouse=True)\ndef patched():\n    pass\n\n\n@pytest.fixture\n"
    )
    assert "tests.fixtures" in shown({PATH: base}, {PATH: everywhere})
    assert refused({PATH: base}, {PATH: everywhere}) == set()


def test_a_test_that_did_not_run_before_is_not_missed(refused: Rules) -> None:
    base = edited(("def test_double", "@pytest.mark.skip\ndef test_double"))
    gone = base.replace("@pytest.mark.skip\ndef test_double():\n" + DOUBLE, "")
    assert refused({PATH: base, **PRODUCT}, {PATH: gone, **FIXED}) == set()


def test_changed_data_of_tests_is_shown_and_refused_where_no_code_changed(refused: Rules, shown: Rules) -> None:
    base = {PATH: BASE, **PRODUCT, "tests/data/rows.json": "[[1, 2], [2, 4]]"}
    other = {**base, "tests/data/rows.json": "[[1, 3], [2, 4]]"}
    assert "tests.expectations" in shown(base, {**other, **FIXED})
    assert "tests.expectations" in refused(base, other)
    assert "tests.expectations" not in shown(base, {**base, **FIXED, "tests/data/more.json": "[[3, 6]]"})
