"""Batches through the stock SDK."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import openai
import pytest

from crossdock_schemas.batches.batch import (
    BatchCommand,
    BatchStatus,
    CancelAsked,
    ModelProgress,
    Submitted,
    batch_command,
)
from crossdock_schemas.ids import derive_batch_id, make_batch_id
from crossdock_schemas.tokens import Tokens
from crossdock_schemas.topics import BATCH_COMMANDS
from integration.ingress.fakes import Ingress, World, make_batch, running_ingress

FIELDS = {
    "id",
    "object",
    "endpoint",
    "model",
    "errors",
    "input_file_id",
    "completion_window",
    "status",
    "output_file_id",
    "error_file_id",
    "created_at",
    "in_progress_at",
    "expires_at",
    "finalizing_at",
    "completed_at",
    "failed_at",
    "expired_at",
    "cancelling_at",
    "cancelled_at",
    "request_counts",
    "usage",
    "metadata",
    "crossdock",
}
SOUND: dict[str, Any] = {
    "input_file_id": "file-x",
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
}


async def create(ingress: Ingress, **changes: Any) -> Any:
    return await ingress.sdk.batches.create(**{**SOUND, **changes})


def commands(ingress: Ingress) -> list[BatchCommand]:
    sent = ingress.world.sent_to(BATCH_COMMANDS.name)
    return [batch_command.validate_json(message.value or b"") for message in sent]


async def test_a_batch_is_created_at_once() -> None:
    async with running_ingress() as ingress:
        file = await ingress.sdk.files.create(file=("a.jsonl", b"{}\n"), purpose="batch")
        batch = await create(ingress, input_file_id=file.id, metadata={"team": "a"})
        (asked,) = commands(ingress)
        (message,) = ingress.world.sent_to(BATCH_COMMANDS.name)

    assert batch.status == "validating"
    assert batch.expires_at == batch.created_at + 86_400
    assert batch.metadata == {"team": "a"}
    assert isinstance(asked, Submitted)
    assert message.key == asked.batch_id.encode() == batch.id.encode()
    assert asked.input_path == f"files/{file.id}/content"
    assert asked.input_bytes == 3


async def test_a_missing_input_file_is_left_to_validation() -> None:
    async with running_ingress() as ingress:
        batch = await create(ingress, input_file_id="file-nonesuch")
        (asked,) = commands(ingress)

    assert batch.status == "validating"
    assert isinstance(asked, Submitted)
    assert asked.input_path is None


async def test_a_batch_can_be_read_before_the_directory_shows_it() -> None:
    async with running_ingress(World(shows_batches=False)) as ingress:
        made = await create(ingress)
        read = await ingress.sdk.batches.retrieve(made.id)
        listed = [batch.id async for batch in ingress.sdk.batches.list()]

    assert read == made
    assert listed == [made.id]


async def test_a_batch_of_another_ingress_is_waited_for() -> None:
    async with running_ingress() as ingress:
        now_ms = ingress.clock.now_ms()
        other = Submitted.model_validate(
            {
                "batch_id": make_batch_id(now_ms),
                "account": "org_local",
                "project": "proj_default",
                "key_id": "key_local",
                "operation": "/v1/embeddings",
                "input_file_id": "file-x",
                "input_path": None,
                "completion_window": "24h",
                "window_s": 86_400,
                "created_at_ms": now_ms,
            }
        )
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ingress.sdk.batches.retrieve(other.batch_id))
            await asyncio.sleep(0.1)
            ingress.world.show(make_batch(other))

    assert asking.result().endpoint == "/v1/embeddings"


async def test_every_field_is_there_and_unset_ones_are_null() -> None:
    async with running_ingress() as ingress:
        made = await create(ingress)
        raw = (await ingress.http.get(f"/v1/batches/{made.id}")).json()

    assert set(raw) == FIELDS
    assert raw["output_file_id"] is None
    assert raw["error_file_id"] is None
    assert raw["errors"] is None
    assert raw["request_counts"] == {"total": 0, "completed": 0, "failed": 0}


async def test_progress_usage_and_cost_are_shown() -> None:
    async with running_ingress() as ingress:
        made = await create(ingress)
        batch = ingress.dock.batches.find(made.id)
        assert batch is not None
        ingress.world.show(
            batch,
            status=BatchStatus.COMPLETED,
            total=3,
            completed=2,
            failed=1,
            tokens=Tokens(input=10, cached=4, output=5, reasoning=1),
            cost_usd=Decimal("0.000000100000"),
            models=(ModelProgress(model="m", total=3, fed=3, done=3),),
            completed_at_ms=batch.created_at_ms + 5000,
        )
        shown = await ingress.sdk.batches.retrieve(made.id)

    assert shown.status == "completed"
    assert shown.completed_at == shown.created_at + 5
    assert shown.output_file_id is not None
    assert shown.error_file_id is not None
    assert shown.usage is not None
    assert shown.usage.total_tokens == 15
    assert shown.usage.input_tokens_details.cached_tokens == 4
    assert shown.model_extra is not None
    assert shown.model_extra["crossdock"]["cost_usd"] == "0.000000100000"
    assert shown.model_extra["crossdock"]["models"][0]["done"] == 3


async def test_the_same_idempotency_key_names_the_same_batch() -> None:
    async with running_ingress() as ingress:
        headers = {"Idempotency-Key": "once"}
        first = await create(ingress, extra_headers=headers)
        second = await create(ingress, extra_headers=headers)
        with pytest.raises(openai.BadRequestError) as caught:
            await create(ingress, extra_headers=headers, completion_window="1h")

        assert (
            first.id
            == second.id
            == derive_batch_id("org_local/proj_default", "once", ingress.clock.now_ms())
        )
        assert len(commands(ingress)) == 1
        assert caught.value.code == "idempotency_key_reused"


async def test_batches_are_listed_newest_first_in_pages() -> None:
    async with running_ingress() as ingress:
        ids = []
        for _ in range(5):
            ingress.clock.advance(10)
            ids.append((await create(ingress)).id)
        listed = [batch.id async for batch in ingress.sdk.batches.list(limit=2)]
        last = (await ingress.http.get(f"/v1/batches?after={ids[1]}")).json()
        bad = await ingress.http.get("/v1/batches?limit=101")

    assert listed == ids[::-1]
    assert [batch["id"] for batch in last["data"]] == [ids[0]]
    assert last["has_more"] is False
    assert bad.status_code == 400
    assert bad.json()["error"]["param"] == "limit"


async def test_a_batch_is_cancelled() -> None:
    async with running_ingress() as ingress:
        made = await create(ingress)
        cancelled = await ingress.sdk.batches.cancel(made.id)
        again = await ingress.sdk.batches.cancel(made.id)
        asked = commands(ingress)[1:]

    assert cancelled.status == again.status == "cancelling"
    assert cancelled.cancelling_at is not None
    assert [type(command) for command in asked] == [CancelAsked]


async def test_a_batch_that_the_directory_does_not_show_yet_is_cancelled_too() -> None:
    async with running_ingress(World(shows_batches=False)) as ingress:
        made = await create(ingress)
        cancelled = await ingress.sdk.batches.cancel(made.id)

    assert cancelled.status == "cancelling"


async def test_a_finished_batch_cannot_be_cancelled_and_the_sdk_does_not_retry() -> None:
    async with running_ingress() as ingress:
        made = await create(ingress)
        batch = ingress.dock.batches.find(made.id)
        assert batch is not None
        ingress.world.show(batch, status=BatchStatus.COMPLETED)
        with pytest.raises(openai.ConflictError) as caught:
            await ingress.sdk.batches.cancel(made.id)

    assert caught.value.message.endswith("Cannot cancel a batch with status 'completed'.") or (
        "Cannot cancel a batch with status 'completed'." in caught.value.message
    )
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert (caught.value.type, caught.value.param, caught.value.code) == (
        "invalid_request_error",
        None,
        None,
    )


@pytest.mark.parametrize("batch_id", ["batch_nope", f"batch_{'0' * 32}"])
async def test_an_unknown_batch_is_not_found_at_once(batch_id: str) -> None:
    async with running_ingress() as ingress:
        with pytest.raises(openai.NotFoundError) as caught:
            await ingress.sdk.batches.retrieve(batch_id)

    assert f"No batch found with id '{batch_id}'." in caught.value.message


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        pytest.param({"input_file_id": None}, "input_file_id", id="no file"),
        pytest.param({"completion_windows": "1d"}, "completion_windows", id="unknown field"),
        pytest.param({"endpoint": None}, "endpoint", id="no endpoint"),
        pytest.param({"endpoint": "/v1/nothing"}, "endpoint", id="unknown endpoint"),
        pytest.param({"completion_window": "soon"}, "completion_window", id="no window"),
        pytest.param({"completion_window": "8d"}, "completion_window", id="window too long"),
        pytest.param({"metadata": "x"}, "metadata", id="metadata is text"),
        pytest.param({"metadata": {"a": 1}}, "metadata.a", id="value is a number"),
        pytest.param(
            {"metadata": {str(n): "" for n in range(17)}}, "metadata", id="too many pairs"
        ),
        pytest.param({"metadata": {"k" * 65: ""}}, "metadata", id="key too long"),
        pytest.param({"metadata": {"k": "v" * 513}}, "metadata.k", id="value too long"),
        pytest.param(
            {"output_expires_after": {"anchor": "created_at", "seconds": 3599}},
            "output_expires_after.seconds",
            id="expiry too short",
        ),
    ],
)
async def test_an_unsound_batch_is_refused(changes: dict[str, Any], param: str) -> None:
    async with running_ingress() as ingress:
        response = await ingress.http.post("/v1/batches", content=json.dumps({**SOUND, **changes}))

    assert response.status_code == 400
    assert response.json()["error"]["param"] == param
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert commands(ingress) == []
