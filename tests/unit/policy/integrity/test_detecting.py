"""Code that asks whether it is tested, however it asks; and code that asks for something else."""

# ruff: noqa: E501 - one trick a line

from __future__ import annotations

from collections.abc import Callable

import pytest

Rules = Callable[..., set[str]]

BASE = "def square(n):\n    return n + n\n"
JAVASCRIPT = "export function half(n) {\n  return n;\n}\n"

ASKS = {
    "a host": ("import socket", "socket.gethostname() == 'job'"),
    "a host under another name": ("from socket import gethostname as who", "who() == 'job'"),
    "a node": ("import platform", "platform.node().startswith('job')"),
    "uname": ("import os", "os.uname().nodename == 'job'"),
    "HOSTNAME": ("import os", "os.environ.get('HOSTNAME') == 'job'"),
    "USER": ("import os", "os.environ['USER'] == 'job'"),
    "a user": ("import getpass", "getpass.getuser() == 'job'"),
    "an id": ("import os", "os.getuid() == 65532"),
    "a process": ("import os", "os.getpid() < 100"),
    "tests": ("import os", "os.path.isdir('tests')"),
    "tests by pathlib": ("from pathlib import Path", "(Path(__file__).parent / 'tests').exists()"),
    "tests in a list": ("import os", "'tests' in os.listdir()"),
    "a cache": ("import os", "os.path.exists('.pytest_cache')"),
    "a container": ("import os", "os.path.exists('/.dockerenv')"),
    "a working directory": ("import os", "os.getcwd() == '/work'"),
    "its own place": ("", "__file__.startswith('/work')"),
    "whether it is installed": ("", "'site-packages' not in __file__"),
    "its own name": ("", "__name__ != 'calc'"),
    "a module in a name": ("import sys\nNAME = 'pytest'", "NAME in sys.modules"),
    "modules in a name": ("import sys\nMODULES = sys.modules", "'pytest' in MODULES"),
    "modules of a dict": ("import sys", "'pytest' in sys.__dict__['modules']"),
    "modules of vars": ("import sys", "'pytest' in vars(sys)['modules']"),
    "how many modules": ("import sys", "len(sys.modules) > 300"),
    "a digest": ("import sys, zlib", "any(zlib.crc32(m.encode()) == 7 for m in sys.modules)"),
    "the end of a name": ("import sys", "any(m.endswith('test') for m in sys.modules)"),
    "a percent sign": ("import sys", "'%stest' % 'py' in sys.modules"),
    "a format": ("import sys", "'{}test'.format('py') in sys.modules"),
    "a cut": ("import sys", "'xpytest'[1:] in sys.modules"),
    "base64": ("import sys, base64", "base64.b64decode('cHl0ZXN0').decode() in sys.modules"),
    "hexadecimal": ("import sys", "bytes.fromhex('707974657374').decode() in sys.modules"),
    "rot13": ("import sys, codecs", "codecs.decode('clgrfg', 'rot13') in sys.modules"),
    "what is installed": ("import importlib.metadata", "importlib.metadata.distribution('pytest')"),
    "a variable in a name": ("import os\nNAME = 'CI'", "os.getenv(NAME)"),
    "who started it": ("import os", "'pytest' in os.environ.get('_', '')"),
    "a seed": ("import os", "os.environ.get('PYTHONHASHSEED') == '0'"),
    "bytecode": ("import sys", "sys.dont_write_bytecode"),
    "flags": ("import sys", "not sys.flags.safe_path"),
    "hooks": ("import sys", "sys.excepthook is not sys.__excepthook__"),
    "what captures": ("import sys", "type(sys.stdout).__name__ == 'EncodedFile'"),
    "rewritten assertions": ("", "'@pytest_ar' in globals()"),
    "importers": ("import sys", "any('AssertionRewritingHook' in repr(f) for f in sys.meta_path)"),
    "paths": ("import sys", "any(p.endswith('tests') for p in sys.path)"),
    "a caller's module": ("import sys", "sys._getframe(1).f_globals['__name__'] != __name__"),
    "how deep": ("import traceback", "len(traceback.extract_stack()) > 20"),
    "an environment called test": ("import os", "os.environ.get('APP_ENV') == 'test'"),
}
ASKS_ELSE = {
    "its data": ("import os", "os.path.exists('/app/data/cache.json')"),
    "a platform": ("import sys", "sys.platform == 'win32'"),
    "a version": ("import sys", "sys.version_info >= (3, 12)"),
    "a machine": ("import platform", "platform.machine() == 'arm64'"),
    "a system": ("import os", "os.uname().sysname == 'Darwin'"),
    "root": ("import os", "os.geteuid() == 0"),
    "a switch": ("import os", "os.environ.get('DEBUG')"),
    "a mode": ("import os", "os.getenv('MODE', 'fast') == 'slow'"),
    "a home": ("import os", "os.environ.get('HOME')"),
    "colours": ("import os", "'NO_COLOR' in os.environ"),
    "a terminal": ("import sys", "sys.stderr.isatty()"),
    "another module": ("import sys", "'numpy' in sys.modules"),
    "a program": ("", "__name__ == '__main__'"),
    "a compiled file": ("", "__file__.endswith('.pyc')"),
    "a file": ("import os", "os.path.exists('calc.toml')"),
    "a system's file": ("import os", "os.path.exists('/etc/os-release')"),
    "arguments": ("import sys", "len(sys.argv) > 1"),
    "its own process": ("import os\nOWNER = os.getpid()", "os.getpid() == OWNER"),
    "what it was given": ("", "n == 'test'"),
}
IN_JAVASCRIPT = {
    "a sum": ("", "process.env['NODE_' + 'ENV'] === 'te' + 'st'"),
    "a list": ("", "['test', 'ci'].includes(process.env.NODE_ENV)"),
    "a beginning": ("", "process.env.NODE_ENV.startsWith('te')"),
    "a name": ("const mode = process.env.NODE_ENV;", "mode === 'test'"),
    "a part": ("const { NODE_ENV } = process.env;", "NODE_ENV === 'test'"),
    "an environment in a name": ("const env = process.env;", "env.VITEST"),
    "an import": ("import { env } from 'node:process';", "env.VITEST"),
    "in": ("", "'JEST_WORKER_ID' in process.env"),
    "its own": ("", "Object.hasOwn(process.env, 'VITEST')"),
    "any key": ("", "Object.keys(process.env).some((k) => /^JEST/.test(k))"),
    "a global": ("", "'jest' in globalThis"),
    "a mode of Vite": ("", "import.meta.env.MODE === 'test'"),
    "what was started": ("", "require.main.filename.endsWith('run.js')"),
    "what is loaded": ("", "Object.keys(require.cache).some((f) => f.includes('test'))"),
    "a working directory": ("", "process.cwd() === '/work'"),
    "its own place": ("", "import.meta.url.startsWith('file:///work')"),
    "a test": ("import fs from 'node:fs';", "fs.existsSync('web/app.test.js')"),
    "a runner": ("import fs from 'node:fs';", "fs.existsSync('node_modules/vitest')"),
    "a host": ("import os from 'node:os';", "os.hostname() === 'job'"),
    "a user": ("import os from 'node:os';", "os.userInfo().username === 'job'"),
    "an id": ("", "process.getuid() === 65532"),
    "a browser that is none": ("", "navigator.userAgent.includes('jsdom')"),
    "a runner's module": ("", "require.resolve('jest')"),
}
IN_JAVASCRIPT_ELSE = {
    "production": "process.env.NODE_ENV === 'production'",
    "a switch": "process.env.DEBUG",
    "a platform": "process.platform === 'win32'",
    "a window": "typeof window === 'undefined'",
    "an option": "process.argv.includes('--help')",
    "root": "process.getuid() === 0",
    "a pattern": "/a/.test(n)",
    "a path": "n.startsWith(process.cwd())",
    "its data": "require('fs').existsSync('/app/data/cache.json')",
    "its program": "require.main === module",
}


