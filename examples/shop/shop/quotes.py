"""What a cart costs, shipping and discount included. Amounts are in cents."""

from typing import Any

from shop import catalogue, discounts
from shop.errors import BadRequest

SHIPPING = 490
FREE_SHIPPING_FROM = 10000
MOST_OF_ONE = 50


def quote(cart: Any) -> dict[str, Any]:
    """The quote for a cart: {"items": [{"sku": ..., "quantity": ...}], "code": ...}; the code may be left out."""
    lines = [_line(item) for item in _items(cart)]
    subtotal = sum(line["price"] for line in lines)
    code = cart.get("code") or ""
    if code and not (isinstance(code, str) and discounts.is_valid(code)):
        raise BadRequest(f"we do not know the discount code {code!r}")
    reduction = discounts.discount(code, subtotal) if code else 0
    shipping = 0 if subtotal - reduction >= FREE_SHIPPING_FROM else SHIPPING
    return {
        "lines": lines,
        "subtotal": subtotal,
        "discount": reduction,
        "shipping": shipping,
        "total": subtotal - reduction + shipping,
    }


def _items(cart: Any) -> list[Any]:
    items = cart.get("items") if isinstance(cart, dict) else None
    if not isinstance(items, list) or not items:
        raise BadRequest("a cart needs items")
    return items


def _line(item: Any) -> dict[str, Any]:
    if not isinstance(item, dict) or not isinstance(item.get("sku"), str):
        raise BadRequest("every item needs a sku")
    quantity = item.get("quantity", 1)
    if type(quantity) is not int or not 1 <= quantity <= MOST_OF_ONE:
        raise BadRequest(f"quantity is a number from 1 to {MOST_OF_ONE}")
    product = catalogue.product(item["sku"])
    return {"sku": product.sku, "name": product.name, "quantity": quantity, "price": product.price * quantity}
