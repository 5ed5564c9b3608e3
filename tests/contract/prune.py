"""Cut GitHub's descriptions of REST (13 MB) and GraphQL (1.2 MB) down to what automend and its hub use.

    npm pack @octokit/openapi@23.0.2           # generated/api.github.com.json
    npm pack @octokit/graphql-schema@15.26.1   # schema.graphql
    python tests/contract/prune.py api.github.com.json schema.graphql

writes `github.json` and `github.graphql` beside this file. What a validator does not read (descriptions, examples,
headers) is left out.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from graphql import parse, print_ast
from graphql.language import (
    DocumentNode,
    EnumTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    NameNode,
    ObjectTypeDefinitionNode,
    ScalarTypeDefinitionNode,
)

OPERATIONS: dict[str, tuple[str, ...]] = {
    "/meta": ("get",),
    "/rate_limit": ("get",),
    "/repos/{owner}/{repo}": ("get",),
    "/repos/{owner}/{repo}/branches": ("get",),
    "/repos/{owner}/{repo}/branches/{branch}": ("get",),
    "/repos/{owner}/{repo}/branches/{branch}/protection": ("get", "put", "delete"),
    "/repos/{owner}/{repo}/check-runs": ("post",),
    "/repos/{owner}/{repo}/check-runs/{check_run_id}": ("get", "patch"),
    "/repos/{owner}/{repo}/check-runs/{check_run_id}/annotations": ("get",),
    "/repos/{owner}/{repo}/collaborators": ("get",),
    "/repos/{owner}/{repo}/collaborators/{username}": ("get",),
    "/repos/{owner}/{repo}/collaborators/{username}/permission": ("get",),
    "/repos/{owner}/{repo}/commits": ("get",),
    "/repos/{owner}/{repo}/commits/{commit_sha}/pulls": ("get",),
    "/repos/{owner}/{repo}/commits/{ref}": ("get",),
    "/repos/{owner}/{repo}/commits/{ref}/check-runs": ("get",),
    "/repos/{owner}/{repo}/commits/{ref}/status": ("get",),
    "/repos/{owner}/{repo}/commits/{ref}/statuses": ("get",),
    "/repos/{owner}/{repo}/compare/{basehead}": ("get",),
    "/repos/{owner}/{repo}/contents/{path}": ("get",),
    "/repos/{owner}/{repo}/deployments": ("get", "post"),
    "/repos/{owner}/{repo}/deployments/{deployment_id}": ("get", "delete"),
    "/repos/{owner}/{repo}/deployments/{deployment_id}/statuses": ("get", "post"),
    "/repos/{owner}/{repo}/git/blobs/{file_sha}": ("get",),
    "/repos/{owner}/{repo}/git/commits/{commit_sha}": ("get",),
    "/repos/{owner}/{repo}/git/matching-refs/{ref}": ("get",),
    "/repos/{owner}/{repo}/git/ref/{ref}": ("get",),
    "/repos/{owner}/{repo}/git/refs": ("post",),
    "/repos/{owner}/{repo}/git/refs/{ref}": ("patch", "delete"),
    "/repos/{owner}/{repo}/git/trees/{tree_sha}": ("get",),
    "/repos/{owner}/{repo}/issues": ("get", "post"),
    "/repos/{owner}/{repo}/issues/comments": ("get",),
    "/repos/{owner}/{repo}/issues/comments/{comment_id}": ("get", "patch", "delete"),
    "/repos/{owner}/{repo}/issues/{issue_number}": ("get", "patch"),
    "/repos/{owner}/{repo}/issues/{issue_number}/comments": ("get", "post"),
    "/repos/{owner}/{repo}/issues/{issue_number}/labels": ("get", "post", "put"),
    "/repos/{owner}/{repo}/issues/{issue_number}/labels/{name}": ("delete",),
    "/repos/{owner}/{repo}/labels": ("get", "post"),
    "/repos/{owner}/{repo}/labels/{name}": ("get",),
    "/repos/{owner}/{repo}/pulls": ("get", "post"),
    "/repos/{owner}/{repo}/pulls/{pull_number}": ("get", "patch"),
    "/repos/{owner}/{repo}/pulls/{pull_number}/comments": ("get", "post"),
    "/repos/{owner}/{repo}/pulls/{pull_number}/commits": ("get",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/files": ("get",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/merge": ("get", "put"),
    "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers": ("get", "post"),
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews": ("get", "post"),
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}": ("get",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/comments": ("get",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/dismissals": ("put",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/reviews/{review_id}/events": ("post",),
    "/repos/{owner}/{repo}/pulls/{pull_number}/update-branch": ("put",),
    "/repos/{owner}/{repo}/rules/branches/{branch}": ("get",),
    "/repos/{owner}/{repo}/statuses/{sha}": ("post",),
    "/user": ("get",),
    "/user/repos": ("get",),
    "/users/{username}": ("get",),
}

_UNREAD = {"description", "example", "examples", "summary", "externalDocs", "tags", "title", "operationId", "headers"}
_NAMES = {"properties", "schemas", "parameters", "responses", "patternProperties", "paths"}


def prune(whole: dict[str, Any]) -> dict[str, Any]:
    """The same description with only `OPERATIONS`, and what they refer to."""
    paths: dict[str, Any] = {}
    for path, methods in OPERATIONS.items():
        item = whole["paths"][path]
        paths[path] = {key: _read_part(item[key]) for key in (*methods, "parameters") if key in item}
    components: dict[str, dict[str, Any]] = {}
    todo = _references(paths)
    while todo:
        reference = todo.pop()
        _, _, kind, name = reference.split("/", 3)
        if name in components.get(kind, {}):
            continue
        part = _read_part(whole["components"][kind][name])
        components.setdefault(kind, {})[name] = part
        todo |= _references(part)
    ordered = {kind: dict(sorted(parts.items())) for kind, parts in sorted(components.items())}
    return {"openapi": whole["openapi"], "info": whole["info"], "paths": paths, "components": ordered}


def _read_part(value: Any, *, names: bool = False) -> Any:
    """Without the keys that no validator reads; below `properties` and its like, keys are names and all stay."""
    if isinstance(value, dict):
        return {
            key: _read_part(inner, names=not names and key in _NAMES and isinstance(inner, dict))
            for key, inner in value.items()
            if names or not (key in _UNREAD or key.startswith("x-"))
        }
    return [_read_part(inner) for inner in value] if isinstance(value, list) else value


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        found = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return found.union(*(_references(inner) for inner in value.values()))
    return set().union(*(_references(inner) for inner in value)) if isinstance(value, list) else set()


GRAPHQL_FIELDS: dict[str, frozenset[str]] = {
    "Query": frozenset({"id", "viewer", "node", "repository", "rateLimit"}),
    "Mutation": frozenset({
        "revertPullRequest", "createCommitOnBranch", "enablePullRequestAutoMerge", "markPullRequestReadyForReview",
    }),
}  # fmt: skip
"""Of these two types, only these fields."""
GRAPHQL_TYPES = frozenset({
    "Actor", "Bot", "Commit", "CommitConnection", "GitObject", "GitObjectID", "GitTimestamp", "Mutation", "Node",
    "PullRequest", "PullRequestReview", "Query", "RateLimit", "Ref", "Repository", "RepositoryOwner", "User",
})  # fmt: skip
"""Objects that are kept, besides the mutations' inputs and payloads; fields of all other types are cut off."""
_BUILT_IN = frozenset({"String", "Int", "Float", "Boolean", "ID"})


