"""The pages, as a browser without scripts sees them."""

from __future__ import annotations

import re

import httpx
import pytest

from tests.integration.hub.conftest import PATIENCE


class Browser:
    """Follows links, keeps cookies, sends the forms that it finds."""

    def __init__(self, url):
        self.http = httpx.Client(base_url=url, follow_redirects=True, headers={"Origin": url}, timeout=PATIENCE)
        self.page = None

    def open(self, path):
        self.page = self.http.get(path)
        return self.page

    def log_in(self, login, secret=None):
        self.page = self.http.post("/login", data={"login": login, "secret": secret or f"{login}-password"})
        return self.page

    def send(self, path, **fields):
        """Send a form of the present page, with its hidden fields."""
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.page.text))
        self.page = self.http.post(path, data={**hidden, **fields})
        return self.page


@pytest.fixture
def browser(world):
    made = Browser(world.url)
    yield made
    made.http.close()


PULL = "/acme/shop/pull/1"


def test_anyone_reads(world, browser):
    world.open()
    assert "Mend totals" in browser.open("/").text
    for path, words in {
        "/acme/shop": "First",
        "/acme/shop/pulls?state=all": "Mend totals",
        PULL: "Empty carts failed.",
        "/acme/shop/commits": "First",
        "/acme/shop/tree/main": "shop.py",
        "/acme/shop/blob/main/shop.py": "def total(prices):",
        "/acme/shop/issues": "None.",
    }.items():
        page = browser.open(path)
        assert page.status_code == 200, path
        assert words in page.text, path
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "<script" not in page.text
    assert browser.open("/acme/shop/raw/main/README.md").text == "# shop\n"
    assert browser.open(f"{PULL}.diff").text.startswith("diff --git a/shop.py b/shop.py")
    for path in ("/acme/nothing", "/acme/shop/pull/9", "/acme/shop/commit/abc", "/acme/shop/blob/main/no.py", "/x/y/z"):
        assert browser.open(path).status_code == 404, path


def test_the_diff_is_shown_line_by_line(world, browser):
    world.open()
    text = browser.open(PULL).text
    assert '<tr class="del">' in text
    assert '<td class="line">    return sum(prices or [])</td>' in text
    commit = re.search(r'href="(/acme/shop/commit/[0-9a-f]{40})"', text)
    assert commit is not None
    assert "sum(prices or [])" in browser.open(commit[1]).text


def test_review_and_merge_in_the_browser(world, browser):
    _, sha = world.open()
    assert "Log in" in browser.open(PULL).text
    browser.log_in("ada")
    page = browser.open(PULL)
    assert "Approve" in page.text
    assert "Not yet ready to merge" in page.text
    page = browser.send(PULL, do="request_changes", body="Add a *test*.")
    assert "<em>test</em>" in page.text
    assert "asked for changes" in page.text
    page = browser.send(PULL, do="approve", body="")
    world.green(sha)
    assert "Ready to merge" in browser.open(PULL).text
    page = browser.send(PULL, do="squash")
    assert "Merged" in page.text
    pull = world.repo().get_pull(1)
    assert pull.merged
    assert [(r.state, r.commit_id) for r in pull.get_reviews()] == [("CHANGES_REQUESTED", sha), ("APPROVED", sha)]


def test_a_review_is_of_what_was_seen(world, browser):
    _, sha = world.open()
    browser.log_in("ada")
    browser.open(PULL)
    world.push("fix", {"more.py": "x = 1\n"}, base="fix")
    browser.send(PULL, do="approve", body="Fine")
    review = world.repo().get_pull(1).get_reviews()[0]
    assert review.commit_id == sha
    assert "approving review" in browser.open(PULL).text  # it does not count for what came later


def test_what_is_refused_is_explained(world, browser):
    world.open()
    browser.log_in("bot", "bot-token")
    page = browser.open(PULL)
    assert "This is your own pull request" in page.text
    page = browser.send(PULL, do="approve", body="")
    assert (page.status_code, "Can not approve your own" in page.text) == (422, True)
    page = browser.send(PULL, do="squash")
    assert (page.status_code, "approving review is required" in page.text) == (409, True)
    browser.log_in("eve")
    browser.open(PULL)
    assert "You need write rights" in browser.send(PULL, do="merge").text
    assert "You need triage rights" in browser.send(PULL, do="close").text
    assert browser.send(PULL, do="dance").status_code == 409


def test_comments_issues_and_closing(world, browser):
    world.repo().create_issue("Totals are wrong", body="Look.")
    browser.log_in("ada")
    browser.open("/acme/shop/issues/1")
    assert "I see." in browser.send("/acme/shop/issues/1", do="comment", body="I see.").text
    assert "Closed" in browser.send("/acme/shop/issues/1", do="close", body="").text
    assert world.repo().get_issue(1).state == "closed"


def test_only_our_own_forms_count(world, browser):
    world.open()
    browser.log_in("ada")
    browser.open(PULL)
    assert browser.http.post(PULL, data={"do": "approve", "token": "wrong"}).status_code == 403
    foreign = {"Origin": "http://elsewhere.example"}
    assert browser.http.post("/login", data={"login": "ada"}, headers=foreign).status_code == 403
    stranger = httpx.post(f"{world.url}{PULL}", data={"do": "approve"}, timeout=PATIENCE)
    assert stranger.status_code == 403
    forged = {"hub_session": "YWRhfDk5OTk5OTk5OTl8eA==.00"}
    assert "Log out" not in httpx.get(f"{world.url}/", cookies=forged, timeout=PATIENCE).text
    assert world.repo().get_pull(1).get_reviews().totalCount == 0


def test_logging_in_and_out(world, browser):
    page = browser.log_in("ada", "wrong")
    assert (page.status_code, "not the password" in page.text) == (401, True)
    page = browser.http.post("/login", data={"login": "ada", "secret": "ada-password", "back": "//evil.example"})
    assert page.url.host == "127.0.0.1"
    cookie = next(iter(page.history)).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    browser.page = page
    assert "Log in" in browser.send("/logout").text


def test_private_repositories_are_hidden(world, browser):
    world.hub.create_repo("acme/secret", private=True, collaborators={"ada": "write"})
    assert "secret" not in browser.open("/").text
    assert browser.open("/acme/secret").status_code == 404
    browser.log_in("ada")
    assert "secret" in browser.open("/").text
    assert browser.open("/acme/secret").status_code == 200


def test_check_runs_and_hostile_words(world, browser):
    hostile = "<script>alert(1)</script><img src=x onerror=alert(1)> [x](javascript:alert(1)) <!-- seen by nobody -->"
    sha = world.push("fix", {'a"><b>.py': "<script>alert(2)</script>\n"})
    pull = world.repo().create_pull(base="main", head="fix", title=hostile, body=hostile)
    run = world.repo().create_check_run(
        "ci", sha, conclusion="failure", output={"title": hostile, "summary": hostile, "text": hostile}
    )
    pull.create_issue_comment(hostile)
    for path in (PULL, "/", f"/acme/shop/commit/{sha}", f"/acme/shop/runs/{run.id}", "/acme/shop/tree/fix"):
        page = browser.open(path)
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "<img src=x" not in page.text
        assert 'href="javascript' not in page.text
    description = browser.open(PULL).text.split('id="description"')[1].split("</section>")[0]
    assert "seen by nobody" not in description
