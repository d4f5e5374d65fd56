"""The router sends each parcel on with a plan; parcels without an endpoint end visibly, unreadable ones are counted."""

import json
from decimal import Decimal

import pytest
from obstore.store import MemoryStore
from prometheus_client import REGISTRY
from typing_extensions import override

from crossdock.kernel.drivers.object_store import Objects, open_objects
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import StoreError
from crossdock.kernel.process.record import Record
from crossdock.router.policy import STALE_MS
from crossdock.router.routing import Router
from crossdock_schemas.calls.fleet import EndpointHealth
from crossdock_schemas.calls.usage import UsageGroup
from crossdock_schemas.codec import decode_envelope, encode_headers
from crossdock_schemas.dead_letter import DeadLetter
from crossdock_schemas.ids import CredentialId, HoldId, RequestId
from crossdock_schemas.parcel.parcel import BodyRef, Hold, Lane, Parcel
from crossdock_schemas.parcel.result import Outcome, ResultGroup
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.topics import FLEET, REQUESTS
from support.builders import BATCH, NOW_MS, make_line, make_parcel

OFFER = Offer(model="tern", prices=Prices(input=Decimal(1)))
CATALOGUE = Catalogue(
    providers=tuple(Provider(name=n, base_url="http://x", models=(OFFER,)) for n in ("a", "b"))
)


class Away(Objects):
    """A store that does not answer."""

    def __init__(self) -> None:
        super().__init__(MemoryStore())

    @override
    async def get_range(self, path: str, start: int, length: int) -> bytes:
        raise StoreError("away")


def make_router() -> Router:
    return Router(CATALOGUE, open_objects("memory://"), ManualClock(NOW_MS), sick_error_rate=0.5)


def make_record(parcel: Parcel, *lines: bytes) -> Record:
    headers = encode_headers(REQUESTS, "test", parcel.parcel_id, NOW_MS, parcel)
    value = b"\n".join(lines)
    return Record("requests", 0, 0, NOW_MS, parcel.parcel_id.encode(), value, headers)


def dead_letters(topic: str) -> float:
    return REGISTRY.get_sample_value("crossdock_dead_letters_total", {"topic": topic}) or 0.0


async def test_a_parcel_goes_to_its_first_candidate_with_its_bytes_untouched() -> None:
    (record,) = await make_router().route([make_record(make_parcel(lines=(1, 2)), b"one", b"two")])

    planned = decode_envelope(record.headers, Parcel)
    assert planned.plan is not None
    assert record.topic == f"dispatch.{planned.candidate.provider}.batch"
    assert (record.value, record.key) == (b"one\ntwo", planned.parcel_id.encode())
    assert {candidate.provider for candidate in planned.plan.candidates} == {"a", "b"}


async def test_a_report_of_the_fleet_moves_the_sick_back() -> None:
    health = {"worker": "w", "latency_ms": 1.0, "calls": 50, "at_ms": NOW_MS}
    router = make_router()
    for endpoint, rate in (("a/tern", 1.0), ("b/tern", 0.0)):
        report = EndpointHealth.model_validate(health | {"endpoint": endpoint, "error_rate": rate})
        router.observe(Record(FLEET.name, 0, 0, 0, b"", report.to_json(), []))

    (record,) = await router.route([make_record(make_parcel(), b"one")])

    assert record.topic == "dispatch.b.batch"


async def test_lines_that_nobody_serves_end_with_a_404_each() -> None:
    parcel = make_parcel(model="gone", lines=(3, 4))

    (record,) = await make_router().route([make_record(parcel, make_line(3), make_line(4))])

    group = decode_envelope(record.headers, ResultGroup)
    lines = [json.loads(line) for line in (record.value or b"").splitlines()]
    assert (record.topic, record.key) == ("batches.results", BATCH.encode())
    assert [(r.line, r.outcome, r.status_code) for r in group.results] == [
        (3, Outcome.FAILED, 404),
        (4, Outcome.FAILED, 404),
    ]
    assert [line["custom_id"] for line in lines] == ["line-3", "line-4"]
    assert lines[0]["response"]["body"]["error"]["code"] == "model_not_found"


async def test_a_404_says_why_each_endpoint_of_the_model_is_no_way() -> None:
    parcel = make_parcel(permitted=("gone/tern",))

    (record,) = await make_router().route([make_record(parcel, make_line())])

    error = json.loads(record.value or b"")["response"]["body"]["error"]
    told = {"scope": parcel.key_id, "rule": "policies", "level": "key"}
    excluded = [{"endpoint": f"{name}/tern", **told} for name in "ab"]
    assert error["metadata"] == {"excluded_by": excluded}


