"""GitHub's GraphQL interface, as far as the runner needs it: a pruned copy of GitHub's own schema (`schema.graphql`).

What the schema has not is refused by the validator in GraphQL's own words; what cannot be done answers with
GitHub's error types (NOT_FOUND, FORBIDDEN, UNPROCESSABLE, STALE_DATA) next to a null.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.resources import files
from typing import cast

from graphql import GraphQLError, GraphQLResolveInfo, GraphQLSchema, build_schema, graphql_sync, validate_schema
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from runner.errors import GitError
from runner.hub import merging, pulls
from runner.hub.bare import Change
from runner.hub.graphnodes import Asked, Value, refuse
from runner.hub.pulls import Invalid
from runner.hub.rest.call import ApiError
from runner.hub.rest.dispatch import LARGEST_BODY, Meter, identify
from runner.hub.rest.links import Links
from runner.hub.site import Site
from runner.hub.store import now

LARGEST_QUERY = 20_000


def _schema() -> GraphQLSchema:
    schema = build_schema(files("runner.hub").joinpath("schema.graphql").read_text())
    problems = validate_schema(schema)
    if problems:
        raise problems[0]
    mutations = schema.mutation_type
    if mutations is not None:
        for name, resolver in MUTATIONS.items():
            mutations.fields[name].resolve = resolver
    return schema


class GraphQl:
    """The GraphQL endpoint of a site.

    Args:
        site: what it serves.
        meter: counts requests, together with REST's.
    """

    def __init__(self, site: Site, meter: Meter) -> None:
        self.site, self.meter = site, meter
        self.schema = _schema()

    def routes(self) -> list[Route]:
        """`/api/graphql`, as on GitHub Enterprise."""
        return [Route("/api/graphql", self.serve, methods=["POST"])]

    async def serve(self, request: Request) -> Response:
        """One document."""
        raw = await request.body()
        return await run_in_threadpool(self._respond, request, raw)

    def _respond(self, request: Request, raw: bytes) -> Response:
        try:
            user = identify(self.site, request.headers.get("authorization", ""))
            if user is None:
                raise ApiError(401, "This endpoint requires you to be authenticated.")
            if len(raw) > LARGEST_BODY:
                raise ApiError(413, "Payload too big")
            query, variables = _parse(raw)
        except ApiError as e:
            return JSONResponse(e.document("https://docs.github.com/graphql"), e.status)
        self.meter.count(user.login)
        asked = Asked(self.site, Links(str(request.base_url).rstrip("/")), user, self.meter)
        result = graphql_sync(
            self.schema, query, root_value=_root(asked), context_value=asked, variable_values=variables
        )
        body: Value = {"data": result.data} if result.data is not None or not result.errors else {}
        if result.errors:
            body["errors"] = [_error(e) for e in result.errors]
        return JSONResponse(body)


def _parse(raw: bytes) -> tuple[str, Value]:
    try:
        document = json.loads(raw)
    except ValueError as e:
        raise ApiError(400, "Problems parsing JSON") from e
    query = document.get("query") if isinstance(document, dict) else None
    if not isinstance(query, str):
        raise ApiError(400, "A query attribute must be specified and must be a string.")
    if len(query) > LARGEST_QUERY:
        raise ApiError(400, "The query is too long.")
    variables = document.get("variables") or {}
    if not isinstance(variables, dict):
        raise ApiError(400, "Variables must be an object.")
    return query, variables


def _error(error: GraphQLError) -> Value:
    out = dict(error.formatted)
    extensions = cast("Value", out.pop("extensions", {}))
    return {**({"type": extensions["type"]} if "type" in extensions else {}), **out}


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────────────


def _root(asked: Asked) -> Value:
    def find_node(_info: GraphQLResolveInfo[Asked], *, id: str) -> Value | None:  # noqa: A002 - the schema's name
        return asked.show_pull(*asked.pull(id))

    def rate(_info: GraphQLResolveInfo[Asked], **_given: object) -> Value:
        window = asked.meter.count(asked.user.login, 0)
        reset = datetime.fromtimestamp(window["reset"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        words = ("limit", "remaining", "used")
        return {"cost": 1, "resetAt": reset, **{word: window[word] for word in words}}

    return {
        "viewer": lambda _info: asked.show_user(asked.user.login),
        "repository": lambda _info, owner, name, **_given: asked.show_repo(asked.repo(f"{owner}/{name}")),
        "node": find_node,
        "rateLimit": rate,
    }


# ── mutations ────────────────────────────────────────────────────────────────────────────────────────────────


def _revert(asked: Asked, given: Value) -> Value:
    repo, pull = asked.pull(given["pullRequestId"], level="write")
    made = merging.revert(
        asked.site,
        repo,
        pull.number,
        asked.user,
        title=given.get("title"),
        body=given.get("body"),
        draft=bool(given.get("draft")),
    )
    return {"pullRequest": asked.show_pull(repo, pull), "revertPullRequest": asked.show_pull(repo, made)}


def _ready(asked: Asked, given: Value) -> Value:
    repo, pull = asked.pull(given["pullRequestId"], level="write")
    pull.draft = False
    with asked.site.store.transaction():
        asked.site.store.save(pull)
        pulls.touch(asked.site, repo, pull.number)
    return {"pullRequest": asked.show_pull(repo, pull)}


def _auto_merge(asked: Asked, given: Value) -> Value:
    repo, pull = asked.pull(given["pullRequestId"], level="write")
    expected = given.get("expectedHeadOid")
    if expected is not None and expected != pull.head_sha:
        raise refuse("UNPROCESSABLE", "The head of the pull request is not the expected one.")
    if not pulls.is_open(asked.site, repo, pull):
        raise refuse("UNPROCESSABLE", "Can't enable auto-merge for this pull request: it is closed")
    stands = merging.standing(asked.site, repo, pull)
    if stands.state in ("clean", "unstable"):
        raise refuse("UNPROCESSABLE", f"Pull request is in {stands.state} status")
    wish = {"by": asked.user.login, "method": (given.get("mergeMethod") or "MERGE").lower(), "at": now()}
    for name, key in (("title", "commitHeadline"), ("message", "commitBody")):
        if given.get(key) is not None:
            wish[name] = given[key]
    pull.auto_merge = wish
    asked.site.store.save(pull)
    return {"actor": asked.show_user(asked.user.login), "pullRequest": asked.show_pull(repo, pull)}


def _commit(asked: Asked, given: Value) -> Value:
    branch, message, site = given["branch"], given["message"], asked.site
    full_name, name = branch.get("repositoryNameWithOwner"), branch.get("branchName")
    if branch.get("id") is not None:
        full_name, name = _ref_of(site, branch["id"])
    if not full_name or not name:
        raise refuse("UNPROCESSABLE", "Name the branch by id, or by repositoryNameWithOwner and branchName.")
    repo = asked.repo(full_name, level="write")
    git, expected = site.git(repo), given["expectedHeadOid"]
    if site.is_protected(repo, name):
        raise refuse("UNPROCESSABLE", f"Protected branch update failed for refs/heads/{name}.")
    changes = given.get("fileChanges") or {}
    files = [Change(one["path"], _decoded(one)) for one in changes.get("additions") or []]
    files += [Change(one["path"], None) for one in changes.get("deletions") or []]
    words = f"{message['headline']}\n\n{message.get('body') or ''}".strip() + "\n"
    with site.git_lock:
        tip = git.head(name)
        if tip is None:
            raise refuse("NOT_FOUND", f"Could not resolve to a branch named '{name}'.")
        if tip != expected:
            raise refuse("STALE_DATA", f'Expected branch to point to "{expected}" but it did not. Pull and try again.')
        made = git.commit_changes(tip, files, words, site.identity(asked.user.login))
        git.move(f"refs/heads/{name}", made, tip)
        pulls.synchronize(site, repo)
    return {"commit": asked.show_commit(repo, made), "ref": asked.show_ref(repo, f"refs/heads/{name}")}


def _ref_of(site: Site, node_id: str) -> tuple[str | None, str | None]:
    try:
        number, _, name = base64.urlsafe_b64decode(node_id.removeprefix("REF_")).decode().partition(":")
        return site.repo_by_id(int(number)).full_name, name.removeprefix("refs/heads/")
    except (ValueError, LookupError):
        raise refuse("NOT_FOUND", f"Could not resolve to a node with the global id of '{node_id}'.") from None


def _decoded(addition: Value) -> bytes:
    try:
        return base64.b64decode(addition["contents"], validate=True)
    except binascii.Error as e:
        raise refuse("UNPROCESSABLE", f"{addition['path']}: contents are not Base64.") from e


Mutation = Callable[[Asked, Value], Value]


def _resolver(mutation: Mutation) -> Callable[..., Value]:
    def resolve(_root: object, info: GraphQLResolveInfo[Asked], *, input: Value) -> Value:  # noqa: A002 - the schema's name
        try:
            done = mutation(info.context, input)
        except Invalid as e:
            raise refuse("UNPROCESSABLE", e.message or f"{e.field} is {e.code}") from e
        except GitError as e:
            raise refuse("UNPROCESSABLE", e.message) from e
        return {**done, "clientMutationId": input.get("clientMutationId")}

    return resolve


MUTATIONS = {
    "createCommitOnBranch": _resolver(_commit),
    "enablePullRequestAutoMerge": _resolver(_auto_merge),
    "markPullRequestReadyForReview": _resolver(_ready),
    "revertPullRequest": _resolver(_revert),
}
