"""The partition around the core: what is read, what is admitted, what is refused."""

import json
from decimal import Decimal
from typing import Any

import pytest

from crossdock.accounts.partition import AccountsPartition
from crossdock.kernel.drivers.object_store import Objects, open_objects
from crossdock.kernel.process.clock import ManualClock
from crossdock.kernel.process.errors import StoreError
from crossdock.kernel.process.health import Health
from crossdock.kernel.process.record import Outgoing, Record
from crossdock_schemas.accounts.control import (
    BudgetChange,
    Command,
    CredentialChange,
    KeyChange,
    KeyDeletion,
    PolicyChange,
    PolicyRemoval,
    PrepaymentSet,
    ProjectChange,
)
from crossdock_schemas.accounts.credential import Credential
from crossdock_schemas.accounts.demands import Demands
from crossdock_schemas.accounts.policy import Rules
from crossdock_schemas.batches.batch import Granted, LinesReturned
from crossdock_schemas.calls.usage import UsageGroup, hold_end
from crossdock_schemas.codec import ENVELOPE, decode_envelope, encode_headers
from crossdock_schemas.dead_letter import DeadLetter
from crossdock_schemas.ids import ExecutionId, KeyId, hold_id
from crossdock_schemas.parcel.parcel import BodyRef, Hold, Parcel
from crossdock_schemas.parcel.result import Outcome, ResultGroup
from crossdock_schemas.pricing.catalogue import Catalogue, Offer, Provider
from crossdock_schemas.pricing.prices import Cost, Prices
from crossdock_schemas.topics import (
    ACCOUNT_CHANGES,
    ACCOUNT_COMMANDS,
    ACCOUNT_DIRECTORY,
    ACCOUNT_JOURNAL,
    ADMITTED,
    BATCH_COMMANDS,
    BATCH_RESULTS,
    DEAD_LETTERS,
    REQUESTS,
    RESULTS,
    USAGE,
)
from crossdock_schemas.windows import Window
from support.builders import make_parcel, make_usage
from unit.accounts.builders import ACME, NOW_MS, PROJECT, ask_key, common, make_founded, make_key
from unit.accounts.commands.test_credentials import asked, make_credential, seal

APP = KeyId("key_app")
CATALOGUE = Catalogue(
    providers=tuple(
        Provider(name=name, base_url="http://none", models=(Offer(model="tern", prices=Prices()),))
        for name in ("atlas", "borealis")
    )
)


def make_partition(
    objects: Objects | None = None, catalogue: Catalogue = CATALOGUE
) -> AccountsPartition:
    objects = objects or open_objects("memory://")
    health = Health("accounts", 0)
    return AccountsPartition(catalogue, objects, ManualClock(NOW_MS), health=health)


def command_record(command: Command | bytes, offset: int = 0) -> Record:
    value = command if isinstance(command, bytes) else command.to_json()
    return Record(ACCOUNT_COMMANDS.name, 0, offset, NOW_MS, ACME.encode(), value, ())


def request_record(parcel: Parcel, value: bytes | None = None, offset: int = 0) -> Record:
    lines = [json.dumps({"custom_id": f"line-{n}"}).encode() for n in parcel.lines]
    headers = encode_headers(REQUESTS, "crossdock/ingress", parcel.parcel_id, NOW_MS, parcel)
    content = b"\n".join(lines) if value is None else value
    return Record(REQUESTS.name, 0, offset, NOW_MS, ACME.encode(), content, tuple(headers))


async def founded(
    objects: Objects | None = None, catalogue: Catalogue = CATALOGUE
) -> AccountsPartition:
    partition = make_partition(objects, catalogue)
    await partition.step([command_record(make_founded()), command_record(ask_key(make_key(APP)))])
    return partition


def wanted(**changes: object) -> Parcel:
    return make_parcel(account=ACME, project=PROJECT, key_id=APP, **changes)


def numbered(number: int, **changes: object) -> Parcel:
    return wanted(parcel_id=f"parcel_{number:032x}", **changes)


def on(topic: str, outgoing: list[Outgoing]) -> list[Outgoing]:
    return [record for record in outgoing if record.topic == topic]


async def test_a_command_that_cannot_be_read_is_a_dead_letter_and_holds_nobody_up() -> None:
    partition = make_partition()
    commands: tuple[Command | bytes, ...] = (
        make_founded(),
        b"garbage",
        ask_key(make_key("key_new")),
    )

    step = await partition.step([command_record(c, n) for n, c in enumerate(commands)])

    assert len(on(DEAD_LETTERS.name, list(step.outgoing))) == 1
    assert len(on(ACCOUNT_CHANGES.name, list(step.outgoing))) == 2
    assert "key_new" in partition.core.states[ACME].keys


async def test_the_next_owner_goes_on_where_the_pages_end() -> None:
    first, second = make_partition(), make_partition()
    step = await first.step([command_record(make_founded())])

    second.restore(step.pages)
    await second.step([command_record(ask_key(make_key("key_new")))])

    assert second.core.states[ACME].number == 2


