import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from crossdock.kernel.process.clock import ManualClock
from crossdock.provider.call import MAX_REQUEST_ID_BYTES
from crossdock.provider.publisher import MAX_BYTES, MAX_ROWS, Publisher
from crossdock.provider.usage_rows import Finished
from crossdock_schemas.accounts.attribution import (
    MAX_TAG_NAME,
    MAX_TAG_VALUE,
    MAX_TAGS,
    MAX_USER,
)
from crossdock_schemas.calls.usage import Usage
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.ids import BatchId
from crossdock_schemas.parcel.output_line import MAX_CUSTOM_ID
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.parcel.result import ResultGroup
from unit.provider.builders import (
    NOW_MS,
    FakeLog,
    Provided,
    make_attempt,
    make_parcel,
    make_single,
    sound,
)


async def make_end(parcel: Parcel | None = None) -> tuple[Finished, Usage]:
    attempt, books = make_attempt(Provided(sound()), parcel=parcel)
    end = await attempt.run()
    assert isinstance(end, Finished)
    return end, books.rows[0]


@asynccontextmanager
async def publishing(log: FakeLog, *, flush_s: float = 0.01) -> AsyncIterator[Publisher]:
    publisher = Publisher(log, ManualClock(NOW_MS), flush_s=flush_s)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(publisher.run())
        yield publisher
        running.cancel()


async def test_usage_is_acknowledged_before_the_result_is_sent() -> None:
    log = FakeLog()
    log.may_acknowledge.clear()
    end, row = await make_end()

    async with publishing(log) as publisher, asyncio.TaskGroup() as group:
        publisher.book(row)
        finishing = group.create_task(publisher.finish([end]))
        await asyncio.sleep(0.05)
        assert [record.topic for record in log.records] == ["usage"]
        assert not finishing.done()
        log.may_acknowledge.set()

    assert [record.topic for record in log.records] == ["usage", "batches.results"]


async def test_lines_that_finish_together_travel_together() -> None:
    log = FakeLog()
    ends = [(await make_end())[0] for _ in range(3)]

    async with publishing(log) as publisher:
        await asyncio.gather(*(publisher.finish([end]) for end in ends))

    (record,) = log.on("batches.results")
    group = decode_envelope(record.headers, ResultGroup)
    assert len(group.results) == 3
    assert (record.value or b"").split(b"\n") == [end.line for end in ends]
    assert record.key == (ends[0].parcel.batch_id or "").encode()


async def test_batches_travel_apart() -> None:
    log = FakeLog()
    ends = [
        (await make_end(make_parcel(batch_id=BatchId("batch_" + digit * 32))))[0] for digit in "12"
    ]

    async with publishing(log) as publisher:
        await publisher.finish(ends)

    assert len(log.on("batches.results")) == 2


async def test_a_realtime_line_does_not_wait_for_company() -> None:
    log = FakeLog()
    end, row = await make_end(make_single())

    async with publishing(log, flush_s=60) as publisher:
        publisher.book(row)
        await publisher.finish([end])

    (record,) = log.on("results")
    assert record.key == end.result.request_id.encode()


async def test_settling_waits_for_usage_alone() -> None:
    log = FakeLog()
    _, row = await make_end()

    async with publishing(log) as publisher:
        publisher.book(row)
        await publisher.settle(is_urgent=False)

    assert [record.topic for record in log.records] == ["usage"]
    assert log.usage == [row]
    assert log.records[0].key == b"org_local"


def longest(row: Usage, char: str, tags: int) -> Usage:
    """Return `row` with the longest texts that are documented, in one character."""
    return row.model_copy(
        update={
            "custom_id": char * MAX_CUSTOM_ID,
            "user": char * MAX_USER,
            "tags": {
                f"{n:03d}" + char * (MAX_TAG_NAME - 3): char * MAX_TAG_VALUE for n in range(tags)
            },
            "provider_request_id": char * MAX_REQUEST_ID_BYTES,
        }
    )


@pytest.mark.parametrize("char", ["a", '"', "\0", "\U0001f600"], ids=ascii)
async def test_rows_with_the_longest_texts_are_sent_whole_in_records_that_fit(char: str) -> None:
    log = FakeLog()
    _, row = await make_end()
    large = longest(row, char, 3 * MAX_TAGS)

    async with publishing(log) as publisher:
        for _ in range(50):
            publisher.book(large)
        await publisher.settle(is_urgent=True)

    assert log.usage == [large] * 50
    assert not any(record.is_too_large for record in log.records)
    assert max(len(record.value or b"") for record in log.records) <= MAX_BYTES + 30


@pytest.mark.parametrize(
    "texts",
    [{"tags": {f"{n}": "\0" * 512 for n in range(1000)}}, {"custom_id": "half an emoji: \ud83d"}],
    ids=["too large", "no Unicode"],
)
async def test_a_row_that_no_record_takes_loses_its_texts_and_keeps_its_cost(
    texts: dict[str, object],
) -> None:
    """A parcel of an older version, whose values had no bounds, is on its topic when this one starts."""
    log = FakeLog()
    _, row = await make_end()

    async with publishing(log) as publisher:
        publisher.book(row.model_copy(update=texts))
        publisher.book(row)
        await publisher.settle(is_urgent=True)

    assert [one.cost for one in log.usage] == [row.cost] * 2
    bare: dict[str, object] = {"custom_id": "", "tags": {}, "provider_request_id": None}
    assert log.usage == [row.model_copy(update=bare), row]


async def test_records_stay_within_what_a_topic_takes() -> None:
    log = FakeLog()
    end, row = await make_end()
    big = Finished(end.parcel, end.result, b"x" * (MAX_BYTES // 2 - 2000))

    async with publishing(log) as publisher:
        for _ in range(2 * MAX_ROWS):
            publisher.book(row)
        await publisher.finish([big] * 4)

    assert len(log.usage) == 2 * MAX_ROWS
    assert len(log.on("batches.results")) == 2
    assert all(record.size < 1_000_000 for record in log.records)


async def test_one_line_larger_than_a_record_should_be_still_travels() -> None:
    log = FakeLog()
    end, _ = await make_end()
    huge = Finished(end.parcel, end.result, b"x" * (MAX_BYTES + 1))

    async with publishing(log) as publisher:
        await publisher.finish([end, huge, end])

    assert len(log.on("batches.results")) == 3
