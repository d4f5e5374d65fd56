"""The API accepts and answers as its document describes: requests made from the document, with each kind of key.

The number of cases is bounded, and they are the same in each run.
"""

import asyncio
import re
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis.checks import CheckFunction
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import positive_data_acceptance

from integration.ingress.calls import kind_of, settle
from integration.ingress.fakes import (
    API_KEY,
    OWNER_KEY,
    World,
    make_completion,
    running_ingress,
)
from integration.ingress.views.test_accounts import Management, bearer
from support.openapi import document

Json = dict[str, Any]
Case = schemathesis.Case[Any]

CASES = 10
"""Random cases of one operation in each mode, besides the deterministic ones at the bounds of its schema."""
ANSWERED = ["2xx", "403", "404", "409", "413"]
"""Answers to a sound request: what it names may not exist, or not for the key."""
REFUSED = ["400", "401", "403", "404", "405", "409", "413"]
OF_STATE = {"invalid_request", "invalid_signature", "invalid_file_format"}
"""Codes of a 400 that no schema can foresee: the accounts shard's, a signature's, a form's file name."""
UNSAYABLE = {
    "allowed_api_key_hashes",  # keys that exist
    "part_ids",  # parts that exist
    "provider",  # in the installation's catalogue
    "expires_at",  # from 2000 to 2199
    "force",  # a word that no one sends by chance
    "key",  # its shape follows from the provider
    "content_filter_builtins",  # each detector once
    "content_filters",  # a pattern that RE2 takes
    "limit_reset",  # needs a limit, sent or present
    "include_byok_in_limit",
    "allowed_models",  # without white space, which is another set in each dialect of regular expressions
    "ignored_models",
    "allowed_providers",
    "ignored_providers",
}
"""Fields with a rule that a schema cannot express."""
CONFIG = SchemathesisConfig.from_dict(
    {
        "generation": {
            "max-examples": CASES,
            "deterministic": True,
            "database": "none",
            "with-security-parameters": False,  # each request has the key
        },
        "checks": {
            "positive_data_acceptance": {"expected-statuses": ANSWERED},
            "negative_data_rejection": {"expected-statuses": REFUSED},
            # test_routes has it: a budget's path is another's, too, for an id may hold slashes
            "allow_header_conformance": {"enabled": False},
            "ignored_auth": {"enabled": False},
            "use_after_free": {"enabled": False},
        },
    }
)
schema = schemathesis.openapi.from_dict(document(), config=CONFIG)


@dataclass
class Server:
    """An ingress in a thread of its own, with one of everything."""

    ready: threading.Event = field(default_factory=threading.Event)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    ids: Mapping[str, list[str]] = field(default_factory=dict)
    world: World = field(default_factory=lambda: World(answer=lambda *_: (200, make_completion())))
    loop: asyncio.AbstractEventLoop | None = None
    accepted: int = 0

    async def run(self) -> None:
        async with running_ingress(
            self.world, watches_bodies=False, stripe_webhook_secret="whsec_of_the_tests"
        ) as ingress:
            owner = Management(ingress)
            spare = (await owner.make_key())["data"]
            self.ids = {**await settle(ingress, owner), "KeyName": [spare["id"], OWN]}
            ingress.clock.advance(120_000)
            self.url, self.loop = ingress.url, asyncio.get_running_loop()
            self.ready.set()
            await self.stop.wait()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server()
    with ThreadPoolExecutor(1) as thread:
        ended = thread.submit(asyncio.run, server.run())
        assert server.ready.wait(60)
        yield server
        own = requests.get(f"{server.url}/v1/key", headers=bearer(OWNER_KEY), timeout=10)
        assert server.loop is not None
        server.loop.call_soon_threadsafe(server.stop.set)
        ended.result()
    assert (
        own.status_code == 200
    )  # kind 5 of issue 16: nothing that was asked for has locked the owner out
    assert server.accepted > 300  # not everything was refused, nor not found


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@schema.parametrize()
def test_an_owners_requests_are_answered_as_the_document_says(
    case: Case, server: Server, session: requests.Session
) -> None:
    check(case, server, session, OWNER_KEY)


@schema.parametrize()
def test_requests_with_an_inference_key_are_answered_as_the_document_says(
    case: Case, server: Server, session: requests.Session
) -> None:
    check(case, server, session, API_KEY)


TURN = count()
OWN = "key_owner"
"""The owner's key that asks."""


def check(case: Case, server: Server, session: requests.Session, key: str) -> None:
    name_things(case, server.ids)
    case.body = exact(case.body)
    response = case.call(base_url=server.url, session=session, headers=bearer(key))
    server.accepted += response.status_code < 300
    excluded: list[CheckFunction] = []
    if response.status_code == 400:
        error = response.json()["error"]
        field = re.sub(r"\.[0-9]+.*", "", str(error["param"]))
        if error["code"] in OF_STATE or field in UNSAYABLE:
            excluded.append(positive_data_acceptance)
    case.validate_response(response, excluded_checks=excluded)


def name_things(case: Case, ids: Mapping[str, list[str]]) -> None:
    """Let every other request name things that exist: of keys, in turn a spare one and the key that asks.

    A deletion would take things from the others: it names the key that asks alone.
    """
    turn = next(TURN)
    if turn % 2 or not case.path_parameters:
        return
    for parameter in case.operation.path_parameters:
        named = ids.get(kind_of(parameter.definition["schema"]) or "", [])
        if case.method == "DELETE":
            named = [name for name in named if name == OWN]
        if named:
            case.path_parameters[parameter.name] = named[turn // 2 % len(named)]


def exact(value: Any) -> Any:
    """Write numbers as the API wants them, which a schema cannot express: 6 decimal places, integers without any."""
    if isinstance(value, float):
        rounded = round(value, 6)
        return int(rounded) if rounded.is_integer() else rounded
    if isinstance(value, list):
        return [exact(one) for one in value]
    if isinstance(value, dict):
        return {name: exact(one) for name, one in value.items()}
    return value
