from __future__ import annotations

from typing import Any

from sandbox.host import NEEDED, traits

STRONG: dict[str, Any] = {
    "SecurityOptions": ["name=apparmor", "name=seccomp,profile=default", "name=userns"],
    **dict.fromkeys(NEEDED, True),
}


def told(info: dict[str, Any], version: str = "28.2.2") -> dict[str, bool | None]:
    return {trait.name: trait.holds for trait in traits(info, version)}


def test_a_strong_host_has_it_all() -> None:
    assert set(told(STRONG).values()) == {True}


def test_what_a_seal_needs_is_told_apart_from_what_makes_it_better() -> None:
    weak = {"SecurityOptions": None, **STRONG | {"SecurityOptions": None, "PidsLimit": False}}
    assert told(weak, "20.10.24+dfsg1") == {
        "limits": False,
        "seccomp": False,
        "access control": None,
        "user namespaces": None,
        "engine": None,
    }
    [limits] = [trait for trait in traits(weak, "odd") if trait.name == "limits"]
    assert "processes" in limits.what
    assert limits.remedy
