"""The published schema is that of the model, and what we write is what it says."""

import json
from pathlib import Path

import pytest
from openapi_schema_validator import OAS31Validator

from runner.evidence import seal
from runner.evidence.document import schema
from runner.evidence.keys import make_key

PUBLISHED = Path(__file__).parents[3] / "docs/evidence.schema.json"


def test_the_published_schema_is_in_step():
    made = json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
    assert PUBLISHED.read_text(encoding="utf-8") == made, f"write this to docs/evidence.schema.json:\n{made}"


@pytest.mark.parametrize("signed", [False, True])
def test_evidence_is_what_the_schema_says(evidence, tmp_path, signed):
    made = seal.seal(evidence, make_key(tmp_path / "k") if signed else None)
    document = json.loads(seal.write(made))
    validator = OAS31Validator(json.loads(PUBLISHED.read_text(encoding="utf-8")))
    assert list(validator.iter_errors(document)) == []
    assert list(validator.iter_errors({**document, "result": {}}))
    assert list(validator.iter_errors({**document, "more": 1}))
