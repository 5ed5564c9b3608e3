import pytest

from shop.discounts import discount, is_valid


@pytest.mark.parametrize("code", ["WELCOME10", "SUMMER25", "STAFF40"])
def test_our_codes_are_valid(code):
    assert is_valid(code)


@pytest.mark.parametrize("code", ["welcome10", " Welcome10 "])
def test_customers_may_type_them_as_they_like(code):
    assert is_valid(code)


@pytest.mark.parametrize("code", ["", "WELCOME", "WELCOME100"])
def test_other_codes_are_not(code):
    assert not is_valid(code)


def test_the_discount_is_rounded_down():
    assert discount("WELCOME10", 1250) == 125
    assert discount("SUMMER25", 350) == 87
