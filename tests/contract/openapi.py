"""GitHub's published description as a judge: does a request, or an answer, follow it?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from openapi_schema_validator import OAS30ReadValidator, OAS30WriteValidator, oas30_format_checker
from referencing import Registry
from referencing.jsonschema import DRAFT4

_ADDRESS = "urn:github"
# Names that hold slashes: GitHub takes a branch or ref over several segments.
_MANY_SEGMENTS = frozenset({"ref", "branch"})
# What GitHub answers to any request, though the description lists it for some only: no token or a bad one, a right
# that is lacking, and nothing there (or nothing that the token may see).
_EVERYWHERE = ("401", "403", "404")
# What it answers beyond its description, known from its own behaviour: "No commit found for SHA".
_BESIDES = {("get", "/repos/{owner}/{repo}/commits/{ref}/check-runs"): ("422",)}
_MOST_TOLD = 5


@dataclass(frozen=True)
class Operation:
    """One method of one path, and the path's parameters as they were found in an address."""

    method: str
    path: str
    arguments: Mapping[str, str]


class Description:
    """The pruned OpenAPI document."""

    def __init__(self, document: dict[str, Any]) -> None:
        _allow_null(document)
        self._document = document
        # Schemas of OpenAPI 3.0 have no `$id`, and their references resolve as those of draft 4.
        resource = DRAFT4.create_resource(document)
        self._registry: Registry[Any] = Registry().with_resource(_ADDRESS, resource)
        # Where a ref may hold slashes, several templates can fit: the one with the most fixed words is meant.
        self._templates = sorted(document["paths"], key=lambda path: path.count("{") - path.count("/"))

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation of a request; `path` is still percent-encoded. None where GitHub has none."""
        for template in self._templates:
            if method.lower() in self._document["paths"][template]:
                arguments = _match(template.strip("/").split("/"), path.strip("/").split("/"))
                if arguments is not None:
                    return Operation(method.lower(), template, arguments)
        return None

    def request(self, op: Operation, query: Sequence[tuple[str, str]], body: bytes) -> Iterator[str]:
        """What is wrong with a request."""
        parameters = self._parameters(op)
        for name, text in op.arguments.items():
            yield from self._parameter(parameters.get(("path", name)), f"path parameter {name}", text)
        for name, text in query:
            if ("query", name) not in parameters:
                yield f"query parameter {name!r} is not documented"
            yield from self._parameter(parameters.get(("query", name)), f"query parameter {name}", text)
        given = {name for name, _ in query}
        for (place, name), parameter in parameters.items():
            if place == "query" and parameter.get("required") and name not in given:
                yield f"query parameter {name} is required"
        yield from self._request_body(op, body)

    def answer(self, op: Operation, status: int, media: str, body: bytes, *, conditional: bool) -> Iterator[str]:
        """What is wrong with an answer. `conditional` says that the request carried an ETag."""
        where = [*self._operation_address(op), "responses"]
        responses = self._at(where)
        code = next((c for c in (str(status), f"{status // 100}XX", "default") if c in responses), None)
        if code is None:
            if status == 304 and conditional and not body:
                return
            if str(status) in (*_EVERYWHERE, *_BESIDES.get((op.method, op.path), ())):
                yield from self._json(OAS30ReadValidator, ["components", "schemas", "basic-error"], body, "answer")
            else:
                yield f"status {status} is not documented (only {', '.join(responses)})"
            return
        where.append(code)
        response = self._at(where)
        if "$ref" in response:
            where = response["$ref"].removeprefix("#/").split("/")
            response = self._at(where)
        content = response.get("content")
        if not content or status in {204, 304}:
            if body:
                yield f"status {status} has no body, but {len(body)} bytes came"
            return
        media = media.partition(";")[0].strip()
        if media not in content:
            yield f"answers {media or 'without a type'} (documented: {', '.join(content)})"
        elif media.endswith("json"):
            yield from self._json(OAS30ReadValidator, [*where, "content", media, "schema"], body, "answer")

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────

    def _parameters(self, op: Operation) -> dict[tuple[str, str], dict[str, Any]]:
        item = self._document["paths"][op.path]
        found = {}
        for parameter in [*item.get("parameters", ()), *item[op.method].get("parameters", ())]:
            real = self._at(parameter["$ref"].removeprefix("#/").split("/")) if "$ref" in parameter else parameter
            found[real["in"], real["name"]] = real
        return found

    def _parameter(self, parameter: Mapping[str, Any] | None, what: str, text: str) -> Iterator[str]:
        if parameter is None:
            return
        schema = parameter.get("schema", {})
        value: Any = text
        if schema.get("type") in {"integer", "number"} and text.removeprefix("-").isdigit():
            value = int(text)
        elif schema.get("type") == "boolean" and text in {"true", "false"}:
            value = text == "true"
        elif schema.get("type") == "array":
            value = text.split(",")
        validator = OAS30WriteValidator(schema, registry=self._registry, format_checker=oas30_format_checker)
        yield from (f"{what}: {error.message}" for error in validator.iter_errors(value))

    def _request_body(self, op: Operation, body: bytes) -> Iterator[str]:
        where = [*self._operation_address(op), "requestBody"]
        declared = self._document["paths"][op.path][op.method].get("requestBody")
        if declared is None:
            if body:
                yield "takes no body, but one was sent"
            return
        if not body:
            if declared.get("required", False):
                yield "a body is required"
            return
        where += ["content", "application/json", "schema"]
        yield from self._json(OAS30WriteValidator, where, body, "request")
        schema = self._at(where)
        if "properties" in schema and not schema.get("additionalProperties"):
            document = json.loads(body)
            for key in document.keys() - schema["properties"].keys() if isinstance(document, dict) else ():
                yield f"request: {key!r} is not documented"

    def _json(self, kind: Any, where: Sequence[str], body: bytes, what: str) -> Iterator[str]:
        try:
            document = json.loads(body)
        except ValueError as e:
            yield f"{what}: no JSON ({e})"
            return
        errors = sorted(self._validator(kind, tuple(where)).iter_errors(document), key=lambda e: str(e.json_path))
        for error in errors[:_MOST_TOLD]:
            yield f"{what}{error.json_path.removeprefix('$')}: {error.message[:300]}"
        if len(errors) > _MOST_TOLD:
            yield f"{what}: {len(errors) - _MOST_TOLD} more"

    @cache  # noqa: B019  # one description for a whole test session
    def _validator(self, kind: Any, where: tuple[str, ...]) -> Any:
        pointer = "/".join(part.replace("~", "~0").replace("/", "~1") for part in where)
        return kind({"$ref": f"{_ADDRESS}#/{pointer}"}, registry=self._registry, format_checker=oas30_format_checker)

    def _operation_address(self, op: Operation) -> list[str]:
        return ["paths", op.path, op.method]

    def _at(self, where: Sequence[str]) -> Any:
        value: Any = self._document
        for part in where:
            value = value[part]
        return value


@cache
def github() -> Description:
    """GitHub's description, as `prune.py` left it."""
    return Description(json.loads(Path(__file__).with_name("github.json").read_text(encoding="utf-8")))


