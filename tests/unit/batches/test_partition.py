"""A partition with its reading, checking and writing: from the command to the output, and over a crash."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence

import pytest
from typing_extensions import override

from crossdock.batches.core.background_results import LinesRead
from crossdock.batches.partition import BatchesPartition
from crossdock.batches.settings import BatchesSettings
from crossdock.kernel.drivers.object_store import Objects, open_objects
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import StoreError
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Page, Record
from crossdock.kernel.runtime.shard.isolation import OWN_WORK
from crossdock_schemas.batches.batch import Batch, BatchStatus, CancelAsked, Submitted
from crossdock_schemas.codec import decode_envelope, encode_headers
from crossdock_schemas.ids import BatchId
from crossdock_schemas.parcel.parcel import BodyRef, Parcel
from crossdock_schemas.parcel.result import Result
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.topics import BATCH_COMMANDS, BATCH_RESULTS
from support.builders import BATCH, NOW_MS, make_group, make_line, make_result, make_submitted

CATALOGUE = Catalogue(
    providers=(
        Provider(name="a", base_url="http://x", models=(Offer(model="tern", prices=Prices()),)),
    )
)
SETTINGS = BatchesSettings(parcel_lines=2, window_lines=4)


class Broken(Objects):
    """A store that refuses so many reads and writes."""

    def __init__(self, inner: Objects, refusals: int) -> None:
        super().__init__(inner._store)
        self.refusals = refusals

    def _refuse(self) -> None:
        if self.refusals > 0:
            self.refusals -= 1
            raise StoreError("object store: not now")

    @override
    async def head(self, path: str) -> int | None:
        self._refuse()
        return await super().head(path)

    @override
    async def put(self, path: str, data: bytes) -> None:
        self._refuse()
        await super().put(path, data)


class Buggy(Objects):
    """A store whose code is wrong."""

    @override
    async def head(self, path: str) -> int | None:
        raise LookupError("a bug of ours")


class ObjectPosition:
    """A partition between its topics; what is committed survives a crash."""

    def __init__(self, objects: Objects) -> None:
        self.objects = objects
        self.pages: dict[bytes, bytes] = {}
        self.sent: list[Outgoing] = []
        self.offset = 0
        self.health = Health("batches", 0)
        self.failing: set[BatchId] = set()
        self.partition = self._open()

    def _open(self) -> BatchesPartition:
        return BatchesPartition(
            0,
            SETTINGS,
            CATALOGUE,
            self.objects,
            ManualClock(NOW_MS),
            health=self.health,
            retry_s=0.01,
            failing=self.failing,
        )

    async def crash(self) -> None:
        await self.partition.close()
        self.partition = self._open()
        self.partition.restore([Page(key, value) for key, value in self.pages.items()])

    async def step(self, *records: Record) -> None:
        step = await self.partition.step(records)
        self.sent += step.outgoing
        for key, value in step.pages:
            self.pages |= {key: value or b""}
            if value is None:
                del self.pages[key]
        self.partition.committed()

    async def settle(self) -> None:
        """Step until nothing more happens by itself."""
        quiet = 0
        while quiet < 3:
            sent = len(self.sent)
            await asyncio.sleep(0.01)
            await self.step()
            is_quiet = len(self.sent) == sent and not self.partition.busy
            quiet = quiet + 1 if is_quiet else 0

    def command(self, asked: Submitted | CancelAsked) -> Record:
        self.offset += 1
        value = asked.to_json()
        return Record(BATCH_COMMANDS.name, 0, self.offset, NOW_MS, b"key", value, [])

    def results(self, results: Sequence[Result], lines: Sequence[bytes]) -> Record:
        self.offset += 1
        headers = encode_headers(BATCH_RESULTS, "test", "id", NOW_MS, make_group(results))
        value = b"\n".join(lines)
        return Record(BATCH_RESULTS.name, 0, self.offset, NOW_MS, b"key", value, headers)

    def answers(self, lines: Sequence[int]) -> Record:
        return self.results([make_result(n) for n in lines], [b"answer %d" % n for n in lines])

    @property
    def fed(self) -> list[int]:
        parcels = [decode_envelope(r.headers, Parcel) for r in self.sent if r.topic == "requests"]
        return [line for parcel in parcels for line in parcel.lines]

    @property
    def batch(self) -> Batch:
        return Batch.from_json(self.pages[BATCH.encode()])

    async def output(self, kind: str = "output") -> list[bytes]:
        paths = [path async for path in self.objects.list(f"batches/{BATCH}/{kind}")]
        return [line for path in sorted(paths) for line in (await self.objects.get(path)).split()]


async def make_place(lines: int, refusals: int = 0) -> ObjectPosition:
    objects = open_objects("memory://")
    await objects.put("input", b"\n".join(make_line(n) for n in range(lines)))
    return ObjectPosition(Broken(objects, refusals))


async def test_from_the_command_to_the_output() -> None:
    place = await make_place(3)

    await place.step(place.command(make_submitted()))
    await place.settle()
    assert place.fed == [0, 1, 2]
    failed = make_result(2, outcome="failed")
    line = json.dumps({"custom_id": "line-2"}, separators=(",", ":")).encode()
    await place.step(place.answers([1, 0]), place.results([failed], [line]))

    assert place.batch.status is BatchStatus.COMPLETED
    assert (place.batch.completed, place.batch.failed) == (2, 1)
    assert b" ".join(await place.output()) == b"answer 1 answer 0"
    assert await place.output("error") == [line]


async def test_a_command_is_applied_before_a_result_that_was_polled_before_it() -> None:
    place = await make_place(1)
    await place.step(place.command(make_submitted()))
    await place.settle()

    cancel = CancelAsked(batch_id=BATCH, at_ms=NOW_MS)
    await place.step(place.answers([0]), place.command(cancel))

    assert place.batch.status is BatchStatus.CANCELLED
    assert place.batch.completed == 1


async def test_after_a_crash_it_goes_on_where_it_was() -> None:
    place = await make_place(10)
    await place.step(place.command(make_submitted()))
    await place.settle()
    await place.step(place.answers([0, 1]))
    await place.settle()

    await place.crash()
    await place.settle()
    await place.step(place.answers([0, 1, 2, 3, 4, 5]))
    await place.settle()
    await place.step(place.answers(range(6, 10)))

    assert Counter(place.fed) == Counter(range(10))
    assert place.batch.status is BatchStatus.COMPLETED
    words = b" ".join(await place.output()).replace(b"answer ", b"").split()
    assert Counter(words) == Counter(b"%d" % n for n in range(10))


async def test_parts_of_two_owners_never_have_one_name() -> None:
    objects = open_objects("memory://")
    places = [ObjectPosition(objects), ObjectPosition(objects)]
    await objects.put("input", make_line(0))
    for place in places:
        await place.step(place.command(make_submitted()))
        await place.settle()
        await place.step(place.answers([0]))

    parts = [path async for path in objects.list(f"batches/{BATCH}/output")]

    assert len(parts) == 2


async def test_background_work_outlasts_a_store_that_refuses() -> None:
    place = await make_place(1, refusals=2)

    await place.step(place.command(make_submitted()))
    await asyncio.sleep(0.05)
    await place.settle()

    assert place.fed == [0]


async def test_a_step_waits_for_a_store_that_refuses_and_says_so_meanwhile() -> None:
    place = await make_place(1)
    await place.step(place.command(make_submitted()))
    await place.settle()
    place.objects.refusals = 3  # type: ignore[attr-defined]  # our Broken
    told: list[list[str]] = []

    async with asyncio.TaskGroup() as group:
        step = group.create_task(place.step(place.answers([0])))
        while not step.done():
            told.append(place.health.reasons)
            await asyncio.sleep(0)

    assert any("objects" in reason for reasons in told for reason in reasons)
    assert not any("objects" in reason for reason in place.health.reasons)
    assert place.pages


async def test_background_work_that_fails_otherwise_fails_its_batch() -> None:
    place = ObjectPosition(Buggy(open_objects("memory://")._store))
    await place.step(place.command(make_submitted()))
    await asyncio.sleep(0.01)

    await place.step()

    batch = place.batch
    assert batch.status is BatchStatus.FAILED
    assert [error.code for error in batch.errors] == ["batch_not_processed"]


async def test_a_batch_whose_work_makes_a_step_fail_is_failed_by_the_next_owner() -> None:
    """Its state has lines that nothing can be made of. Without that, every step failed again."""
    place = await make_place(4)
    await place.step(place.command(make_submitted()))
    await place.settle()
    await place.step(place.answers([1]))
    place.partition._facts.append(LinesRead(BATCH, "no such model", 0, ()))

    with pytest.raises(KeyError):
        await place.step()
    is_own_work = place.partition.applying is OWN_WORK
    await place.crash()
    await place.step()

    assert is_own_work
    assert place.batch.status is BatchStatus.FAILED
    assert [error.code for error in place.batch.errors] == ["batch_not_processed"]
    assert await place.output() == [b"answer", b"1"]
    assert [record.topic for record in place.sent[-3:]].count("cancels") == 1
    assert place.failing == set()


async def test_an_answer_whose_object_is_missing_ends_its_line_with_an_error() -> None:
    place = await make_place(1)
    await place.step(place.command(make_submitted()))
    await place.settle()
    reference = BodyRef(path="results/gone", start=0, length=10)

    await place.step(place.results([make_result(0, body_ref=reference)], [b""]))

    assert await place.output() == []
    line = json.loads(b" ".join(await place.output("error")))
    assert (line["custom_id"], line["response"]["body"]["error"]["code"]) == (
        "line-0",
        "answer_lost",
    )


async def test_a_result_by_reference_is_fetched() -> None:
    place = await make_place(1)
    await place.step(place.command(make_submitted()))
    await place.settle()
    await place.objects.put("results/large", b"##the-answer")
    reference = BodyRef(path="results/large", start=2, length=10)

    await place.step(place.results([make_result(0, body_ref=reference)], [b""]))

    assert await place.output() == [b"the-answer"]


@pytest.mark.parametrize(
    "record",
    [
        Record(BATCH_COMMANDS.name, 0, 0, 0, b"", b"{", []),
        Record(BATCH_RESULTS.name, 0, 0, 0, b"", b"", []),
    ],
    ids=["command", "result"],
)
async def test_a_record_that_cannot_be_read_blocks_nobody(record: Record) -> None:
    place = await make_place(1)

    await place.step(record, place.command(make_submitted()))
    await place.settle()

    assert place.fed == [0]