async def test_an_admitted_parcel_goes_on_as_it_came() -> None:
    partition = await founded()
    record = request_record(wanted())

    step = await partition.step([record])

    (admitted,) = on(ADMITTED.name, list(step.outgoing))
    parcel = decode_envelope(admitted.headers, Parcel)
    assert admitted.key == parcel.parcel_id.encode()
    assert admitted.value == record.value
    assert parcel == wanted(hold=Hold(hold_id=hold_id(parcel.parcel_id)))
    assert dict(admitted.headers)["ce_type"] == ADMITTED.ce_type.encode()


async def test_a_parcel_is_admitted_under_its_own_its_keys_and_its_projects_tags() -> None:
    """Kind 10 of issue 16: the key's go before the project's, and those before the request's."""
    partition = await founded()
    commands: tuple[Command, ...] = (
        ProjectChange(**common(), project=PROJECT, tags={"a": "project", "b": "project"}),
        KeyChange(**common(), key_id=APP, tags={"b": "key", "c": "key"}),
    )
    parcels = (
        numbered(1, tags={"c": "request", "d": "request"}),
        numbered(2, tags={"a": "then", "b": "then"}),
    )
    asked_for = [command_record(command) for command in commands]

    step = await partition.step([*asked_for, *(request_record(parcel) for parcel in parcels)])

    found = [decode_envelope(r.headers, Parcel).tags for r in on(ADMITTED.name, step.outgoing)]
    assert found == [
        {"a": "project", "b": "key", "c": "key", "d": "request"},
        {"a": "project", "b": "key", "c": "key"},
    ]


async def test_a_parcel_that_comes_twice_is_admitted_once() -> None:
    """A worker's heir sends again what it sent already."""
    partition = await founded()

    step = await partition.step([request_record(wanted(), offset=n) for n in range(2)])

    assert len(on(ADMITTED.name, list(step.outgoing))) == 1


@pytest.mark.parametrize(
    ("command", "status", "code"),
    [
        (KeyDeletion(**common(), key_id=APP), 401, "invalid_api_key"),
        (KeyChange(**common(), key_id=APP, disabled=True), 401, "invalid_api_key"),
        (
            ProjectChange(**common(), project=PROJECT, disabled=True, force=True),
            403,
            "permission_denied",
        ),
    ],
    ids=["deleted", "disabled", "project disabled"],
)
async def test_nothing_is_admitted_after_a_key_was_taken_away(
    command: Command, status: int, code: str
) -> None:
    """Also what lies before the command in another topic, but is read with it."""
    partition = await founded()

    step = await partition.step([request_record(wanted()), command_record(command)])

    assert on(ADMITTED.name, list(step.outgoing)) == []
    (refused,) = on(BATCH_RESULTS.name, list(step.outgoing))
    group = decode_envelope(refused.headers, ResultGroup)
    assert {(r.outcome, r.status_code, r.error_code) for r in group.results} == {(Outcome.FAILED, status, code)}  # fmt: skip
    lines = [json.loads(line) for line in (refused.value or b"").splitlines()]
    assert [line["custom_id"] for line in lines] == [f"line-{n}" for n in wanted().lines]
    assert {line["response"]["body"]["error"]["code"] for line in lines} == {code}


async def test_an_expired_key_does_not_end_what_was_accepted_before() -> None:
    partition = await founded()
    key = partition.core.states[ACME].keys[APP]
    partition.core.states[ACME].put(key.model_copy(update={"expires_at_ms": NOW_MS - 1}))

    step = await partition.step([request_record(wanted())])

    assert len(on(ADMITTED.name, list(step.outgoing))) == 1


async def test_a_refused_body_that_lies_in_the_store_is_read_for_its_ids() -> None:
    objects = open_objects("memory://")
    await objects.put("bodies/x", b'{"custom_id":"mine"}')
    partition = await founded(objects)
    reference = BodyRef(path="bodies/x", start=0, length=20)
    request_id = "req_" + "1" * 32
    parcel = wanted(lines=(0,), batch_id=None, request_id=request_id, body_ref=reference)

    await partition.step([command_record(KeyDeletion(**common(), key_id=APP))])
    step = await partition.step([request_record(parcel, b"")])

    (refused,) = step.outgoing
    assert (refused.topic, refused.key) == (RESULTS.name, request_id.encode())
    assert json.loads(refused.value or b"")["custom_id"] == "mine"


async def test_what_is_no_parcel_is_a_dead_letter() -> None:
    partition = await founded()
    garbage = Record(REQUESTS.name, 0, 5, NOW_MS, None, b"garbage", ())

    step = await partition.step([garbage])

    assert [record.topic for record in step.outgoing] == [DEAD_LETTERS.name]


