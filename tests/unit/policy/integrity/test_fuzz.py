"""Whatever the files hold: an answer, never an exception, and never silence about what cannot be read."""

# ruff: noqa: E501, PLR0917 - a list of pieces; a patch has that many sides

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner.model import Finding, Verdict
from runner.policy.case import Blobs, Case
from runner.policy.evaluate import evaluate
from runner.policy.integrity.configuration import _reader
from runner.policy.integrity.javascript import read_javascript
from runner.policy.integrity.model import TestFile
from runner.policy.integrity.python import read_python
from runner.policy.integrity.rules import INTEGRITY
from runner.policy.schema import load_policy

Judge = Callable[..., tuple[Finding, ...]]

PIECES = [
    "def test_a():\n", "    assert ", "x == 1", "x", " or True", "\n", "    ", "pass", "if False:\n", "return", "(", ")", "[", "]",
    "@pytest.mark.skip\n", "@pytest.mark.parametrize('a', [1, 2])\n", "with pytest.raises(", "):", "try:\n", "except:\n",
    "finally:\n", "class TestX:\n", "async ", "yield", "lambda: 0", "match x:\n", "case 1:\n", "*a", "**k", "del x", "'", '"""',
    "\\", "\x0c", "\x00", "é", "\ufeff", "self.assertEqual(a, b)", "pytestmark = pytest.mark.skip\n", "os._exit(0)",
    "__eq__ = lambda s, o: True\n", "{7: 49}.get(n)", "1e999", "-1", "pytest.approx(1, abs=1)", "10**10**10", "f'{x!r:>{w}}'",
]  # fmt: skip
JS_PIECES = [
    "it('a', () => {", "});", "expect(", "x", ")", ".toBe(", "4", ".not", ".toThrow()", "describe", ".skip", ".only", ".each`a|b`",
    "test.each([[1]])('x', ", "if (false) {", "}", "return;", "try {", "} catch {}", "=>", "<div>", "`${a}`", "/x/", "'", "\n",
    "import a from 'b';", "process.exit(0)", "typeof jest !== 'undefined'", "({ skip: true })", "class A { equals() { return true } }",
    "\x00", "é", "\u2028", ".catch(() => {})", "switch (n) { case 7: return 49 }", "export default", "@dec", ": string", "as any",
]  # fmt: skip


def sources(pieces: list[str]) -> st.SearchStrategy[bytes]:
    grammar = st.lists(st.sampled_from(pieces), max_size=25).map(lambda p: "".join(p).encode("utf-8", "replace"))
    return st.one_of(
        grammar, st.binary(max_size=200), st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace"))
    )


def read_whole(file: TestFile) -> None:
    for test in file.tests.values():
        assert isinstance(test.inside.claims, tuple)


@settings(max_examples=300, deadline=None)
@given(sources(PIECES))
def test_any_python(source: bytes) -> None:
    file = read_python(source, "tests/test_x.py")
    read_whole(file)
    try:
        compile(source, "x", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        pass
    else:
        assert not file.problem


@settings(max_examples=300, deadline=None)
@given(sources(JS_PIECES), st.sampled_from([".js", ".ts", ".tsx"]))
def test_any_javascript(source: bytes, suffix: str) -> None:
    read_whole(read_javascript(source, "tests/x.test" + suffix))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sources(PIECES), sources(PIECES), sources(JS_PIECES), sources(JS_PIECES), st.sampled_from(["", "import pytest\n"])
)
def test_any_patch(judge: Judge, one: bytes, two: bytes, three: bytes, four: bytes, first: str) -> None:
    base = {"tests/test_x.py": first.encode() + one, "x.py": two, "x.js": three, "tests/x.test.js": four}
    head = {"tests/test_x.py": first.encode() + two, "x.py": one, "x.js": four, "tests/x.test.js": three}
    assert Verdict.ERROR not in {f.verdict for f in judge(base, head)}


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["pyproject.toml", "setup.cfg", "package.json", "tox.ini"]),
    st.one_of(
        st.binary(max_size=100),
        st.lists(
            st.sampled_from(["[tool.pytest]\n", "[tool]\n", "pytest = 1\n", "{", "}", '"jest"', ":", "[pytest]\n", "[", "a=b\n", '"scripts"']),
            max_size=12,
        ).map(lambda p: "".join(p).encode()),
    ),
)  # fmt: skip
def test_any_settings(name: str, content: bytes) -> None:
    reader = _reader(name)
    assert reader is not None
    assert reader(content) is None or isinstance(reader(content), dict)


@pytest.mark.parametrize(
    "source",
    [
        b"x = " + b"(" * 5000 + b")" * 5000,
        b"x = " + b"-" * 20000 + b"1",
        b"x = " + b".a".join([b"y"] * 30000),
        b"def test_a():\n" + b"".join(b" " * i + b"if x:\n" for i in range(1, 90)) + b" " * 90 + b"pass\n",
        b"def test_a():\n    assert " + b" + ".join([b"1"] * 5000) + b" == 3\n",
    ],
)
def test_deep_python_is_told_and_not_fatal(source: bytes, judge: Judge) -> None:
    base = b"def test_a():\n    assert f() == 3\n"
    found = judge({"tests/test_x.py": base, "x.py": base}, {"tests/test_x.py": source, "x.py": source})
    assert Verdict.ERROR not in {f.verdict for f in found}
    assert Verdict.FAILED in {f.verdict for f in found}


def test_what_is_too_large_to_be_read_is_told(make_case: Callable[..., Case]) -> None:
    case = make_case(
        {"x.py": b"a = 1\n", "tests/test_x.py": b"b = 1\n"}, {"x.py": b"a = 2\n", "tests/test_x.py": b"b = 2\n"}
    )
    sizes = dict.fromkeys(case.blobs.contents, 5 << 20)
    found = evaluate(load_policy("default"), replace(case, blobs=Blobs(sizes=sizes)), (INTEGRITY,))
    assert {f.rule for f in found if f.verdict is Verdict.FAILED} == {"tests.unreadable", "cheating.unreadable"}


def test_a_long_chain_is_no_error(judge: Judge) -> None:
    source = b"import sys\nx = 'pytest' in sys" + b".b('test')" * 400 + b"\n"
    assert Verdict.ERROR not in {f.verdict for f in judge({}, {"tests/test_x.py": source, "x.py": source})}


@pytest.mark.parametrize(
    "source", [b"x = " + b"(" * 5000 + b"1" + b")" * 5000, b"if (a) {" * 3000 + b"}" * 3000, b"a" + b".b()" * 1000]
)
def test_deep_javascript_is_told_and_not_fatal(source: bytes, judge: Judge) -> None:
    base = b"it('a', () => { expect(f()).toBe(3); });\n"
    found = judge({"tests/x.test.js": base, "x.js": base}, {"tests/x.test.js": source, "x.js": source})
    assert Verdict.ERROR not in {f.verdict for f in found}
    assert Verdict.FAILED in {f.verdict for f in found}
