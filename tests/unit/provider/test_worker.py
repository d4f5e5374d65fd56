import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from obstore.store import MemoryStore
from pydantic import SecretStr
from typing_extensions import override

from crossdock.kernel.drivers.envelope_encryption import MasterKeys
from crossdock.kernel.drivers.object_store import Objects, open_objects
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import LeaseLostError, StoreError, UndecodableError
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Record
from crossdock.kernel.runtime.pool.claims import Start
from crossdock.provider.call import MAX_REQUEST_ID_BYTES
from crossdock.provider.cancels import Cancels
from crossdock.provider.credentials.cache import Keyring
from crossdock.provider.publisher import Publisher
from crossdock.provider.worker import Worker
from crossdock_schemas.calls.cancel import Cancelled
from crossdock_schemas.calls.fleet import EndpointHealth
from crossdock_schemas.calls.usage import CallOutcome, UsageGroup, hold_end
from crossdock_schemas.codec import decode_envelope, encode_headers
from crossdock_schemas.dead_letter import DeadLetter
from crossdock_schemas.ids import AccountId, CredentialId, HoldId
from crossdock_schemas.parcel.parcel import BodyRef, Hold, Parcel, join_lines
from crossdock_schemas.parcel.result import Outcome, Result, ResultGroup
from crossdock_schemas.topics import DEAD_LETTERS, DISPATCH, USAGE
from unit.provider.builders import (
    BATCH,
    NOW_MS,
    Chance,
    FakeClaims,
    FakeLog,
    make_job,
    make_line,
    make_parcel,
    make_plan,
    make_site,
    refused,
    sound,
)

HOLD = Hold(hold_id=HoldId("hold_" + "1" * 32))


def make_record(parcel: Parcel, *lines: bytes) -> Record:
    headers = encode_headers(DISPATCH, "test", parcel.parcel_id, NOW_MS, parcel)
    topic = f"dispatch.first.{parcel.lane.value}"
    return Record(topic, 0, 0, NOW_MS, b"key", join_lines(list(lines)), headers)


