"""What we sell. Prices are in cents."""

from dataclasses import dataclass

from shop.errors import NotFound


@dataclass(frozen=True)
class Product:
    sku: str
    name: str
    price: int


PRODUCTS = {
    product.sku: product
    for product in (
        Product("mug", "Enamel mug", 1250),
        Product("lamp", "Reading lamp", 4900),
        Product("rug", "Woollen rug", 18900),
        Product("card", "Greeting card", 350),
    )
}


def product(sku: str) -> Product:
    """The product with this number."""
    try:
        return PRODUCTS[sku]
    except KeyError:
        raise NotFound(f"we have no product {sku!r}") from None