async def test_a_parcel_that_cannot_be_applied_names_itself_and_its_lines_end() -> None:
    """What it asks for is of other lines: the step raises, and the shard's runtime undoes it."""
    partition = await founded()
    poison = request_record(wanted(input_most=(1,) * 9))

    with pytest.raises(ValueError, match="zip"):
        await partition.step([poison])
    sent = await partition.set_aside(poison, ValueError("zip"))

    assert partition.applying == poison
    kept, refused = sent
    assert decode_envelope(kept.headers, DeadLetter).is_answered
    group = decode_envelope(refused.headers, ResultGroup)
    assert {result.error_code for result in group.results} == {"request_set_aside"}
    assert [result.line for result in group.results] == list(wanted().lines)


async def test_usage_that_cannot_be_booked_may_be_replayed() -> None:
    partition = await founded()
    record = Record(USAGE.name, 0, 5, NOW_MS, b"key", b"{}", ())

    (kept,) = await partition.set_aside(record, KeyError("key_app"))

    assert not decode_envelope(kept.headers, DeadLetter).is_answered


async def test_refused_lines_that_cannot_be_read_end_all_the_same() -> None:
    partition = await founded()
    await partition.step([command_record(KeyDeletion(**common(), key_id=APP))])

    step = await partition.step([request_record(wanted(), b"not the lines")])

    (refused,) = step.outgoing
    group = decode_envelope(refused.headers, ResultGroup)
    assert [result.line for result in group.results] == list(wanted().lines)
    assert {result.custom_id for result in group.results} == {""}


async def test_nobodys_parcel_is_refused() -> None:
    partition = make_partition()

    step = await partition.step([request_record(wanted())])

    assert [record.topic for record in step.outgoing] == [BATCH_RESULTS.name]


async def test_what_calls_cost_is_booked_and_told() -> None:
    partition = await founded()
    row = make_usage(account=ACME, key_id=APP, project=PROJECT, cost=Cost(output=Decimal(1)))
    value = UsageGroup(executions=(row,)).to_json()
    usage = Record(USAGE.name, 0, 0, NOW_MS, ACME.encode(), value, ())
    garbage = Record(USAGE.name, 0, 1, NOW_MS, ACME.encode(), b"{", ())

    step = await partition.step([usage, garbage])

    topics = [record.topic for record in step.outgoing]
    assert sorted(topics) == sorted([ACCOUNT_JOURNAL.name, ACCOUNT_DIRECTORY.name, DEAD_LETTERS.name])  # fmt: skip
    assert partition.core.states[ACME].spend(APP).total_usd == 1


async def under(*policies: PolicyChange) -> Outgoing:
    """Return what becomes of a parcel for `tern` under `policies`."""
    partition = await founded()
    step = await partition.step([*map(command_record, policies), request_record(wanted())])
    (parcel,) = (r for r in step.outgoing if r.topic in {ADMITTED.name, BATCH_RESULTS.name})
    return parcel


def policy(scope: str, **rules: tuple[str, ...]) -> PolicyChange:
    return PolicyChange(**common(), scope=scope, rules=Rules(**rules))


async def test_a_policy_leaves_some_endpoints_and_the_envelope_says_which() -> None:
    admitted = await under(policy(PROJECT, ignored_providers=("atl*",)))

    parcel = decode_envelope(admitted.headers, Parcel)
    assert parcel.permitted == ("borealis/tern",)


async def test_a_policy_that_forbids_nothing_leaves_the_envelope_as_it_is() -> None:
    admitted = await under(policy(ACME, ignored_models=("gull*",)))

    assert decode_envelope(admitted.headers, Parcel).permitted is None


async def test_the_policies_of_all_levels_must_agree() -> None:
    """Each leaves one provider; together they leave none, and the caller hears whose rule it was."""
    refused = await under(
        policy(ACME, allowed_providers=("atlas",)), policy(APP, ignored_providers=("atlas",))
    )

    assert refused.topic == BATCH_RESULTS.name
    error = json.loads(refused.value or b"")["response"]["body"]["error"]
    assert (error["code"], error["type"]) == ("permission_denied", "permission_denied")
    assert "atlas/tern by ignored_providers of the key key_app" in error["message"]
    assert "borealis/tern by allowed_providers of the organization org_acme" in error["message"]


async def test_a_refusal_tells_of_some_endpoints_and_counts_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crossdock.accounts.admission.policy_check.MAX_NAMED", 1)

    refused = await under(policy(ACME, allowed_models=()))

    assert "; and 1 more" in (refused.value or b"").decode()