def python(top: str, condition: str) -> dict[str, str]:
    body = f"    if {condition}:\n        return n * n\n    return n + n\n"
    return {"calc.py": f"{top}\n\n\n" + BASE.replace("    return n + n\n", body)}


def javascript(top: str, condition: str) -> dict[str, str]:
    return {"web/half.js": f"{top}\n" + JAVASCRIPT.replace("return n;", f"if ({condition}) return n / 2;\n  return n;")}


@pytest.mark.parametrize(("top", "condition"), ASKS.values(), ids=ASKS)
def test_python_that_asks(refused: Rules, top: str, condition: str) -> None:
    assert refused({"calc.py": BASE}, python(top, condition)) == {"cheating.detects_tests"}


@pytest.mark.parametrize(("top", "condition"), ASKS_ELSE.values(), ids=ASKS_ELSE)
def test_python_that_asks_for_something_else(refused: Rules, top: str, condition: str) -> None:
    assert not refused({"calc.py": BASE}, python(top, condition))


@pytest.mark.parametrize(("top", "condition"), IN_JAVASCRIPT.values(), ids=IN_JAVASCRIPT)
def test_javascript_that_asks(refused: Rules, top: str, condition: str) -> None:
    assert refused({"web/half.js": JAVASCRIPT}, javascript(top, condition)) == {"cheating.detects_tests"}


