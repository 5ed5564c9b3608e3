from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import shutil
import sys
import tarfile
from pathlib import Path

import pytest

from runner.agents import tools as tools_module
from runner.agents.tools import PACKAGES, Package, agent_tools, npm
from sandbox.api import SandboxError


def test_every_machine_has_both_agents_pinned() -> None:
    for packages in PACKAGES.values():
        programs = [name for package in packages for name in package.programs]
        assert programs == ["codex", "codex-code-mode-host", "claude"]
        for package in packages:
            assert package.spec.rpartition("@")[2][0].isdigit(), "an exact version"
            assert len(base64.b64decode(package.integrity.removeprefix("sha512-"))) == 64


def test_the_key_changes_with_whatever_is_in_the_volume(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {agent_tools("x86_64").key, agent_tools("aarch64").key}
    assert agent_tools("arm64").key in keys
    changed = tuple(Package(p.spec, p.programs, "sha512-other") for p in PACKAGES["x86_64"])
    monkeypatch.setitem(tools_module.PACKAGES, "x86_64", changed)
    keys.add(agent_tools("x86_64").key)
    assert len(keys) == 3


def test_an_unknown_machine() -> None:
    with pytest.raises(SandboxError, match="riscv64"):
        agent_tools("riscv64")


def archive(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `npm` that "downloads" the file named by the package out of this folder."""
    folder = tmp_path / "registry"
    programs = tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    script = programs / "npm"
    script.write_text(
        f"#!{sys.executable}\n"
        "import shutil, sys\n"
        "assert sys.argv[1] == 'pack' and '--ignore-scripts' in sys.argv\n"
        f"try: shutil.copy({str(folder)!r} + '/' + sys.argv[-1] + '.tgz', '.')\n"
        "except OSError as e: sys.exit('no such package: ' + str(e))\n"
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return folder


def package(registry: Path, name: str, files: dict[str, bytes], programs: dict[str, str]) -> Package:
    data = archive(files)
    (registry / f"{name}.tgz").write_bytes(data)
    return Package(name, programs, "sha512-" + base64.b64encode(hashlib.sha512(data).digest()).decode())


def test_only_the_programs_and_the_forwarder_are_taken(
    registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = package(registry, "one@1", {"deep/bin/one": b"1", "install.js": b"evil"}, {"one": "deep/bin/one"})
    two = package(registry, "two@2", {"two": b"2"}, {"two": "two"})
    monkeypatch.setitem(tools_module.PACKAGES, "x86_64", (one, two))
    target = tmp_path / "volume"
    target.mkdir()
    said: list[str] = []
    agent_tools("x86_64").fill(target, said.append)
    found = sorted(str(p.relative_to(target)) for p in target.rglob("*") if p.is_file())
    assert found == ["bin/automend-forward", "bin/one", "bin/two", "versions.json"]
    assert (target / "bin/one").read_bytes() == b"1"
    assert all(os.access(p, os.X_OK) for p in (target / "bin").iterdir())
    assert json.loads((target / "versions.json").read_text()) == {"one@1": one.integrity, "two@2": two.integrity}
    assert said == ["downloading one@1", "downloading two@2"]


def fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *packages: Package) -> None:
    monkeypatch.setitem(tools_module.PACKAGES, "x86_64", packages)
    target = tmp_path / "volume"
    target.mkdir()
    agent_tools("x86_64").fill(target, lambda _: None)


def test_a_package_that_changed_is_refused(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = package(registry, "one@1", {"one": b"1"}, {"one": "one"})
    (registry / "one@1.tgz").write_bytes(archive({"one": b"evil"}))
    with pytest.raises(SandboxError, match="is not what it was"):
        fill(tmp_path, monkeypatch, one)
    assert not (tmp_path / "volume" / "bin" / "one").exists()


def test_a_package_without_its_program(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SandboxError, match="cannot be unpacked"):
        fill(tmp_path, monkeypatch, package(registry, "one@1", {"other": b"1"}, {"one": "one"}))


def test_a_failed_download(registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SandboxError, match=r"gone@1 cannot be downloaded.*no such package") as caught:
        fill(tmp_path, monkeypatch, Package("gone@1", {"one": "one"}, "sha512-x"))
    assert "network" in caught.value.remedy


def test_without_npm_uv_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "npm" else f"/bin/{name}")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert npm()[:3] == ["/bin/uv", "tool", "run"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "uv")
    assert npm()[:3] == [sys.executable, "-m", "uv"]


def test_with_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SandboxError, match="neither npm nor uv") as caught:
        npm()
    assert "uv" in caught.value.remedy