@asynccontextmanager
async def working(
    provided: Callable[[httpx.Request], Any],
    log: FakeLog,
    *,
    objects: Objects | None = None,
    draining: asyncio.Event | None = None,
    claims: FakeClaims | None = None,
    cancels: Cancels | None = None,
    keyring: Keyring | None = None,
    health: Health | None = None,
) -> AsyncIterator[Worker]:
    clock = ManualClock(NOW_MS)
    publisher = Publisher(log, clock, flush_s=0.005)
    worker = Worker(
        {"first": make_site(provided, max_calls=1)},
        publisher,
        log,
        objects or open_objects("memory://"),
        clock,
        claims=claims or FakeClaims(),
        cancels=cancels or Cancels(),
        keyring=keyring or Keyring(None),
        chance=Chance(),
        health=health or Health("provider", 0),
        draining=draining or asyncio.Event(),
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(publisher.run())
        yield worker
        running.cancel()


def results_of(log: FakeLog) -> list[Result]:
    groups = [decode_envelope(r.headers, ResultGroup) for r in log.on("batches.results")]
    return [result for group in groups for result in group.results]


def usage_groups(log: FakeLog) -> list[UsageGroup]:
    return [UsageGroup.from_json(record.value or b"") for record in log.on(USAGE.name)]


def onward_of(record: Outgoing) -> Parcel:
    return decode_envelope(record.headers, Parcel)


def refuse_odd(request: httpx.Request) -> httpx.Response:
    """Odd lines are refused; their custom ids are in the prompt."""
    number = int(json.loads(request.content)["messages"][0]["content"])
    return refused(503) if number % 2 else sound()


def make_lines(count: int) -> list[bytes]:
    return [make_line(n, messages=[{"role": "user", "content": str(n)}]) for n in range(count)]


async def test_every_line_of_a_parcel_gets_its_own_result_and_row() -> None:
    log = FakeLog()

    async with working(lambda _: sound(), log) as worker:
        await worker.handle(make_job(make_record(make_parcel(lines=(4, 7, 9)), *make_lines(3))))

    assert sorted(result.line for result in results_of(log)) == [4, 7, 9]
    assert len({result.request_id for result in results_of(log)}) == 3
    assert len(log.usage) == 3


async def test_lines_that_fail_here_leave_as_a_smaller_parcel_after_their_usage() -> None:
    log = FakeLog()
    parcel = make_parcel(lines=(10, 11, 12, 13), providers=["first", "next"])
    lines = make_lines(4)

    async with working(refuse_odd, log) as worker:
        await worker.handle(make_job(make_record(parcel, *lines)))

    assert sorted(result.line for result in results_of(log)) == [10, 12]
    (record,) = log.on("dispatch.next.batch")
    onward = onward_of(record)
    assert (onward.lines, onward.attempt) == ((11, 13), 2)
    assert (record.value or b"").split(b"\n") == [lines[1], lines[3]]
    assert onward.parcel_id != parcel.parcel_id
    assert record.key == onward.parcel_id.encode()
    topics = [record.topic for record in log.records]
    assert topics.index("dispatch.next.batch") > topics.index("usage")
    assert len(log.usage) == 4


async def test_lines_whose_calls_broke_off_ask_for_another_hold_and_end_their_own() -> None:
    """Its end is known, so that the rest of it is free at once."""
    log = FakeLog()
    hold = Hold(hold_id=HoldId(f"hold_{'a' * 32}"))
    parcel = make_parcel(lines=(10, 11, 12), providers=["first", "next"], hold=hold, position=7)

    def break_odd(request: httpx.Request) -> httpx.Response:
        if refuse_odd(request).is_success:
            return sound()
        raise httpx.ReadTimeout("x")

    async with working(break_odd, log) as worker:
        await worker.handle(make_job(make_record(parcel, *make_lines(3))))

    (record,) = log.on("requests")
    asking = onward_of(record)
    (broken,) = (row for row in log.usage if row.line == 11)
    assert (asking.lines, asking.attempt, asking.position, asking.hold) == ((11,), 2, 8, None)
    assert asking.repeats == {11: broken.execution_id}
    ends = [
        end for group in log.on("usage") for end in UsageGroup.from_json(group.value or b"").ended
    ]
    assert {slot for end in ends for slot in end.slots} == {0, 1, 2}
    assert not any(end.is_unknown for end in ends)


async def test_who_was_taken_for_dead_sends_nothing_on() -> None:
    """Its lines are in other hands: they would be called twice."""
    log, claims = FakeLog(), FakeClaims()
    parcel = make_parcel(lines=(10, 11), providers=["first", "next"])

    async with working(refuse_odd, log, claims=claims) as worker:
        claims.is_lost = True
        with pytest.raises(LeaseLostError):
            await worker.handle(make_job(make_record(parcel, *make_lines(2))))

    assert [result.line for result in results_of(log)] == [10]
    assert log.on("dispatch.next.batch") == []
    assert claims.ended == [10]


async def test_a_replay_falls_back_under_the_same_parcel_id() -> None:
    parcel = make_parcel(providers=["first", "next"])
    ids = []
    for _ in range(2):
        log = FakeLog()
        async with working(lambda _: refused(503), log) as worker:
            await worker.handle(make_job(make_record(parcel, make_line())))
        ids.append(onward_of(log.on("dispatch.next.batch")[0]).parcel_id)

    assert ids[0] == ids[1]


async def test_a_parcel_is_not_done_before_all_is_acknowledged() -> None:
    log = FakeLog()
    log.may_acknowledge.clear()

    async with working(lambda _: sound(), log) as worker, asyncio.TaskGroup() as group:
        handling = group.create_task(
            worker.handle(make_job(make_record(make_parcel(), make_line())))
        )
        await asyncio.sleep(0.05)
        assert not handling.done()
        log.may_acknowledge.set()


async def test_a_fast_line_is_published_while_a_slow_one_of_its_parcel_runs() -> None:
    log = FakeLog()
    release = asyncio.Event()

    async def uneven(request: httpx.Request) -> httpx.Response:
        if b'"content":"1"' in request.content:
            await release.wait()
        return sound()

    async with working(uneven, log) as worker, asyncio.TaskGroup() as group:
        group.create_task(
            worker.handle(make_job(make_record(make_parcel(lines=(0, 1)), *make_lines(2))))
        )
        while not log.on("batches.results"):  # noqa: ASYNC110  # the fake has no event
            await asyncio.sleep(0.001)
        assert [result.line for result in results_of(log)] == [0]
        release.set()

    assert len(results_of(log)) == 2


async def test_lines_for_a_provider_that_left_the_catalogue_are_admitted_and_routed_anew() -> None:
    log, hold = FakeLog(), Hold(hold_id=HoldId(f"hold_{'a' * 32}"))
    parcel = make_parcel(lines=(4, 5), providers=["gone", "gone too"], hold=hold, position=3)

    async with working(lambda _: sound(), log) as worker:
        await worker.handle(make_job(make_record(parcel, *make_lines(2))))

    (record,) = log.on("requests")
    asking = onward_of(record)
    assert (asking.lines, asking.plan, asking.attempt, asking.position) == ((4, 5), None, 1, 3)
    assert (record.value or b"").split(b"\n") == make_lines(2)
    assert log.usage == []
    ends = [
        end for group in log.on("usage") for end in UsageGroup.from_json(group.value or b"").ended
    ]
    assert [(end.slots, end.is_unknown) for end in ends] == [((0, 1), False)]


async def test_a_call_that_was_lost_with_its_provider_is_booked_as_unknown() -> None:
    log, hold = FakeLog(), Hold(hold_id=HoldId(f"hold_{'a' * 32}"))
    parcel = make_parcel(providers=["gone"], hold=hold, position=0)
    job = make_job(make_record(parcel, make_line()), {0: [Start("other", 1, NOW_MS)]})

    async with working(lambda _: sound(), log) as worker:
        await worker.handle(job)

    (row,) = log.usage
    asking = onward_of(log.on("requests")[0])
    assert row.outcome is CallOutcome.UNKNOWN
    assert (asking.plan, asking.repeats) == (None, {0: row.execution_id})


async def test_lines_given_back_keep_their_attempt() -> None:
    log, draining = FakeLog(), asyncio.Event()
    draining.set()

    async with working(lambda _: sound(), log, draining=draining) as worker:
        await worker.handle(make_job(make_record(make_parcel(lines=(1, 2)), *make_lines(2))))

    onward = onward_of(log.on("dispatch.first.batch")[0])
    assert (onward.lines, onward.attempt) == ((1, 2), 1)
    assert log.usage == []


async def test_a_body_by_reference_is_fetched_and_stays_there() -> None:
    log, objects = FakeLog(), open_objects("memory://")
    await objects.put("input", b"###" + make_line() + b"\n")
    reference = BodyRef(path="input", start=3, length=len(make_line()))
    parcel = make_parcel(body_ref=reference, providers=["first", "next"])

    async with working(lambda _: refused(503), log, objects=objects) as worker:
        await worker.handle(make_job(make_record(parcel)))

    (record,) = log.on("dispatch.next.batch")
    assert record.value == b""
    assert onward_of(record).body_ref == reference


async def test_a_body_that_is_gone_fails_its_line() -> None:
    log = FakeLog()
    parcel = make_parcel(body_ref=BodyRef(path="gone", start=0, length=9))

    async with working(lambda _: sound(), log) as worker:
        await worker.handle(make_job(make_record(parcel)))

    (result,) = results_of(log)
    assert (result.outcome, result.error_code) == (Outcome.FAILED, "unreadable_line")


class WeakStore(Objects):
    """Refuses `refusals` times, then gives a line."""

    def __init__(self, refusals: int) -> None:
        super().__init__(MemoryStore())
        self.refusals = refusals

    @override
    async def get_range(self, path: str, start: int, length: int) -> bytes:
        self.refusals -= 1
        if self.refusals >= 0:
            raise StoreError("busy")
        return make_line()


async def test_a_store_that_refuses_is_asked_again() -> None:
    log = FakeLog()
    parcel = make_parcel(body_ref=BodyRef(path="x", start=0, length=9))

    async with working(lambda _: sound(), log, objects=WeakStore(4)) as worker:
        await worker.handle(make_job(make_record(parcel)))

    assert results_of(log)[0].outcome is Outcome.COMPLETED


async def test_a_store_that_goes_on_refusing_is_waited_for_and_told_of() -> None:
    """An answer is paid for: a full disk must not lose it."""
    health, log = Health("provider", 0), FakeLog()
    health.clear("start")
    store = WeakStore(10_000)
    parcel = make_parcel(body_ref=BodyRef(path="x", start=0, length=9))

    async with (
        working(lambda _: sound(), log, objects=store, health=health) as worker,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(worker.handle(make_job(make_record(parcel))))
        while health.is_ready:  # noqa: ASYNC110  # the fake has no event
            await asyncio.sleep(0)
        assert health.reasons == ["objects: busy"]
        store.refusals = 0

    assert health.is_ready
    assert results_of(log)[0].outcome is Outcome.COMPLETED


async def test_an_output_line_too_large_for_a_topic_goes_by_reference() -> None:
    log, objects = FakeLog(), open_objects("memory://")
    message = {"role": "assistant", "content": "x" * 300_000}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]

    async with working(lambda _: sound(choices=choices), log, objects=objects) as worker:
        await worker.handle(make_job(make_record(make_parcel(), make_line())))

    (record,), (result,) = log.on("batches.results"), results_of(log)
    assert record.value == b""
    assert result.body_ref is not None
    stored = json.loads(await objects.get(result.body_ref.path))
    assert len(stored["response"]["body"]["choices"][0]["message"]["content"]) == 300_000


def fail_oddly(request: httpx.Request) -> httpx.Response:
    """Odd lines meet a bug after the call was claimed."""
    number = int(json.loads(request.content)["messages"][0]["content"])
    if number % 2:
        raise LookupError("a bug of ours")
    return sound()


async def test_a_line_that_meets_a_bug_ends_with_an_error_and_its_call_is_booked() -> None:
    """The call may have been paid for. The other lines, and the process, are not concerned."""
    log = FakeLog()
    parcel = make_parcel(lines=(0, 1, 2), hold=HOLD)

    async with working(fail_oddly, log) as worker:
        await worker.handle(make_job(make_record(parcel, *make_lines(3))))

    results = {result.line: result for result in results_of(log)}
    assert [results[line].outcome.value for line in range(3)] == [
        "completed",
        "failed",
        "completed",
    ]
    assert (results[1].custom_id, results[1].error_code) == ("line-1", "internal_error")
    rows = {row.line: row for row in log.usage}
    assert rows.keys() == {0, 1, 2}
    assert (rows[1].outcome.value, rows[1].cost.total > 0) == ("unknown", True)
    ended = [end for group in usage_groups(log) for end in group.ended]
    assert {slot for end in ended for slot in end.slots} == {0, 1, 2}


async def test_an_id_of_a_call_is_cut_in_its_bytes() -> None:
    log = FakeLog()
    headers = [(b"x-request-id", b"\xfc" * 300_000)]
    answer = httpx.Response(200, headers=headers, content=sound().content)

    async with working(lambda _: answer, log) as worker:
        await worker.handle(make_job(make_record(make_parcel(), make_line())))

    (row,) = log.usage
    assert row.provider_request_id == "\u00fc" * (MAX_REQUEST_ID_BYTES // 2)


async def test_a_value_that_does_not_match_its_envelope_fails_every_line_visibly() -> None:
    log = FakeLog()

    async with working(lambda _: sound(), log) as worker:
        await worker.handle(make_job(make_record(make_parcel(lines=(0, 1, 2)), make_line())))

    assert [result.error_code for result in results_of(log)] == ["unreadable_line"] * 3
    assert log.usage == []


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(make_record(make_parcel())._replace(headers=[]), id="no envelope"),
        pytest.param(
            make_record(make_parcel())._replace(headers=[("crossdock", b"{}")]), id="no parcel"
        ),
    ],
)
async def test_what_is_no_parcel_is_undecodable(record: Record) -> None:
    async with working(lambda _: sound(), FakeLog()) as worker:
        with pytest.raises(UndecodableError):
            await worker.handle(make_job(record))


