"""OpenRouter's SDK parses our answers: its parsers as JSON Schemas, and the parsers themselves where Node has them.

The schemas are committed: made by tests/openrouter/export.mjs from the version of the SDK in its package-lock.json.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from integration.ingress.calls import MASTER_KEY, OWN, Call, calls, order_of, settle
from integration.ingress.fakes import CHAT_MODEL, running_ingress
from integration.ingress.test_roles import plain_calls
from integration.ingress.views.test_accounts import Management
from support.openapi import operations

Json = dict[str, Any]
FOLDER = Path(__file__).parents[2] / "openrouter"
SCHEMAS: Json = json.loads((FOLDER / "schemas.json").read_text())
has_sdk = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules").exists(),
    reason="needs Node and `npm ci --ignore-scripts` in tests/openrouter",
)


async def answers() -> list[Json]:
    """Return our successful answers to every operation that OpenRouter also has."""
    found = []
    async with running_ingress(master_key=MASTER_KEY) as ingress:
        ids = await settle(ingress, Management(ingress))
        ingress.clock.advance(120_000)
        every = [*plain_calls(), *(call for call, _ in calls(ids)), model_call()]
        for call in sorted(every, key=order_of):
            if call.name in SCHEMAS:
                response = await call.ask(ingress, call.keys(OWN)[-1])
                if response.is_success:
                    found.append({"operation": call.name, "body": response.json()})
    return found


def model_call() -> Call:
    ((method, path, operation),) = (
        one for one in operations() if one[2]["operationId"] == "get_model"
    )
    return Call("get_model", method, path.format(model=CHAT_MODEL), operation)


def run_node(*arguments: str, given: str = "") -> str:
    argv = ["node", "export.mjs", *arguments]
    done = subprocess.run(argv, cwd=FOLDER, input=given, capture_output=True, text=True, check=True)
    return done.stdout


async def test_every_answer_is_one_that_the_sdk_parses() -> None:
    found = await answers()

    faults = {
        f"{one['operation']}: {error.json_path}: {error.message[:200]}"
        for one in found
        for error in Draft202012Validator(SCHEMAS[one["operation"]]).iter_errors(one["body"])
    }

    assert faults == set()
    assert {one["operation"] for one in found} == SCHEMAS.keys()


@has_sdk
async def test_the_sdks_own_parsers_take_every_answer() -> None:
    assert json.loads(run_node("parse", given=json.dumps(await answers()))) == []


@has_sdk
def test_the_schemas_are_those_of_the_sdk() -> None:
    assert (FOLDER / "schemas.json").read_text() == run_node("schemas")
