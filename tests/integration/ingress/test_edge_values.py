"""No value makes the API fail: it is taken, and what it became can be read, or it is refused with a 4xx."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from crossdock.kernel.process.record import Record
from crossdock.metering.decode import decode
from crossdock_schemas.times import LATEST_MS, utc
from crossdock_schemas.topics import ACCOUNT_CHANGES, ACCOUNT_JOURNAL
from integration.ingress.calls import NO_ONES_OWN, fillings, kind_of, settle
from integration.ingress.fakes import (
    API_KEY,
    CHAT_MODEL,
    OWNER_KEY,
    Ingress,
    World,
    make_completion,
    running_ingress,
)
from integration.ingress.views.test_accounts import Management
from support.edge_values import TEXTS, bodies, wrong
from support.effort import Effort
from support.openapi import operations

Json = dict[str, Any]
LISTS = (
    "/v1/keys?include_disabled=true&include_expired=true", "/v1/key", "/v1/organization", "/v1/projects", "/v1/policies",
    "/v1/budgets", "/v1/presets", "/v1/byok", "/v1/credits", "/v1/credits/entries",
)  # fmt: skip
WORK = ("/v1/batches", "/v1/files", "/v1/models", "/v1/key")


@asynccontextmanager
async def settled() -> AsyncIterator[tuple[Ingress, dict[str, list[str]]]]:
    """Yield an ingress with one of everything."""
    world = World(answer=lambda *_: (200, make_completion()))
    async with running_ingress(
        world, watches_bodies=False, stripe_webhook_secret="whsec_x"
    ) as ingress:
        owner = Management(ingress)
        ids = dict(await settle(ingress, owner))
        ids["KeyName"] = [(await owner.make_key())["data"]["id"]]  # it may be disabled
        ids["ProjectId"] = [
            (await owner.ask("POST", "/projects", {"name": "p"})).json()["data"]["id"]
        ]
        ingress.clock.advance(120_000)
        yield ingress, ids


def header_of(text: str) -> bytes:
    """Return a text as a header may carry it."""
    return "".join(filter(str.isprintable, text)).strip().encode() or b"x"


def key_of(operation: Json) -> str:
    kinds = {kind for one in operation["security"] for kind in one}
    return OWNER_KEY if "managementKey" in kinds else API_KEY


def filled(path: str, operation: Json, ids: dict[str, list[str]]) -> str:
    """Return a path with ids that exist."""
    parameters = [one for one in operation.get("parameters", ()) if one["in"] == "path"]
    named = [one for one in parameters if one["name"] not in NO_ONES_OWN]
    own = [i for p in named for i in ids.get(kind_of(p["schema"]) or "", ())]
    names = {one["name"]: CHAT_MODEL for one in parameters} | next(iter(fillings(named, own)), {})
    return path.format(**names)


async def ask(ingress: Ingress, method: str, path: str, key: str, **sent: Any) -> httpx.Response:
    given: Json = {"authorization": f"Bearer {key}"} | sent.pop("headers", {})
    headers = [
        (name.encode(), one if isinstance(one, bytes) else one.encode())
        for name, one in given.items()
    ]
    return await ingress.http.request(method, path, headers=headers, **sent)


async def is_readable(ingress: Ingress) -> list[str]:
    """Return the lists that cannot be read."""
    paths = [(path, OWNER_KEY) for path in LISTS] + [(path, API_KEY) for path in WORK]
    answers = [(path, await ask(ingress, "GET", path, key)) for path, key in paths]
    return [f"GET {path}: {one.status_code}" for path, one in answers if one.status_code != 200]


def unstorable(world: World) -> list[str]:
    """Return the records of the log and the journal that ClickHouse could not take."""
    found = []
    for topic in (ACCOUNT_CHANGES.name, ACCOUNT_JOURNAL.name):
        for message in world.sent_to(topic):
            record = Record(topic, 0, 0, 0, message.key, message.value, tuple(message.headers))
            for _, rows in decode(record):
                found += [str(value) for row in rows for value in row if not is_storable(value)]
    return found


def is_storable(value: object) -> bool:
    if hasattr(value, "tzinfo"):
        return utc(0) <= value <= utc(LATEST_MS)  # type: ignore[operator]
    return not isinstance(value, int) or -(2**63) <= value < 2**64


OPERATIONS = list(operations())
WITH_BODY = [
    pytest.param(*each, id=each[2]["operationId"])
    for each in OPERATIONS
    if "application/json" in each[2].get("requestBody", {}).get("content", {})
]
WITH_PARAMETERS = [
    pytest.param(*each, id=each[2]["operationId"])
    for each in OPERATIONS
    if each[2].get("parameters")
]


@pytest.mark.parametrize(("method", "path", "operation"), WITH_BODY)
async def test_no_value_of_a_body_makes_a_request_fail(
    method: str, path: str, operation: Json, effort: Effort
) -> None:
    """Kind 4 of issue 16: a time beyond what can be shown made every later list of keys fail."""
    found: list[str] = []
    async with settled() as (ingress, ids):
        place, key = filled(path, operation, ids), key_of(operation)
        for name, body in bodies(operation, effort(4, 1)):
            answer = await ask(ingress, method, place, key, content=body)
            found += [f"{name}: {answer.status_code}"] if wrong(answer) else []
        found += await is_readable(ingress)
        found += unstorable(ingress.world)

    assert found == []


@pytest.mark.parametrize(("method", "path", "operation"), WITH_PARAMETERS)
async def test_no_path_query_or_header_makes_a_request_fail(
    method: str, path: str, operation: Json, effort: Effort
) -> None:
    """Kind 4 of issue 16: ids with spaces and numbers of 5,000 digits were answered with a 500."""
    parameters = operation.get("parameters", [])
    found: list[str] = []
    async with settled() as (ingress, ids):
        sound, key = filled(path, operation, ids), key_of(operation)
        for number, one in enumerate(parameters):
            for text in TEXTS[number % effort(3, 1) :: effort(3, 1)]:
                place = sound
                sent: Json = {}
                if one["in"] == "path":
                    place = path.replace(f"{{{one['name']}}}", quote(text, safe=""))
                    place = filled(place, {"parameters": [p for p in parameters if p != one]}, ids)
                elif one["in"] == "query":
                    sent = {"params": {one["name"]: text}}
                else:
                    sent = {"headers": {one["name"]: header_of(text)}}
                answer = await ask(ingress, method, place, key, **sent)
                found += (
                    [f"{one['name']}={text[:40]!r}: {answer.status_code}"] if wrong(answer) else []
                )
        found += await is_readable(ingress)

    assert found == []


@pytest.mark.parametrize("text", TEXTS, ids=repr)
async def test_no_value_of_a_form_makes_a_request_fail(text: str) -> None:
    async with settled() as (ingress, ids):
        file = {"file": ("a.txt", b"abc")}
        life = {"purpose": "user_data", "expires_after[anchor]": "created_at"}
        forms: list[tuple[str, Json, Json]] = [
            ("/v1/files", {"purpose": text}, file),
            ("/v1/files", {"purpose": "user_data", text: text}, file),
            ("/v1/files", {"purpose": "user_data"}, {"file": (text, b"abc")}),
            ("/v1/files", life | {"expires_after[seconds]": text}, file),
            ("/v1/files", {"purpose": "user_data", "expires_after[anchor]": text}, file),
            (f"/v1/uploads/{ids['UploadId'][0]}/parts", {text: text}, {"data": (text, b"abc")}),
        ]
        found = []
        for path, data, files in forms:
            form: Json = {"data": data, "files": files}
            answer = await ask(ingress, "POST", path, API_KEY, **form)
            found += [f"{path} {list(data)}: {answer.status_code}"] if wrong(answer) else []
        for media in (
            f"multipart/form-data; boundary={header_of(text).decode()}",
            header_of(text).decode(),
        ):
            headers = {"content-type": media.encode()}
            raw: Json = {"content": b"--x\r\n", "headers": headers}
            answer = await ask(ingress, "POST", "/v1/files", API_KEY, **raw)
            found += [f"{media[:60]}: {answer.status_code}"] if answer.status_code != 400 else []
        found += await is_readable(ingress)

    assert found == []
