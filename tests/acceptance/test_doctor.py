"""`automend doctor`: each thing that is wrong, with how to mend it."""

import pytest

from tests.acceptance.conftest import FIX

pytestmark = pytest.mark.timeout(600)  # many commands, each a process


def symptoms(house, *args, **kwargs):
    done = house("doctor", "--json", *args, **kwargs)
    return done.code, {s["name"]: s for s in done.document}


def test_nothing_is_there(house):
    code, found = symptoms(house, env={"DOCKER_HOST": "unix:///nowhere"})
    assert code == 3
    assert found["docker"]["state"] == "bad"
    assert "start the Docker engine" in found["docker"]["remedy"]
    assert found["git"]["state"] == "ok"
    assert found["agent codex"]["state"] == "warn"
    assert "OPENAI_API_KEY" in found["agent codex"]["what"]
    assert "ANTHROPIC_API_KEY" in found["agent claude"]["remedy"]
    assert "GITHUB_TOKEN" in found["forge"]["remedy"]
    told = house("doctor", env={"DOCKER_HOST": "unix:///nowhere", "OPENAI_API_KEY": "not-to-be-shown"})
    assert told.code == 3
    assert "→ set GITHUB_TOKEN" in " ".join(told.out.split())
    assert "not-to-be-shown" not in told.out + told.err


@pytest.mark.docker
def test_all_is_there(town, calc):
    name = town.repo(calc, "acme/calc", required_approvals=1)
    town.house.agent(FIX)
    code, found = symptoms(town.house, "--repo", name)
    assert code == 0, found
    assert {s["state"] for s in found.values()} <= {"ok", "warn"}
    assert found["docker"]["state"] == found["agent script"]["state"] == "ok"
    assert found["agent script"]["remedy"] == ""
    assert any("automend-bot" in s["what"] for s in found.values())
    assert any(name in s["what"] for s in found.values())


def test_a_token_that_does_not_count(town, calc):
    name = town.repo(calc, "acme/calc")
    code, found = symptoms(town.house, "--repo", name, env={"GITHUB_TOKEN": "token-of-nobody"})
    assert code == 3
    (bad,) = [s for s in found.values() if s["state"] == "bad" and "token" in (s["what"] + s["remedy"]).lower()]
    assert bad["remedy"]
    assert "token-of-nobody" not in str(found)


def test_a_token_with_too_few_rights(town, calc):
    name = town.repo(calc, "acme/calc")
    code, found = symptoms(town.house, "--repo", name, env={"GITHUB_TOKEN": "token-of-ben"})
    assert code == 3
    bad = [s for s in found.values() if s["state"] == "bad"]
    assert any("write" in (s["what"] + s["remedy"]).lower() for s in bad), bad


def test_a_repository_that_is_not_there_and_a_script_that_is_not(town):
    town.house.agent(FIX)
    (town.house.folder / "script.toml").unlink()
    code, found = symptoms(town.house, "--repo", "acme/nosuch")
    assert code == 3
    assert any("acme/nosuch" in s["what"] and s["state"] == "bad" for s in found.values())
    assert found["agent script"]["state"] == "bad"
    assert "script" in found["agent script"]["remedy"]


def test_the_switch(house):
    _, found = symptoms(house, env={"AUTOMEND_DISABLED": "1"})
    assert found["switch"]["state"] == "warn"
