"""The web service: a plain WSGI application that speaks JSON."""

import json
import logging
import re
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from shop import catalogue
from shop.errors import BadRequest, NotFound
from shop.quotes import quote
from shop.stock import Stock

LARGEST_BODY = 100_000

log = logging.getLogger("shop.web")


class Shop:
    """The application. `release` is told by /health."""

    def __init__(self, stock: Stock, release: str = "unknown") -> None:
        self._stock = stock
        self._release = release
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Any]]] = [
            ("GET", re.compile(r"/health"), self._health),
            ("GET", re.compile(r"/products"), self._products),
            ("GET", re.compile(r"/products/([^/]+)"), self._product),
            ("POST", re.compile(r"/quote"), self._quote),
            ("POST", re.compile(r"/orders"), self._order),
        ]

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "/")
        try:
            status, answer = HTTPStatus.OK, self._answer(method, path, environ)
        except BadRequest as e:
            status, answer = HTTPStatus.BAD_REQUEST, {"error": str(e)}
        except NotFound as e:
            status, answer = HTTPStatus.NOT_FOUND, {"error": str(e)}
        except Exception:
            log.exception("%s %s failed", method, path)
            status, answer = HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "something went wrong on our side"}
        else:
            log.info("%s %s %d", method, path, status)
        body = json.dumps(answer).encode()
        start_response(
            f"{status.value} {status.phrase}",
            [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
        )
        return [body]

    def _answer(self, method: str, path: str, environ: dict[str, Any]) -> Any:
        for wanted, pattern, handler in self._routes:
            match = pattern.fullmatch(path)
            if match and method == wanted:
                body = [_json(environ)] if method == "POST" else []
                return handler(*match.groups(), *body)
        raise NotFound(f"nothing answers {method} {path}")

    def _health(self) -> Any:
        return {"status": "ok", "release": self._release, "things_on_the_shelf": self._stock.total()}

    def _products(self) -> Any:
        return [{"sku": p.sku, "name": p.name, "price": p.price} for p in catalogue.PRODUCTS.values()]

    def _product(self, sku: str) -> Any:
        p = catalogue.product(sku)
        return {"sku": p.sku, "name": p.name, "price": p.price, "in_stock": self._stock.count(sku)}

    def _quote(self, cart: Any) -> Any:
        return quote(cart)

    def _order(self, cart: Any) -> Any:
        priced = quote(cart)
        left = {line["sku"]: self._stock.take(line["sku"], line["quantity"]) for line in priced["lines"]}
        return {**priced, "left": left}


def _json(environ: dict[str, Any]) -> Any:
    try:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        if not 0 <= size <= LARGEST_BODY:
            raise BadRequest("the request is too large")
        return json.loads(environ["wsgi.input"].read(size))
    except ValueError:
        raise BadRequest("the request is not JSON") from None
