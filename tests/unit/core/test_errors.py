from runner.errors import TYPES, AutomendError, DockerError, OutsideError


def test_every_error_survives_a_checkpoint():
    for name, kind in TYPES.items():
        back = AutomendError.from_json(kind("what", remedy="mend").to_json())
        assert type(back).__name__ == name
        assert (back.message, back.remedy) == ("what", "mend")


def test_an_error_of_a_later_version_is_still_an_error_outside():
    assert type(AutomendError.from_json({"type": "New", "message": "x"})) is OutsideError


def test_exit_codes():
    codes = {name: kind.exit_code for name, kind in TYPES.items()}
    assert codes["UsageError"] == codes["ConfigError"] == codes["RepositoryError"] == 2
    assert codes["Refused"] == codes["Stopped"] == 1
    assert codes["Inconclusive"] == 4
    assert DockerError.exit_code == codes["ForgeError"] == codes["ProviderError"] == 3
