import pytest

from shop.errors import BadRequest, NotFound
from shop.quotes import quote


def cart(*items, **more):
    return {"items": [{"sku": sku, "quantity": quantity} for sku, quantity in items], **more}


def test_a_cart_costs_its_items_and_shipping():
    answer = quote(cart(("mug", 2), ("card", 1)))
    assert answer["subtotal"] == 2850
    assert answer["discount"] == 0
    assert answer["shipping"] == 490
    assert answer["total"] == 3340


def test_one_is_meant_where_no_quantity_is_given():
    assert quote({"items": [{"sku": "lamp"}]})["subtotal"] == 4900


def test_large_orders_ship_for_free():
    assert quote(cart(("rug", 1)))["shipping"] == 0


def test_a_code_takes_its_percentage_off():
    answer = quote(cart(("mug", 2), code="WELCOME10"))
    assert answer["discount"] == 250
    assert answer["total"] == 2500 - 250 + 490


def test_free_shipping_counts_after_the_discount():
    assert quote(cart(("mug", 8)))["shipping"] == 0
    assert quote(cart(("mug", 8), code="STAFF40"))["shipping"] == 490


@pytest.mark.parametrize("code", ["NOSUCHCODE", "WELCOME", 10, ["WELCOME10"]])
def test_an_unknown_code_is_refused(code):
    with pytest.raises(BadRequest, match="discount code"):
        quote(cart(("mug", 1), code=code))


@pytest.mark.parametrize("empty", [None, [], {}, {"items": []}, {"items": "mug"}])
def test_an_empty_cart_is_refused(empty):
    with pytest.raises(BadRequest, match="needs items"):
        quote(empty)


@pytest.mark.parametrize("quantity", [0, -1, 51, "2", 1.5, True])
def test_an_odd_quantity_is_refused(quantity):
    with pytest.raises(BadRequest, match="quantity"):
        quote(cart(("mug", quantity)))


@pytest.mark.parametrize("item", ["mug", {}, {"sku": 1}])
def test_an_item_without_a_sku_is_refused(item):
    with pytest.raises(BadRequest, match="sku"):
        quote({"items": [item]})


def test_an_unknown_product_is_not_found():
    with pytest.raises(NotFound):
        quote(cart(("sofa", 1)))
