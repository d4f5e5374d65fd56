"""What background work finds reaches the core, however many steps are made meanwhile."""

import asyncio
import json

from typing_extensions import override

from crossdock.batches.partition import BatchesPartition
from crossdock.batches.settings import BatchesSettings
from crossdock.kernel.drivers.object_store import Objects, open_objects
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Record
from crossdock.local.catalogue import simulated_catalogue
from crossdock_schemas.batches.batch import BatchStatus, Submitted
from crossdock_schemas.ids import AccountId, BatchId, FileId, KeyId, ProjectId
from crossdock_schemas.topics import BATCH_COMMANDS

BATCH = BatchId("batch_" + "0" * 32)
NOW_MS = 1_800_000_000_000


class SlowObjects(Objects):
    """A store whose first answer waits until it may come."""

    def __init__(self, inner: Objects) -> None:
        self.may_answer = asyncio.Event()
        super().__init__(inner._store)

    @override
    async def head(self, path: str) -> int | None:
        await self.may_answer.wait()
        return await super().head(path)


def make_input() -> bytes:
    messages = [{"role": "user", "content": "hello"}]
    line = {
        "custom_id": "a",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "tern-mini", "messages": messages},
    }
    return json.dumps(line).encode()


def make_submitted() -> Record:
    asked = Submitted(
        batch_id=BATCH,
        account=AccountId("org_local"),
        project=ProjectId("proj_default"),
        key_id=KeyId("key_local"),
        operation="/v1/chat/completions",
        input_file_id=FileId("file-1"),
        input_path="input",
        input_bytes=len(make_input()),
        completion_window="24h",
        window_s=86_400,
        metadata={},
        created_at_ms=NOW_MS,
    )
    value = asked.model_dump_json().encode()
    return Record(BATCH_COMMANDS.name, 0, 0, NOW_MS, BATCH.encode(), value, ())


async def test_a_validation_that_outlasts_many_steps_is_learned() -> None:
    objects = SlowObjects(open_objects("memory://"))
    await objects.put("input", make_input())
    catalogue = simulated_catalogue(1)
    partition = BatchesPartition(
        0, BatchesSettings(), catalogue, objects, ManualClock(NOW_MS), health=Health("batches", 0)
    )

    async def step(*records: Record) -> None:
        await partition.step(records)
        partition.committed()
        await asyncio.sleep(0)

    await step(make_submitted())
    await step()
    await step()
    objects.may_answer.set()
    async with asyncio.timeout(120):
        await partition.wake.wait()
        await step()

    assert partition.core.states[BATCH].status is BatchStatus.IN_PROGRESS
    await partition.close()
