"""Requests are the same where only ids, times and places for a while differ; the first other place is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.agents.sameness import Difference, first_difference, requests
from runner.exchanges import Exchange


def asked(*bodies: dict[str, Any] | str, path: str = "POST /v1/responses") -> tuple[Exchange, ...]:
    texts = (body if isinstance(body, str) else json.dumps(body) for body in bodies)
    return tuple(Exchange(path=path, request=text) for text in texts)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("on 2026-11-21 at 09:57:59.123", "on 2027-01-02 at 23:00:01"),
        ("2026-11-21T09:57:59Z", "2026-11-22T10:00:00+01:00"),
        ("Today's date is Sat Nov 21 2026", "Today's date is Mon Dec 1 2026"),
        ("53 passed in 0.34s", "53 passed in 12.5 seconds"),
        ("<A object at 0x7f1c>", "<A object at 0x7f2d>"),
        ("commit 32ca60d base", "commit 1f2e3d4c base"),
        ("Chunk ID: e39cc9\nWall time: 0.0000 seconds", "Chunk ID: 5257ed\nWall time: 1.7340 seconds"),
        ("in /tmp/pytest-of-me/x.1", "in /tmp/other/y"),
        ("01a1fd8a-908a-7c11-be79-acbe45750fcd", "5882c605-1eb2-45a2-9b1e-378300b1ae5d"),
    ],
)
def test_what_differs_every_time_is_no_difference(one: str, other: str) -> None:
    assert first_difference(asked({"input": [one]}), asked({"input": [other]})) is None


def test_ids_and_book_keeping_are_not_compared() -> None:
    then = asked({"input": [{"id": "a", "text": "x"}], "client_metadata": {"a": 1}, "prompt_cache_key": "a"})
    now = asked({"input": [{"id": "b", "text": "x"}], "client_metadata": {}, "metadata": {"user_id": "b"}})
    assert first_difference(then, now) is None


def test_the_first_difference_is_told_with_its_place() -> None:
    then = asked({"input": ["same"]}, {"input": ["same", {"output": "a" * 500 + " 3 failed " + "b" * 500}], "n": 1})
    now = asked({"input": ["same"]}, {"input": ["same", {"output": "a" * 500 + " 4 failed " + "b" * 500}], "n": 2})
    found = first_difference(then, now)
    assert found is not None
    assert (found.request, found.where) == (2, "input[1].output")
    assert "3 failed" in found.then
    assert "4 failed" in found.now
    assert len(found.then) < 100


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"a": 1}, {"a": 2}, ("a", "1", "2")),
        ({"a": [1, 2]}, {"a": [1]}, ("a", "2 entries", "1 entries")),
        ({"a": 1}, {}, ("a", "1", "None")),
        ({}, {"b": "x"}, ("b", "None", "'x'")),
        ({"a": "x"}, {"a": ["x"]}, ("a", "'x'", "['x']")),
        ({"a": True}, {"a": False}, ("a", "True", "False")),
    ],
)
def test_other_values(one: dict[str, Any], other: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert first_difference(asked(one), asked(other)) == Difference(1, *expected)


def test_more_or_fewer_requests_or_other_paths() -> None:
    one, two = asked({"a": 1}), asked({"a": 1}, {"a": 2})
    assert first_difference(one, two) == Difference(2, "request", "nothing more was asked", "POST /v1/responses")
    assert first_difference(two, one) == Difference(2, "request", "POST /v1/responses", "nothing more was asked")
    elsewhere = asked({"a": 1}, path="POST /v1/messages")
    assert first_difference(one, elsewhere) == Difference(1, "path", "POST /v1/responses", "POST /v1/messages")


def test_what_is_no_question_to_a_model_is_not_counted() -> None:
    mixed = (*asked("", path="GET /v1/models"), *asked({"a": 1}))
    assert requests(mixed) == 1
    assert first_difference(mixed, asked({"a": 1})) is None


def test_a_request_that_was_cut_is_compared_by_being_there() -> None:
    assert first_difference(asked("{[… 9 characters …]}"), asked({"a": 1})) is None
