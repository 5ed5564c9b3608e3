"""`automend gate`: somebody's patch, judged without an agent."""

import pytest

from tests.acceptance.conftest import CALC, FIXED, NEW_TEST

pytestmark = pytest.mark.timeout(1800)  # whole gates on a busy machine

WITH_TEST = CALC["test_calc.py"] + NEW_TEST


@pytest.fixture
def branches(calc):
    """`good` is the fix with its test, `untested` the fix alone, `wrong` breaks what worked, `ci` touches CI."""
    for name, files in {
        "good": {"calc.py": FIXED, "test_calc.py": WITH_TEST},
        "untested": {"calc.py": FIXED},
        "wrong": {"calc.py": "def mean(values):\n    return 0\n", "test_calc.py": WITH_TEST},
        "ci": {".github/workflows/ci.yml": "on: push\n"},
        "big": {f"file{n}.py": "x = 1\n" for n in range(12)},
    }.items():
        calc.git("checkout", "--quiet", "-b", name, "main")
        calc.commit(files, name)
    calc.git("checkout", "--quiet", "main")
    return calc


def gate(house, repo, *args, **kwargs):
    return house("gate", "--repo", repo.path, "--base", "main", *args, **kwargs)


def test_the_rules_alone_need_no_engine(house, branches):
    nowhere = {"DOCKER_HOST": "unix:///nowhere"}
    done = gate(house, branches, "--head", "good", "--static", "--json", env=nowhere)
    assert done.code == 0, done.err
    document = done.document
    assert document.keys() == {"verdict", "findings", "checks", "patch", "evidence"}
    assert document["verdict"] == "passed"
    assert document["checks"] == []
    assert {"files": 2, "added": 5, "removed": 1}.items() <= document["patch"].items()
    for finding in document["findings"]:
        assert {"rule", "verdict", "message", "path", "line"} <= finding.keys()
        assert finding["verdict"] in {"passed", "failed", "error", "inconclusive"}
    refused = gate(house, branches, "--head", "ci", "--static", "--json", env=nowhere)
    assert refused.code == 1
    (finding,) = [f for f in refused.document["findings"] if f["verdict"] == "failed"]
    assert finding["path"] == ".github/workflows/ci.yml"
    assert finding["rule"].startswith("paths.")
    assert finding["remedy"]


def test_for_people_every_refusal_says_where_and_what_would_do(house, branches):
    done = gate(house, branches, "--head", "big", "--static")
    assert done.code == 1
    said = " ".join(done.out.split())
    assert "FAILED" in said
    assert "12" in said
    assert "size.files" in said
    assert "→" in said


def test_a_policy_of_ones_own(house, branches):
    roomy = house.write("roomy.toml", "[size]\nmax_files = 20\n")
    assert gate(house, branches, "--head", "big", "--static", "--policy", roomy).code == 0
    strict = house.write("strict.toml", "name = 'strict'\n[size]\nmax_files = 1\n")
    done = gate(house, branches, "--head", "good", "--static", "--policy", strict, "--json")
    assert done.code == 1
    assert done.document["evidence"]["policy"] == "strict"
    house.configure('[run]\npolicy = "strict.toml"\n')
    (house.folder / "sub").mkdir()
    elsewhere = house("--config", house.folder / "automend.toml", "gate", "--repo", branches.path, "--base", "main",
                      "--head", "good", "--static")  # fmt: skip
    assert elsewhere.code == 1


def test_patch_text_is_judged_as_the_tree_that_it_makes(house, branches):
    text = branches.git("diff", "--binary", "main", "good") + "\n"
    from_file = gate(house, branches, "--patch", house.write("good.patch", text), "--static", "--json")
    piped = gate(house, branches, "--patch", "-", "--static", "--json", stdin=text.encode())
    head = gate(house, branches, "--head", "good", "--static", "--json")
    assert from_file.code == piped.code == head.code == 0
    trees = {d.document["evidence"]["head_tree"] for d in (from_file, piped, head)}
    assert len(trees) == 1
    sly = "diff --git a/x b/x\nsimilarity index 100%\nrename from calc.py\nrename to .github/CODEOWNERS\n"
    done = gate(house, branches, "--patch", "-", "--static", "--json", stdin=sly.encode())
    assert done.code == 1
    assert ".github/CODEOWNERS" in [f["path"] for f in done.document["findings"] if f["verdict"] == "failed"]


