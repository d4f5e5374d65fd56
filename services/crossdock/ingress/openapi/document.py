"""The document, put together from the descriptions."""

import json
import re
from typing import Any

from crossdock.ingress.http.auth import OPEN_PATHS, is_for_inference, is_for_management
from crossdock.ingress.openapi import (
    batches,
    budgets,
    byok,
    callbacks,
    credits,
    errors,
    files,
    health,
    keys,
    models,
    names,
    organizations,
    policies,
    presets,
    requests,
    uploads,
)
from crossdock.ingress.openapi.operation import Operation, Parameter
from crossdock.ingress.openapi.schema import Json

PARTS = (
    requests, batches, files, uploads, models, keys, organizations, policies, budgets, presets,
    byok, credits, callbacks, health,
)  # fmt: skip
OPERATIONS: tuple[Operation, ...] = tuple(one for part in PARTS for one in part.OPERATIONS)
INFERENCE: Json = {"inferenceKey": []}
_ABOUT = """OpenAI's API for work on models, and OpenRouter's for keys, as far as they go.

A key is `Authorization: Bearer`. An inference key runs requests and sees what belongs to its project; a management
key manages keys, projects, policies, budgets, presets and own provider keys and sees credits, as far as its role
allows. What lies in another organization or project does not exist for a key: 404. Every answer has `x-request-id`."""


def document() -> Json:
    """Return the OpenAPI document."""
    paths: dict[str, Json] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    schemas: dict[str, Json] = {**errors.SCHEMAS, **names.SCHEMAS}
    for part in PARTS:
        schemas |= part.SCHEMAS
    return {
        "openapi": "3.1.0",
        "info": {"title": "Crossdock", "version": "1", "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": part.TAG} for part in PARTS],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": errors.shared_answers(),
            "securitySchemes": _schemes(),
        },
    }


def document_text() -> str:
    return json.dumps(document(), indent=2, ensure_ascii=False) + "\n"


def _schemes() -> Json:
    bearer = {"type": "http", "scheme": "bearer"}
    return {
        "inferenceKey": bearer | {"description": "A key without a role."},
        "managementKey": bearer | {"description": "A key with a role; one that is named suffices."},
    }


def security_of(one: Operation) -> list[Json]:
    """Return who may ask, each an alternative: kinds of keys, and the roles of management keys."""
    management = [{"managementKey": [role.value]} for role in one.roles]
    if one.path in OPEN_PATHS:
        return []
    inference = [INFERENCE] if is_for_inference(one.method, one.path) else []
    return inference + (management if is_for_management(one.path) else [])


def _operation(one: Operation) -> Json:
    parameters = [*_in_path(one), *map(_parameter, one.parameters)]
    return {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        **({"description": one.text} if one.text else {}),
        **({"parameters": parameters} if parameters else {}),
        **({"requestBody": _body(one)} if one.body else {}),
        "responses": _responses(one),
        "security": security_of(one),
    }


def _in_path(one: Operation) -> list[Json]:
    found = re.findall(r"{(\w+)}", one.path)
    return [
        {"name": name, "in": "path", "required": True, "schema": one.names[name]} for name in found
    ]


def _parameter(parameter: Parameter) -> Json:
    about = {"description": parameter.text} if parameter.text else {}
    needed = {"required": True} if parameter.is_required else {}
    return {
        "name": parameter.name,
        "in": parameter.place,
        **about,
        **needed,
        "schema": parameter.schema,
    }


def _body(one: Operation) -> Json:
    body = one.body
    if body is None:
        return {}
    example: dict[str, Any] = {"example": dict(body.example)} if body.example else {}
    return {
        "required": body.is_required,
        "content": {body.media: {"schema": body.schema, **example}},
    }


def _responses(one: Operation) -> Json:
    good = {
        str(answer.status): {
            "description": answer.text,
            "content": {media: {"schema": schema} for media, schema in answer.content.items()},
        }
        for answer in one.answers
    }
    keyed = () if one.path in OPEN_PATHS else (*errors.KEYED, errors.FAILED)
    bad = errors.error_answers((*keyed, *one.errors), is_open=bool(one.passes_on))
    return good | bad | (errors.passed_on(one.passes_on) if one.passes_on else {})
