"""BYOK keys for some end users only: each line gets those of its own user, whoever travels beside it."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.accounts.admission.byok_selection import concerned_lines
from crossdock.accounts.partition import AccountsPartition
from crossdock.accounts.state.account import AccountState
from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.policy import Rules
from crossdock_schemas.batches.batch import LinesReturned
from crossdock_schemas.calls.usage import UsageGroup, hold_end
from crossdock_schemas.codec import decode_envelope
from crossdock_schemas.ids import ProjectId, hold_id
from crossdock_schemas.parcel.parcel import Parcel, split_lines
from crossdock_schemas.parcel.result import ResultGroup
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Prices
from crossdock_schemas.topics import ADMITTED, BATCH_COMMANDS, BATCH_RESULTS, RESULTS, USAGE
from crossdock_schemas.windows import Window
from unit.accounts.builders import ACME, NOW_MS, ask_key, make_founded, make_key, units
from unit.accounts.commands.test_credentials import ENDPOINTS, asked, make_credential
from unit.accounts.test_partition import (
    APP,
    bound,
    command_record,
    dear,
    errors_of,
    founded,
    limited,
    make_partition,
    numbered,
    on,
    request_record,
    wanted,
)

ALICE = ("alice",)


def mixed(*users: str, **changes: Any) -> Parcel:
    """Return a batch's parcel with one line for each of `users`."""
    values = {"lines": tuple(range(40, 40 + len(users))), "users": users, "position": 20}
    return wanted(**values | changes)


async def with_own(*credentials: Credential) -> AccountsPartition:
    partition = await founded()
    await partition.step([command_record(asked(credential)) for credential in credentials])
    return partition


async def sent_by(partition: AccountsPartition, parcel: Parcel) -> list[Outgoing]:
    return list((await partition.step([request_record(parcel, offset=9)])).outgoing)


def admitted(sent: list[Outgoing]) -> list[Parcel]:
    return [decode_envelope(record.headers, Parcel) for record in on(ADMITTED.name, sent)]


def own_of(parcel: Parcel) -> list[str]:
    return [ref.credential_id for ref in parcel.credentials or ()]


# who goes with whom


def groups(parcel: Parcel, *credentials: Credential) -> list[tuple[list[str], list[int]]]:
    """Return the own keys of each group of lines, and their places."""
    state = AccountState(ACME)
    for credential in credentials:
        state.put(credential)
    found = concerned_lines(state, make_key(APP), parcel, ENDPOINTS)
    return [([one.credential_id for one in own], list(places)) for own, places in found]


def test_without_keys_for_some_users_all_lines_go_together() -> None:
    assert groups(mixed("alice", "", "bob")) == [([], [0, 1, 2])]
    assert groups(mixed("alice", ""), make_credential()) == [(["byok_1"], [0, 1])]


def test_lines_of_the_same_keys_go_together() -> None:
    hers = make_credential(allowed_users=ALICE)
    theirs = make_credential("byok_2", allowed_users=("alice", "bob"))
    everybodys = make_credential("byok_3")

    found = groups(mixed("alice", "", "bob", "alice", "carol"), hers, theirs, everybodys)

    assert found == [
        (["byok_1", "byok_2", "byok_3"], [0, 3]),
        (["byok_3"], [1, 4]),
        (["byok_2", "byok_3"], [2]),
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"allowed_users": ("dora",)},
        {"disabled": True},
        {"project": ProjectId("proj_b")},
        {"allowed_keys": ("key_b",)},
        {"allowed_models": ("gull",)},
        {"provider": "cinder"},
        {"provider": "cinder", "is_byok_only": True},
    ],
    ids=[
        "nobody's here", "disabled", "another project's", "another key's", "for another model",
        "at a provider without the model", "closing that provider",
    ],
)  # fmt: skip
def test_a_key_without_effect_parts_nobody(fields: dict[str, Any]) -> None:
    hers = make_credential(**{"allowed_users": ALICE} | fields)

    assert groups(mixed("alice", "bob"), hers) == [([], [0, 1])]


def test_a_key_that_closes_its_provider_parts_lines_of_every_model() -> None:
    hers = make_credential(allowed_users=ALICE, is_byok_only=True, allowed_models=("gull",))

    assert groups(mixed("bob", "alice"), hers) == [([], [0]), (["byok_1"], [1])]


def test_a_line_that_names_nobody_is_not_among_its_users() -> None:
    assert groups(mixed("", ""), make_credential(allowed_users=ALICE)) == [([], [0, 1])]
    assert groups(wanted(lines=(4, 7)), make_credential(allowed_users=ALICE)) == [([], [0, 1])]


# what becomes of a parcel