def prune_graphql(text: str) -> str:
    """The same schema with only the above, and the inputs, enums and scalars that they refer to."""
    by_name: dict[str, Any] = {}
    for node in parse(text, no_location=True).definitions:
        name = getattr(node, "name", None)
        if isinstance(name, NameNode):
            by_name[name.value] = node
    objects = set(GRAPHQL_TYPES)
    for field in by_name["Mutation"].fields:
        if field.name.value in GRAPHQL_FIELDS["Mutation"]:
            objects.add(_type_name(field))
    kept: dict[str, Any] = {}
    todo = set(objects)
    while todo:
        wanted = todo.pop()
        if wanted in kept or wanted in _BUILT_IN or wanted not in by_name:
            continue
        node = _bare(by_name[wanted])
        if isinstance(node, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
            only = GRAPHQL_FIELDS.get(wanted)
            fields = (
                field
                for field in node.fields or ()
                if (only is None or field.name.value in only)
                and (_type_name(field) in objects or _is_leaf(by_name, _type_name(field)))
            )
            interfaces = tuple(i for i in node.interfaces or () if i.name.value in objects)
            node = replace(node, interfaces=interfaces, fields=tuple(fields))
        kept[wanted] = node
        for field in getattr(node, "fields", ()):
            todo |= {_type_name(field)} | {_type_name(argument) for argument in getattr(field, "arguments", None) or ()}
    return print_ast(DocumentNode(definitions=tuple(kept[name] for name in sorted(kept)))) + "\n"


def _bare(node: Any) -> Any:
    """A definition without the words and directives of itself and all below."""
    changes: dict[str, Any] = {"description": None, "directives": ()}
    for part in ("fields", "values", "arguments"):
        if getattr(node, part, None):
            changes[part] = tuple(_bare(inner) for inner in getattr(node, part))
    return replace(node, **changes)


def _is_leaf(by_name: dict[str, Any], name: str) -> bool:
    return name in _BUILT_IN or isinstance(by_name[name], ScalarTypeDefinitionNode | EnumTypeDefinitionNode)


def _type_name(field: Any) -> str:
    kind = field.type
    while not isinstance(getattr(kind, "name", None), NameNode):
        kind = kind.type
    return str(kind.name.value)


if __name__ == "__main__":
    small = prune(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    here = Path(__file__).parent
    (here / "github.json").write_text(json.dumps(small, separators=(",", ":")) + "\n", encoding="utf-8")
    (here / "github.graphql").write_text(prune_graphql(Path(sys.argv[2]).read_text("utf-8")), encoding="utf-8")
    for name in ("github.json", "github.graphql"):
        sys.stdout.write(f"{here / name}: {(here / name).stat().st_size // 1000} kB\n")
