"""Permissions: every route of the API's document, with keys of every kind and role."""

from typing import Any

import httpx
import pytest

from crossdock.kernel.requests.api_keys import digest
from crossdock_schemas.accounts.account import Role
from integration.ingress.calls import MASTER_KEY, OWN, Call, calls, order_of, settle
from integration.ingress.fakes import API_KEY, World, make_completion, running_ingress
from integration.ingress.views.test_accounts import Management
from support.openapi import document, operations

Json = dict[str, Any]

SEALED_ELSEWHERE = "rewrap_byok"  # the example is not sealed by this installation
SIGNED = "take_stripe_event"  # it needs a signature instead of a key


def plain_calls() -> list[Call]:
    """Return the operations without anything in their paths."""
    return [
        Call(operation["operationId"], method, path, operation)
        for method, path, operation in operations()
        if "{" not in path
    ]


def kinds(operation: Json) -> set[str]:
    return {kind for one in operation["security"] for kind in one}


def roles(operation: Json) -> set[str]:
    return {role for one in operation["security"] for role in one.get("managementKey", ())}


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_do_what_the_document_says(role: Role) -> None:
    """It may if it is let at one of the things that there are; of keys, at an inference key of its project."""
    async with running_ingress(master_key=MASTER_KEY) as ingress:
        owner = Management(ingress)
        ids = await settle(ingress, owner)
        key = (await owner.make_key(role=role.value))["key"]
        ingress.clock.advance(120_000)
        named = [call for call, filling in calls(ids) if filling["id"] != digest(API_KEY)]
        may: dict[str, bool] = {}
        for call in sorted((*plain_calls(), *named), key=order_of):
            if "managementKey" not in kinds(call.operation):
                continue
            response = await call.ask(ingress, key)
            fits = {200, 201, 403} | ({400} if call.name == SEALED_ELSEWHERE else set())
            assert response.status_code in fits, (call, response.text)
            may[call.name] = may.get(call.name, False) or response.status_code != 403

    told = {o["operationId"]: role.value in roles(o) for _, _, o in operations()}
    assert may == {name: told[name] for name in may}
    assert any(may.values())


@pytest.mark.parametrize("kind", ["inferenceKey", "managementKey"])
async def test_a_kind_of_key_may_ask_what_the_document_says(kind: str) -> None:
    world = World(answer=lambda *_: (200, make_completion()))
    async with running_ingress(world, master_key=MASTER_KEY) as ingress:
        ids = await settle(ingress, Management(ingress))
        ingress.clock.advance(120_000)
        found = [*plain_calls(), *(call for call, _ in calls(ids))]
        wrong = []
        for call in sorted(found, key=order_of):
            if not call.operation["security"]:
                continue
            status = (await call.ask(ingress, OWN[kind])).status_code
            if (status == 403) == (kind in kinds(call.operation)):
                wrong.append((call.method, call.path, status))

    assert wrong == []


async def test_without_a_key_the_open_paths_answer_and_nothing_else() -> None:
    async with (
        running_ingress(stripe_webhook_secret="whsec_of_the_tests") as ingress,
        httpx.AsyncClient(base_url=ingress.url) as nobody,
    ):
        for method, path, operation in operations():
            response = await nobody.request(method, path)
            open_ = (
                (400, "invalid_signature") if operation["operationId"] == SIGNED else (200, None)
            )
            status, code = (401, "invalid_api_key") if operation["security"] else open_

            assert response.status_code == status, (method, path)
            assert code is None or response.json()["error"]["code"] == code


async def test_the_document_is_served_as_it_is_written() -> None:
    async with running_ingress() as ingress, httpx.AsyncClient(base_url=ingress.url) as nobody:
        served = (await nobody.get("/openapi.json")).json()

    assert served == document()