async def test_a_policy_counts_from_the_step_that_sets_it_to_the_step_that_clears_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crossdock.accounts.admission.policy_check.MAX_KNOWN", 1)
    partition = await founded()
    seen = []
    commands: list[Command | None] = [
        None,
        policy(ACME, allowed_models=("gull",)),
        policy(ACME, allowed_models=("tern",)),
        policy(ACME, ignored_providers=("atlas",)),
        PolicyRemoval(**common(), scope=ACME),
    ]
    for number, command in enumerate(commands):
        records = [] if command is None else [command_record(command)]
        step = await partition.step([request_record(numbered(number)), *records])
        (parcel,) = (r for r in step.outgoing if r.topic in {ADMITTED.name, BATCH_RESULTS.name})
        is_admitted = parcel.topic == ADMITTED.name
        seen.append(decode_envelope(parcel.headers, Parcel).permitted if is_admitted else "refused")

    assert seen == [None, "refused", None, ("borealis/tern",), None]


async def test_a_model_that_nobody_serves_is_the_routers_to_refuse() -> None:
    partition = await founded()
    strict = command_record(policy(ACME, allowed_models=()))

    step = await partition.step([strict, request_record(wanted(model="none"))])

    assert on(ADMITTED.name, list(step.outgoing)) != []


async def test_parcels_of_one_wish_get_one_answer() -> None:
    partition = await founded()
    strict = command_record(policy(ACME, ignored_providers=("atlas",)))

    step = await partition.step(
        [strict, *(request_record(numbered(n), offset=n) for n in range(3))]
    )

    left = [decode_envelope(r.headers, Parcel).permitted for r in on(ADMITTED.name, list(step.outgoing))]  # fmt: skip
    assert left == [("borealis/tern",)] * 3


# own provider keys


async def with_own(*credentials: Credential, policy_: PolicyChange | None = None) -> Outgoing:
    """Return what becomes of a parcel of a key that these own provider keys concern."""
    partition = await founded()
    commands: list[Command] = [asked(credential) for credential in credentials]
    commands += [policy_] if policy_ is not None else []
    await partition.step([command_record(command) for command in commands])
    (sent,) = (await partition.step([request_record(wanted(), offset=9)])).outgoing[-1:]
    return sent


async def test_own_keys_travel_with_the_parcel() -> None:
    sent = await with_own(make_credential(is_required=True), make_credential("byok_2", disabled=True))  # fmt: skip

    parcel = decode_envelope(sent.headers, Parcel)
    assert sent.topic == ADMITTED.name
    assert parcel.shared == ("borealis/tern",)
    assert [ref.credential_id for ref in parcel.credentials or ()] == ["byok_1"]


async def test_without_own_keys_the_envelope_says_nothing_of_them() -> None:
    sent = await with_own(make_credential(allowed_models=("gull",)))

    envelope = dict(sent.headers)[ENVELOPE]
    assert b"credentials" not in envelope
    assert b"shared" not in envelope


async def test_a_policy_binds_own_keys_too() -> None:
    forbidden = policy("key_app", ignored_providers=("atlas",))

    sent = await with_own(make_credential(), policy_=forbidden)

    parcel = decode_envelope(sent.headers, Parcel)
    assert (parcel.permitted, parcel.credentials) == (("borealis/tern",), None)


async def test_where_own_keys_close_everything_the_lines_end() -> None:
    only: dict[str, Any] = {"is_byok_only": True, "allowed_models": ("gull",)}

    sent = await with_own(
        make_credential("byok_0", allowed_models=("gull",)),  # closes nothing, and is not told
        make_credential(**only),
        make_credential("byok_2", provider="borealis", **only),
    )

    group = decode_envelope(sent.headers, ResultGroup)
    assert (group.results[0].status_code, group.results[0].error_code) == (403, "permission_denied")
    assert b"is_byok_only" in (sent.value or b"")
    excluded = errors_of(sent)[0]["metadata"]["excluded_by"]
    assert [one["scope"] for one in excluded] == ["byok_1", "byok_2"]


async def test_another_secret_is_in_the_next_parcels_plan() -> None:
    partition = await founded()
    await partition.step([command_record(asked(make_credential()))])
    first = await partition.step([request_record(numbered(1), offset=1)])
    change = CredentialChange(**common(), credential_id="byok_1", sealed=seal(version=2))
    second = await partition.step([command_record(change, 2), request_record(numbered(2), offset=3)])  # fmt: skip

    versions = []
    for step in (first, second):
        (admitted,) = on(ADMITTED.name, list(step.outgoing))
        (ref,) = decode_envelope(admitted.headers, Parcel).credentials or ()
        versions.append(ref.version)
    assert versions == [1, 2]


def limited(usd: str, **fields: Any) -> Record:
    command = BudgetChange(**common(), scope=APP, window=Window.TOTAL, limit_usd=usd)
    return command_record(command)


DEAR = Catalogue(
    providers=(
        Provider(
            name="atlas",
            base_url="http://none",
            models=(Offer(model="tern", prices=Prices(request=Decimal(1))),),
        ),
    )
)


async def dear() -> AccountsPartition:
    """Return a partition where each call costs 1 USD."""
    partition = make_partition(catalogue=DEAR)
    await partition.step([command_record(make_founded()), command_record(ask_key(make_key(APP)))])
    return partition


