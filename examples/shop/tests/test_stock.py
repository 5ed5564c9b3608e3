import pytest

from shop.errors import BadRequest, NotFound
from shop.stock import AT_FIRST, Stock


def test_the_shelf_is_full_at_first(stock):
    assert stock.count("mug") == AT_FIRST
    assert stock.total() == 4 * AT_FIRST


def test_what_is_taken_is_gone(stock, tmp_path):
    assert stock.take("mug", 3) == AT_FIRST - 3
    assert Stock(tmp_path / "stock.sqlite").count("mug") == AT_FIRST - 3


def test_nobody_takes_more_than_there_is(stock):
    stock.take("rug", AT_FIRST)
    with pytest.raises(BadRequest, match="left"):
        stock.take("rug", 1)


def test_an_unknown_product_is_not_found(stock):
    with pytest.raises(NotFound):
        stock.count("sofa")
