"""Pages for people: repositories, pull requests, commits, files; reviewing and merging by plain forms, no script."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from html import escape
from importlib.resources import files
from typing import Any
from urllib.parse import quote

import jinja2
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from runner.hub import merging, pulls, views
from runner.hub.bare import Bare
from runner.hub.markdown import render
from runner.hub.pulls import Invalid
from runner.hub.rest.call import find_commit
from runner.hub.rest.shapes import commit_files
from runner.hub.session import Refused, Sessions
from runner.hub.site import Site
from runner.hub.store import CheckRun, Issue, Repo, User

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LARGEST_FILE = 300_000
Parts = dict[str, Any]


class Missing(Exception):
    """There is no such page, or not for this person."""


class Pages:
    """The pages of a site.

    Args:
        site: what they show.
    """

    def __init__(self, site: Site) -> None:
        self.site = site
        self.sessions = Sessions(site)
        source = files("runner.hub").joinpath("templates")
        names = [entry.name for entry in source.iterdir() if entry.name.endswith((".html", ".css"))]
        loader = jinja2.DictLoader({name: source.joinpath(name).read_text() for name in names})
        self.templates = jinja2.Environment(
            loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self.templates.filters |= {"ago": views.ago, "short": lambda sha: sha[:7], "path": quote}
        self.style = source.joinpath("style.css").read_text()

    def routes(self) -> list[Route]:
        """All addresses."""
        repo, pull = "/{owner}/{repo}", "/{owner}/{repo}/pull/{number:int}"
        return [
            Route("/_/style.css", self._stylesheet),
            Route("/_/avatar/{login}.svg", self._avatar),
            Route("/", self._page(self._home)),
            Route("/login", self._page(self._login_form)),
            Route("/login", self._log_in, methods=["POST"]),
            Route("/logout", self._log_out, methods=["POST"]),
            Route(repo, self._page(self._repo)),
            Route(f"{repo}/pulls", self._page(self._pulls)),
            Route(f"{repo}/issues", self._page(self._issues)),
            Route(f"{repo}/issues/{{number:int}}", self._page(self._issue)),
            Route(f"{repo}/issues/{{number:int}}", self._act, methods=["POST"]),
            Route(f"{pull}.diff", self._diff),
            Route(pull, self._page(self._pull)),
            Route(pull, self._act, methods=["POST"]),
            Route(f"{repo}/commits", self._page(self._commits)),
            Route(f"{repo}/commit/{{sha}}", self._page(self._commit)),
            Route(f"{repo}/runs/{{id:int}}", self._page(self._run)),
            Route(f"{repo}/tree/{{rest:path}}", self._page(self._tree)),
            Route(f"{repo}/blob/{{rest:path}}", self._page(self._tree)),
            Route(f"{repo}/raw/{{rest:path}}", self._raw),
        ]

    # ── showing ──────────────────────────────────────────────────────────────────────────────────────────────

    def _page(self, make: Callable[[Request, User | None], tuple[str, Parts]]) -> Callable[[Request], Awaitable[Any]]:
        async def show(request: Request) -> Response:
            return await run_in_threadpool(self._show, request, make)

        return show

    def _show(self, request: Request, make: Callable[[Request, User | None], tuple[str, Parts]]) -> Response:
        user = self.sessions.who(request)
        try:
            name, parts = make(request, user)
            return self._html(request, user, name, parts)
        except Missing:
            return self._html(request, user, "missing.html", {"title": "Not found"}, 404)

    def _html(self, request: Request, user: User | None, name: str, parts: Parts, status: int = 200) -> Response:
        given = {"user": user, "token": self.sessions.token(request), "here": request.url.path, "problem": None}
        text = self.templates.get_template(name).render({**given, **parts})
        return HTMLResponse(text, status, HEADERS)

    async def _stylesheet(self, _request: Request) -> Response:
        return Response(self.style, media_type="text/css", headers={"Cache-Control": "max-age=60"})

    async def _avatar(self, request: Request) -> Response:
        login = request.path_params["login"]
        hue = int.from_bytes(hashlib.sha256(login.lower().encode()).digest()[:2]) % 360
        letter = escape(login[:1].upper())
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
            f'<rect width="40" height="40" fill="hsl({hue} 42% 46%)"/>'
            '<text x="20" y="27" text-anchor="middle" font-family="system-ui,sans-serif" font-size="19" '
            f'font-weight="600" fill="#fff">{letter}</text></svg>'
        )
        return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": "max-age=3600"})

    # ── finding ──────────────────────────────────────────────────────────────────────────────────────────────

    def _repo_of(self, request: Request, user: User | None) -> tuple[Repo, Bare]:
        repo = self.site.repo(request.path_params["owner"], request.path_params["repo"])
        if repo is None or not self.site.may(repo, user, "read"):
            raise Missing
        return repo, self.site.git(repo)

    def _issue_of(self, request: Request, repo: Repo) -> Issue:
        issue = pulls.issue_of(self.site, repo, request.path_params["number"])
        if issue is None:
            raise Missing
        return issue

    # ── pages ────────────────────────────────────────────────────────────────────────────────────────────────

    def _home(self, _request: Request, user: User | None) -> tuple[str, Parts]:
        seen = [r for r in self.site.repos() if self.site.may(r, user, "read")]
        rows = [(repo, views.pull_rows(self.site, repo)) for repo in seen]
        return "home.html", {"title": "Repositories", "rows": rows}

    def _repo(self, request: Request, user: User | None) -> tuple[str, Parts]:
        repo, git = self._repo_of(request, user)
        tip = git.head(repo.default_branch)
        entries = git.tree(tip) if tip else []
        readme = next((e for e in entries if e.path.lower() == "readme.md" and e.type == "blob"), None)
        return "repo.html", {
            "title": repo.full_name,
            "repo": repo,
            "tip": tip,
            "entries": sorted(entries, key=lambda e: (e.type != "tree", e.path.lower())),
            "readme": render(git.blob(readme.sha).decode(errors="replace")) if readme else None,
            "pulls": views.pull_rows(self.site, repo),
            "commits": views.commit_rows(self.site, repo, git.log(tip, limit=5)) if tip else [],
        }

    def _pulls(self, request: Request, user: User | None) -> tuple[str, Parts]:
        repo, _ = self._repo_of(request, user)
        asked = request.query_params.get("state", "open")
        wanted = asked if asked in ("open", "closed", "all") else "open"
        every = views.pull_rows(self.site, repo, wanted="all")
        counts = {"open": sum(r.state in ("open", "draft") for r in every), "all": len(every)}
        counts["closed"] = counts["all"] - counts["open"]
        rows = views.pull_rows(self.site, repo, wanted=wanted)
        title = f"Pull requests · {repo.full_name}"
        return "pulls.html", {"title": title, "repo": repo, "pulls": rows, "wanted": wanted, "counts": counts}

    def _pull(self, request: Request, user: User | None) -> tuple[str, Parts]:
        repo, _ = self._repo_of(request, user)
        issue = self._issue_of(request, repo)
        pull = pulls.pull_of(self.site, repo, issue.number)
        if pull is None:
            raise Missing
        parts = views.pull_page(self.site, repo, issue, pull, user)
        return "pull.html", {"title": f"{issue.title} · #{issue.number}", "repo": repo, **parts}

    def _issues(self, request: Request, user: User | None) -> tuple[str, Parts]:
        repo, _ = self._repo_of(request, user)
        found = [i for i in self.site.store.find(Issue, repo=repo.id) if not i.is_pull]
        title = f"Issues · {repo.full_name}"
        return "issues.html", {"title": title, "repo": repo, "issues": list(reversed(found))}

    def _issue(self, request: Request, user: User | None) -> tuple[str, Parts]:
        repo, _ = self._repo_of(request, user)
        issue = self._issue_of(request, repo)
        if issue.is_pull:
            raise Missing
        return "issue.html", {
            "title": f"{issue.title} · #{issue.number}",
            "repo": repo,
            "issue": issue,
            "body": render(issue.body),
            "timeline": views.timeline(self.site, repo, issue, None, []),
            "may_close": user is not None
            and (self.site.may(repo, user, "triage") or user.login.lower() == issue.author.lower()),
        }

    def _commits(self, request: Request, user: User | None) -> tuple[str, Parts]:
        repo, git = self._repo_of(request, user)
        tip = git.head(repo.default_branch)
        found = views.commit_rows(self.site, repo, git.log(tip, limit=200)) if tip else []
        return "commits.html", {"title": f"Commits · {repo.full_name}", "repo": repo, "commits": found}

    def _commit(self, request: Request, user: User | None) -> tuple[str, Parts]:
        repo, git = self._repo_of(request, user)
        sha = find_commit(git, request.path_params["sha"])
        if sha is None:
            raise Missing
        found = git.commit(sha)
        shown = [views.file_view(f, []) for f in commit_files(self.site, repo, sha)]
        return "commit.html", {
            "title": f"{found.message.partition(chr(10))[0]} · {sha[:7]}",
            "repo": repo,
            "commit": found,
            "files": shown,
            "added": sum(v.file.added for v in shown),
            "removed": sum(v.file.removed for v in shown),
        }

    def _run(self, request: Request, user: User | None) -> tuple[str, Parts]:
        repo, _ = self._repo_of(request, user)
        run = self.site.store.get(CheckRun, request.path_params["id"], repo=repo.id)
        if run is None:
            raise Missing
        mine = [p for p in pulls.pulls_of(self.site, repo) if p.head_sha == run.sha]
        title = f"{run.name} on {run.sha[:7]}"
        return "run.html", {"title": title, "repo": repo, "run": run, "pulls": mine, "summary": render(run.summary)}

    def _located(self, request: Request, user: User | None) -> tuple[Repo, Bare, str, str]:
        """Branch (it may hold slashes) and path of an address."""
        repo, git = self._repo_of(request, user)
        words = request.path_params["rest"].strip("/").split("/")
        for count in range(1, len(words) + 1):
            ref = "/".join(words[:count])
            if find_commit(git, ref) is not None:
                return repo, git, ref, "/".join(words[count:])
        raise Missing

    def _tree(self, request: Request, user: User | None) -> tuple[str, Parts]:
        repo, git, ref, path = self._located(request, user)
        sha = find_commit(git, ref) or ""
        parts: Parts = {"title": f"{path or ref} · {repo.full_name}", "repo": repo, "ref": ref, "place": path}
        entry = git.entry(sha, path) if path else None
        if path and entry is None:
            raise Missing
        if entry is None or entry.type == "tree":
            inside = git.tree(entry.sha if entry is not None else sha)
            inside.sort(key=lambda e: (e.type != "tree", e.path.lower()))
            return "tree.html", {**parts, "entries": inside}
        large = entry.type != "blob" or (entry.size or 0) > LARGEST_FILE
        data = b"" if large else git.blob(entry.sha)
        text = None if large or b"\0" in data else data.decode(errors="replace")
        return "blob.html", {**parts, "text": text, "size": entry.size or 0}

    async def _raw(self, request: Request) -> Response:
        def find() -> Response:
            try:
                _, git, ref, path = self._located(request, self.sessions.who(request))
                entry = git.entry(find_commit(git, ref) or "", path)
            except Missing:
                entry = None
            if entry is None or entry.type != "blob":
                return PlainTextResponse("Not found\n", 404)
            # Always as plain text: a file of a repository is no page of this site.
            return Response(git.blob(entry.sha), media_type="text/plain; charset=utf-8", headers=HEADERS)

        return await run_in_threadpool(find)

    async def _diff(self, request: Request) -> Response:
        def find() -> Response:
            try:
                repo, git = self._repo_of(request, self.sessions.who(request))
            except Missing:
                return PlainTextResponse("Not found\n", 404)
            pull = pulls.pull_of(self.site, repo, request.path_params["number"])
            if pull is None:
                return PlainTextResponse("Not found\n", 404)
            text = git.diff_text(pulls.span(self.site, repo, pull).base, pull.head_sha)
            return Response(text, media_type="text/plain; charset=utf-8", headers=HEADERS)

        return await run_in_threadpool(find)

    # ── logging in ───────────────────────────────────────────────────────────────────────────────────────────

    def _login_form(self, request: Request, _user: User | None) -> tuple[str, Parts]:
        people = [u for u in self.site.users() if not u.organization and (u.password_hash or u.token_hash)]
        chosen, back = request.query_params.get("login", ""), _local(request.query_params.get("back", "/"))
        return "login.html", {"title": "Log in", "people": people, "chosen": chosen, "back": back}

    async def _log_in(self, request: Request) -> Response:
        try:
            given = await self.sessions.form(request, token=False)
        except Refused as e:
            return PlainTextResponse(str(e), 403)
        back = _local(given.get("back", "/"))
        found = await run_in_threadpool(self.site.by_password, given.get("login", ""), given.get("secret", ""))
        if found is None:
            name, parts = self._login_form(request, None)
            parts |= {"problem": "That is not the password or token of this account.", "back": back,
                      "chosen": given.get("login", "")}  # fmt: skip
            return self._html(request, None, name, parts, 401)
        response = RedirectResponse(back, 303)
        self.sessions.log_in(response, found)
        return response

    async def _log_out(self, request: Request) -> Response:
        try:
            await self.sessions.form(request)
        except Refused as e:
            return PlainTextResponse(str(e), 403)
        response = RedirectResponse("/", 303)
        self.sessions.log_out(response)
        return response

    # ── acting ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _act(self, request: Request) -> Response:
        user = self.sessions.who(request)
        try:
            given = await self.sessions.form(request)
        except Refused as e:
            return PlainTextResponse(str(e), 403)
        if user is None:
            return RedirectResponse(f"/login?back={quote(request.url.path)}", 303)
        return await run_in_threadpool(self._do, request, user, given)

    def _do(self, request: Request, user: User, given: dict[str, str]) -> Response:
        try:
            repo, _ = self._repo_of(request, user)
            issue = self._issue_of(request, repo)
        except Missing:
            return self._html(request, user, "missing.html", {"title": "Not found"}, 404)
        try:
            self._carry_out(repo, issue, user, given)
        except Invalid as e:
            return self._again(request, user, issue, e.message or f"{e.field} is {e.code}", 422)
        except (merging.NotMergeable, merging.Stale, Refused) as e:
            return self._again(request, user, issue, str(e), 409)
        return RedirectResponse(request.url.path, 303)

    def _again(self, request: Request, user: User, issue: Issue, problem: str, status: int) -> Response:
        name, parts = (self._pull if issue.is_pull else self._issue)(request, user)
        return self._html(request, user, name, {**parts, "problem": problem}, status)

    def _carry_out(self, repo: Repo, issue: Issue, user: User, given: dict[str, str]) -> None:
        deed, words, seen = given.get("do", ""), given.get("body", ""), given.get("head") or None
        pull = pulls.pull_of(self.site, repo, issue.number)
        if deed in ("comment", "close", "reopen"):
            if words.strip() or deed == "comment":
                pulls.comment(self.site, repo, issue.number, user, words)
            if deed != "comment":
                self._require(repo, user, "triage", own=issue.author.lower() == user.login.lower())
                state = "closed" if deed == "close" else "open"
                with self.site.git_lock, self.site.store.transaction():
                    pulls.set_state(self.site, repo, issue, state, user=user)
        elif pull is not None and deed in ("approve", "request_changes"):
            # The review is of the commit that the person saw, whatever was pushed meanwhile.
            pulls.review(self.site, repo, pull, user, event=deed.upper(), body=words, commit=seen)
            merging.auto_merge(self.site, repo, pull.head_sha)
        elif pull is not None and deed in ("merge", "squash", "rebase"):
            self._require(repo, user, "write")
            method: merging.Method = "merge" if deed == "merge" else "squash" if deed == "squash" else "rebase"
            merging.merge(self.site, repo, pull.number, user, method=method, sha=seen)
        else:
            raise Refused("There is no such thing to do here.")

    def _require(self, repo: Repo, user: User, level: str, *, own: bool = False) -> None:
        if not own and not self.site.may(repo, user, level):
            raise Refused(f"You need {level} rights to do this.")


def _local(address: str) -> str:
    """An address on this site, whatever was asked for."""
    return address if address.startswith("/") and not address.startswith(("//", "/\\")) else "/"
