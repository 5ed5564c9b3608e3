"""Secrets on added lines. Every one here is put together while the test runs, and opens nothing."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.model import Finding, Verdict
from runner.policy.evaluate import evaluate
from runner.policy.schema import load_policy
from runner.policy.secrets import SECRETS
from tests.unit.policy.static.conftest import make_case

Said = Callable[..., dict[str, str]]
Judge = Callable[..., tuple[Finding, ...]]
NOISE = base64.b64encode(hashlib.sha512(b"noise").digest(), altchars=b"ab").decode().rstrip("=")
HEX = hashlib.sha256(b"noise").hexdigest()
DASHES = "-" * 5


def _pem(kind: str) -> str:
    return f"{DASHES}BEGIN {kind}PRIVATE KEY{DASHES}\n{NOISE}\n{DASHES}END {kind}PRIVATE KEY{DASHES}"


@pytest.mark.parametrize(
    ("text", "rule", "verdict"),
    [
        (_pem(""), "private_key", "block"),
        (_pem("RSA "), "private_key", "block"),
        (_pem("OPENSSH "), "private_key", "block"),
        (f"aws = '{'AK' + 'IA' + HEX[:16].upper()}'", "token", "block"),
        (f"t = '{'gh' + 'p_' + NOISE[:36]}'", "token", "block"),
        (f"t = '{'github' + '_pat_' + NOISE[:60]}'", "token", "block"),
        (f"t = '{'xo' + 'xb-' + '9' * 12 + '-' + '8' * 12 + '-' + NOISE[:24]}'", "token", "block"),
        (f"t = '{'sk' + '_live_' + NOISE[:30]}'", "token", "block"),
        (f"t = '{'sk-' + 'ant-' + NOISE[:40]}'", "token", "block"),
        (f"t = '{'AI' + 'za' + NOISE[:35]}'", "token", "block"),
        (f"password = '{NOISE[:32]}'", "likely", "block"),
        (f"API_KEY: '{NOISE[:40]}'", "likely", "block"),
        (f"x = '{NOISE[:60]}'", "unsure", "review"),
        (f"t = '{'np' + 'm_' + NOISE[:36]}'", "token", "block"),
        (f"t = '{'h' + 'f_' + NOISE[:34]}'", "token", "block"),
        (f"t = '{'dckr' + '_pat_' + NOISE[:27]}'", "token", "block"),
        (f"t = '{'lin' + '_api_' + NOISE[:40]}'", "token", "block"),
        (f"t = '{'key' + '-' + HEX[:32]}'", "token", "block"),
        (f"u = 'https://discord.com/api/webhooks/{'8' * 18}/{NOISE[:68]}'", "token", "block"),
        (f"# db_password: {NOISE[:24]}", "likely", "block"),
        (f"h = 'Authorization: Bearer {NOISE[:40]}'", "likely", "block"),
        (f"url = 'postgres://joe:{NOISE[:24]}@db.host.org/'", "likely", "block"),
        ("password = 'correct-horse'", "unsure", "review"),
        (f"url = 'https://joe:{NOISE[:12]}@host.org/'", "unsure", "review"),
        # said to be made up
        (f"aws = '{'AK' + 'IA' + 'IOSFODNN7' + 'EXAMPLE'}'", "unsure", "review"),
    ],
)
def test_what_is_found(said: Said, text: str, rule: str, verdict: str) -> None:
    assert said({"a.py": "x = 1\n"}, {"a.py": f"x = 1\n# {text}\n" if "BEGIN" in text else f"x = 1\n{text}\n"})[
        f"secrets.{rule}"
    ] == verdict  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        f"digest = '{HEX}'",
        f"commit = '{HEX[:40]}'",
        "key = '123e4567-e89b-12d3-a456-426614174000'",
        "password = os.environ['PASSWORD']",
        "password = ''",
        "password = 'example'",
        "token = get_token()",
        "url = 'https://user:password@example.com/'",
        "url = 'https://host.org/a/long/path/to/something_with_many_words'",
        "name = 'a_rather_long_identifier_of_many_words_and_more'",
        "def test_secret_key_is_read_from_the_environment(): pass",
        "key = 'abcdefghijklmnopqrstuvwxyz0123456789'",
    ],
)
def test_what_is_none(said: Said, line: str) -> None:
    assert {r: v for r, v in said({"a.py": ""}, {"a.py": f"{line}\n"}).items() if r.startswith("secrets")} == {}


def test_tests_prose_and_locks_are_looked_at_with_other_eyes(said: Said) -> None:
    named = f"password = '{NOISE[:32]}'\n"
    assert said({}, {"tests/test_a.py": named}) == {"secrets.unsure": "review"}
    assert said({}, {"docs/a.md": named}) == {"secrets.unsure": "review"}
    assert said({}, {"tests/test_a.py": f"x = '{NOISE[:60]}'\n"}) == {}
    key = _pem("").replace("\n", "\n# ")
    assert said({}, {"tests/test_a.py": f"# {key}\n"}) == {"secrets.private_key": "block"}
    found = said({"requirements.txt": "a\n"}, {"requirements.txt": f"a==1 --hash=sha256:{HEX}\n"})
    assert not [rule for rule in found if rule.startswith("secrets")]


def test_only_added_lines_count(said: Said) -> None:
    base = f"password = '{NOISE[:32]}'\ny = 1\n"
    assert said({"a.py": base}, {"a.py": base.replace("y = 1", "y = 2")}) == {}
    assert said({"a.py": base}, {"a.py": "y = 1\n"}) == {}


def test_the_finding_never_tells(judge: Judge) -> None:
    secret = "gh" + "p_" + NOISE[:36]
    (finding,) = judge({}, {"a.py": f"t = '{secret}'\n"})
    assert not any(secret[i : i + 8] in finding.model_dump_json() for i in range(len(secret) - 8))
    assert hashlib.sha256(secret.encode()).hexdigest()[:8] in finding.message
    assert (finding.path, finding.line) == ("a.py", 1)


def test_a_secret_far_into_a_long_line(said: Said) -> None:
    line = "x = '" + "word " * 790 + "gh" + "p_" + NOISE[:36] + " end" * 300 + "'\n"
    assert said({}, {"a.txt": line})["secrets.token"] == "block"


@given(st.binary(max_size=300))
def test_the_rules_never_break(content: bytes) -> None:
    found = evaluate(load_policy("default"), make_case({}, {"a.py": content}), (SECRETS,))
    assert all(f.verdict is not Verdict.ERROR for f in found)