def _match(template: Sequence[str], path: Sequence[str]) -> dict[str, str] | None:
    """The parameters of a path that fits a template, else None."""
    if not template:
        return {} if not path else None
    first = template[0]
    if not path:
        return None
    if not first.startswith("{"):
        return _match(template[1:], path[1:]) if first == path[0] else None
    name = first.strip("{}")
    for length in range(1, (len(path) if name in _MANY_SEGMENTS else 1) + 1):
        rest = _match(template[1:], path[length:])
        if rest is not None:
            return {name: unquote("/".join(path[:length])), **rest}
    return None


def _allow_null(value: Any) -> None:
    """Give `null` to what is nullable, where the validator would not: in enums, and beside oneOf, anyOf and allOf."""
    if isinstance(value, dict):
        if value.get("nullable") is True:
            if "enum" in value and None not in value["enum"]:
                value["enum"].append(None)
            for key in ("oneOf", "anyOf"):
                if key in value and "type" not in value:
                    value[key].append({"enum": [None]})
            if "allOf" in value and "type" not in value:
                value["anyOf"] = [{"allOf": value.pop("allOf")}, {"enum": [None]}]
        for inner in value.values():
            _allow_null(inner)
    elif isinstance(value, list):
        for inner in value:
            _allow_null(inner)
