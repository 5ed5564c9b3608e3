"""Settings that are wrong, and the words for it: what, where, how to mend. Nothing else happens then."""

import pytest

pytestmark = pytest.mark.timeout(600)  # many commands, each a process

REPO = ("run", "--repo", "calc", "--title", "x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[run]\nagnets = ['x']\n", ("unknown key `run.agnets`", "did you mean `agents`")),
        ("[run]\nattempt_seconds = 'long'\n", ("run.attempt_seconds", "valid number")),
        ("[run]\nattempt_seconds = -1\n", ("run.attempt_seconds", "greater than 0")),
        ("[run\n", ("not valid TOML", "line 1")),
        ("run = 3\n", ("`run`",)),
        ("[run]\nagents = ['nobody']\n", ("`nobody`, which is not configured", "known: claude, codex")),
        ("[agents.x]\ncli = 'cobol'\nmodel = 'm'\nprovider = 'openai'\n", ("agents.x.cli", "'codex' or 'claude'")),
        ("[agents.x]\ncli = 'codex'\nmodel = 'm'\nprovider = 'replay'\n", ("agents.x", "`script`")),
        ("[agents.x]\ncli = 'codex'\nmodel = 'm'\nprovider = 'anthropic'\n", ("agents.x", "codex cannot talk to")),
        ("[repo.'a/b']\ntets = 'make'\n", ("unknown key `repo.a/b.tets`", "did you mean `test")),
    ],
)  # fmt: skip
def test_a_wrong_settings_file(house, text, words):
    (house.folder / "automend.toml").write_text(text)
    done = house("status")
    assert (done.code, done.out) == (2, "")
    for word in words:
        assert word in done.said
    assert house.home.exists()


def test_a_settings_file_that_is_not_there(house):
    done = house("--config", "none.toml", "status")
    assert done.code == 2
    assert "no configuration file at none.toml" in done.said
    assert "automend init" in done.said


def test_settings_that_are_not_text(house):
    house.write("automend.toml", b"\xff\xfe\x00")
    done = house("status")
    assert done.code == 2
    assert "automend.toml cannot be read" in done.said


def test_a_wrong_variable_is_named(house):
    done = house("status", env={"AUTOMEND_RUN__POLICI": "x"})
    assert done.code == 2
    assert "AUTOMEND_RUN__POLICI: unknown key `run.polici`" in done.said
    assert "did you mean `policy`?" in done.said


def test_a_home_that_cannot_be(house):
    file = house.write("file", "")
    done = house("status", env={"AUTOMEND_HOME": str(file)})
    assert done.code == 2
    assert "AUTOMEND_HOME" in done.said
    assert "name a folder you own" in done.said


def test_a_database_of_another_kind(house):
    done = house("status", env={"AUTOMEND_DATABASE_URL": "mysql://somewhere/else"})
    assert done.code == 2
    assert "AUTOMEND_DATABASE_URL" in done.said


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--policy", "nosuch"), ("there is no policy `nosuch`", "built-in: default")),
        (("--policy", "typo.toml"), ("unknown key `size.max_file`", "did you mean `max_files`")),
        (("--policy", "broken.toml"), ("broken.toml cannot be read",)),
        (("--policy", "wrong.toml"), ("wrong.toml", "size.max_files")),
        (("--agent", "nobody"), ("there is no agent `nobody`", "configured: ")),
        (("--repo-config", "typo-repo.toml"), ("unknown key `tset`", "did you mean `test`")),
        (("--repo-config", "nosuch.toml"), ("nosuch.toml", "does not exist")),
        (("--goal", "dance"), ("'dance' is not one of",)),
        (("--context", "nosuch.log"), ("nosuch.log", "No such file")),
    ],
)  # fmt: skip
def test_a_name_that_is_wrong_is_told_before_anything_happens(house, calc, args, words):
    house.write("typo.toml", "[size]\nmax_file = 3\n")
    house.write("broken.toml", "name = \n")
    house.write("wrong.toml", "[size]\nmax_files = 'many'\n")
    house.write("typo-repo.toml", "tset = 'make'\n")
    done = house("run", "--repo", calc.path, "--title", "x", *args)
    assert (done.code, done.out) == (2, "")
    for word in words:
        assert word in done.said
    assert house.runs() == []


def test_nothing_to_go_by(house, calc):
    for context in ((), ("--context", house.write("empty.log", " \n"))):
        done = house("run", "--repo", calc.path, *context)
        assert done.code == 2
        assert "there is nothing to go by" in done.said
        assert "--context FILE" in done.said


def test_an_error_is_one_json_document_where_json_was_asked_for(house):
    done = house("show", "nosuch", "--json")
    assert done.code == 2
    assert done.document == {
        "error": {"type": "UsageError", "message": "there is no run `nosuch`", "remedy": "`automend status` lists them"}
    }


def test_init_writes_what_automend_reads(house):
    path = house.folder / "fresh.toml"
    done = house("init", path)
    assert done.code == 0
    assert house("--config", path, "status").code == 0
    uncommented = "\n".join(
        line.removeprefix("# ") for line in path.read_text().splitlines() if line.startswith(("# [", "# attempts"))
    )
    assert "[run]" in uncommented
    again = house("init", path)
    assert again.code == 2
    assert "--force" in again.said
    assert house("init", "--force", path).code == 0
    nowhere = house("init", house.folder / "none" / "x.toml")
    assert nowhere.code == 2
    assert "cannot be written" in nowhere.said
