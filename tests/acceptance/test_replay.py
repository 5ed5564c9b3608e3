"""`automend show --transcript` and `automend replay`: what an attempt was, and the same once more."""

import gzip

import pytest

from tests.acceptance.conftest import FIX, TRACEBACK

pytestmark = [pytest.mark.docker, pytest.mark.agents, pytest.mark.timeout(1800)]


def test_an_attempt_is_told_and_played_again(house, calc):
    house.agent(FIX, cli="claude")
    house.write("error.log", TRACEBACK)
    done = house("run", "--repo", calc.path, "--context", "error.log", "--dry-run", "--json")
    assert done.code == 0, done.err
    run = done.document["id"]

    told = house("show", run, "--transcript", "--json").document
    assert told["outcome"] == "done"
    assert "ZeroDivisionError" in told["prompt"]
    first, second, last = (e for e in told["exchanges"] if e["usage"]["output"])
    assert [first["calls"][0]["tool"], second["calls"][0]["tool"]] == ["Bash", "Bash"]
    assert first["calls"][0]["command"].startswith("cat >calc.py")
    assert first["calls"][0]["output"] is not None
    assert last["said"] == "The mean of nothing is 0 now."
    assert sum(e["usage"]["input"] for e in told["exchanges"]) == told["usage"]["input"]

    before = house.show(run)
    played = house("replay", run, "--json")
    assert (played.code, played.document["difference"]) == (0, None), played.out
    assert played.document["same"]
    assert played.document["files"] == {"compared": True, "different": []}
    assert house.show(run) == before, "the run itself stays as it is"

    record = house.home / "runs" / run / "attempt-1.exchanges.jsonl.gz"
    lines = gzip.decompress(record.read_bytes()).decode()
    assert "if values else 0" in lines
    record.write_bytes(gzip.compress(lines.replace("if values else 0", "if values else 1").encode()))
    other = house("replay", run)
    assert other.code == 1
    for words in ("DIFFERENT", "1 differ", "calc.py"):
        assert words in other.out
    assert house("replay", run, "--attempt", "9").code == 2
    nowhere = house("replay", run, env={"DOCKER_HOST": "unix:///nowhere.sock"})
    assert nowhere.code == 3, nowhere.err
