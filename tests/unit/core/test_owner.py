"""Whose containers they are, on an engine that several installations share."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import app


def test_two_homes_and_two_hosts_are_different_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = tmp_path / "machine-id"
    monkeypatch.setattr(app, "_MACHINE_ID", known)
    homes = (tmp_path / "a", tmp_path / "b")
    owners = [app.owner_name(home) for home in homes]  # no host has a name
    for host in ("0a", "0b"):
        known.write_text(f"{host}\n")
        owners += [app.owner_name(home) for home in homes]
    assert len(set(owners)) == 6
    assert app.owner_name(tmp_path / "a" / ".." / "b") == owners[-1]
