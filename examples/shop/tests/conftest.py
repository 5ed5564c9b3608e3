import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shop.stock import Stock
from shop.web import Shop


@pytest.fixture
def stock(tmp_path: Path) -> Stock:
    return Stock(tmp_path / "stock.sqlite")


@pytest.fixture
def ask(stock: Stock) -> Callable[..., tuple[int, Any]]:
    """Asks the application: ask("GET", "/health") -> (200, {...})."""
    shop = Shop(stock, release="test")

    def ask(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "wsgi.input": io.BytesIO(raw)}
        environ["CONTENT_LENGTH"] = str(len(raw))
        statuses: list[str] = []
        answer = b"".join(shop(environ, lambda status, headers: statuses.append(status)))
        return int(statuses[0].split()[0]), json.loads(answer)

    return ask
