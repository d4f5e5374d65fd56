import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import httpx
import pytest

from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.requests.provider_keys import BearerKey
from crossdock.provider.credentials.use import CallKey
from crossdock.provider.onward_line import OnwardLine
from crossdock.provider.usage_rows import Finished
from crossdock_schemas.calls.usage import CallOutcome
from crossdock_schemas.ids import CredentialId, HoldId
from crossdock_schemas.parcel.parcel import Hold
from crossdock_schemas.parcel.result import Outcome
from crossdock_schemas.pricing.prices import Cost
from crossdock_schemas.tokens import Tokens
from unit.provider.builders import (
    NOW_MS,
    Provided,
    make_attempt,
    make_line,
    make_parcel,
    make_plan,
    make_single,
    make_site,
    refused,
    sound,
)

HOLD = Hold(hold_id=HoldId(f"hold_{'a' * 32}"))


def line_of(end: Finished | OnwardLine) -> dict[str, Any]:
    assert isinstance(end, Finished)
    found: dict[str, Any] = json.loads(end.line)
    return found


async def test_an_answer_ends_the_line_and_is_booked_at_the_plans_price() -> None:
    provided = Provided(sound())
    attempt, books = make_attempt(provided)

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert (end.result.outcome, end.result.status_code, end.result.calls) == (
        Outcome.COMPLETED,
        200,
        1,
    )
    assert end.result.cost_usd == Decimal("0.01002")
    assert line_of(end)["response"]["body"]["choices"][0]["message"]["content"] == "hi there"
    (row,) = books.rows
    assert (row.outcome, row.attempt, row.call, row.status_code) == (CallOutcome.OK, 1, 1, 200)
    assert row.tokens == Tokens(input=10, output=5)
    assert row.cost == Cost(
        input=Decimal("0.00001"), output=Decimal("0.00001"), request=Decimal("0.01")
    )
    assert (row.provider_request_id, row.is_estimated) == ("theirs", False)


async def test_the_call_carries_the_request_id_and_a_number_of_its_own() -> None:
    provided = Provided(refused(500), refused(500), sound())
    attempt, _ = make_attempt(provided, parcel=make_single(providers=["first", "next"], attempt=2))

    await attempt.run()

    assert provided.numbers == ["201", "202", "203"]
    assert {r.headers["x-crossdock-request-id"] for r in provided.requests} == {"req_" + "2" * 32}


async def test_every_call_is_a_row_also_a_refused_one_at_no_cost() -> None:
    attempt, books = make_attempt(
        Provided(refused(503), httpx.ConnectError("x"), sound()),
    )

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert [row.outcome for row in books.rows] == [
        CallOutcome.SERVER_ERROR,
        CallOutcome.NOT_CONNECTED,
        CallOutcome.OK,
    ]
    assert [row.cost.total for row in books.rows[:2]] == [0, 0]
    assert [row.is_estimated for row in books.rows] == [False] * 3
    assert len({row.execution_id for row in books.rows}) == 3
    assert end.result.calls == 3


BROKEN_OFF = [
    pytest.param(httpx.ReadTimeout("x"), CallOutcome.TIMEOUT, id="timeout"),
    pytest.param(httpx.ReadError("x"), CallOutcome.CONNECTION_LOST, id="connection lost"),
    pytest.param(httpx.RemoteProtocolError("x"), CallOutcome.TRUNCATED, id="cut off"),
    pytest.param(httpx.Response(200, content=b"<html>"), CallOutcome.GARBAGE, id="garbage"),
]


@pytest.mark.parametrize(("answer", "outcome"), BROKEN_OFF)
async def test_a_call_that_brought_no_answer_is_booked_at_a_guess_and_the_next_needs_a_hold(
    answer: httpx.Response | Exception, outcome: CallOutcome
) -> None:
    """The provider may charge for it: under the same hold a second call might cost more than is held."""
    provided = Provided(refused(503), answer)
    attempt, books = make_attempt(provided, parcel=make_parcel(hold=HOLD))

    end = await attempt.run()

    broken = books.rows[1]
    assert (broken.outcome, broken.is_estimated, broken.duplicate_suspected) == (
        outcome,
        True,
        False,
    )
    assert broken.cost.total > 0
    assert end == OnwardLine(
        0, make_line(), 1, 2, is_readmission=True, repeat_of=broken.execution_id
    )


async def test_the_guess_is_within_the_lines_limit() -> None:
    parcel = make_parcel(hold=HOLD, output_most=(3,))
    attempt, books = make_attempt(Provided(httpx.ReadTimeout("x")), parcel=parcel)

    await attempt.run()

    assert books.rows[0].tokens.output == 3


