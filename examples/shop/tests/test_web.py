import pytest

CART = {"items": [{"sku": "mug", "quantity": 2}]}


def test_health(ask):
    assert ask("GET", "/health") == (200, {"status": "ok", "release": "test", "things_on_the_shelf": 800})


def test_products(ask):
    status, products = ask("GET", "/products")
    assert status == 200
    assert [p["sku"] for p in products] == ["mug", "lamp", "rug", "card"]


def test_one_product(ask):
    assert ask("GET", "/products/mug") == (
        200,
        {"sku": "mug", "name": "Enamel mug", "price": 1250, "in_stock": 200},
    )


def test_quote(ask):
    status, answer = ask("POST", "/quote", CART)
    assert (status, answer["total"]) == (200, 2990)


def test_an_order_takes_from_the_shelf(ask):
    status, answer = ask("POST", "/orders", CART)
    assert (status, answer["left"]) == (200, {"mug": 198})
    assert ask("GET", "/products/mug")[1]["in_stock"] == 198


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/products/sofa"), ("POST", "/health")])
def test_what_is_not_there(ask, method, path):
    status, answer = ask(method, path)
    assert status == 404
    assert answer["error"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", {"items": []}, b" " * 100_001])
def test_what_cannot_be_understood(ask, body):
    status, answer = ask("POST", "/quote", body)
    assert status == 400
    assert answer["error"]


def test_our_own_faults_are_logged_and_not_told(ask, stock, monkeypatch, caplog):
    monkeypatch.setattr(stock, "total", lambda: 1 / 0)
    assert ask("GET", "/health") == (500, {"error": "something went wrong on our side"})
    assert "ZeroDivisionError" in caplog.text
