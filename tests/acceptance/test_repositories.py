"""Repositories that cannot be worked on: each is told, and nothing of it is left."""

import subprocess

import pytest

from tests.acceptance.conftest import CALC, FIX

pytestmark = pytest.mark.timeout(600)  # many commands, each a process


def run(house, repo, *args):
    done = house("run", "--repo", repo, "--title", "Mend it", *args)
    assert done.out == ""
    return done


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("./nothere", ("there is no ./nothere", "OWNER/NAME")),
        ("nothere", ("'nothere' does not name a repository",)),
        ("", ("does not name a repository",)),
        ("--upload-pack=x", ("does not name a repository",)),
        ("https://user:word@example.org/a/b", ("holds a name or password", "GITHUB_TOKEN")),
        ("plain", ("is no git repository", "git init")),
    ],
)
def test_what_is_no_repository(house, name, words):
    (house.folder / "plain").mkdir()
    done = house("run", f"--repo={name}", "--title", "x")
    assert (done.code, done.out) == (2, "")
    for word in words:
        assert word in done.said
    assert house.runs() == []


def test_a_forge_needs_a_token(house):
    done = run(house, "acme/shop")
    assert done.code == 2
    assert "no token for the forge" in done.said
    assert "GITHUB_TOKEN" in done.said


def test_a_repository_that_the_forge_does_not_know(town):
    done = run(town.house, "acme/nosuch")
    assert done.code == 2
    assert "acme/nosuch" in done.said


def test_an_empty_one(house, make_repo):
    path = house.folder / "empty"
    subprocess.run(["git", "init", "-q", str(path)], check=True, capture_output=True)
    done = run(house, path)
    assert done.code == 2
    assert "is empty: it has no commit yet" in done.said


def test_a_shallow_one(house, calc):
    calc.commit({}, "two")
    shallow = house.folder / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth=1", f"file://{calc.path}", str(shallow)], check=True)
    done = run(house, shallow)
    assert done.code == 2
    assert "shallow clone" in done.said
    assert "git fetch --unshallow" in done.said


def test_a_ref_that_is_not_there(house, calc):
    done = run(house, calc.path, "--base", "mian")
    assert done.code == 2
    assert "no branch, tag or commit `mian`" in done.said
    assert "main" in done.said
    assert run(house, calc.path, "--base=--upload-pack=x").code == 2
    assert house.runs()[0]["status"] == "failed"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tset = 'pytest'\n", ("unknown key `tset`", "did you mean `test`")),
        ("[policy.size]\nmax_files = 1000\n", ("size.max_files", "can only tighten")),
        ("[policy.paths]\nprotectd = []\n", ("paths.protectd",)),
        ("test = 3\n", ("`test`",)),
        ("[deploy]\ncommand = 'rm -rf /'\n", ("deploy",)),
        ("test = \n", (".automend.toml",)),
    ],
)
def test_a_file_of_its_own_that_is_wrong(house, make_repo, text, words):
    house.agent(FIX)
    repo = make_repo({**CALC, ".automend.toml": text})
    done = run(house, repo.path)
    assert done.code == 2
    assert ".automend.toml" in done.said
    for word in words:
        assert word in done.said
    gate = house("gate", "--repo", repo.path, "--base", "main", "--head", "main", "--static")
    assert gate.code == 2
    assert ".automend.toml" in gate.said


@pytest.mark.docker
def test_a_setup_that_fails_shows_its_last_lines(house, make_repo):
    house.agent(FIX)
    own = "setup = ['echo the first line', 'echo this is what is wrong >&2; exit 7']\ntest = 'test -s value'\n"
    repo = make_repo({"value": "1\n", ".automend.toml": own})
    done = run(house, repo.path)
    assert done.code == 3
    assert "exit 7` ended with 7:" in done.said
    assert "this is what is wrong" in done.said
    assert "correct the setup commands" in done.said
    assert house.left_behind() == []