async def test_a_single_request_that_nobody_serves_ends_under_its_own_key() -> None:
    request_id = RequestId("req_" + "2" * 32)
    single = make_parcel(model="gone", batch_id=None, request_id=request_id, lane=Lane.REALTIME)

    (record,) = await make_router().route([make_record(single, make_line())])

    assert (record.topic, record.key) == ("results", request_id.encode())


async def test_a_body_by_reference_is_read_to_be_refused() -> None:
    router = Router(
        CATALOGUE, (store := open_objects("memory://")), ManualClock(0), sick_error_rate=0.5
    )
    await store.put("input", b"###" + make_line(9))
    reference = BodyRef(path="input", start=3, length=len(make_line(9)))

    (record,) = await router.route(
        [make_record(make_parcel(model="gone", lines=(9,), body_ref=reference))]
    )

    assert json.loads(record.value or b"")["custom_id"] == "line-9"


async def test_a_refused_parcel_without_its_body_ends_and_is_kept() -> None:
    reference = BodyRef(path="nothing", start=0, length=1)
    hold = Hold(hold_id=HoldId("hold_" + "1" * 32))
    parcel = make_parcel(model="gone", body_ref=reference, hold=hold)

    kept, result, usage = await make_router().route([make_record(parcel)])

    assert decode_envelope(kept.headers, DeadLetter).is_answered
    assert json.loads(result.value or b"")["response"]["status_code"] == 500
    assert UsageGroup.from_json(usage.value or b"").ended[0].hold_id == hold.hold_id


async def test_a_store_that_is_away_ends_the_process_so_that_it_is_tried_again() -> None:
    reference = BodyRef(path="input", start=0, length=1)
    router = Router(CATALOGUE, Away(), ManualClock(0), sick_error_rate=0.5)

    with pytest.raises(StoreError):
        await router.route([make_record(make_parcel(model="gone", body_ref=reference))])


async def test_a_parcel_that_no_record_takes_with_its_plan_ends_and_is_kept() -> None:
    large = make_record(make_parcel(), b"x" * 999_800)

    *kept, result, sent = await make_router().route([large, make_record(make_parcel(), b"one")])

    assert [part.topic for part in kept] == ["dead-letters"] * 2
    assert b"too large" in kept[0].headers[-1][1]
    assert json.loads(result.value or b"")["custom_id"] == ""
    assert sent.topic.startswith("dispatch.")


@pytest.mark.parametrize(
    "record",
    [
        Record("requests", 0, 0, 0, b"", b"", []),
        Record("requests", 0, 0, 0, b"", b"", [("crossdock_parcel", b"{")]),
    ],
    ids=["no envelope", "broken envelope"],
)
async def test_a_record_that_cannot_be_read_is_kept_and_blocks_nobody(record: Record) -> None:
    before = dead_letters("requests")

    kept, sent = await make_router().route([record, make_record(make_parcel(), b"one")])

    assert (kept.topic, kept.value) == ("dead-letters", record.value)
    assert sent.topic.startswith("dispatch.")
    assert dead_letters("requests") == before + 1


@pytest.mark.parametrize("value", [make_line(), b"not json"], ids=["a line is missing", "no JSON"])
async def test_a_refused_value_that_cannot_be_read_ends_every_line(value: bytes) -> None:
    parcel = make_parcel(model="gone", lines=(0, 1))

    (record,) = await make_router().route([make_record(parcel, value)])

    results = decode_envelope(record.headers, ResultGroup).results
    assert [(result.line, result.error_code) for result in results] == [
        (0, "model_not_found"),
        (1, "model_not_found"),
    ]


def test_a_report_that_cannot_be_read_is_counted() -> None:
    before = dead_letters("fleet")

    make_router().observe(Record("fleet", 0, 0, 0, b"", b"{", []))

    assert dead_letters("fleet") == before + 1


def test_the_health_of_own_keys_that_nobody_uses_any_more_is_let_go() -> None:
    clock = ManualClock(NOW_MS)
    router = Router(CATALOGUE, open_objects("memory://"), clock, sick_error_rate=0.5, max_reports=3)

    def report(number: int) -> None:
        health = EndpointHealth(
            endpoint="a/tern",
            worker="w",
            error_rate=0,
            latency_ms=1,
            calls=1,
            credential_id=CredentialId(f"byok_{number}"),
            at_ms=clock.now_ms(),
        )
        router.observe(Record(FLEET.name, 0, 0, 0, b"", health.to_json(), []))

    for number in range(3):
        report(number)
    clock.advance(STALE_MS + 1)
    report(3)

    assert set(router._reports) == {"a/tern@byok_3"}
