"""The tokens that a call may cost at most bound what is booked, whatever the provider reports; the rest is disputed."""

import json
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.requests.provider_keys import BearerKey
from crossdock.provider.credentials.use import CallKey
from crossdock.provider.usage_rows import PROVIDER_PROMPT, CallTiming, LineBook
from crossdock_schemas.calls.usage import Usage
from crossdock_schemas.ids import HoldId
from crossdock_schemas.money import to_usd
from crossdock_schemas.parcel.parcel import Hold, Parcel
from crossdock_schemas.parcel.plan import Plan
from crossdock_schemas.pricing.prices import Cost, price_tokens
from crossdock_schemas.pricing.worst_case import Ask, Rates, worst_case
from crossdock_schemas.tokens import Tokens
from unit.provider.builders import (
    PRICES,
    Provided,
    make_attempt,
    make_candidate,
    make_parcel,
    make_site,
    sound,
)

LIMITED = Hold(hold_id=HoldId(f"hold_{'a' * 32}"), is_limited=True)
FREE = LIMITED.model_copy(update={"is_limited": False})
LIE = {"prompt_tokens": 10**12, "completion_tokens": 10**12}


def asked(hold: Hold | None = LIMITED, **changes: Any) -> Parcel:
    """Return a parcel of one line: 100 tokens of input at most, two answers of 50, 5 beyond their limit."""
    values: dict[str, Any] = {
        "hold": hold,
        "input_most": (100,),
        "output_most": (50,),
        "choices": (2,),
        "output_extra": (5,),
    }
    return make_parcel(**(values | changes))


async def booked(parcel: Parcel, usage: object, **site: Any) -> Usage:
    async def key() -> CallKey:
        return CallKey(BearerKey(api_key="sk-own-key"))

    provided = Provided(sound(usage=usage))
    attempt, books = make_attempt(
        provided, parcel=parcel, site=make_site(provided, **site), find_key=key
    )
    await attempt.run()
    (row,) = books.rows
    return row


async def test_a_provider_that_reports_more_than_it_may_have_used_is_booked_up_to_the_hold() -> (
    None
):
    row = await booked(asked(), LIE)

    assert row.tokens == Tokens(input=100, output=110)
    assert row.cost.total == to_usd(worst_case(Ask(100, 50, 2, extra=5), [_rates()]))
    assert row.reported == Tokens(input=10**12, output=10**12)
    assert row.disputed_usd is not None
    assert row.cost.total + row.disputed_usd == price_tokens(row.reported, PRICES).total
    assert not row.is_estimated


def _rates() -> Rates:
    return Rates(None, 0, 10**6, 2 * 10**6, 10**10)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": 100, "completion_tokens": 110},
        {"prompt_tokens": 0, "completion_tokens": 0},
        {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 900}},
    ],
    ids=repr,
)
async def test_what_may_have_been_used_is_booked_as_reported(usage: dict[str, Any]) -> None:
    row = await booked(asked(), usage)

    assert row.tokens.total == usage["prompt_tokens"] + usage.get("completion_tokens", 0)
    assert (row.reported, row.disputed_usd) == (None, None)


@pytest.mark.parametrize(
    "usage",
    [
        {"prompt_tokens": "100", "completion_tokens": 5},
        {"prompt_tokens": 5, "completion_tokens": -7},
        {"prompt_tokens": 10**400, "completion_tokens": 5},
        {"prompt_tokens": True, "completion_tokens": 5},
        [7],
    ],
    ids=["a string", "negative", "absurd", "a boolean", "a list"],
)
async def test_a_report_that_is_none_is_an_estimate_within_the_hold(usage: object) -> None:
    row = await booked(asked(input_most=(7,), output_most=(1,)), usage)

    assert row.is_estimated
    assert row.tokens == Tokens(input=7, output=2)
    assert (row.reported, row.disputed_usd) == (None, None)


async def test_a_call_that_broke_off_is_booked_within_the_hold() -> None:
    parcel = asked(input_most=(7,), output_most=(0,), choices=(1,), output_extra=())
    plan = Plan(candidates=(make_candidate().model_copy(update={"output_most": 3}),))
    provided = Provided(httpx.ReadTimeout("x"))
    attempt, books = make_attempt(provided, parcel=parcel.model_copy(update={"plan": plan}))

    await attempt.run()

    assert books.rows[0].tokens == Tokens(input=7, output=3)


@pytest.mark.parametrize(
    ("hold", "tolerance", "tokens"),
    [
        (LIMITED, 3.0, Tokens(input=100, output=110)),
        (FREE, 1.0, Tokens(input=100 + PROVIDER_PROMPT, output=110)),
        (FREE, 3.0, Tokens(input=300 + PROVIDER_PROMPT, output=330)),
        (None, 1.5, Tokens(input=150 + PROVIDER_PROMPT, output=165)),
    ],
)
async def test_the_operator_may_trust_a_provider_with_more_where_no_budget_binds(
    hold: Hold | None, tolerance: float, tokens: Tokens
) -> None:
    row = await booked(asked(hold), LIE, usage_tolerance=tolerance)

    assert row.tokens == tokens


async def test_the_context_and_the_longest_answer_of_the_endpoint_are_bounds_too() -> None:
    candidate = make_candidate().model_copy(update={"input_most": 60, "output_most": 9})
    parcel = asked(output_most=(0,), output_extra=(), plan=Plan(candidates=(candidate,)))

    assert (await booked(parcel, LIE)).tokens == Tokens(input=60, output=18)


async def test_calls_with_own_keys_are_bounded_too() -> None:
    plan = Plan(candidates=(make_candidate(credential_id="byok_1"),))

    row = await booked(asked(plan=plan), LIE)

    assert row.is_byok
    assert row.tokens == Tokens(input=100, output=110)
    assert row.disputed_usd is not None


async def test_a_call_is_booked_up_to_what_is_held_for_its_line_though_prices_rose() -> None:
    """The shard held by an older catalogue than the router's."""
    parcel = asked(input_most=(10**4,), output_most=(10**4,), held=(15 * 10**9,))

    row = await booked(parcel, {"prompt_tokens": 2000, "completion_tokens": 9000})

    assert row.cost == Cost(
        request=Decimal("0.01"), input=Decimal("0.002"), output=Decimal("0.003")
    )
    assert row.disputed_usd == Decimal("0.015")
    assert row.reported == row.tokens == Tokens(input=2000, output=9000)


COUNTS = st.integers(0, 300)


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_no_report_costs_more_than_the_worst_case(
    prompt: int, cached: int, written: int, output: int, reasoning: int
) -> None:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + output + reasoning,
    }
    site = make_attempt(Provided(sound()))[0].site
    reply = site.adapter.read_answer("/v1/chat/completions", sound(usage=usage).content)
    call = site.adapter.make_call(b'{"custom_id": "a", "body": {}}', make_candidate())
    book = LineBook(asked(), 0, "life")

    row = book.row(call, 1, reply, CallTiming(1, 2), status=200, provider_request_id=None, repeat_of=None)  # type: ignore[arg-type]  # fmt: skip

    assert row.cost.total <= to_usd(worst_case(Ask(100, 50, 2, extra=5), [_rates()]))
    assert row.tokens.cached + row.tokens.cache_write <= row.tokens.input
    assert (row.disputed_usd is None) == (row.reported is None)
    assert row.disputed_usd is None or row.disputed_usd >= Decimal(0)
    assert json.loads(row.to_json())["tokens"] == row.tokens.model_dump()