@pytest.mark.parametrize(
    "parcel",
    [
        pytest.param(make_parcel(plan=None, hold=HOLD), id="no plan"),
        pytest.param(make_parcel(attempt=9, hold=HOLD), id="beyond the plan"),
    ],
)
async def test_a_parcel_without_a_plan_for_its_attempt_ends_with_its_hold_and_is_kept(
    parcel: Parcel,
) -> None:
    log = FakeLog()
    record = make_record(parcel, make_line())

    async with working(lambda _: sound(), log) as worker:
        with pytest.raises((ValueError, LookupError)) as failed:
            await worker.handle(make_job(record))
        await worker.dead_letter(record, failed.value)

    (kept,) = log.on(DEAD_LETTERS.name)
    (usage,) = log.on(USAGE.name)
    assert decode_envelope(kept.headers, DeadLetter).is_answered
    assert [result.error_code for result in results_of(log)] == ["request_set_aside"]
    assert UsageGroup.from_json(usage.value or b"").ended == (hold_end(parcel, parcel.lines),)


async def test_the_fleet_hears_of_endpoints_that_were_called() -> None:
    log = FakeLog()

    async with working(lambda _: sound(), log) as worker:
        await worker.handle(make_job(make_record(make_parcel(), make_line())))
        (record,) = worker.news("provider.0")
        assert worker.news("provider.0") == []

    assert (record.topic, record.key) == ("fleet", b"first/gull/provider.0")
    assert EndpointHealth.from_json(record.value or b"").error_rate == 0


