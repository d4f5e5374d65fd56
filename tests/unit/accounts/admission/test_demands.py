"""What a request demands of endpoints binds like one more policy, and is told apart from those of its key."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.kernel.process.record import Outgoing
from crossdock_schemas.accounts.demands import REQUEST, Demands
from crossdock_schemas.accounts.policy import Policy, permit
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.topics import ADMITTED, BATCH_RESULTS
from unit.accounts.builders import ACME
from unit.accounts.commands.test_credentials import asked, make_credential
from unit.accounts.test_partition import (
    APP,
    command_record,
    errors_of,
    founded,
    on,
    policy,
    request_record,
    wanted,
)
from unit.schemas.accounts.test_policy import ENDPOINTS, POLICIES

ONLY_ATLAS = Demands(only=("atlas",))


async def answers(*parcels: Parcel, commands: tuple[Any, ...] = ()) -> list[Outgoing]:
    partition = await founded()
    records = [
        *map(command_record, commands),
        *(request_record(parcel, offset=number) for number, parcel in enumerate(parcels)),
    ]
    return list((await partition.step(records)).outgoing)


def numbered(number: int, demands: Demands | None) -> Parcel:
    return wanted(parcel_id=f"parcel_{number:032x}", demands=demands)


async def test_it_leaves_some_endpoints_and_the_envelope_says_which() -> None:
    sent = await answers(numbered(1, ONLY_ATLAS))

    (admitted,) = on(ADMITTED.name, sent)
    assert decode_envelope(admitted.headers, Parcel).permitted == ("atlas/tern",)


async def test_each_parcel_is_answered_by_its_own_demands() -> None:
    """The answer of one is remembered, for parcels that demand the same."""
    demands = (None, ONLY_ATLAS, None, Demands(only=("bor*",)), ONLY_ATLAS)

    sent = await answers(*(numbered(n, one) for n, one in enumerate(demands)))

    left = [decode_envelope(one.headers, Parcel).permitted for one in on(ADMITTED.name, sent)]
    assert left == [None, ("atlas/tern",), None, ("borealis/tern",), ("atlas/tern",)]


async def test_where_it_leaves_nothing_the_caller_hears_which_of_its_wishes_it_was() -> None:
    sent = await answers(numbered(1, Demands(only=("none",))))

    (refused,) = on(BATCH_RESULTS.name, sent)
    (error,) = errors_of(refused)
    assert (error["code"], error["param"]) == ("no_endpoint_found", "provider")
    assert "atlas/tern by only of the request" in error["message"]
    assert error["metadata"]["excluded_by"] == [
        {"endpoint": name, "scope": "request", "rule": "only", "level": "request"}
        for name in ("atlas/tern", "borealis/tern")
    ]


async def test_what_policies_leave_nothing_of_is_theirs_whatever_the_request_demands() -> None:
    forbidden = policy(ACME, allowed_models=())

    sent = await answers(numbered(1, ONLY_ATLAS), commands=(forbidden,))

    (error,) = errors_of(on(BATCH_RESULTS.name, sent)[0])
    assert error["code"] == "permission_denied"
    assert {one["level"] for one in error["metadata"]["excluded_by"]} == {"organization"}


async def test_policies_and_the_request_together_may_leave_nothing() -> None:
    sent = await answers(
        numbered(1, ONLY_ATLAS), commands=(policy(APP, ignored_providers=("atlas",)),)
    )

    (error,) = errors_of(on(BATCH_RESULTS.name, sent)[0])
    assert error["code"] == "no_endpoint_found"
    assert [(one["level"], one["rule"]) for one in error["metadata"]["excluded_by"]] == [
        ("key", "ignored_providers"),
        ("request", "only"),
    ]


@pytest.mark.parametrize(("declared", "ways"), [(True, ["byok_1"]), (False, [])])
async def test_zero_retention_is_demanded_of_own_keys_too(declared: bool, ways: list[str]) -> None:
    """As a policy's: what the owner of an own key declares counts for calls with that key."""
    own = make_credential("byok_1", declared_zdr=declared)

    sent = await answers(numbered(1, Demands(zdr=True)), commands=(asked(own),))

    admitted = [decode_envelope(one.headers, Parcel) for one in on(ADMITTED.name, sent)]
    assert [ref.credential_id for one in admitted for ref in one.credentials or ()] == ways
    assert len(on(BATCH_RESULTS.name, sent)) == (not ways)


@given(ENDPOINTS, st.lists(POLICIES, max_size=3), POLICIES)
def test_whatever_a_request_demands_it_gets_no_endpoint_that_policies_forbid(
    endpoints: Any, policies: list[Policy], other: Policy
) -> None:
    of_request = other.model_copy(update={"scope": REQUEST})

    without, with_it = permit(endpoints, policies), permit(endpoints, [*policies, of_request])

    assert set(with_it.permitted) <= set(without.permitted)
    told = {one.endpoint: one for one in with_it.excluded}
    assert all(told[one.endpoint] == one for one in without.excluded)
