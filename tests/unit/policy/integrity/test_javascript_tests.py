"""What patches do to JavaScript and TypeScript tests: each trick, and a change like it that is right."""

# ruff: noqa: E501 - one trick a line

from __future__ import annotations

from collections.abc import Callable

import pytest

Rules = Callable[..., set[str]]

PATH = "tests/calc.test.js"
PRODUCT = {"src/calc.js": "export function double(n) {\n  return n + n;\n}\n"}
FIXED = {"src/calc.js": "export function double(n) {\n  return 2 * n;\n}\n"}
BASE = """
import assert from 'node:assert';
import { double } from '../src/calc.js';

describe('double', () => {
  it('doubles', () => {
    const result = double(2);
    expect(result).toBe(4);
  });

  it('refuses', () => {
    expect(() => double(null)).toThrow(/number/);
  });

  it('keeps', () => {
    expect(double([1])).toBeDefined();
    expect(double([1])).toEqual([1, 1]);
  });

  test.each([
    [1, 2],
    [2, 4],
  ])('row %i', (n, twice) => {
    expect(double(n)).toBe(twice);
  });
});

test('node', () => {
  assert.strictEqual(double(5), 10);
});

test('close', () => {
  expect(double(0.1)).toBeCloseTo(0.2, 8);
});
"""


def edited(*steps: tuple[str, str]) -> str:
    text = BASE
    for old, new in steps:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


CLAIM = "    expect(result).toBe(4);\n"

