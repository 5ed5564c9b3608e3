"""What a Python file uses of what can run code, reach out, or open up: names resolved through its imports.

A use is counted wherever the name stands, called or not (`run = os.system` is one), so that an alias hides nothing.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.policy.python_nodes import nodes, outline, tree_of
from runner.policy.python_texts import folded

LARGEST = 1 << 20
"""Bytes of a source that are parsed; a larger one is said to be unreadable."""


class UnreadableError(Exception):
    """The source cannot be parsed; the message says why."""


@dataclass(frozen=True)
class Use:
    """One use. `kind` is a key of the policy's `[code]`, `name` what is used, `where` (if known) what it speaks to."""

    kind: str
    name: str
    first: int
    last: int
    where: str = ""


_CALLS: Mapping[str, tuple[str, ...]] = {
    "dynamic": (
        "builtins.eval", "builtins.exec", "builtins.compile", "code.interact", "code.InteractiveConsole",
        "code.InteractiveInterpreter", "codeop.compile_command", "types.FunctionType", "types.CodeType",
        "runpy.run_path", "runpy.run_module", "timeit.timeit",
    ),
    "computed_import": (
        "importlib.util.spec_from_file_location", "importlib.machinery.SourceFileLoader",
        "importlib.machinery.ExtensionFileLoader", "imp.load_source", "imp.load_module", "imp.load_dynamic",
    ),
    "shell": (
        "os.system", "os.popen", "posix.system", "posix.popen", "subprocess.getoutput",
        "subprocess.getstatusoutput", "commands.getoutput",
        "commands.getstatusoutput", "pty.spawn", "asyncio.create_subprocess_shell",
    ),
    "process": (
        "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call", "subprocess.check_output",
        "asyncio.create_subprocess_exec", "_posixsubprocess.fork_exec", "pip.main", "pip._internal.main",
        "pip._internal.cli.main.main", "os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp", "os.startfile",
        *(f"os.exec{s}" for s in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
        *(f"os.spawn{s}" for s in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    ),
    "deserialize": (
        "pickle.load", "pickle.loads", "pickle.Unpickler", "_pickle.load", "_pickle.loads", "cPickle.load",
        "cPickle.loads", "marshal.load", "marshal.loads", "shelve.open", "dill.load", "dill.loads", "cloudpickle.load",
        "cloudpickle.loads", "joblib.load", "jsonpickle.decode", "yaml.unsafe_load", "yaml.unsafe_load_all",
        "torch.load", "pandas.read_pickle",
    ),
    "network": (
        "socket.socket", "socket.create_connection", "socket.getaddrinfo", "socket.gethostbyname",
        "socket.gethostbyname_ex", "socket.fromfd", "urllib.request.urlopen", "urllib.request.urlretrieve",
        "urllib.request.build_opener", "urllib.request.Request", "urllib.urlopen", "urllib2.urlopen",
        "http.client.HTTPConnection", "http.client.HTTPSConnection", "httplib.HTTPConnection",
        "httplib.HTTPSConnection", "xmlrpc.client.ServerProxy", "asyncio.open_connection",
        "asyncio.open_unix_connection", "webbrowser.open", "smtplib.SMTP", "smtplib.SMTP_SSL", "ftplib.FTP",
        "ftplib.FTP_TLS", "telnetlib.Telnet", "poplib.POP3", "poplib.POP3_SSL", "imaplib.IMAP4",
        "imaplib.IMAP4_SSL", "nntplib.NNTP", "aiohttp.ClientSession", "aiohttp.request", "websocket.create_connection",
        "websockets.connect", "paramiko.SSHClient", "paramiko.Transport", "pycurl.Curl", "dns.resolver.resolve",
        "dns.resolver.query", "urllib3.PoolManager", "urllib3.ProxyManager", "urllib3.request",
        "urllib3.HTTPConnectionPool", "urllib3.HTTPSConnectionPool",
        "requests.sessions.Session", "requests.sessions.session", "requests.api.request", "requests.api.get",
        "requests.api.post", "_socket.socket",
        *(
            f"{client}.{verb}"
            for client in ("requests", "httpx")
            for verb in (
                "get", "post", "put", "patch", "delete", "head", "options", "request", "Session", "session", "stream",
                "Client", "AsyncClient",
            )
        ),
    ),
    "native": (
        "ctypes.CDLL", "ctypes.PyDLL", "ctypes.WinDLL", "ctypes.cdll", "ctypes.pydll", "ctypes.windll",
        "ctypes.pythonapi", "ctypes.util.find_library", "ctypes.memmove", "ctypes.memset", "ctypes.string_at",
        "ctypes.cast", "ctypes.from_address", "cffi.FFI", "_ctypes.dlopen",
    ),
    "temporary": ("tempfile.mktemp", "os.tempnam", "os.tmpnam"),
    "tls": ("ssl._create_unverified_context", "ssl.CERT_NONE"),
}  # fmt: skip

_KINDS: Mapping[str, str] = {name: kind for kind, names in _CALLS.items() for name in names}
_MODULES = frozenset(name.split(".")[0] for name in _KINDS)
_BUILTINS = frozenset({"eval", "exec", "compile", "__import__", "getattr", "open", "vars", "globals", "locals", "chr"})
_ROOTS = re.compile(
    rb"\b(?:%s)\b"
    % "|".join(
        sorted(
            _MODULES
            | _BUILTINS
            | {
                "__builtins__",
                "builtins",
                "sys",
                "operator",
                "__subclasses__",
                "importlib",
                "verify",
                "check_hostname",
                "pathlib",
                "shutil",
                "io",
                "yaml",
                "numpy",
                "base64",
                "binascii",
                "zlib",
                "gzip",
                "bz2",
                "lzma",
            }
        )
    ).encode()
)
_IMPORTERS = frozenset({"builtins.__import__", "importlib.import_module", "importlib.__import__"})
_RUNS_CODE = frozenset({
    "builtins.eval", "builtins.exec", "builtins.compile", "marshal.loads", "types.FunctionType", "os.system",
    "os.popen", "subprocess.run", "subprocess.Popen", "subprocess.call", "subprocess.check_call",
    "subprocess.check_output", "subprocess.getoutput", "builtins.__import__", "importlib.import_module",
    "runpy.run_path",
})  # fmt: skip
_DECODERS = frozenset({
    "base64.b64decode", "base64.b32decode", "base64.b16decode", "base64.a85decode", "base64.b85decode",
    "base64.urlsafe_b64decode", "base64.standard_b64decode", "base64.decodebytes", "binascii.unhexlify",
    "binascii.a2b_base64", "binascii.a2b_hex", "codecs.decode", "zlib.decompress", "gzip.decompress",
    "bz2.decompress", "lzma.decompress", "builtins.chr",
})  # fmt: skip
_DECODING_METHODS = frozenset({"fromhex"})
_DECODING = re.compile(rb"decode|unhexlify|a2b_|decompress|\bchr\b|fromhex")
"""What a source says somewhere if it decodes anything; spares a look at all its assignments."""
_SAFE_LOADERS = frozenset({"SafeLoader", "CSafeLoader", "BaseLoader", "CBaseLoader"})
_SUBPROCESS = frozenset(name for name in _CALLS["process"] if name.startswith("subprocess."))
_SHELLS = re.compile(r"(?:^|/)(?:sh|bash|zsh|dash|ksh|cmd(?:\.exe)?|powershell(?:\.exe)?|pwsh)$", re.IGNORECASE)
_WRITES = frozenset("wax+")
_REMOVERS = frozenset({
    "shutil.rmtree", "os.remove", "os.unlink", "os.rmdir", "os.chmod", "os.chown", "os.symlink", "os.rename",
    "os.replace", "shutil.move", "shutil.copy", "shutil.copyfile", "os.makedirs", "os.mkdir",
})  # fmt: skip
_PATH_WRITERS = frozenset({
    "write_text", "write_bytes", "unlink", "rmdir", "touch", "chmod", "symlink_to", "hardlink_to", "rename", "replace",
    "mkdir",
})  # fmt: skip
_PATH_CLASSES = frozenset({"pathlib.Path", "pathlib.PosixPath"})
_OUTSIDE = re.compile(r"^(?:~|/(?!dev/(?:null|stdout|stderr|tty)$)|[A-Za-z]:[\\/]|(?:\.\./){2,})")
CREDENTIALS = re.compile(
    r"(?:^|[/~\\])\.ssh(?:[/\\]|$)|\bid_(?:rsa|dsa|ecdsa|ed25519)\b|\.aws/credentials|\.git-credentials"
    r"|\.docker/config\.json|\.kube/config|\.config/gcloud|/etc/(?:shadow|sudoers)|/proc/(?:self|\d+|\*)/environ"
    r"|/(?:var/)?run/docker\.sock|169\.254\.169\.254|metadata\.google\.internal|fd00:ec2::254"
    r"|/var/run/secrets/|\.bash_history|\.mozilla/firefox|Login Data$",
    re.IGNORECASE,
)
_PLACES = re.compile(
    rb"ssh|id_|aws|git-|docker|kube|gcloud|shadow|sudoers|environ|169\.254|google|fd00|secrets|_history|firefox|login"
)
"""Words that every match of `CREDENTIALS` has one of."""
_LONGEST_CREDENTIAL = 300


def uses(source: bytes, *, own: frozenset[str] = frozenset()) -> list[Use]:
    """Every use in a source, in the order of its lines.

    Args:
        source: the file.
        own: top-level modules of the repository itself, which are not what their names say elsewhere.

    Raises:
        UnreadableError: it cannot be parsed.
    """
    if source.isascii() and _ROOTS.search(source) is None and _PLACES.search(source.lower()) is None:
        check(source)
        return []  # every name starts at one of these words, however it is put together
    reader = _Reader(parsed(source), own, decodes=_DECODING.search(source) is not None)
    return sorted(reader.uses(), key=lambda use: (use.first, use.kind, use.name))


def parsed(source: bytes) -> ast.Module:
    """The syntax tree of a source; do not change it.

    Raises:
        UnreadableError: it cannot be parsed, whatever the reason.
    """
    check(source)
    tree = tree_of(source)
    if isinstance(tree, Exception):
        raise _unreadable(tree)
    return tree


def check(source: bytes) -> None:
    """Make sure that a source can be parsed.

    Raises:
        UnreadableError: it cannot be, whatever the reason.
    """
    if len(source) > LARGEST:
        raise UnreadableError(f"it has {len(source)} bytes, more than {LARGEST}")
    failure = outline(source).failure
    if failure is not None:
        raise _unreadable(failure)


def _unreadable(failure: Exception) -> UnreadableError:
    if isinstance(failure, SyntaxError):
        return UnreadableError(f"line {failure.lineno or 1}: {failure.msg}")
    return UnreadableError(str(failure) or type(failure).__name__)


class _Reader:
    def __init__(self, tree: ast.Module, own: frozenset[str], *, decodes: bool) -> None:
        self._tree = tree
        self._names: dict[str, str] = {}
        self._own = own
        self._stars: list[tuple[str, ast.stmt]] = []
        self._decoded: set[str] = set()
        self._nodes = list(nodes(tree))
        self._learn()
        if decodes:
            self._learn_decoded()

    def _learn(self) -> None:
        for node in self._nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self._names[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                self._learn_from(node)
        for node in self._nodes:
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                # Another name for a module. Of a function the name itself was a use.
                whole = (
                    self.resolve(node.value) if isinstance(node.value, ast.Name | ast.Attribute | ast.Call) else None
                )
                if whole in _MODULES or whole in {"builtins", "sys.modules"}:
                    self._names.setdefault(node.targets[0].id, whole)
        for statement in self._tree.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                self._names.setdefault(statement.name, f".{statement.name}")  # no builtin any more

    def _learn_decoded(self) -> None:
        for node in self._nodes:
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign):
                targets = node.targets
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.AugAssign) and node.value is not None:
                targets = [node.target]
            if targets and self._decodes(node):
                self._decoded.update(t.id for t in targets if isinstance(t, ast.Name))

    def _learn_from(self, node: ast.ImportFrom) -> None:
        if node.level:
            for alias in node.names:
                self._names[alias.asname or alias.name] = f".{alias.name}"
            return
        module = node.module or ""
        for alias in node.names:
            if alias.name == "*":
                if module.split(".")[0] in _MODULES:
                    self._stars.append((module, node))
            else:
                self._names[alias.asname or alias.name] = f"{module}.{alias.name}"

    def uses(self) -> Iterator[Use]:
        for module, statement in self._stars:
            kinds = sorted({kind for name, kind in _KINDS.items() if name.startswith(f"{module}.")})
            for kind in kinds:
                yield self._use(kind, f"from {module} import *", statement)
        called = {id(node.func): node for node in self._nodes if isinstance(node, ast.Call)}
        for node in self._nodes:
            if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
                yield from self._of_name(node, called.get(id(node)))
            elif isinstance(node, ast.Call):
                if self.resolve(node.func) == "builtins.getattr":
                    yield from self._of_name(node, called.get(id(node)))
                yield from self._of_call(node)
            elif isinstance(node, ast.Constant):
                yield from self._of_text(node)

    def _of_name(self, node: ast.expr, call: ast.Call | None) -> Iterator[Use]:
        if isinstance(node, ast.Attribute) and node.attr == "__subclasses__" and "__base__" in ast.unparse(node):
            yield self._use("dynamic", "object.__subclasses__", call or node)
        name = self.resolve(node)
        kind = _KINDS.get(name or "")
        if name is None or kind is None or name.split(".")[0] in self._own:
            return
        if kind == "process" and call is not None and self._through_shell(name, call):
            kind = "shell"
        if kind == "dynamic" and name == "types.FunctionType" and call is None:
            return  # isinstance(x, FunctionType)
        if kind == "dynamic" and name == "timeit.timeit":
            return
        where = self._target(call) if call is not None and kind == "network" else ""
        yield self._use(kind, name, call or node, where)

    def _of_call(self, call: ast.Call) -> Iterator[Use]:
        name = self.resolve(call.func) or ""
        if name in _IMPORTERS and call.args and folded(call.args[0]) is None:
            yield self._use("computed_import", name, call)
        if name == "builtins.getattr" and len(call.args) > 1 and folded(call.args[1]) is None:
            module = self.resolve(call.args[0])
            if module in _MODULES | {"builtins"}:
                yield self._use("dynamic", f"getattr({module}, …)", call)
        if name in {"yaml.load", "yaml.load_all"} and not self._safe_loader(call):
            yield self._use("deserialize", name, call)
        if name == "numpy.load" and self._keyword_is(call, "allow_pickle", value=True):
            yield self._use("deserialize", "numpy.load(allow_pickle=True)", call)
        if self._keyword_is(call, "verify", value=False) or self._keyword_is(call, "check_hostname", value=False):
            yield self._use("tls", "verify=False", call)
        if name in {"operator.attrgetter", "operator.methodcaller"} and call.args:
            yield from self._of_getter(name, call)
        yield from self._of_running(name, call)
        yield from self._of_writing(name, call)
        if _KINDS.get(name) == "network" and self._mentions_environment(call):
            yield self._use("credentials", f"{name} with the environment's variables", call)

    def _of_getter(self, name: str, call: ast.Call) -> Iterator[Use]:
        wanted = folded(call.args[0])
        kind = next((k for whole, k in _KINDS.items() if whole.rpartition(".")[2] == wanted), None)
        if wanted is None or (kind in {"shell", "dynamic"} and wanted not in {"run_path", "run_module"}):
            yield self._use(kind or "dynamic", f"{name}({wanted or '…'})", call)

    def _of_running(self, name: str, call: ast.Call) -> Iterator[Use]:
        arguments: list[ast.expr] = [*call.args, *(k.value for k in call.keywords)]
        if name in _RUNS_CODE and any(
            self._decodes(a) or any(isinstance(n, ast.Name) and n.id in self._decoded for n in ast.walk(a))
            for a in arguments
        ):
            yield self._use("decoded", f"{name} of something decoded", call)

    def _of_writing(self, name: str, call: ast.Call) -> Iterator[Use]:
        path: str | None = None
        if name in {"builtins.open", "io.open", "codecs.open"} and call.args:
            mode = (
                call.args[1] if len(call.args) > 1 else next((k.value for k in call.keywords if k.arg == "mode"), None)
            )
            if mode is not None and _WRITES & set(folded(mode) or ""):
                path = self._place(call.args[0])
        elif name in _REMOVERS and call.args:
            path = self._place(call.args[-1] if name.startswith(("shutil.m", "shutil.c", "os.re")) else call.args[0])
        elif isinstance(call.func, ast.Attribute) and call.func.attr in _PATH_WRITERS:
            path = self._place(call.func.value) if not isinstance(call.func.value, ast.Constant) else None
        if path is not None and _OUTSIDE.match(path):
            yield self._use("files", f"writing to {path[:60]!r}", call)

    def _place(self, node: ast.expr, depth: int = 0) -> str | None:
        """Where a path begins, as far as it is known."""
        if depth > 20:  # noqa: PLR2004 - no honest chain is longer
            return None
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            start = self._place(node.left, depth + 1)
            return f"{start}/{folded(node.right) or ''}" if start is not None else None
        if isinstance(node, ast.Call):
            name = self.resolve(node.func) or ""
            if name in {f"{path}.home" for path in _PATH_CLASSES}:
                return "~"
            if node.args and (name in _PATH_CLASSES or name in {"os.path.expanduser", "os.path.join"}):
                return self._place(node.args[0], depth + 1)
            if isinstance(node.func, ast.Attribute) and node.func.attr in {"joinpath", "expanduser", "resolve"}:
                start = self._place(node.func.value, depth + 1)
                return f"{start}/{folded(node.args[0]) or ''}" if start is not None and node.args else start
        return folded(node)

    def _of_text(self, node: ast.Constant) -> Iterator[Use]:
        value = node.value
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if isinstance(value, str) and len(value) <= _LONGEST_CREDENTIAL and (found := CREDENTIALS.search(value)):
            yield self._use("credentials", found[0].strip("/~\\") or found[0], node)

    def resolve(self, node: ast.expr, depth: int = 0) -> str | None:
        """The qualified name of an expression, or None where it is none of a module's."""
        if depth > 20:  # noqa: PLR2004 - no honest chain is longer
            return None
        if isinstance(node, ast.Name):
            known = "builtins" if node.id == "__builtins__" else f"builtins.{node.id}" if node.id in _BUILTINS else None
            return self._names.get(node.id, known)
        if isinstance(node, ast.Attribute):
            return _joined(self.resolve(node.value, depth + 1), node.attr)
        if isinstance(node, ast.Subscript):
            return _joined(self.resolve(node.value, depth + 1), folded(node.slice))
        return self._resolve_call(node, depth) if isinstance(node, ast.Call) else None

    def _resolve_call(self, node: ast.Call, depth: int) -> str | None:
        name = self.resolve(node.func, depth + 1)
        if name in _IMPORTERS and node.args:
            return folded(node.args[0])
        if name == "builtins.getattr" and len(node.args) > 1:
            return _joined(self.resolve(node.args[0], depth + 1), folded(node.args[1]))
        if name == "builtins.vars" and node.args:
            return self.resolve(node.args[0], depth + 1)
        if name in {"builtins.globals", "builtins.locals"}:
            return "."
        return None

    def _through_shell(self, name: str, call: ast.Call) -> bool:
        if name in _SUBPROCESS:
            for keyword in call.keywords:
                if keyword.arg == "shell" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value):
                    return True
        first = call.args[0] if call.args else None
        if isinstance(first, ast.List | ast.Tuple) and len(first.elts) > 1:
            program, option = folded(first.elts[0]), folded(first.elts[1])
            return bool(program and _SHELLS.search(program) and option and option.lower() in {"-c", "/c", "-lc", "-ec"})
        return False

    def _safe_loader(self, call: ast.Call) -> bool:
        loaders = [k.value for k in call.keywords if k.arg == "Loader"] or call.args[1:2]
        return any(
            (isinstance(x, ast.Attribute) and x.attr in _SAFE_LOADERS)
            or (isinstance(x, ast.Name) and (self._names.get(x.id, x.id).rsplit(".", 1)[-1]) in _SAFE_LOADERS)
            for x in loaders
        )

    def _keyword_is(self, call: ast.Call, name: str, *, value: bool) -> bool:
        return any(
            k.arg == name and isinstance(k.value, ast.Constant) and k.value.value is value for k in call.keywords
        )

    def _decodes(self, node: ast.AST) -> bool:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                if self.resolve(inner.func) in _DECODERS:
                    return True
                if isinstance(inner.func, ast.Attribute) and inner.func.attr in _DECODING_METHODS:
                    return True
                if isinstance(inner.func, ast.Attribute) and inner.func.attr == "decode" and inner.args:
                    codec = (folded(inner.args[0]) or "").replace("-", "").replace("_", "").lower()
                    if codec in {"rot13", "hex", "base64", "zlib", "bz2", "unicodeescape", "utf7"}:
                        return True
        return False

    def _mentions_environment(self, call: ast.Call) -> bool:
        return any(
            isinstance(n, ast.Attribute | ast.Name) and self.resolve(n) in {"os.environ", "os.getenv", "os.environb"}
            for a in (*call.args, *(k.value for k in call.keywords))
            for n in ast.walk(a)
        )

    def _target(self, call: ast.Call) -> str:
        for argument in (*call.args, *(k.value for k in call.keywords)):
            if isinstance(argument, ast.Tuple) and argument.elts:
                argument = argument.elts[0]  # noqa: PLW2901 - (host, port)
            text = folded(argument, prefix=True)
            if text and ("." in text or "://" in text or text in {"localhost", "::1"}):
                return text[:200]
        return ""

    def _use(self, kind: str, name: str, node: ast.AST, where: str = "") -> Use:
        first = getattr(node, "lineno", 1)
        return Use(kind, name, first, getattr(node, "end_lineno", None) or first, where)


def _joined(owner: str | None, key: str | None) -> str | None:
    if owner is None or key is None:
        return None
    if owner == ".":  # globals()
        return "builtins" if key == "__builtins__" else key
    if key == "__dict__":
        return owner
    if owner == "sys.modules":
        return key
    if key == "__builtins__":
        return "builtins"
    return f"{owner}.{key}"
