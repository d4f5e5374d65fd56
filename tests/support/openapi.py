"""The document of the API against what the API does."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator
from pydantic import BaseModel
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crossdock.ingress.openapi import document as generator
from crossdock.ingress.resources import OPERATIONS

Json = dict[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
UNTOLD = {405, 499}  # not in the document: another method; a caller that has hung up


def shown_as(model: BaseModel) -> Json:
    """Return what a caller gets of an answer model."""
    found: Json = json.loads(model.model_dump_json())
    return found


def closed(schema: Any) -> Any:
    """Return `schema` where no object may have an undescribed field."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    is_told = schema.get("type") == "object" and "properties" in schema
    return ({"additionalProperties": False} if is_told else {}) | inner


@cache
def document() -> Json:
    """Return the document that is served."""
    return generator.document(OPERATIONS)


@cache
def api() -> Json:
    """Return the document, with closed schemas."""
    found: Json = closed(document())
    return found


def resolved(one: Json) -> Json:
    """Return what a reference into the document leads to."""
    while "$ref" in one:
        found: Any = api()
        for step in one["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        one = found
    return one


def operations() -> Iterator[tuple[str, str, Json]]:
    """Yield each operation with its method and its path."""
    for path, methods in api()["paths"].items():
        for method in METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def faults(schema: Mapping[str, Any], value: object) -> list[str]:
    """Return what is wrong with `value`."""
    whole = {"allOf": [schema], "components": api()["components"]}
    validator = Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def faults_of_answer(operation: Json, status: int, media: str, body: bytes) -> list[str]:
    """Return the differences between an answer and the document."""
    responses = operation["responses"]
    told = responses.get(str(status)) or responses.get("default")
    if told is None:
        return [f"status {status} is not described: {body[:300]!r}"]
    content = resolved(told)["content"]
    if media not in content:
        return [f"{media!r} is not described"]
    return faults(content[media]["schema"], json.loads(body)) if media.endswith("json") else []


def faults_of_body(operation: Json, body: bytes) -> list[str]:
    """Return the differences between an accepted body and the document."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None or not body:
        return []
    open_schema = resolved(content["schema"])
    return faults(open_schema, json.loads(body))


class Watched:
    """An application whose every answer is held against the document."""

    def __init__(self, app: ASGIApp, *, watches_bodies: bool = True) -> None:
        self._app = app
        self._watches_bodies = watches_bodies
        self.faults: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent, came = bytearray(), bytearray()
        start: Message = {}

        async def watch_receive() -> Message:
            message = await receive()
            came.extend(message.get("body", b""))
            return message

        async def watch_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
            sent.extend(message.get("body", b""))
            await send(message)

        await self._app(scope, watch_receive, watch_send)
        self._judge(scope, start, bytes(came), bytes(sent))

    def _judge(self, scope: Scope, start: Message, came: bytes, sent: bytes) -> None:
        path = getattr(scope.get("route"), "path_format", None)
        status = start.get("status")
        if path is None or status is None or status in UNTOLD:
            return
        where = f"{scope['method']} {path} {status}"
        operation = api()["paths"].get(path, {}).get(scope["method"].lower())
        if operation is None:
            self.faults.append(f"{where}: not described")
            return
        headers = {name.decode().lower(): value.decode() for name, value in start["headers"]}
        media = headers.get("content-type", "").partition(";")[0]
        found = faults_of_answer(operation, status, media, sent)
        if status < 300 and self._watches_bodies:
            found += faults_of_body(operation, came)
        self.faults += [f"{where}: {fault}" for fault in found]