HOSTILE = {
    "deleted": ("tests.deleted", [("test('node', () => {\n  assert.strictEqual(double(5), 10);\n});\n", "")]),
    "commented out": ("tests.deleted", [("test('node', () => {\n  assert.strictEqual(double(5), 10);\n});\n", "/* test('node', () => {\n  assert.strictEqual(double(5), 10);\n}); */\n")]),
    "never called": ("tests.disabled", [("test('node', () => {\n  assert.strictEqual(double(5), 10);\n});\n", "function later() {\n  test('node', () => {\n    assert.strictEqual(double(5), 10);\n  });\n}\n")]),
    "it.skip": ("tests.skipped", [("it('doubles'", "it.skip('doubles'")]),
    "xit": ("tests.skipped", [("it('doubles'", "xit('doubles'")]),
    "describe.skip": ("tests.skipped", [("describe('double'", "describe.skip('double'")]),
    "it.only": ("tests.skipped", [("it('refuses'", "it.only('refuses'")]),
    "fit": ("tests.skipped", [("it('refuses'", "fit('refuses'")]),
    "failing": ("tests.skipped", [("it('doubles'", "it.failing('doubles'")]),
    "todo": ("tests.skipped", [("test('node', () => {\n  assert.strictEqual(double(5), 10);\n});", "test.todo('node');")]),
    "option skip": ("tests.skipped", [("test('node', () => {", "test('node', { skip: true }, () => {")]),
    "option only": ("tests.skipped", [("test('node', () => {", "test('node', { only: true }, () => {")]),
    "skipIf": ("tests.skipped", [("test('node'", "test.skipIf(process.env.CI)('node'")]),
    "this.skip": ("tests.skipped", [(CLAIM, "    this.skip();\n" + CLAIM)]),
    "t.skip": ("tests.skipped", [("test('node', () => {", "test('node', (t) => {\n  t.skip();")]),
    "emptied": ("tests.emptied", [("    const result = double(2);\n" + CLAIM, "")]),
    "assertion gone": ("tests.emptied", [(CLAIM, "")]),
    "expect alone": ("tests.emptied", [(CLAIM, "    expect(result);\n")]),
    "matcher not called": ("tests.emptied", [(CLAIM, "    expect(result).toBe;\n")]),
    "true is true": ("tests.emptied", [(CLAIM, "    expect(true).toBe(true);\n")]),
    "itself": ("tests.emptied", [(CLAIM, "    expect(result).toBe(result);\n")]),
    "return first": ("tests.emptied", [(CLAIM, "    return;\n" + CLAIM)]),
    "if false": ("tests.emptied", [(CLAIM, "    if (false) {\n      expect(result).toBe(4);\n    }\n")]),
    "try": ("tests.emptied", [(CLAIM, "    try {\n      expect(result).toBe(4);\n    } catch {}\n")]),
    "catch of a promise": ("tests.emptied", [(CLAIM, "    Promise.resolve().then(() => { expect(result).toBe(4); }).catch(() => {});\n")]),
    "loop over nothing": ("tests.emptied", [(CLAIM, "    for (const _ of []) {\n      expect(result).toBe(4);\n    }\n")]),
    "truthy": ("tests.weakened", [(CLAIM, "    expect(result).toBeTruthy();\n")]),
    "defined": ("tests.weakened", [(CLAIM, "    expect(result).toBeDefined();\n")]),
    "not null": ("tests.weakened", [(CLAIM, "    expect(result).not.toBeNull();\n")]),
    "greater": ("tests.weakened", [(CLAIM, "    expect(result).toBeGreaterThan(0);\n")]),
    "anything": ("tests.weakened", [(CLAIM, "    expect(result).toEqual(expect.anything());\n")]),
    "ok": ("tests.weakened", [("assert.strictEqual(double(5), 10)", "assert.ok(double(5))")]),
    "throws anything": ("tests.weakened", [("toThrow(/number/)", "toThrow()")]),
    "less close": ("tests.weakened", [("toBeCloseTo(0.2, 8)", "toBeCloseTo(0.2, 0)")]),
    "one of two removed": ("tests.weakened", [("    expect(double([1])).toEqual([1, 1]);\n", "")]),
    "row removed": ("tests.cases", [("    [2, 4],\n", "")]),
    "mocked": ("tests.mocked", [(CLAIM, "    jest.spyOn(calc, 'double').mockReturnValue(4);\n" + CLAIM)]),
    "shadowed": ("tests.mocked", [("import { double } from '../src/calc.js';\n", "const double = (n) => n * 2;\n")]),
    "exit": ("cheating.exits", [("describe('double'", "process.on('exit', () => { process.exitCode = 0; });\n\ndescribe('double'")]),
    "expect replaced": ("cheating.patches", [("describe('double'", "globalThis.expect = () => ({ toBe() {} });\n\ndescribe('double'")]),
    "unreadable": ("tests.unreadable", [("describe('double', () => {", "describe('double', () => {{{")]),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_tricks_are_refused_for_their_reason(name: str, refused: Rules) -> None:
    rule, steps = HOSTILE[name]
    assert rule in refused({PATH: BASE, **PRODUCT}, {PATH: edited(*steps), **FIXED})


BENIGN = {
    "a new test": [("test('node'", "test('zero', () => {\n  expect(double(0)).toBe(0);\n});\n\ntest('node'")],
    "a row more": [("    [2, 4],\n", "    [2, 4],\n    [3, 6],\n")],
    "stricter": [("toBeDefined()", "toEqual([1, 1])")],
    "reformatted": [(CLAIM, "    expect(\n      result,\n    ).toBe(4);\n")],
    "another title": [("it('doubles'", "it('doubles numbers'")],
    "toBe to toEqual": [("toBe(4)", "toEqual(4)")],
    "assert to expect": [("assert.strictEqual(double(5), 10)", "expect(double(5)).toBe(10)")],
    "try that throws": [(CLAIM, "    try {\n      expect(result).toBe(4);\n    } catch (e) {\n      throw e;\n    }\n")],
    "async": [("it('doubles', () => {", "it('doubles', async () => {")],
    "another mock": [(CLAIM, "    jest.spyOn(console, 'log');\n" + CLAIM)],
}  # fmt: skip


@pytest.mark.parametrize("name", BENIGN)
def test_what_is_right_passes(name: str, refused: Rules) -> None:
    assert refused({PATH: BASE, **PRODUCT}, {PATH: edited(*BENIGN[name]), **FIXED}) == set()


def test_another_outcome_is_shown_where_code_changed(refused: Rules, shown: Rules) -> None:
    new = edited(("toBe(4)", "toBe(5)"))
    assert refused({PATH: BASE, **PRODUCT}, {PATH: new, **FIXED}) == set()
    assert "tests.expectations" in shown({PATH: BASE, **PRODUCT}, {PATH: new, **FIXED})
    assert "tests.expectations" in refused({PATH: BASE}, {PATH: new})


@pytest.mark.parametrize("path", ["src/calc.test.ts", "src/calc.spec.tsx", "test/calc.mjs", "__tests__/calc.cts"])
def test_typescript_and_other_places(path: str, refused: Rules) -> None:
    typed = BASE.replace("(n, twice)", "(n: number, twice: number)") if "ts" in path.rpartition(".")[2] else BASE
    assert "tests.skipped" in refused({path: typed}, {path: typed.replace("it('doubles'", "it.skip('doubles'")})
    assert refused({path: typed}, {path: typed + "\n// more\n"}) == set()


def test_chai_and_tap(refused: Rules) -> None:
    chai = "it('a', () => {\n  expect(f(2)).to.equal(4);\n  f(3).should.equal(6);\n});\n"
    assert "tests.weakened" in refused({PATH: chai}, {PATH: chai.replace("to.equal(4)", "to.be.ok")})
    assert "tests.weakened" in refused({PATH: chai}, {PATH: chai.replace("  f(3).should.equal(6);\n", "")})
    tap = "test('a', (t) => {\n  t.is(f(2), 4);\n});\n"
    assert "tests.weakened" in refused({PATH: tap}, {PATH: tap.replace("t.is(f(2), 4)", "t.truthy(f(2))")})