async def test_a_line_whose_last_call_brought_no_answer_falls_back_through_accounts() -> None:
    parcel = make_parcel(hold=HOLD, providers=["first", "next"], calls_made=2)
    attempt, books = make_attempt(Provided(httpx.ReadTimeout("x")), parcel=parcel)

    end = await attempt.run()

    (row,) = books.rows
    assert end == OnwardLine(0, make_line(), 2, is_readmission=True, repeat_of=row.execution_id)


async def test_a_line_whose_calls_all_broke_off_fails_with_what_they_may_have_cost() -> None:
    parcel = make_parcel(hold=HOLD, calls_made=2)
    attempt, books = make_attempt(Provided(httpx.ReadTimeout("x")), parcel=parcel)

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert (end.result.outcome, end.result.status_code) == (Outcome.FAILED, 504)
    assert end.result.cost_usd == books.rows[0].cost.total > 0


async def test_nobody_asks_for_a_hold_after_the_deadline() -> None:
    clock = ManualClock(NOW_MS)

    def late(_: httpx.Request) -> httpx.Response:
        clock.advance(10_000)
        raise httpx.ReadTimeout("x")

    parcel = make_parcel(hold=HOLD, deadline_ms=NOW_MS + 5_000)
    attempt, _ = make_attempt(late, parcel=parcel, clock=clock)

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert end.result.outcome is Outcome.EXPIRED


async def test_what_broke_off_is_handed_back_through_accounts() -> None:
    draining = asyncio.Event()

    def stop(_: httpx.Request) -> httpx.Response:
        draining.set()
        raise httpx.ReadTimeout("x")

    attempt, books = make_attempt(stop, parcel=make_parcel(hold=HOLD), draining=draining)

    end = await attempt.run()

    (row,) = books.rows
    assert end == OnwardLine(0, make_line(), 1, 1, is_readmission=True, repeat_of=row.execution_id)


async def test_an_answer_without_usage_is_booked_as_an_estimate() -> None:
    attempt, books = make_attempt(Provided(sound(usage=None)))

    await attempt.run()

    (row,) = books.rows
    assert row.is_estimated
    assert row.tokens.output == 2
    assert row.tokens.input > 0


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(refused(500), id="server error"),
        pytest.param(refused(429), id="busy"),
        pytest.param(httpx.ConnectError("x"), id="not connected"),
        pytest.param(httpx.Response(200, content=b'{"choices":['), id="truncated"),
        pytest.param(httpx.Response(200, content=b"<html>"), id="garbage"),
        pytest.param(httpx.Response(200, json={"error": {"message": "x"}}), id="error in a 200"),
    ],
)
async def test_what_may_pass_is_tried_here_up_to_the_limit_and_then_elsewhere(
    answer: httpx.Response | Exception,
) -> None:
    provided = Provided(answer)
    attempt, books = make_attempt(provided, parcel=make_parcel(providers=["first", "next"]))

    end = await attempt.run()

    assert isinstance(end, OnwardLine)
    assert (end.attempt, end.calls_made, end.is_readmission) == (2, 0, False)
    assert len(provided.requests) == len(books.rows) == 3


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_refused_key_is_not_tried_twice_but_elsewhere(status: int) -> None:
    provided = Provided(refused(status))
    attempt, _ = make_attempt(provided, parcel=make_parcel(providers=["first", "next"]))

    assert await attempt.run() == OnwardLine(0, make_line(), 2)
    assert len(provided.requests) == 1


async def test_an_exhausted_quota_is_not_tried_here_again() -> None:
    provided = Provided(refused(429, code="insufficient_quota"))
    attempt, _ = make_attempt(provided, parcel=make_parcel(providers=["first", "next"]))

    assert await attempt.run() == OnwardLine(0, make_line(), 2)
    assert len(provided.requests) == 1


async def test_the_callers_mistake_is_final() -> None:
    provided = Provided(refused(400, message="too long", param="messages"))
    attempt, _ = make_attempt(provided, parcel=make_parcel(providers=["first", "next"]))

    end = await attempt.run()

    assert line_of(end)["response"]["status_code"] == 400
    assert line_of(end)["response"]["body"]["error"]["param"] == "messages"


async def test_the_last_candidates_failure_is_the_end() -> None:
    attempt, _ = make_attempt(Provided(refused(503, message="down")))

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert (end.result.outcome, end.result.status_code) == (Outcome.FAILED, 503)
    assert line_of(end)["response"]["body"]["error"]["message"] == "down"


async def test_retry_after_is_waited_for() -> None:
    provided = Provided(refused(429, headers={"retry-after-ms": "60"}), sound())
    attempt, _ = make_attempt(provided)
    started = time.monotonic()

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert time.monotonic() - started >= 0.06


async def test_a_long_retry_after_falls_back_at_once() -> None:
    provided = Provided(refused(429, headers={"retry-after": "30"}))
    attempt, _ = make_attempt(provided, parcel=make_parcel(providers=["first", "next"]))

    assert await attempt.run() == OnwardLine(0, make_line(), 2)
    assert len(provided.requests) == 1


