import pytest

from runner.config import load, read_repo_config, template
from runner.errors import ConfigError


def write(tmp_path, text):
    path = tmp_path / "automend.toml"
    path.write_text(text)
    return {"AUTOMEND_HOME": str(tmp_path / "home"), "AUTOMEND_CONFIG": str(path)}


def test_a_typo_names_the_file_the_key_and_the_nearest_known_one(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, "[run]\nattempt_secnds = 3\n"))
    assert "automend.toml" in caught.value.message
    assert "run.attempt_secnds" in caught.value.message
    assert "attempt_seconds" in caught.value.remedy


def test_a_typo_in_a_repository_table_is_found_too(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, '[repo."a/b".deploy]\ncommand = "x"\nrollbak = "y"\n'))
    assert "rollback" in caught.value.remedy


def test_a_wrong_type_and_broken_toml_say_where(tmp_path):
    with pytest.raises(ConfigError, match=r"run\.attempt_seconds"):
        load(write(tmp_path, '[run]\nattempt_seconds = "soon"\n'))
    with pytest.raises(ConfigError, match="not valid TOML"):
        load(write(tmp_path, "[run\n"))


def test_a_missing_file_that_was_named_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no configuration file"):
        load({"AUTOMEND_HOME": str(tmp_path), "AUTOMEND_CONFIG": str(tmp_path / "none.toml")})


def test_the_environment_wins_over_the_file(tmp_path):
    env = write(tmp_path, "[serve]\npoll_seconds = 5\nworkers = 1\n")
    host = load({**env, "AUTOMEND_SERVE__POLL_SECONDS": "0.5", "AUTOMEND_RUN__POLICY": "strict.toml"})
    assert host.settings.serve.poll_seconds == 0.5
    assert host.settings.serve.workers == 1
    assert host.settings.run.policy == "strict.toml"


def test_an_unknown_variable_is_refused_like_an_unknown_key(tmp_path):
    with pytest.raises(ConfigError, match=r"serve\.pol_seconds"):
        load({"AUTOMEND_HOME": str(tmp_path), "AUTOMEND_SERVE__POL_SECONDS": "1"})


def test_an_agent_that_is_not_configured_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="`gpt`"):
        load(write(tmp_path, '[run]\nagents = ["gpt"]\n'))


def test_replay_needs_a_script(tmp_path):
    with pytest.raises(ConfigError, match="script"):
        load(write(tmp_path, '[agents.x]\ncli = "codex"\nmodel = "m"\nprovider = "replay"\n'))


def test_secrets_are_not_shown(tmp_path):
    host = load({"AUTOMEND_HOME": str(tmp_path), "GITHUB_TOKEN": "not-a-real-one"})
    assert "not-a-real-one" not in repr(host)
    assert host.secrets.values() == {"github_token": "not-a-real-one"}


def test_what_no_container_may_see(tmp_path):
    key = tmp_path / "some.key"
    key.write_text("-----BEGIN-----\nthe key itself\n-----END-----\n")
    host = load(
        {
            "AUTOMEND_HOME": str(tmp_path),
            "OPENAI_API_KEY": "one",
            "AUTOMEND_DATABASE_URL": "postgresql://me:with%20a%20space@db/automend",
            "AUTOMEND_EVIDENCE_KEY_FILE": str(key),
        }
    )
    assert host.guarded() == {
        "openai_api_key": "one",
        "database_url": "with a space",
        "some.key": key.read_text(),
    }
    assert load({"AUTOMEND_HOME": str(tmp_path), "AUTOMEND_DATABASE_URL": "sqlite:///a.sqlite"}).guarded() == {}


def test_the_template_of_init_is_a_valid_file_with_every_line_commented(tmp_path):
    text = template()
    assert all(line.startswith("#") or not line for line in text.splitlines())
    load(write(tmp_path, text))
    for key in ("attempt_seconds", "poll_seconds", "rollback", "window_seconds", "junit"):
        assert f"# {key} =" in text


def test_repo_config_takes_the_keys_of_a_repository_table(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text('test = "make check"\n')
    assert read_repo_config(path).test == "make check"
    path.write_text('tset = "make check"\n')
    with pytest.raises(ConfigError, match="tset"):
        read_repo_config(path)


def test_the_switch(tmp_path):
    assert load({"AUTOMEND_HOME": str(tmp_path), "AUTOMEND_DISABLED": "1"}).disabled
    assert not load({"AUTOMEND_HOME": str(tmp_path), "AUTOMEND_DISABLED": "0"}).disabled


PRICED = '[prices."claude-sonnet-4-6"]\ninput = 3\noutput = 15\n'


def test_a_limit_in_money_needs_every_price(tmp_path):
    settings = load(write(tmp_path, f"[budget.run]\nusd = 5\n{PRICED}")).settings
    settings.require_prices(["claude"])
    with pytest.raises(ConfigError) as caught:
        settings.require_prices(["claude", "codex"])
    assert "budget.run.usd limits money" in caught.value.message
    assert "gpt-5.5" in caught.value.message
    assert '[prices."gpt-5.5"]' in caught.value.remedy


def test_without_a_limit_in_money_and_for_replays_no_price_is_needed(tmp_path):
    load(write(tmp_path, "[budget.day]\ntokens = 5\n")).settings.require_prices(["claude", "codex"])
    replay = '[agents.x]\ncli = "codex"\nmodel = "m"\nprovider = "replay"\nscript = "s.toml"\n'
    load(write(tmp_path, f"[run]\nusd_per_attempt = 1\n{replay}")).settings.require_prices(["x"])


def test_budgets_by_variable(tmp_path):
    host = load({"AUTOMEND_HOME": str(tmp_path), "AUTOMEND_BUDGET__DAY__USD": "12.5"})
    assert host.settings.budget.day.usd == 12.5
    assert host.settings.money_limits == ["budget.day.usd"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[budget.month]\nusd = 1\n", "budget.month"),
        ("[budget.run]\nusd = 0\n", "budget.run.usd"),
        ('[prices."m"]\ninput = 1\n', "prices.m.output"),
        ('[prices."m"]\ninput = -1\noutput = 1\n', "prices.m.input"),
        ('[agents.x]\ncli = "codex"\nmodel = "m"\nprovider = "openai"\nkeyless = true\n', "base_url"),
    ],
)
def test_budgets_and_prices_that_cannot_be(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        load(write(tmp_path, text))
