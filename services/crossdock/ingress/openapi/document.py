"""The OpenAPI document, generated from operations and their models."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from crossdock.ingress.openapi import responses
from crossdock.ingress.values.operations import JSON, Operation
from crossdock.ingress.values.specimens import refusals_of

Json = dict[str, Any]
Kinds = dict[tuple[Any, JsonSchemaMode], Json]
REF = "#/components/schemas/{model}"
ABOUT = """OpenAI's API for work on models, and OpenRouter's for keys, as far as they go.

A key is `Authorization: Bearer`. An inference key runs requests and sees what belongs to its project; a management
key manages keys, projects, policies, budgets, presets and BYOK keys and sees credits, as far as its role allows. An
object of another organization or project does not exist for a key: 404. Every answer has `x-request-id`."""


class _Schemas(GenerateJsonSchema):
    """Pydantic's schemas with plain names, without generated titles and null defaults."""

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    @override
    def normalize_name(self, name: str) -> str:
        return re.sub(r"\W", "", name)

    @override
    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        if found.get("default", 0) is None:
            found.pop("default")
        return found


def document(operations: Sequence[Operation]) -> Json:
    """Return the OpenAPI document."""
    kinds, schemas = _schemas_of(operations)
    paths: dict[str, Json] = {}
    for one in operations:
        paths.setdefault(one.document_path, {})[one.method.lower()] = _operation(one, kinds)
    schemas |= responses.SCHEMAS
    shared = responses.shared_answers()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Crossdock", "version": "1", "description": ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": tag} for tag in dict.fromkeys(one.tag for one in operations)],
        "paths": paths,
        "components": {
            "schemas": _used(schemas, paths, schemas, shared),
            "responses": _used(shared, paths),
            "securitySchemes": _schemes(),
        },
    }


def document_text(operations: Sequence[Operation]) -> str:
    return json.dumps(document(operations), indent=2, ensure_ascii=False) + "\n"


def security_of(one: Operation) -> list[Json]:
    """Return the kinds of keys that may use an operation, each an alternative, and the roles of management keys."""
    inference: list[Json] = [{"inferenceKey": []}] if one.access.takes_inference else []
    management = [{"managementKey": [role.value]} for role in one.roles]
    return inference + (management if one.access.takes_management else [])


def _schemas_of(operations: Iterable[Operation]) -> tuple[Kinds, Json]:
    """Return the schema of each kind, and the components that they refer to."""
    wanted = dict.fromkeys(kind for one in operations for kind in _kinds_of(one))
    inputs = [(kind, mode, TypeAdapter(kind).core_schema) for kind, mode in wanted]
    schemas, components = _Schemas(by_alias=True, ref_template=REF).generate_definitions(inputs)
    for component in components.values():
        component.pop("title", None)
    for query in {one.query for one in operations if one.query is not None}:
        name = schemas[query, "validation"]["$ref"].rpartition("/")[2]
        schemas[query, "validation"] = components.pop(name)
    return schemas, dict(sorted(components.items()))


def _kinds_of(one: Operation) -> Iterable[tuple[Any, JsonSchemaMode]]:
    yield from ((kind, "validation") for kind in (*one.ids.values(), one.query, one.body) if kind)
    shown = (one.answer, *(kind for media in one.answers.values() for kind in media.values()))
    yield from ((kind, "serialization") for kind in shown if kind and not isinstance(kind, dict))


def _schemes() -> Json:
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "inferenceKey": bearer | {"description": "A key without a role."},
        "managementKey": bearer | {"description": "A key with a role; one of the named roles."},
    }


def _operation(one: Operation, kinds: Kinds) -> Json:
    parameters = [*_in_path(one, kinds), *_in_query(one, kinds), *_headers(one)]
    return {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        **({"description": one.text} if one.text else {}),
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": _body(one, kinds)} if one.body else {}),
        "responses": _responses(one, kinds),
        "security": security_of(one),
    }


def _in_path(one: Operation, kinds: Kinds) -> list[Json]:
    return [
        {"name": name, "in": "path", "required": True, "schema": kinds[one.ids[name], "validation"]}
        for name in re.findall(r"{(\w+)}", one.document_path)
    ]


def _in_query(one: Operation, kinds: Kinds) -> Iterable[Json]:
    fields = {} if one.query is None else kinds[one.query, "validation"].get("properties", {})
    for name, field in fields.items():
        text = field.get("description")
        about = {"description": text} if text else {}
        schema = {key: value for key, value in field.items() if key != "description"}
        yield {"name": name, "in": "query", **about, "schema": _without_null(schema)}


def _without_null(schema: Json) -> Json:
    """Return the schema of a field that is never null, because a query cannot express null."""
    real = [one for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    return rest | real[0] if len(real) == 1 else schema


def _headers(one: Operation) -> Iterable[Json]:
    for header in one.headers:
        needed = {"required": True} if header.is_required else {}
        about = {"description": header.text}
        yield {"name": header.name, "in": "header", **about, **needed, "schema": {"type": "string"}}


def _body(one: Operation, kinds: Kinds) -> Json:
    example = {"example": dict(one.example)} if one.example else {}
    content = {one.media: {"schema": kinds[one.body, "validation"], **example}}
    return {"required": one.is_body_required, "content": content}


def _responses(one: Operation, kinds: Kinds) -> Json:
    answers: Mapping[int, Mapping[str, Any]] = one.answers
    if one.answer is not None:
        answers = {one.status: {JSON: one.answer}} | dict(answers)
    good = {
        str(status): {"description": "Done.", "content": _content(content, kinds)}
        for status, content in answers.items()
    }
    bad = responses.error_answers(refusals_of(one), is_open=bool(one.passes_on))
    return good | bad | (responses.passed_on(one.passes_on) if one.passes_on else {})


def _content(content: Mapping[str, Any], kinds: Kinds) -> Json:
    return {
        media: {"schema": kind if isinstance(kind, dict) else kinds[kind, "serialization"]}
        for media, kind in content.items()
    }


def _used(parts: Json, *where: Json) -> Json:
    """Return the parts that something refers to."""
    text = json.dumps(where)
    return {name: one for name, one in parts.items() if f'/{name}"' in text}