async def test_an_endpoint_told_to_wait_is_closed_for_its_other_lines_too() -> None:
    provided = Provided(sound())
    site = make_site(provided)
    site.close_for("gull", 30)
    attempt, _ = make_attempt(provided, site=site, parcel=make_parcel(providers=["first", "next"]))

    assert await attempt.run() == OnwardLine(0, make_line(), 2)
    assert provided.requests == []


async def test_a_line_that_waited_for_a_slot_looks_again_whether_the_endpoint_is_open() -> None:
    provided = Provided(refused(429, headers={"retry-after": "30"}))
    site = make_site(provided, max_in_flight=1)
    parcel = make_parcel(providers=["first", "next"])
    attempts = [make_attempt(provided, site=site, parcel=parcel)[0] for _ in range(5)]

    ends = await asyncio.gather(*(attempt.run() for attempt in attempts))

    assert len(provided.requests) == 1
    assert all(isinstance(end, OnwardLine) for end in ends)


async def test_a_batchs_line_outlasts_a_rate_limit_where_nobody_else_has_the_model() -> None:
    busy = refused(429, headers={"retry-after-ms": "1"})
    provided = Provided(*[busy] * 8, sound())
    attempt, _ = make_attempt(provided)

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert end.result.outcome is Outcome.COMPLETED
    assert end.result.calls == 9


async def test_a_realtime_caller_hears_of_a_rate_limit_soon() -> None:
    provided = Provided(refused(429, headers={"retry-after-ms": "1"}))
    attempt, _ = make_attempt(provided, parcel=make_single())

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert (end.result.status_code, end.result.calls) == (429, 3)


async def test_a_line_past_its_deadline_is_never_called() -> None:
    provided = Provided(sound())
    attempt, books = make_attempt(provided, clock=ManualClock(NOW_MS + 60_000))

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert (end.result.outcome, end.result.status_code) == (Outcome.EXPIRED, None)
    assert line_of(end)["error"]["code"] == "batch_expired"
    assert (provided.requests, books.rows) == ([], [])


async def test_the_deadline_ends_a_call() -> None:
    clock = ManualClock(NOW_MS)

    async def silent(_: httpx.Request) -> httpx.Response:
        clock.advance(60)
        await asyncio.sleep(30)
        return sound()

    attempt, books = make_attempt(
        silent,
        parcel=make_parcel(deadline_ms=NOW_MS + 50),
        clock=clock,
    )

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert end.result.outcome is Outcome.EXPIRED
    assert [row.outcome for row in books.rows] == [CallOutcome.TIMEOUT]


async def test_a_pool_that_comes_to_rest_gets_a_waiting_line_back() -> None:
    provided = Provided(refused(429, headers={"retry-after": "4"}))
    draining = asyncio.Event()
    attempt, _ = make_attempt(provided, draining=draining)

    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        running = group.create_task(attempt.run())
        while not provided.requests:  # noqa: ASYNC110  # the fake has no event
            await asyncio.sleep(0)
        draining.set()

    assert running.result() == OnwardLine(0, make_line(), 1, calls_made=1)


async def test_a_line_that_was_given_back_goes_on_counting_its_calls() -> None:
    provided = Provided(sound())
    attempt, books = make_attempt(provided, parcel=make_parcel(calls_made=2))

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert end.result.calls == 3
    assert [row.call for row in books.rows] == [3]
    assert provided.requests[0].headers["x-crossdock-attempt"] == "103"


async def test_a_pool_that_comes_to_rest_lets_a_call_finish() -> None:
    draining = asyncio.Event()

    async def slow(_: httpx.Request) -> httpx.Response:
        draining.set()
        await asyncio.sleep(0.01)
        return sound()

    attempt, _ = make_attempt(slow, draining=draining)

    assert isinstance(await attempt.run(), Finished)


@pytest.mark.parametrize("raw", [b"", b"{}", b"not json"])
async def test_a_line_that_cannot_be_read_fails_visibly(raw: bytes) -> None:
    attempt, _ = make_attempt(Provided(sound()), raw=raw)

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert (end.result.outcome, end.result.error_code) == (Outcome.FAILED, "unreadable_line")
    assert line_of(end)["response"]["status_code"] == 400


async def test_a_very_long_custom_id_is_cut_in_the_books_only() -> None:
    line = json.dumps({"custom_id": "x" * 5000, "body": {"model": "gull"}}).encode()
    attempt, books = make_attempt(Provided(sound()), raw=line)

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert len(books.rows[0].custom_id) == len(end.result.custom_id) == 512
    assert line_of(end)["custom_id"] == "x" * 5000


