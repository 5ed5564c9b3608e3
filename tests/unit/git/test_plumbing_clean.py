import pytest

from runner.errors import AutomendError, GitError
from runner.git import plumbing


def test_nothing_of_the_host_reaches_git(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_SSH_COMMAND",
        "GITHUB_TOKEN",
        "OPENAI_API_KEY",
        "HOME",
        "LD_PRELOAD",
    ):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    env = plumbing.clean_environment({"GIT_INDEX_FILE": "/mine"})
    assert "leaked" not in env.values()
    assert env["GIT_INDEX_FILE"] == "/mine"
    assert env["https_proxy"] == "http://proxy.example:3128"
    assert env["GIT_CONFIG_GLOBAL"] == "/dev/null"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("fatal: https://me:word@host/x", "fatal: https://***@host/x"),
        ("http://word@host/x and ftp://a:b@c", "http://***@host/x and ftp://***@c"),
        ("http.extraHeader=Authorization: Basic QUJD", "http.extraHeader=Authorization: ***"),
        ("AUTHORIZATION: bearer abc.def", "AUTHORIZATION: ***"),
        ("https://host/a@b", "https://host/a@b"),
        ("nothing here", "nothing here"),
    ],
)
def test_credentials_are_taken_out(text: str, clean: str) -> None:
    assert plumbing.redact(text) == clean


def test_values_of_the_configuration_are_taken_out() -> None:
    env = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.x.extraHeader", "GIT_CONFIG_VALUE_0": "Cookie: open"}
    assert plumbing.redact("error: Cookie: open was refused", env) == "error: *** was refused"


def test_a_failure_crosses_the_engine_as_a_git_error() -> None:
    back = AutomendError.from_json(plumbing.GitFailed("git x", 128, "fatal: y").to_json())
    assert type(back) is GitError
    assert back.message == "`git x` ended with exit code 128: fatal: y"