async def test_of_a_batchs_parcel_what_fits_goes_on_and_the_rest_goes_back() -> None:
    partition = await dear()
    repeats = {4: ExecutionId("exec_1"), 9: ExecutionId("exec_2")}
    parcel = wanted(lines=(4, 7, 9), position=20, repeats=repeats)

    step = await partition.step([limited("2"), request_record(parcel)])

    (admitted,) = on(ADMITTED.name, list(step.outgoing))
    (returned,) = on(BATCH_COMMANDS.name, list(step.outgoing))
    part = decode_envelope(admitted.headers, Parcel)
    told = LinesReturned.from_json(returned.value or b"")
    assert (part.lines, len((admitted.value or b"").splitlines())) == ((4, 7), 2)
    assert part.hold == Hold(hold_id=hold_id(parcel.parcel_id), is_limited=True)
    assert len(part.held) == len(part.lines)
    assert (told.position, told.count, told.repeats) == (22, 1, {9: "exec_2"})
    assert (told.reason.code, told.reason.scope) == ("budget_exceeded", APP)


async def test_a_parcel_of_which_nothing_fits_goes_back_whole() -> None:
    partition = await dear()

    step = await partition.step([limited("0.5"), request_record(wanted(position=3))])

    assert on(ADMITTED.name, list(step.outgoing)) == []
    (returned,) = on(BATCH_COMMANDS.name, list(step.outgoing))
    assert LinesReturned.from_json(returned.value or b"").position == 3


@pytest.mark.parametrize(
    ("command", "status", "code"),
    [
        (limited("0.5"), 402, "budget_exceeded"),
        (command_record(PrepaymentSet(**common(), is_prepaid=True)), 402, "insufficient_credits"),
    ],
    ids=["budget", "credits"],
)
async def test_a_single_request_without_money_is_refused_at_once(
    command: Record, status: int, code: str
) -> None:
    partition = await dear()
    single = wanted(lines=(0,), batch_id=None, request_id="req_" + "1" * 32)

    step = await partition.step([command, request_record(single)])

    (refused,) = on(RESULTS.name, list(step.outgoing))
    response = json.loads(refused.value or b"")["response"]
    assert (response["status_code"], response["body"]["error"]["code"]) == (status, code)
    assert "this can cost up to 1 USD" in response["body"]["error"]["message"]


async def test_an_end_user_and_a_keys_tag_are_held_against_their_budgets() -> None:
    """Of the batch two of alice's lines fit; the tag, which the key brings, has room for one of two single requests."""
    partition = await dear()
    commands: tuple[Command, ...] = (
        KeyChange(**common(), key_id=APP, tags={"team": "search"}),
        BudgetChange(**common(), scope="user:alice", window=Window.DAILY, limit_usd=Decimal(2)),
        BudgetChange(
            **common(), scope="tag:team=search", window=Window.DAILY, limit_usd=Decimal(4)
        ),
    )
    users = ("alice", "bob", "alice", "alice")
    batch = numbered(1, lines=(0, 1, 2, 3), users=users, position=0)
    singles = [numbered(n, lines=(0,), batch_id=None, request_id=f"req_{n:032x}") for n in (2, 3)]
    asked_for = [command_record(command) for command in commands]

    step = await partition.step([*asked_for, *map(request_record, (batch, *singles))])

    (admitted, _) = on(ADMITTED.name, list(step.outgoing))
    (returned,) = on(BATCH_COMMANDS.name, list(step.outgoing))
    (refused,) = on(RESULTS.name, list(step.outgoing))
    part = decode_envelope(admitted.headers, Parcel)
    assert (part.lines, part.users) == ((0, 1, 2), users[:3])
    assert LinesReturned.from_json(returned.value or b"").reason.scope == "user:alice"
    response = json.loads(refused.value or b"")["response"]
    assert (response["status_code"], response["body"]["error"]["code"]) == (402, "budget_exceeded")
    assert "of tag:team=search leaves 0 USD" in response["body"]["error"]["message"]


async def test_a_key_that_is_too_fast_is_told_when_to_come_back() -> None:
    partition = await dear()
    slow = command_record(KeyChange(**common(), key_id=APP, rpm=1))
    singles = [numbered(n, lines=(0,), batch_id=None, request_id=f"req_{n:032x}") for n in range(2)]

    step = await partition.step([slow, *map(request_record, singles)])

    (refused,) = on(RESULTS.name, list(step.outgoing))
    response = json.loads(refused.value or b"")["response"]
    assert (response["status_code"], response["body"]["error"]["retry_after"]) == (429, 60)