@pytest.mark.parametrize(("status", "is_to_blame"), [(401, 1.0), (400, 0.0), (503, 1.0)])
async def test_the_fleet_hears_whose_fault_it_was(status: int, is_to_blame: float) -> None:
    provided = Provided(refused(status))
    site = make_site(provided, max_calls=1)
    attempt, _ = make_attempt(provided, site=site)

    await attempt.run()

    (health,) = site.news("provider.0", NOW_MS)
    assert health.error_rate == is_to_blame


# BYOK keys

PLAIN = "sk-own-0123456789"
OWN = CallKey(BearerKey(api_key=PLAIN))


async def have_own() -> CallKey | None:
    return OWN


async def have_none() -> CallKey | None:
    return None


async def test_a_call_is_made_with_the_own_key_and_booked_as_such() -> None:
    provided = Provided(sound())
    parcel = make_parcel(plan=make_plan("byok_1"))
    attempt, books = make_attempt(provided, parcel=parcel, find_key=have_own)

    end = await attempt.run()

    assert isinstance(end, Finished)
    (request,) = provided.requests
    assert request.headers.get_list("authorization") == [f"Bearer {PLAIN}"]
    (row,) = books.rows
    assert (row.is_byok, row.credential_id, row.route_reason) == (True, "byok_1", "byok")
    assert row.cost.total > 0


async def test_a_call_is_booked_for_the_lines_user_and_under_the_parcels_tags() -> None:
    parcel = make_parcel(users=("alice",), tags={"team": "search"})
    attempt, books = make_attempt(Provided(sound()), parcel=parcel)

    await attempt.run()

    assert [(row.user, row.tags) for row in books.rows] == [("alice", {"team": "search"})]


async def test_a_call_of_the_installations_asks_for_no_own_key() -> None:
    async def fail() -> CallKey | None:
        raise AssertionError

    provided = Provided(sound())
    attempt, books = make_attempt(provided, find_key=fail)

    await attempt.run()

    assert "authorization" not in provided.requests[0].headers
    assert (books.rows[0].is_byok, books.rows[0].credential_id) == (False, None)


async def test_without_its_key_nothing_is_called_and_the_next_candidate_has_the_line() -> None:
    provided = Provided(sound())
    parcel = make_parcel(plan=make_plan("byok_1", None))
    attempt, books = make_attempt(provided, parcel=parcel, find_key=have_none)

    end = await attempt.run()

    assert isinstance(end, OnwardLine)
    assert (end.attempt, provided.requests, books.rows) == (2, [], [])


async def test_without_its_key_and_without_another_candidate_the_line_says_which_key() -> None:
    provided = Provided(sound())
    parcel = make_parcel(plan=make_plan("byok_1"))
    attempt, books = make_attempt(provided, parcel=parcel, find_key=have_none)

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert (end.result.status_code, end.result.error_code) == (401, "byok_key_unavailable")
    response = line_of(end)["response"]
    assert response["status_code"] == 401
    assert response["body"]["error"]["code"] == "byok_key_unavailable"
    assert "byok_1" in response["body"]["error"]["message"]
    assert (provided.requests, books.rows) == ([], [])


@pytest.mark.parametrize("status", [200, 400, 401, 500])
async def test_a_provider_that_quotes_the_key_is_not_quoted(status: int) -> None:
    plain = PLAIN
    said = sound(echo=plain) if status == 200 else refused(status, message=f"bad key {plain}")
    parcel = make_parcel(plan=make_plan("byok_1"))
    attempt, books = make_attempt(Provided(said), parcel=parcel, find_key=have_own)

    end = await attempt.run()

    assert isinstance(end, Finished)
    assert plain.encode() not in end.line
    assert all(plain.encode() not in row.to_json() for row in books.rows)
    assert end.result.outcome is (Outcome.COMPLETED if status == 200 else Outcome.FAILED)


async def test_a_key_that_the_provider_does_not_take_is_named() -> None:
    parcel = make_parcel(plan=make_plan("byok_1"))
    attempt, _ = make_attempt(Provided(refused(401)), parcel=parcel, find_key=have_own)

    end = await attempt.run()

    assert "'byok_1'" in line_of(end)["response"]["body"]["error"]["message"]


async def test_one_customers_limit_closes_nobody_elses_way() -> None:
    provided = Provided(refused(429, headers={"retry-after": "60"}))
    site = make_site(provided)
    parcel = make_parcel(plan=make_plan("byok_1", None))
    attempt, _ = make_attempt(provided, parcel=parcel, site=site, find_key=have_own)

    end = await attempt.run()

    assert isinstance(end, OnwardLine)
    assert site.closed_s("gull", CredentialId("byok_1")) > 50
    assert site.closed_s("gull") == site.closed_s("gull", CredentialId("byok_2")) == 0
    (health,) = site.news("w", NOW_MS)
    assert (health.credential_id, health.name) == ("byok_1", "first/gull@byok_1")
