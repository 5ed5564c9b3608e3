"""Files that the setup generates in the checkout (a version module, compiled extensions, metadata).

The environment image is used with another checkout than the one it was set up in, so what the setup left there is
kept beside the environment and laid into each new workspace, where it overwrites nothing. Before an agent's
workspace is collected, it is taken away again.
"""

from __future__ import annotations

from sandbox.api import Sandbox, SandboxError

_PLACE = "/opt/automend"
_SECONDS = 120.0

BEGIN = f"mkdir -p {_PLACE} && touch {_PLACE}/begun"
"""The first setup command: from here on, what appears in the checkout is generated."""

KEEP = (
    "cd /workspace && find . \\( -name __pycache__ -o -name .git -o -name node_modules -o -path ./build \\) -prune "
    f"-o -type f -newer {_PLACE}/begun -print0 > {_PLACE}/generated "
    f"&& tar --null --no-recursion -T {_PLACE}/generated -cf {_PLACE}/generated.tar "
    f"&& xargs -0 -r sha256sum < {_PLACE}/generated > {_PLACE}/generated.sums"
)
"""The last setup command."""

# Node looks for packages beside the code. The folders are real, for what tools write there, and hold links.
_MODULES = f"{_PLACE}/modules"
_LINK = (
    f"if [ -f {_MODULES} ]; then while IFS= read -r d; do "
    'if [ -d "$(dirname "$d")" ] && mkdir "$d" 2>/dev/null; then '
    '(cd "/opt/env/modules/$d" && find . -mindepth 1 -maxdepth 1 -print0) | '
    'sed -z "s|^\\.|/opt/env/modules/$d|" | xargs -0 -r ln -s -t "$d" -- && ln -s /opt/env "$d/.automend"; fi; '
    f"done < {_MODULES}; fi"
)
_UNLINK = (
    f"if [ -f {_MODULES} ]; then while IFS= read -r d; do "
    f'if [ -L "$d/.automend" ]; then rm -rf -- "$d"; fi; done < {_MODULES}; fi'
)
_NOTHING = "nothing"
_RESTORE = (
    f"[ -f {_MODULES} ] || [ -s {_PLACE}/generated ] || {{ echo {_NOTHING}; exit 0; }}; "
    f"{_LINK}; [ -f {_PLACE}/generated.tar ] || exit 0; "
    f"tr '\\0' '\\n' < {_PLACE}/generated | while IFS= read -r f; do [ -e \"$f\" ] || printf '%s\\n' \"$f\"; done "
    '> "$HOME/restored"; '
    f"tar -x --skip-old-files --no-same-owner -f {_PLACE}/generated.tar"
)
# A job may leave a FIFO in a file's place, which would keep a reader waiting: what is not read by then stays, and is
# refused with the tree.
_WITHDRAW = (
    f'{_UNLINK}; [ -f {_PLACE}/generated.sums ] && [ -f "$HOME/restored" ] || exit 0; '
    f"timeout 60 sha256sum -c {_PLACE}/generated.sums 2>/dev/null | sed -n 's/: OK$//p' | grep -xFf \"$HOME/restored\" "
    "| tr '\\n' '\\0' | xargs -0 -r rm -f --"
)


def restore(box: Sandbox) -> bool:
    """Lay generated files into the workspace, over nothing that is there. False where the image holds none at all.

    Raises:
        SandboxError: the engine failed, or they do not fit.
    """
    return _run(box, _RESTORE, "laying generated files into the workspace").strip() != _NOTHING.encode()


def withdraw(box: Sandbox) -> None:
    """Take generated files that nobody changed out of the workspace again.

    Raises:
        SandboxError: the engine failed.
    """
    _run(box, _WITHDRAW, "taking generated files out of the workspace")


def _run(box: Sandbox, script: str, what: str) -> bytes:
    result = box.exec(["/bin/sh", "-c", script], timeout=_SECONDS)
    if result.exit_code != 0:
        said = result.stderr.decode("utf-8", "replace").strip()[-300:]
        raise SandboxError(f"{what} failed: {said or f'exit {result.exit_code}'}")
    return result.stdout