async def test_a_key_that_uses_too_much_is_told_when_to_come_back_and_a_batch_goes_on_by_itself() -> (
    None
):
    clock = ManualClock(NOW_MS)
    partition = AccountsPartition(
        DEAR, open_objects("memory://"), clock, health=Health("accounts", 0)
    )
    await partition.step([command_record(make_founded()), command_record(ask_key(make_key(APP)))])
    slow = command_record(KeyChange(**common(), key_id=APP, tpm=100))
    sizes = {"input_bytes": 40, "output_most": (90,)}
    single = {"batch_id": None, "request_id": "req_" + "1" * 32}
    first = request_record(numbered(1, lines=(0,), position=0, **sizes))
    second = request_record(numbered(2, lines=(1,), position=1, **sizes))
    third = request_record(numbered(3, lines=(0,), **single, **sizes))

    step = await partition.step([slow, first, second, third])
    clock.advance(60_000)
    later = await partition.step([])

    (refused,) = on(RESULTS.name, list(step.outgoing))
    error = json.loads(refused.value or b"")["response"]["body"]["error"]
    assert (error["type"], error["retry_after"]) == ("tokens", 60)
    (returned,) = [
        LinesReturned.from_json(r.value or b"")
        for r in on(BATCH_COMMANDS.name, list(step.outgoing))
    ]
    assert (returned.position, returned.reason.until_ms) == (1, NOW_MS + 60_000)
    (granted,) = on(BATCH_COMMANDS.name, list(later.outgoing))
    assert Granted.from_json(granted.value or b"").batch_id == returned.batch_id


async def test_a_store_that_refuses_the_body_of_a_refused_request_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crossdock.accounts.partition.RETRY_S", 0)
    objects = open_objects("memory://")
    partition = await founded(objects)
    reference = BodyRef(path="bodies/x", start=0, length=20)
    parcel = wanted(lines=(0,), body_ref=reference)
    faults = [StoreError("away")]

    async def get_range(*_: object) -> bytes:
        if faults:
            raise faults.pop()
        return b'{"custom_id":"mine"}'

    monkeypatch.setattr(objects, "get_range", get_range)
    await partition.step([command_record(KeyDeletion(**common(), key_id=APP))])
    step = await partition.step([request_record(parcel, b"")])

    (refused,) = on(BATCH_RESULTS.name, list(step.outgoing))
    assert json.loads(refused.value or b"")["custom_id"] == "mine"


# what lines may ask for


def bound(scope: str, **rules: Any) -> Record:
    return command_record(PolicyChange(**common(), scope=scope, rules=Rules(**rules)))


def asking(**changes: Any) -> Parcel:
    """Return a batch's parcel of three lines, of which the second asks for much and the third for tools."""
    values = {"lines": (4, 7, 9), "position": 20, "output_most": (5, 500, 0), "tools": (0, 0, 1)}
    return wanted(**values | changes)


def errors_of(record: Outgoing) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (record.value or b"").splitlines()]
    return [line["response"]["body"]["error"] for line in lines]


async def test_lines_that_policies_deny_are_refused_and_the_others_go_on() -> None:
    partition = await founded()
    policies = [bound(ACME, max_tokens=200), bound(APP, max_tokens=100, tools="deny")]

    step = await partition.step([*policies, request_record(asking())])

    (admitted,) = on(ADMITTED.name, list(step.outgoing))
    part = decode_envelope(admitted.headers, Parcel)
    assert (part.lines, part.max_tokens) == ((4,), 100)
    assert admitted.value == b'{"custom_id": "line-4"}'
    much, tools = on(BATCH_RESULTS.name, list(step.outgoing))
    assert [r.line for r in decode_envelope(much.headers, ResultGroup).results] == [7]
    assert [r.line for r in decode_envelope(tools.headers, ResultGroup).results] == [9]
    (error,) = errors_of(much)
    assert (error["code"], error["param"]) == ("permission_denied", "max_tokens")
    assert "100 output tokens" in error["message"]
    assert "max_tokens of the key key_app" in error["message"]
    assert errors_of(tools)[0]["metadata"] == {"rule": "tools", "scope": APP, "level": "key"}


async def test_where_all_lines_are_denied_nothing_is_held() -> None:
    partition = await founded()

    step = await partition.step([bound(ACME, max_tokens=1), request_record(asking(output_most=(2, 2, 2)))])  # fmt: skip

    (refused,) = on(BATCH_RESULTS.name, list(step.outgoing))
    assert len(errors_of(refused)) == 3
    assert on(ADMITTED.name, list(step.outgoing)) == []
    assert len(partition.core.ledger.books.holds) == 0


async def test_a_denied_single_request_is_read_where_its_body_lies() -> None:
    objects = open_objects("memory://")
    await objects.put("bodies/x", b'{"custom_id":"mine"}')
    partition = await founded(objects)
    reference = BodyRef(path="bodies/x", start=0, length=20)
    single = wanted(
        lines=(0,), batch_id=None, request_id="req_" + "1" * 32, tools=(1,), body_ref=reference
    )

    step = await partition.step([bound(PROJECT, tools="deny"), request_record(single, b"")])

    (refused,) = on(RESULTS.name, list(step.outgoing))
    assert json.loads(refused.value or b"")["custom_id"] == "mine"
    assert "tools of the project proj_default" in errors_of(refused)[0]["message"]