async def test_lines_that_ended_under_an_earlier_owner_are_left_alone() -> None:
    log, claims = FakeLog(), FakeClaims()
    record = make_record(make_parcel(lines=(1, 2, 3)), *make_lines(3))

    async with working(lambda _: sound(), log, claims=claims) as worker:
        await worker.handle(make_job(record, {}, 1, 3))

    assert [result.line for result in results_of(log)] == [2]
    assert claims.ended == [2]


async def test_a_call_that_an_earlier_owner_never_told_of_is_booked_and_repeated_under_the_next_number() -> (
    None
):
    log, claims = FakeLog(), FakeClaims()
    record = make_record(make_parcel(lines=(1, 2)), *make_lines(2))
    starts = {1: [Start("old", 1, NOW_MS - 5000)]}

    async with working(lambda _: sound(), log, claims=claims) as worker:
        await worker.handle(make_job(record, starts))

    unknown, repeat = sorted((u for u in log.usage if u.line == 1), key=lambda u: u.call)
    (other,) = (u for u in log.usage if u.line == 2)
    assert (unknown.outcome, unknown.call, unknown.started_at_ms) == ("unknown", 1, NOW_MS - 5000)
    assert unknown.duplicate_suspected
    assert unknown.is_estimated
    assert unknown.cost.total > 0
    assert (repeat.outcome, repeat.call) == ("ok", 2)
    assert repeat.repeat_of == unknown.execution_id
    assert other.repeat_of is None
    assert sorted(claims.started) == [(1, 2), (2, 1)]


