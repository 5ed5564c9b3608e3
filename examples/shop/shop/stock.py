"""How many of each product are on the shelf, kept in SQLite."""

import sqlite3
from contextlib import closing
from pathlib import Path

from shop.catalogue import PRODUCTS, product
from shop.errors import BadRequest

AT_FIRST = 200


class Stock:
    """The shelf. The database is made, and filled, when it is first opened."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self, sku: str) -> int:
        """How many are there."""
        with closing(self._open()) as db:
            row = db.execute("SELECT count FROM stock WHERE sku = ?", (product(sku).sku,)).fetchone()
        return int(row[0])

    def take(self, sku: str, quantity: int) -> int:
        """Take some off the shelf; how many are left."""
        with closing(self._open()) as db, db:
            found = db.execute(
                "UPDATE stock SET count = count - ? WHERE sku = ? AND count >= ?",
                (quantity, product(sku).sku, quantity),
            )
            if found.rowcount != 1:
                raise BadRequest(f"there are not {quantity} of {sku!r} left")
            return int(db.execute("SELECT count FROM stock WHERE sku = ?", (sku,)).fetchone()[0])

    def total(self) -> int:
        """How many things are on the shelf."""
        with closing(self._open()) as db:
            return int(db.execute("SELECT sum(count) FROM stock").fetchone()[0])

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path)
        with db:
            db.execute("CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, count INTEGER NOT NULL)")
            db.executemany("INSERT OR IGNORE INTO stock VALUES (?, ?)", [(sku, AT_FIRST) for sku in PRODUCTS])
        return db
