"""Objects of another organization or project do not exist: checked for every route of the API's document."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from crossdock.kernel.requests.api_keys import digest
from crossdock_schemas.batches.batch import Submitted, batch_command
from crossdock_schemas.topics import BATCH_COMMANDS
from integration.ingress.calls import (
    MASTER_KEY,
    OWN,
    Call,
    Ids,
    calls,
    fields_of,
    fillings,
    kind_of,
    make_byok,
    make_upload,
    order_of,
    settle,
)
from integration.ingress.fakes import API_KEY, Ingress, running_ingress
from integration.ingress.views.test_accounts import Management, bearer, other_organization
from support.openapi import operations

Json = dict[str, Any]

NOBODYS = "0" * 32
PREFIXES = {
    "FileId": "file-", "UploadId": "upload_", "PartId": "part_", "BatchId": "batch_", "KeyId": "key_", "KeyName": "key_",
    "KeyHash": "0" * 32, "ByokId": "byok_", "CreditId": "credit_", "ProjectId": "proj_", "OrganizationId": "org_",
    "PresetScopeId": "proj_", "ScopeId": "proj_", "BudgetScopeId": "proj_",
}  # fmt: skip
"""Every kind of id that the document knows, and how an unknown id of that kind begins."""
SAID: dict[tuple[str, str], set[int]] = {
    ("create_byok", "project_id"): {404},
    ("create_byok", "allowed_api_key_hashes"): {400},  # the wish is one's own, the key is not
    ("change_byok", "allowed_api_key_hashes"): {400},
    ("create_key", "project_id"): {403, 404},  # 403: a member may not look for projects at all
    ("list_keys", "project_id"): {404},
    ("complete_upload", "part_ids"): {400, 404},  # 400: the upload is one's own, the part is not
    ("create_batch", "input_file_id"): {200},  # it fails in validation, as for a file that there is not
    ("list_files", "after"): {200},  # a place in the caller's own list
    ("list_batches", "after"): {200},
}  # fmt: skip
"""How ids in queries and bodies are answered, by operation and field."""
OPERATORS = {"rewrap_byok"}
"""For owners of the operator, about whatever organization; for all others a 403."""


@dataclass(frozen=True)
class Stranger:
    """Another tenant, and the ids that it may know anyway."""

    keys: Mapping[str, str]
    """By the kind of key."""
    own: Mapping[str, str]
    """By the tag of the operations that name such a thing in their paths."""
    known: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Estate:
    """One tenant has one of everything, and others look for it."""

    ingress: Ingress
    ids: Ids
    strangers: Mapping[str, Stranger]

    def all_ids(self, stranger: Stranger) -> list[str]:
        found = dict.fromkeys(one for ids in self.ids.values() for one in ids)
        return [one for one in found if one not in stranger.known]


@asynccontextmanager
async def estate() -> AsyncIterator[Estate]:
    async with running_ingress(master_key=MASTER_KEY) as ingress:
        owner = Management(ingress)
        ids = await settle(ingress, owner)
        _, foreign = await other_organization(owner)
        app = (await Management(ingress, foreign).make_key())["key"]
        project = (await owner.ask("POST", "/projects", {"name": "staging"})).json()["data"]["id"]
        member = (await owner.make_key(role="member", project_id=project))["key"]
        neighbour = (await owner.make_key(project_id=project))["key"]
        strangers = {
            "another organization": Stranger(
                {"managementKey": foreign, "inferenceKey": app},
                {
                    "uploads": await make_upload(ingress, app),
                    "BYOK keys": await make_byok(Management(ingress, foreign), None),
                },
            ),
            "another project": Stranger(
                {"managementKey": member, "inferenceKey": neighbour},
                {
                    "uploads": await make_upload(ingress, neighbour),
                    "BYOK keys": await make_byok(owner, project),
                },
                frozenset((*ids["OrganizationId"], *ids["CreditId"])),
            ),
        }
        ingress.clock.advance(120_000)  # ids that may be new are waited for
        yield Estate(ingress, ids, strangers)


def test_every_kind_of_id_is_looked_for() -> None:
    named = {kind_of(p["schema"]) for _, _, o in operations() for p in o.get("parameters", ())}
    taken = {kind for _, _, o in operations() for _, _, kind in fields_of(o)}

    assert (named - {None}) | taken <= PREFIXES.keys()


def test_every_id_in_a_query_or_a_body_is_looked_for() -> None:
    found = {(o["operationId"], field) for _, _, o in operations() for _, field, _ in fields_of(o)}

    assert {one for one in found if one[0] not in OPERATORS} == SAID.keys()


def test_an_id_in_a_path_of_no_known_kind_is_told() -> None:
    with pytest.raises(AssertionError, match="'id' is an id of no known kind"):
        fillings([{"name": "id", "in": "path", "schema": {"type": "string"}}], ["x"])


async def test_nothing_of_others_is_there_to_be_named() -> None:
    """Every route with an id in its path answers 404, with the same message as for an unknown id."""
    nobodys: Ids = {kind: [prefix + NOBODYS] for kind, prefix in PREFIXES.items()}
    async with estate() as there:
        seen = []
        for stranger in there.strangers.values():
            told: tuple[set[object], set[object]] = set(), set()
            both: tuple[Ids | list[str], ...] = (there.all_ids(stranger), nobodys)
            for words, ids in zip(told, both, strict=True):
                for call, filling in calls(ids):
                    for key in call.keys(stranger.keys):
                        response = await call.ask(there.ingress, key)
                        seen.append((call.name, call.path, response.status_code))
                        words.add((call.name, response.text.replace(filling["id"], "<id>")))
            assert told[0] == told[1]

    assert [one for one in seen if one[2] != (403 if one[0] in OPERATORS else 404)] == []
    assert len(seen) > 400


async def test_whoever_owns_it_finds_it() -> None:
    """The objects that others do not find exist."""
    async with estate() as there:
        seen = []
        for call, filling in sorted(calls(there.ids), key=lambda one: order_of(one[0])):
            if call.method == "DELETE" and filling["id"] == digest(API_KEY):
                continue  # the key is deleted by its id
            response = await call.ask(there.ingress, call.keys(OWN)[0])
            seen.append((call.method, call.path, response.status_code))

    assert [one for one in seen if one[2] == 404] == []
    assert len(seen) > 40


async def test_lists_show_nothing_of_others() -> None:
    async with estate() as there:
        found = []
        for method, path, operation in operations():
            if method != "GET" or "{" in path or not operation["security"]:
                continue
            call = Call(operation["operationId"], method, path, operation)
            for stranger in there.strangers.values():
                for key in call.keys(stranger.keys):
                    response = await call.ask(there.ingress, key)
                    assert response.status_code == 200, response.text
                    found += [
                        (path, one) for one in there.all_ids(stranger) if one in response.text
                    ]

    assert found == []


@pytest.mark.parametrize("whose", ["another organization", "another project"])
async def test_an_id_of_others_in_a_query_or_a_body_is_one_that_there_is_not(whose: str) -> None:
    """The status is as in `SAID`; the message is the one for an unknown id."""
    async with estate() as there:
        stranger = there.strangers[whose]
        for method, path, operation in operations():
            if operation["operationId"] in OPERATORS:
                continue
            for place, field, kind in fields_of(operation):
                own = path.format(
                    id=stranger.own.get(operation["tags"][0])
                )  # the path is one's own
                call = Call(operation["operationId"], method, own, operation)
                for one in there.ids[str(kind)]:
                    for key in call.keys(stranger.keys):
                        unknown = PREFIXES[str(kind)] + NOBODYS
                        theirs, nobodys = [
                            await call.ask(there.ingress, key, **{place: _given(field, value)})
                            for value in (one, unknown)
                        ]

                        assert theirs.status_code in SAID[call.name, field], theirs.text
                        if theirs.status_code != 200:
                            assert theirs.text.replace(one, "<id>") == nobodys.text.replace(
                                unknown, "<id>"
                            )


def _given(field: str, value: str) -> Json:
    return {field: [value] if field.endswith(("_ids", "_hashes")) else value}


async def test_a_batch_of_anothers_file_reads_nothing() -> None:
    """It is taken as one of a file that there is not, and fails in validation."""
    async with estate() as there:
        for stranger in there.strangers.values():
            sdk = there.ingress.sdk.with_options(api_key=stranger.keys["inferenceKey"])
            for file_id in there.ids["FileId"]:
                made = await sdk.batches.create(
                    input_file_id=file_id, endpoint="/v1/embeddings", completion_window="24h"
                )
                message = there.ingress.world.sent_to(BATCH_COMMANDS.name)[-1]
                asked = batch_command.validate_json(message.value or b"")

                assert isinstance(asked, Submitted)
                assert (asked.batch_id, made.status) == (made.id, "validating")
                assert (asked.input_path, asked.input_bytes) == (None, 0)


async def test_an_idempotency_key_of_others_names_ones_own_batch() -> None:
    async with estate() as there:
        keys = [API_KEY, *(one.keys["inferenceKey"] for one in there.strangers.values())]
        made = [
            await there.ingress.sdk.with_options(api_key=key).batches.create(
                input_file_id="file-x",
                endpoint="/v1/embeddings",
                completion_window="24h",
                extra_headers={"Idempotency-Key": "once"},
            )
            for key in keys
        ]

    assert len({batch.id for batch in made}) == len(keys)


async def test_a_cursor_of_others_is_a_place_in_ones_own_list() -> None:
    async with estate() as there:
        for stranger in there.strangers.values():
            headers = bearer(stranger.keys["inferenceKey"])
            for path, kind in (("/v1/files", "FileId"), ("/v1/batches", "BatchId")):
                for one in there.ids[kind]:
                    page = await there.ingress.http.get(
                        path, params={"after": one}, headers=headers
                    )

                    assert page.json()["data"] == []


async def test_anothers_file_and_batch_take_as_long_to_miss_as_none_at_all() -> None:
    """Issue 16: a recent id was missed at once if it was another's, and after half a second if it was none."""
    async with running_ingress() as ingress:
        owner = Management(ingress)
        other = (await owner.ask("POST", "/projects", {"name": "other"})).json()["data"]["id"]
        key = (await owner.make_key(project_id=other))["key"]
        file = await ingress.sdk.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
        batch = await ingress.sdk.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        took = []
        for path in (f"/v1/files/{file.id}", f"/v1/batches/{batch.id}"):
            for place in (path, path[:-4] + "0000"):
                began = time.monotonic()
                missed = await ingress.http.get(place, headers=bearer(key))
                took.append(time.monotonic() - began)
                assert missed.status_code == 404

    assert min(took) > 0.4