async def test_what_a_death_cut_off_does_not_count_against_the_limit_of_calls() -> None:
    log = FakeLog()
    record = make_record(make_parcel(), make_line())
    starts = {0: [Start("a", 1, NOW_MS), Start("b", 2, NOW_MS)]}

    async with working(lambda _: sound(), log) as worker:  # one call is allowed
        await worker.handle(make_job(record, starts))

    assert results_of(log)[0].outcome is Outcome.COMPLETED
    assert [u.repeat_of for u in log.usage if u.call == 2] == [
        u.execution_id for u in log.usage if u.call == 1
    ]


async def test_a_lost_lease_ends_only_the_lines_that_wanted_to_begin() -> None:
    log, claims = FakeLog(), FakeClaims()
    claims.refuses = {2}
    record = make_record(make_parcel(lines=(1, 2)), *make_lines(2))

    async with working(lambda _: sound(), log, claims=claims) as worker:
        with pytest.raises(LeaseLostError):
            await worker.handle(make_job(record))

    assert [result.line for result in results_of(log)] == [1]
    assert claims.ended == [1]


async def test_a_cancelled_batch_is_not_called() -> None:
    log, cancels, claims = FakeLog(), Cancels(), FakeClaims()
    cancelled = Cancelled(id=BATCH, at_ms=NOW_MS)
    cancels.apply(Record("cancels", 0, 0, 0, None, cancelled.to_json(), []))

    async with working(lambda _: sound(), log, cancels=cancels, claims=claims) as worker:
        await worker.handle(make_job(make_record(make_parcel(lines=(1, 2)), *make_lines(2))))

    assert {(r.outcome, r.error_code) for r in results_of(log)} == {
        (Outcome.CANCELLED, "batch_cancelled")
    }
    assert (log.usage, claims.started) == ([], [])


