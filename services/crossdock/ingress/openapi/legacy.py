"""The part of the document that is still written by hand. It goes away as resources are converted."""

import re
from typing import Any

from crossdock.ingress.http.auth import OPEN_PATHS, is_for_inference, is_for_management
from crossdock.ingress.openapi import (
    batches,
    files,
    health,
    models,
    names,
    requests,
    responses,
    uploads,
)
from crossdock.ingress.openapi.operation import Operation, Parameter
from crossdock.ingress.openapi.schema import Json
from crossdock.ingress.values.specimens import FAILED, KEYED

PARTS = (requests, batches, files, uploads, models, health)
OPERATIONS: tuple[Operation, ...] = tuple(one for part in PARTS for one in part.OPERATIONS)
INFERENCE: Json = {"inferenceKey": []}


def tags() -> list[str]:
    return [part.TAG for part in PARTS]


def schemas() -> dict[str, Json]:
    found: dict[str, Json] = dict(names.SCHEMAS)
    for part in PARTS:
        found |= part.SCHEMAS
    return found


def paths() -> dict[str, Json]:
    found: dict[str, Json] = {}
    for one in OPERATIONS:
        found.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return found


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
    keyed = () if one.path in OPEN_PATHS else (*KEYED, FAILED)
    bad = responses.error_answers((*keyed, *one.errors), is_open=bool(one.passes_on))
    return good | bad | (responses.passed_on(one.passes_on) if one.passes_on else {})
