"""Poetry's ranges as those of PEP 440."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from runner.project.poetry_range import pep440

# Poetry's documentation shows these examples.
DOCUMENTED = {
    "^1.2.3": ">=1.2.3,<2",
    "^1.2": ">=1.2,<2",
    "^1": ">=1,<2",
    "^0.2.3": ">=0.2.3,<0.3",
    "^0.0.3": ">=0.0.3,<0.0.4",
    "^0.0": ">=0.0,<0.1",
    "^0": ">=0,<1",
    "~1.2.3": ">=1.2.3,<1.3",
    "~1.2": ">=1.2,<1.3",
    "~1": ">=1,<2",
    "*": "",
    "1.*": "==1.*",
    "1.2.*": "==1.2.*",
    ">= 1.2.0": ">=1.2.0",
    ">= 1.2, < 1.5": ">=1.2,<1.5",
    "!= 1.2.3": "!=1.2.3",
    "1.2.3": "==1.2.3",
    "==1.2.3": "==1.2.3",
    "~=1.4.5": "~=1.4.5",
}


@pytest.mark.parametrize("text", DOCUMENTED)
def test_what_the_documentation_shows(text):
    assert pep440(text) == DOCUMENTED[text]


def test_a_version_before_the_first_is_in_the_range_that_begins_with_it():
    assert pep440("^24.1a1") == ">=24.1a1,<25"


@pytest.mark.parametrize("text", ["^1 || ^2", "", "latest", "^1; rm -rf /", "$(id)", ">=1 <2"])
def test_what_has_no_such_words_is_any_version_or_a_range(text):
    assert pep440(text) in {"", ">=1,<2"}


@given(st.text(alphabet="^~*=<>!.,| 019ab;$()", max_size=20))
def test_whatever_is_written_is_a_range_in_the_end(text):
    said = pep440(text)
    SpecifierSet(said)
    assert not set(said) & set("|;$() ^")