async def test_the_hold_of_the_others_ends_with_them() -> None:
    """A denied line makes no call, so nobody would end its place under the hold."""
    partition = await founded()
    step = await partition.step([bound(ACME, max_tokens=100), request_record(asking())])
    (admitted,) = on(ADMITTED.name, list(step.outgoing))
    part = decode_envelope(admitted.headers, Parcel)
    assert part.lines == (4, 9)
    assert part.hold is not None
    assert part.hold.slots == (0, 2)
    end = hold_end(part, part.lines)
    assert end is not None

    value = UsageGroup(executions=(), ended=(end,)).to_json()
    await partition.step([Record(USAGE.name, 0, 0, NOW_MS, ACME.encode(), value, ())])

    assert len(partition.core.ledger.books.holds) == 0


async def test_a_denied_line_behind_one_without_money_waits_with_it() -> None:
    """Lines go back from the first that does not fit; what is denied among them is refused when it comes again."""
    partition = await dear()
    parcel = wanted(lines=(4, 7, 9, 11), position=20, output_most=(500, 5, 5, 500))

    step = await partition.step([limited("1"), bound(ACME, max_tokens=100), request_record(parcel)])

    (admitted,) = on(ADMITTED.name, list(step.outgoing))
    (refused,) = on(BATCH_RESULTS.name, list(step.outgoing))
    (returned,) = on(BATCH_COMMANDS.name, list(step.outgoing))
    part = decode_envelope(admitted.headers, Parcel)
    told = LinesReturned.from_json(returned.value or b"")
    assert (part.lines, part.hold and part.hold.slots) == ((7,), (1,))
    assert [r.line for r in decode_envelope(refused.headers, ResultGroup).results] == [4]
    assert (told.position, told.count) == (22, 2)


async def test_denied_lines_before_one_without_money_hold_nothing() -> None:
    partition = await dear()
    parcel = wanted(lines=(4, 7), position=20, output_most=(500, 5))

    step = await partition.step([limited("0.5"), bound(ACME, max_tokens=100), request_record(parcel)])  # fmt: skip

    assert on(ADMITTED.name, list(step.outgoing)) == []
    assert len(on(BATCH_RESULTS.name, list(step.outgoing))) == 1
    (returned,) = on(BATCH_COMMANDS.name, list(step.outgoing))
    assert LinesReturned.from_json(returned.value or b"").position == 21
    assert len(partition.core.ledger.books.holds) == 0


async def test_a_cap_makes_the_worst_case_cheaper() -> None:
    """A token costs 0.1 USD here: without the cap the budget has no room for any answer."""
    offer = Offer(model="tern", prices=Prices(output=Decimal(100_000)))
    catalogue = Catalogue(providers=(Provider(name="atlas", base_url="http://x", models=(offer,)),))
    partition = AccountsPartition(
        catalogue, open_objects("memory://"), ManualClock(NOW_MS), health=Health("accounts", 0)
    )
    await partition.step([command_record(make_founded()), command_record(ask_key(make_key(APP)))])

    step = await partition.step([limited("1"), bound(APP, max_tokens=10), request_record(wanted())])  # fmt: skip

    (admitted,) = on(ADMITTED.name, list(step.outgoing))
    assert decode_envelope(admitted.headers, Parcel).max_tokens == 10


# which endpoints are excluded, for programs


async def test_every_excluded_endpoint_is_listed_with_its_rule_scope_and_level() -> None:
    refused = await under(
        policy(ACME, allowed_providers=("atlas",)), policy(APP, ignored_providers=("atlas",))
    )

    assert errors_of(refused)[0]["metadata"] == {
        "excluded_by": [
            {"endpoint": "atlas/tern", "scope": APP, "rule": "ignored_providers", "level": "key"},
            {
                "endpoint": "borealis/tern",
                "scope": ACME,
                "rule": "allowed_providers",
                "level": "organization",
            },
        ]
    }


async def test_what_own_keys_close_is_listed_beside_what_policies_exclude() -> None:
    only: dict[str, Any] = {"is_byok_only": True, "allowed_models": ("gull",)}

    sent = await with_own(
        make_credential("byok_2", provider="borealis", **only),
        policy_=policy(PROJECT, ignored_providers=("atlas",)),
    )

    assert errors_of(sent)[0]["metadata"]["excluded_by"] == [
        {"endpoint": "atlas/tern", "scope": PROJECT, "rule": "ignored_providers", "level": "project"},
        {"endpoint": "borealis/tern", "scope": "byok_2", "rule": "is_byok_only", "level": "own key"},
    ]  # fmt: skip


