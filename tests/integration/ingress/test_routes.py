"""Paths and methods that there are, and those that there are not: for each kind of key, and without one."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import httpx
import pytest

from integration.ingress.fakes import API_KEY, OWNER_KEY, running_ingress
from integration.ingress.views.test_accounts import bearer
from support.openapi import METHODS, operations

CALLERS = {"inference": bearer(API_KEY), "management": bearer(OWNER_KEY), "none": {}}
OTHERS = (*(method.upper() for method in METHODS), "OPTIONS", "HEAD")
UNKNOWN = [
    "/",
    "/v1",
    "/v1/nothing",
    "/v1/responses",
    "/v1/completions",
    "/v1/chat/completions/",
    "/v1/keys/key_local/nothing",
    "/v1/keysandmore",
    "/v1/files/a/b/c",
    "/v1/webhooks/nothing",
    "/metrics",
]
KINDS = pytest.mark.parametrize("caller", CALLERS)


def methods_by_path() -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for method, path, _ in operations():
        found[path] |= {method, "HEAD"} if method == "GET" else {method}
    found["/v1/budgets/{id}/{window}"] |= found["/v1/budgets/{id}"]  # an id may hold slashes
    return found


@asynccontextmanager
async def called_by(caller: str) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running_ingress() as ingress,
        httpx.AsyncClient(base_url=ingress.url, headers=CALLERS[caller]) as http,
    ):
        yield http


def envelope(message: str) -> dict[str, Any]:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return {"error": error}


@KINDS
async def test_another_method_of_a_path_is_a_405_that_names_all_that_there_are(caller: str) -> None:
    wrong = []
    async with called_by(caller) as http:
        for path, allowed in methods_by_path().items():
            for method in set(OTHERS) - allowed:
                answer = await http.request(method, path)
                told = set(answer.headers.get("allow", "").split(", "))
                if (answer.status_code, told) != (405, allowed):
                    wrong.append((method, path, answer.status_code, told))

    assert wrong == []


@KINDS
async def test_an_unknown_path_is_a_404(caller: str) -> None:
    async with called_by(caller) as http:
        for method, path in product(("GET", "POST", "DELETE"), UNKNOWN):
            answer = await http.request(method, path)

            told = envelope(f"Invalid URL ({method} {path})")
            assert (answer.status_code, answer.json()) == (404, told)


async def test_a_405_is_in_the_envelope() -> None:
    async with called_by("none") as http:
        answer = await http.delete("/v1/batches")

    assert answer.json() == envelope(
        "Not allowed to DELETE /v1/batches. (HINT: Perhaps you meant to use a different HTTP method?)"
    )
