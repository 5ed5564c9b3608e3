"""JavaScript assertions that nobody hears any more, or that say less in other words; and their like."""

# ruff: noqa: E501 - one trick a line

from __future__ import annotations

from collections.abc import Callable

import pytest

Rules = Callable[..., set[str]]

PATH = "web/app.test.js"
PRODUCT = {"web/app.js": "export const total = (items) => items.reduce((a, b) => a + b);\n"}
FIXED = {"web/app.js": "export const total = (items) => items.reduce((a, b) => a + b, 0);\n"}
NODE = """import test from 'node:test';
import assert from 'node:assert';
import { total } from './app.js';

test('total', async (t) => {
  assert.strictEqual(total([1, 2]), 3);
  assert.deepStrictEqual([total([5])], [5]);
});
"""
CLAIM = "assert.strictEqual(total([1, 2]), 3);"
VITEST = """import { expect, it } from 'vitest';
import { total } from './app.js';

it('adds', async () => {
  expect.assertions(2);
  expect(total([1, 2])).toBe(3);
  expect([total([5])]).toEqual([5]);
});
"""
EXPECT = "expect(total([1, 2])).toBe(3);"


def node(text: str, old: str = CLAIM) -> dict[str, str]:
    assert old in NODE
    return {**FIXED, PATH: NODE.replace(old, text.replace("A;", CLAIM))}


def vitest(text: str, old: str = EXPECT) -> dict[str, str]:
    assert old in VITEST
    return {**FIXED, PATH: VITEST.replace(old, text.replace("A;", EXPECT))}


UNHEARD = {
    "swallowed": "try { A; } catch {}",
    "logged": "try { A; } catch (e) { console.log(e); }",
    "in a catch": "try { total([1, 2]); } catch (e) { A; }",
    "a constant on the left": "false && A;",
    "or": "true || A;",
    "a ternary": "true ? null : A;",
    "where it is right": "if (total([1, 2]) === 3) A;",
    "where the environment says": "if (process.env.SLOW) { A; }",
    "a promise": "Promise.resolve().then(() => { A; });",
    "a promise that is caught": "Promise.resolve().then(() => { A; }).catch(() => {});",
    "later": "setTimeout(() => { A; }, 1000);",
    "next tick": "process.nextTick(() => { A; });",
    "an async function": "(async () => { A; })();",
    "a name that nobody calls": "const check = () => { A; };",
    "a function that nobody calls": "function check() { A; }",
    "an optional call": "total.hook?.(() => { A; });",
    "waited for": "assert.throws(() => { A; });",
    "waited for by its kind": "assert.throws(() => { A; }, assert.AssertionError);",
    "nobody awaits it": "assert.rejects(async () => { A; });",
    "an empty list": "[].forEach(() => { A; });",
    "a loop to zero": "for (let i = 0; i < 0; i++) { A; }",
    "a case that never holds": "switch (1) { case 2: A; }",
    "a comment": "// A;",
    "loosely": "assert.equal(total([1, 2]), 3);",
    "its type": "assert.strictEqual(typeof total([1, 2]), 'number');",
    "that it does not throw": "assert.doesNotThrow(() => total([1, 2]));",
    "part of nothing": "assert.partialDeepStrictEqual(total([1, 2]), {});",
    "any text": "assert.match(String(total([1, 2])), /./);",
    "nothing": "assert.ifError(null);",
}
HEARD = {
    "in a name": "const sum = total([1, 2]);\n  assert.strictEqual(sum, 3);",
    "in a loop": "[[1, 2]].forEach((x) => assert.strictEqual(total(x), 3));\n  A;",
    "in a function that is called": "const check = () => { A; };\n  check();",
    "with a finally": "try { A; } finally { console.log('done'); }",
    "with a catch that tells": "try { A; } catch (e) { console.log(e); throw e; }",
    "awaited": "await Promise.resolve().then(() => { A; });",
    "later, and waited for": "await new Promise((resolve) => setTimeout(() => { A; resolve(); }, 1));",
}
SAYS_LESS = {
    "a snapshot": "expect(total([1, 2])).toMatchSnapshot();",
    "an empty inline snapshot": "expect(total([1, 2])).toMatchInlineSnapshot();",
    "a snapshot in a file": "expect(total([1, 2])).toMatchFileSnapshot('a.txt');",
    "defined": "expect(total([1, 2])).toBeDefined();",
    "truthy, with a small one beside": "expect(total([1, 2])).toBeTruthy();\n  expect(total([1])).toBe(1);",
    "does not throw": "expect(() => total([1, 2])).not.toThrow();",
    "anything": "expect(total([1, 2])).toEqual(expect.anything());",
    "any number": "expect(total([1, 2])).toEqual(expect.any(Number));",
    "its type": "expect(typeof total([1, 2])).toBe('number');",
    "one of many": "expect([1, 2, 3]).toContain(total([1, 2]));",
    "recomputed": "const sum = total([1, 2]);\n  expect(total([1, 2])).toBe(sum);",
    "nobody awaits": "expect(Promise.resolve(total([1, 2]))).resolves.toBe(3);",
    "caught": "await expect(Promise.resolve(total([1, 2]))).resolves.toBe(3).catch(() => {});",
}


