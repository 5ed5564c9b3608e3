from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from runner.errors import RepositoryError, UsageError
from runner.github.locate import Location, locate, on_forge
from runner.settings import RepoConfig

SERVER = "https://github.com"
HUB = "http://127.0.0.1:8080"


def git(*args: str, cwd: Path) -> None:
    subprocess.run(
        ["git", "-c", "user.name=n", "-c", "user.email=e@x", *args], cwd=cwd, check=True, capture_output=True
    )


def repository(path: Path, origin: str | None = None) -> Path:
    path.mkdir(parents=True)
    git("init", "-q", cwd=path)
    if origin:
        git("remote", "add", "origin", origin, cwd=path)
    return path


def find(text: str, server: str = SERVER, **known: str) -> Location:
    tables = {name: RepoConfig.model_validate({"forge": forge}) for name, forge in known.items()}
    return locate(text, server_url=server, known=tables)


@pytest.mark.parametrize(
    "text",
    [
        "octo/tool",
        " octo/tool ",
        "octo/tool.git",
        "https://github.com/octo/tool",
        "https://github.com/octo/tool/",
        "https://github.com/octo/tool.git",
        "https://GitHub.com:443/octo/tool",
        "git@github.com:octo/tool.git",
        "ssh://git@github.com/octo/tool.git",
    ],
)
def test_every_spelling_of_a_forge_repository(text: str) -> None:
    assert find(text) == Location("forge", "octo/tool", "https://github.com/octo/tool.git")


def test_a_forge_at_a_port_of_its_own() -> None:
    assert find(f"{HUB}/octo/tool.git", HUB).forge == "octo/tool"
    assert find("http://127.0.0.1:9999/octo/tool.git", HUB).kind == "url"
    assert on_forge("http://127.0.0.1/octo/tool", HUB) is None


def test_a_forge_below_a_path() -> None:
    assert on_forge("https://h.example/forge/octo/tool", "https://h.example/forge") == "octo/tool"
    assert on_forge("https://h.example/octo/tool", "https://h.example/forge") is None


@pytest.mark.parametrize(
    "text",
    [
        "https://gitlab.example/group/sub/tool.git",
        "git@gitlab.example:group/tool.git",
        "ssh://git@host:2222/srv/tool.git",
        "git://host/tool",
    ],
)
def test_another_address(text: str) -> None:
    assert find(text) == Location("url", None, text)


def test_the_host_may_know_where_an_address_lives() -> None:
    tables = {"https://mirror.example/x.git": RepoConfig.model_validate({"forge": "octo/tool"})}
    found = locate("https://mirror.example/x.git", server_url=SERVER, known=tables)
    assert (found.kind, found.forge, found.remote) == ("forge", "octo/tool", "https://github.com/octo/tool.git")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "nonsense",
        "-o/x",
        "--upload-pack=x",
        "a/b/c",
        "a/..",
        "a/.",
        "/",
        "ext::sh -c id",
        "git@-oProxyCommand=x:y",
        "fd::17",
        "https://",
        "https://github.com/octo/tool/pull/3",
        "https://github.com/octo",
        "https://github.com/octo/tool?tab=readme",
        "https://github.com/octo/tool#readme",
        "ftp://host/x",
        "https://host:port/x",
        "octo/to ol",
        "octo/tool\nx",
        "./nowhere",
        "~nobody-of-that-name/x",
    ],
)
def test_nonsense_is_refused_with_the_way_out(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, RepositoryError)) as e:
        find(text)
    assert e.value.remedy
    assert e.value.exit_code == 2


@pytest.mark.parametrize("text", ["https://me:hunter2@github.com/o/n", "https://hunter2@host.example/o/n.git"])
def test_a_password_in_an_address_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as e:
        find(text)
    assert "hunter2" not in e.value.message + e.value.remedy


def test_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = repository(tmp_path / "tool")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for text in (str(top), "./tool", "tool", "~/tool", f"file://{top}", "./tool/"):
        assert find(text) == Location("path", None, str(top), top), text


def test_a_folder_inside_a_repository_means_its_top(tmp_path: Path) -> None:
    top = repository(tmp_path / "tool")
    (top / "src").mkdir()
    found = find(str(top / "src"))
    assert found.path == top
    assert str(top) in found.note


@pytest.mark.parametrize("origin", ["https://github.com/octo/tool.git", "git@github.com:octo/tool"])
def test_a_path_whose_origin_is_on_the_forge(tmp_path: Path, origin: str) -> None:
    top = repository(tmp_path / "tool", origin)
    assert find(str(top)) == Location("path", "octo/tool", "https://github.com/octo/tool.git", top)


def test_a_path_whose_origin_is_elsewhere_and_what_the_host_says(tmp_path: Path) -> None:
    top = repository(tmp_path / "tool", "https://gitlab.example/a/b.git")
    assert find(str(top)).forge is None
    assert find(str(top), **{str(top): "octo/tool"}).forge == "octo/tool"


def test_bare_repositories_and_linked_work_trees(tmp_path: Path) -> None:
    top = repository(tmp_path / "tool", "https://github.com/octo/tool.git")
    git("commit", "-q", "--allow-empty", "-m", "x", cwd=top)
    git("worktree", "add", "-q", str(tmp_path / "linked"), cwd=top)
    git("clone", "-q", "--bare", str(top), str(tmp_path / "bare.git"), cwd=tmp_path)
    assert find(str(tmp_path / "linked")).forge == "octo/tool"
    assert find(str(tmp_path / "bare.git")).path == tmp_path / "bare.git"


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="no git repository"):
        find(str(tmp_path))


def test_owner_name_and_a_directory_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "octo" / "plain").mkdir(parents=True)
    top = repository(tmp_path / "octo" / "tool")
    taken = find("octo/tool")
    assert (taken.kind, taken.path) == ("path", top)
    assert "took the directory" in taken.note
    plain = find("octo/plain")
    assert (plain.kind, plain.forge) == ("forge", "octo/plain")
    assert "no git repository" in plain.note


def test_nothing_in_the_repositorys_config_is_obeyed(tmp_path: Path) -> None:
    top = repository(tmp_path / "tool", "https://github.com/octo/tool.git")
    mark = tmp_path / "mark"
    (tmp_path / "more").write_text('[remote "origin"]\n url = https://github.com/evil/tool.git\n')
    with (top / ".git" / "config").open("a") as config:
        config.write(f'[core]\n fsmonitor = "touch {mark}"\n[include]\n path = {tmp_path / "more"}\n')
    assert find(str(top)).forge == "octo/tool"
    assert not mark.exists()
