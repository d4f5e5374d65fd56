"""Calls made from the API's document, and one of everything to make them about."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import httpx

from crossdock.kernel.requests.api_keys import digest
from crossdock_schemas.windows import Window
from integration.ingress.fakes import API_KEY, OWNER_KEY, Ingress
from integration.ingress.views.test_accounts import Management, bearer
from support.openapi import operations, resolved

Json = dict[str, Any]
Ids = Mapping[str, list[str]]

OWN = {"inferenceKey": API_KEY, "managementKey": OWNER_KEY}
MASTER_KEY = "0" * 64
LIKE_AN_ID = re.compile(r"(^|_)(id|ids|hash|hashes|scope|account)$|^after$")
NO_ONES_OWN = {"model", "master_key_id", "allowed_user_ids"}
"""Fields whose names look like an organization's ids, but whose values are the same for all, or the caller's own."""


@dataclass(frozen=True)
class Call:
    """An operation with all that its path needs."""

    name: str
    method: str
    path: str
    operation: Json

    async def ask(
        self, ingress: Ingress, key: str, *, query: Json | None = None, body: Json | None = None
    ) -> httpx.Response:
        sent = _content(self.operation, body or {})
        headers = bearer(key)
        return await ingress.http.request(
            self.method, self.path, params=query, headers=headers, **sent
        )

    def keys(self, of: Mapping[str, str]) -> list[str]:
        """Return the keys with which it can be asked for."""
        kinds = {kind for one in self.operation["security"] for kind in one}
        return [of[kind] for kind in sorted(kinds)]


def _content(operation: Json, changes: Json) -> Json:
    """Return the example of an operation's body, as httpx takes it."""
    content = operation.get("requestBody", {}).get("content", {})
    for media, body in content.items():
        fields = body.get("example", {}) | changes
        if media == "application/json":
            return {"json": fields}
        properties = resolved(body["schema"])["properties"]
        files = {name: b"abc" for name, one in properties.items() if "contentMediaType" in one}
        return {"data": fields, "files": files}
    return {}


def kind_of(schema: Json) -> str | None:
    """Return which id a schema is."""
    kind: str = schema.get("$ref", "").rpartition("/")[2]
    return kind if kind.endswith(("Id", "KeyName", "KeyHash")) else None


def fillings(parameters: list[Json], ids: list[str]) -> list[dict[str, str]]:
    """Return every way to fill a path with `ids`."""
    choices: dict[str, list[str]] = {}
    for one in parameters:
        if one["in"] != "path":
            continue
        kind, schema = kind_of(one["schema"]), resolved(one["schema"])
        names = schema.get("enum") or schema.get("examples")
        if kind is None and not names:
            raise AssertionError(f"{one['name']!r} is an id of no known kind")
        choices[one["name"]] = ids if kind else list(names or ())
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def calls(ids: Ids | list[str]) -> Iterator[tuple[Call, dict[str, str]]]:
    """Yield every operation with an id in its path; ids by kind go where they belong, others everywhere."""
    for method, path, operation in operations():
        parameters = [p for p in operation.get("parameters", ()) if p["in"] == "path"]
        kinds = {kind_of(p["schema"]) for p in parameters} - {None}
        if not parameters or {p["name"] for p in parameters} <= NO_ONES_OWN:
            continue
        own = ids if isinstance(ids, list) else [i for kind in kinds for i in ids[str(kind)]]
        for filling in fillings(parameters, own):
            name = operation["operationId"]
            yield Call(name, method, path.format(**filling), operation), filling


def kinds_in(schema: Json) -> set[str]:
    """Return which ids a field may hold, alone or several."""
    inner = (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ()))
    own = kind_of(schema)
    return {kind for one in inner for kind in kinds_in(one)} | ({own} if own else set())


def fields_in(schema: Json) -> Iterator[tuple[str, str | None]]:
    """Yield every field of an object that is an id, with its kind, or that is called like one."""
    for name, inner in resolved(schema).get("properties", {}).items():
        kinds = kinds_in(inner)
        yield from ((name, kind) for kind in kinds)
        if not kinds and name not in NO_ONES_OWN and LIKE_AN_ID.search(name):
            yield name, None
        for one in (inner, *inner.get("anyOf", ())):
            yield from fields_in(one)


def fields_of(operation: Json) -> Iterator[tuple[str, str, str | None]]:
    """Yield where an operation takes ids besides its path: the place, the field, its kind."""
    query = {p["name"]: p["schema"] for p in operation.get("parameters", ()) if p["in"] == "query"}
    for field, kind in fields_in({"properties": query}):
        yield "query", field, kind
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for field, kind in fields_in(content["schema"]):
            yield "body", field, kind


def order_of(call: Call) -> tuple[bool, bool, str]:
    """Deletions last, the keys' at the very end: with them goes what binds them."""
    return call.method == "DELETE", call.name == "delete_key", call.path


async def settle(ingress: Ingress, owner: Management) -> Ids:
    """Make one of everything."""
    sdk = ingress.sdk
    file = await sdk.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
    made = await sdk.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch = ingress.dock.batches.find(made.id)
    assert batch is not None
    output = await ingress.world.show_parts(batch, [b"one\n"])
    upload = await make_upload(ingress, API_KEY)
    part = await sdk.uploads.parts.create(upload, data=b"abc")
    byok = await make_byok(owner, "proj_default")
    scopes = ["org_local", "proj_default", "key_local"]
    for scope in scopes:
        await owner.ask("PUT", f"/policies/{scope}", {})
        for window in Window:
            await owner.ask("PUT", f"/budgets/{scope}/{window.value}", {"limit_usd": 1000})
    for scope in scopes[:2]:
        await owner.ask("PUT", f"/presets/{scope}/brief", {})
    credit = {"kind": "grant", "amount_usd": 5, "reference": "welcome"}
    booked = (await owner.ask("POST", "/organizations/org_local/credits", credit)).json()
    return {
        "FileId": [file.id, output],
        "UploadId": [upload],
        "PartId": [part.id],
        "BatchId": [made.id],
        "KeyId": ["key_local"],
        "KeyName": ["key_local", digest(API_KEY)],
        "KeyHash": [digest(API_KEY)],
        "ByokId": [byok],
        "CreditId": [booked["data"]["id"]],
        "ProjectId": ["proj_default"],
        "OrganizationId": ["org_local"],
        "PresetScopeId": scopes[:2],
        "ScopeId": scopes,
        "BudgetScopeId": scopes,
    }


async def make_byok(owner: Management, project: str | None) -> str:
    body = {"provider": "atlas", "key": "sk-of-ones-own", "project_id": project}
    made = (await owner.ask("POST", "/byok", body)).json()
    identifier: str = made["data"]["id"]
    return identifier


async def make_upload(ingress: Ingress, key: str) -> str:
    made = await ingress.sdk.with_options(api_key=key).uploads.create(
        filename="b.jsonl", purpose="batch", bytes=3, mime_type="application/jsonl"
    )
    return made.id
