"""Secrets are found in text in their disguises, named and hidden; ordinary words are not taken for them."""

from __future__ import annotations

import base64
import json

import pytest

from runner.tripwire import HIDDEN, Tripwire

TOKEN = "made-up/words+of 'the' \"host\""
PEM = "-----BEGIN A KEY-----\nfirst line of made up letters\nand the second one\n-----END A KEY-----\n"
WIRE = Tripwire(
    {"token": TOKEN, "pem": PEM, "short": "1234567", "word": "postgres", "number": "1234567890", "none": ""}
)


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        json.dumps({"input": TOKEN}),
        json.dumps({"arguments": json.dumps({"cmd": f"echo {TOKEN}"})}),
        TOKEN.encode().hex(),
        TOKEN.encode().hex().upper(),
        *(base64.b64encode(b"x" * n + TOKEN.encode() + b"yz").decode() for n in range(3)),
        base64.urlsafe_b64encode(TOKEN.encode()).decode(),
    ],
)
def test_a_secret_is_known_in_its_disguises(text: str) -> None:
    assert WIRE.sees(f"before {text} after") == "token"
    hidden = WIRE.hide(f"before {text} after")
    assert WIRE.sees(hidden) is None
    assert HIDDEN in hidden


def test_of_a_key_each_line_is_secret_but_not_its_frame() -> None:
    assert WIRE.sees("…\nand the second one\n") == "pem"
    assert WIRE.sees(json.dumps(PEM)) == "pem"
    assert WIRE.sees("-----BEGIN A KEY-----\n-----END A KEY-----") is None


@pytest.mark.parametrize("text", ["", "1234567", "postgres on port 1234567890", TOKEN[:-1], TOKEN.upper()])
def test_other_text_has_none(text: str) -> None:
    assert WIRE.sees(text) is None
    assert WIRE.hide(text) == text


def test_without_secrets_nothing_is_found() -> None:
    assert Tripwire().sees(TOKEN) is None
    assert Tripwire({}).hide(TOKEN) == TOKEN