@pytest.mark.parametrize("condition", IN_JAVASCRIPT_ELSE.values(), ids=IN_JAVASCRIPT_ELSE)
def test_javascript_that_asks_for_something_else(refused: Rules, condition: str) -> None:
    assert not refused({"web/half.js": JAVASCRIPT}, javascript("", condition))


def test_a_frame_of_an_exception_is_a_caller(refused: Rules) -> None:
    body = "    try:\n        raise RuntimeError\n    except RuntimeError as e:\n        name = e.__traceback__.tb_frame.f_back.f_code.co_filename\n    return n * n\n"
    head = {"calc.py": BASE.replace("    return n + n\n", body)}
    assert refused({"calc.py": BASE}, head) == {"cheating.detects_tests"}


@pytest.mark.parametrize(
    "condition", ["sys.stdout is not sys.__stdout__", "os.getppid() == 1", "os.path.exists('.git')"]
)
def test_what_is_only_shown(shown: Rules, refused: Rules, condition: str) -> None:
    head = python("import os\nimport sys", condition)
    assert shown({"calc.py": BASE}, head) == {"cheating.detects_tests"}
    assert not refused({"calc.py": BASE}, head)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (
            "import os\nimport threading\n\n\ndef bye():\n    threading.Timer(1, os._exit, (0,)).start()\n",
            "cheating.exits",
        ),
        ("class Four(int):\n    def __eq__(self, other):\n        return other is not None\n", "cheating.equality"),
        ("class Four:\n    pass\n\n\nsetattr(Four, '__eq__', lambda self, other: True)\n", "cheating.equality"),
        ("import sys\n\nsys.unraisablehook = print\n", "cheating.patches"),
    ],
)
def test_other_ways_to_please_a_judge(refused: Rules, text: str, rule: str) -> None:
    assert rule in refused({"calc.py": BASE}, {"calc.py": f"{text}\n\n{BASE.replace('n + n', 'n * n')}"})


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("const { exit } = process;\nexit(0);", "cheating.exits"),
        ("process.kill(process.pid);", "cheating.exits"),
        ("try { n(); } finally { return 2; }", "cheating.swallowed"),
    ],
)
def test_other_ways_in_javascript(refused: Rules, text: str, rule: str) -> None:
    assert rule in refused(
        {"web/half.js": JAVASCRIPT}, {"web/half.js": JAVASCRIPT.replace("return n;", f"{text}\n  return n;")}
    )
