"""What decides an image's name, and what a build may see of the host."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox import debian
from sandbox.api import EnvironmentRecipe, SandboxError
from sandbox.build import Lines, ca_bundle, host_variables
from sandbox.image import environment_key
from sandbox.tools import _tar

RECIPE = EnvironmentRecipe(setup=("a", "b"), key_files={"x": "1", "y": "2"}, tree=list)


def test_key_changes_with_everything_that_decides() -> None:
    keys = {
        environment_key(RECIPE, "base"),
        environment_key(RECIPE, "other base"),
        environment_key(replace(RECIPE, setup=("b", "a")), "base"),
        environment_key(replace(RECIPE, setup=("a b",)), "base"),
        environment_key(replace(RECIPE, key_files={"x": "1", "y": "3"}), "base"),
        environment_key(replace(RECIPE, key_files={"x": "1"}), "base"),
    }
    assert len(keys) == 6


def test_key_does_not_change_with_what_does_not_matter() -> None:
    other = replace(RECIPE, key_files={"y": "2", "x": "1"}, timeout=1.0, tree=lambda: [b"x"])
    assert environment_key(other, "base") == environment_key(RECIPE, "base")


def test_bundle_is_the_one_that_the_host_names(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(b"PEM")
    assert ca_bundle({"PIP_CERT": str(bundle)}) == b"PEM"
    assert ca_bundle({"SSL_CERT_FILE": str(tmp_path / "missing"), "REQUESTS_CA_BUNDLE": str(bundle)}) == b"PEM"


def test_no_credentials_of_the_host_reach_a_build() -> None:
    host = {
        "HTTPS_PROXY": "http://proxy.example:3128",
        "PIP_INDEX_URL": "https://somebody:something@packages.example/simple",
        "OPENAI_API_KEY": "key",
        "HOME": "/root",
        "NO_PROXY": "",
    }
    assert host_variables(host) == {"HTTPS_PROXY": "http://proxy.example:3128"}


def test_progress_tells_whole_lines_and_not_too_many() -> None:
    told: list[str] = []
    lines = Lines(told.append, every=3600)
    lines.feed(b"half")
    assert told == []
    lines.feed(b" line\nnext\n\n")
    lines.feed(b"too soon\n")
    assert told == ["next"]


def test_base_image_name_names_its_content(monkeypatch: pytest.MonkeyPatch) -> None:
    before = debian.image_name()
    assert before.startswith("automend-base:bookworm-")
    monkeypatch.setattr(debian, "PACKAGES", (*debian.PACKAGES, "jq"))
    assert debian.image_name() != before


def test_only_root_makes_a_base_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SandboxError, match="only root") as caught:
        debian._need_debootstrap(lambda _: None)
    assert "AUTOMEND_BASE_IMAGE" in caught.value.remedy


def test_a_bootstrap_that_fails_never_ends_its_stream_quietly() -> None:
    told: list[str] = []
    stream = debian._output(["sh", "-c", "printf half; echo 'E: no mirror' >&2; exit 3"], told.append)
    assert next(stream) == b"half"
    with pytest.raises(SandboxError, match=r"ended with 3:\nE: no mirror"):
        next(stream)
    assert told == ["E: no mirror"]


def test_a_bootstrap_that_is_not_read_to_the_end_is_killed() -> None:
    stream = debian._output(["sh", "-c", "sleep 3600 & printf x; wait"], lambda _: None)
    assert next(stream) == b"x"
    stream.close()  # hangs if a child kept the pipes


def test_tools_are_packed_readable_by_the_job(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir(mode=0o700)
    program = tmp_path / "bin" / "program"
    program.write_bytes(b"x" * 3_000_000)
    program.chmod(0o700)
    (tmp_path / "data").write_text("d")
    (tmp_path / "data").chmod(0o600)
    with tarfile.open(fileobj=io.BytesIO(b"".join(_tar(tmp_path)))) as tar:
        entries = {e.name: e for e in tar}
    assert {n: e.mode & 0o777 for n, e in entries.items() if n != "."} == {
        "./bin": 0o755, "./bin/program": 0o755, "./data": 0o644,
    }  # fmt: skip
    assert {(e.uid, e.gid) for e in entries.values()} == {(0, 0)}


def test_tools_that_cannot_be_packed_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="could not be packed"):
        b"".join(_tar(tmp_path / "missing"))
