"""A small shop: products, stock, quotes."""