async def test_lines_of_mixed_users_part_under_one_hold() -> None:
    partition = await with_own(make_credential(allowed_users=ALICE, is_required=True))
    parcel = mixed("alice", "bob", "alice", "")

    sent = await sent_by(partition, parcel)

    hers, others = admitted(sent)
    assert (hers.lines, hers.users, own_of(hers)) == ((40, 42), ("alice", "alice"), ["byok_1"])
    assert (others.lines, others.users, own_of(others)) == ((41, 43), ("bob", ""), [])
    assert (hers.shared, others.shared) == (("borealis/tern",), None)
    assert {part.hold and part.hold.hold_id for part in (hers, others)} == {
        hold_id(parcel.parcel_id)
    }
    assert [record.value for record in on(ADMITTED.name, sent)] == [
        b'{"custom_id": "line-40"}\n{"custom_id": "line-42"}',
        b'{"custom_id": "line-41"}\n{"custom_id": "line-43"}',
    ]


async def test_each_part_has_an_id_of_its_own_and_the_first_one_keeps_the_parcels() -> None:
    partition = await with_own(make_credential(allowed_users=ALICE))
    parcel = mixed("alice", "bob")

    sent = on(ADMITTED.name, await sent_by(partition, parcel))

    ids = [part.parcel_id for part in admitted(sent)]
    assert ids[0] == parcel.parcel_id != ids[1]
    assert [record.key for record in sent] == [one.encode() for one in ids]
    assert [dict(record.headers)["ce_id"] for record in sent] == [one.encode() for one in ids]


async def test_a_parcel_of_one_user_goes_on_as_it_came() -> None:
    partition = await with_own(make_credential(allowed_users=ALICE))
    parcel = mixed("alice", "alice")

    (part,) = admitted(await sent_by(partition, parcel))

    assert (part.lines, part.parcel_id) == (parcel.lines, parcel.parcel_id)
    assert part.hold is not None
    assert part.hold.slots == ()


async def test_a_parcel_that_parted_is_admitted_once() -> None:
    partition = await with_own(make_credential(allowed_users=ALICE))
    parcel = mixed("alice", "bob")

    assert len(admitted(await sent_by(partition, parcel))) == 2
    assert admitted(await sent_by(partition, parcel)) == []


async def test_a_single_request_of_another_user_does_not_see_it() -> None:
    partition = await with_own(make_credential(allowed_users=ALICE, is_byok_only=True))
    singles = [
        numbered(n, lines=(0,), batch_id=None, request_id=f"req_{n:032x}", users=users)
        for n, users in enumerate((ALICE, ("bob",), ()))
    ]

    found = [admitted(await sent_by(partition, single)) for single in singles]

    assert [own_of(part) for (part,) in found] == [["byok_1"], [], []]
    assert [part.shared for (part,) in found] == [("borealis/tern",), None, None]


async def test_what_keys_close_for_one_user_is_refused_to_nobody_else() -> None:
    closing: dict[str, Any] = {"allowed_users": ALICE, "is_byok_only": True, "allowed_models": ("gull",)}  # fmt: skip
    partition = await with_own(
        make_credential(**closing), make_credential("byok_2", provider="borealis", **closing)
    )

    sent = await sent_by(partition, mixed("bob", "alice", "", "alice"))

    (others,) = admitted(sent)
    (refused,) = on(BATCH_RESULTS.name, sent)
    assert others.lines == (40, 42)
    assert [one.line for one in decode_envelope(refused.headers, ResultGroup).results] == [41, 43]
    assert {error["code"] for error in errors_of(refused)} == {"permission_denied"}


async def test_a_closed_single_request_of_its_user_is_refused() -> None:
    closing: dict[str, Any] = {"allowed_users": ALICE, "is_byok_only": True, "allowed_models": ("gull",)}  # fmt: skip
    partition = await with_own(
        make_credential(**closing), make_credential("byok_2", provider="borealis", **closing)
    )
    single = wanted(lines=(0,), batch_id=None, request_id="req_" + "1" * 32, users=ALICE)

    (refused,) = on(RESULTS.name, await sent_by(partition, single))

    assert errors_of(refused)[0]["code"] == "permission_denied"


async def test_the_first_lines_that_there_is_money_for_part_and_the_rest_goes_back() -> None:
    partition = await dear()
    own = command_record(asked(make_credential(allowed_users=ALICE)))
    parcel = mixed("alice", "bob", "alice", "bob", "alice")

    step = await partition.step([own, limited("3"), request_record(parcel)])

    sent = list(step.outgoing)
    (returned,) = on(BATCH_COMMANDS.name, sent)
    told = LinesReturned.from_json(returned.value or b"")
    assert [part.lines for part in admitted(sent)] == [(40, 42), (41,)]
    assert (told.position, told.count) == (23, 2)


async def test_one_reason_is_told_once_and_in_order_whatever_keys_the_lines_may_use() -> None:
    partition = await with_own(make_credential(allowed_users=ALICE))
    parcel = mixed("alice", "bob", "bob", "alice", output_most=(5, 500, 5, 500))

    step = await partition.step([bound(ACME, max_tokens=100), request_record(parcel)])

    (refused,) = on(BATCH_RESULTS.name, list(step.outgoing))
    assert [one.line for one in decode_envelope(refused.headers, ResultGroup).results] == [41, 43]
    assert [part.lines for part in admitted(list(step.outgoing))] == [(40,), (42,)]


