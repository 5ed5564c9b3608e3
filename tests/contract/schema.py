"""GitHub's GraphQL schema as a judge of requests and answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    build_schema,
    execute_sync,
    parse,
    validate,
)
from graphql.execution import get_variable_values


class GraphQL:
    """The pruned schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema

    def request(self, body: bytes) -> Iterator[str]:
        """What is wrong with a request: no document, unknown fields, variables of the wrong type."""
        try:
            document, variables, operation = _read(body)
        except (ValueError, KeyError, StopIteration, GraphQLError) as e:
            yield f"request: {type(e).__name__}: {e}"
            return
        errors = validate(self._schema, document)
        yield from (f"request: {error.message}" for error in errors)
        if not errors:
            coerced: Any = get_variable_values(self._schema, operation.variable_definitions or (), variables)
            if isinstance(coerced, list):
                yield from (f"request: {error.message}" for error in coerced)

    def answer(self, asked: bytes, status: int, media: str, body: bytes) -> Iterator[str]:
        """What is wrong with an answer: another status than 200 or 401, or data that the schema does not allow."""
        try:
            answer = json.loads(body)
        except ValueError as e:
            yield f"answer: no JSON ({e})"
            return
        if not media.startswith("application/json"):
            yield f"answer: {media}"
        if status == 401:
            if "message" not in answer:
                yield "answer: a 401 without a message"
            return
        if status != 200:
            yield f"answer: status {status}; GitHub's errors in GraphQL come with 200"
        if answer.keys() - {"data", "errors", "extensions"} or not answer.keys() & {"data", "errors"}:
            yield f"answer: keys {sorted(answer)}"
        for error in answer.get("errors", ()):
            if not isinstance(error.get("message"), str):
                yield "answer: an error without a message"
        if answer.get("data") is not None and not answer.get("errors") and not list(self.request(asked)):
            document, variables, _ = _read(asked)
            # The answer played back as if it were resolved anew: whatever the schema does not allow is an error.
            again = execute_sync(
                self._schema,
                document,
                root_value=answer["data"],
                variable_values=variables,
                field_resolver=lambda source, info, **_: source[info.path.key],
                type_resolver=self._kind,
            )
            yield from (f"answer: {error.message}" for error in again.errors or ())

    @staticmethod
    def names(body: bytes) -> set[str]:
        """ "mutation revertPullRequest" and the like."""
        try:
            _, _, operation = _read(body)
        except (ValueError, KeyError, StopIteration, GraphQLError):
            return set()
        kind = operation.operation.value
        return {f"{kind} {getattr(field, 'name').value}" for field in operation.selection_set.selections}  # noqa: B009

    def _kind(self, value: Any, _info: Any, _abstract: Any) -> str | None:
        """The type of an object behind an interface; only told where the request asked for it."""
        return value.get("__typename") if isinstance(value, dict) else None


@cache
def github_graphql() -> GraphQL:
    """GitHub's schema, as `prune.py` left it."""
    return GraphQL(build_schema(Path(__file__).with_name("github.graphql").read_text(encoding="utf-8")))


def _read(body: bytes) -> tuple[DocumentNode, dict[str, Any], OperationDefinitionNode]:
    asked = json.loads(body)
    document = parse(asked["query"])
    operation = next(d for d in document.definitions if isinstance(d, OperationDefinitionNode))
    return document, asked.get("variables") or {}, operation