async def test_a_required_own_key_that_policies_do_not_leave_anything_closes_its_provider() -> None:
    """Its owner declares another region than the endpoint's; so a policy forbids it what it leaves to others."""
    sent = await with_own(
        make_credential(is_required=True, declared_region="us"),
        policy_=PolicyChange(
            **common(),
            scope=ACME,
            rules=Rules(allowed_data_regions=("global",), ignored_providers=("borealis",)),
        ),
    )

    error = errors_of(sent)[0]
    assert "(is_required)" in error["message"]
    assert [one["rule"] for one in error["metadata"]["excluded_by"]] == [
        "ignored_providers",
        "is_required",
    ]


def careful(*taking: str) -> Catalogue:
    """Return the catalogue with one endpoint for each word of `taking`: whether it takes unknown parameters."""
    providers = tuple(
        one.model_copy(update={"unknown_parameters": word})
        for one, word in zip(CATALOGUE.providers, taking, strict=True)
    )
    return Catalogue(providers=providers)


LIMITS: dict[str, tuple[Command, ...]] = {
    "nothing": (),
    "a budget": (BudgetChange(**common(), scope=ACME, window=Window.TOTAL, limit_usd=Decimal(9)),),
    "credits": (PrepaymentSet(**common(), is_prepaid=True),),
    "a budget of its tag": (
        BudgetChange(**common(), scope="tag:team=search", window=Window.DAILY, limit_usd=Decimal(9)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("taking", "limit", "permitted"),
    [
        (("auto", "auto"), "nothing", None),
        (("auto", "pass"), "a budget", ("borealis/tern",)),
        (("pass", "auto"), "credits", ("atlas/tern",)),
        (("auto", "pass"), "a budget of its tag", ("borealis/tern",)),
        (("pass", "pass"), "a budget", None),
        (("refuse", "auto"), "nothing", ("borealis/tern",)),
        (("auto", "auto"), "a budget", ()),
        (("auto", "refuse"), "credits", ()),
        (("refuse", "refuse"), "nothing", ()),
    ],
)
async def test_a_field_that_nobody_knows_passes_where_the_endpoint_takes_it(
    taking: tuple[str, str], limit: str, permitted: tuple[str, ...] | None
) -> None:
    partition = await founded(catalogue=careful(*taking))
    commands = [command_record(command) for command in LIMITS[limit]]
    parcel = wanted(unknown=("of_tomorrow",), tags={"team": "search"})

    step = await partition.step([*commands, request_record(parcel)])

    if permitted == ():
        (record,) = on(BATCH_RESULTS.name, list(step.outgoing))
        errors = [json.loads(line)["response"] for line in (record.value or b"").splitlines()]
        assert {error["status_code"] for error in errors} == {400}
        assert {error["body"]["error"]["param"] for error in errors} == {"of_tomorrow"}
    else:
        (record,) = on(ADMITTED.name, list(step.outgoing))
        assert decode_envelope(record.headers, Parcel).permitted == permitted


async def test_a_budget_binds_the_unknown_fields_of_later_requests_only() -> None:
    partition = await founded(catalogue=careful("auto", "auto"))
    (budget,) = map(command_record, LIMITS["a budget"])

    before = await partition.step([request_record(numbered(1, unknown=("x",)))])
    after = await partition.step([budget, request_record(numbered(2, unknown=("x",)))])

    assert len(on(ADMITTED.name, list(before.outgoing))) == 1
    assert on(ADMITTED.name, list(after.outgoing)) == []


@pytest.mark.parametrize("is_kept", [True, False])
async def test_nothing_is_kept_by_a_provider_under_zero_retention(*, is_kept: bool) -> None:
    catalogue = Catalogue(
        providers=tuple(
            one.model_copy(update={"retains_data": False}) for one in CATALOGUE.providers
        )
    )
    partition = await founded(catalogue=catalogue)
    policy = PolicyChange(**common(), scope=PROJECT, rules=Rules(zdr=True))
    lines = wanted().lines
    parcel = wanted(kept=tuple(int(is_kept) for _ in lines))

    step = await partition.step([command_record(policy), request_record(parcel)])

    refused = on(BATCH_RESULTS.name, list(step.outgoing))
    assert len(on(ADMITTED.name, list(step.outgoing))) == (not is_kept)
    assert len(refused) == is_kept
    if refused:
        first = json.loads((refused[0].value or b"").splitlines()[0])["response"]["body"]["error"]
        assert (first["param"], first["metadata"]["rule"]) == ("store", "zdr")


async def test_a_newer_catalogue_is_used_at_once() -> None:
    """The verdict on such parcels was remembered."""
    partition, only = await founded(), Demands(only=("borealis",))
    first = await partition.step([request_record(numbered(1, demands=only))])

    partition.use(Catalogue(providers=CATALOGUE.providers[:1]))
    second = await partition.step([request_record(numbered(2, demands=only), offset=1)])

    assert len(on(ADMITTED.name, first.outgoing)) == 1
    assert on(ADMITTED.name, second.outgoing) == []
