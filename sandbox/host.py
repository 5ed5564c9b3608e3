"""What an engine's own account of itself says about how strong a seal on it can be. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OLDEST_ENGINE = 23
"""The first release after 20.10: older ones get no security fixes any more."""

NEEDED = {
    "MemoryLimit": "memory",
    "SwapLimit": "swap",
    "PidsLimit": "processes",
    "CpuCfsQuota": "processor time",
}
"""What the kernel must be able to limit, by the engine's name for it."""


@dataclass(frozen=True)
class Trait:
    """One thing about the host. `holds` is None where the seal does without it, and is better with it."""

    name: str
    holds: bool | None
    what: str
    remedy: str = ""


def traits(info: Mapping[str, Any], version: str) -> list[Trait]:
    """What the engine tells of itself (`docker info`), in the order in which it matters."""
    options = [str(option).partition(",")[0].removeprefix("name=") for option in info.get("SecurityOptions") or []]
    missing = [words for key, words in NEEDED.items() if info.get(key) is False]
    found = [
        Trait("limits", True, "the kernel limits memory, swap, processes and processor time")
        if not missing
        else Trait("limits", False, f"the kernel does not limit {', '.join(missing)}", "boot it with those cgroups"),
        Trait("seccomp", True, "system calls are filtered")
        if "seccomp" in options
        else Trait("seccomp", False, "system calls are not filtered", "use an engine and a kernel with seccomp"),
    ]
    guards = [name for name in ("apparmor", "selinux") if name in options]
    found.append(
        Trait("access control", True, f"{' and '.join(guards)} on top")
        if guards
        else Trait("access control", None, "neither AppArmor nor SELinux", "a host with either has one wall more")
    )
    mapped = [name for name in ("userns", "rootless") if name in options]
    found.append(
        Trait("user namespaces", True, f"{mapped[0]}: root in a container is nobody on the host")
        if mapped
        else Trait("user namespaces", None, "root in a container is the host's root", "dockerd --userns-remap=default")
    )
    number = re.match(r"\d+", version)
    old = number is None or int(number[0]) < OLDEST_ENGINE
    found.append(
        Trait(
            "engine", None, f"{version} is old: its holes are mended by your distribution or by nobody", "a newer one"
        )
        if old
        else Trait("engine", True, version)
    )
    return found
