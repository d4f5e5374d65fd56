"""The document of the API tells of every route and every error, and of nothing else."""

import json
import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.routing import Route

from crossdock.ingress.app import make_app
from crossdock.ingress.http.context import make_context
from crossdock.ingress.resources import OPERATIONS
from crossdock.ingress.settings import IngressSettings
from crossdock.ingress.values import checks, errors, types
from crossdock.ingress.values.operations import Operation
from crossdock.ingress.values.specimens import refusals_of
from crossdock.kernel.drivers.object_store import open_objects
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.accounts.account import Role
from crossdock_schemas.pricing.catalogue import Catalogue
from support.accounts import KEY_SECRET
from support.guides import GUIDES
from support.openapi import api, document, faults, operations, resolved

Json = dict[str, Any]


class Nowhere:
    """A log that takes nothing."""

    async def send(self, messages: Sequence[Outgoing]) -> None:
        raise AssertionError(messages)


def routes() -> Iterator[tuple[str, str]]:
    settings = IngressSettings.model_validate({"key_secret": KEY_SECRET})
    clock, objects = ManualClock(), open_objects("memory://")
    for route in make_app(make_context(settings, Catalogue(), clock, objects, Nowhere())).routes:
        assert isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}:
            yield method, route.path_format


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    described = [(method, path) for method, path, _ in operations()]

    assert sorted(described) == sorted(routes())


def test_the_document_is_an_openapi_document() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_a_document_with_a_fault_is_told() -> None:
    broken = deepcopy(document())
    del broken["info"]["title"]

    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


def references_in(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from references_in(one)


def test_whatever_is_in_common_is_used() -> None:
    parts = document()["components"]
    there = {f"#/components/{kind}/{name}" for kind in ("schemas", "responses") for name in parts[kind]}  # fmt: skip

    assert set(references_in(document())) == there


@pytest.mark.parametrize("one", [op for op in OPERATIONS if op.body], ids=lambda op: op.name)
def test_the_example_of_a_body_is_one(one: Operation) -> None:
    body = api()["paths"][one.document_path][one.method.lower()]["requestBody"]
    schema = body["content"][one.media]["schema"]
    files = {
        name: ""
        for name, field in resolved(schema)["properties"].items()
        if "contentMediaType" in field
    }

    assert faults(schema, files | dict(one.example)) == []


@pytest.mark.parametrize(
    ("name", "who"),
    [
        ("get_health", []),
        ("get_openapi", []),
        ("create_batch", [{"inferenceKey": []}]),
        ("get_own_key", [{"inferenceKey": []}, *({"managementKey": [role]} for role in Role)]),
        ("list_keys", [{"managementKey": [role]} for role in Role]),
        ("change_organization", [{"managementKey": ["owner"]}]),
    ],
)
def test_who_may_ask_follows_from_the_path(name: str, who: list[Json]) -> None:
    found = {one["operationId"]: one["security"] for _, _, one in operations()}

    assert found[name] == who


def codes_told() -> set[str | None]:
    """Return every code that the document tells of."""
    found: set[str | None] = set()
    for _, _, operation in operations():
        for response in operation["responses"].values():
            for content in resolved(response)["content"].values():
                error = content["schema"].get("properties", {}).get("error", {})
                code = error.get("properties", {}).get("code", {})
                found |= {*code.get("enum", ()), *code.get("examples", ())}
    return found


def test_every_code_of_a_refusal_is_told_of_by_some_route() -> None:
    sources = [Path(str(module.__file__)).read_text() for module in (errors, checks, types)]

    reasons = {reason for text in sources for reason in re.findall(r'reason="(\w+)"', text)}

    assert len(reasons) > 10
    assert reasons - codes_told() == set()


def test_every_code_is_in_the_guide_to_errors() -> None:
    page = (GUIDES / "errors.md").read_text()

    assert {code for code in codes_told() if code and f"`{code}`" not in page} == set()


SPECIMENS = [error for one in OPERATIONS for error in refusals_of(one)]


def test_every_error_is_in_the_envelope() -> None:
    assert [
        fault
        for error in SPECIMENS
        for fault in faults(api()["components"]["schemas"]["Error"], json.loads(error.body))
    ] == []
