"""Tests that are gone, and the new ones that may stand in their place; what a test file puts into other modules."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Rules = Callable[..., set[str]]
PATH = "tests/test_calc.py"
PRODUCT = {"calc/__init__.py": "", "calc/core.py": "def load(text):\n    return text\n"}
FIXED = {**PRODUCT, "calc/core.py": "def load(text):\n    return text.strip()\n"}
HEAD = "import pytest\nfrom calc.core import load, save\n\n\n"
KEPT = "def test_kept():\n    assert save(1) == 1\n\n\n"


def written(name: str, *claims: str) -> str:
    body = "".join(f"    {claim}\n" for claim in claims)
    return f"def {name}():\n{body}\n\n"


GONE = written("test_load_of_text", "assert load('a') == 'a'", "assert load('b') == 'b'")


@pytest.mark.parametrize(
    "heir",
    [
        written("test_load_of_bytes", "assert save(b'x') == 2", "assert save(b'y') == 3"),  # calls nothing of it
        written("test_load_strips", "assert load(' a')", "assert load('b')"),
        written("test_load_of_text_too", "if load(' a') == 'a':", "    assert load(' a') == 'a'"),
    ],
)
def test_a_new_test_that_is_no_heir(refused: Rules, heir: str) -> None:
    found = refused({**PRODUCT, PATH: HEAD + KEPT + GONE}, {**FIXED, PATH: HEAD + KEPT + heir})
    assert found & {"tests.deleted", "tests.weakened"}


@pytest.mark.parametrize(
    "heir",
    [
        written("test_load_strips", "assert load(' a ') == 'x'", "assert load('c ') == 'y'"),
        written("test_it", *(f"assert load('{n}').startswith('{n}')" for n in range(5))),
    ],
)
def test_a_new_test_that_is_one(refused: Rules, shown: Rules, heir: str) -> None:
    base, head = {**PRODUCT, PATH: HEAD + KEPT + GONE}, {**FIXED, PATH: HEAD + KEPT + heir}
    assert not refused(base, head)
    assert "tests.deleted" in shown(base, head)


def test_one_heir_is_not_heir_to_all(refused: Rules) -> None:
    many = "".join(GONE.replace("of_text", f"of_{n}").replace("'a'", f"'{n}'") for n in ("one", "two", "three", "four"))
    heir = written("test_other", "assert load(' x') == 1", "assert load(' y') == 2", "assert load(' z') == 3")
    assert "tests.deleted" in refused({**PRODUCT, PATH: HEAD + KEPT + many}, {**FIXED, PATH: HEAD + KEPT + heir})


def test_who_waited_for_an_exception_has_an_heir_that_does(refused: Rules) -> None:
    gone = written("test_load_of_none", "with pytest.raises(TypeError):", "    load(None)")
    heir = written("test_load_of_nothing", "assert load('') == ''")
    base = {**PRODUCT, PATH: HEAD + KEPT + gone}
    assert "tests.deleted" in refused(base, {**FIXED, PATH: HEAD + KEPT + heir})
    heir = written("test_nothing", "with pytest.raises(ValueError):", "    load(None)", "    load('', 1)")
    assert "tests.deleted" not in refused(base, {**FIXED, PATH: HEAD + KEPT + heir})


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("import calc.core\n\ncalc.core.load = lambda text: 'a'\n", "tests.mocked"),
        ("import calc.core as core\n\nsetattr(core, 'load', lambda text: 'a')\n", "tests.mocked"),
        ("import sys\n\nsys.modules['calc.core'] = object()\n", "tests.mocked"),
        ("import sys\n\nsys.modules['numpy'] = object()\n", "tests.mocked"),
    ],
)
def test_what_importing_a_test_file_does_to_others(refused: Rules, text: str, rule: str) -> None:
    base = {**PRODUCT, PATH: HEAD + KEPT, "tests/test_numpy.py": "import numpy\n\n\ndef test_it():\n    assert numpy\n"}
    assert rule in refused(base, {**base, **FIXED, "tests/__init__.py": text})


@pytest.mark.parametrize(
    "text",
    [
        "import sys\n\nsys.modules['odd'] = object()\n",
        "import settings\n\nsettings.DEBUG = True\n",
        "x = object()\nx.y = 1\n",
    ],
)
def test_what_it_may_do(refused: Rules, text: str) -> None:
    base = {**PRODUCT, PATH: HEAD + KEPT}
    assert not refused(base, {**base, **FIXED, "tests/__init__.py": text})


def test_a_name_that_is_imported_and_then_made(refused: Rules) -> None:
    own = HEAD + "def load(text):\n    return 'a'\n\n\n" + KEPT + GONE
    assert "tests.mocked" in refused({**PRODUCT, PATH: HEAD + KEPT + GONE}, {**FIXED, PATH: own})
