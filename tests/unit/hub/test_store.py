from __future__ import annotations

import sqlite3

import pytest

from runner.hub.store import Comment, Issue, Store


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "hub.sqlite")
    yield made
    made.close()


def test_what_is_kept_comes_back(store, tmp_path):
    issue = store.insert(Issue(repo=1, number=7, title="One", labels=["bug"]))
    issue.title = "Two"
    store.save(issue)
    again = Store(tmp_path / "hub.sqlite")
    assert again.one(Issue, repo=1, parent=7) == issue
    assert again.get(Issue, issue.id, repo=2) is None
    assert again.get(Comment, issue.id) is None
    again.close()


def test_ids_are_never_given_twice(store):
    first = store.insert(Comment(repo=1, number=1))
    store.delete(first)
    assert store.insert(Comment(repo=1, number=1)).id > first.id


def test_a_transaction_is_all_or_nothing(store):
    def broken():
        with store.transaction():
            store.insert(Comment(repo=1, number=1))
            with store.transaction():
                store.insert(Comment(repo=1, number=1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert store.find(Comment, repo=1) == []
    store.insert(Comment(repo=1, number=1))
    assert len(store.find(Comment, repo=1)) == 1


def test_fields_of_a_later_version_do_no_harm(store, tmp_path):
    comment = store.insert(Comment(repo=1, number=1, body="x"))
    with sqlite3.connect(tmp_path / "hub.sqlite") as other:
        other.execute("UPDATE records SET doc = json_set(doc, '$.colour', 'red') WHERE id = ?", (comment.id,))
    other.close()
    assert store.get(Comment, comment.id) == comment


def test_a_setting_keeps_its_first_value(store):
    assert store.setting("secret", "one") == "one"
    assert store.setting("secret", "two") == "one"
