"""Tokens per minute: reserved when a call begins, given back when it ended, over any time no more than the limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossdock.accounts.admission.policy_check import not_now
from crossdock.accounts.admission.rate_limits import RateUnit
from crossdock.accounts.core import AccountsCore
from crossdock.accounts.ledger.deduplication import BookedCalls
from crossdock.accounts.ledger.ledger import LONG_STOP_MS, Admitted
from crossdock.accounts.state.holds import HoldOwner
from crossdock.accounts.state.token_bucket import (
    PARTS,
    TokenBucket,
    count_fitting,
    count_of_size,
    fill,
    level_of,
    next_ms,
    reservation_of,
)
from crossdock.accounts.state.token_reservations import TokenReservations
from crossdock.kernel.process.record import Page, Step
from crossdock_schemas.accounts.control import KeyChange, KeyDeletion, KeyRotation
from crossdock_schemas.batches.batch import Granted
from crossdock_schemas.calls.usage import CallOutcome, ChargeGroup, HoldEnd, Usage
from crossdock_schemas.ids import HoldId, KeyId, derive_token, hold_id
from crossdock_schemas.parcel.parcel import Parcel
from crossdock_schemas.pricing.worst_case import Ask
from crossdock_schemas.tokens import Tokens
from crossdock_schemas.topics import BATCH_COMMANDS
from support.builders import make_parcel, make_usage
from unit.accounts.builders import ACME, NOW_MS, PROJECT, ask_key, common, make_founded, make_key

APP = KeyId("key_app")
TPM = 1000
LINE = 100
"""Tokens that a line of `parcel` reserves."""


# the bucket


@given(
    st.integers(1, 5000),
    st.lists(
        st.tuples(st.integers(0, 90_000), st.integers(1, 6000), st.integers(0, 6000)), max_size=30
    ),
)
def test_over_any_time_no_more_is_reserved_than_a_full_bucket_one_line_and_what_flows_out(
    tpm: int, asked: list[tuple[int, int, int]]
) -> None:
    """Of each line some is given back later."""
    bucket, now_ms, kept, largest = TokenBucket(), NOW_MS, 0, 0
    for wait_ms, tokens, unused in asked:
        now_ms += wait_ms
        if count_fitting(bucket, tpm, now_ms, [tokens]):
            back = min(tokens, unused)
            bucket = fill(bucket, tpm, now_ms, tokens)
            bucket = fill(bucket, tpm, now_ms, -back)
            kept, largest = kept + tokens - back, max(largest, tokens)
        assert kept * PARTS <= (tpm + largest) * PARTS + tpm * (now_ms - NOW_MS)


@given(st.integers(1, 5000), st.integers(0, 9000), st.integers(1, 9000))
def test_the_next_line_may_begin_when_it_is_told_and_not_before(
    tpm: int, used: int, tokens: int
) -> None:
    bucket = fill(TokenBucket(), tpm, NOW_MS, used)

    at_ms = next_ms(bucket, tpm, tokens)

    assert count_fitting(bucket, tpm, at_ms, [tokens]) == 1
    if at_ms > NOW_MS:
        assert count_fitting(bucket, tpm, at_ms - 1, [tokens]) == 0


@given(st.integers(1, 5000), st.integers(0, 9000), st.integers(0, 3000), st.integers(0, 2000))
def test_lines_alike_are_counted_as_one_after_the_other(
    tpm: int, used: int, tokens: int, promised: int
) -> None:
    bucket = fill(TokenBucket(), tpm, NOW_MS, used)
    with_promise = fill(bucket, tpm, NOW_MS, promised)

    counted = min(20, count_of_size(bucket, tpm, NOW_MS, tokens, promised))

    assert counted == count_fitting(with_promise, tpm, NOW_MS, [max(1, tokens)] * 20)


def test_nothing_is_below_empty_and_a_clock_that_went_back_lets_nothing_flow() -> None:
    bucket = fill(TokenBucket(), TPM, NOW_MS, 10)

    assert fill(bucket, TPM, NOW_MS, -20) == TokenBucket(0, NOW_MS)
    assert level_of(bucket, TPM, NOW_MS - 5000) == 10 * PARTS
    assert fill(bucket, TPM, NOW_MS - 5000, 1) == TokenBucket(11 * PARTS, NOW_MS)


@pytest.mark.parametrize(
    ("ask", "tokens"),
    [
        (Ask(401, 100), 101 + 100),
        (Ask(400, 100, 3), 100 + 300),
        (Ask(400), 100 + 256),
        (Ask(7, 0, 0), 2),
    ],
    ids=["input and limit", "several answers", "no limit set", "embeddings"],
)
def test_what_a_line_reserves(ask: Ask, tokens: int) -> None:
    assert reservation_of(ask) == tokens


# what calls have reserved


@given(st.integers(0, 5), st.lists(st.integers(0, 300), min_size=1, max_size=6))
def test_what_a_hold_reserved_is_used_or_given_back_to_the_last_token(
    more: int, used: list[int]
) -> None:
    """Lines of unlike size reserve on average."""
    reserved, owner, hold = TokenReservations(), HoldOwner(ACME, APP), HoldId("hold_" + "1" * 32)
    total = LINE * len(used) + more
    reserved.add(owner, hold, total, len(used))
    in_bucket, pages = total, dict[bytes, Page]()
    for place, tokens in enumerate(used):
        in_bucket += reserved.use(owner, hold, tokens)
        pages |= {page.key: page for page in reserved.pages.finish()}
        reserved = TokenReservations()
        reserved.pages.restore(list(pages.values()))
        in_bucket -= reserved.end(owner, hold, len(used) - place - 1)

    assert in_bucket == sum(used)
    assert len(reserved) == 0
    assert reserved.end(owner, hold, 0) == 0


def test_a_page_of_a_call_of_unknown_end_that_tells_of_no_tokens_is_read_still() -> None:
    recent = BookedCalls()
    call = usage(1, 0, 30)

    recent.restore([Page(f"unknown/{call.execution_id}".encode(), b"0.05 20000")])
    taken = recent.add(call, 20_001)

    assert taken is not None
    assert (taken.day, taken.tokens) == (20_000, 30)


# keys


def make_core(tpm: int | None = TPM, **fields: int) -> AccountsCore:
    core = AccountsCore()
    core.apply(make_founded(), NOW_MS)
    core.apply(ask_key(make_key(APP, tpm=tpm, **fields)), NOW_MS)
    return core


def parcel(number: int, lines: int = 1, *, is_batch: bool = True, output: int = LINE) -> Parcel:
    fields = {"position": 0} if is_batch else {"batch_id": None, "request_id": "req_1"}
    return make_parcel(
        parcel_id=f"parcel_{number:032x}",
        account=ACME,
        project=PROJECT,
        key_id=APP,
        lines=tuple(range(lines)),
        input_bytes=0,
        output_most=(output,) * lines,
        **fields,
    )


def admit(core: AccountsCore, asked: Parcel, now_ms: int = NOW_MS) -> Admitted:
    return core.ledger.admit(asked, [0] * len(asked.lines), now_ms)


def usage(number: int, line: int, tokens: int, *, is_known: bool = True) -> Usage:
    return make_usage(
        execution_id=f"exec_{derive_token(f'req_{number:032x}', line)}",
        account=ACME,
        project=PROJECT,
        key_id=APP,
        claim="life-1",
        hold_id=hold_id(parcel(number).parcel_id),
        tokens=Tokens(output=tokens),
        outcome=CallOutcome.OK if is_known else CallOutcome.UNKNOWN,
    )


def tell(  # of whose call, and what it used
    core: AccountsCore, number: int, line: int, tokens: int, *, is_known: bool = True
) -> None:
    """A call ended, and so did its line."""
    row = usage(number, line, tokens, is_known=is_known)
    end = HoldEnd(
        hold_id=hold_id(parcel(number).parcel_id),
        account=ACME,
        key_id=APP,
        slots=(line,),
        is_unknown=not is_known,
    )
    core.ledger.book(ChargeGroup(executions=(row,), ended=(end,)), NOW_MS)


def free(core: AccountsCore) -> int:
    """Return how many lines of LINE tokens may begin now; they do."""
    return admit(core, parcel(999, 30)).count


def restarted(step: Step) -> AccountsCore:
    core = AccountsCore()
    core.restore(step.pages)
    return core


def test_what_is_too_fast_waits_or_is_told_when_to_come_back() -> None:
    core = make_core()

    assert admit(core, parcel(1, 8)).count == 8
    assert admit(core, parcel(2, 8)).count == 2
    said = admit(core, parcel(3, is_batch=False))

    assert said.wait_reason is not None
    refusal = not_now(said.wait_reason, said.unit)
    assert (refusal.status, refusal.code, refusal.kind) == (429, "rate_limit_exceeded", "tokens")
    assert refusal.retry_after_s == 6
    assert "1000 tokens a minute; this reserves 100" in refusal.message
    core.finish()
    assert admit(core, parcel(4, is_batch=False), NOW_MS + 5999).count == 0
    core.finish()
    assert admit(core, parcel(5, is_batch=False), NOW_MS + 6000).count == 1


def test_what_a_call_did_not_use_is_given_back_once_also_after_a_replay_and_a_restart() -> None:
    core = make_core()
    admit(core, parcel(1, 10))
    tell(core, 1, 0, 40)
    tell(core, 1, 0, 40)
    tell(core, 1, 1, 0)
    core = restarted(core.finish())
    tell(core, 1, 0, 40)
    tell(core, 1, 1, 0)

    assert free(core) == 1  # 160 are free


def test_what_a_call_used_beyond_is_counted_afterwards() -> None:
    core = make_core()
    admit(core, parcel(1, 2))
    tell(core, 1, 0, 700)

    assert free(core) == 3  # what its parcel had reserved is used up, and 500 more
    tell(core, 1, 1, 100)
    core = restarted(core.finish())
    assert admit(core, parcel(2)).count == 0


def test_the_truth_about_a_call_corrects_what_was_supposed() -> None:
    core = make_core()
    admit(core, parcel(1, 10))
    tell(core, 1, 0, 90, is_known=False)
    core = restarted(core.finish())
    assert free(core) == 0

    core.ledger.book(ChargeGroup(executions=(usage(1, 0, 10),)), NOW_MS)

    assert admit(core, parcel(2, output=80)).count == 1


def test_what_nobody_ended_is_given_back_by_the_clock() -> None:
    core = make_core(tpm=1)
    asked = parcel(1, output=1_000_000)
    assert admit(core, asked).count == 1
    stop_ms = asked.deadline_ms + LONG_STOP_MS
    core.ledger.expire(stop_ms)

    assert admit(core, parcel(2, output=1), stop_ms).count == 1


def test_a_line_larger_than_a_minute_begins_when_nothing_is_used() -> None:
    core = make_core()

    assert admit(core, parcel(1, 3, output=2500)).count == 1
    said = admit(core, parcel(2, output=2500))

    assert (said.count, said.unit) == (0, RateUnit.TOKENS)
    assert said.wait_reason is not None
    assert said.wait_reason.until_ms == NOW_MS + 150_000
    core.finish()
    assert admit(core, parcel(3, output=2500), NOW_MS + 150_000).count == 1


def test_a_batch_goes_on_as_the_minute_passes() -> None:
    core = make_core()
    admit(core, parcel(1, 30))
    granted = []
    for at_ms in range(NOW_MS, NOW_MS + 13_000, 500):
        core.ledger.grant(at_ms)
        records = [r for r in core.finish().outgoing if r.topic == BATCH_COMMANDS.name]
        granted += [
            (at_ms - NOW_MS, Granted.from_json(record.value or b"").lines) for record in records
        ]

    assert granted == [(6000, 1)]


def test_what_is_promised_to_one_batch_is_not_promised_to_the_next() -> None:
    core = make_core()
    admit(core, parcel(1, 10))
    admit(core, parcel(2, 9))
    admit(core, parcel(3, 9).model_copy(update={"batch_id": "batch_" + "3" * 32}))
    core.finish()
    core.ledger.grant(NOW_MS + 60_000)

    records = [r for r in core.finish().outgoing if r.topic == BATCH_COMMANDS.name]

    lines = [Granted.from_json(record.value or b"").lines for record in records]
    assert lines == [None, 1]


def test_requests_and_tokens_bind_together() -> None:
    """The tighter one is told."""
    core = make_core(rpm=5)

    said = admit(core, parcel(1, 6))
    assert (said.count, said.unit) == (5, RateUnit.REQUESTS)
    core.finish()
    said = admit(core, parcel(2, 4, output=300), NOW_MS + 60_000)
    assert (said.count, said.unit) == (3, RateUnit.TOKENS)


def test_lines_that_policies_deny_reserve_nothing() -> None:
    core = make_core()

    said = core.ledger.admit(parcel(1, 12), [0] * 12, NOW_MS, denied={0, 5})
    tell(core, 1, 1, 40)

    assert said.count == 12
    assert free(core) == 0  # nine lines of 100 are reserved still, and 40 used
    for line in (2, 3, 4, 6, 7, 8, 9, 10, 11):
        tell(core, 1, line, 0)
    assert free(core) == 9


@pytest.mark.parametrize(("tpm", "count"), [(0, 30), (2000, 10)], ids=["none", "more"])
def test_a_limit_may_be_changed_or_taken_away(tpm: int, count: int) -> None:
    core = make_core()
    admit(core, parcel(1, 10))

    core.apply(KeyChange(**common(), key_id=APP, tpm=tpm), NOW_MS)
    tell(core, 1, 0, LINE)

    assert free(core) == count


def test_calls_that_began_before_the_limit_count_when_they_end() -> None:
    core = make_core(tpm=None)
    admit(core, parcel(1, 10))
    core.apply(KeyChange(**common(), key_id=APP, tpm=TPM), NOW_MS)

    for line in range(10):
        tell(core, 1, line, 70)
        tell(core, 1, line, 70)

    assert free(core) == 3


def test_a_call_of_a_key_that_is_gone_is_booked_all_the_same() -> None:
    core = make_core()
    admit(core, parcel(1))
    core.apply(KeyDeletion(**common(), key_id=APP), NOW_MS)

    tell(core, 1, 0, 900)

    assert core.states[ACME].spend(APP).calls == 1


def test_a_successor_has_the_limit_and_shares_the_bucket() -> None:
    core = make_core()
    admit(core, parcel(1, 10))
    successor = KeyId("key_next")
    core.apply(
        KeyRotation(
            **common(), key_id=APP, successor=successor, hash="a" * 64, label="x", overlap_s=0
        ),
        NOW_MS,
    )

    assert core.states[ACME].keys[successor].tpm == TPM
    said = admit(core, parcel(2, 30).model_copy(update={"key_id": successor}))
    assert said.count == 0
    assert said.wait_reason is not None