async def test_each_line_is_held_at_what_its_own_ways_can_cost() -> None:
    """Of two providers at 1 and 5 USD the dearer one is closed to Alice; the others' lines may end there."""
    catalogue = Catalogue(
        providers=tuple(
            Provider(
                name=name,
                base_url="http://none",
                models=(Offer(model="tern", prices=Prices(request=Decimal(usd))),),
            )
            for name, usd in (("atlas", 1), ("borealis", 5))
        )
    )
    partition = make_partition(catalogue=catalogue)
    closing = make_credential(
        provider="borealis", allowed_users=ALICE, is_byok_only=True, allowed_models=("gull",)
    )
    founded_ = (make_founded(), ask_key(make_key(APP)), asked(closing))
    await partition.step([command_record(command) for command in founded_])

    await partition.step([request_record(mixed("bob", "alice", "alice"))])

    assert partition.core.states[ACME].totals_of(ACME).held[Window.TOTAL] == units(5 + 1 + 1)


# any parcel, any keys

USERS = st.lists(st.sampled_from(["", "alice", "bob", "carol"]), min_size=1, max_size=6)
OWN = st.lists(
    st.builds(
        make_credential,
        st.sampled_from([f"byok_{n}" for n in range(5)]),
        provider=st.sampled_from(["atlas", "borealis"]),
        is_fallback=st.booleans(),
        is_required=st.booleans(),
        allowed_models=st.sampled_from([None, ("tern",), ("gull",)]),
        allowed_users=st.sampled_from([None, ALICE, ("bob",), ("alice", "carol")]),
    )
    | st.builds(
        make_credential,
        st.sampled_from([f"byok_{n}" for n in range(5)]),
        provider=st.sampled_from(["atlas", "borealis"]),
        is_byok_only=st.just(True),
        allowed_models=st.sampled_from([None, ("gull",)]),
        allowed_users=st.sampled_from([None, ALICE, ("bob",), ("alice", "carol")]),
    ),
    max_size=5,
    unique_by=lambda one: one.credential_id,
)
RULES = st.sampled_from([Rules(), Rules(max_tokens=100), Rules(ignored_providers=("atlas",))])


def told(sent: list[Outgoing]) -> dict[int, Any]:
    """Return what becomes of each line: its ways, or why it is refused."""
    found: dict[int, Any] = {}
    for part in admitted(sent):
        for line in part.lines:
            assert line not in found
            found[line] = (part.permitted, part.shared, part.credentials, part.max_tokens)
    for record in on(BATCH_RESULTS.name, sent):
        group = decode_envelope(record.headers, ResultGroup)
        for result, error in zip(group.results, errors_of(record), strict=True):
            assert result.line not in found
            found[result.line or 0] = error
    return found


@given(OWN, USERS, RULES)
async def test_a_line_goes_the_ways_that_it_would_go_alone(
    own: list[Credential], users: Sequence[str], rules: Rules
) -> None:
    partition, other = await with_own(*own), await with_own(*own)
    for one in (partition, other):
        await one.step([bound(APP, **rules.model_dump(exclude_defaults=True))])
    limits = [5, 500, 5, 5, 500, 500][: len(users)]
    parcel = mixed(*users, output_most=tuple(limits))

    together = await sent_by(partition, parcel)
    alone: dict[int, Any] = {}
    for place, line in enumerate(parcel.lines):
        single = numbered(place, lines=(line,), users=(users[place],), output_most=(limits[place],))
        alone |= told(await sent_by(other, single))

    assert told(together) == alone
    assert sorted(alone) == list(parcel.lines)


@given(OWN, USERS, RULES)
async def test_parts_lie_where_their_lines_lay_and_their_hold_ends_with_the_last(
    own: list[Credential], users: Sequence[str], rules: Rules
) -> None:
    partition = await with_own(*own)
    await partition.step([bound(APP, **rules.model_dump(exclude_defaults=True))])
    parcel = mixed(*users)

    sent = await sent_by(partition, parcel)

    parts = admitted(sent)
    assert len({part.parcel_id for part in parts}) == len(parts)
    for part, record in zip(parts, on(ADMITTED.name, sent), strict=True):
        assert [part.slot_of(line) for line in part.lines] == [line - 40 for line in part.lines]
        assert [part.user_of(line) for line in part.lines] == [users[line - 40] for line in part.lines]  # fmt: skip
        assert len(split_lines(record.value or b"")) == len(part.lines)
    for number, part in enumerate(parts):
        assert len(partition.core.ledger.books.holds) == 1
        group = UsageGroup(executions=(), ended=(hold_end(part, part.lines),))
        await partition.step([Record(USAGE.name, 0, number, NOW_MS, ACME.encode(), group.to_json(), ())])  # fmt: skip
    assert len(partition.core.ledger.books.holds) == 0