def test_what_is_no_patch(house, branches):
    for content, words in [
        (b"hello\n", "that is no patch"),
        (b"\x00\xff\x80" * 10_000, "that is no patch"),
        (branches.git("diff", "good", "main").encode() + b"\n", "does not apply"),
    ]:
        done = gate(house, branches, "--patch", "-", "--static", stdin=content)
        assert (done.code, done.out) == (2, "")
        assert words in done.said
        assert "git diff --binary" in done.said
    empty = gate(house, branches, "--patch", "-", "--static")
    assert empty.code == 1
    assert "the patch changes nothing" in " ".join(empty.out.split())
    same = gate(house, branches, "--head", "main", "--static", "--json")
    assert same.code == 1
    assert same.document["patch"]["files"] == 0


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "give either --patch FILE or --head REF"),
        (("--patch", "-", "--head", "good"), "give either --patch FILE or --head REF"),
        (("--head", "nosuch"), "no branch, tag or commit `nosuch`"),
        (("--patch", "nosuch.patch"), "No such file"),
        (("--head", "good", "--goal", "dance"), "'dance' is not one of"),
        (("--head", "good", "--policy", "nosuch"), "there is no policy `nosuch`"),
    ],
)
def test_wrong_usage(house, branches, args, words):
    done = gate(house, branches, *args)
    assert (done.code, done.out) == (2, "")
    assert words in done.said


@pytest.mark.docker
def test_the_proof_in_containers(house, branches):
    done = gate(house, branches, "--head", "good", "--json")
    assert done.code == 0, done.out + done.err
    document = done.document
    assert document["verdict"] == "passed"
    assert {c["name"] for c in document["checks"]} >= {"baseline", "regressions", "red-green", "tests", "coverage"}
    for check in document["checks"]:
        assert {"name", "verdict", "summary", "seconds"} <= check.keys()
    evidence = document["evidence"]
    assert evidence["tests"]["red_to_green"] == ["test_calc.py::test_mean_of_nothing"]
    assert evidence["tests"]["regressions"] == []
    assert evidence["coverage"]["after"] == 100.0
    assert evidence["image"].startswith("sha256:")
    wrong = gate(house, branches, "--head", "wrong", "--json")
    assert wrong.code == 1
    assert "test_calc.py::test_mean" in wrong.document["evidence"]["tests"]["regressions"]
    assert house.left_behind() == []


@pytest.mark.docker
def test_a_fix_needs_a_test_and_an_improvement_does_not(house, branches):
    done = gate(house, branches, "--head", "untested", "--json")
    assert done.code == 1
    failed = [c["name"] for c in done.document["checks"] if c["verdict"] == "failed"]
    assert failed == ["red-green"]
    assert gate(house, branches, "--head", "untested", "--goal", "improve").code == 0


@pytest.mark.docker
def test_no_tests_is_inconclusive(house, make_repo):
    repo = make_repo({"calc.py": CALC["calc.py"], "requirements.txt": CALC["requirements.txt"]})
    repo.git("checkout", "--quiet", "-b", "good")
    repo.commit({"calc.py": FIXED})
    done = gate(house, repo, "--head", "good", "--goal", "improve", "--json")
    assert done.code == 4
    (check,) = done.document["checks"]
    assert check["verdict"] == "inconclusive"
    assert "no tests were found" in check["summary"]


@pytest.mark.docker
def test_how_to_test_by_a_file_of_the_host(house, make_repo):
    repo = make_repo({"run.sh": "exit 1\n", "value": "1\n"})
    repo.git("checkout", "--quiet", "-b", "good")
    repo.commit({"value": "2\n"})
    config = house.write("repo.toml", 'setup = []\ntest = "test -s value"\n')
    done = gate(house, repo, "--head", "good", "--goal", "improve", "--repo-config", config, "--json")
    assert done.code == 0, done.out + done.err
    assert "test -s value" in " ".join(done.document["evidence"]["commands"])


@pytest.mark.docker
def test_no_engine_is_an_error_and_no_verdict(house, branches):
    for where in ("unix:///nowhere", "tcp://127.0.0.1:9"):
        done = gate(house, branches, "--head", "good", "--json", env={"DOCKER_HOST": where})
        assert done.code == 3
        assert done.document["verdict"] == "error"
        (check,) = done.document["checks"]
        assert "no Docker engine answers" in check["summary"]
