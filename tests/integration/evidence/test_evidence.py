"""Evidence is written, read by somebody else, and judged again."""

import json

import pytest

CALC = {
    "calc.py": "def mean(values):\n    return sum(values) / len(values)\n",
    "test_calc.py": "from calc import mean\n\n\ndef test_mean():\n    assert mean([1, 3]) == 2\n",
    "requirements.txt": "pytest\ncoverage\n",
    ".automend.toml": "[policy.size]\nmax_files = 5\n",
}
FIX = {
    "calc.py": "def mean(values):\n    return sum(values) / len(values) if values else 0\n",
    "test_calc.py": CALC["test_calc.py"] + "\n\ndef test_mean_of_nothing():\n    assert mean([]) == 0\n",
}


@pytest.fixture
def repo(make_repo):
    made = make_repo(CALC)
    made.git("checkout", "--quiet", "-b", "fix")
    made.commit(FIX)
    return made


@pytest.fixture
def static(automend, repo, tmp_path):
    """Evidence by the rules alone."""
    path = tmp_path / "evidence.json"
    automend("gate", "--repo", repo.path, "--base", "main", "--head", "fix", "--static", "--evidence-out", path)
    return path


@pytest.mark.docker
@pytest.mark.timeout(900)  # two judgements, the first of which builds an environment
def test_evidence_has_every_test_and_holds(automend, repo, tmp_path, engine):
    path, again = tmp_path / "evidence.json", tmp_path / "again.json"
    public = automend("init", "--key").stdout.split()[-1]
    automend("gate", "--repo", repo.path, "--base", "main", "--head", "fix", "--evidence-out", path)
    document = json.loads(path.read_text())
    told = {test["id"]: (test["before"], test["after"], test["red"]) for test in document["tests"]}
    assert told == {
        "test_calc.py::test_mean": ("passed", "passed", "passed"),
        "test_calc.py::test_mean_of_nothing": (None, "passed", "failed"),
    }
    assert {run["name"]: run["exit_code"] for run in document["runs"]} == {"base": 0, "kept": 0, "red": 1, "head": 0}
    assert document["environment"]["image"].startswith("sha256:")
    assert document["policy"]["values"]["size"]["max_files"] == 5
    assert document["seal"]["signature"]["public_key"] == public
    repo.git("checkout", "--quiet", "main")
    repo.git("branch", "--quiet", "-D", "fix")
    said = automend(
        "gate", "--repo", repo.path, "--evidence", path, "--public-key", public, "--evidence-out", again, "--json"
    )
    comparison = json.loads(said.stdout)["comparison"]
    assert comparison["holds"]
    assert comparison["differences"] == []
    assert json.loads(again.read_text())["tests"] == document["tests"]


def test_static_evidence_is_judged_again_without_a_container(automend, repo, static):
    said = automend("gate", "--repo", repo.path, "--evidence", static)
    assert "HOLDS" in said.stdout
    assert "not signed" in said.stdout


def test_evidence_that_was_changed_is_refused_with_the_part(automend, repo, static):
    document = json.loads(static.read_text())
    document["result"]["verdict"] = "failed"
    static.write_text(json.dumps(document))
    assert "`result`" in automend("gate", "--repo", repo.path, "--evidence", static, code=1).stderr


def test_under_a_policy_that_says_no_it_does_not_hold(automend, repo, static, tmp_path):
    strict = tmp_path / "tiny.toml"
    strict.write_text('[paths]\nprotected = ["calc.py"]\n')
    said = automend("gate", "--repo", repo.path, "--evidence", static, "--policy", strict, "--json", code=1)
    found = {
        (d["part"], d["what"]): (d["then"], d["now"]) for d in json.loads(said.stdout)["comparison"]["differences"]
    }
    assert found["result", "verdict"] == ("passed", "failed")
    assert ("policy", "hash") in found


def test_evidence_about_another_patch_is_refused(automend, repo, static):
    said = automend("gate", "--repo", repo.path, "--evidence", static, "--head", "main", code=1)
    assert "this is not the patch that was judged" in " ".join(said.stderr.split())


def test_a_patch_given_as_text_is_in_its_evidence(automend, repo, tmp_path):
    patch, path = tmp_path / "a.patch", tmp_path / "evidence.json"
    patch.write_text(repo.git("diff", "--binary", "main", "fix") + "\n")
    automend("gate", "--repo", repo.path, "--base", "main", "--patch", patch, "--static", "--evidence-out", path)
    assert json.loads(path.read_text())["subject"]["head_commit"] is None
    automend("gate", "--repo", repo.path, "--evidence", path)


def test_what_does_not_go_together_is_told(automend, repo, static):
    for words in (("--evidence", static, "--base", "main"), ("--head", "fix"), ("--public-key", "x", "--base", "main")):
        automend("gate", "--repo", repo.path, *words, code=2)


def test_a_key_that_others_can_read_signs_nothing(automend, repo, home):
    automend("init", "--key")
    (home / "evidence.key").chmod(0o644)
    said = automend("gate", "--repo", repo.path, "--base", "main", "--head", "fix", "--static", code=2)
    assert "can be read by others" in said.stderr


def test_policy_tells_what_is_in_force_and_what_each_rule_says(automend, repo, tmp_path):
    assert "default" in automend("policy", "list").stdout
    said = json.loads(automend("policy", "explain", "--repo", repo.path, "--base", "main", "--json").stdout)
    setting = next(s for s in said["settings"] if s["key"] == "size.max_files")
    assert (setting["value"], setting["source"]) == (5, "tightened by .automend.toml on the base")
    alone = json.loads(automend("policy", "explain", "--json").stdout)
    assert next(s for s in alone["settings"] if s["key"] == "size.max_files")["source"] == "built-in default"
    words = automend("policy", "test", "--repo", repo.path, "--base", "main", "--head", "fix").stdout
    assert "size.files" in words
    assert "holds" in words
    strict = tmp_path / "tiny.toml"
    strict.write_text('[paths]\nprotected = ["calc.py"]\n')
    said = automend(
        "policy", "test", "--repo", repo.path, "--base", "main", "--head", "fix", "--policy", strict, "--json", code=1
    )
    no = [a["rule"] for a in json.loads(said.stdout)["rules"] if a["verdict"] == "failed"]
    assert no == ["paths.protected"]
