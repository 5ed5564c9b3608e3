import json

import pytest

from runner.errors import ConfigError, Refused, UsageError
from runner.evidence import seal
from runner.evidence.keys import load_key, make_key, read_public


@pytest.fixture
def signer(tmp_path):
    return make_key(tmp_path / "evidence.key")


def changed(evidence, **parts):
    """The text of sealed evidence with other parts, and the old seal."""
    document = json.loads(seal.write(evidence))
    return json.dumps({**document, **parts})


def test_what_was_written_is_read(evidence, signer):
    for who in (None, signer):
        made = seal.seal(evidence, who)
        assert seal.parse(seal.write(made), "e.json") == made


def test_what_is_not_sealed_is_refused(evidence):
    with pytest.raises(Refused, match="no seal"):
        seal.parse(seal.write(evidence), "e.json")


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("result", {"verdict": "passed", "static": True, "findings": [], "checks": []}),
        ("tests", []),
        ("coverage", None),
        ("policy", {"name": "default", "hash": "4" * 64, "values": {}}),
        ("extra", 1),
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_the_part_that_was_changed_is_named(evidence, signer, part, value, signed):
    made = seal.seal(evidence, signer if signed else None)
    with pytest.raises(Refused, match=f"`{part}`"):
        seal.parse(changed(made, **{part: value}), "e.json")


def test_a_part_that_was_taken_out_is_named(evidence):
    document = json.loads(seal.write(seal.seal(evidence, None)))
    del document["runs"]
    with pytest.raises(Refused, match="`runs`"):
        seal.parse(json.dumps(document), "e.json")


def test_who_seals_anew_cannot_keep_the_signature(evidence, signer):
    signed = seal.seal(evidence, signer)
    forged = seal.seal(evidence.model_copy(update={"tests": ()}), None)
    mixed = forged.seal.model_copy(update={"signature": signed.seal.signature})
    with pytest.raises(Refused, match=r"`seal\.signature` is not of this content"):
        seal.parse(seal.write(forged.model_copy(update={"seal": mixed})), "e.json")


def test_a_wrong_digest_of_the_whole_is_named(evidence):
    made = seal.seal(evidence, None)
    wrong = made.seal.model_copy(update={"digest": "0" * 64})
    with pytest.raises(Refused, match=r"`seal\.digest`"):
        seal.parse(seal.write(made.model_copy(update={"seal": wrong})), "e.json")


def test_a_certain_key_can_be_asked_for(evidence, signer, tmp_path):
    other = make_key(tmp_path / "other.key")
    text = seal.write(seal.seal(evidence, signer))
    assert seal.parse(text, "e.json", key=signer.public).seal.signature.public_key == signer.public
    with pytest.raises(Refused, match="another key"):
        seal.parse(text, "e.json", key=other.public)
    with pytest.raises(Refused, match="not signed"):
        seal.parse(seal.write(seal.seal(evidence, None)), "e.json", key=signer.public)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": "other"}', '{"a": 1, "a": 1}', '{"a": NaN}', "[" * 99999]
)
def test_what_is_no_evidence_is_told_as_such(text):
    with pytest.raises(UsageError):
        seal.parse(text, "e.json")


def test_another_version_is_told(evidence):
    with pytest.raises(UsageError, match="version 2"):
        seal.parse(changed(seal.seal(evidence, None), version=2), "e.json")


def test_the_order_of_keys_and_spaces_mean_nothing(evidence, signer):
    document = json.loads(seal.write(seal.seal(evidence, signer)))
    turned = json.dumps(dict(reversed(document.items())), separators=(",", ":"), ensure_ascii=False)
    assert seal.parse(turned, "e.json").subject == evidence.subject


def test_canonical_bytes_are_as_documented():
    assert seal.canonical({"b": [1, 2.5, True, None], "a": "é\n"}) == b'{"a":"\\u00e9\\n","b":[1,2.5,true,null]}'


def test_a_key_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "evidence.key"
    made = make_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_key(path).public == made.public
    assert read_public(f" {made.public}\n") == made.public
    with pytest.raises(UsageError, match="already"):
        make_key(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        load_key(path)
    path.chmod(0o600)
    path.write_text("no key")
    with pytest.raises(ConfigError, match="no key"):
        load_key(path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_key(tmp_path / "missing.key")
    with pytest.raises(UsageError, match="no public key"):
        read_public("ed25519:AAAA")