@pytest.mark.parametrize("text", UNHEARD.values(), ids=UNHEARD)
def test_an_assertion_that_nobody_hears(refused: Rules, text: str) -> None:
    assert refused({**PRODUCT, PATH: NODE}, node(text)) & {"tests.emptied", "tests.weakened"}


@pytest.mark.parametrize("text", HEARD.values(), ids=HEARD)
def test_an_assertion_that_is_heard(refused: Rules, text: str) -> None:
    assert not refused({**PRODUCT, PATH: NODE}, node(text))


@pytest.mark.parametrize("text", SAYS_LESS.values(), ids=SAYS_LESS)
def test_other_words_that_say_less(refused: Rules, text: str) -> None:
    assert refused({**PRODUCT, PATH: VITEST}, vitest(text)) & {"tests.emptied", "tests.weakened"}


def test_parts_that_may_be_anything(refused: Rules) -> None:
    head = vitest("toEqual([expect.anything()])", "toEqual([5])")
    assert "tests.weakened" in refused({**PRODUCT, PATH: VITEST}, head)


@pytest.mark.parametrize("plan", ["", "expect.assertions(0);", "expect.hasAssertions();"])
def test_fewer_planned_assertions(refused: Rules, plan: str) -> None:
    assert "tests.weakened" in refused({**PRODUCT, PATH: VITEST}, vitest(plan, "expect.assertions(2);"))


def test_more_planned_assertions(refused: Rules) -> None:
    head = vitest(f"{EXPECT}\n  expect(total([7])).toBe(7);")
    head[PATH] = head[PATH].replace("assertions(2)", "assertions(3)")
    assert not refused({**PRODUCT, PATH: VITEST}, head)


@pytest.mark.parametrize("strict", ["'node:assert/strict'", "'assert/strict'"])
def test_where_equal_is_strict_it_says_no_less(refused: Rules, strict: str) -> None:
    base = NODE.replace("'node:assert'", strict)
    assert not refused({**PRODUCT, PATH: base}, {**FIXED, PATH: base.replace("strictEqual", "equal", 1)})


def test_an_import_that_makes_all_of_them_loose(refused: Rules) -> None:
    base = NODE.replace("'node:assert'", "'node:assert/strict'").replace("strictEqual", "equal")
    head = base.replace("'node:assert/strict'", "'node:assert'")
    assert "tests.weakened" in refused({**PRODUCT, PATH: base}, {**FIXED, PATH: head})


def test_what_looks_at_the_error_may_assert(refused: Rules) -> None:
    base = NODE.replace(
        CLAIM,
        "let e;\n  try { total(null); } catch (x) { e = x; }\n  assert.ok(e instanceof TypeError);\n  assert.strictEqual(e.code, 1);",
    )
    head = NODE.replace(
        CLAIM,
        "await assert.rejects(() => total(null), (e) => {\n    assert.ok(e instanceof TypeError);\n    assert.strictEqual(e.code, 1);\n    return true;\n  });",
    )
    assert not refused({**PRODUCT, PATH: base}, {**FIXED, PATH: head})


SNAP = "web/__snapshots__/app.test.js.snap"
ENTRIES = "// Jest Snapshot v1\n\nexports[`adds 1`] = `3`;\n\nexports[`adds 2`] = `5`;\n"


def test_what_was_recorded(refused: Rules, shown: Rules) -> None:
    base = {**PRODUCT, PATH: VITEST, SNAP: ENTRIES}
    anew = {**base, SNAP: ENTRIES.replace("`3`", "`4`")}
    assert refused(base, anew) == {"tests.expectations"}
    assert shown(base, {**anew, **FIXED}) == {"tests.expectations"}
    gone = {**base, **FIXED, SNAP: ENTRIES.replace("exports[`adds 1`] = `3`;\n\n", "")}
    assert refused(base, gone) == {"tests.expectations"}
    more = {**base, **FIXED, SNAP: ENTRIES + "\nexports[`adds 3`] = `6`;\n"}
    assert not refused(base, more) | shown(base, more)