async def test_a_long_wait_is_spent_in_a_topic() -> None:
    log = FakeLog()
    parcel = make_parcel(lines=(4, 5), deadline_ms=NOW_MS + 3_600_000)

    def busy(_: httpx.Request) -> httpx.Response:
        return refused(429, headers={"retry-after": "47"}, message="slow down")

    async with working(busy, log) as worker:
        await worker.handle(make_job(make_record(parcel, *make_lines(2))))

    waiting = [onward_of(record) for record in log.on("later.30s")]
    assert sorted(line for onward in waiting for line in onward.lines) == [4, 5]
    assert {onward.attempt for onward in waiting} == {1}
    assert max(onward.calls_made for onward in waiting) == 1
    assert all(abs((onward.due_ms or 0) - NOW_MS - 47_000) < 1500 for onward in waiting)
    assert results_of(log) == []


@pytest.mark.parametrize(
    ("is_disabled", "status"), [(False, 200), (True, 401)], ids=["in use", "disabled"]
)
async def test_an_own_key_is_used_until_it_is_out_of_use(is_disabled: bool, status: int) -> None:
    keys, log, cancels = MasterKeys([b"m" * 32]), FakeLog(), Cancels()
    keyring = Keyring(keys)
    sealed = keys.seal(SecretStr("sk-own-12345"), AccountId("org_local"), CredentialId("byok_1"), 1)
    keyring.apply(Record("accounts.secrets", 0, 0, NOW_MS, b"byok_1", sealed.to_json(), ()))
    if is_disabled:
        cancelled = Cancelled(id="byok_1", at_ms=NOW_MS).to_json()
        cancels.apply(Record("cancels", 0, 0, NOW_MS, b"byok_1", cancelled, ()))
    seen: list[str | None] = []

    def provided(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get("authorization"))
        return sound()

    async with working(provided, log, cancels=cancels, keyring=keyring) as worker:
        parcel = make_parcel(plan=make_plan("byok_1"))
        await worker.handle(make_job(make_record(parcel, make_line())))

    assert [result.status_code for result in results_of(log)] == [status]
    assert seen == ([] if is_disabled else ["Bearer sk-own-12345"])
