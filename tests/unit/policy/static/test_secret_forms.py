"""Secrets that are taken apart, joined or encoded. Every one here is made up while the test runs, and opens nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model import Finding
from runner.policy.secret_forms import decoded, joined, runs, taken_apart

Said = Callable[..., dict[str, str]]
Judge = Callable[..., tuple[Finding, ...]]
NOISE = base64.b64encode(hashlib.sha512(b"noise").digest(), altchars=b"ab").decode().rstrip("=")
KEY = "AK" + "IA" + hashlib.sha256(b"noise").hexdigest()[:16].upper()
TOKEN = "gh" + "p_" + NOISE[:36]
PASSWORD = "aB3" + NOISE[:24]


def cut(text: str) -> tuple[str, str, str]:
    return text[:5], text[5:14], text[14:]


def forms(text: str) -> dict[str, str]:
    a, b, c = cut(text)
    numbers = ", ".join(str(ord(x)) for x in text)
    escapes = "".join(f"\\x{ord(x):02x}" for x in text)
    return {
        "a sum": f'KEY = "{a}" + "{b}" + "{c}"\n',
        "side by side": f'KEY = ("{a}" "{b}" "{c}")\n',
        "on lines": f'KEY = (\n    "{a}"\n    "{b}"\n    "{c}"\n)\n',
        "a sum on lines": f'KEY = (\n    "{a}"\n    + "{b}"\n    + "{c}"\n)\n',
        "joined": f'KEY = "".join(["{a}", "{b}", "{c}"])\n',
        "joined on lines": f'KEY = "".join(\n    [\n        "{a}",\n        "{b}",\n        "{c}",\n    ]\n)\n',
        "in an f-string": f'A = "{a}"\nKEY = f"{{A}}{b}{c}"\n',
        "in names": f'A = "{a}"\nB = "{b}{c}"\nKEY = A + B\n',
        "added to": f'KEY = "{a}"\nKEY += "{b}"\nKEY += "{c}"\n',
        "formatted": f'KEY = "{{}}{{}}".format("{a}", "{b}{c}")\n',
        "with per cent": f'KEY = "%s%s" % ("{a}", "{b}{c}")\n',
        "reversed": f'KEY = "{text[::-1]}"[::-1]\n',
        "base64": f'KEY = b64decode("{base64.b64encode(text.encode()).decode()}")\n',
        "hexadecimal": f'KEY = bytes.fromhex("{text.encode().hex()}")\n',
        "escapes": f'KEY = "{escapes}"\n',
        "numbers": f"KEY = bytes([{numbers}])\n",
        "javascript": f"const KEY =\n  '{a}' +\n  '{b}' +\n  '{c}';\n",
        "a template": f"const a = '{a}';\nconst KEY = `${{a}}{b}{c}`;\n",
    }


@pytest.mark.parametrize("form", forms(""))
@pytest.mark.parametrize("secret", [KEY, TOKEN], ids=["key", "token"])
def test_a_known_token_in_another_form(judge: Judge, said: Said, secret: str, form: str) -> None:
    text = forms(secret)[form]
    assert said({}, {"src/conf.py": text}).get("secrets.token") == "block"
    found = [f for f in judge({}, {"src/conf.py": text}) if f.rule.startswith("secrets.")]
    for part in (secret, secret[::-1], *cut(secret)[1:]):
        assert not any(part in f"{f.message} {f.remedy}" for f in found)


@pytest.mark.parametrize(
    "text",
    [
        f'password = "{PASSWORD[:12]}" + "{PASSWORD[12:]}"\n',
        f'password = ("{PASSWORD[:12]}"\n            "{PASSWORD[12:]}")\n',
        f'password = "".join(("{PASSWORD[:12]}", "{PASSWORD[12:]}"))\n',
    ],
)
def test_a_random_value_in_parts(said: Said, text: str) -> None:
    assert said({}, {"src/conf.py": text}).get("secrets.likely") == "block"


@pytest.mark.parametrize(
    "text",
    [
        'WORDS = "".join(["alpha", "beta", "gamma"])\n',
        'QUERY = (\n    "SELECT name, value "\n    "FROM settings "\n    "WHERE key = ?"\n)\n',
        "MAGIC = bytes([137, 80, 78, 71, 13, 10, 26, 10])\n",
        'LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ" + "abcdefghijklmnopqrstuvwxyz" + "0123456789+/"\n',
        f'DIGEST = "{hashlib.sha256(b"x").hexdigest()[:32]}" "{hashlib.sha256(b"x").hexdigest()[32:]}"\n',
        'TABLE = bytes.fromhex("000102030405060708090a0b0c0d0e0f1011121314151617")\n',
        'PATTERN = re.compile("[A-Za-z0-9]{4}" "-[0-9]{8}" "(?:abc)?")\n',
        f'KEY = "{KEY[:4]}" + "IOSFODNN7EXAMPLE"\n',
        'NAMES = ["npm_", "one", "two", "hf_", "three", "xoxb-", "four"]\n',
    ],
)
def test_texts_in_parts_that_are_no_secrets(said: Said, text: str) -> None:
    assert "block" not in said({}, {"src/conf.py": text}).values()


def test_the_line_is_that_on_which_it_begins(judge: Judge) -> None:
    a, b, c = cut(TOKEN)
    text = f'X = 1\nKEY = (\n    "{a}"\n    "{b}"\n    "{c}"\n)\n'
    assert [f.line for f in judge({}, {"src/conf.py": text}) if f.rule == "secrets.token"] == [3]


@given(st.lists(st.tuples(st.integers(1, 50), st.binary(max_size=80)), max_size=12))
def test_whatever_the_lines_are_they_can_be_read(lines: list[tuple[int, bytes]]) -> None:
    ordered = sorted(lines)
    pieces = list(runs(ordered))
    assert [line for piece in pieces for line in piece] == ordered
    for piece in pieces:
        assert all(number >= piece[0][0] for number, _ in [*taken_apart(piece), *joined(piece)])
        for _, text in piece:
            assert all(isinstance(found, str) for found in decoded(text.decode("utf-8", "replace")))
